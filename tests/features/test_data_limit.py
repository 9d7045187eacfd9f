"""No surprising costs: the limit that a parent sets is told to the child's page of a lesson (policy: RL11)."""

from datetime import timedelta

import pytest

from lessons.family.rules import used_mb
from lessons.family.tables import DataLimit
from lessons.tables import JournalEntry, Lesson
from tests.school import Running


async def set_limit(school: Running, limit_mb: int | None) -> None:
    async with school.database.writing() as session:
        lesson = await session.get_one(Lesson, school.lesson()["id"])
        session.add(DataLimit(school_id=lesson.school_id, child_id=school.lesson()["pupil_ids"][0], limit_mb=limit_mb,
                              set_by=school.person("parent"), set_at=school.clock.now()))


async def was_in_a_lesson(school: Running, minutes: int) -> None:
    """Earlier this month, with the same class."""
    pupil = school.lesson()["pupil_ids"][0]
    async with school.database.writing() as session:
        now = await session.get_one(Lesson, school.lesson()["id"])
        start = school.clock.now() - timedelta(hours=25)
        session.add(Lesson(id="before", school_id=now.school_id, group_id=now.group_id, title="Before", starts_at=start,
                           ends_at=start + timedelta(minutes=minutes), planned_by=now.planned_by, planned_at=start))
        await session.flush()
        written = ((0, "joined", pupil), (0, "joined", now.planned_by), (minutes, "left", pupil), (minutes, "ended", ""))
        session.add_all(
            JournalEntry(school_id=now.school_id, lesson_id="before", seq=seq, at=start + timedelta(minutes=after), kind=kind,
                         person_id=person)
            for seq, (after, kind, person) in enumerate(written))


@pytest.mark.parametrize(("limits", "minutes", "said"), [
    ((), 0, None), ((500, None), 0, None), ((500,), 0, "You have 500 MB left this month."),
    ((500,), 60, f"You have {500 - used_mb([timedelta(hours=1)])} MB left this month."),
    ((500,), 300, "Your month's data is used. Sound only from here."),
])
async def test_the_page_says_what_is_left_and_starts_with_sound_where_that_is_nothing(
    school: Running, limits: tuple[int | None, ...], minutes: int, said: str | None,
) -> None:
    for limit in limits:
        await set_limit(school, limit)
        school.clock.advance(1)
    if minutes:
        await was_in_a_lesson(school, minutes)
    async with school.client(await school.cookie(school.lesson()["pupil_ids"][0])) as pupil:
        page = (await pupil.get(f"/lessons/{school.lesson()['id']}")).text
    assert 'data-view="door"' in page
    if said is None:
        assert "left this month" not in page
        assert "data-left-mb" not in page
    else:
        assert said in " ".join(page.split())
        assert ('value="all"' in page) is ("Sound only from here" not in said)
