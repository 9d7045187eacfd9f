"""Real WebRTC peers (aiortc) in this process, talking to a plane over loopback. Signalling is a method call."""

import array
import asyncio
import fractions
import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import aioice.ice
import av
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from lessons.media.gate import Gate
from lessons.media.keys import Offer, SourceKey
from lessons.media.plane import MediaRoom, Plane
from tests.media.watch import Watch

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]     # aioice leaves loopback out


class Tone(MediaStreamTrack):
    """A sine at `hertz`, in real time."""

    kind = "audio"

    def __init__(self, hertz: int = 440) -> None:
        super().__init__()
        self.hertz, self._n, self._start = hertz, 0, None

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        self._start = self._start if self._start is not None else loop.time()
        await asyncio.sleep(max(0, self._start + self._n * 0.02 - loop.time()))
        frame = av.AudioFrame(format="s16", layout="mono", samples=960)
        step = 2 * math.pi * self.hertz / 48000
        samples = (int(12000 * math.sin(step * (self._n * 960 + i))) for i in range(960))
        frame.planes[0].update(array.array("h", samples).tobytes())
        frame.sample_rate, frame.pts, frame.time_base = 48000, self._n * 960, fractions.Fraction(1, 48000)
        self._n += 1
        return frame


class Grey(MediaStreamTrack):
    """Pictures of one brightness with a moving bar, 15 a second; `busy` rows of noise make them many packets."""

    kind = "video"

    def __init__(self, level: int = 128, width: int = 320, height: int = 180, *, busy: int = 0) -> None:
        super().__init__()
        self._busy, self._noise = busy, random.Random(busy)
        self.level, self._width, self._height, self._n, self._start = level, width, height, 0, None

    async def recv(self) -> av.VideoFrame:
        loop = asyncio.get_running_loop()
        self._start = self._start if self._start is not None else loop.time()
        await asyncio.sleep(max(0, self._start + self._n / 15 - loop.time()))
        frame = av.VideoFrame(self._width, self._height, "yuv420p")
        for plane, value in zip(frame.planes, (self.level, 128, 128), strict=True):
            content = bytearray([value]) * plane.buffer_size
            at = (self._n % plane.height) * plane.line_size
            content[at:at + plane.line_size] = bytes([255 - value]) * plane.line_size
            noise = self._noise.randbytes(plane.line_size * min(self._busy, plane.height))
            content[:len(noise)] = noise
            plane.update(bytes(content))
        frame.pts, frame.time_base = self._n * 6000, fractions.Fraction(1, 90000)
        self._n += 1
        return frame


class Record:
    """A `FrameSink` per source and layer that remembers what it took, or refuses. `frames` joins a source's layers,
    `layers` keeps them apart; `paused` says how often which of them was."""

    def __init__(self) -> None:
        self.frames: dict[SourceKey, list[tuple[int, bool, bytes]]] = {}
        self.layers: dict[tuple[SourceKey, str | None], list[tuple[int, bool, bytes]]] = {}
        self.paused: Counter[tuple[SourceKey, str | None]] = Counter()
        self.refuses = False
        self.refused: set[str | None] = set()
        self.wrote = asyncio.Event()

    def __call__(self, key: SourceKey, codec: str, layer: str | None) -> "_Sink":
        return _Sink(self, key, layer)


class _Sink:
    def __init__(self, record: Record, key: SourceKey, layer: str | None) -> None:
        self._record, self._name = record, (key, layer)
        self._lists = record.frames.setdefault(key, []), record.layers.setdefault((key, layer), [])

    def write(self, frame: bytes, at_ms: int, key: bool) -> bool:
        if self._record.refuses or self._name[1] in self._record.refused:
            return False
        for frames in self._lists:
            frames.append((at_ms, key, frame))
        self._record.wrote.set()
        return True

    def pause(self) -> None:
        self._record.paused[self._name] += 1


class Person:
    """One participant: an uplink and a downlink `RTCPeerConnection`, and what it received by (peer, kind)."""

    def __init__(self, school: "School", name: str) -> None:
        self.school, self.name = school, name
        self.up: RTCPeerConnection | None = None
        self.down: RTCPeerConnection | None = None
        self.offers: list[Offer] = []
        self.kinds: dict[str, tuple[str, str]] = {}
        self.frames: dict[tuple[str, str], list[Any]] = {}
        self.changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def publish(self, *tracks: MediaStreamTrack | str) -> str:
        """Offer tracks in order; a string stands for an empty m-line of that kind."""
        self.up = _connection()
        for track in tracks:
            self.up.addTransceiver(track, direction="sendonly")
        await self.up.setLocalDescription(await self.up.createOffer())
        answer = await self.school.room.publish(self.name, self.up.localDescription.sdp)
        await self.up.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        return answer

    def offered(self, offer: Offer) -> None:
        self.offers.append(offer)
        self._tasks.append(asyncio.ensure_future(self._answer(offer)))

    async def _answer(self, offer: Offer) -> None:
        if self.down is None:
            self.down = _connection()
            self.down.on("track", self._track)
        self.kinds = {stream.mid: (stream.peer, stream.kind) for stream in offer.streams}
        await self.down.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await self.down.setLocalDescription(await self.down.createAnswer())
        await self.school.room.subscribed(self.name, offer.version, self.down.localDescription.sdp)

    def _track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.ensure_future(self._consume(track)))

    async def _consume(self, track: MediaStreamTrack) -> None:
        assert self.down is not None
        mid = next(t.mid for t in self.down.getTransceivers() if t.receiver.track is track)
        while True:
            try:
                frame = await track.recv()
            except Exception:
                return
            if mid in self.kinds:
                self.frames.setdefault(self.kinds[mid], []).append(frame)
                self.changed.set()

    def got(self, peer: str, kind: str) -> int:
        return len(self.frames.get((peer, kind), []))

    async def until(self, condition: Callable[[], bool], seconds: float = 40) -> None:
        """Wait until `condition` holds, looking whenever a frame arrives."""
        await until(condition, self.changed, seconds)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for pc in (self.up, self.down):
            if pc is not None:
                await pc.close()


async def until(condition: Callable[[], bool], changed: asyncio.Event, seconds: float = 40) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            changed.clear()
            try:
                await asyncio.wait_for(changed.wait(), 0.2)
            except TimeoutError:
                continue


def _connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


class School:
    """A plane with one room, its gate and its record."""

    def __init__(self, plane: Plane, clock: Any) -> None:
        self.plane, self.clock = plane, clock
        self.gate = Gate()
        self.record = Record()
        self.people: dict[str, Person] = {}
        self.watch = Watch(self)
        self.room: MediaRoom = plane.room(gate=self.gate, lesson_clock_start=clock.boottime(), sink=self.record,
                                          on_offer=lambda peer, offer: self.people[peer].offered(offer),
                                          watch=self.watch)

    def open(self) -> None:
        self.gate.until = float("inf")

    def join(self, name: str) -> Person:
        person = self.people[name] = Person(self, name)
        self.room.join(name, loopback=True)
        return person

    def route(self, **kinds: list[str]) -> None:
        """`anna_microphone=["ben"]`: who receives what."""
        self.room.set_routes({SourceKey(*name.split("_")): frozenset(peers) for name, peers in kinds.items()})  # type: ignore[arg-type]

    async def close(self) -> None:
        for person in self.people.values():
            await person.close()
        await self.plane.close()
        assert self.watch.wrong == []


def brightness(frame: Any) -> float:
    """The mean luma of a decoded picture."""
    plane, content = frame.planes[0], bytes(frame.planes[0])
    rows = [content[y * plane.line_size:y * plane.line_size + frame.width] for y in range(frame.height)]
    return sum(map(sum, rows)) / (frame.width * frame.height)
