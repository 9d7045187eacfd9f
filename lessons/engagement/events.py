"""What happens to children who miss lessons (policy: RC2)."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class AbsenceExplained(Event):
    """Somebody on staff knows why a child was away. What they wrote is with the lesson."""

    subject = "child_id"
    child_id: str
    lesson_id: str
    reason: str


@dataclass(frozen=True)
class LeadershipToldOfAbsence(Event):
    """Nobody reached the family in the agreed time. `since`: the day of the first lesson missed."""

    subject = "child_id"
    child_id: str
    told_id: str
    since: str
