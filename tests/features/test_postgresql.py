"""What holds on PostgreSQL as on SQLite: one writer, one view, one process that serves."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import text

from service.foundation import audit, postgresql
from service.foundation.bus import publish
from service.foundation.db import Database
from service.foundation.events import system
from service.foundation.postgresql import AlreadyServed, NotServing, Serving
from service.foundation.turn import WriterBusy
from service.wiring import SUBSCRIBERS
from tests import beside, cluster
from tests.school import Running

COUNT = 20


pytestmark = pytest.mark.postgresql(only=True)


def url(school: Running) -> str:
    found: str = school.database.engine.url.render_as_string(hide_password=False)
    return found


@pytest.fixture
async def other(school: Running) -> AsyncIterator[Database]:
    """The same database, as another process opens it."""
    found = beside.database(url(school), school.app.state.keys, SUBSCRIBERS)
    yield found
    await found.close()


async def ask(database: Database, words: str) -> Any:
    async with database.reading() as session:
        return (await session.exec(text(words))).all()  # type: ignore[call-overload]


# The tables


async def test_every_moment_knows_its_zone_and_every_reference_waits_for_the_commit(school: Running) -> None:
    assert await ask(school.database, "SELECT table_name, column_name FROM information_schema.columns "
                     "WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'") == []
    assert await ask(school.database, "SELECT conname FROM pg_constraint WHERE contype = 'f' AND NOT condeferred") == []


async def test_both_databases_refuse_the_same(school: Running, template: Path) -> None:
    """Every trigger that SQLite got from the revisions is there, under its name and on its table."""
    with sqlite3.connect(template / "chaperone.sqlite3") as lite:
        expected = set(lite.execute("SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'"))
    found = await ask(school.database, "SELECT relname, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
                      "WHERE NOT tgisinternal")
    assert {tuple(row) for row in found} == expected
    assert len(expected) > 100


# One writer


async def entries(school: Running) -> list[Any]:
    return list(await ask(school.database, "SELECT seq FROM audit_leaf WHERE kind = 'WrittenBeside' ORDER BY seq"))


async def test_processes_that_write_at_once_make_one_log(school: Running) -> None:
    children = [await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.beside", url(school), str(school.app.state.keys), name, str(COUNT)) for name in "ab"]
    await beside.write(school.database, "c", COUNT)
    assert [await child.wait() for child in children] == [0, 0]
    assert len(await entries(school)) == 3 * COUNT
    async with school.database.reading() as session:
        assert await audit.verify(session, audit.signing_key(school.app.state.keys).public_key()) == []


@pytest.mark.parametrize("is_alone", [True, False], ids=["with the lock", "without the lock"])
async def test_a_writer_waits_for_the_writer_of_another_process(
    school: Running, monkeypatch: pytest.MonkeyPatch, is_alone: bool,
) -> None:
    if not is_alone:
        monkeypatch.setattr(postgresql, "_be_the_writer", lambda connection: None)
    one, two = (beside.database(url(school), school.app.state.keys) for _ in range(2))
    begun, go = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with one.writing() as session:
            await publish(session, beside.WrittenBeside("thing", "first"), system("s"))
            begun.set()
            await go.wait()

    async def second() -> None:
        await begun.wait()
        await beside.write(two, "second", 1)

    tasks = [asyncio.create_task(first()), asyncio.create_task(second())]
    await begun.wait()
    while not await ask(school.database, "SELECT 1 FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0)
    go.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(one.close(), two.close())
    if is_alone:
        assert ended == [None, None]
        assert len(await entries(school)) == 2
    else:
        assert isinstance(ended[1], IntegrityError), "two entries under one number"


async def test_a_writer_of_another_process_that_does_not_end_is_not_waited_for_for_ever(
    school: Running, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgresql, "PATIENCE", 0.05)
    impatient = beside.database(url(school), school.app.state.keys)
    async with school.database.writing():
        with pytest.raises(WriterBusy):
            await beside.write(impatient, "late", 1)
    await impatient.close()


async def test_a_view_is_of_one_moment_and_writes_nothing(school: Running, other: Database) -> None:
    async with school.database.reading() as session:
        count = text("SELECT count(*) FROM audit_leaf WHERE kind = 'WrittenBeside'")
        assert (await session.exec(count)).one() == (0,)  # type: ignore[call-overload]
        await beside.write(other, "meanwhile", 1)
        assert (await session.exec(count)).one() == (0,)  # type: ignore[call-overload]
    assert len(await entries(school)) == 1


# One process that serves


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Nobody waits long for the lock, and who has it looks whether they still have it when told."""
    monkeypatch.setattr(postgresql, "WAITS", 0.05)
    now = asyncio.Event()

    async def when_told(_seconds: float) -> None:
        await now.wait()
        now.clear()

    monkeypatch.setattr(postgresql, "_pause", when_told)
    return now


@pytest.fixture
async def served(hurried: asyncio.Event, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database that a process serves: this one."""
    found = beside.database(cluster.url_for(tmp_path), tmp_path / "keys")
    async with found.served(settles=0):
        yield found
    await found.close()


def terminate(database: Database) -> None:
    """The connection that holds the lock ends, as when the database is started again."""
    with cluster.cluster().connect(str(database.engine.url.database)) as connection:
        gone = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objid = "
            f"{postgresql.SERVES} AND classid = 0 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchall()
    assert gone == [(True,)]


def another(database: Database) -> Serving:
    return Serving(database.engine.url.render_as_string(hide_password=False))


async def test_a_second_process_does_not_serve_beside_the_first(served: Database) -> None:
    assert await ask(served, "SELECT 1") == [(1,)]
    with pytest.raises(AlreadyServed):
        async with another(served).held(0):
            pass


@pytest.mark.parametrize("is_fenced", [True, False], ids=["fenced", "without the fence"])
async def test_whoever_lost_the_lock_reads_and_writes_nothing(served: Database, is_fenced: bool) -> None:
    """Nor can a room prove that its plan is current: `test_lease_ends_by_itself` shows that it shuts."""
    if not is_fenced:
        served._serving._serves = False  # type: ignore[union-attr]
    terminate(served)
    async with another(served).held(0):  # somebody else serves by now
        for session in (served.reading, served.glance, served.writing):
            with pytest.raises(NotServing) if is_fenced else nullcontext():
                async with session() as begun:
                    await begun.connection()


async def test_whoever_finds_that_another_served_meanwhile_ends_and_never_serves_again(
    served: Database, hurried: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the other has ended by then: rooms of before are not those that the school has now."""
    ended = asyncio.Event()
    monkeypatch.setattr(postgresql, "_end", ended.set)
    terminate(served)
    async with another(served).held(0):
        pass
    async with asyncio.timeout(20):
        while not ended.is_set():
            hurried.set()
            await asyncio.sleep(0)
    with pytest.raises(NotServing):
        await ask(served, "SELECT 1")


async def test_what_is_overtaken_ends_also_where_it_does_not_stop_as_it_is_told() -> None:
    program = ("import asyncio, signal; from service.foundation import postgresql\n"
               "signal.signal(signal.SIGTERM, signal.SIG_IGN); postgresql.ENDS = 0.01\n"
               "async def main(): postgresql._end(); await asyncio.Event().wait()\n"
               "asyncio.run(main())")
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    async with asyncio.timeout(20):
        assert await child.wait() == 1


async def test_a_server_that_is_gone_is_noticed_in_half_a_minute(served: Database) -> None:
    async with served.reading() as session:
        raw = (await (await session.connection()).get_raw_connection()).driver_connection
    said = raw.info.get_parameters()
    assert [said[each] for each in ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")] == [
        "10", "5", "4", "10000"]


async def test_when_nobody_else_took_it_the_same_process_serves_again(served: Database, hurried: asyncio.Event) -> None:
    terminate(served)
    with pytest.raises(NotServing):
        await ask(served, "SELECT 1")
    async with asyncio.timeout(20):
        while True:
            hurried.set()
            try:
                assert await ask(served, "SELECT 1") == [(1,)]
                break
            except NotServing:
                await asyncio.sleep(0)
