"""A database on a server of its own that somebody brought back is not served before what may have ended since has ended.

policy: AC6, CO3, RL1, RE2
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import select
from structlog.testing import capture_logs

from lessons.live import reading
from recordings.ending import destruction
from recordings.keystore import KeyMissing
from service.app import create_app
from service.backup import command, known
from service.backup.known import OtherDatabase
from service.foundation import postgresql
from service.foundation.postgresql import NotServing
from service.foundation.settings import Settings
from service.people.tables import SignIn
from service.safeguarding.approvals.tables import Approval
from service.wiring import SUBSCRIBERS
from tests import beside, cluster, one_to_one
from tests.fakes import FakeClock
from tests.recordings.ends import Kept, recordings
from tests.school import MORNING, Running, running

pytestmark = pytest.mark.postgresql(only=True)


@pytest.fixture
def folder(tmp_path: Path, template: Path) -> Path:
    return tmp_path / "data"


async def a_minute_later(school: Running) -> None:
    await known.note(school.database, school.app.state.keys)


async def restored(folder: Path) -> None:
    """What `chaperone restored` does to the database."""
    database = beside.database(cluster.url_for(folder), folder / "keys", SUBSCRIBERS)
    try:
        await known.restored(database, folder / "keys", MORNING)
    finally:
        await database.close()


async def dumped(folder: Path, template: Path) -> tuple[bytes, Kept, str]:
    """A school that was served, and a dump of its database. (The dump, a recording in it, a cookie that worked.)"""
    async with running(folder, template=template) as school:
        [kept] = await recordings(school, 1)
        school.app.state.vault.keys((await one_to_one.named(school, "Dr Marsh")).school_id)  # its recordings' seals are signed
        await one_to_one.approve(school, await one_to_one.ask(school))
        cookie = await school.cookie(school.person("teacher"))
        async with school.client(cookie) as before:
            assert (await before.get("/account")).status_code == 200, "negative control: it works here"
        return await asyncio.to_thread(cluster.cluster().dump, cluster.name_of(folder)), kept, cookie


async def test_a_dump_that_came_back_is_not_served_before_what_may_have_ended_has_ended(folder: Path, template: Path) -> None:
    dump, _, cookie = await dumped(folder, template)
    async with running(folder) as school:
        await a_minute_later(school)
    await asyncio.to_thread(cluster.cluster().bring_back, cluster.name_of(folder), dump)
    for _ in range(2):
        with pytest.raises(OtherDatabase, match="chaperone restored"):
            async with running(folder):
                pass
    await restored(folder)
    async with running(folder) as again:
        async with again.client(cookie) as after:
            assert (await after.get("/account")).status_code == 303
        async with again.database.reading() as session:
            assert [row.id for row in (await session.exec(select(SignIn))).all() if row.ended_at is None] == []
            approvals = (await session.exec(select(Approval))).all()
            assert [row.id for row in approvals if row.revoked_at is None and row.ends_at > again.clock.now()] == []
            assert (await reading.read(session, again.lesson()["id"])).plan.stopped, "lessons are closed"
    async with running(folder):
        pass  # and it is known from here on


async def test_a_server_that_was_set_back_is_noticed_by_what_is_missing(folder: Path, template: Path) -> None:
    """Its disk, or continuous archiving: the same database, only earlier."""
    name, copy = cluster.name_of(folder), f"{cluster.name_of(folder)}-before"
    async with running(folder, template=template):
        pass
    await asyncio.to_thread(cluster.cluster().create, copy, name)
    async with running(folder) as school:
        await school.cookie(school.person("teacher"))
        await one_to_one.approve(school, await one_to_one.ask(school))
        await a_minute_later(school)
    async with running(folder):
        pass  # negative control: as it was, it is served
    await asyncio.to_thread(set_back, name, copy)
    with pytest.raises(OtherDatabase):
        async with running(folder):
            pass
    await restored(folder)
    async with running(folder) as again, again.database.reading() as session:
        assert (await reading.read(session, again.lesson()["id"])).plan.stopped


def set_back(name: str, copy: str) -> None:
    cluster.cluster().drop(name)
    cluster.cluster().create(name, copy)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Event]:
    """Whether the process has ended itself. It looks without a pause whether it serves; jobs fail silently."""
    ended, pause = asyncio.Event(), asyncio.sleep
    monkeypatch.setattr(postgresql, "_end", ended.set)
    monkeypatch.setattr(postgresql, "_pause", lambda _seconds: pause(0.01))
    with capture_logs():
        yield ended


async def is_over(school: Running, noted: known.Served | None) -> None:
    """Nothing is served any more, nor by who comes next: what came back was not noted."""
    with pytest.raises(NotServing):
        async with school.database.reading() as session:
            await session.connection()
    assert known._read(school.app.state.keys) == noted


async def withdrawn_since(school: Running) -> known.Served | None:
    """What was noted a minute after something was written that is in no dump."""
    await one_to_one.approve(school, await one_to_one.ask(school))
    await a_minute_later(school)
    return known._read(school.app.state.keys)


async def test_a_database_that_is_brought_back_under_a_running_service_ends_it(
    folder: Path, template: Path, ended: asyncio.Event
) -> None:
    """Whole in one moment, and of this same run: whoever serves finds it as they left it."""
    name, aside = cluster.name_of(folder), f"{cluster.name_of(folder)}-aside"
    async with running(folder, template=template) as school:
        dump = await asyncio.to_thread(cluster.cluster().dump, name)
        noted = await withdrawn_since(school)
        assert not ended.is_set(), "negative control: as it is, it is served"
        await asyncio.to_thread(cluster.cluster().bring_back, aside, dump)
        await asyncio.to_thread(set_back, name, aside)
        async with asyncio.timeout(20):
            await ended.wait()
        await is_over(school, noted)
    with pytest.raises(OtherDatabase):
        async with running(folder):
            pass


async def test_a_server_that_is_set_back_under_a_running_service_ends_it(
    folder: Path, template: Path, ended: asyncio.Event
) -> None:
    """Its disk, by a copy of this same run: the same database by its number, and nobody else has served it since."""
    name, copy = cluster.name_of(folder), f"{cluster.name_of(folder)}-before"
    async with running(folder, template=template):
        pass
    await asyncio.to_thread(cluster.cluster().create, copy, name)
    with cluster.cluster().connect(copy) as connection:
        turn = connection.execute(f"SELECT nextval('{postgresql.TURNS}')").fetchone()
    async with running(folder) as school:
        assert turn == (school.database._serving._turn,), "as whoever serves has left it"
        noted = await withdrawn_since(school)
        await asyncio.to_thread(set_back, name, copy)
        async with asyncio.timeout(20):
            await ended.wait()
        await is_over(school, noted)


async def test_a_dump_that_is_brought_back_into_the_database_that_is_served_ends_the_service_within_a_minute(
    folder: Path, template: Path, ended: asyncio.Event
) -> None:
    """Its connections hold: nobody had to leave."""
    name = cluster.name_of(folder)
    async with running(folder, template=template) as school:
        dump = await asyncio.to_thread(cluster.cluster().dump, name)
        noted = await withdrawn_since(school)
        await asyncio.to_thread(cluster.cluster().fill, name, dump, "--clean", "--if-exists")
        await a_minute_later(school)
        assert ended.is_set()
        await is_over(school, noted)


async def test_a_database_that_went_another_way_since_is_another_one(folder: Path, template: Path) -> None:
    """As many entries, but others: somebody went on from the copy elsewhere."""
    async with running(folder, template=template) as school:
        await a_minute_later(school)
        keys = school.app.state.keys
    noted = known._read(keys)
    assert noted is not None
    known._write(keys, replace(noted, last="00" * 32))
    with pytest.raises(OtherDatabase):
        async with running(folder):
            pass


async def first_start(folder: Path) -> None:
    """Tables, and no school yet."""
    app = create_app(Settings(data=folder, dev=True, media_addresses="127.0.0.1", database_url=cluster.url_for(folder)),
                     clock=FakeClock(MORNING))
    async with app.router.lifespan_context(app):
        await known.note(app.state.database, app.state.keys)


async def test_an_empty_database_that_was_made_again_is_new(folder: Path, template: Path) -> None:
    """Its locale was wrong, say. Once something was written, an empty one is another."""
    await first_start(folder)
    await asyncio.to_thread(cluster.cluster().drop, cluster.name_of(folder))
    await first_start(folder)
    async with running(folder) as school:
        await a_minute_later(school)
    await asyncio.to_thread(cluster.cluster().drop, cluster.name_of(folder))
    with pytest.raises(OtherDatabase):
        await first_start(folder)


async def test_a_school_that_is_brought_back_to_a_service_that_had_none_is_not_known(folder: Path, template: Path) -> None:
    """A new machine was tried before the dump came."""
    dump, _, _ = await dumped(folder, template)
    (folder / "keys" / known.SERVED).unlink()
    await asyncio.to_thread(cluster.cluster().drop, cluster.name_of(folder))
    await first_start(folder)
    await asyncio.to_thread(cluster.cluster().bring_back, cluster.name_of(folder), dump)
    with pytest.raises(OtherDatabase):
        async with running(folder):
            pass


async def test_a_school_whose_keys_never_served_it_is_not_known(folder: Path, template: Path) -> None:
    """The folder of keys came back too, from before it was first noted, or what is in it cannot be read."""
    async with running(folder, template=template) as school:
        keys = school.app.state.keys
    for words in (None, b"{}", b"no JSON"):
        (keys / known.SERVED).unlink() if words is None else (keys / known.SERVED).write_bytes(words)
        with pytest.raises(OtherDatabase):
            async with running(folder):
                pass


async def test_what_was_destroyed_since_the_dump_stays_destroyed(folder: Path, template: Path) -> None:
    dump, kept, _ = await dumped(folder, template)
    async with running(folder) as school:
        store = school.app.state.vault.key_store((await one_to_one.named(school, "Dr Marsh")).school_id)
        assert store.open(kept.part) == kept.key, "negative control: it is there"
        await a_minute_later(school)
        school.clock.advance(10 * 86_400)
        await destruction.reconcile(school.database, school.app.state.vault, school.clock)
        with pytest.raises(KeyMissing):
            store.open(kept.part)
    await asyncio.to_thread(cluster.cluster().bring_back, cluster.name_of(folder), dump)
    await restored(folder)
    async with running(folder) as again:
        with pytest.raises(KeyMissing):
            again.app.state.vault.key_store(store.school_id).open(kept.part)


async def test_the_command_changes_nothing_beside_a_service_that_runs(
    folder: Path, template: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    async with running(folder, template=template) as school:
        settings = school.app.state.settings
        assert await asyncio.to_thread(command.restored, settings, school.clock, SUBSCRIBERS) == 2
        assert "already using this database" in capsys.readouterr().err
    assert await asyncio.to_thread(command.restored, settings, school.clock, SUBSCRIBERS) == 0
    assert "Lessons stay closed" in capsys.readouterr().out


async def test_the_rights_of_the_databases_owner_are_enough(folder: Path, template: Path) -> None:
    async with running(folder, template=template):
        pass
    with cluster.cluster().connect(cluster.name_of(folder)) as connection:
        connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("GRANT SELECT ON audit_leaf TO plain")
        try:
            connection.execute("SET ROLE plain")
            assert connection.execute(str(known.WHICH)).fetchone() is not None
        finally:
            connection.execute("RESET ROLE")
            connection.execute("DROP OWNED BY plain")
            connection.execute("DROP ROLE plain")
