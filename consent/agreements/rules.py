"""Who signs which agreement, whether it stands signed, and what a version may be. Pure. policy: CO1, CO5"""

import hashlib
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
WRITES = frozenset({Role.HEADTEACHER, Role.OFFICE})
"""Who adds a version."""


def audience(roles: Collection[Role]) -> Audience | None:
    """The agreement a person with these roles signs: that of the part that reaches furthest, so one signature each."""
    return next((found for found, members in AUDIENCES if members & set(roles)), None)


def parent_signs(year_group: str) -> bool:
    """Whether a pupil of this year is so young that a parent signs for them (policy: CO1)."""
    return year_group.strip().upper() in YOUNGEST


# -- signing ----------------------------------------------------------------------------------------------------------


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


def text_hash(text: str) -> str:
    """SHA-256 of the words, as it is kept with each signature: what was signed can be proved word for word."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_signing(agrees: bool, name: str, known_as: str, *, needs_name: bool) -> None:
    """Refuse a signature without the tick, or with another name than the school knows; accents and case are forgiven."""
    wrong = {}
    if not agrees:
        wrong["agree"] = "Tick the box to say you agree"
    if needs_name and sort_key(" ".join(name.split())) != sort_key(known_as):
        wrong["name"] = "Type your name as the school knows it"
    if wrong:
        raise Invalid("There is a problem", fields=wrong)


def check_seen(seen: str, text: str) -> None:
    """Nobody signs other words than those they were shown."""
    if seen != text_hash(text):
        raise Invalid("There is a problem", fields={"agree": "The agreement has changed. Read it again, then sign"})


def signing(signatures: Iterable[Signature], current_version: int | None, on: date) -> Signing:
    """Whether the current version stands signed on a day, and whether it must be renewed within the month (policy: CO5).

    `current_version` None means that the school has no agreement for this audience: nobody can have signed it.
    """
    ends = [s.renew_on for s in signatures if s.version == current_version and s.renew_on > on]
    if not ends:
        return Signing.NOT_SIGNED
    return Signing.DUE if max(ends) <= on + timedelta(days=DUE_DAYS) else Signing.SIGNED


# -- versions ---------------------------------------------------------------------------------------------------------

LONGEST, LONGEST_CHANGE, FURTHEST = 20_000, 500, timedelta(days=366)


@dataclass(frozen=True)
class Draft:
    """A version that somebody wants to add; `in_force_on`: the day from whose beginning it is the one to sign."""

    text: str
    what_changed: str
    in_force_on: date | None


def check_draft(draft: Draft, current: str | None, last_in_force_on: date | None, today: date) -> None:
    """Raises Invalid. `current`: the newest text there is; None for a first one, which may be in force at once.

    A later one begins with a day, so that nobody is sent out of a lesson that is on (policy: CO5).
    """
    wrong = {}
    if not draft.text.strip():
        wrong["text"] = "Write what people sign"
    elif len(draft.text) > LONGEST:
        wrong["text"] = f"Make it shorter: {LONGEST} characters at most"
    elif current is not None and draft.text.strip() == current.strip():
        wrong["text"] = "This is word for word the version there is. Change something first"
    if current is not None and not draft.what_changed.strip():
        wrong["what_changed"] = "Say what changed, in a sentence that everybody understands"
    elif len(draft.what_changed) > LONGEST_CHANGE:
        wrong["what_changed"] = f"Make it shorter: {LONGEST_CHANGE} characters at most"
    first = today if current is None else max(today, last_in_force_on or today) + timedelta(days=1)
    if draft.in_force_on is None:
        wrong["in_force_on"] = "Enter a date like 5/1/2027"
    elif not first <= draft.in_force_on <= today + FURTHEST:
        when = "today or a later day" if current is None else "a day after today, and after the newest version began"
        wrong["in_force_on"] = f"Choose {when}, within a year"
    if wrong:
        raise Invalid("There is a problem", fields=wrong)


# -- reminding --------------------------------------------------------------------------------------------------------

REMIND_AGAIN = timedelta(days=3)


def may_remind(last: datetime | None, now: datetime) -> bool:
    """Whether the people of one part may be reminded again: nobody is called every day."""
    return last is None or now - last >= REMIND_AGAIN
