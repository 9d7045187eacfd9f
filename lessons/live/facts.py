"""What a live room tells the rest of the school. Each is in the audit; what opens is there before it happens."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class RoomJournalled(Event):
    """One entry of a lesson's journal. `what` is its kind, `facts` JSON of ids and codes; attendance is derived from these."""

    subject = "person_id"
    lesson_id: str
    what: str
    person_id: str
    facts: str


@dataclass(frozen=True)
class RoomOpened(Event):
    """People may see and hear each other from here. `people`: ids, space-separated."""

    subject = "lesson_id"
    lesson_id: str
    opening: int
    people: str


@dataclass(frozen=True)
class LessonEnded(Event):
    subject = "lesson_id"
    lesson_id: str
    reason: str


@dataclass(frozen=True)
class LessonStopped(Event):
    """A leader or the DSL stopped the lesson for the school."""

    subject = "lesson_id"
    lesson_id: str
    person_id: str


@dataclass(frozen=True)
class DoorAnswered(Event):
    """Somebody is let in: what they answered at the door (policy: RL2, RL3, CO6)."""

    subject = "person_id"
    lesson_id: str
    person_id: str
    clothing: str
    place: str
    people_near: str
    beside: str
