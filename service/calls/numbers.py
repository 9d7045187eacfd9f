"""The only reader of numbers: opened for a call that is being placed, and for the office's contact page (policy: CM1, CM5).

Whoever wants to know whether somebody has a number, or whether two answer the same one, gets a kind and a keyed hash.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import structlog
from cryptography.exceptions import InvalidTag
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from service.calls.number import Number
from service.foundation.errors import Invalid
from service.people import numbers, telephones
from service.people.hashing import Pepper
from service.people.tables import Telephone
from service.people.telephones import Fit

log = structlog.get_logger(__name__)
FAMILY, OWN, SCHOOL = "family", "own", "school"
NO_NUMBER = "Enter a telephone number that can be called, like 01632 960123. Not an emergency, premium or 070 number"


@dataclass(frozen=True)
class Known:
    """What may be known of somebody's number without reading it."""

    fit: Fit
    hash: str
    language: str
    noted_at: datetime


def opened(pepper: Pepper, school_id: str, owner_id: str, cipher: str) -> Number | None:
    """The number; None where it was moved from another row, changed, or sealed under another key."""
    try:
        return Number(pepper.unseal(numbers.PURPOSE, numbers.bound(school_id, owner_id), cipher))
    except (InvalidTag, ValueError):
        log.warning("number.unreadable", school_id=school_id)
        return None


async def number(session: AsyncSession, pepper: Pepper, school_id: str, owner_id: str, kind: str) -> Number | None:
    row = (await session.exec(_wanted(school_id, [owner_id], kind))).first()
    return opened(pepper, school_id, owner_id, row.cipher) if row else None


async def known(session: AsyncSession, pepper: Pepper, school_id: str, owner_ids: Collection[str],
                kind: str) -> dict[str, Known]:
    """What may be known of the numbers of these owners; who has none, or one that opens for nobody, is not in it."""
    found = {}
    for row in (await session.exec(_wanted(school_id, owner_ids, kind))).all():
        one = opened(pepper, school_id, row.owner_id, row.cipher)
        if one is not None:
            found[row.owner_id] = Known(telephones.fit(one.e164), row.hash, row.language, row.noted_at)
    return found


async def hashes(session: AsyncSession, school_id: str, owner_ids: Collection[str], kind: str) -> dict[str, str]:
    """By what the numbers of these owners are known to be the same as before, without opening any."""
    return {row.owner_id: row.hash for row in (await session.exec(_wanted(school_id, owner_ids, kind))).all()}


async def owners(session: AsyncSession, pepper: Pepper, school_id: str, given: str) -> set[str]:
    """Whose family number this is: nobody's, somebody's, or that of two who share a telephone."""
    one = numbers.sealed(pepper, school_id, "", given)
    rows = await session.exec(select(Telephone.owner_id).where(
        Telephone.school_id == school_id, Telephone.kind == FAMILY, Telephone.hash == one.hash)) if one else ()
    return set(rows)


def _wanted(school_id: str, owner_ids: Collection[str], kind: str) -> SelectOfScalar[Telephone]:
    return select(Telephone).where(
        Telephone.school_id == school_id, Telephone.kind == kind, col(Telephone.owner_id).in_(list(owner_ids)))


async def keep(session: AsyncSession, pepper: Pepper, school_id: str, owner_id: str, kind: str,
               given: str | Number, now: datetime) -> None:
    """Take the place of the owner's number of this kind. Raises Invalid without repeating what was entered."""
    one = numbers.sealed(pepper, school_id, owner_id, given.e164 if isinstance(given, Number) else given)
    if one is None:
        raise Invalid(fields={"number": NO_NUMBER})
    await forget(session, school_id, [owner_id], (kind,))
    session.add(Telephone(school_id=school_id, owner_id=owner_id, kind=kind, cipher=one.cipher, hash=one.hash, noted_at=now))
    await session.flush()


async def forget(session: AsyncSession, school_id: str, owner_ids: Collection[str],
                 kinds: Collection[str] = (FAMILY, OWN)) -> None:
    """Numbers of people who have left are somebody else's before long."""
    await session.exec(delete(Telephone).where(
        col(Telephone.school_id) == school_id, col(Telephone.owner_id).in_(list(owner_ids)),
        col(Telephone.kind).in_(list(kinds))))


def shown(one: Number) -> str:
    """In figures, for the office's contact page and for nothing else."""
    return telephones.written(one.e164)
