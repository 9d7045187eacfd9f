"""Which adults stand where in a child's life. What protects a child one person adds and only two take away (policy: CM1)."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor
from service.people import queries, rules
from service.people.commands import find, note_roster
from service.people.events import (
    GuardianshipAdded,
    GuardianshipChangeAsked,
    GuardianshipChanged,
    GuardianshipChangeRefused,
)
from service.people.tables import Guardianship, GuardianshipChange


async def add(session: AsyncSession, actor: Actor, child_id: str, guardian_id: str) -> str:
    """Link an adult to a child, with nothing known yet: no power, until somebody says what they may do. Returns the id."""
    child, guardian = await find(session, actor, child_id), await find(session, actor, guardian_id)
    if child.kind != "child" or guardian.kind != "adult":
        raise NotFound()
    existing = (await session.exec(select(Guardianship).where(Guardianship.child_id == child_id))).all()
    if any(link.guardian_id == guardian_id for link in existing):
        raise Conflict("This adult is linked to this child already.")
    link = Guardianship(school_id=actor.school_id, guardian_id=guardian_id, child_id=child_id, contact_order=len(existing) + 1)
    session.add(link)
    await note_roster(session, actor.school_id)
    await publish(session, GuardianshipAdded(child_id, guardian_id), actor)
    return link.id


async def _link(session: AsyncSession, actor: Actor, link_id: str) -> Guardianship:
    link = await session.get(Guardianship, link_id)
    if link is None or link.school_id != actor.school_id:
        raise NotFound()
    return link


async def change(session: AsyncSession, actor: Actor, link_id: str, *, relationship: str, contact_order: int,
                 lives_with: bool | None, flags: rules.Flags, reason: str, now: datetime) -> bool:
    """Change a link. What protects the child more takes effect at once; what protects less waits for a second person.

    Returns whether something waits. The first answer to something unknown is written down by the office alone, except
    that nobody alone can say that there is no court order against somebody of whom a “yes” was recorded.
    """
    link = await _link(session, actor, link_id)
    rules.checked_flags(flags)
    if actor.person_id == link.guardian_id:
        raise Conflict("You cannot change your own place in a child's life. Ask a colleague.")
    if not 1 <= contact_order <= 9:
        raise Invalid(fields={"contact_order": "Choose between 1 and 9"})
    waits = rules.lessens(queries.flags_of(link), flags)
    if waits and not reason.strip():
        raise Invalid(fields={"reason": "Say why, for the second person"})
    now_in = {"relationship": relationship.strip()[:40], "contact_order": contact_order, "lives_with": lives_with}
    if not waits:
        now_in |= {"parental_responsibility": flags.parental_responsibility, "court_order": flags.court_order,
                   "do_not_contact": flags.do_not_contact}
    fields = tuple(name for name, value in now_in.items() if getattr(link, name) != value)
    for name in fields:
        setattr(link, name, now_in[name])
    if fields:
        await note_roster(session, actor.school_id)
        await publish(session, GuardianshipChanged(link.child_id, link.guardian_id, fields), actor)
    if rules.CAREFUL.keys() & set(fields):
        await say_no_more(session, [link.id], now)
    if waits:
        await _ask(session, actor, link, flags, reason.strip()[:500], now)
    return waits


async def _ask(session: AsyncSession, actor: Actor, link: Guardianship, flags: rules.Flags, reason: str, now: datetime) -> None:
    before = queries.flags_of(link)
    for older in (await session.exec(select(GuardianshipChange).where(
            GuardianshipChange.guardianship_id == link.id, GuardianshipChange.decided_at == None))).all():  # noqa: E711
        older.decided_at, older.decided_by, older.agreed = now, actor.person_id, False
    session.add(GuardianshipChange(
        school_id=actor.school_id, guardianship_id=link.id, parental_responsibility=flags.parental_responsibility,
        court_order=flags.court_order, do_not_contact=flags.do_not_contact, reason=reason, asked_by=actor.person_id, asked_at=now,
    ))
    fields = tuple(name for name in rules.CAREFUL if getattr(before, name) != getattr(flags, name))
    await publish(session, GuardianshipChangeAsked(link.child_id, link.guardian_id, fields), actor)


async def decide(session: AsyncSession, actor: Actor, change_id: str, *, agrees: bool, now: datetime) -> None:
    """The second person agrees, and the change takes effect at once; or does not, and nothing changes."""
    asked = await session.get(GuardianshipChange, change_id)
    if asked is None or asked.school_id != actor.school_id:
        raise NotFound()
    if asked.decided_at is not None:
        raise Conflict()
    asker = await queries.actor(session, asked.asked_by)
    rules.checked_second(actor, asked.asked_by, asker.roles if asker else frozenset())
    link = await _link(session, actor, asked.guardianship_id)
    if actor.person_id == link.guardian_id:
        raise Conflict("You cannot decide about your own place in a child's life.")
    asked.decided_by, asked.decided_at, asked.agreed = actor.person_id, now, agrees
    if not agrees:
        await publish(session, GuardianshipChangeRefused(link.child_id, link.guardian_id), actor)
        return
    fields = tuple(name for name in rules.CAREFUL if getattr(link, name) != getattr(asked, name))
    for name in fields:
        setattr(link, name, getattr(asked, name))
    await note_roster(session, actor.school_id)
    await publish(session, GuardianshipChanged(link.child_id, link.guardian_id, fields, asked.asked_by), actor)
    await say_no_more(session, [link.id], now)


async def say_no_more(session: AsyncSession, link_ids: Collection[str], now: datetime) -> None:
    """Of these links, which changed: what was to be said of a family to somebody who must not be told any more is called off
    (threat T19)."""
    links = (await session.exec(select(Guardianship).where(col(Guardianship.id).in_(link_ids)))).all() if link_ids else ()
    silent = {link.guardian_id for link in links if not rules.may_be_told(queries.flags_of(link))}
    if silent:
        await mail.call_off_news(session, people=silent, now=now)
