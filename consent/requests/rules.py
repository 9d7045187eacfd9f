"""Asking many families at once: on which days they are told, when somebody may tell them again, whom the office rings. Pure.

policy: CO2, CO3, CO5
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from consent.rules import Purpose, Status
from service.foundation.errors import Conflict, Invalid

TOLD_ON = (0, 3, 7)
"""Days after the request on which a family that has not answered is told that a question waits (N2)."""
AGAIN_AFTER = timedelta(days=3)
RENEWAL = (7, 30)
"""Days before a yes ends on which who gave it is told, the nearest first."""
LONGEST = timedelta(days=90)
WAITS = frozenset({Status.NO_RESPONSE, Status.EXPIRED})


class TooSoon(Conflict):
    """You reminded these families a short while ago."""

    code = "too-soon"


class Call(StrEnum):
    """Why the office rings a family rather than wait."""

    DIFFER = "differ"
    NOBODY = "nobody"
    LATE = "late"


@dataclass(frozen=True)
class Asked:
    """What a request asks for and until when."""

    purposes: tuple[Purpose, ...]
    asked_on: date
    deadline: date
    is_over: bool = False

    def only(self, purposes: Collection[Purpose]) -> "Asked":
        """Of what it asks, these."""
        return replace(self, purposes=tuple(purpose for purpose in self.purposes if purpose in purposes))

    def told_now(self, today: date) -> int | None:
        """The latest day of `TOLD_ON` that has come; None once it is over."""
        passed = (today - self.asked_on).days
        return None if self.is_over else max((day for day in TOLD_ON if day <= passed), default=None)

    def open_of(self, statuses: Mapping[Purpose, Status]) -> tuple[Purpose, ...]:
        """What the family of one child has still to answer."""
        return tuple(purpose for purpose in self.purposes if statuses.get(purpose, Status.NO_RESPONSE) in WAITS)

    def call(self, statuses: Mapping[Purpose, Status], can_be_told: bool, today: date) -> Call | None:
        """Whether the office rings this family, and why."""
        if any(statuses.get(purpose) is Status.CONFLICT for purpose in self.purposes):
            return Call.DIFFER
        if not self.open_of(statuses):
            return None
        if not can_be_told:
            return Call.NOBODY
        return Call.LATE if today > self.deadline or (today - self.asked_on).days > TOLD_ON[-1] else None


def check_new(purposes: Collection[Purpose], deadline: date | None, today: date) -> date:
    """The deadline, or Invalid with words for each box."""
    wrong = {} if purposes else {"purposes": "Choose at least one permission"}
    if deadline is None:
        wrong["deadline"] = "Enter the day, such as 27 3 2026"
    elif not today < deadline <= today + LONGEST:
        wrong["deadline"] = "Choose a day after today and within three months"
    if wrong or deadline is None:
        raise Invalid("There is a problem", fields=wrong)
    return deadline


def again_from(last: datetime | None) -> datetime | None:
    """From when somebody may send another reminder; None: now, because nobody has sent any."""
    return None if last is None else last + AGAIN_AFTER


def check_again(last: datetime | None, now: datetime) -> None:
    """Nobody is worn down by mails: raises TooSoon within three days of the last."""
    opens = again_from(last)
    if opens is not None and now < opens:
        raise TooSoon(f"You can send again on {opens:%A}.")


def renewal_day(ends_on: date, today: date) -> int:
    """Which of the days before a yes ends has been reached; 0 while none has, or once it is over."""
    left = (ends_on - today).days
    return next((days for days in RENEWAL if 0 < left <= days), 0)
