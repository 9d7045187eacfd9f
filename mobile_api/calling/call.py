"""One call in the app as it stands: whom it rings at, who took it, and what is told of it, in order and once."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Protocol

from lessons.media.pair import Pair, Side
from mobile_api.calling.rules import Times, ends
from service.calls.way import End, Kind, News, Order, Tell


class AppLine(Protocol):
    """An app that is open. Sending never waits."""

    @property
    def person_id(self) -> str: ...

    @property
    def session_id(self) -> str: ...

    def send(self, message: dict[str, str]) -> None: ...

    def close(self) -> None:
        """Its owner is signed out."""

    async def may_ring(self) -> bool:
        """Whether this phone is signed in, has its agreement and does not rest: asked anew. Raises when that cannot be asked."""
        ...


@dataclass(eq=False)
class Call:
    order: Order
    tell: Tell
    pair: Pair
    caller: Side
    times: Times
    lines: set[AppLine] = field(default_factory=set)
    """Where it rings; once it was taken, the one that did."""
    family: Side | None = None
    is_open: bool = False
    """The rule was asked once more, and said yes."""
    ending: End | None = None
    news: asyncio.Queue[News] = field(default_factory=asyncio.Queue)

    @property
    def over(self) -> bool:
        return self.ending is not None

    @property
    def answered(self) -> bool:
        return self.times.answered is not None

    def rings_at(self, line: AppLine) -> None:
        self.lines.add(line)
        self._say(line, "ring")

    def heard(self, now: float) -> None:
        """An app says that it rings."""
        if self.times.heard is None and not self.over:
            self.times = replace(self.times, heard=now)
            self.news.put_nowait(News(self.order.call_id, Kind.RINGING))

    def take(self, line: AppLine, offer: str, now: float) -> None:
        """Somebody took it there: it stops ringing elsewhere. Raises BadOffer."""
        self.family = self.pair.add(offer)
        self.times = replace(self.times, taken=now)
        for other in self.lines - {line}:
            self._say(other, "stop", why="elsewhere")
        self.lines = {line}
        self._say(line, "answer", sdp=self.family.answer())

    def answer(self, now: float) -> None:
        """Their sound is connected, so that they did answer."""
        self.times = replace(self.times, answered=now)
        self.news.put_nowait(News(self.order.call_id, Kind.ANSWERED, self.caller.answer(), in_app=True))

    def open(self, until: float) -> None:
        """Let the two hear each other until then, at the latest."""
        self.is_open, self.pair.gate.until = True, until

    def ends_now(self, now: float) -> End | None:
        """How it ends by itself, by the time that passed."""
        return ends(replace(self.times, caller_up=self.caller.is_up.is_set()), now)

    def state(self, state: str) -> None:
        """Say where it is on: `connected` or `held`."""
        for line in self.lines:
            self._say(line, "state", state=state)

    def end(self, how: End) -> None:
        """Nobody hears anybody, and the last news says so, once."""
        if self.over:
            return
        self.ending = how
        self.pair.close()
        for line in self.lines:
            self._say(line, "stop", why="telephone" if how is End.NO_ANSWER else "over")
        self.news.put_nowait(News(self.order.call_id, Kind.ENDED, end=how))

    def _say(self, line: AppLine, what: str, **more: str) -> None:
        line.send({"type": what, "call": self.order.call_id, **more})
