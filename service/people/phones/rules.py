"""When an invitation works, when a new phone's yes counts, and what a refresh token that comes again means. Pure.

policy: CO1, AC1, AC2
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.foundation.errors import Conflict, Invalid, NotAllowed, NotSignedIn

INVITATION_LASTS = timedelta(days=7)
CODE_TRIES = 5
OPENED_LASTS = timedelta(minutes=15)
ACCESS_LASTS = timedelta(minutes=5)
RETRY_WITHIN = timedelta(seconds=10)
UNUSED_FOR = timedelta(days=30)
LONGEST = timedelta(days=365)
REST = timedelta(hours=24)
MOST = 10


class InvitationRefused(Invalid):
    """This invitation does not work. Ring the office."""

    code = "invitation-refused"


class PasskeyRefused(Invalid):
    """We could not check your passkey. Try again."""

    code = "passkey-refused"


class TokenRefused(NotSignedIn):
    """Sign in again on this phone."""

    code = "invalid-token"


class TooManyPhones(Conflict):
    """You have 10 phones already. Sign one of them out first."""

    code = "too-many-phones"


class NoChild(Conflict):
    """No child is linked to this person in a way that lets them use the app. Look at the record of the family first."""

    code = "no-child"


class OtherHalf(NotAllowed):
    """You made the letter. Another person makes the code, so that nobody gets into a parent's account alone."""

    code = "second-person"


def new_code() -> str:
    """Six figures. Those that everybody tries first are never given."""
    while True:
        code = f"{secrets.randbelow(1_000_000):06}"
        if len(set(code)) > 2 and code not in "01234567890" and code not in "09876543210":
            return code


def normal_code(typed: str) -> str:
    """The figures of what was typed; empty when it cannot be a code."""
    figures = "".join(typed.replace("-", " ").split())
    return figures if len(figures) == 6 and figures.isascii() and figures.isdigit() else ""


@dataclass(frozen=True)
class Invited:
    """What stands of an invitation. `has_code`: whether the code was made yet."""

    expires_at: datetime
    failures: int
    is_over: bool
    has_code: bool


def invitation_refusal(invited: Invited | None, *, code_fits: bool, child_fits: bool, is_blocked: bool, now: datetime) -> str:
    """Why an invitation does not open, for the audit alone; empty when it does. Whoever asks is told one thing for them all."""
    checks = (
        ("unknown", invited is not None),
        ("over", invited is not None and not invited.is_over and now < invited.expires_at),
        ("no-code", invited is not None and invited.has_code),
        ("tries", invited is not None and invited.failures < CODE_TRIES),
        ("blocked", not is_blocked),
        ("wrong", code_fits and child_fits),
    )
    return next((why for why, holds in checks if not holds), "")


def counts_as_try(why: str) -> bool:
    """Whether a refusal was a wrong guess at an invitation that works."""
    return why == "wrong"


def rests_until(*, is_first: bool, in_person: bool, is_live: bool, now: datetime) -> datetime | None:
    """From when a yes given on a new phone counts; None: at once. A no always does (threat T19).

    A day later, so that whoever owns the account hears of the new phone before it can permit anything. At once only for
    somebody's first phone ever, from an invitation that the office handed over to them in person: nobody else can have had
    it, and there is no earlier phone to warn.
    """
    return None if (is_first and in_person) or not is_live else now + REST


class Refresh(StrEnum):
    """What a refresh token that was presented is."""

    GOOD = "good"
    RETRY = "retry"
    REUSED = "reused"
    OVER = "over"


def refreshed(*, used_at: datetime | None, retried_at: datetime | None, next_used: bool, is_over: bool, now: datetime) -> Refresh:
    """A used token is forgiven once, soon, and only while what it was changed for was not used: its answer was lost. Later, or
    again, somebody has a copy (RFC 9700 section 4.14.2)."""
    if is_over:
        return Refresh.OVER
    if used_at is None:
        return Refresh.GOOD
    soon = now - used_at <= RETRY_WITHIN
    return Refresh.RETRY if soon and retried_at is None and not next_used else Refresh.REUSED


def ends_at(started_at: datetime, now: datetime) -> datetime:
    """Until when a phone stays signed in: 30 days from its last use, and a year at most."""
    return min(now + UNUSED_FOR, started_at + LONGEST)
