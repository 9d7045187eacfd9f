"""One call by way of the provider: two telephones, each of which only moves on. Pure but for its mailbox."""

import asyncio
import secrets
from dataclasses import dataclass, field
from enum import IntEnum

from service.calls.number import Number
from service.calls.way import End, Kind, News, Order, Tell

MOST_HOOKS = 40
"""Of one telephone; a real one has about seven."""
ENDS = {"completed": End.HUNG_UP, "busy": End.BUSY, "no-answer": End.NO_ANSWER, "canceled": End.CANCELLED, "failed": End.FAULT}


class At(IntEnum):
    """How far a telephone is."""

    WANTED = 0
    PLACED = 1
    RINGING = 2
    ANSWERED = 3
    OVER = 4


@dataclass(eq=False)
class Leg:
    """One of the two telephones. `key`: the only name of it in our addresses, known to the provider alone."""

    call: "Call"
    to: Number
    key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    sid: str = ""
    at: At = At.WANTED
    heard: set[str] = field(default_factory=set)
    """Signatures that were used: what was said once is not said again."""

    @property
    def is_family(self) -> bool:
        return self is self.call.family

    @property
    def may_be_on(self) -> bool:
        return At.WANTED < self.at < At.OVER

    def is_new(self, signature: str) -> bool:
        if signature in self.heard or len(self.heard) >= MOST_HOOKS:
            return False
        self.heard.add(signature)
        return True

    def to_stage(self, at: At) -> bool:
        """Further; False when this would not be further."""
        if at <= self.at:
            return False
        self.at = at
        return True


class Call:
    """`is_begun`: the caller is there, and the family is being rung.
    `ending`: how it is being ended, once it is: the first reason is the reason, and nobody is brought together after it."""

    def __init__(self, order: Order, own: Number, tell: Tell) -> None:
        self.order, self.tell = order, tell
        self.caller, self.family = Leg(self, own), Leg(self, order.callee)
        self.legs = (self.caller, self.family)
        self.ending: End | None = None
        self.over = False
        self.is_begun = self.is_connected = self.is_leaving_message = False
        self.watching: asyncio.Task[None] | None = None
        self.news: asyncio.Queue[News] = asyncio.Queue()
        self.dialling, self.moving = asyncio.Lock(), asyncio.Lock()

    @property
    def id(self) -> str:
        return self.order.call_id

    @property
    def can_be_heard(self) -> bool:
        return self.is_connected and self.ending is None and not self.is_leaving_message

    def say(self, kind: Kind) -> None:
        if self.ending is None:
            self.news.put_nowait(News(self.id, kind))

    def end(self) -> None:
        if not self.over:
            self.over = True
            self.news.put_nowait(News(self.id, Kind.ENDED, end=self.ending or End.FAULT))
