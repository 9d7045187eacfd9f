"""How a breach stands, and until when the ICO has to be told. Pure. policy: AC10"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.foundation.errors import Conflict, Invalid
from service.foundation.events import Role

KEEP = frozenset({Role.DPO, Role.HEADTEACHER})
"""Who keeps the log. The headteacher is the school's senior risk owner (SIRO) unless it has named somebody else."""
HOURS = timedelta(hours=72)
LONGEST = 2_000


class Step(StrEnum):
    """What was done about it. The first two answer the question of the 72 hours."""

    TOLD_ICO = "told_ico"
    NOT_TOLD = "not_told"
    TOLD_PEOPLE = "told_people"
    NOTE = "note"
    CLOSED = "closed"


STEP_WORDS = {
    Step.TOLD_ICO: "We told the ICO",
    Step.NOT_TOLD: "We do not need to tell the ICO, because it is unlikely to be a risk to anybody",
    Step.TOLD_PEOPLE: "We told the people it is about", Step.NOTE: "Something else", Step.CLOSED: "It is dealt with: close it",
}
ANSWERS = frozenset({Step.TOLD_ICO, Step.NOT_TOLD})


@dataclass(frozen=True)
class Clock:
    """The 72 hours: `left` is negative once they are over, None once the question is answered."""

    until: datetime
    left: timedelta | None

    @property
    def is_late(self) -> bool:
        return self.left is not None and self.left < timedelta()


def clock(noticed_at: datetime, steps: Collection[str], now: datetime) -> Clock:
    until = noticed_at + HOURS
    return Clock(until, None if ANSWERS & set(steps) else until - now)


def check_breach(what: str, whose: str, noticed_at: datetime | None, now: datetime) -> None:
    wrong = _words("what", what, "Say what happened") | _words("whose", whose, "Say whose data it is, without names")
    if noticed_at is None:
        wrong["noticed_at"] = "Enter a day and a time, like 3/3/2027 and 10:15"
    elif noticed_at > now:
        wrong["noticed_at"] = "Choose when it was noticed, not a time to come"
    if wrong:
        raise Invalid(fields=wrong)


def check_step(kind: str, words: str, before: Collection[str]) -> Step:
    """Raises Invalid; Conflict for closing a breach before the question of the ICO is answered, or one that is closed."""
    wrong = {} if kind in tuple(Step) else {"kind": "Choose what was done"}
    wrong |= _words("words", words, "Say how, by whom, and why")
    if wrong:
        raise Invalid(fields=wrong)
    if Step.CLOSED in before and kind != Step.NOTE:
        raise Conflict("This breach is closed. You can still add a note.")
    if kind == Step.CLOSED and not ANSWERS & set(before):
        raise Invalid(fields={"kind": "First record whether the ICO was told, or why not"})
    return Step(kind)


def _words(field: str, given: str, missing: str) -> dict[str, str]:
    if not given.strip():
        return {field: missing}
    return {field: f"Make it shorter: {LONGEST} characters at most"} if len(given) > LONGEST else {}
