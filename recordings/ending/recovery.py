"""Recovery keys, decided by two people, and a new wrapping key (policy: AC4, AC6).

A recovery key's private half never comes near the service: it lies in a safe. It opens recordings where the school's own
wrapping key is lost, and nothing whose day's key was destroyed.
"""

import asyncio
from datetime import datetime

import pyrage
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.ending import queries
from recordings.ending.events import RecoveryKeyAsked, RecoveryKeyDecided, RecoveryKeyEnded, WrappingKeyRotated
from recordings.ending.rules import SamePerson
from recordings.ending.tables import RecoveryRecipient
from recordings.vault import Vault
from service.foundation.bus import publish
from service.foundation.db import Database
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor
from service.people import step_up
from service.people.actions import Action
from service.people.step_up import Proof


class RecipientChanged(Conflict):
    """Somebody has decided this already. Read it again."""

    code = "recipient-changed"


def asking(name: str, public_key: str) -> Action:
    return Action("ask-recovery-key", "ask that recordings may also be opened by another key",
                  {"name": name.strip(), "public_key": public_key.strip()})


def check(name: str, public_key: str) -> None:
    """A name for where it is kept, and the public half of an age key. A private one is refused, and not repeated anywhere."""
    wrong = {}
    if not 2 <= len(name.strip()) <= 80:
        wrong["name"] = "Say where its private half is kept, in up to 80 letters"
    if public_key.strip().upper().startswith("AGE-SECRET-KEY"):
        wrong["public_key"] = (
            "This is the private half. Never type it here. Make a new pair, and enter the half that begins with age1")
    else:
        try:
            pyrage.x25519.Recipient.from_str(public_key.strip())
        except pyrage.RecipientError:
            wrong["public_key"] = "Enter the public half, which begins with age1"
    if wrong:
        raise Invalid(fields=wrong)


async def ask(session: AsyncSession, actor: Actor, *, name: str, public_key: str, proof: Proof, now: datetime) -> str:
    """Ask a second person for a recovery key. Returns its id; nothing is encrypted to it yet."""
    check(name, public_key)
    if public_key.strip() in {row.public_key for row in await queries.recipients(session, actor.school_id)}:
        raise Invalid(fields={"public_key": "This key is there already"})
    await step_up.confirmed(session, actor, asking(name, public_key), proof, now)
    row = RecoveryRecipient(school_id=actor.school_id, name=name.strip(), public_key=public_key.strip(),
                            asked_by=actor.person_id, asked_at=now)
    session.add(row)
    await publish(session, RecoveryKeyAsked(recipient_id=row.id, public_key=row.public_key), actor)
    return row.id


def agreeing(row: RecoveryRecipient) -> Action:
    return Action("agree-recovery-key", f"agree that every recording may also be opened by the key of {row.name}",
                  {"recipient_id": row.id, "public_key": row.public_key, "name": row.name})


async def waiting(session: AsyncSession, actor: Actor, recipient_id: str) -> RecoveryRecipient:
    row = await session.get(RecoveryRecipient, recipient_id)
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    if row.decided_at is not None or row.ended_at is not None:
        raise RecipientChanged()
    return row


async def agree(session: AsyncSession, actor: Actor, recipient_id: str, *, proof: Proof, now: datetime) -> None:
    """The second person agrees: new recordings are encrypted to it at once, those that are there within minutes."""
    row = await waiting(session, actor, recipient_id)
    if row.asked_by == actor.person_id:
        raise SamePerson()
    await step_up.confirmed(session, actor, agreeing(row), proof, now)
    row.decided_by, row.decided_at, row.agreed, row.applied = actor.person_id, now, True, False
    await publish(session, RecoveryKeyDecided(recipient_id=row.id, agreed=True), actor)


async def end(session: AsyncSession, actor: Actor, recipient_id: str, *, now: datetime) -> None:
    """Take a request back, refuse it, or let a key go: fewer may open recordings, so one person is enough."""
    row = await session.get(RecoveryRecipient, recipient_id)
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    if row.ended_at is not None:
        raise RecipientChanged()
    row.ended_by, row.ended_at, row.applied = actor.person_id, now, not row.agreed
    await publish(session, RecoveryKeyEnded(recipient_id=row.id), actor)


async def end_all(session: AsyncSession, actor: Actor, now: datetime) -> None:
    """Take back every request, such as after a restore: whether it was taken back since is not known."""
    for row in (await session.exec(select(RecoveryRecipient.id).where(
            RecoveryRecipient.school_id == actor.school_id, col(RecoveryRecipient.decided_at).is_(None),
            col(RecoveryRecipient.ended_at).is_(None)))).all():
        await end(session, actor, row, now=now)


async def apply(database: Database, vault: Vault) -> int:
    """Bring the records that are there to the recipients that are agreed. Safe to repeat. Returns how many were changed.

    Where somebody decided in the meantime, and another run of this may have obeyed them already, it is done again.
    """
    async with database.reading() as session:
        rows = (await session.exec(select(RecoveryRecipient).where(col(RecoveryRecipient.applied).is_(False)))).all()
        keys = {row.school_id: await queries.recovery_keys(session, row.school_id) for row in rows}
    count = 0
    for school_id, recipients in keys.items():
        count += await asyncio.to_thread(vault.key_store(school_id).rewrap, recipients)
        async with database.writing() as session:
            is_done = await queries.recovery_keys(session, school_id) == recipients
            await session.exec(update(RecoveryRecipient).where(
                col(RecoveryRecipient.school_id) == school_id).values(applied=is_done))
    return count


ROTATING = Action("rotate-wrapping-key", "make a new wrapping key for every recording", {})


async def rotate(database: Database, vault: Vault, actor: Actor) -> int:
    """A new wrapping key of this school for every record; the old one is erased. No media is touched. Returns how many.

    Who else may open a record is changed by `apply` alone: a list that was read before this began could bring an ended key back.
    """
    count = await asyncio.to_thread(vault.key_store(actor.school_id).rotate)
    async with database.writing() as session:
        await publish(session, WrappingKeyRotated(records=count), actor)
    return count
