"""One-time codes from an app on a phone: TOTP (RFC 6238), SHA-1, six digits, 30 seconds. policy: AC9.

A code works once: the time step of the last accepted one is kept, and only a later one is accepted (RFC 6238 section 5.2).
One step of clock drift either way is forgiven. Five wrong codes close them for 15 minutes.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any

import pyotp
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid
from service.foundation.events import Actor
from service.people.actions import ENROLMENT_LASTS
from service.people.events import OneTimeCodesSet, OneTimeCodesStopped
from service.people.hashing import Pepper
from service.people.tables import OneTimeCodes

SECONDS = 30
DRIFT = 1
TRIES = 5
LOCKED_FOR = timedelta(minutes=15)
PURPOSE = "one-time-codes"


def matching_step(secret: str, code: str, now: datetime, after: int) -> int | None:
    """The time step whose code this is, when it is near `now` and later than `after`; else None."""
    current = int(now.timestamp()) // SECONDS
    codes = pyotp.TOTP(secret)
    near = range(current - DRIFT, current + DRIFT + 1)
    fitting = [step for step in near if secrets.compare_digest(codes.generate_otp(step).encode(), code.encode())]
    return next((step for step in fitting if step > after), None)


def normal(code: str) -> str:
    """The digits of what was typed; empty when it cannot be a code."""
    digits = "".join(code.split())
    return digits if len(digits) == 6 and digits.isascii() and digits.isdigit() else ""


def address(secret: str, *, email: str, school: str) -> str:
    """The otpauth: address that the square on the page stands for, as authenticator apps read it."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=f"Chaperone {school}")


async def accepted(session: AsyncSession, pepper: Pepper, person_id: str, code: str, now: datetime) -> str:
    """Use up a code. Empty when it was right; else `wrong`, `used-code` or `locked`. Counted where it is compared."""
    row = await session.get(OneTimeCodes, person_id, with_for_update=True)
    if row is None or row.confirmed_at is None:
        return "wrong"
    if row.locked_until and now < row.locked_until:
        return "locked"
    secret, typed = pepper.unseal(PURPOSE, person_id, row.secret), normal(code)
    step = matching_step(secret, typed, now, row.last_step)
    if step is not None:
        row.last_step, row.failures, row.locked_until = step, 0, None
        return ""
    if matching_step(secret, typed, now, 0) is not None:
        return "used-code"
    row.failures += 1
    if row.failures >= TRIES:
        row.failures, row.locked_until = 0, now + LOCKED_FOR
    return "locked" if row.locked_until and now < row.locked_until else "wrong"


async def begin(session: AsyncSession, pepper: Pepper, actor: Actor, *, rests_until: datetime, now: datetime) -> str:
    """A new secret, shown until a code confirms it. Begun again, it is another one."""
    row = await session.get(OneTimeCodes, actor.person_id)
    if row is not None and row.confirmed_at is not None:
        raise Conflict("You have one-time codes already. Remove them first.")
    secret = pyotp.random_base32()
    await session.merge(OneTimeCodes(
        person_id=actor.person_id, school_id=actor.school_id, secret=pepper.seal(PURPOSE, actor.person_id, secret), begun_at=now,
        rests_until=rests_until,
    ))
    return secret


async def begun(session: AsyncSession, pepper: Pepper, actor: Actor) -> str:
    """The secret that waits to be confirmed, to show it again. Raises Conflict when none does, or not any more: what was begun
    and left would be read by whoever comes to the screen next, and its rest would pass unseen (threat T5).
    """
    row = await session.get(OneTimeCodes, actor.person_id)
    if row is None or row.confirmed_at is not None or session.info["clock"].now() >= row.begun_at + ENROLMENT_LASTS:
        raise Conflict("Start again from your account page.")
    return pepper.unseal(PURPOSE, actor.person_id, row.secret)


async def confirm(session: AsyncSession, pepper: Pepper, actor: Actor, code: str, now: datetime) -> None:
    """The first code shows that the app has the secret; from now on the codes count."""
    secret = await begun(session, pepper, actor)
    step = matching_step(secret, normal(code), now, 0)
    if step is None:
        raise Invalid(fields={"code": "This is not the code. Enter the 6 numbers that the app shows now"})
    row = await session.get_one(OneTimeCodes, actor.person_id)
    row.confirmed_at, row.last_step = now, step
    await publish(session, OneTimeCodesSet(actor.person_id), actor)


async def stop(session: AsyncSession, actor: Actor, person_id: str, why: str) -> None:
    """A person's codes end. `why`: `removed` or `reset`."""
    row = await session.get(OneTimeCodes, person_id)
    if row is None:
        return
    await session.delete(row)
    if row.confirmed_at is not None:
        await publish(session, OneTimeCodesStopped(person_id, why), actor)


async def demo(session: AsyncSession, state: Any, person_id: str, now: datetime) -> dict[str, str] | None:
    """The password and the next code of a demo person, shown only while `chaperone dev` runs: it invented both at its start."""
    password, secret = getattr(state, "dev_proofs", {}).get(person_id, ("", ""))
    row = await session.get(OneTimeCodes, person_id) if secret else None
    if row is None or state.pepper.unseal(PURPOSE, person_id, row.secret) != secret:
        return None
    current = int(now.timestamp()) // SECONDS
    return {"password": password, "code": pyotp.TOTP(secret).generate_otp(min(max(current, row.last_step + 1), current + DRIFT))}
