"""What families do in the app about lessons."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class DataLimitSet(Event):
    """`limit_mb` is empty for no limit."""

    subject = "child_id"
    child_id: str
    limit_mb: int | None


@dataclass(frozen=True)
class PresenceSaid(Event):
    """A parent said whether they will sit with the child in a one-to-one."""

    subject = "person_id"
    person_id: str
    lesson_id: str
    will_be_there: bool
