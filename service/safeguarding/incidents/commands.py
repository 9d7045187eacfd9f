"""Recording an incident, adding to it, and giving it to those whose it is. Nothing that was written is ever changed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, Invalid
from service.foundation.events import Actor, Role
from service.people import queries as people
from service.safeguarding import rules as routing
from service.safeguarding.chronology import Entry, Kind
from service.safeguarding.concerns import commands as concerns
from service.safeguarding.concerns import queries as concern_queries
from service.safeguarding.concerns import rules as concern_rules
from service.safeguarding.incidents import queries, rules
from service.safeguarding.incidents.events import (
    FamilyToldOfIncident,
    IncidentAdded,
    IncidentEscalated,
    IncidentMoved,
    IncidentOpened,
    IncidentRecorded,
    IncidentsListed,
)
from service.safeguarding.incidents.rules import New
from service.safeguarding.incidents.tables import Incident, IncidentBarred, IncidentEntry
from service.safeguarding.rules import INBOX, About


@dataclass(frozen=True)
class Recorded:
    """`number` is empty for whoever may not open what they recorded. `to`: whose it is."""

    number: str
    to: Role


async def record(session: AsyncSession, actor: Actor, new: New, *, present: Collection[str] = (), now: datetime) -> Recorded:
    """Record what happened, by any member of staff (policy: IN1). Raises Invalid with words for the form.

    present     the adults of the lesson that it comes from: when it is about an adult, it does not exist for them
    """
    rules.check_new(new, now.date(), adults={one.id for one in await concern_queries.adults(session, actor)})
    await concerns.check_children(session, actor, [child for child, _ in new.children])
    row = Incident(
        id=new_id(), school_id=actor.school_id, number=await concerns.draw_number(session, Incident, "I", actor.school_id, now),
        recorded_by=actor.person_id, recorded_at=now, happened_on=new.on or now.date(), happened_at=new.at[:20],
        place=new.place[:200], by_name=new.by_name.strip()[:200], routed_to=Role.DSL, lesson_id=new.lesson_id,
    )
    session.add(row)
    await session.flush()
    if new.about:
        await _keep_from(session, row, new.about_id, present)
    for entry in rules.first_entries(new):
        await _write(session, actor, row, entry, now)
    await publish(session, IncidentRecorded(row.id, row.routed_to), actor)
    if new.about:
        await publish(session, IncidentEscalated(row.id, row.id, row.routed_to), actor)
    is_theirs = (await session.exec(queries.visible(actor).where(Incident.id == row.id))).first() is not None
    return Recorded(row.number if is_theirs else "", Role(row.routed_to))


async def _keep_from(session: AsyncSession, row: Incident, about_id: str, present: Collection[str] = ()) -> None:
    """It is about an adult who works here: it goes to the headteacher only, about the headteacher to the chair, and does not
    exist for whom it is about, nor for the adults of its lesson (policy: IN4)."""
    about = await concerns.about_person(session, row.school_id, About.STAFF, about_id)
    holders = {one.id: one.roles for one in await people.holders(session, row.school_id, INBOX)}
    before = await queries.barred(session, row.id)
    more = (set(present) | ({about_id} - {""}) | routing.barred_by(about, holders)) - before
    session.add_all(IncidentBarred(incident_id=row.id, person_id=each, school_id=row.school_id) for each in more)
    row.routed_to = routing.further(Role(row.routed_to), routing.route(about, holders, before | more))
    row.about_staff, row.about_id = True, about_id
    await session.flush()


async def list_incidents(session: AsyncSession, actor: Actor, today: date, *, state: str = "", category: str = "",
                         words: str = "", as_file: bool = False) -> list[queries.Listed]:
    """Read the register; that somebody did is kept."""
    found = await queries.listing(session, actor, today, state=state, category=category, words=words)
    await publish(session, IncidentsListed(len(found), as_file), actor)
    return found


async def open_incident(session: AsyncSession, actor: Actor, number: str, today: date) -> queries.IncidentView:
    """Read one; that somebody did is kept. NotFound when it does not exist for this person."""
    found = await queries.incident(session, actor, number, today)
    await publish(session, IncidentOpened(found.id), actor)
    return found


async def add(session: AsyncSession, actor: Actor, number: str, entry: Entry, now: datetime) -> None:
    """Add to the chronology. Raises Invalid with words for the form, Conflict or NotAllowed where it does not fit."""
    row = await queries.row_for(session, actor, number)
    so_far = (await queries.entries_of(session, [row.id]))[row.id]
    rules.check_entry(entry, so_far, actor.roles, routed_to=Role(row.routed_to), today=now.date(),
                      readers={one.id for one in await queries.readers(session, row)})
    if entry.kind is Kind.CHILD:
        await concerns.check_children(session, actor, [entry.child_id])
    in_app = entry.kind is Kind.PARENTS_TOLD and entry.reference == rules.APP
    if in_app and not await queries.adults_to_tell(session, actor.school_id, entry.child_id):
        raise Invalid(fields={"child_id": "Nobody at home can be told in the app. Ask the safeguarding team"})
    entry_id = await _write(session, actor, row, entry, now)
    if in_app:
        await publish(session, FamilyToldOfIncident(row.id, entry_id, entry.child_id), actor)


async def _write(session: AsyncSession, actor: Actor, row: Incident, entry: Entry, now: datetime) -> str:
    last = (await session.exec(select(func.max(IncidentEntry.seq)).where(IncidentEntry.incident_id == row.id))).one()
    kept = IncidentEntry(incident_id=row.id, **concerns.columns_of(entry, actor, (last or 0) + 1, now))
    session.add(kept)
    await session.flush()
    await publish(session, IncidentAdded(row.id, kept.id, kept.kind), actor)
    if entry.kind is Kind.ESCALATED:
        await publish(session, IncidentEscalated(row.id, kept.id, entry.reference), actor)
    return kept.id


async def make_concern(session: AsyncSession, actor: Actor, number: str, *, present: Collection[str], now: datetime,
                       ) -> concerns.Raised:
    """It is safeguarding: a concern with the same people and words, for those whose it is (policy: RC1). Whoever asks twice gets
    the answer of the first time, and learns nothing of what became of it."""
    row = await queries.row_for(session, actor, number)
    entries = (await queries.entries_of(session, [row.id]))[row.id]
    standing = rules.stands(entries)
    if standing.concern_id:
        number = await concern_queries.number_for(session, actor, standing.concern_id)
        return concerns.Raised(standing.concern_id, number, Role(row.routed_to))
    said, done = rules.for_concern(row.number, entries)
    raised = await concerns.raise_concern(session, actor, concern_rules.New(
        said, done, row.happened_on, row.happened_at,
        tuple(dict.fromkeys(rules.CONCERN_CATEGORY.get(each, "online") for each in standing.categories)),
        tuple(concern_rules.Child(child, rules.IN_A_CONCERN[rules.Part(part)]) for child, part in standing.children.items()),
        by_name=row.by_name, about_adult="yes" if row.about_staff else "no", about_id=row.about_id, lesson_id=row.lesson_id,
        place=row.place), present=present, also={row.about_id} - {""}, now=now)
    if not row.about_staff and Role.DSL not in standing.escalated_to:
        await _write(session, actor, row, Entry(Kind.ESCALATED, "It is safeguarding", reference=Role.DSL), now)
    await _write(session, actor, row, Entry(Kind.CONCERN, reference=raised.id), now)
    return raised


async def move_about_staff(session: AsyncSession, actor: Actor, number: str, *, about_id: str, present: Collection[str],
                           now: datetime) -> Role:
    """It turns out to be about an adult who works here (policy: IN4). Returns whose it is now, mostly not the actor's."""
    row = await queries.row_for(session, actor, number)
    if about_id and about_id not in {one.id for one in await concern_queries.adults(session, actor)}:
        raise Invalid(fields={"about_id": "Choose who it is about"})
    if row.about_id and about_id != row.about_id:
        raise Conflict("It says already who this is about. Record a second incident about somebody else.")
    await _write(session, actor, row, Entry(Kind.MOVED), now)
    was = row.routed_to
    await _keep_from(session, row, about_id, present)
    await publish(session, IncidentMoved(row.id, was, row.routed_to), actor)
    await publish(session, IncidentEscalated(row.id, new_id(), row.routed_to), actor)
    return Role(row.routed_to)
