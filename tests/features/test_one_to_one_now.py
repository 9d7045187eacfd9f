"""A teacher who is left alone with one child of a lesson that is on asks for the rest of it (policy: RL1)."""

import pytest
from sqlmodel import select

from lessons.one_to_one import commands, now, queries
from lessons.tables import Lesson as LessonRow
from service.foundation.errors import Invalid, NotFound
from tests.one_to_one import actor, approve, given, named, read, refuse, revoke
from tests.room.pages import Lesson, Page
from tests.school import Running


async def alone(school: Running) -> tuple[Lesson, Page, Page]:
    """Both pupils came, one left: the room is held."""
    lesson = Lesson(school)
    teacher, ali, bea = await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)
    await lesson.opened()
    bea.vanish()
    await teacher.until(lambda: teacher.state["hold"] == ["lone-adult"])
    return lesson, teacher, ali


async def asks(school: Running, lesson: Lesson, child: str, why: str = "The others have no power.") -> str:
    who = await actor(school, lesson.teacher_id)
    async with school.database.writing() as session:
        return await now.ask_now(session, who, lesson.id, child, why, school.clock.now())


async def test_nothing_flows_while_they_think_and_the_rest_of_the_lesson_once_somebody_agreed(school: Running) -> None:
    lesson, teacher, ali = await alone(school)
    request_id, head = await asks(school, lesson, ali.person), await named(school, "Dr Marsh")
    async with school.database.reading() as session:
        row = (await queries.waiting(session, head, school.clock.now()))[0]  # the most urgent first
    assert (row.request.id, row.request.asked.kind) == (request_id, "now")
    await lesson.settle(2)
    assert not lesson.host.room.is_open
    await approve(school, request_id)
    await lesson.opened()
    [approval] = await given(school, request_id)
    async with school.database.reading() as session:
        planned = (await session.exec(select(LessonRow).where(LessonRow.id == lesson.id))).one()
    assert (approval.ends_at, planned.status, planned.pupil_id) == (planned.ends_at, "planned", None)
    await revoke(school, approval.id)
    await teacher.until(lambda: teacher.state["room"] == "held")
    assert teacher.state["hold"] == ["approval-ended", "lone-adult"]
    with pytest.raises(now.EndedForGood):
        await asks(school, lesson, ali.person)
    await lesson.end()


async def test_it_is_for_that_child_and_no_other(school: Running) -> None:
    lesson, teacher, ali = await alone(school)
    await approve(school, await asks(school, lesson, ali.person))
    await lesson.opened()
    ali.vanish()
    await teacher.until(lambda: teacher.state["room"] == "held")
    await lesson.pupil(2)
    await lesson.settle(3)
    assert not lesson.host.room.is_open
    await lesson.end()


async def test_it_is_asked_once_and_again_after_a_no(school: Running) -> None:
    lesson, _, ali = await alone(school)
    request_id = await asks(school, lesson, ali.person)
    with pytest.raises(now.AlreadyAsked):
        await asks(school, lesson, ali.person)
    await refuse(school, request_id)
    request = await read(school, request_id)
    async with school.database.reading() as session:
        rows = await commands.lessons_of(session, request)
    assert [row.status for row in rows] == ["planned"]
    assert await asks(school, lesson, ali.person)
    await lesson.end()


async def test_only_an_adult_of_a_lesson_that_is_on_asks_for_a_pupil_of_it(school: Running) -> None:
    lesson = Lesson(school)
    with pytest.raises(Invalid):
        await asks(school, lesson, lesson.pupil_ids[0], " ")
    with pytest.raises(NotFound):
        await asks(school, lesson, school.person("parent"))
    teacher, lesson.teacher_id = lesson.teacher_id, (await named(school, "Mrs Frost")).person_id
    with pytest.raises(NotFound):
        await asks(school, lesson, lesson.pupil_ids[0])
    lesson.teacher_id = teacher
    school.clock.advance(5 * 3600)
    with pytest.raises(now.NotAlone):
        await asks(school, lesson, lesson.pupil_ids[0])
