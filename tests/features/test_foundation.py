"""The floor: one request one transaction, committed before the answer; refusals before anything is read."""

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import CacheStats
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel, literal, select, text

from service.foundation import bus, web
from service.foundation import sqlite as nearby
from service.foundation.db import Database
from service.foundation.errors import Conflict, Unavailable
from service.foundation.events import Event, system
from service.foundation.turn import Turn
from tests.school import Running


@dataclass(frozen=True)
class Renamed(Event):
    school_id: str
    name: str


@pytest.fixture
def changing(school: Running) -> Running:
    """The school, with one route that changes its name and notes the order of things."""
    router = APIRouter()

    @router.post("/rename", dependencies=[web.Public])
    async def rename(session: web.Writing, fail: bool = False) -> dict[str, str]:
        await session.exec(text("UPDATE school SET name = 'Renamed'"))  # type: ignore[call-overload]
        if fail:
            raise Conflict()
        return {"done": "yes"}

    school.app.include_router(router)
    return school


async def name(school: Running) -> Any:
    async with school.database.reading() as session:
        return (await session.exec(text("SELECT name FROM school"))).one()[0]  # type: ignore[call-overload]


async def test_a_change_is_durable_before_anybody_is_told(changing: Running) -> None:
    seen_at_answer = []

    async def watch(scope: Any, receive: Any, send: Any) -> None:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen_at_answer.append(await name(changing))
            await send(message)

        await changing.app(scope, receive, noting)

    async with changing.client() as client:
        client._transport.app = watch  # type: ignore[attr-defined]
        await client.post("/rename")
    assert seen_at_answer == ["Renamed"]


async def test_who_reacts_after_the_commit_hears_at_once_and_again_until_it_worked(school: Running) -> None:
    heard: list[str] = []
    first, done = asyncio.Event(), asyncio.Event()

    async def react(_state: Any, event: Renamed) -> None:
        heard.append(event.name)
        first.set()
        if len(heard) == 1:
            raise RuntimeError("not yet")
        done.set()

    subscribers = bus.Subscribers(after_commit={Renamed: [react]})
    wake = asyncio.Event()
    database = Database(school.app.state.settings.url, {"clock": school.clock, "subscribers": subscribers, "outbox": wake})
    delivering = asyncio.create_task(bus.run(database, None, subscribers, wake))
    async with database.writing() as session:
        await bus.publish(session, Renamed(school_id="s", name="New"), system("s"))
        await asyncio.sleep(0)
        assert heard == []  # nothing is told before the commit
    await asyncio.wait_for(first.wait(), timeout=5)
    wake.set()
    await asyncio.wait_for(done.wait(), timeout=5)
    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)
    await database.close()
    assert heard == ["New", "New"]


@dataclass(frozen=True)
class OfAnOlderVersion(Event):
    school_id: str


async def test_an_event_that_this_version_does_not_know_any_more_holds_up_no_other(school: Running) -> None:
    heard: list[str] = []

    async def react(_state: Any, event: Renamed) -> None:
        heard.append(event.name)

    known = bus.Subscribers(after_commit={Renamed: [react]})
    before = bus.Subscribers(after_commit={Renamed: [react], OfAnOlderVersion: [react]})
    database = Database(school.app.state.settings.url, {"clock": school.clock, "subscribers": before, "outbox": asyncio.Event()})
    async with database.writing() as session:
        await bus.publish(session, OfAnOlderVersion(school_id="s"), system("s"))
        await bus.publish(session, Renamed(school_id="s", name="New"), system("s"))
        await session.exec(text("UPDATE outbox SET done_at = at WHERE kind NOT IN ('Renamed', 'OfAnOlderVersion')"))  # type: ignore[call-overload]
    await bus.deliver(database, None, known)
    await bus.deliver(database, None, known)
    await database.close()
    assert heard == ["New"]


async def test_news_do_not_wait_for_earlier_news_to_be_written_down(school: Running) -> None:
    """At nine o'clock there is a queue before the database's one writer; a revocation is told the moment it is committed."""
    heard: list[str] = []
    told = {name: asyncio.Event() for name in ("first", "second")}

    async def react(_state: Any, event: Renamed) -> None:
        heard.append(event.name)
        told[event.name].set()

    subscribers, wake = bus.Subscribers(after_commit={Renamed: [react]}), asyncio.Event()
    database = Database(school.app.state.settings.url, {"clock": school.clock, "subscribers": subscribers, "outbox": wake})
    async with database.writing() as session:
        await bus.publish(session, Renamed(school_id="s", name="first"), system("s"))
    async with database._turn.taken():  # somebody else's turn, and the note about the first waits behind it
        delivering = asyncio.create_task(bus.run(database, None, subscribers, wake))
        await asyncio.wait_for(told["first"].wait(), timeout=5)
        async with database._sessions() as session, session.begin():
            await bus.publish(session, Renamed(school_id="s", name="second"), system("s"))
        wake.set()
        await asyncio.wait_for(told["second"].wait(), timeout=5)
    async with database.writing() as session:  # whoever waited for the writer has had it
        left = (await session.exec(text("SELECT body FROM outbox WHERE done_at IS NULL"))).all()  # type: ignore[call-overload]
    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)
    await database.close()
    assert heard == ["first", "second"], "each is told once"
    assert not any("first" in body for (body,) in left)


async def test_what_closes_waits_for_the_writer_of_now_and_for_no_other() -> None:
    turn, order = Turn(), []

    async def write(name: str, *, first: bool = False) -> None:
        async with turn.taken(first=first):
            order.append(name)

    async with turn.taken():
        waiting = [asyncio.create_task(write(name, first=name == "closes")) for name in ("one", "two", "closes")]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*waiting)
    assert order == ["closes", "one", "two"]


@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "when its turn has come"])
async def test_a_writer_that_gives_up_keeps_nobody_waiting(late: bool) -> None:
    turn, order = Turn(), []

    async def write(name: str) -> None:
        async with turn.taken():
            order.append(name)

    async with turn.taken():
        gone, stays = (asyncio.create_task(write(name)) for name in ("gone", "stays"))
        await asyncio.sleep(0)
        if not late:
            gone.cancel()
    gone.cancel()
    await asyncio.wait_for(asyncio.gather(gone, stays, return_exceptions=True), timeout=5)
    await asyncio.wait_for(write("next"), timeout=5)
    assert order == ["stays", "next"]


async def test_a_writer_whose_turn_does_not_come_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.foundation.turn.PATIENCE", 0.01)
    turn = Turn()
    async with turn.taken():
        with pytest.raises(Unavailable):
            async with turn.taken():
                raise AssertionError("two writers")


async def test_a_look_up_cannot_write(school: Running) -> None:
    for look in (school.database.reading, school.database.glance):
        async with look() as session:
            with pytest.raises(OperationalError, match="readonly"):
                await session.exec(text("UPDATE school SET name = 'Renamed'"))


async def test_a_refused_request_changes_nothing(changing: Running) -> None:
    async with changing.client() as client:
        answer = await client.post("/rename?fail=1", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert await name(changing) != "Renamed"


@pytest.mark.parametrize(("headers", "status"), [
    ({"origin": "http://evil.test"}, 403), ({"origin": "null"}, 403), ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403), ({"origin": "http://chaperone.test"}, 200),
])
async def test_another_sites_page_cannot_change_anything(changing: Running, headers: dict[str, str], status: int) -> None:
    async with changing.client() as client:
        client.headers.pop("origin")
        answer = await client.post("/rename", headers=headers)
    assert answer.status_code == status
    assert (await name(changing) == "Renamed") == (status == 200)


async def test_every_answer_is_private_and_shielded(school: Running) -> None:
    async with school.client() as client:
        answer = await client.get("/sign-in")
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_body_without_a_length_is_bounded_too(changing: Running) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b"x" * 100_000

    async with changing.client() as client:
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = await client.post("/sign-in", content=endless(), headers=form)
    assert answer.status_code in (400, 422)


async def test_an_idle_session_ends_and_an_active_one_does_not(school: Running) -> None:
    client = await school.signed_in("teacher")
    for _ in range(3):
        school.clock.advance(14 * 60)
        assert (await client.get("/account")).status_code == 200
    school.clock.advance(15 * 60)
    assert (await client.get("/account")).status_code == 303


async def test_many_requests_at_once_never_wait_for_each_other_for_ever(school: Running) -> None:
    client = await school.signed_in("teacher")
    answers = await asyncio.wait_for(asyncio.gather(*(client.get("/account") for _ in range(60))), timeout=20)
    assert {answer.status_code for answer in answers} == {200}


def test_every_row_belongs_to_a_school() -> None:
    # a school itself, the one tree of the installation, and how far that was looked through
    shared = {"school", "audit_node", "audit_checkpoint", "review_progress"}
    without = [name for name, table in SQLModel.metadata.tables.items() if "school_id" not in table.columns]
    assert set(without) == shared


@pytest.mark.sqlite
async def test_a_quick_statement_stays_on_the_loop_and_an_unknown_or_slow_one_goes_to_the_thread(
    school: Running, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearby, "QUICK", 60.0)  # whatever else this machine does
    monkeypatch.setattr(nearby, "STAY", 60.0)
    async with school.database.reading() as session:
        raw = (await (await session.connection()).get_raw_connection()).dbapi_connection
        assert isinstance(raw, nearby._Connection)
        went: list[Any] = []
        visits = raw._connection._execute

        async def noting(run: Any, *more: Any) -> Any:
            went.append(run)
            return await visits(run, *more)

        raw._connection._execute = noting
        question = text("SELECT 41 + 1")
        for _ in range(3):
            assert (await session.exec(question)).one()[0] == 42  # type: ignore[call-overload]
        assert len(went) == 1, "only while nobody knew how long it takes"
        raw.dbapi.learn("SELECT 41 + 1", nearby.QUICK)
        await session.exec(question)  # type: ignore[call-overload]
        assert len(went) == 2
        monkeypatch.setattr(nearby, "STAY", 0.0)
        await session.exec(question)  # type: ignore[call-overload]
        assert len(went) == 3, "the loop was kept long enough"
        raw._connection._execute = visits


async def test_a_statement_is_written_out_once_for_all_engines(tmp_path: Path) -> None:
    known: list[bool] = []
    for name in ("first", "second"):
        database = Database(f"sqlite+aiosqlite:///{tmp_path / name}", {})
        event.listen(Engine, "before_cursor_execute", hears := (
            lambda _connection, _cursor, _statement, _parameters, context, _many:
                known.append(context.cache_hit is CacheStats.CACHE_HIT)))
        async with database.writing() as session:
            await session.exec(select(literal("a statement that no other test says")))
        event.remove(Engine, "before_cursor_execute", hears)
        await database.close()
    assert known == [False, True]


@pytest.mark.sqlite
async def test_a_writer_that_gives_up_while_another_process_writes_leaves_nothing_locked(school: Running) -> None:
    path = school.database.engine.url.database
    assert path is not None
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with school.database.writing():
            raise AssertionError("the lock is another's")

    waiting = asyncio.create_task(write())
    for _ in range(5):  # as far as the thread
        await asyncio.sleep(0)
    waiting.cancel()
    other.execute("ROLLBACK")
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with school.database.writing() as session:
        await session.exec(text("UPDATE school SET name = 'Free'"))  # type: ignore[call-overload]
    other.execute("PRAGMA busy_timeout=0")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    assert await name(school) == "Free"
