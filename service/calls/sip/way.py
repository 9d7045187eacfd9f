"""Through the school's SIP trunk: `service.calls.way.Network` over our relay and kamailio (policy: CM4).

From a browser by Janus; from the caller's own telephone by a bridge of two.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import structlog

from service.calls.number import Number
from service.calls.sip.agent import Agent
from service.calls.sip.bridge import Bridge
from service.calls.sip.call import Call
from service.calls.sip.edge import Edge
from service.calls.sip.janus import Janus
from service.calls.sip.processes import Gateway, absent
from service.calls.sip.relay import KEYS, Gate, NoPorts, Relay
from service.calls.sip.sdp import PCMA, PCMU, Sound, telephone_only
from service.calls.sip.sound import NoMessage, recorded
from service.calls.sip.trunk import Trunk, trunk_of
from service.calls.way import By, End, NoWay, Order, Tell, Text
from service.foundation.errors import NotFound, Unavailable
from service.foundation.settings import Settings

ANSWER_SECONDS = 45.0
"""How long it rings. Most mailboxes answer before."""
PLACE_SECONDS = 6.0
END_SECONDS = 3.0
STEADY_SECONDS = 60.0
"""A part that dies again within this time is not started again by itself."""

log = structlog.get_logger()


def way_of(settings: Settings) -> "SipWay | None":
    """The way through the school's trunk, not opened yet; none where no trunk is set. Raises TrunkInvalid, NotSound."""
    trunk = trunk_of(settings)
    return SipWay(trunk, settings.trunk_message) if trunk else None


class SipWay:
    """`open` before the first call, `close` after the last. `message`: the school's neutral recording, any sound file."""

    def __init__(self, trunk: Trunk, message: Path | None = None, gateway: Gateway | None = None) -> None:
        self.trunk = trunk
        self.gateway = gateway or Gateway(trunk, self._died)
        self.gateway.died = self._died
        self.message = recorded(message) if message else None
        self._calls: dict[str, Call] = {}
        self._bridges: dict[str, Bridge] = {}
        self._agent = Agent()
        self._tasks: set[asyncio.Task[None]] = set()
        self._edge = Edge(trunk, self._sound)
        self._janus = Janus(self._janus_lost)
        self._ear = 0
        self._died_at = float("-inf")
        self._fault = "The telephone gateway has not been started."
        self._closing = False
        self._stands = asyncio.Event()
        """Set unless a part is just being started again."""

    async def open(self) -> None:
        """Start the gateway. Raises NotInstalled, NotStarted or JanusLost; `faults` says so from then on."""
        self._ear = self._ear or await self._edge.listen()
        try:
            door = await self.gateway.start(self._ear)
            self._edge.knows(door)
            await self._agent.open(door)
            await self._janus.open(self.gateway.port, self.gateway.secret)
        except Unavailable as failed:
            self._fault = failed.message
            await self.gateway.stop()
            raise
        self._fault = ""
        self._stands.set()

    by = frozenset(By)

    @property
    def number(self) -> Number:
        return self.trunk.number

    # -- the contract -----------------------------------------------------------------------------------------------------------

    async def faults(self) -> tuple[str, ...]:
        if self._fault:
            return (self._fault,)
        if missing := absent():
            return (f"Not installed: {', '.join(missing)}.",)
        if not self._janus.up:
            return ("Janus does not answer.",)
        return () if await self._edge.answers() else ("kamailio does not answer.",)

    async def place(self, order: Order, tell: Tell) -> None:
        if order.shown.e164 != self.trunk.number.e164 or order.call_id in self._calls or order.call_id in self._bridges:
            raise NoWay
        if self._fault or self._closing or bool(order.offer) is (order.telephone is not None):
            raise NoWay
        if order.telephone is not None:
            await self._bridge(order, order.telephone, tell)
            return
        if not self._janus.up:
            raise NoWay
        offer = telephone_only(order.offer)
        call = self._calls[order.call_id] = Call(order, tell, Relay(self.trunk.srtp))
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await self._dial(call, offer)
        except (TimeoutError, RuntimeError, NoPorts, Unavailable) as failed:
            call.over = True
            call.relay.close()
            self._calls.pop(order.call_id, None)
            if call.handle:
                await self._edge.end(order.call_id)
                await self._janus.detach(call.handle)
            raise NoWay from failed
        call.dialled = True
        call.set_limit(asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._nobody_answered, call))
        self._spawn(self._report(call))
        if call.ending is not None:
            await self._hang_up(call)

    async def _bridge(self, order: Order, own: Number, tell: Tell) -> None:
        bridge = self._bridges[order.call_id] = Bridge(order, own, tell, self._agent, self.trunk, self._spawn,
                                                       self._give_up_bridge)
        try:
            await bridge.place()
        except (NoPorts, NoWay) as failed:
            bridge.finish()
            self._bridges.pop(order.call_id, None)
            raise NoWay from failed
        self._spawn(self._report(bridge))

    async def connect(self, call_id: str) -> None:
        if bridge := self._bridges.get(call_id):
            bridge.connect()
        call = self._calls.get(call_id)
        if call is not None and call.answered and call.ending is None and call.relay.gate is Gate.SHUT:
            call.relay.gate = Gate.OPEN

    async def hang_up(self, call_id: str) -> None:
        if bridge := self._bridges.get(call_id):
            bridge.hang_up()
        call = self._calls.get(call_id)
        if call is not None:
            await self._end(call, End.HUNG_UP if call.answered else End.CANCELLED)

    async def press(self, call_id: str, digits: str) -> None:
        if not set(digits) <= set(KEYS):
            return
        if bridge := self._bridges.get(call_id):
            self._spawn(bridge.press(digits))
        call = self._calls.get(call_id)
        if call is not None and call.relay.gate is Gate.OPEN and not call.relay.held:
            self._spawn(call.relay.press(digits))

    async def hold(self, call_id: str, held: bool) -> None:
        if bridge := self._bridges.get(call_id):
            bridge.hold(held)
        call = self._calls.get(call_id)
        if call is not None:
            call.relay.held = held

    async def leave_message(self, call_id: str) -> None:
        bridge, call = self._bridges.get(call_id), self._calls.get(call_id)
        if bridge is None and (call is None or not call.answered or call.ending is not None):
            return
        if self.message is None:
            raise NoMessage
        if bridge is not None:
            self._spawn(bridge.leave_message(self.message))
        elif call is not None and call.relay.gate is not Gate.OURS:
            call.relay.gate = Gate.OURS
            self._spawn(self._play(call, self.message))

    texts = False

    async def text(self, text: Text) -> None:
        raise NoWay

    def heard_text(self, path: str, body: bytes, signature: str) -> dict[str, str]:
        raise NotFound

    async def trunk_answers(self) -> int:
        """What the trunk answers when it is asked whether it is there (a SIP status); 0 for nothing."""
        return await self._edge.reaches(self.trunk)

    async def close(self) -> None:
        self._closing = True
        await asyncio.gather(*(self.hang_up(call_id) for call_id in [*self._calls, *self._bridges]))
        if self._tasks:
            await asyncio.wait([*self._tasks], timeout=END_SECONDS + 1)
        await self._janus.close()
        self._agent.close()
        await self.gateway.stop()
        self._edge.close()

    # -- what happens -----------------------------------------------------------------------------------------------------------

    async def _dial(self, call: Call, offer: str) -> None:
        order, trunk = call.order, self.trunk
        await call.relay.bind(trunk.address, trunk.sound_ports)
        call.handle = await self._janus.attach(call.heard)
        identity = "sip:anonymous@anonymous.invalid" if order.withheld else f"sip:{order.shown.e164}@{trunk.host}"
        assert self.gateway.door is not None
        await self._janus.say(call.handle, {
            "request": "register", "type": "guest", "username": identity, "force_udp": True,
            "outbound_proxy": f"sip:127.0.0.1:{self.gateway.door.inner}"})
        await call.placed
        call.placed = asyncio.get_running_loop().create_future()
        if call.ending is not None:
            raise RuntimeError("hung up before anybody was called")
        headers = {"X-Chaperone": self.gateway.door.token, "X-Chaperone-Inner": str(call.relay.inner),
                   "X-Chaperone-Outer": str(call.relay.outer), "X-Chaperone-Key": call.relay.key}
        if order.withheld:
            headers["Privacy"] = "id"
        await self._janus.say(call.handle, {
            "request": "call", "uri": f"sip:{order.callee.e164}@{trunk.host}", "call_id": order.call_id,
            "headers": {name: value for name, value in headers.items() if value}, "autoaccept_reinvites": True}, offer)
        await call.placed

    async def _report(self, call: Call | Bridge) -> None:
        """Tell, in order; after the last word let go of everything the call had."""
        while True:
            news = await call.news.get()
            if news.end is not None:
                break
            try:
                await call.tell(news)
            except Exception:
                log.exception("calls.telling_failed", call=news.call_id)
                await self.hang_up(news.call_id)
        self._calls.pop(call.order.call_id, None)
        self._bridges.pop(call.order.call_id, None)
        await call.tell(news)
        if isinstance(call, Bridge):
            return
        await self._stands.wait()  # an edge that died hangs up on the other end once it stands again
        await self._janus.detach(call.handle)

    async def _end(self, call: Call, how: End) -> None:
        """Shut the gate, then hang up; what does not say in time that it has ended is cut off at the edge."""
        call.relay.gate = Gate.OURS
        if call.over or call.ending is not None:
            return
        call.ending = how
        if call.dialled:
            await self._hang_up(call)

    async def _hang_up(self, call: Call) -> None:
        call.set_limit(asyncio.get_running_loop().call_later(END_SECONDS, self._give_up, call))
        try:
            await self._janus.say(call.handle, {"request": "hangup"})
        except Unavailable:
            self._give_up(call)

    def _nobody_answered(self, call: Call) -> None:
        self._spawn(self._end(call, End.NO_ANSWER))

    def _give_up(self, call: Call) -> None:
        if not call.over:
            call.end(call.ending or End.FAULT)
            self._spawn(self._edge.end(call.order.call_id))

    def _give_up_bridge(self, bridge: Bridge) -> None:
        for one in bridge.both:
            if one.is_on:
                self._spawn(self._edge.end(one.call_id))

    async def _play(self, call: Call, message: dict[int, bytes]) -> None:
        codec = call.relay.callee.codec if call.relay.callee else PCMA
        await call.relay.play(message[PCMU if codec == PCMU else PCMA])
        await self._end(call, End.HUNG_UP)

    def _sound(self, call_id: str, side: str, sound: Sound | None) -> None:
        relays = {one.call_id: one.relay for bridge in self._bridges.values() for one in bridge.both}
        relay = self._calls[call_id].relay if call_id in self._calls else relays.get(call_id)
        if relay is not None and side == "caller":
            relay.caller = sound
        elif relay is not None:
            relay.callee_is(sound)

    def _lost(self) -> None:
        """Janus is gone. Whatever it carried has ended, and the edge hangs up on the other end."""
        for call in [*self._calls.values()]:
            call.ending = call.ending or End.FAULT
            self._give_up(call)
        for bridge in [*self._bridges.values()]:
            bridge.end(End.FAULT)
            bridge.finish()

    def _janus_lost(self) -> None:
        """One that lives on without us, as after a long sleep of the machine, is of no use: it is ended, and started again."""
        self._lost()
        if not self._closing:
            self.gateway.end("janus")

    def _died(self, part: str) -> None:
        if self._closing or self._fault:
            return
        now = asyncio.get_running_loop().time()
        again, self._died_at = now - self._died_at > STEADY_SECONDS, now
        self._fault = f"{part} stopped, and every call with it." + ("" if again else " It keeps stopping: restart the service.")
        log.error("calls.gateway_died", part=part, starts_again=again)
        if again:
            self._stands.clear()
        self._lost()
        if again:
            self._spawn(self._start_again(part))

    async def _start_again(self, part: str) -> None:
        try:
            if part == "janus":
                await self._janus.close()
            await self.gateway.start_again(part)
            if part == "janus":
                await self._janus.open(self.gateway.port, self.gateway.secret)
            self._fault = ""
        except Unavailable:
            log.exception("calls.gateway_not_started", part=part)
        finally:
            self._stands.set()

    def _spawn(self, doing: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


