"""The audit proves itself, and shows every kind of tampering."""

import asyncio
from dataclasses import dataclass

import pytest
from pymerkle import InmemoryTree
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from service.foundation import audit
from service.foundation.bus import publish
from service.foundation.events import Event, system
from tests import cluster
from tests.school import Running


@dataclass(frozen=True)
class SomethingHappened(Event):
    subject = "thing_id"
    thing_id: str
    words: str


async def filled(school: Running, count: int = 20) -> None:
    async with school.database.writing() as session:
        for number in range(count):
            await publish(session, SomethingHappened(f"thing-{number}", "words"), system("s"))
        await audit.checkpoint(session)


async def faults(school: Running, kept: str | None = None) -> list[str]:
    async with school.database.reading() as session:
        return await audit.verify(session, audit.signing_key(school.app.state.keys).public_key(), kept)


def _tamper(school: Running, statement: str) -> None:
    """As somebody with the database file in hand would: no foreign keys, and the guards go first."""
    with school.beside() as connection:
        for table in ("audit_leaf", "audit_node", "audit_checkpoint"):
            for verb in ("update", "delete"):
                connection.execute(f"DROP TRIGGER IF EXISTS {table}_no_{verb}" + (f" ON {table}" if cluster.used else ""))
        connection.execute(statement)


async def tamper(school: Running, statement: str) -> None:
    await asyncio.to_thread(_tamper, school, statement)  # the service goes on meanwhile


@pytest.mark.parametrize("statement", [
    "UPDATE audit_leaf SET kind = 'NothingHappened' WHERE seq = 3",
    "UPDATE audit_leaf SET actor_id = 'somebody-else' WHERE seq = 0",
    "UPDATE audit_body SET body = replace(body, 'words', 'other words') WHERE body LIKE '%words%'",
    "DELETE FROM audit_leaf WHERE seq = 7",
    "DELETE FROM audit_leaf WHERE seq >= 15",
    "UPDATE audit_leaf SET kind = 'x' WHERE seq = 9999",
    "UPDATE audit_checkpoint SET note = replace(note, 'chaperone', 'another')",
])
async def test_every_change_shows(school: Running, statement: str) -> None:
    await filled(school)
    await tamper(school, statement)
    changed = "9999" not in statement  # a statement that touches no row is the control
    assert bool(await faults(school)) == changed


@pytest.mark.postgresql
async def test_erasing_the_words_keeps_the_proof(school: Running) -> None:
    await filled(school)
    await tamper(school, "DELETE FROM audit_body WHERE seq = 4")
    assert await faults(school) == []


async def test_a_checkpoint_kept_elsewhere_shows_what_was_cut_off(school: Running) -> None:
    await filled(school)
    async with school.database.reading() as session:
        size = (await session.exec(text("SELECT max(size) FROM audit_checkpoint"))).one()[0]  # type: ignore[call-overload]
        kept = (await session.get_one(audit.AuditCheckpoint, size)).note
    await tamper(school, "DELETE FROM audit_checkpoint")
    await tamper(school, "DELETE FROM audit_leaf WHERE seq >= 10")
    assert await faults(school) == []
    assert await faults(school, kept) != []


@pytest.mark.postgresql
async def test_the_database_refuses_to_change_what_is_append_only(school: Running) -> None:
    await filled(school)
    with pytest.raises(IntegrityError, match="append-only"):
        async with school.database.writing() as session:
            await session.exec(text("UPDATE audit_leaf SET kind = 'x'"))  # type: ignore[call-overload]


@pytest.mark.postgresql
async def test_a_change_that_fails_leaves_no_entry(school: Running) -> None:
    async def fail() -> None:
        async with school.database.writing() as session:
            await publish(session, SomethingHappened("thing", "words"), system("s"))
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError):
        await fail()
    async with school.database.reading() as session:
        count = (await session.exec(text("SELECT count(*) FROM audit_leaf WHERE kind = 'SomethingHappened'"))).one()  # type: ignore[call-overload]
    assert count == (0,)


def test_the_tree_is_the_one_of_rfc_6962() -> None:
    ours, theirs = audit.Frontier(), InmemoryTree(algorithm="sha256")
    for number in range(70):
        entry = f"entry {number}".encode()
        ours.add(audit.hashlib.sha256(b"\0" + entry).digest())
        theirs.append_entry(entry)
        assert ours.root() == theirs.get_state(), number
