"""Challenges of the WebAuthn ceremonies: made and signed here, bound to one purpose, one browser and one action, used once.

Nothing is kept until one has been answered: a ticket carries the nonce under a keyed hash, and the nonces that were answered
are remembered for as long as they could be tried again. Whoever asks for a million challenges fills no table.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from service.people.hashing import Pepper
from service.people.tables import SpentChallenge

KEPT = timedelta(hours=1)


@dataclass(frozen=True)
class Challenge:
    """`ticket` goes to the browser and comes back; `value` is what the authenticator signs."""

    ticket: str
    value: bytes
    nonce: str


def new(pepper: Pepper, purpose: str, bound_to: tuple[str, ...], until: datetime) -> Challenge:
    """A challenge for `purpose` (`register`, `sign-in`, `step-up`), bound to a session and, for step-up, an action's hash."""
    nonce, seconds = secrets.token_hex(16), int(until.timestamp())
    return Challenge(pepper.challenge(purpose, bound_to, nonce, seconds), _value(purpose, bound_to, nonce), nonce)


def behind(pepper: Pepper, purpose: str, bound_to: tuple[str, ...], ticket: str, now: datetime) -> Challenge | None:
    """The challenge of a ticket; None when it is forged, over, or was made for anything else."""
    nonce, _, rest = ticket.partition(".")
    until, _, _mac = rest.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) < 12) or now >= datetime.fromtimestamp(int(until), UTC):
        return None
    if not secrets.compare_digest(pepper.challenge(purpose, bound_to, nonce, int(until)).encode(), ticket.encode()):
        return None
    return Challenge(ticket, _value(purpose, bound_to, nonce), nonce)


def _value(purpose: str, bound_to: tuple[str, ...], nonce: str) -> bytes:
    return sha256("\0".join(("chaperone", purpose, nonce, *bound_to)).encode()).digest()


async def spend(session: AsyncSession, challenge: Challenge, *, school_id: str, now: datetime) -> bool:
    """Mark a challenge as answered. False when it was before: a replay."""
    if await session.get(SpentChallenge, challenge.nonce) is not None:
        return False
    await session.exec(delete(SpentChallenge).where(col(SpentChallenge.spent_at) < now - KEPT))
    session.add(SpentChallenge(nonce=challenge.nonce, school_id=school_id, spent_at=now))
    await session.flush()
    return True
