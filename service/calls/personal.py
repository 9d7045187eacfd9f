"""Asking for a personal telephone, deciding, ending, and the number of one's own telephone (policy: CM3).

A leader who is not the asker approves exactly what was asked, with a reason and a proof of identity. Whether a grant stands is
asked at dialling, at the answer and every second of the call; its end drops a call that rests on it.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls import grants, numbers, queries
from service.calls.events import (
    OwnNumberChanged,
    PersonalPhoneApproved,
    PersonalPhoneAsked,
    PersonalPhoneEnded,
    PersonalPhoneRefused,
)
from service.calls.grants import Grant, State
from service.calls.rules import NO_OWN_NUMBER
from service.calls.tables import PersonalPhone
from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import Actor
from service.people import queries as people
from service.people import step_up
from service.people.hashing import Pepper
from service.people.step_up import Proof
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals.rules import JUST_MADE

SOON = timedelta(days=1)


async def keep_own_number(session: AsyncSession, actor: Actor, pepper: Pepper, number: str, now: datetime) -> None:
    """The number of one's own telephone, sealed; nobody reads it, families least of all. Empty: taken back."""
    if number.strip():
        await numbers.keep(session, pepper, actor.school_id, actor.person_id, numbers.OWN, number, now)
    else:
        await numbers.forget(session, actor.school_id, [actor.person_id], (numbers.OWN,))
    await publish(session, OwnNumberChanged(actor.person_id), actor)


async def ask(session: AsyncSession, actor: Actor, *, why: str, until: date | None, ends_at: datetime | None, today: date,
              now: datetime) -> str:
    """Ask to use one's own telephone. `ends_at`: the end of the last day on the school's wall. Returns the request's id."""
    said = " ".join(why.split())
    wrong = grants.asking_problems(said, until, today)
    if wrong or ends_at is None:
        raise Invalid(fields=wrong)
    number = (await numbers.hashes(session, actor.school_id, [actor.person_id], numbers.OWN)).get(actor.person_id)
    if number is None:
        raise Invalid(fields={"number": NO_OWN_NUMBER.words})
    waiting = [one for one in await queries.grants(session, actor.school_id, actor.person_id) if one.state(now) is State.WAITING]
    if waiting:
        raise Conflict("You asked for this already. A leader decides.")
    row = PersonalPhone(school_id=actor.school_id, person_id=actor.person_id, why=said, until=ends_at, asked_at=now,
                        number_hash=number)
    session.add(row)
    await session.flush()
    await publish(session, PersonalPhoneAsked(actor.person_id, row.id, ends_at.isoformat()), actor)
    return row.id


async def decidable(session: AsyncSession, actor: Actor, request_id: str, reason: str, now: datetime) -> tuple[Grant, str]:
    """The request and the reason, when this person may decide it now; raises what `approve` and `refuse` would."""
    one = await queries.grant(session, actor.school_id, request_id)
    grants.checked_decider(actor, one.person_id)
    if one.state(now) is not State.WAITING:
        raise Conflict("This was decided already, or its time has passed. Read it again.")
    return one, grants.checked_reason(reason)


async def approve(session: AsyncSession, actor: Actor, request_id: str, *, reason: str, proof: Proof, now: datetime) -> None:
    """Approve exactly what was asked. Raises NotConfirmed without a proof that is for exactly this."""
    one, said = await decidable(session, actor, request_id, reason, now)
    if await approved.gave_roles(session, actor, {one.person_id}, since=now - SOON):
        raise NotAllowed(JUST_MADE)
    grant_id = await step_up.confirmed(session, actor, grants.approval_action(one, said, ""), proof, now)
    row = await session.get_one(PersonalPhone, request_id)
    row.decided_by, row.decided_at, row.approved, row.reason, row.grant_id = actor.person_id, now, True, said, grant_id
    await publish(session, PersonalPhoneApproved(one.person_id, one.id, grant_id), actor)


async def refuse(session: AsyncSession, actor: Actor, request_id: str, *, reason: str, now: datetime) -> None:
    one, said = await decidable(session, actor, request_id, reason, now)
    row = await session.get_one(PersonalPhone, request_id)
    row.decided_by, row.decided_at, row.approved, row.reason = actor.person_id, now, False, said
    await publish(session, PersonalPhoneRefused(one.person_id, one.id), actor)


async def end(session: AsyncSession, actor: Actor, request_id: str, *, because: str, now: datetime) -> None:
    """A leader, or whoever holds it, ends a grant at once: it needs no proof of identity, because it only takes away."""
    one = await queries.grant(session, actor.school_id, request_id)
    if actor.person_id != one.person_id and not actor.roles & grants.DECIDE:
        raise NotAllowed("A senior leader, the headteacher or whoever holds it ends it.")
    if one.state(now) not in (State.IN_FORCE, State.LAPSED):
        raise Conflict("This is not in force any more. Read it again.")
    row = await session.get_one(PersonalPhone, request_id)
    await _end(session, actor, row, grants.checked_reason(because), now)


async def _end(session: AsyncSession, actor: Actor, row: PersonalPhone, because: str, now: datetime) -> None:
    row.revoked_by, row.revoked_at, row.revoked_because = actor.person_id, now, because
    await publish(session, PersonalPhoneEnded(row.person_id, row.id), actor)


async def end_all(session: AsyncSession, actor: Actor, because: str, now: datetime) -> int:
    """End every grant of the school, such as after a restore."""
    rows = (await session.exec(select(PersonalPhone).where(
        PersonalPhone.school_id == actor.school_id, col(PersonalPhone.approved).is_(True),
        col(PersonalPhone.revoked_at).is_(None), PersonalPhone.until > now))).all()
    for row in rows:
        await _end(session, actor, row, because, now)
    return len(rows)


async def last_moment(session: AsyncSession, school_id: str, day: date | None) -> datetime | None:
    """The end of a day on the school's wall."""
    zone = ZoneInfo((await people.school(session, school_id)).zone)
    return datetime.combine(day + timedelta(1), datetime.min.time(), zone).astimezone(UTC) if day and day < date.max else None
