"""Fakes that every test may use. Time is a parameter: nothing here sleeps."""

import asyncio
from datetime import UTC, datetime, timedelta

from service.calls.number import Number
from service.calls.way import By, End, Kind, News, NoWay, Order, Tell, Text
from service.foundation.errors import NotFound


class FakeClock:
    """Both clocks, moved only by the test. The default is a school morning in term."""

    def __init__(self, now: datetime = datetime(2026, 11, 24, 9, 0, tzinfo=UTC), boottime: float = 1000.0):
        self._now = now
        self._boottime = boottime

    def now(self) -> datetime:
        return self._now

    def boottime(self) -> float:
        return self._boottime

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._boottime += seconds

    def set(self, now: datetime) -> None:
        """Move the time of day only, as somebody setting the machine's clock would."""
        self._now = now


class FakeWay:
    """What carries calls, as `service.calls.way` asks for it: nobody is rung, and the test says what happens on the line.

    `answers`: the callee picks up at once. `heard`: who can hear each other now. `steps`: everything asked of it, in order.
    """

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.heard: set[str] = set()
        self.steps: list[tuple[str, str]] = []
        self.placed, self.hung_up, self.connected = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.closed = False
        self.fails = False
        """No call can be placed."""
        self.is_deaf = False
        """It never says that a call has ended."""
        self.before_place = lambda order: None
        self.sent: list[Text] = []
        self.text_fails: Exception | None = None
        self._tells: dict[str, Tell] = {}
        self._over: set[str] = set()

    number: Number | None = None
    by: frozenset[By] = frozenset(By)
    texts = True

    async def faults(self) -> tuple[str, ...]:
        return ("No trunk",) if self.fails else ()

    async def place(self, order: Order, tell: Tell) -> None:
        self.steps.append(("place", order.call_id))
        self.before_place(order)
        if self.fails:
            raise NoWay()
        self.orders[order.call_id], self._tells[order.call_id] = order, tell
        self.placed.set()

    async def say(self, call_id: str, kind: Kind, *, answer: str = "", end: End | None = None,
                  in_app: bool = False) -> None:
        """Something happened to a call."""
        if kind is Kind.ENDED:
            if call_id in self._over:
                return
            self._over.add(call_id)
            self.heard.discard(call_id)
        await self._tells[call_id](News(call_id, kind, answer, end, in_app))

    async def connect(self, call_id: str) -> None:
        self.steps.append(("connect", call_id))
        if call_id in self.orders and call_id not in self._over:
            self.heard.add(call_id)
            self.connected.set()

    async def hang_up(self, call_id: str) -> None:
        self.steps.append(("hang-up", call_id))
        self.heard.discard(call_id)
        self.hung_up.set()
        if call_id in self._tells and not self.is_deaf:
            await self.say(call_id, Kind.ENDED, end=End.HUNG_UP)

    async def press(self, call_id: str, digits: str) -> None:
        self.steps.append((f"press {digits}", call_id))

    async def hold(self, call_id: str, held: bool) -> None:
        self.steps.append(("hold" if held else "go on", call_id))

    async def leave_message(self, call_id: str) -> None:
        self.steps.append(("message", call_id))
        if call_id in self._tells:
            await self.say(call_id, Kind.ENDED, end=End.HUNG_UP)

    async def text(self, text: Text) -> None:
        self.sent.append(text)
        if self.text_fails is not None:
            raise self.text_fails

    def heard_text(self, path: str, body: bytes, signature: str) -> dict[str, str]:
        raise NotFound

    async def close(self) -> None:
        self.closed = True
        for call_id in list(self._tells):
            await self.hang_up(call_id)
