"""Asking for a guest, deciding, ending a visit, and the link by which a guest signs in once (policy: AC7).

The sponsor answers for the visit; a leader who is neither sponsor nor guest approves exactly what was asked.
"""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import rules as lesson_rules
from lessons.guests import queries, rules
from lessons.guests.events import GuestApproved, GuestAsked, GuestLinkMade, GuestPassEnded, GuestRefused
from lessons.guests.rules import Asked, Pass
from lessons.guests.tables import GuestLink, GuestPass, GuestPassChild, GuestPassLesson
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor, Role
from service.foundation.web import token_hash
from service.people import commands as people_commands
from service.people import queries as people
from service.people import sessions, step_up
from service.people.events import PersonAdded, RolesChanged
from service.people.step_up import Proof
from service.people.tables import Person, PersonRole


class LinkOver(NotFound):
    """This link does not work any more. Ask the school for a new one."""

    code = "link-over"


# -- asking ---------------------------------------------------------------------------------------------------------------


async def ask(session: AsyncSession, actor: Actor, lesson_id: str, asked: Asked, now: datetime) -> str:
    """Ask for a guest in lessons of one class. Returns the pass's id; it lets nobody in before a leader approved it."""
    zone = (await people.school(session, actor.school_id)).zone
    choices = await queries.choices(session, actor, lesson_id)
    days = {lesson: starts_at.astimezone(ZoneInfo(zone)).date() for lesson, _, starts_at in choices.lessons}
    asked = replace(asked, purpose=asked.purpose.strip(), identity_note=asked.identity_note.strip())
    wrong = rules.asking_problems(asked, lessons=days, children={child for child, _ in choices.children},
                                  today=now.astimezone(ZoneInfo(zone)).date())
    if wrong or asked.first is None or asked.last is None:
        raise Invalid(fields=wrong)
    guest_id = await _guest(session, actor, asked)
    row = GuestPass(
        school_id=actor.school_id, guest_id=guest_id, sponsor_id=actor.person_id, kind=asked.kind, purpose=asked.purpose,
        identity_note=asked.identity_note, starts_at=lesson_rules.moment(asked.first, datetime.min.time(), zone),
        ends_at=lesson_rules.moment(asked.last + timedelta(1), datetime.min.time(), zone), asked_at=now,
    )
    session.add(row)
    await session.flush()
    session.add_all(GuestPassLesson(pass_id=row.id, lesson_id=each, school_id=actor.school_id) for each in asked.lesson_ids)
    session.add_all(GuestPassChild(pass_id=row.id, child_id=each, school_id=actor.school_id) for each in asked.child_ids)
    await session.flush()
    await publish(session, GuestAsked(guest_id, row.id, asked.kind, tuple(sorted(asked.lesson_ids)),
                                      tuple(sorted(asked.child_ids))), actor)
    return row.id


async def _guest(session: AsyncSession, actor: Actor, asked: Asked) -> str:
    """A guest who has been here, or a new person with no role but that one. The sponsor writes the name, not the guest."""
    if asked.guest_id:
        view = await people.person(session, actor.school_id, asked.guest_id)
        rules.checked_guest(view.id, view.kind, view.roles, actor.person_id)
        return view.id
    fields = people.rules.checked_person(people.rules.PersonFields(
        "adult", asked.given_name, asked.family_name, asked.title))
    person = Person(id=new_id(), school_id=actor.school_id, **fields.columns())
    session.add_all([person, PersonRole(person_id=person.id, role=Role.GUEST, school_id=actor.school_id)])
    await people_commands.note_roster(session, actor.school_id)
    await publish(session, PersonAdded(person.id, "adult"), actor)
    await publish(session, RolesChanged(person.id, (Role.GUEST,), ()), actor)
    await session.flush()
    return person.id


# -- deciding ---------------------------------------------------------------------------------------------------------------


async def decidable(session: AsyncSession, actor: Actor, pass_id: str, reason: str, now: datetime) -> tuple[Pass, str]:
    """The pass and the reason, when this person may decide it now; raises what `approve` and `refuse` would."""
    one = await queries.one_pass(session, actor.school_id, pass_id)
    rules.checked_decider(actor, one)
    if one.state(now) is not rules.State.WAITING:
        raise Conflict("This was decided already, or its time has passed. Read it again.")
    return one, rules.checked_reason(reason)


async def approve(session: AsyncSession, actor: Actor, pass_id: str, *, reason: str, proof: Proof, now: datetime) -> None:
    """Approve exactly what was asked. Raises NotConfirmed without a proof that is for exactly this."""
    one, said = await decidable(session, actor, pass_id, reason, now)
    grant_id = await step_up.confirmed(session, actor, rules.approval_action(one, said, ""), proof, now)
    row = await session.get_one(GuestPass, pass_id)
    row.decided_by, row.decided_at, row.approved, row.decision_reason = actor.person_id, now, True, said
    row.grant_id = grant_id
    await publish(session, GuestApproved(one.guest_id, one.id, one.sponsor_id, said), actor)


async def refuse(session: AsyncSession, actor: Actor, pass_id: str, *, reason: str, now: datetime) -> None:
    one, said = await decidable(session, actor, pass_id, reason, now)
    row = await session.get_one(GuestPass, pass_id)
    row.decided_by, row.decided_at, row.approved, row.decision_reason = actor.person_id, now, False, said
    await publish(session, GuestRefused(one.guest_id, one.id, said), actor)


async def endable(session: AsyncSession, actor: Actor, pass_id: str, reason: str, now: datetime) -> tuple[Pass, str]:
    one = await queries.one_pass(session, actor.school_id, pass_id)
    rules.checked_ender(actor, one)
    if one.state(now) is not rules.State.APPROVED:
        raise Conflict("This pass is not in force any more. Read it again.")
    return one, rules.checked_reason(reason)


async def end(session: AsyncSession, actor: Actor, pass_id: str, *, reason: str, proof: Proof, now: datetime) -> None:
    """End the visit now: out of the room within a second, links dead, and signed out unless another pass stands."""
    one, said = await endable(session, actor, pass_id, reason, now)
    await step_up.confirmed(session, actor, rules.ending_action(one, said, ""), proof, now)
    row = await session.get_one(GuestPass, pass_id)
    row.revoked_by, row.revoked_at, row.revoked_because = actor.person_id, now, said
    await session.flush()
    await _stop_links(session, pass_id, now)
    await publish(session, GuestPassEnded(one.guest_id, one.id, said), actor)
    guest = await people.actor(session, one.guest_id)
    if guest is not None and guest.roles == {Role.GUEST} and not await queries.own_visits(session, guest):
        await sessions.end_all(session, actor, person_id=one.guest_id, why="guest", now=now)


async def end_all(session: AsyncSession, actor: Actor, because: str, now: datetime) -> int:
    """End every pass of the school that is not over, and stop every link, such as after a restore."""
    rows = (await session.exec(select(GuestPass).where(
        GuestPass.school_id == actor.school_id, col(GuestPass.approved).is_(True), col(GuestPass.revoked_at).is_(None),
        GuestPass.ends_at > now))).all()
    for row in rows:
        row.revoked_by, row.revoked_at, row.revoked_because = actor.person_id, now, because
        await session.flush()
        await _stop_links(session, row.id, now)
        await publish(session, GuestPassEnded(row.guest_id, row.id, because), actor)
    return len(rows)


async def _stop_links(session: AsyncSession, pass_id: str, now: datetime) -> None:
    await session.exec(update(GuestLink).where(
        col(GuestLink.pass_id) == pass_id, col(GuestLink.used_at).is_(None)).values(used_at=now))


# -- signing in -----------------------------------------------------------------------------------------------------------


async def make_link(session: AsyncSession, actor: Actor, pass_id: str, now: datetime) -> str:
    """A one-time link's token, shown once to the sponsor; earlier links of this pass stop. Only for people who have no other
    way in: a link never signs anybody in as a parent or a governor."""
    one = await queries.one_pass(session, actor.school_id, pass_id)
    if actor.person_id != one.sponsor_id:
        raise NotFound()
    if now >= one.ends_at or not await queries.standing(session, actor.school_id, [one]):
        raise Conflict("This visit is not approved, or it is over. There is nothing to go in to.")
    guest = await people.actor(session, one.guest_id)
    if guest is None or guest.roles != {Role.GUEST}:
        raise Conflict("This person has another part in the school. They sign in as they always do.")
    await _stop_links(session, pass_id, now)
    token = secrets.token_urlsafe(24)
    session.add(GuestLink(school_id=actor.school_id, pass_id=pass_id, token_hash=token_hash(token), made_by=actor.person_id,
                          made_at=now, expires_at=min(now + rules.LINK_LASTS, one.ends_at)))
    await publish(session, GuestLinkMade(one.guest_id, one.id), actor)
    return token


async def behind_link(session: AsyncSession, token: str) -> tuple[GuestLink, Pass, Actor]:
    """The link, its pass and its guest while it works, or LinkOver. Wrong, used, ended and expired look the same."""
    link = (await session.exec(select(GuestLink).where(GuestLink.token_hash == token_hash(token)))).first()
    now = session.info["clock"].now()
    if link is None or link.used_at is not None or now >= link.expires_at:
        raise LinkOver()
    one = await queries.one_pass(session, link.school_id, link.pass_id)
    guest = await people.actor(session, one.guest_id)
    if guest is None or guest.roles != {Role.GUEST} or not await queries.standing(session, link.school_id, [one]):
        raise LinkOver()
    return link, one, guest


async def enter(session: AsyncSession, token: str, now: datetime) -> str:
    """Sign the guest in, once. Returns the token for the cookie; the session ends with the pass at the latest."""
    link, one, guest = await behind_link(session, token)
    used = await session.exec(update(GuestLink).where(
        col(GuestLink.id) == link.id, col(GuestLink.used_at).is_(None)).values(used_at=now))
    if used.rowcount != 1:
        raise LinkOver()
    return await sessions.start(session, person_id=guest.person_id, school_id=guest.school_id, route="guest", now=now,
                                until=one.ends_at)
