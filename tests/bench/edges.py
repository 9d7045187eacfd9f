"""Who hears whom, worked out again after each change among 31 people, and what the gate costs beside forwarding a packet."""

import asyncio
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lessons.live import events as ev
from lessons.live import messages as m
from lessons.live.host import Connected, Host
from lessons.live.plan import Plan
from lessons.live.reading import Read, WordsAndLinks
from lessons.media.gate import Gate
from lessons.media.plane import MediaRoom, Offer, Plane, SourceKey
from service.foundation.clock import SystemClock
from tests.fakes import FakeClock
from tests.media.peers import until
from tests.media.raw import Microphone, RawPeer, answer, offer
from tests.room.stage import START, plan_of, pupil, staff

PUPILS, ROUNDS, PACKETS = 30, 40, 3000


class Forgets:
    """A journal and a record that cost nothing. The product has neither."""

    def write(self, *_: object) -> bool:
        return True

    def pause(self) -> None:
        pass


class Pages:
    """A page's line; what it is told is counted."""

    def __init__(self) -> None:
        self.told = 0

    def send(self, text: str) -> None:
        self.told += 1

    def close(self, code: int) -> None:
        pass


@dataclass
class Took:
    """Seconds by the clock, and of this thread's processor, of each change of a kind."""

    clock: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)

    def of(self, change: Callable[[], Any]) -> None:
        own, clock = time.thread_time(), time.perf_counter()
        change()
        self.clock.append(time.perf_counter() - clock)
        self.own.append(time.thread_time() - own)


class Class:
    """A host whose room is open with 31 people, media and all; only sockets, disk and database are left out."""

    def __init__(self, plane: Plane) -> None:
        self.clock = FakeClock(START, 1000.0)
        people = [staff("teacher"), *(pupil(f"p{n}") for n in range(PUPILS))]
        self.plan: Plan = plan_of(*people)
        self.host = Host(Read(self.plan, WordsAndLinks("1", (), frozenset()), 0), clock=self.clock, gate=Gate(),
                         journal=Forgets(), read=_never, check=_never)  # type: ignore[arg-type]
        self.offers: dict[str, Offer] = {}
        self.media: MediaRoom = plane.room(gate=self.host.gate, lesson_clock_start=0.0, sink=lambda *_: None,
                                           on_offer=self.offers.__setitem__, watch=self.host.delivered)
        self.host.media = self.media
        self.people = [person.id for person in people]

    async def open(self) -> None:
        for person in self.people:
            await self.come(person)
        for step in range(20):
            self.clock.advance(0.25)
            self.prove()
            if step == 10:
                self.host.handle(ev.OpeningJournalled(1))
        if not self.host.room.is_open:
            raise RuntimeError(f"the room did not open: {self.host.room.reasons}")
        for person in self.people:
            self.turn_on(person)

    def turn_on(self, person: str) -> None:
        self.say(person, m.Microphone(True))
        self.say(person, m.Camera(True))

    async def come(self, person: str) -> None:
        self.media.join(person)
        await self.media.publish(person, offer(CERTIFICATE))
        self.sit(person)

    def sit(self, person: str) -> None:
        self.host.connections[person] = Connected(person, person, "", Pages())
        self.host.handle(ev.Joined(person, person, f"device of {person}"))

    def prove(self) -> None:
        now = self.clock.boottime()
        heard = dict.fromkeys(self.people, now)
        self.host.handle(ev.Proved(heard, heard, now, now))

    def say(self, person: str, message: m.ClientMessage) -> None:
        self.host.handle(ev.Sent(person, message))


async def _never(*_: object) -> Any:
    raise AssertionError("nothing is read here")


CERTIFICATE = RawPeer().certificate


async def rebuilds(rounds: int = ROUNDS) -> dict[str, Took]:
    """Every kind of change, in turns."""
    plane = await Plane.start(port=0, addresses=["127.0.0.1"], clock=SystemClock())
    try:
        lesson = Class(plane)
        await lesson.open()
        return {
            "a pupil's camera": await _switch(lesson, rounds, lambda who, on: lambda: lesson.say(who, m.Camera(on))),
            "a pupil's microphone": await _switch(lesson, rounds, lambda who, on: lambda: lesson.say(who, m.Microphone(on))),
            "the teacher's camera": await _switch(
                lesson, rounds, lambda _, on: lambda: lesson.say("teacher", m.Camera(on))),
            "a hand": await _switch(lesson, rounds, lambda who, on: lambda: lesson.say(who, m.Hand(on))),
            "somebody gone or come": await _switch(lesson, rounds, lambda who, on: _seat(lesson, who, on)),
            "nothing but proofs": await _switch(lesson, rounds, lambda *_: lesson.prove),
        }
    finally:
        await plane.close()


def _seat(lesson: Class, who: str, on: bool) -> Callable[[], None]:
    if on:
        return lambda: lesson.sit(who)
    return lambda: lesson.host.handle(ev.Dropped(who))


async def _switch(lesson: Class, rounds: int, change: Callable[[str, bool], Callable[[], Any]]) -> Took:
    """Off and on again, with each pupil in turn; what waits for the loop (offers) runs in between, as it does."""
    took = Took()
    for at in range(rounds):
        who = lesson.people[1 + at % PUPILS]
        for on in (False, True):
            took.of(change(who, on))
            lesson.clock.advance(0.02)
            lesson.prove()
            await asyncio.sleep(0)
        lesson.turn_on(who)
    if not lesson.host.room.is_open:
        raise RuntimeError("the room closed in between")
    return took


@dataclass
class PerPacket:
    """Nanoseconds of the processor: the gate asked once with the clock read for it, a packet taken in and sent to nobody, and
    one of its copies sent on."""

    gate: float
    taken: float
    sent: float


async def per_packet(viewers: int = PUPILS, packets: int = PACKETS) -> PerPacket:
    """One voice to a class over loopback, by the plane as it runs, the sockets' system calls included."""
    clock = SystemClock()
    gate = Gate(float("inf"))
    asked = min(timeit.repeat(lambda: gate.permits(clock.boottime()), number=100_000, repeat=5)) / 100_000
    alone = await _forwarding(0, packets)
    return PerPacket(asked * 1e9, alone * 1e9, (await _forwarding(viewers, packets) - alone) / viewers * 1e9)


async def _forwarding(viewers: int, packets: int) -> float:
    """Seconds of the processor for each packet of one voice."""
    clock = SystemClock()
    plane = await Plane.start(port=0, addresses=["127.0.0.1"], clock=clock)
    offers: dict[str, Offer] = {}
    room = plane.room(gate=Gate(float("inf")), lesson_clock_start=clock.boottime(), sink=lambda *_: Forgets(),
                      on_offer=offers.__setitem__)
    peers: list[RawPeer] = []
    try:
        speaker = RawPeer()
        peers.append(speaker)
        room.join("speaker")
        names = [f"v{n}" for n in range(viewers)]
        await speaker.connect(await room.publish("speaker", offer(speaker.certificate)))
        room.set_routes({SourceKey("speaker", "microphone"): frozenset(names)})
        for name in names:
            peers.append(await _viewer(room, name, offers))
        await speaker.until(lambda: room._uplinks["speaker"].transport.connected)
        return await _spent(plane, room, speaker, packets)
    finally:
        for peer in peers:
            peer.close()
        await plane.close()


async def _viewer(room: MediaRoom, name: str, offers: dict[str, Offer]) -> RawPeer:
    peer = RawPeer()
    room.join(name)
    await until(lambda: name in offers and bool(offers[name].streams), peer.changed)
    await room.subscribed(name, offers[name].version, answer(peer.certificate, offers[name].sdp))
    await peer.connect(offers[name].sdp)
    await peer.until(lambda: room._downlinks[name].transport.connected)
    asyncio.get_running_loop().remove_reader(peer.sock.fileno())  # it arrives; nobody here has to read it
    return peer


async def _spent(plane: Plane, room: MediaRoom, speaker: RawPeer, packets: int) -> float:
    """The plane's own reading of its socket, called by hand, so that the speaker's share is not counted."""
    [sock] = plane.sockets._udp.values()
    loop, microphone = asyncio.get_running_loop(), Microphone(speaker)
    loop.remove_reader(sock.fileno())
    spent = 0.0
    for _ in range(packets // 20):
        for _ in range(20):
            microphone.frame()
        microphone.sent.clear()
        began = time.thread_time()
        plane.sockets._udp_readable(sock)
        spent += time.thread_time() - began
        await asyncio.sleep(0)
    if room.bytes_received("speaker") < packets * 40:
        raise RuntimeError("packets were lost on their way to the plane")
    return spent / packets
