"""Whom a family's call may go to, who may place it, and whether it may go on (policy: CM1, CM2, CM3, CM6). Pure.

`decide` is asked at dialling, again when somebody has answered, and every second after that, each time from facts that were read
anew. Whatever is not known is a refusal: no adult is called about a child on a guess, and a child never is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from service.calls.grants import Grant
from service.foundation.errors import NotAllowed, Unavailable
from service.foundation.events import LEADERS, SAFEGUARDING, Role
from service.people.profile import Profile
from service.people.rules import Flags, may_be_told
from service.people.telephones import Fit

ANYBODYS = LEADERS | SAFEGUARDING | {Role.OFFICE}
"""Who may call about any child of the school."""
CALLERS = frozenset({Role.TEACHER, Role.SUPPORT}) | ANYBODYS
"""And who about a child whom they teach."""
WATCHERS = LEADERS | SAFEGUARDING
"""Who see every call that is on, and end it."""
FRESH = timedelta(minutes=2)
"""How long after it was asked for a call may be begun."""


class Purpose(StrEnum):
    """Why a family is called. By `INCIDENT` it is shown that parents were told of one (policy: IN2)."""

    WELFARE = "welfare"
    ABSENCE = "absence"
    INCIDENT = "incident"
    CONSENT = "consent"
    OTHER = "other"


PURPOSE_WORDS = {
    Purpose.WELFARE: "How the child is", Purpose.ABSENCE: "The child was not there", Purpose.INCIDENT: "Something that happened",
    Purpose.CONSENT: "A permission", Purpose.OTHER: "Something else",
}


class Refused(NotAllowed):
    """This call is not allowed."""

    code = "call-refused"


class CannotTell(Unavailable):
    """We could not check the rules, so we did not call."""

    code = "call-not-checked"


# -- whom to call -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contact:
    """An adult in a child's life, as far as it decides whether they are called. `number`: None when the school has none.
    `shares`: whoever must not be called about this child answers the same telephone."""

    adult_id: str
    name: str
    relationship: str
    order: int
    responsibility: str
    court_order: str
    do_not_contact: bool
    number: Fit | None = None
    language: str = ""
    shares: bool = False
    is_here: bool = True

    @property
    def is_barred(self) -> bool:
        """Whether something stands against calling them, or is not known not to."""
        return not may_be_told(Flags(self.responsibility, self.court_order, self.do_not_contact))

    def may_be_called(self, *, is_demo: bool = False) -> bool:
        usable = self.number is Fit.GOOD or (is_demo and self.number is Fit.DRAMA)
        return usable and self.is_here and not self.is_barred and not self.shares


def in_order(contacts: Iterable[Contact]) -> list[Contact]:
    """As the school calls them: by contact order, then by name, so that two look the same twice."""
    return sorted(contacts, key=lambda one: (one.order, one.name, one.adult_id))


# -- whether a call may be ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """What the school's profile says of calls. Times are on the school's wall."""

    opens: time
    closes: time
    a_child_a_day: int
    a_family_an_hour: int


def limits(profile: Profile) -> Limits:
    return Limits(time(profile.calls_from), time(profile.calls_until), profile.calls_a_child_a_day,
                  profile.calls_a_family_an_hour)


@dataclass(frozen=True)
class Facts:
    """What is true of a call now. The defaults refuse: a fact that nobody found is none.

    roles          that the caller holds; none once they have left
    is_signed_in   in the sign-in that the call is placed from
    is_cleared     DBS check and agreement (policy: AC8, CO1)
    teaches        the child is in a class or a lesson of the caller's
    is_child       the call is about a child who is at this school
    contact        the adult to call; None when nothing links the two
    is_closed      the school's flags may be those of an old back-up
    about_child    calls placed today about this child; `to_family`: in the last hour to any adult of theirs. Neither counts this
    caller_is_busy, callee_is_busy   by another call than this
    has_shown      the school has a number to show
    by_telephone   the caller speaks on their own telephone; then `grant` is the leader's, and `own_number` theirs
    is_family      the caller is an adult of this child, or of another child of whom the adult to call is one
    """

    caller: str
    roles: frozenset[Role] = frozenset()
    is_signed_in: bool = False
    is_cleared: bool = False
    teaches: bool = False
    is_child: bool = False
    contact: Contact | None = None
    purpose: str = ""
    is_demo: bool = False
    is_closed: bool = True
    zone: str = "Europe/London"
    is_school_day: bool = False
    about_child: int | None = None
    to_family: int | None = None
    caller_is_busy: bool = True
    callee_is_busy: bool = True
    has_shown: bool = False
    by_telephone: bool = False
    own_number: Fit | None = None
    grant: Grant | None = None
    is_family: bool = True


@dataclass(frozen=True)
class Allowed:
    """The call may be placed, be connected, go on."""


@dataclass(frozen=True)
class Not:
    """It may not. `code` for the audit, `words` for the caller."""

    code: str
    words: str


NOT_YOU = Not("caller", "You cannot call families. Ask the office to ring.")
SIGNED_OUT = Not("signed-out", "You were signed out, so the call ended. Sign in again.")
NOT_CLEARED = Not("not-cleared", "You cannot call families until your DBS check and your agreement are in order. Ask the office.")
NOT_YOURS = Not("not-yours", "You do not teach this child. Ask the office to ring.")
OWN_FAMILY = Not("own-family", "You are of this child’s family. A colleague has to do this.")
DO_NOT_CALL = Not("do-not-call", "Do not call. Ask the DSL.")
NO_PURPOSE = Not("purpose", "Choose why you call.")
CLOSED = Not("closed", "We could not check the rules, so we did not call. Ask the headteacher: the school was restored from a "
                       "back-up, and what was withdrawn since is not entered again yet.")
TOO_OFTEN_CHILD = Not("often-child", "There were enough calls about this child today. Ask the DSL.")
TOO_OFTEN_FAMILY = Not("often-family", "This family was called a short time ago. Wait an hour, or ask the DSL.")
YOU_ARE_BUSY = Not("caller-busy", "You are in a call already. End it first.")
THEY_ARE_BUSY = Not("callee-busy", "Somebody at school is calling them now. Try again in a few minutes.")
NO_SCHOOL_NUMBER = Not("no-school-number", "The school has no number to show yet. Ask the office to enter it.")
NO_GRANT = Not("no-grant", "You need approval to use a personal phone. Ask for approval.")
NO_OWN_NUMBER = Not("no-own-number", "Enter the number of your own phone first.")


def outside(limit: Limits) -> Not:
    return Not("hours", f"Calls are allowed {_clock(limit.opens)} to {_clock(limit.closes)}.")


def _clock(at: time) -> str:
    return f"{(at.hour - 1) % 12 + 1}{f':{at.minute:02}' if at.minute else ''}{'am' if at.hour < 12 else 'pm'}"


def decide(facts: Facts, limit: Limits, now: datetime, *, is_placed: bool = False) -> Allowed | Not:
    """Whether this call may be now. `is_placed`: it was, by this rule: how often others are called stops no call that is on."""
    return next((refusal for holds, refusal in _needs(facts, limit, now, is_placed) if not holds), Allowed())


def _needs(facts: Facts, limit: Limits, now: datetime, is_placed: bool) -> Iterable[tuple[bool, Not]]:
    is_dsl = bool(facts.roles & SAFEGUARDING)
    yield bool(facts.roles & CALLERS), NOT_YOU
    yield facts.is_signed_in, SIGNED_OUT
    yield facts.is_cleared, NOT_CLEARED
    yield not facts.is_closed, CLOSED
    yield facts.is_child, DO_NOT_CALL
    yield bool(facts.roles & ANYBODYS) or facts.teaches, NOT_YOURS
    yield not facts.is_family, OWN_FAMILY
    yield _may_be_called(facts), DO_NOT_CALL
    yield facts.purpose in set(Purpose), NO_PURPOSE
    yield is_dsl or _is_open(facts, limit, now), outside(limit)
    if not is_placed:
        yield is_dsl or _below(facts.about_child, limit.a_child_a_day), TOO_OFTEN_CHILD
        yield is_dsl or _below(facts.to_family, limit.a_family_an_hour), TOO_OFTEN_FAMILY
    yield not facts.caller_is_busy, YOU_ARE_BUSY
    yield not facts.callee_is_busy, THEY_ARE_BUSY
    yield facts.has_shown, NO_SCHOOL_NUMBER
    if facts.by_telephone:
        yield facts.grant is not None and facts.grant.stands(facts.caller, now), NO_GRANT
        yield facts.own_number is Fit.GOOD or (facts.is_demo and facts.own_number is Fit.DRAMA), NO_OWN_NUMBER


def _may_be_called(facts: Facts) -> bool:
    """An adult of this child's, and nobody who calls themselves about their own child."""
    one = facts.contact
    return one is not None and one.adult_id != facts.caller and one.may_be_called(is_demo=facts.is_demo)


def _is_open(facts: Facts, limit: Limits, now: datetime) -> bool:
    return facts.is_school_day and limit.opens <= now.astimezone(ZoneInfo(facts.zone)).time() < limit.closes


def _below(number: int | None, most: int) -> bool:
    return number is not None and number < most
