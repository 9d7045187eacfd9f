"""Whether the database on a server of its own is the one that was served last, and not an earlier one (policy: CO3, RL1, AC6).

Whoever brings a dump back, or sets the server's disk back, brings back what was withdrawn and ended since, and the database
cannot tell. So what was served lies beside the keys: which database, and how far its audit had come. Anything else is not served
before `chaperone restored`. SQLite needs none of it: its database comes back by `chaperone restore`, or with its folder.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select, text
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import durable, keycopies
from service.backup import rules, voiding
from service.foundation.audit import AuditLeaf, header_of, leaf_hash
from service.foundation.db import Database
from service.foundation.errors import Conflict, Invalid

log = structlog.get_logger(__name__)

SERVED = "database.served"
"""In the folder of keys, which two machines that take turns have in common."""
WHICH = text("SELECT system_identifier || '/' || CAST(to_regclass('audit_leaf') AS oid) FROM pg_control_system()")
"""The server, and the number of a table in it: a table that is made again has another."""


class OtherDatabase(Conflict):
    """This is not the database that was served last with these keys, or it is an earlier state of it. What was withdrawn since is
    not in it. Run “chaperone restored”: it ends what may have ended since, and closes lessons until it is entered again."""

    code = "other-database"


@dataclass(frozen=True)
class Served:
    """`entries`: how many the audit had; `last`: the hash of the last of them."""

    database: str
    entries: int
    last: str


async def check(database: Database, keys: Path) -> None:
    """Before anything is served. Raises `OtherDatabase`. One in which nothing was ever done is new, and known from here on."""
    if _is_a_file(database):
        return
    _, now, is_known = await _compared(database, keys)
    if not is_known:
        raise OtherDatabase()
    _write(keys, now)
    database.keep_to(partial(_is_same, keys))


async def note(database: Database, keys: Path) -> None:
    """How far it has come. Once a minute, so that a dump of an hour ago is noticed, also under a service that runs: that ends."""
    if _is_a_file(database):
        return
    before, now, is_known = await _compared(database, keys)
    if not is_known:
        log.error("serving.other_database")
        database.end()
    elif now != before:
        try:
            _write(keys, now)
        except OSError as error:  # a full disk of keys keeps no checkpoint from being signed
            log.error("serving.not_noted", errno=error.errno)


async def _compared(database: Database, keys: Path) -> tuple[Served | None, Served, bool]:
    """What was served last, what is there, and whether the one can have come from the other."""
    async with database.reading() as session:
        before, now = _read(keys), await _as_it_is(session)
        return before, now, await _is_known(session, before, now)


async def restored(database: Database, keys: Path, now: datetime) -> datetime:
    """Go on from this database, which somebody brought back. Returns when its audit ends: nothing since then is in it.

    Keys of what was destroyed are destroyed again, what may have ended since is ended, lessons are closed. Safe to repeat.
    """
    async with database.reading() as session:
        at = (await session.exec(select(AuditLeaf.at).order_by(col(AuditLeaf.seq).desc()).limit(1))).first()
    if at is None:
        raise Invalid("There is no school in this database. Restore the dump first.")
    keycopies.replay(keys)
    until = datetime.fromisoformat(at)
    await voiding.void(database, rules.state_id(until, "postgresql"), until, now)
    async with database.reading() as session:
        _write(keys, await _as_it_is(session))
    return until


def _is_a_file(database: Database) -> bool:
    return database.engine.dialect.name == "sqlite"


async def _is_same(keys: Path, connection: AsyncConnection) -> bool:
    """Whether it is still the one that was noted."""
    async with AsyncSession(connection) as session:
        return await _is_known(session, _read(keys), await _as_it_is(session))


async def _is_known(session: AsyncSession, before: Served | None, now: Served) -> bool:
    if now.entries == 0:  # an empty one that was made again is as new as the first
        return before is None or before.entries == 0
    return before is not None and now.database == before.database and await _last(session, before.entries) == before.last


async def _as_it_is(session: AsyncSession) -> Served:
    which = (await (await session.connection()).execute(WHICH)).scalar_one()
    newest = (await session.exec(select(AuditLeaf).order_by(col(AuditLeaf.seq).desc()).limit(1))).first()
    return Served(which, 0, "") if newest is None else Served(which, newest.seq + 1, leaf_hash(header_of(newest)).hex())


async def _last(session: AsyncSession, entries: int) -> str | None:
    """The hash of the last of so many entries; None where there are not so many."""
    if entries == 0:
        return ""
    leaf = await session.get(AuditLeaf, entries - 1)
    return leaf_hash(header_of(leaf)).hex() if leaf else None


def _read(keys: Path) -> Served | None:
    try:
        return Served(**json.loads((keys / SERVED).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write(keys: Path, served: Served) -> None:
    durable.write(keys / SERVED, json.dumps(asdict(served), sort_keys=True).encode())
