"""From a browser to the family's app, through our own media plane: `service.calls.way.Way` over the apps that are open.

Neither side learns the other's address: each is connected to us. Whether the parent is still signed in on that phone is asked
before it rings, when they answer, and each second; what is not known shuts the gate by itself (policy: AC2, CM4).
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Coroutine
from typing import Any

import structlog

from lessons.media.gate import Gate
from lessons.media.pair import Pair
from lessons.media.plane import Plane
from lessons.media.sdp import BadOffer
from mobile_api.calling.call import AppLine, Call
from mobile_api.calling.rules import LEASE_SECONDS, Times
from service.calls.number import Number
from service.calls.way import End, NoWay, Order, Tell
from service.foundation.clock import Clock
from service.foundation.errors import Unavailable
from service.foundation.events import Actor
from service.people.events import SessionsEnded, SignedOut

log = structlog.get_logger(__name__)
BEAT = 0.25
"""Seconds between two looks at a call's times; every fourth asks whether the parent is still signed in."""
MOST_APPS = 20
"""Of one person: ten phones, each opened twice."""
MOST_UNPROVEN, MOST_UNPROVEN_OF_A_NETWORK = 200, 20
"""Lines that are open and have not said whose they are: each is held for seconds by the process that looks after lessons."""
PATIENCE = 1.0
"""Seconds in which that has to be known."""


class NoMachine(Unavailable):
    """They answered in the app, so there is no answering machine. Go on with the call, or end it."""

    code = "no-machine"


class AppWay:
    """In the application's state as `app_way`. Its apps come and go by `opened` and `closed`."""

    number: Number | None = None

    def __init__(self, plane: Plane, clock: Clock) -> None:
        self._plane, self._clock = plane, clock
        self._lines: dict[str, set[AppLine]] = defaultdict(set)
        self._calls: dict[str, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unproven: Counter[str] = Counter()
        self._closing = False

    # -- apps

    def knocks(self, network: str) -> bool:
        """Somebody wants a line and has not shown who they are; `shown` follows. False: as many do, here or from this network."""
        if self._unproven.total() >= MOST_UNPROVEN or self._unproven[network] >= MOST_UNPROVEN_OF_A_NETWORK:
            return False
        self._unproven[network] += 1
        return True

    def shown(self, network: str) -> None:
        """They showed it, or did not."""
        self._unproven -= Counter((network,))

    def opened(self, line: AppLine) -> bool:
        """False: this person has too many open."""
        if len(self._lines[line.person_id]) >= MOST_APPS:
            return False
        self._lines[line.person_id].add(line)
        return True

    def closed(self, line: AppLine) -> None:
        """It went, and what was on there with it. Where it only rang, it rings on elsewhere."""
        apps = self._lines.get(line.person_id, set())
        apps.discard(line)
        if not apps:
            self._lines.pop(line.person_id, None)
        for call in [each for each in self._calls.values() if line in each.lines and not each.over]:
            self._leaves(call, line)

    @staticmethod
    def _leaves(call: Call, line: AppLine) -> None:
        call.lines.discard(line)
        if not call.lines:
            call.end(End.HUNG_UP if call.answered else End.NO_ANSWER)

    def sign_out(self, person_id: str, session_id: str = "") -> None:
        """Somebody's sign-ins are being ended, or this one: their apps close in this turn, and what is on there ends."""
        for line in [*self._lines.get(person_id, ())]:
            if session_id in ("", line.session_id):
                self.closed(line)
                line.close()

    def rings(self, line: AppLine, call_id: str) -> None:
        if call := self._on(line, call_id):
            call.heard(self._clock.boottime())

    async def take(self, line: AppLine, call_id: str, offer: str) -> None:
        """Somebody answers there, and is signed in. Raises BadOffer."""
        if (call := self._on(line, call_id)) is None or call.family is not None:
            return
        if not await self._may_ring(line):
            self.closed(line)
            line.close()
        elif self._on(line, call_id) is call and call.family is None:
            call.take(line, offer, self._clock.boottime())

    def decline(self, line: AppLine, call_id: str, why: str) -> None:
        """Nobody takes it there: `declined` and `busy` are for all their phones, `cannot` for one that has no microphone."""
        if (call := self._on(line, call_id)) is None or call.family is not None:
            return
        if why == "cannot":
            self._leaves(call, line)
        else:
            call.end(End.BUSY if why == "busy" else End.REFUSED)

    def family_hangs_up(self, line: AppLine, call_id: str) -> None:
        if call := self._on(line, call_id):
            call.end(End.HUNG_UP if call.family is not None else End.REFUSED)

    def _on(self, line: AppLine, call_id: str) -> Call | None:
        """This call, while it rings or is on there; an app has no say in any other."""
        call = self._calls.get(call_id)
        return call if call is not None and line in call.lines and not call.over else None

    # -- the contract

    async def faults(self) -> tuple[str, ...]:
        return ()

    async def place(self, order: Order, tell: Tell) -> None:
        apps = [*self._lines.get(order.person, ())]
        if not apps or not order.offer or order.telephone is not None or self._closing or order.call_id in self._calls:
            raise NoWay
        pair = Pair(self._plane, Gate(), lambda: self._look(order.call_id))
        try:
            call = Call(order, tell, pair, pair.add(order.offer), Times(self._clock.boottime()))
        except BadOffer as unreadable:
            raise NoWay from unreadable
        self._calls[order.call_id] = call
        asked = await asyncio.gather(*map(self._may_ring, apps))  # all within the second in which it has to be known
        for line, may_ring in zip(apps, asked, strict=True):
            if may_ring and not call.over and call.family is None:
                call.rings_at(line)
        if not call.lines:
            self._calls.pop(order.call_id)
            pair.close()
            raise NoWay
        self._spawn(self._report(call))
        self._spawn(self._watch(call))

    async def connect(self, call_id: str) -> None:
        call = self._calls.get(call_id)
        if call is not None and call.answered and not call.over:
            call.open(self._clock.boottime() + LEASE_SECONDS)
            call.state("connected")

    async def hang_up(self, call_id: str) -> None:
        if call := self._calls.get(call_id):
            call.end(End.HUNG_UP if call.answered else End.CANCELLED)

    async def press(self, call_id: str, digits: str) -> None:
        """There is no menu in an app."""

    async def hold(self, call_id: str, held: bool) -> None:
        if (call := self._calls.get(call_id)) and call.answered and not call.over:
            call.pair.hold(held)
            call.state("held" if held else "connected")

    async def leave_message(self, call_id: str) -> None:
        if (call := self._calls.get(call_id)) and call.answered and not call.over:
            raise NoMachine

    async def close(self) -> None:
        self._closing = True
        for call in [*self._calls.values()]:
            call.end(End.HUNG_UP if call.answered else End.CANCELLED)
        if self._tasks:
            await asyncio.wait([*self._tasks], timeout=PATIENCE)

    # -- what happens

    async def _may_ring(self, line: AppLine) -> bool:
        """Asked anew; what cannot be known in time is a no."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await line.may_ring()
        except Exception:
            log.exception("calls.app_not_asked")
            return False

    def _look(self, call_id: str) -> None:
        """Something of a call's connections changed."""
        call = self._calls.get(call_id)
        if call is None or call.over:
            return
        if call.family is not None and call.family.is_up.is_set() and not call.answered:
            call.answer(self._clock.boottime())
        if call.answered and any(side.is_gone for side in call.pair.sides):
            call.end(End.HUNG_UP if any(side.transport.closed for side in call.pair.sides) else End.FAULT)

    async def _watch(self, call: Call) -> None:
        beat = 0
        while not call.over:
            await asyncio.sleep(BEAT)
            beat += 1
            if (end := call.ends_now(self._clock.boottime())) is not None:
                call.end(end)
            elif beat % 4 == 0 and call.family is not None:
                await self._go_on(call)

    async def _go_on(self, call: Call) -> None:
        """Each second: while the parent is signed in there, sound passes for some seconds more."""
        call.pair.tick()
        stays = all([await self._may_ring(line) for line in [*call.lines]])
        if not stays:
            call.end(End.HUNG_UP if call.answered else End.NO_ANSWER)
        elif call.is_open and not call.over:
            call.open(self._clock.boottime() + LEASE_SECONDS)

    async def _report(self, call: Call) -> None:
        """Tell, in order; whoever is told may ask for the end."""
        while True:
            news = await call.news.get()
            if news.end is not None:
                self._calls.pop(call.order.call_id, None)
            try:
                await call.tell(news)
            except Exception:
                log.exception("calls.telling_failed", call=news.call_id)
                call.end(End.FAULT)
            if news.end is not None:
                return

    def _spawn(self, doing: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def cut_off(state: Any, event: SignedOut | SessionsEnded, actor: Actor) -> None:
    """Closes, before it is written: `SignedOut` is one sign-in, the actor's own; `SessionsEnded` all of a person's."""
    state.app_way.sign_out(event.person_id, actor.session_id if isinstance(event, SignedOut) else "")
