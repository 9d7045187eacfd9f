"""What holds on PostgreSQL as on SQLite: one writer, one view, one process that serves, and what others write is noticed."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import text

from consent.rules import Purpose
from service.app import create_app
from service.foundation import audit, postgresql
from service.foundation.bus import publish
from service.foundation.db import Database
from service.foundation.events import system
from service.foundation.postgresql import AlreadyServed, NotServing, Serving
from service.foundation.settings import Settings
from service.foundation.turn import WriterBusy
from service.wiring import SUBSCRIBERS
from tests import beside
from tests.features.test_consent_answers import answer
from tests.features.test_consent_in_room import opened, parent
from tests.room.pages import Lesson
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


def terminate(school: Running) -> None:
    """The connection that holds the lock ends, as when the database is started again."""
    with school.beside() as connection:
        gone = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objid = "
            f"{postgresql.SERVES} AND classid = 0 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchall()
    assert gone == [(True,)]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Nobody waits long for the lock, and nobody looks by themselves whether they still have it."""
    monkeypatch.setattr(postgresql, "WAITS", 0.05)
    looks = SimpleNamespace(now=asyncio.Event())

    async def when_told(_seconds: float) -> None:
        await looks.now.wait()
        looks.now.clear()

    monkeypatch.setattr(postgresql, "_pause", when_told)
    return looks


async def serves_again(hurried: SimpleNamespace, school: Running) -> None:
    async with asyncio.timeout(20):
        while True:
            hurried.now.set()
            try:
                assert await ask(school.database, "SELECT 1") == [(1,)]
                return
            except NotServing:
                await asyncio.sleep(0)


@pytest.mark.usefixtures("hurried")
async def test_a_second_process_on_the_same_database_does_not_start(school: Running, tmp_path: Path) -> None:
    app = create_app(Settings(data=tmp_path / "other", dev=True, media_addresses="127.0.0.1", database_url=url(school)))
    with pytest.raises(AlreadyServed):
        async with app.router.lifespan_context(app):
            pass


@pytest.mark.parametrize("is_fenced", [True, False], ids=["fenced", "without the fence"])
async def test_whoever_lost_the_lock_reads_and_writes_nothing_and_its_rooms_shut(
    hurried: SimpleNamespace, school: Running, is_fenced: bool,
) -> None:
    lesson = Lesson(school)
    teacher, bea, ali = await opened(lesson)
    teacher.say("microphone", on=True)
    await ali.until(lambda: any(person["microphone"] for person in ali.state["people"]))
    assert lesson.media.delivers(teacher.person) == {bea.person, ali.person} | lesson.media.delivers(teacher.person)
    terminate(school)
    if not is_fenced:
        school.database._serving._serves = False
    async with Serving(url(school)).held(0):  # somebody else serves by now
        if is_fenced:
            for session in (school.database.reading, school.database.glance, school.database.writing):
                with pytest.raises(NotServing):
                    async with session() as opened_now:
                        await opened_now.connection()
        for _ in range(13):
            await lesson.settle(0.25, current=False)
            await asyncio.gather(lesson.host.confirm(), return_exceptions=True)
        assert bool(lesson.media.delivers(teacher.person)) is not is_fenced
    await serves_again(hurried, school)  # for the room to write down how it ended
    await lesson.end()


async def test_when_nobody_else_took_it_the_same_process_serves_again(hurried: SimpleNamespace, school: Running) -> None:
    terminate(school)
    with pytest.raises(NotServing):
        await ask(school.database, "SELECT 1")
    await serves_again(hurried, school)


# What other processes write


async def test_a_room_obeys_within_a_second_what_another_process_wrote(school: Running, other: Database) -> None:
    lesson = Lesson(school)
    _, _, ali = await opened(lesson)
    from_outside = Running(SimpleNamespace(state=SimpleNamespace(database=other)), school.clock, school.made)  # type: ignore[arg-type]
    await answer(from_outside, await parent(lesson, ali.person), ali.person, False, Purpose.ATTEND)
    await lesson.settle(1.0)
    await ali.until(lambda: ali.state["hold"] == ["not-permitted"], 2.0)
    assert lesson.media.delivers(ali.person) == frozenset()
    await lesson.end()
