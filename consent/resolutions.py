"""Two adults answered differently: a named person speaks to each alone and closes it, with a reason (policy: CO2).

The careful answer holds until then. One person closes a conflict when everybody agrees by now; a court order, by which one
adult's answer is followed, takes two. Whoever is of the family closes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import family, queries, rules, standing
from consent.events import ConsentConflictClosed, CourtOrderRecorded
from consent.rules import Purpose, Status
from consent.tables import ConsentResolution
from consent.told import Told, terms, told
from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.people import queries as people

RESOLVERS = SAFEGUARDING | {Role.HEADTEACHER}


@dataclass(frozen=True)
class ConflictView:
    """One permission of a child on which the adults differ. `may_close`: the latest answers agree. `waits`: a court order that
    a second person has not agreed to, and who wrote it down."""

    purpose: Purpose
    may_close: bool
    waits_id: str = ""
    waits_by_id: str = ""
    waits_by: str = ""
    waits_reason: str = ""
    follows: str = ""


async def conflicts(session: AsyncSession, school_id: str, child_id: str) -> list[ConflictView]:
    """What differs for one child. Raises NotFound for who is none of this school."""
    said, at = await _said(session, school_id, child_id)
    names = {one.id: one.name for one in await queries.respondents(session, school_id, child_id)}
    waiting = (await session.exec(select(ConsentResolution).where(
        ConsentResolution.school_id == school_id, ConsentResolution.child_id == child_id,
        ConsentResolution.kind == "court_order", col(ConsentResolution.agreed_at).is_(None),
    ).order_by(col(ConsentResolution.resolved_at)))).all()
    staff = await people.people(session, school_id, {row.resolved_by for row in waiting})
    found = []
    for purpose, status in _statuses(said, at).items():
        if status is not Status.CONFLICT:
            continue
        row = next((row for row in reversed(waiting) if row.purpose == purpose), None)
        view = ConflictView(purpose, _agrees(said, at, purpose))
        found.append(view if row is None else ConflictView(
            purpose, view.may_close, row.id, row.resolved_by, staff[row.resolved_by].name if row.resolved_by in staff else "",
            row.reason, names.get(row.follows_id, "")))
    return found


@dataclass(frozen=True)
class OrderView:
    """A court order that waits for a second person. `not_by`: who wrote it down, and the child's family."""

    child_id: str
    child: str
    purpose: Purpose
    not_by: frozenset[str]


async def waiting(session: AsyncSession, school_id: str) -> list[OrderView]:
    """Every court order that still would close something, once a second person has seen it."""
    children = sorted(set((await session.exec(select(ConsentResolution.child_id).where(
        ConsentResolution.school_id == school_id, ConsentResolution.kind == "court_order",
        col(ConsentResolution.agreed_at).is_(None)))).all()))
    names = await people.people(session, school_id, children)
    found = []
    for child_id in children:
        if child_id not in names:
            continue
        said, _ = await _said(session, school_id, child_id)
        found += [OrderView(child_id, names[child_id].full_name, one.purpose, frozenset({one.waits_by_id, *said.responsible}))
                  for one in await conflicts(session, school_id, child_id) if one.waits_id]
    return found


async def _said(session: AsyncSession, school_id: str, child_id: str) -> tuple[Told, standing.Terms]:
    profile = await people.profile(session, school_id)
    said = (await told(session, school_id, [child_id], profile)).get(child_id)
    if said is None:
        raise NotFound()
    return said, terms(session, profile)


def _statuses(said: Told, at: standing.Terms) -> Mapping[Purpose, Status]:
    return standing.statuses(said.responses, said.responsible, at, said.closed)


def _agrees(said: Told, at: standing.Terms, purpose: Purpose) -> bool:
    return standing.may_close((r for r in said.responses if r.purpose is purpose), said.responsible, at)


async def close(session: AsyncSession, actor: Actor, *, child_id: str, purpose: Purpose, reason: str, now: datetime) -> str:
    """Everybody agrees by now: close it. Returns the id. Raises Conflict while they differ."""
    said, at = await _checked(session, actor, child_id, purpose, reason)
    if not _agrees(said, at, purpose):
        raise Conflict("They still answer differently. Speak to each alone, or record what a court decided.")
    row = _row(actor, child_id, purpose, "agreed", "", reason, now)
    session.add(row)
    await publish(session, ConsentConflictClosed(child_id, row.id, purpose, False), actor)
    return row.id


async def record_court_order(
    session: AsyncSession, actor: Actor, *, child_id: str, purpose: Purpose, follows_id: str, reason: str, now: datetime,
) -> str:
    """A court says whose answer is followed. It waits for a second person, who is told."""
    said, _ = await _checked(session, actor, child_id, purpose, reason)
    if said.responsible.get(follows_id) != standing.DECIDES:
        wrong = {f"follows-{purpose}": "Choose the adult whose answer the court says to follow"}
        raise Invalid("There is a problem", fields=wrong)
    row = _row(actor, child_id, purpose, "court_order", follows_id, reason, now)
    session.add(row)
    await publish(session, CourtOrderRecorded(child_id, row.id, purpose), actor)
    seconds = {one.id for one in await people.holders(session, actor.school_id, RESOLVERS)} - {actor.person_id, *said.responsible}
    await mail.queue(session, school_id=actor.school_id, people=seconds, text="S2", about=row.id, now=now,
                     zone=(await people.school(session, actor.school_id)).zone)
    return row.id


async def agree(session: AsyncSession, actor: Actor, *, resolution_id: str, now: datetime) -> str:
    """The second person has seen the order as well. Returns the child."""
    _check_resolver(actor)
    row = (await session.exec(select(ConsentResolution).where(
        ConsentResolution.id == resolution_id).with_for_update())).first()
    if row is None or row.school_id != actor.school_id or row.kind != "court_order":
        raise NotFound()
    if row.agreed_at is not None:
        raise Conflict("A second person has agreed already.")
    if row.resolved_by == actor.person_id:
        raise NotAllowed("You wrote this down. Another person has to see the order too.")
    await family.not_of_the_family(session, actor, row.child_id)
    row.agreed_by, row.agreed_at = actor.person_id, now
    await mail.call_off(session, about=row.id, now=now)
    await publish(session, ConsentConflictClosed(row.child_id, row.id, row.purpose, True), actor)
    return row.child_id


async def _checked(session: AsyncSession, actor: Actor, child_id: str, purpose: Purpose,
                   reason: str) -> tuple[Told, standing.Terms]:
    _check_resolver(actor)
    said, at = await _said(session, actor.school_id, child_id)
    await family.not_of_the_family(session, actor, child_id)
    if _statuses(said, at)[purpose] is not Status.CONFLICT:
        raise Conflict("The answers do not differ any more.")
    if not reason.strip():
        raise Invalid("There is a problem", fields={f"reason-{purpose}": "Say what was found out, and how"})
    return said, at


def _check_resolver(actor: Actor) -> None:
    if not actor.is_any(RESOLVERS):
        raise NotAllowed("The headteacher or the safeguarding team closes it.")


def _row(actor: Actor, child_id: str, purpose: Purpose, kind: str, follows_id: str, reason: str,
         now: datetime) -> ConsentResolution:
    return ConsentResolution(school_id=actor.school_id, child_id=child_id, purpose=purpose, kind=kind, follows_id=follows_id,
                             reason=reason.strip()[:500], resolved_by=actor.person_id, resolved_at=now)


def purpose_of(given: str) -> Purpose:
    """Of a form or an address. Raises NotFound."""
    try:
        return rules.Purpose(given)
    except ValueError as error:
        raise NotFound() from error
