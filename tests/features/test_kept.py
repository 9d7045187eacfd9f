"""What a view was told before is believed only where nothing was decided since (docs/decisions: 103)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlmodel import text

from lessons.live.facts import DoorAnswered
from lessons.live.reading import DECIDES_NOTHING
from service.foundation import audit, kept
from service.foundation.bus import publish
from service.foundation.db import Database
from service.people import queries
from service.wiring import SUBSCRIBERS
from tests.school import Running


@pytest.fixture
async def ours(school: Running) -> AsyncIterator[Database]:
    """What writes through it is noticed by it. The application has another, whose jobs are to it what another process is."""
    settings = school.app.state.settings
    database = Database(settings.url, {
        "clock": school.clock, "subscribers": SUBSCRIBERS, "outbox": asyncio.Event(), "decides_nothing": DECIDES_NOTHING,
        "signing_key": audit.signing_key(settings.keys),
    })
    yield database
    await database.close()


async def name(session: Any) -> str:
    found = await queries.only_school(session)
    assert found is not None
    return found.name


async def seen(ours: Database) -> str:
    async with ours.reading() as session:
        return await name(session)


async def rename(session: Any, to: str) -> None:
    await session.exec(text(f"UPDATE school SET name = '{to}' WHERE NOT is_self_test"))


async def test_a_school_that_is_renamed_has_its_new_name_on_the_next_page(ours: Database) -> None:
    before = await seen(ours)
    async with ours.writing() as session:
        await rename(session, "Renamed")
    assert (before != "Renamed", await seen(ours)) == (True, "Renamed")


async def test_what_was_read_once_is_not_asked_again_while_nothing_is_decided(school: Running, ours: Database) -> None:
    await seen(ours)
    async with school.database.writing() as session:
        await rename(session, "By another process")
    assert await seen(ours) != "By another process"


async def test_what_another_process_wrote_is_seen_ten_seconds_later_at_the_latest(school: Running, ours: Database) -> None:
    await seen(ours)
    async with school.database.writing() as session:
        await rename(session, "By another process")
    school.clock.advance(kept.STANDS.total_seconds())
    assert await seen(ours) == "By another process"


async def test_a_transaction_that_only_answered_at_a_door_leaves_others_what_they_know(school: Running, ours: Database) -> None:
    await seen(ours)
    known = ours.memory.changes
    async with ours.writing() as session:
        actor = await queries.actor(session, school.person("pupil"))
        assert actor is not None
        await publish(session, DoorAnswered(school.lesson()["id"], actor.person_id, "yes", "yes", "yes", "nobody"), actor)
    assert ours.memory.changes == known


async def test_a_transaction_that_says_nothing_of_what_it_did_may_have_decided_anything(ours: Database) -> None:
    known = ours.memory.changes
    async with ours.writing():
        pass
    assert ours.memory.changes > known


async def test_a_view_that_began_before_a_decision_teaches_nobody_what_was_so_before(ours: Database) -> None:
    async with ours.reading() as old:
        await old.exec(text("SELECT count(*) FROM school"))  # its view is from now on
        async with ours.writing() as session:
            await rename(session, "Renamed")
        before = await name(old)
    assert (before != "Renamed", await seen(ours)) == (True, "Renamed")


async def test_nobody_believes_or_teaches_anything_while_a_decision_is_being_committed(ours: Database) -> None:
    memory = ours.memory
    async with ours.writing() as session:
        await rename(session, "Renamed")
        memory.committing += 1  # as it is from the moment in which the transaction says that it commits
        beside = await seen(ours)
        assert (beside != "Renamed", memory.found) == (True, {})
        memory.committing -= 1
    assert await seen(ours) == "Renamed"


async def test_one_view_says_the_same_however_often_it_is_asked(ours: Database) -> None:
    async with ours.reading() as session:
        first = await name(session)
        async with ours.writing() as beside:
            await rename(beside, "Renamed")
        assert await name(session) == first


async def test_a_session_that_writes_sees_what_it_wrote(ours: Database) -> None:
    await seen(ours)
    async with ours.writing() as session:
        await rename(session, "Renamed")
        assert await name(session) == "Renamed"


async def test_what_was_rolled_back_is_never_believed(ours: Database) -> None:
    before = await seen(ours)

    async def fail() -> None:
        async with ours.writing() as session:
            await rename(session, "Renamed")
            assert await name(session) == "Renamed"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await seen(ours) == before


async def test_what_nobody_asks_for_any_longer_takes_no_room(ours: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 3)

    async def found() -> str:
        return "found"

    for number in range(10):
        async with ours.reading() as session:
            await kept.kept(session, number, found)
    assert len(ours.memory.found) <= 3


async def test_many_views_and_many_decisions_at_once_never_disagree(ours: Database) -> None:
    """Readers are never told a name older than the newest that somebody was told was saved."""
    saved, wrong = [0], []

    async def write() -> None:
        for number in range(1, 30):
            async with ours.writing() as session:
                await rename(session, str(number))
            saved[0] = number

    async def read() -> None:
        while saved[0] < 29:
            newest = saved[0]
            told = await seen(ours)
            if told.isdigit() and int(told) < newest:
                wrong.append((told, newest))
            await asyncio.sleep(0)

    await asyncio.gather(write(), *(read() for _ in range(4)))
    assert wrong == []
