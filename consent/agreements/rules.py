"""Who signs which agreement, and whether it stands signed. Pure. policy: CO1, CO5"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from service.foundation.errors import Invalid
from service.foundation.events import STAFF, Role
from service.people.rules import sort_key


class Audience(StrEnum):
    """Whom one text of the acceptable use agreement is for."""

    STAFF = "staff"
    GOVERNORS = "governors"
    PUPILS = "pupils"
    PARENTS = "parents"
    GUESTS = "guests"


AUDIENCES = (
    (Audience.STAFF, STAFF | {Role.DPO}),
    (Audience.GOVERNORS, frozenset({Role.GOVERNOR, Role.CHAIR})),
    (Audience.PUPILS, frozenset({Role.PUPIL})),
    (Audience.PARENTS, frozenset({Role.PARENT})),
    (Audience.GUESTS, frozenset({Role.GUEST})),
)
YOUNGEST = frozenset({"N", "N1", "N2", "R", "1", "2"})  # a parent signs for them: EYFS and key stage 1


def audience(roles: Collection[Role]) -> Audience | None:
    """The agreement a person with these roles signs: that of the part that reaches furthest, so one signature each."""
    return next((found for found, members in AUDIENCES if members & set(roles)), None)


def parent_signs(year_group: str) -> bool:
    """Whether a pupil of this year is so young that a parent signs for them (policy: CO1)."""
    return year_group.strip().upper() in YOUNGEST


@dataclass(frozen=True)
class Signature:
    """`version` of the agreement that was signed; it stands up to the day before `renew_on`."""

    version: int
    signed_at: datetime
    renew_on: date


class Signing(StrEnum):
    SIGNED = "signed"
    DUE = "due"
    NOT_SIGNED = "not_signed"


DUE_DAYS = 30


def check_signing(agrees: bool, name: str, known_as: str, *, needs_name: bool) -> None:
    """Refuse a signature without the tick, or with another name than the school knows; accents and case are forgiven."""
    wrong = {}
    if not agrees:
        wrong["agree"] = "Tick the box to say you agree"
    if needs_name and sort_key(" ".join(name.split())) != sort_key(known_as):
        wrong["name"] = "Type your name as the school knows it"
    if wrong:
        raise Invalid("There is a problem", fields=wrong)


def signing(signatures: Iterable[Signature], current_version: int | None, on: date) -> Signing:
    """Whether the current version stands signed on a day, and whether it must be renewed within the month (policy: CO5).

    `current_version` None means that the school has no agreement for this audience: nobody can have signed it.
    """
    ends = [s.renew_on for s in signatures if s.version == current_version and s.renew_on > on]
    if not ends:
        return Signing.NOT_SIGNED
    return Signing.DUE if max(ends) <= on + timedelta(days=DUE_DAYS) else Signing.SIGNED
