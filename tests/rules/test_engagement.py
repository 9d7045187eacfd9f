"""When a child is taken not to engage, and until when somebody has to call (policy: RC2)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from lessons.engagement.rules import Lesson, Missing, missing
from service.people.school_days import SchoolDays

TODAY = date(2026, 11, 24)  # a Tuesday
TERMS = ((date(2026, 9, 1), date(2026, 12, 18)), (date(2027, 1, 4), date(2027, 3, 26)))
WEEKDAYS = SchoolDays(TERMS, frozenset({date(2026, 11, 27)}), frozenset(range(5)))
CAME, MISSED, EXCUSED = Lesson.CAME, Lesson.MISSED, Lesson.EXCUSED


def looked(*newest_first: Lesson, least: int = 3, reached: datetime | None = None) -> Missing | None:
    lessons = [(TODAY - timedelta(days=number), one) for number, one in enumerate(newest_first)]
    return missing(lessons, least=least, contact_days=3, school_day_after=WEEKDAYS.after, reached_at=reached,
                   zone_day=lambda at: at.date())


def test_a_child_who_misses_three_lessons_in_a_row_is_to_be_called_within_three_school_days() -> None:
    found = looked(MISSED, MISSED, MISSED, CAME)
    assert found == Missing(TODAY - timedelta(2), 3, date(2026, 11, 30), None), "Friday is closed, then the weekend"
    assert not found.is_late(date(2026, 11, 30))
    assert found.is_late(date(2026, 12, 1))


def test_a_longer_row_has_the_deadline_of_the_day_on_which_it_became_one() -> None:
    found = looked(MISSED, MISSED, MISSED, MISSED, MISSED)
    assert found is not None
    assert (found.lessons, found.since, found.contact_by) == (5, TODAY - timedelta(4), date(2026, 11, 25))


@pytest.mark.parametrize("lessons", [
    (), (MISSED, MISSED), (CAME, MISSED, MISSED, MISSED), (MISSED, CAME, MISSED, MISSED), (EXCUSED, EXCUSED, EXCUSED),
    (MISSED, EXCUSED, MISSED),
])
def test_less_than_that_is_nobodys_task(lessons: tuple[Lesson, ...]) -> None:
    assert looked(*lessons) is None


def test_what_somebody_knows_the_reason_of_counts_neither_way() -> None:
    found = looked(MISSED, EXCUSED, MISSED, MISSED, CAME)
    assert found is not None
    assert found.lessons == 3


def test_speaking_to_the_family_since_the_first_missed_lesson_ends_the_deadline_and_before_it_does_not() -> None:
    at = datetime(2026, 11, 23, 9, tzinfo=UTC)
    reached, before = looked(MISSED, MISSED, MISSED, reached=at), looked(MISSED, MISSED, MISSED, reached=at - timedelta(days=5))
    assert reached is not None
    assert before is not None
    assert not reached.is_late(date(2027, 1, 1))
    assert before.is_late(date(2027, 1, 1))


def test_holidays_are_no_school_days_and_without_terms_plain_days_are_counted() -> None:
    assert WEEKDAYS.after(date(2026, 12, 18), 1) == date(2027, 1, 4)
    assert SchoolDays((), frozenset(), frozenset(range(5))).after(TODAY, 3) == TODAY + timedelta(3)
    assert WEEKDAYS.after(date(2027, 3, 25), 3) == date(2027, 3, 28), "one school day, then the timetable ends"
