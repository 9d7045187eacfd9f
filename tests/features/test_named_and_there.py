"""Being named for a lesson keeps nothing from those who keep children safe; having been in it does (policy: RC1, RC4)."""

from collections.abc import AsyncIterator

import pytest
from sqlmodel import select

from lessons import commands
from lessons.adults import planned
from lessons.tables import LessonAdult
from service.foundation.events import Role
from service.people import sessions
from service.people.tables import DutySlot, PersonRole
from service.safeguarding.queries import barred
from service.safeguarding.tables import Alert
from tests.room.family import Family
from tests.room.pages import Lesson, Page
from tests.school import Running

INBOX = ("dsl", "deputy_dsl", "headteacher")


async def teaching(school: Running) -> None:
    """The DSL and the deputies teach as well, as in a small school, so that anybody may name them."""
    async with school.database.writing() as session:
        for one in school.made["people"]:
            if one["role"] in ("dsl", "deputy_dsl"):
                school_id = (await session.exec(select(PersonRole.school_id))).first()
                session.add(PersonRole(person_id=one["id"], role=Role.TEACHER, school_id=school_id))


def everybody(school: Running) -> list[str]:
    return [one["id"] for one in school.made["people"] if one["role"] in INBOX]


@pytest.fixture
async def lesson(school: Running) -> AsyncIterator[Lesson]:
    await teaching(school)
    lesson = Lesson(school)
    yield lesson
    await lesson.end()


@pytest.fixture
async def family(school: Running) -> AsyncIterator[Family]:
    await teaching(school)
    family = Family(school)
    yield await family.begin()
    await family.end()


async def empty_rota(school: Running) -> None:
    async with school.database.writing() as session:
        for slot in (await session.exec(select(DutySlot))).all():
            await session.delete(slot)


async def name_everybody(lesson: Lesson) -> None:
    """The teacher posts each of them as a second adult. Nobody is asked, and nobody comes."""
    async with lesson.school.client(await lesson.school.cookie(lesson.teacher_id)) as client:
        for person in everybody(lesson.school):
            answer = await client.post(f"/lessons/{lesson.id}/second", data={"second": person})
            assert answer.status_code == 303, answer.text


async def press_worried(page: Page, lesson_id: str) -> str:
    async with page.lesson.school.client(page.cookie) as client:
        answer = await client.post("/worried", json={"lesson_id": lesson_id})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["worry_id"])


async def opens(school: Running, role: str, alert: str) -> bool:
    """Whether it calls them and they can open it: both or neither."""
    async with await school.signed_in(role) as client:
        called = bool([one for one in (await client.get("/banners?wait=false")).json()["banners"] if "alert" in one["words"]])
        found = (await client.get(f"/safeguarding/{alert}")).status_code == 200
    assert called == found
    return found


async def test_a_teacher_who_names_everybody_who_reads_alerts_keeps_no_worry_from_them(school: Running, lesson: Lesson) -> None:
    await empty_rota(school)
    await name_everybody(lesson)
    await lesson.teacher()
    ali, _ = await lesson.pupil(0), await lesson.pupil(1)
    await lesson.opened()
    alert = await press_worried(ali, lesson.id)
    assert await opens(school, "dsl", alert)
    async with school.database.reading() as session:
        assert (await session.get_one(Alert, alert)).routed_to == Role.DSL
        assert await barred(session, alert) == {lesson.teacher_id}


async def test_no_flag_of_a_lesson_either(school: Running, lesson: Lesson) -> None:
    await empty_rota(school)
    await name_everybody(lesson)
    teacher, *_ = await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)
    await lesson.opened()
    teacher.say("flag", about="seen", note="look")
    await teacher.until(lambda: teacher.last("flagged"))
    await lesson.host.journal.drained()
    async with school.database.reading() as session:
        alert = (await session.exec(select(Alert).where(Alert.kind == "flag"))).one()
    assert await opens(school, "dsl", alert.id)


async def test_nor_does_naming_them_for_a_breakout_room(school: Running, family: Family) -> None:
    head, dsl = school.person("headteacher"), school.person("dsl")
    await family.split(([dsl, head, family.teacher_id], family.pupil_ids[:2]),
                       ([family.assistant_id, school.person("deputy_dsl")], family.pupil_ids[2:4]))
    page = await family.follow(family.pupil_pages[0])
    alert = await press_worried(page, family.rooms[0])
    assert await opens(school, "dsl", alert)
    async with school.database.reading() as session:
        assert await barred(session, alert) == {family.teacher_id, family.assistant_id}


async def test_nor_does_naming_one_to_cover(school: Running, lesson: Lesson) -> None:
    dsl = school.person("dsl")
    async with school.client(await school.cookie(lesson.teacher_id)) as client:
        assert (await client.post(f"/lessons/{lesson.id}/cover", data={"person": dsl})).status_code == 303
    alert = await press_worried(await lesson.page(lesson.pupil_ids[0]), lesson.id)
    assert await opens(school, "dsl", alert)


async def test_once_the_dsl_comes_in_they_are_barred_from_what_was_and_what_is_raised(school: Running, lesson: Lesson) -> None:
    await empty_rota(school)
    await name_everybody(lesson)
    await lesson.teacher()
    ali, bea = await lesson.pupil(0), await lesson.pupil(1)
    await lesson.opened()
    before = await press_worried(ali, lesson.id)
    await (await lesson.page(school.person("dsl"))).enter()
    await lesson.settle(1)
    await lesson.host.journal.drained()
    after = await press_worried(bea, lesson.id)
    for alert in (before, after):
        assert not await opens(school, "dsl", alert)
        assert await opens(school, "deputy_dsl", alert)


async def test_a_dsl_is_an_adult_of_the_lesson_that_is_their_own_before_they_come_in(school: Running, lesson: Lesson) -> None:
    async with school.database.writing() as session:
        teacher = await session.get_one(LessonAdult, (lesson.id, lesson.teacher_id))
        await session.delete(teacher)
        await session.flush()
        session.add(LessonAdult(lesson_id=lesson.id, person_id=school.person("dsl"), school_id=teacher.school_id, part="teacher"))
    alert = await press_worried(await lesson.page(lesson.pupil_ids[0]), lesson.id)
    assert not await opens(school, "dsl", alert)
    async with school.database.reading() as session:
        assert await planned(session, lesson.id) == {school.person("dsl")}


NOBODY = "Nobody else would be on duty for safeguarding during this lesson."


@pytest.mark.parametrize(("path", "field"), [("second", "second"), ("cover", "person")])
async def test_the_only_one_on_duty_is_not_added_to_a_lesson(school: Running, lesson: Lesson, path: str, field: str) -> None:
    dsl = school.person("dsl")
    async with school.database.writing() as session:
        for slot in (await session.exec(select(DutySlot).where(DutySlot.person_id != dsl))).all():
            await session.delete(slot)
    async with school.client(await school.cookie(lesson.teacher_id)) as client:
        page = await client.post(f"/lessons/{lesson.id}/{path}", data={field: dsl})
        assert (page.status_code, NOBODY in page.text) == (422, True)
        other = await client.post(f"/lessons/{lesson.id}/{path}", data={field: school.person("deputy_dsl")})
        assert other.status_code == 303, "negative control: somebody else is on duty"


async def test_where_nobody_was_on_duty_before_a_second_adult_still_ends_being_alone(school: Running, lesson: Lesson) -> None:
    await empty_rota(school)
    async with school.database.writing() as session:
        teacher = await sessions.queries.actor(session, lesson.teacher_id)
        await commands.add_second(session, teacher, lesson.id, person_id=school.person("dsl"), now=school.clock.now())
