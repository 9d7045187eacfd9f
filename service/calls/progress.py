"""How far a call is: a value that only moves forward (policy: CM2). Pure.

News from the telephone network comes late, twice and out of order. What would move a call back is ignored, and what ended
stays ended: the first reason is the reason.
"""

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from service.calls.way import End


class Stage(IntEnum):
    ASKED = 0
    PLACED = 1
    RINGING = 2
    EARLY = 3
    ANSWERED = 4
    CONNECTED = 5
    ENDED = 6

    @property
    def code(self) -> str:
        return self.name.lower()


class Why(StrEnum):
    """Why a call is over. `NOT_KNOWN`: nobody was left to write it down."""

    HUNG_UP = "hung-up"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    FAULT = "fault"
    RULE = "rule"
    NOT_CHECKED = "not-checked"
    ENDED_BY_LEADER = "leader"
    PAGE_CLOSED = "page-closed"
    MESSAGE = "message"
    NOT_PLACED = "not-placed"
    NOT_KNOWN = "not-known"


WHY_WORDS: dict[str, str] = {
    Why.HUNG_UP: "One of the two hung up", Why.BUSY: "The line was busy", Why.NO_ANSWER: "Nobody answered",
    Why.REFUSED: "The call was not taken",
    Why.CANCELLED: "You ended the call before anybody answered", Why.FAULT: "The line failed",
    Why.RULE: "The rules do not allow this call any more", Why.NOT_CHECKED: "We could not check the rules, so we ended the call",
    Why.ENDED_BY_LEADER: "A leader ended the call", Why.PAGE_CLOSED: "The page was closed",
    Why.MESSAGE: "The school’s message was left", Why.NOT_PLACED: "Nobody was called",
    Why.NOT_KNOWN: "Not known: the service stopped during the call",
}
STATE_WORDS = {
    Stage.ASKED: "Starting", Stage.PLACED: "Calling", Stage.RINGING: "Calling", Stage.EARLY: "Calling",
    Stage.ANSWERED: "Connecting", Stage.CONNECTED: "Connected", Stage.ENDED: "Ended",
}


@dataclass(frozen=True)
class Progress:
    """Where a call is. `why` is there once it ended."""

    stage: Stage = Stage.ASKED
    why: Why | None = None

    @property
    def is_over(self) -> bool:
        return self.stage is Stage.ENDED

    def to(self, stage: Stage, why: Why | None = None) -> "Progress":
        """Further, or the same value when this would not be further. Nobody is connected who did not answer."""
        if stage <= self.stage or (stage is Stage.CONNECTED and self.stage is not Stage.ANSWERED):
            return self
        return replace(self, stage=stage, why=(why or Why.NOT_KNOWN) if stage is Stage.ENDED else None)


def why_of(end: End | None) -> Why:
    """What the way says of an end; without a word it is a fault."""
    return Why(end.value) if end is not None else Why.FAULT
