"""Two telephones through the trunk: the caller's own, and the family's (policy: CM3, CM4).

Each is a call of its own with a relay of its own. The caller's rings first; who answers hears tones until they press 1, so that
no mailbox and no child is put through. Then the family's rings. Neither hears the other before `connect`, and what passes between
the two is sound that was taken apart and written anew: nothing that one telephone says of itself reaches the other.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from service.calls.number import Number
from service.calls.sip.agent import Agent, Leg
from service.calls.sip.call import end_of
from service.calls.sip.relay import Gate, Relay
from service.calls.sip.sdp import PCMA, PCMU
from service.calls.sip.sound import RINGING, YOUR_TURN, tone
from service.calls.sip.trunk import Trunk
from service.calls.way import End, Kind, News, NoWay, Order, Tell

CALLER_SECONDS, PRESS_SECONDS, FAMILY_SECONDS = 30.0, 15.0, 45.0
"""How long the caller's telephone rings, how long they have to press 1, how long the family's rings."""
END_SECONDS = 3.0


class Telephone:
    """One of the two, as its leg tells of it (`agent.Heard`)."""

    def __init__(self, bridge: "Bridge", number: Number, call_id: str, srtp: bool) -> None:
        self._bridge, self.number, self.call_id = bridge, number, call_id
        self.relay = Relay(srtp)
        self.leg: Leg | None = None
        self.is_over = self.is_answered = False
        self._playing: asyncio.Task[None] | None = None

    def ringing(self) -> None:
        self._bridge.rings(self)

    def early(self) -> None:
        self._bridge.says_something(self)

    def answered(self) -> None:
        self.is_answered = True
        self._bridge.answers(self)

    def over(self, code: int) -> None:
        self.is_over = True
        self.quiet()
        self.relay.close()
        self._bridge.is_gone(self, code)

    def play(self, parts: tuple[tuple[float, tuple[int, ...]], ...]) -> None:
        """Again and again, until `quiet`."""
        async def again() -> None:
            while not self.is_over:
                await self.relay.play(tone(parts, self.codec))

        self.quiet()
        self._playing = asyncio.create_task(again())

    def quiet(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None

    @property
    def codec(self) -> int:
        return PCMU if self.relay.callee is not None and self.relay.callee.codec == PCMU else PCMA

    @property
    def is_on(self) -> bool:
        return self.leg is not None and not self.is_over

    def hang_up(self) -> None:
        self.quiet()
        self.relay.gate = Gate.OURS
        if self.leg is not None:
            self.leg.hang_up()


class Bridge:
    """One call. `ending`: how it is being ended, once it is: the first reason is the reason."""

    def __init__(self, order: Order, own: Number, tell: Tell, agent: Agent, trunk: Trunk,
                 spawn: Callable[[Coroutine[Any, Any, None]], None], give_up: Callable[["Bridge"], None]) -> None:
        self.order, self.tell = order, tell
        self._agent, self._trunk, self._spawn, self._give_up = agent, trunk, spawn, give_up
        self.caller = Telephone(self, own, secrets.token_hex(16), trunk.srtp)
        self.family = Telephone(self, order.callee, order.call_id, trunk.srtp)
        self.both = (self.caller, self.family)
        self.news: asyncio.Queue[News] = asyncio.Queue()
        self.ending: End | None = None
        self.is_told = self.is_leaving_message = False
        self._limit: asyncio.TimerHandle | None = None

    async def place(self) -> None:
        """Raises NoPorts, or NoWay where it was ended meanwhile: then nobody is rung."""
        for one in self.both:
            await one.relay.bind(self._trunk.address, self._trunk.sound_ports, browser=False)
        self.caller.relay.other, self.family.relay.other = self.family.relay, self.caller.relay
        self.caller.relay.pressed = self._pressed
        if self.ending is not None:
            raise NoWay
        self._dial(self.caller)
        self._within(CALLER_SECONDS, End.CANCELLED)

    def _dial(self, one: Telephone) -> None:
        order, domain = self.order, self._trunk.host
        shown = "sip:anonymous@anonymous.invalid" if order.withheld else f"sip:{order.shown.e164}@{domain}"
        headers = {"X-Chaperone-Inner": "9", "X-Chaperone-Outer": str(one.relay.outer), "X-Chaperone-Key": one.relay.key,
                   "Privacy": "id" if order.withheld else ""}
        one.leg = self._agent.invite(one.call_id, f"sip:{one.number.e164}@{domain}", shown,
                                     {name: value for name, value in headers.items() if value}, one)

    # -- what the telephones do -------------------------------------------------------------------------------------------------

    def rings(self, one: Telephone) -> None:
        if one is self.family:
            self._say(Kind.RINGING)

    def says_something(self, one: Telephone) -> None:
        """An announcement, such as that the number is not in use: the caller hears it, and the family's end hears nobody."""
        if one is self.family and self.ending is None:
            self.caller.quiet()
            self.caller.relay.gate = Gate.OPEN
            self._say(Kind.EARLY)

    def answers(self, one: Telephone) -> None:
        if self.ending is not None:
            one.hang_up()
        elif one is self.caller:
            one.play(YOUR_TURN)
            self._within(PRESS_SECONDS, End.CANCELLED)
        else:
            self.caller.quiet()
            self.caller.relay.gate = Gate.SHUT
            self._stop_limit()
            self._say(Kind.ANSWERED)

    def _pressed(self, key: str) -> None:
        if self.is_connected:
            self._spawn(self.family.relay.press(key))
        elif key == "1" and self.caller.is_answered and self.family.leg is None and self.ending is None:
            self._dial(self.family)
            self.caller.play(RINGING)
            self._within(FAMILY_SECONDS, End.NO_ANSWER)

    def is_gone(self, one: Telephone, code: int) -> None:
        if one is self.family and not one.is_answered:
            self.end(end_of(code))
        elif one is self.family or not self.is_leaving_message:
            self.end(End.HUNG_UP if self.family.is_answered else End.CANCELLED)
        if self.ending is not None and not any(each.is_on for each in self.both):
            self.finish()

    # -- what we do -------------------------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        return self.ending is None and not self.is_leaving_message and self.family.relay.gate is Gate.OPEN

    def connect(self) -> None:
        if self.family.is_answered and self.ending is None and self.family.relay.gate is Gate.SHUT:
            for one in self.both:
                one.relay.gate = Gate.OPEN

    def hold(self, held: bool) -> None:
        for one in self.both:
            one.relay.held = held

    async def press(self, digits: str) -> None:
        if self.is_connected:
            await self.family.relay.press(digits)

    async def leave_message(self, message: dict[int, bytes]) -> None:
        """The caller's telephone is hung up on; the family's hears the school's words, and then it is over."""
        if not self.family.is_answered or self.ending is not None or self.is_leaving_message:
            return
        self.is_leaving_message = True
        self.family.relay.gate = Gate.OURS
        self.caller.hang_up()
        await self.family.relay.play(message[self.family.codec])
        self.end(End.HUNG_UP)

    def hang_up(self) -> None:
        self.end(End.HUNG_UP if self.family.is_answered else End.CANCELLED)

    def end(self, how: End) -> None:
        """Both telephones, and nobody is heard from this moment on."""
        if self.ending is not None:
            return
        self.ending = how
        for one in self.both:
            one.hang_up()
        self._stop_limit()
        self._limit = asyncio.get_running_loop().call_later(END_SECONDS, self._too_long)

    def finish(self) -> None:
        """It has ended; the last news says so, once."""
        self._stop_limit()
        for one in self.both:
            one.quiet()
            one.relay.close()
        if not self.is_told:
            self.is_told = True
            self.news.put_nowait(News(self.order.call_id, Kind.ENDED, end=self.ending or End.FAULT))

    def _too_long(self) -> None:
        self.finish()
        self._give_up(self)

    def _within(self, seconds: float, how: End) -> None:
        self._stop_limit()
        self._limit = asyncio.get_running_loop().call_later(seconds, self.end, how)

    def _stop_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _say(self, kind: Kind) -> None:
        if self.ending is None:
            self.news.put_nowait(News(self.order.call_id, kind))
