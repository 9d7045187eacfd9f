"""Raising a concern, adding to it, and giving it to those whose it is. Nothing that was written is ever changed."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor, Role
from service.people import queries as people
from service.safeguarding import commands as alerts
from service.safeguarding import queries as alert_queries
from service.safeguarding import rules as routing
from service.safeguarding.chronology import DIGITS, LONGEST, Entry, Kind, number_of
from service.safeguarding.concerns import queries, rules
from service.safeguarding.concerns.events import (
    ConcernAdded,
    ConcernMoved,
    ConcernOpened,
    ConcernRaised,
    ConcernsListed,
    OfficerChanged,
    WatcherNamed,
)
from service.safeguarding.concerns.rules import New
from service.safeguarding.concerns.tables import Concern, ConcernBarred, ConcernEntry, LocalAuthorityOfficer, Numbered
from service.safeguarding.rules import INBOX, About


@dataclass(frozen=True)
class Raised:
    """`number` is empty for whoever may not open what they raised. `to`: whose it is. `is_read`: whether anybody may open it."""

    id: str
    number: str
    to: Role
    is_read: bool = True


async def raise_concern(session: AsyncSession, actor: Actor, new: New, *, present: Collection[str] = (),
                        also: Collection[str] = (), now: datetime) -> Raised:
    """Record what was seen or heard, by any member of staff (policy: RC1). Those whose it is are alerted, but not the actor.

    present     the adults of the lesson that it comes from: it does not exist for them
    also        whom it can be about although they have left: what it is made of was written before
    """
    alert = await alert_queries.alert(session, actor, new.alert_id, now) if new.alert_id else None
    rules.check_new(new, now.date(), adults={*also, *(one.id for one in await queries.adults(session, actor))})
    await check_children(session, actor, [one.child_id for one in new.children])
    about = await about_person(session, actor.school_id, new.about, new.about_id)
    holders = {one.id: one.roles for one in await people.holders(session, actor.school_id, INBOX)}
    barred = set(present) | ({new.about_id} - {""}) | routing.barred_by(about, holders)
    if alert is not None:
        barred |= await alert_queries.barred(session, alert.id)
    row = Concern(
        id=new_id(), school_id=actor.school_id, number=await draw_number(session, Concern, "C", actor.school_id, now),
        raised_by=actor.person_id, raised_at=now, happened_on=new.on or now.date(), happened_at=new.at[:20],
        place=(alert.place if alert else new.place)[:200],
        routed_to=routing.route(about, holders, barred), about_staff=about in (About.STAFF, About.HEADTEACHER),
        about_id=new.about_id if new.about else "", alert_id=new.alert_id,
        lesson_id=(alert.lesson_id if alert else new.lesson_id),
    )
    session.add(row)
    await session.flush()
    session.add_all(ConcernBarred(concern_id=row.id, person_id=each, school_id=row.school_id) for each in barred)
    for entry in _first_entries(new):
        await _write(session, actor, row, entry, now)
    await publish(session, ConcernRaised(row.id, row.routed_to, row.alert_id), actor)
    await _tell(session, actor, row, about, barred, now)
    may_open = bool(await queries.number_for(session, actor, row.id))
    to = Role(row.routed_to)
    return Raised(row.id, row.number if may_open else "", to, routing.is_read(to, holders, barred))


async def _tell(session: AsyncSession, actor: Actor, row: Concern, about: str, barred: Collection[str], now: datetime) -> None:
    """The item it came from goes where it goes; without one, an alert tells those whose it is, unless that is the actor. The DSL
    is told at once of what is the team's, also where a deputy wrote it down (policy: RC1)."""
    if row.alert_id:
        await alerts.link_concern(session, alert_id=row.alert_id, concern_id=row.id)
        await alerts.add_note(session, actor, alert_id=row.alert_id, words=f"Concern {row.number} was recorded.", now=now)
        if row.about_staff:
            await alerts.move(session, actor, alert_id=row.alert_id, about=about, about_id=row.about_id, now=now)
    elif Role(row.routed_to) not in actor.roles or not await queries.number_for(session, actor, row.id):
        await alerts.raise_alert(session, actor, kind=routing.Kind.CONCERN, now=now, lesson_id=row.lesson_id, place=row.place,
                                 present=barred, about=about, about_id=row.about_id, concern_id=row.id)


async def about_person(session: AsyncSession, school_id: str, about: str, about_id: str) -> str:
    """What it is about, once it is looked up who that is."""
    subject = (await people.people(session, school_id, [about_id])).get(about_id)
    return routing.about_person(about, subject.roles) if subject else about


async def check_children(session: AsyncSession, actor: Actor, ids: Collection[str]) -> None:
    found = await people.people(session, actor.school_id, ids)
    if any(each not in found or not found[each].is_child for each in ids):
        raise Invalid(fields={"children": "Choose a pupil of this school"})


async def draw_number(session: AsyncSession, table: type[Numbered], letter: str, school_id: str, now: datetime,
                      ) -> str:
    """Drawn by lot, so that it tells nobody how many there are; with more digits once a year's are half used up."""
    used = set((await session.exec(select(table.number).where(
        table.school_id == school_id, col(table.number).startswith(f"{letter}-{now.year}-")))).all())
    most = 10 ** DIGITS
    while len(used) * 2 >= most:
        most *= 10
    while (number := number_of(letter, now.year, secrets.randbelow(most))) in used:
        continue
    return number


def _first_entries(new: New) -> list[Entry]:
    said = new.said.strip() + (f"\n\nPupils named: {new.by_name.strip()}" if new.by_name.strip() else "")
    return [
        *_in_full(Kind.SAID, said, new.on), *_in_full(Kind.DONE, new.done.strip()),
        *(Entry(Kind.CATEGORY, each) for each in dict.fromkeys(new.categories)),
        *(Entry(Kind.CHILD, child_id=each.child_id, part=each.part) for each in new.children),
    ]


def _in_full(kind: Kind, words: str, on: date | None = None) -> list[Entry]:
    """What is too long for one entry goes on in notes."""
    pieces = [words[at:at + LONGEST] for at in range(0, len(words), LONGEST)]
    return [Entry(kind, pieces[0], on=on), *(Entry(Kind.NOTE, each) for each in pieces[1:])] if pieces else []


async def list_concerns(session: AsyncSession, actor: Actor, today: date, *, words: str = "", closed: bool = False,
                        ) -> list[queries.Listed]:
    """Read the list; that somebody did is kept."""
    found = await queries.listing(session, actor, today, words=words, closed=closed)
    await publish(session, ConcernsListed(len(found), bool(words.strip())), actor)
    return found


async def open_concern(session: AsyncSession, actor: Actor, number: str) -> queries.ConcernView:
    """Read one; that somebody did is kept. NotFound when it does not exist for this person."""
    found = await queries.concern(session, actor, number)
    await publish(session, ConcernOpened(found.id), actor)
    return found


async def add(session: AsyncSession, actor: Actor, number: str, entry: Entry, now: datetime) -> str:
    """Add to the chronology. Returns the entry's id. Raises Invalid with words for the form, Conflict where it does not fit."""
    row = await queries.row_for(session, actor, number)
    so_far = (await queries.entries_of(session, [row.id]))[row.id]
    rules.check_entry(
        entry, so_far, is_about_staff=row.about_staff, readers={one.id for one in await queries.readers(session, row)},
        watchers={one.id for one in await queries.watchers(session, row)},
    )
    if entry.kind is Kind.CHILD:
        await check_children(session, actor, [entry.child_id])
    entry_id = await _write(session, actor, row, entry, now)
    if entry.kind is Kind.WATCHER:
        await publish(session, WatcherNamed(row.id, row.lesson_id, entry.person_id), actor)
    return entry_id


async def note_export(session: AsyncSession, actor: Actor, row: Concern, words: str, now: datetime) -> None:
    """That a file was made is part of the chronology."""
    await _write(session, actor, row, Entry(Kind.EXPORTED, words), now)


async def _write(session: AsyncSession, actor: Actor, row: Concern, entry: Entry, now: datetime) -> str:
    last = (await session.exec(select(func.max(ConcernEntry.seq)).where(ConcernEntry.concern_id == row.id))).one()
    kept = ConcernEntry(concern_id=row.id, **columns_of(entry, actor, (last or 0) + 1, now))
    session.add(kept)
    await session.flush()
    await publish(session, ConcernAdded(row.id, kept.id, kept.kind), actor)
    return kept.id


def columns_of(entry: Entry, actor: Actor, seq: int, now: datetime) -> dict[str, Any]:
    """An entry as any chronology keeps it (`tables.EntryColumns`)."""
    return {
        "id": new_id(), "school_id": actor.school_id, "seq": seq, "kind": entry.kind, "words": entry.words.strip()[:LONGEST],
        "child_id": entry.child_id, "part": entry.part, "person_id": entry.person_id, "on_day": entry.on,
        "agency": entry.agency.strip()[:120], "reference": entry.reference.strip()[:60], "of_entry": entry.of_entry,
        "added_by": actor.person_id, "added_at": now,
    }


async def move_about_staff(session: AsyncSession, actor: Actor, number: str, *, about_id: str, now: datetime) -> Role:
    """It is about an adult who works here: it goes to the headteacher only, about the headteacher to the chair (policy: IN4).

    `about_id`: which; empty when that is not known. Returns whose it is now. The actor may no longer open it.
    """
    row = await queries.row_for(session, actor, number)
    if about_id and about_id not in {one.id for one in await queries.adults(session, actor)}:
        raise Invalid(fields={"about_id": "Choose who it is about"})
    if row.about_id and about_id != row.about_id:
        raise Conflict("It says already who this is about. Record a second concern about somebody else.")
    about = await about_person(session, row.school_id, About.STAFF, about_id)
    holders = {one.id: one.roles for one in await people.holders(session, row.school_id, INBOX)}
    before = await queries.barred(session, row.id)
    more = (({about_id} - {""}) | routing.barred_by(about, holders)) - before
    session.add_all(ConcernBarred(concern_id=row.id, person_id=each, school_id=row.school_id) for each in more)
    await _write(session, actor, row, Entry(Kind.MOVED), now)
    was = row.routed_to
    row.routed_to = routing.further(Role(was), routing.route(about, holders, before | more))
    row.about_staff, row.about_id = True, about_id
    await publish(session, ConcernMoved(row.id, was, row.routed_to), actor)
    its = await queries.its_alerts(session, row)
    for each in its:  # whoever took one read the concern by it
        await alerts.move(session, actor, alert_id=each, about=about, about_id=about_id, now=now)
    if not its and was != row.routed_to:
        await alerts.raise_alert(session, actor, kind=routing.Kind.CONCERN, now=now, place=row.place, present=before | more,
                                 about=about, about_id=about_id, concern_id=row.id)
    return Role(row.routed_to)


async def change_officer(session: AsyncSession, actor: Actor, *, name: str, telephone: str, now: datetime) -> None:
    """Write down whom the local authority names for concerns about adults (policy: IN4)."""
    wrong = {field: words for field, words, given in (("name", "Enter a name", name), ("telephone", "Enter a number", telephone))
             if not given.strip()}
    if wrong:
        raise Invalid(fields=wrong)
    if not actor.is_any(INBOX):
        raise NotFound()
    row = LocalAuthorityOfficer(id=new_id(), school_id=actor.school_id, name=name.strip()[:120], telephone=telephone.strip()[:40],
                                changed_by=actor.person_id, changed_at=now)
    session.add(row)
    await publish(session, OfficerChanged(row.id), actor)

