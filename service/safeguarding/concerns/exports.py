"""A concern's file for a case system: one asks, a colleague looks, one makes it. Each step is in the audit (policy: RC1, DE4)."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.audit import AuditBody, AuditLeaf
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.people import step_up
from service.people.actions import Action
from service.people.step_up import Proof
from service.people.tables import Person
from service.safeguarding import chronology
from service.safeguarding.concerns import commands, queries, rules, transfer
from service.safeguarding.concerns.events import ConcernExportAgreed, ConcernExportAsked, ConcernExported
from service.safeguarding.concerns.tables import Concern, ConcernExport


@dataclass(frozen=True)
class File:
    name: str
    body: bytes


async def ask(session: AsyncSession, actor: Actor, number: str, *, receiver: str, organisation: str, key: str,
              now: datetime) -> str:
    """Ask for a file of what the chronology holds now, for one named receiver. Returns its id."""
    row = await queries.row_for(session, actor, number)
    needed = (("receiver", "Enter the receiver's name", receiver), ("organisation", "Enter where they work", organisation))
    wrong = {field: words for field, words, given in needed if not given.strip()}
    try:
        key = transfer.check_key(key)
    except Invalid as refused:
        wrong |= refused.fields
    if wrong:
        raise Invalid(fields=wrong)
    entries = len((await queries.entries_of(session, [row.id]))[row.id])
    made = ConcernExport(id=new_id(), school_id=row.school_id, concern_id=row.id, receiver=receiver.strip()[:120],
                         organisation=organisation.strip()[:120], key=key, entries=entries, asked_by=actor.person_id,
                         asked_at=now)
    session.add(made)
    await publish(session, ConcernExportAsked(row.id, made.id, key, entries), actor)
    return made.id


async def one(session: AsyncSession, actor: Actor, number: str, export_id: str) -> tuple[Concern, ConcernExport]:
    """One export of a concern that exists for this person."""
    row = await queries.row_for(session, actor, number)
    export = await session.get(ConcernExport, export_id)
    if export is None or export.concern_id != row.id:
        raise NotFound()
    return row, export


async def to_agree(session: AsyncSession, actor: Actor, number: str, export_id: str) -> Action:
    """What agreeing is, as it is confirmed; raises where the actor may not."""
    row, export = await one(session, actor, number, export_id)
    others = frozenset(each.id for each in await queries.readers(session, row))
    rules.check_agree(rules.Export(export.asked_by, export.asked_at, export.agreed_by, export.agreed_at, others), actor.person_id)
    return rules.agree_action(export.id, row.number, export.receiver, export.key, export.entries)


async def agree(session: AsyncSession, actor: Actor, number: str, export_id: str, proof: Proof, now: datetime) -> None:
    """The second look: exactly this, for exactly this receiver."""
    action = await to_agree(session, actor, number, export_id)
    row, export = await one(session, actor, number, export_id)
    grant = await step_up.confirmed(session, actor, action, proof, now)
    export.agreed_by, export.agreed_at, export.confirmed_by = actor.person_id, now, grant
    await publish(session, ConcernExportAgreed(row.id, export.id), actor)


async def to_make(session: AsyncSession, actor: Actor, number: str, export_id: str, now: datetime) -> Action:
    row, export = await one(session, actor, number, export_id)
    rules.check_make(rules.Export(export.asked_by, export.asked_at, export.agreed_by, export.agreed_at), now)
    return rules.make_action(export.id, row.number, export.receiver, export.key, export.entries)


async def make(session: AsyncSession, actor: Actor, number: str, export_id: str, proof: Proof, now: datetime) -> File:
    """The encrypted file. That it was made is in the audit before it leaves, with its hash."""
    action = await to_make(session, actor, number, export_id, now)
    row, export = await one(session, actor, number, export_id)
    await step_up.confirmed(session, actor, action, proof, now)
    body = transfer.file(await contents(session, actor, row, export, now), export.key)
    digest = hashlib.sha256(body).hexdigest()
    words = f"For {export.receiver}, {export.organisation}: {export.entries} entries. SHA-256 {digest}"
    await commands.note_export(session, actor, row, words, now)
    await publish(session, ConcernExported(row.id, export.id, digest), actor)
    return File(f"{row.number}.zip.age", body)


async def contents(session: AsyncSession, actor: Actor, row: Concern, export: ConcernExport, now: datetime) -> transfer.Contents:
    """Exactly what was looked at: nothing that was written afterwards."""
    entries = (await queries.entries_of(session, [row.id]))[row.id][:export.entries]
    standing = chronology.standing(entries)
    school = await people.school(session, row.school_id)
    who = {each for one in entries for each in (one.by, one.person_id)} | {row.raised_by, actor.person_id}
    names = {found.id: found.full_name for found in (await people.people(session, row.school_id, who)).values()}
    children = (await session.exec(select(Person).where(
        Person.school_id == row.school_id, col(Person.id).in_(standing.children)))).all()
    return transfer.Contents(
        school.name, row.number, school.zone, names.get(row.raised_by, ""), row.raised_at, row.happened_on, row.happened_at,
        row.place, export.receiver, export.organisation, now, names.get(actor.person_id, ""),
        {child.id: transfer.Child(f"{child.given_name} {child.family_name}".strip(), child.born_on, child.year_group,
                                  child.external_id or "", standing.children[child.id]) for child in children},
        entries, names, await _seals(session, row),
    )


async def _seals(session: AsyncSession, row: Concern) -> list[transfer.Seal]:
    """How the lesson's recording was sealed, from the audit: recordings are above this package."""
    if not row.lesson_id:
        return []
    bodies = await session.exec(select(AuditBody.body).join(AuditLeaf, col(AuditLeaf.seq) == AuditBody.seq).where(
        AuditLeaf.school_id == row.school_id, AuditLeaf.lesson_id == row.lesson_id, AuditLeaf.kind == "RecordingSealed",
    ).order_by(col(AuditLeaf.seq)))
    found = [json.loads(body) for body in bodies.all()]
    return [transfer.Seal(each["part"], each["outcome"], each["root"]) for each in found]
