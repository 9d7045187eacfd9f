"""Whatever way an answer changes, a room that is open obeys: by the event, or when it reads its plan again (policy: CO2)."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select

from consent import commands, resolutions
from consent.documents import commands as document_commands
from consent.rules import Purpose, Route
from consent.tables import ConsentResponse
from lessons.live import reading
from lessons.live.host import REREAD
from service.people import guardianships
from service.people.rules import Flags
from service.people.tables import Guardianship, Person
from service.safeguarding.tables import Alert, AlertNote
from tests.features.test_consent_answers import answer
from tests.features.test_consent_documents import office, text
from tests.room.pages import Lesson, Page


async def opened(lesson: Lesson) -> tuple[Page, Page, Page]:
    """A teacher and three pupils in an open room; the last is the one whose family answers."""
    teacher, _, bea = await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)
    ali = await lesson.pupil(2)
    await lesson.opened()
    await ali.until(lambda: ali.state["room"] == "open")
    return teacher, bea, ali


async def parent(lesson: Lesson, child: str) -> str:
    async with lesson.school.database.reading() as session:
        return (await session.exec(select(Guardianship.guardian_id).where(Guardianship.child_id == child).order_by(
            col(Guardianship.contact_order)))).all()[0]


async def in_the_app(lesson: Lesson, child: str) -> None:
    await answer(lesson.school, await parent(lesson, child), child, False, Purpose.ATTEND)


async def recording_in_the_app(lesson: Lesson, child: str) -> None:
    await answer(lesson.school, await parent(lesson, child), child, False, Purpose.BE_RECORDED)


async def by_the_pupil(lesson: Lesson, child: str) -> None:
    await answer(lesson.school, child, child, False, Purpose.ATTEND)


async def as_a_mistake(lesson: Lesson, child: str) -> None:
    actor = await office(lesson.school)
    async with lesson.school.database.writing() as session:
        given = (await session.exec(select(ConsentResponse.id).where(
            ConsentResponse.child_id == child, ConsentResponse.purpose == "attend"))).first()
        await commands.correct(session, actor, response_id=str(given), note="Another child", now=lesson.school.clock.now())


async def by_other_words(lesson: Lesson, child: str) -> None:
    actor = await office(lesson.school, "headteacher")
    async with lesson.school.database.writing() as session:
        await document_commands.publish_version(
            session, actor, purpose=Purpose.ATTEND, text=text(), changed="All of it", ends_answers=True, after=1,
            now=lesson.school.clock.now())


async def by_a_court(lesson: Lesson, child: str) -> None:
    actor = await office(lesson.school)
    async with lesson.school.database.writing() as session:
        link = (await session.exec(select(Guardianship).where(Guardianship.child_id == child))).first()
        assert link is not None
        await guardianships.change(
            session, actor, link.id, relationship=link.relationship, contact_order=link.contact_order, lives_with=None,
            flags=Flags("yes", "yes", False), reason="An order", now=lesson.school.clock.now())


WAYS = (in_the_app, recording_in_the_app, by_the_pupil, as_a_mistake, by_other_words, by_a_court)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_the_child_is_taken_out_within_a_second_whatever_way_the_answer_changes(
    lesson: Lesson, way: Callable[[Lesson, str], Awaitable[None]],
) -> None:
    if way is by_the_pupil:
        await lesson.school.set_profile(pupils_asked_from=11)
        async with lesson.school.database.writing() as session:
            born = await session.get_one(Person, lesson.pupil_ids[2])
            born.born_on = lesson.school.clock.now().date() - timedelta(days=12 * 366)
    teacher, bea, ali = await opened(lesson)
    before = lesson.school.clock.boottime()
    await way(lesson, ali.person)
    await ali.until(lambda: ali.state["hold"] == ["not-permitted"], 2.0)
    assert lesson.school.clock.boottime() - before <= 1.0
    assert ali.state["people"] == []
    assert lesson.plane.rooms[-1].delivers(ali.person) == frozenset()
    if way is not by_other_words:  # those words ended everybody's answers
        assert teacher.state["room"] == bea.state["room"] == "open"


async def alerts(lesson: Lesson) -> list[tuple[str, str]]:
    async with lesson.school.database.reading() as session:
        return list((await session.exec(select(Alert.kind, AlertNote.words).join(
            AlertNote, col(AlertNote.alert_id) == Alert.id).where(Alert.kind == "withdrawn"))).all())


async def test_what_was_recorded_until_a_family_took_it_back_is_put_before_the_safeguarding_team(lesson: Lesson) -> None:
    *_, ali = await opened(lesson)
    await lesson.host.journal.drained()
    await recording_in_the_app(lesson, ali.person)
    await in_the_app(lesson, ali.person)
    ((_, words),) = await alerts(lesson)
    assert "Decide what becomes of it." in words
    assert "Keeping a child safe does not depend on their permission." in words
    async with await lesson.school.signed_in("dsl") as client:
        assert "Permission taken back" in (await client.get("/safeguarding")).text


async def test_a_no_for_a_child_who_was_not_in_the_lesson_or_about_a_camera_waits_for_nobody(lesson: Lesson) -> None:
    *_, ali = await opened(lesson)
    await lesson.host.journal.drained()
    await in_the_app(lesson, lesson.pupil_ids[3])
    await answer(lesson.school, await parent(lesson, ali.person), ali.person, False, Purpose.CAMERA)
    assert await alerts(lesson) == []


async def test_a_yes_that_rested_counts_in_a_room_that_is_open_when_it_reads_its_plan_again(lesson: Lesson) -> None:
    child = lesson.pupil_ids[2]
    mother = await parent(lesson, child)
    await answer(lesson.school, mother, child, False, Purpose.CAMERA)
    await lesson.teacher()
    await lesson.pupil(0)
    ali = await lesson.pupil(2)
    await lesson.opened()
    await answer(lesson.school, mother, child, True, Purpose.CAMERA,
                 counts_from=lesson.school.clock.now() + timedelta(seconds=3))
    await lesson.settle(2)
    assert not lesson.host.room.plan.people[child].may.camera
    await lesson.settle(REREAD + 2)
    assert lesson.host.room.plan.people[child].may.camera
    assert ali.state["room"] == "open"


async def test_a_yes_ends_with_its_year_when_the_room_reads_its_plan_again(lesson: Lesson) -> None:
    """Midnight writes nothing down: what a plan says after it is asked anew."""
    seen = []
    for days in (0, 364 - 20, 1):
        lesson.school.clock.advance(days * 86400)
        async with lesson.school.database.reading() as session:
            seen.append((await reading.read(session, lesson.id)).plan.people[lesson.pupil_ids[2]].may.attend)
    assert seen == [True, True, False]


async def test_a_conflict_that_was_closed_lets_the_child_in_again(lesson: Lesson) -> None:
    _, _, ali = await opened(lesson)
    dsl = await office(lesson.school, "dsl")
    async with lesson.school.database.writing() as session:
        aunt = Person(school_id=dsl.school_id, kind="adult", given_name="Aunt")
        session.add(aunt)
        await session.flush()
        session.add(Guardianship(school_id=dsl.school_id, guardian_id=aunt.id, child_id=ali.person, relationship="aunt",
                                 parental_responsibility="yes", court_order="no"))
    actor = await office(lesson.school)

    async def says(says_yes: bool, now: datetime) -> None:
        async with lesson.school.database.writing() as session:
            await commands.record_response(
                session, actor, child_id=ali.person, answers={Purpose.ATTEND: says_yes}, respondent_id=aunt.id,
                route=Route.IN_PERSON, signed_on=now.date(), now=now)

    await says(False, lesson.school.clock.now())
    await ali.until(lambda: ali.state["hold"] == ["not-permitted"], 2.0)
    await lesson.settle(1)
    await says(True, lesson.school.clock.now())
    await lesson.settle(1)
    assert ali.state["hold"] == ["not-permitted"]
    async with lesson.school.database.writing() as session:
        await resolutions.close(session, dsl, child_id=ali.person, purpose=Purpose.ATTEND, reason="Spoke to both",
                                now=lesson.school.clock.now())
    await ali.until(lambda: lesson.host.room.plan.people[ali.person].may.attend, 2.0)
