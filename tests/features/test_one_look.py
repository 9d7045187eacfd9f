"""One look at the database answers every live lesson that asked before it began (docs/decisions: 98; invariant I8)."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any

import pytest
from sqlmodel import select

from consent.events import (
    ConsentConflictClosed,
    ConsentCorrected,
    ConsentRecorded,
    ConsentWithdrawn,
    CourtOrderRecorded,
    ObjectionDecided,
    ObjectionReceived,
    RefusalKept,
)
from lessons.events import LessonCancelled
from lessons.live import reading
from lessons.live.looks import Looks
from recordings.events import RecordingEnded, RecordingStarted
from service.foundation import audit
from service.foundation.bus import publish
from service.people import queries, sessions
from service.people.events import StepUpConfirmed
from service.people.tables import SignIn
from service.safeguarding.approvals.events import OneToOneApproved, OneToOneRevoked
from service.safeguarding.concerns.events import ConcernOpened, ConcernsListed
from service.safeguarding.events import AlertRaised
from service.safeguarding.incidents.events import IncidentOpened, IncidentsListed
from tests.school import Running


@pytest.fixture
def looks(school: Running, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each session that a look opens."""
    opened: list[int] = []
    glance = school.database.glance

    @asynccontextmanager
    async def counted() -> Any:
        opened.append(1)
        async with glance() as session:
            yield session

    monkeypatch.setattr(school.database, "glance", counted)
    return opened


def looks_of(school: Running) -> Looks:
    found: Looks = school.app.state.rooms.looks
    return found


async def stands(school: Running) -> int:
    async with school.database.reading() as session:
        return (await reading.decided(session, -1)).stands


async def cancel(school: Running) -> None:
    """Something is decided, by somebody."""
    async with school.database.writing() as session:
        actor = await queries.actor(session, school.person("headteacher"))
        assert actor is not None
        await publish(session, LessonCancelled(school.lesson()["id"], "a test"), actor)


async def test_what_was_decided_is_news_to_whoever_has_not_seen_it_and_to_nobody_else(school: Running) -> None:
    before = await stands(school)
    await cancel(school)
    after = await stands(school)
    old, new = await asyncio.gather(looks_of(school).check(before, set(), ()), looks_of(school).check(after, set(), ()))
    assert (old.changed, old.seen) == (True, after)
    assert (new.changed, new.seen) == (False, after)


@pytest.mark.parametrize("kind", [
    ConsentRecorded, ConsentWithdrawn, RefusalKept, ConsentCorrected, CourtOrderRecorded, ConsentConflictClosed,
    ObjectionReceived, ObjectionDecided], ids=lambda kind: kind.__name__)
async def test_what_is_decided_about_a_child_is_news_to_the_lessons_of_that_child_alone(school: Running, kind: Any) -> None:
    """When three hundred families answer at nine, ten lessons would otherwise be read anew for each of them."""
    before, child = await stands(school), school.person("pupil")
    about = {field.name: "x" for field in fields(kind)} | {"child_id": child}
    async with school.database.writing() as session:
        actor = await queries.actor(session, school.person("headteacher"))
        assert actor is not None
        await audit.append(session, kind(**about), actor)
    theirs, others = await asyncio.gather(
        looks_of(school).check(before, set(), {child}), looks_of(school).check(before, set(), {"somebody else"}))
    assert (theirs.changed, others.changed) == (True, False)
    await cancel(school)
    assert (await looks_of(school).check(before, set(), {"somebody else"})).changed


@pytest.mark.parametrize("kind", [OneToOneApproved, OneToOneRevoked], ids=lambda kind: kind.__name__)
async def test_what_is_decided_about_one_approval_is_news_to_its_own_lesson_alone(school: Running, kind: Any) -> None:
    before, lesson = await stands(school), school.lesson()["id"]
    async with school.database.writing() as session:
        actor = await queries.actor(session, school.person("headteacher"))
        assert actor is not None
        about = {field.name: "x" for field in fields(kind)} | {"lesson_id": lesson}
        await audit.append(session, kind(**about), actor)
    its, others = await asyncio.gather(
        looks_of(school).check(before, set(), {lesson}), looks_of(school).check(before, set(), {"another lesson", "x"}))
    assert (its.changed, others.changed) == (True, False)


@pytest.mark.parametrize("kind", [
    RecordingStarted, RecordingEnded, AlertRaised, StepUpConfirmed, ConcernsListed, ConcernOpened, IncidentsListed,
    IncidentOpened], ids=lambda kind: kind.__name__)
async def test_what_lessons_do_by_the_dozen_and_decides_nothing_is_news_to_no_lesson(school: Running, kind: Any) -> None:
    """Each begins a recording, and each paused one an alert: every one of those had the plans of all that are live read anew."""
    before = await stands(school)
    async with school.database.writing() as session:
        actor = await queries.actor(session, school.person("headteacher"))
        assert actor is not None
        await audit.append(session, kind(**{field.name: "x" for field in fields(kind)}), actor)
    found = await looks_of(school).check(before, set(), {"anybody"})
    assert (found.changed, found.seen > before) == (False, True)


async def test_each_lesson_hears_of_its_own_people_who_were_signed_out(school: Running) -> None:
    ids = []
    for position in (0, 1):
        await school.cookie(school.person("pupil", position))
    async with school.database.writing() as session:
        for position in (0, 1):
            person = school.person("pupil", position)
            ids.append((await session.exec(select(SignIn.id).where(SignIn.person_id == person))).first() or "")
        actor = await queries.actor(session, school.person("headteacher"))
        assert actor is not None
        await sessions.end_all(session, actor, person_id=school.person("pupil"), why="a test", now=school.clock.now())
    here, there = await asyncio.gather(looks_of(school).check(0, {ids[0]}, ()), looks_of(school).check(0, {ids[1]}, ()))
    assert here.signed_out == {ids[0]}
    assert there.signed_out == frozenset()


async def test_ten_lessons_that_ask_in_the_same_moment_are_answered_by_one_look(school: Running, looks: list[int]) -> None:
    await asyncio.gather(*(looks_of(school).check(0, set(), ()) for _ in range(10)))
    assert len(looks) == 1
    assert looks_of(school)._questions == []


async def test_nobody_is_answered_by_a_look_that_began_before_they_asked(
    school: Running, monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, looking, inside, go = await stands(school), looks_of(school), asyncio.Event(), asyncio.Event()
    look = looking._look

    async def slow(questions: Any) -> None:
        await look(questions)
        inside.set()
        await go.wait()

    monkeypatch.setattr(looking, "_look", slow)
    first = asyncio.create_task(looking.check(before, set(), ()))
    await inside.wait()
    await cancel(school)
    second = asyncio.create_task(looking.check(before, set(), ()))
    go.set()
    assert not (await first).changed
    assert (await second).changed


async def test_a_look_that_fails_fails_one_lesson_and_the_next_looks_again(
    school: Running, monkeypatch: pytest.MonkeyPatch,
) -> None:
    looking, tries = looks_of(school), []
    look = looking._look

    async def once(questions: Any) -> None:
        tries.append(len(questions))
        if len(tries) == 1:
            raise OSError
        await look(questions)

    monkeypatch.setattr(looking, "_look", once)
    answers = await asyncio.gather(*(looking.check(0, set(), ()) for _ in range(3)), return_exceptions=True)
    assert isinstance(answers[0], OSError)
    assert not any(isinstance(answer, BaseException) for answer in answers[1:])
    assert looking._questions == []


async def test_a_look_that_hangs_keeps_its_own_lesson_waiting_and_no_other(
    school: Running, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a connection that answers nobody; the database answers on another."""
    looking, hung, go, began = looks_of(school), asyncio.Event(), asyncio.Event(), list[int]()
    monkeypatch.setattr("lessons.live.looks.HANGS", 0.2)
    look = looking._look

    async def first_hangs(questions: Any) -> None:
        began.append(len(questions))
        if len(began) == 1:
            hung.set()
            await go.wait()
        await look(questions)

    monkeypatch.setattr(looking, "_look", first_hangs)
    first = asyncio.create_task(looking.check(0, set(), ()))
    await hung.wait()
    for _ in range(2):
        async with asyncio.timeout(10):
            await asyncio.gather(*(looking.check(0, set(), ()) for _ in range(9)))
    assert not first.done()
    assert began[1] == 10, "one look beside the one that hangs answers all nine, and would answer it"
    go.set()
    await first
    assert looking._questions == []
