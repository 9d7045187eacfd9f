"""What happens to planned lessons, their links, the school's lists and its calendars. Times are RFC 3339, in UTC."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class LessonChanged(Event):
    """A lesson is not what it was: whoever holds a plan of it reads it again, and families see it."""

    subject = "lesson_id"
    lesson_id: str


@dataclass(frozen=True)
class LessonPlanned(LessonChanged):
    """`status`: `planned` (approved by rule) or `waiting`, then `outside` names the rules. `pupils`: how many may take part."""

    group_id: str
    starts_at: str
    ends_at: str
    status: str
    outside: str
    pupils: int
    adults: int


@dataclass(frozen=True)
class LessonApproved(LessonChanged):
    reason: str


@dataclass(frozen=True)
class LessonRefused(LessonChanged):
    reason: str


@dataclass(frozen=True)
class LessonMoved(LessonChanged):
    from_starts_at: str
    starts_at: str
    ends_at: str


@dataclass(frozen=True)
class LessonCancelled(LessonChanged):
    because: str


@dataclass(frozen=True)
class CoverArranged(LessonChanged):
    """Another cleared adult runs the lesson; families are told."""

    instead_of: str
    person_id: str


@dataclass(frozen=True)
class SecondAdultAdded(LessonChanged):
    person_id: str


@dataclass(frozen=True)
class LinkAdded(LessonChanged):
    link_id: str
    url: str


@dataclass(frozen=True)
class LinkPreviewed(LessonChanged):
    """Somebody on staff looked at the whole page (policy: RL10)."""

    link_id: str
    url: str


@dataclass(frozen=True)
class LinkRemoved(LessonChanged):
    link_id: str
    url: str


@dataclass(frozen=True)
class WordListChanged(Event):
    """The chat filter and the allowed addresses changed (policy: IN6)."""

    subject = "list_id"
    list_id: str
    version: int
    reason: str
    words: int
    links: int
    expires_at: str


@dataclass(frozen=True)
class CalendarFeedMade(Event):
    subject = "person_id"
    person_id: str


@dataclass(frozen=True)
class CalendarFeedRevoked(Event):
    subject = "person_id"
    person_id: str
