"""When a child is taken not to engage, and until when somebody has to reach the family (policy: RC2). Pure.

Everything is worked out from the record of lessons: nobody marks a child, and nobody forgets to.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

REASONS = {"ill": "Ill", "device": "No device or internet", "at-school": "At school", "other": "Something else"}


class Lesson(StrEnum):
    """How a lesson stands for one child. `EXCUSED`: somebody knows why they were away, so it counts neither way."""

    CAME = "came"
    MISSED = "missed"
    EXCUSED = "excused"


@dataclass(frozen=True)
class Missing:
    """A child who misses lessons.

    since       the day of the first lesson missed in this row
    lessons     missed in a row
    contact_by  the last day on which the family has to be reached
    reached_at  when it was, since the first missed lesson; None: not yet
    """

    since: date
    lessons: int
    contact_by: date
    reached_at: datetime | None

    def is_late(self, today: date) -> bool:
        """“No contact for {3} school days”: leadership is told."""
        return self.reached_at is None and today > self.contact_by


def missing(lessons: Iterable[tuple[date, Lesson]], *, least: int, contact_days: int,
            school_day_after: Callable[[date, int], date], reached_at: datetime | None, zone_day: Callable[[datetime], date],
            ) -> Missing | None:
    """What is to be done about a child, or None. `lessons`: the days of those that are over, the newest first, each as it stands.

    `least`: in a row before the child is taken not to engage; `contact_days`: school days after that. `reached_at`: when the
    family was last spoken to.
    """
    missed: list[date] = []
    for day, stands in lessons:
        if stands is Lesson.CAME:
            break
        if stands is Lesson.MISSED:
            missed.append(day)
    if len(missed) < least:
        return None
    since, noticed = missed[-1], missed[-least]
    reached = reached_at if reached_at is not None and zone_day(reached_at) >= since else None
    return Missing(since, len(missed), school_day_after(noticed, contact_days), reached)
