"""The load: a lesson of 30 with one camera and three speakers, then a screen share; every packet is decrypted and counted.

The peers are aiortc's, for ICE and DTLS; from then on packets are made, encrypted, decrypted and counted here without
codecs. Each carries the number of its source and its own at its end, so that loss and repetition are known exactly.
"""

import asyncio
import json
import os
import socket
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

import aioice.ice
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.clock import current_ntp_time
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from tests.bench import processor
from tests.bench.janus import Videoroom

CAMERA_PPS, FRAMES = 100, 25
SCREEN_PPS = 800
AUDIO_BYTES, VIDEO_BYTES = 90, 1100
SETTLE, STRAGGLE = 2.0, 0.7
_TAG = struct.Struct("!BI")
_HEADER = struct.Struct("!BBHLL")
_START_OF_PICTURE, _MORE = b"\x10", b"\x00"  # VP8 payload descriptor: S bit, RFC 7741 4.2
_KEY, _DELTA = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00", b"\x11\x02\x00"  # VP8 frame tags, RFC 6386 9.1
_OPUS = b"\x78"  # one frame of 20 ms, RFC 6716 3.1


class Silent(MediaStreamTrack):
    """Lets aiortc negotiate a track; its packets are made here."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    async def recv(self) -> Any:
        await asyncio.Event().wait()


@dataclass
class Sending:
    """One source: what aiortc negotiated of it, and how far it has counted."""

    number: int
    member: int
    sender: Any
    payload: int
    clock: int
    counter: int = 0
    sequence: int = 1000
    key_wanted: bool = True
    recent: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=1024))

    @property
    def transport(self) -> Any:
        return self.sender.transport

    def send(self, timestamp: int, payload: bytes, marker: bool) -> None:
        header = _HEADER.pack(0x80, marker << 7 | self.payload, self.sequence, timestamp & 0xFFFFFFFF, self.sender._ssrc)
        packet = self.transport._tx_srtp.protect(header + payload + _TAG.pack(self.number, self.counter))
        self.recent.append((self.sequence, packet))
        self._out(packet)
        self.sequence, self.counter = (self.sequence + 1) & 0xFFFF, self.counter + 1
        # What aiortc's own sender reports then say.
        self.sender._RTCRtpSender__ntp_timestamp = current_ntp_time()
        self.sender._RTCRtpSender__rtp_timestamp = timestamp & 0xFFFFFFFF

    def _out(self, packet: bytes) -> None:
        pair = self.transport.transport._connection._nominated[1]
        pair.protocol.transport.sendto(packet, pair.remote_addr)

    async def repeat(self, sequence: int) -> None:
        packet = next((packet for number, packet in self.recent if number == sequence), None)
        if packet is not None:
            self._out(packet)

    def want_key(self) -> None:
        self.key_wanted = True

    def picture(self, timestamp: int, packets: int) -> None:
        """One picture in so many packets; a key frame when one was asked for."""
        tag, self.key_wanted = _KEY if self.key_wanted else _DELTA, False
        for i in range(packets):
            start = _START_OF_PICTURE + tag if i == 0 else _MORE
            self.send(timestamp, start + _NOISE[:VIDEO_BYTES - len(start) - _TAG.size], i == packets - 1)


_NOISE = os.urandom(VIDEO_BYTES)


class Receiving:
    """One member's downlink: which packets of which source it has decrypted, each exactly once."""

    def __init__(self, connection: RTCPeerConnection) -> None:
        self.seen: dict[int, bytearray] = {}
        self.repeated = self.undecryptable = self.packets = 0
        self.highest: dict[int, int] = {}
        dtls = next(t.receiver.transport for t in connection.getTransceivers())
        self.dtls, self.context = dtls, dtls._rx_srtp
        self.protocol = dtls.transport._connection._nominated[1].protocol
        transport = self.protocol.transport
        self.socket: socket.socket = transport._sock
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        loop = asyncio.get_running_loop()
        loop._remove_reader(self.socket.fileno())  # type: ignore[attr-defined]  # asyncio guards its own transports' sockets
        loop._add_reader(self.socket.fileno(), self._readable)  # type: ignore[attr-defined]

    def _readable(self) -> None:
        for _ in range(128):
            try:
                packet, source = self.socket.recvfrom(2048)
            except BlockingIOError:
                return
            if 127 < packet[0] < 192 and not 191 < packet[1] < 224:
                self._count(packet)
            else:
                self.protocol.datagram_received(packet, source)

    def _count(self, packet: bytes) -> None:
        try:
            plain = self.context.unprotect(packet)
        except Exception:
            self.undecryptable += 1
            return
        self.packets += 1
        number, counter = _TAG.unpack_from(plain, len(plain) - _TAG.size)
        seen = self.seen.get(number)
        if seen is None:
            seen = self.seen[number] = bytearray(1 << 20)
        if seen[counter]:
            self.repeated += 1
        seen[counter] = 1
        self.highest[int.from_bytes(plain[8:12], "big")] = int.from_bytes(plain[2:4], "big")

    async def report(self) -> None:
        """What a browser says every second: nothing lost."""
        blocks = [RtcpReceiverInfo(ssrc=ssrc, fraction_lost=0, packets_lost=0, highest_sequence=65536 + highest, jitter=0, lsr=0,
                                   dlsr=0) for ssrc, highest in self.highest.items()]
        if blocks:
            await self.dtls._send_rtp(bytes(RtcpRrPacket(ssrc=1, reports=blocks[:31])))


class Server(Protocol):
    """How a lesson is set up with one kind of server."""

    async def open(self) -> None: ...
    async def publish(self, member: int, kinds: list[str], connection: RTCPeerConnection) -> None: ...
    async def subscribe_all(self, members: int, published: dict[int, list[str]]) -> list[RTCPeerConnection]: ...


class Ours:
    """JSON lines to `tests.bench.host`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.asked = 0
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.downlinks: dict[str, RTCPeerConnection] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        reader, self.writer = await asyncio.open_unix_connection(self.path, limit=1 << 20)
        self._start(self._read(reader))

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def ask(self, do: str, **what: Any) -> Any:
        self.asked += 1
        answer = self.waiting[self.asked] = asyncio.get_running_loop().create_future()
        self.writer.write(json.dumps({"id": self.asked, "do": do, **what}).encode() + b"\n")
        return await asyncio.wait_for(answer, 20)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        async for line in reader:
            said = json.loads(line)
            if "offer" in said:
                self._start(self._answer(**said["offer"]))
            else:
                self.waiting.pop(said["answer"]).set_result(said["result"])

    async def _answer(self, peer: str, version: int, sdp: str) -> None:
        connection = self.downlinks.setdefault(peer, _connection())
        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        await self.ask("subscribed", peer=peer, version=version, sdp=connection.localDescription.sdp)

    async def publish(self, member: int, kinds: list[str], connection: RTCPeerConnection) -> None:
        await self.ask("join", peer=str(member))
        await connection.setLocalDescription(await connection.createOffer())
        answer = await self.ask("publish", peer=str(member), sdp=connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def subscribe_all(self, members: int, published: dict[int, list[str]]) -> list[RTCPeerConnection]:
        for member in range(members):
            await self.ask("join", peer=str(member))
        everybody = range(members)
        routes = [(str(member), kind, [str(to) for to in everybody if to != member])
                  for member, kinds in published.items() for kind in kinds]
        await self.ask("route", routes=routes)
        for peer in map(str, everybody):
            expected = sum(len(kinds) for member, kinds in published.items() if str(member) != peer)
            await _until(lambda peer=peer, n=expected: peer in self.downlinks and self._lines(peer) >= n)  # type: ignore[misc]
        return [self.downlinks[str(member)] for member in everybody]

    def _lines(self, peer: str) -> int:
        return sum(t.currentDirection == "recvonly" for t in self.downlinks[peer].getTransceivers())


class Theirs:
    """Janus: everybody subscribes to all publishers but themselves."""

    def __init__(self, port: int, rec_dir: str) -> None:
        self.room = Videoroom(port, rec_dir)
        self.feed_of: dict[int, int] = {}

    async def open(self) -> None:
        await self.room.open()

    async def publish(self, member: int, kinds: list[str], connection: RTCPeerConnection) -> None:
        await connection.setLocalDescription(await connection.createOffer())
        answer = await self.room.publish(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        self.feed_of[member] = self.room.feeds[-1]
        await _connected(connection)

    async def subscribe_all(self, members: int, published: dict[int, list[str]]) -> list[RTCPeerConnection]:
        made = []
        for member in range(members):
            connection = _connection()
            feeds = [feed for other, feed in self.feed_of.items() if other != member]
            handle, offer = await self.room.subscribe(feeds)
            await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await connection.setLocalDescription(await connection.createAnswer())
            await self.room.start(handle, connection.localDescription.sdp)
            made.append(connection)
        return made


def _connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


async def _until(holds: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("the lesson was not set up in time")
        await asyncio.sleep(0.02)


async def _connected(connection: RTCPeerConnection) -> None:
    await _until(lambda: connection.connectionState == "connected")


class Lesson:
    """Member 0 teaches with camera, microphone and screen; members 1 and 2 speak; everybody receives all but their own."""

    def __init__(self, server: Server, members: int, pid: int) -> None:
        self.server, self.members, self.pid = server, members, pid
        self.sending: list[Sending] = []
        self.receiving: list[Receiving] = []
        self.screen_on = False
        self.profile = ""

    async def begin(self) -> None:
        await self.server.open()
        published = {0: ["microphone", "camera", "screen"], 1: ["microphone"], 2: ["microphone"]}
        for member, kinds in published.items():
            connection = _connection()
            for kind in kinds:
                connection.addTransceiver(Silent("audio" if kind == "microphone" else "video"), direction="sendonly")
            await self.server.publish(member, kinds, connection)
            await _connected(connection)
            for transceiver in connection.getTransceivers():
                self._send_with(member, transceiver)
        self.pump = asyncio.ensure_future(self._pump())
        downlinks = await self.server.subscribe_all(self.members, published)
        for connection in downlinks:
            await _connected(connection)
            self.receiving.append(Receiving(connection))
        self.profile = downlinks[0].getTransceivers()[0].receiver.transport._ssl.get_selected_srtp_profile().decode()
        self.reports = asyncio.ensure_future(self._report())

    def _send_with(self, member: int, transceiver: Any) -> None:
        sender = transceiver.sender
        clock = 960 if transceiver.kind == "audio" else 90_000 // FRAMES
        payload = transceiver._codecs[0].payloadType
        sending = Sending(len(self.sending), member, sender, payload, clock)
        sender._send_keyframe, sender._retransmit = sending.want_key, sending.repeat
        self.sending.append(sending)

    @property
    def screen(self) -> Sending:
        return self.sending[2]

    async def _pump(self) -> None:
        """Sound every 20 ms, pictures every 40, at times that do not drift."""
        loop = asyncio.get_running_loop()
        begun, beat, noise = loop.time(), 0, _OPUS + os.urandom(AUDIO_BYTES - 1)
        while True:
            for source in self.sending:
                if source.clock == 960:
                    source.send(beat * 960, noise, beat == 0)
            if beat % 2 == 0:
                camera, at = self.sending[1], (beat // 2) * 90_000 // FRAMES
                camera.picture(at, CAMERA_PPS // FRAMES)
                # A still screen costs next to nothing; before it is shared, one small picture now and then.
                if self.screen_on or beat % 50 == 0:
                    self.screen.picture(at, SCREEN_PPS // FRAMES if self.screen_on else 1)
            beat += 1
            await asyncio.sleep(max(0.0, begun + beat * 0.02 - loop.time()))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1)
            for receiving in self.receiving:
                await receiving.report()

    async def measure(self, seconds: float) -> dict[str, float]:
        """Processor time of the server for each packet forwarded, and what of that which was sent did not arrive."""
        await asyncio.sleep(SETTLE)
        first, before = [source.counter for source in self.sending], self._snapshot()
        await asyncio.sleep(seconds)
        last, after = [source.counter for source in self.sending], self._snapshot()
        await asyncio.sleep(STRAGGLE)
        expected = arrived = 0
        for source, begin, end in zip(self.sending, first, last, strict=True):
            for member, receiving in enumerate(self.receiving):
                if member != source.member:
                    expected += end - begin
                    arrived += sum(receiving.seen.get(source.number, b"")[begin:end])
        passed = {name: after[name] - before[name] for name in after}
        return {
            "out_pps": round(passed["packets"] / passed["clock"]), "us_per_packet": passed["server"] * 1e6 / passed["packets"],
            "server_share": passed["server"] / passed["clock"], "load_share": passed["load"] / passed["clock"],
            "expected": expected, "lost": expected - arrived, "repeated": passed["repeated"],
            "undecryptable": passed["undecryptable"],
        }

    def _snapshot(self) -> dict[str, float]:
        return {
            "clock": time.monotonic(), "server": processor.seconds(self.pid), "load": time.process_time(),
            **{name: sum(getattr(receiving, name) for receiving in self.receiving)
               for name in ("packets", "repeated", "undecryptable")},
        }


async def run(target: str, where: str, rec_dir: str, address: str, members: int, pid: int, seconds: float) -> None:
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]
    server: Server = Ours(where) if target == "ours" else Theirs(int(where), rec_dir)
    lesson = Lesson(server, members, pid)
    async with asyncio.timeout(60):
        await lesson.begin()
    result: dict[str, Any] = {"profile": lesson.profile, "lesson": await lesson.measure(seconds)}
    lesson.screen_on = True
    result["screen"] = await lesson.measure(seconds)
    print(json.dumps(result), flush=True)
    os._exit(0)  # sixty connections need no goodbyes


if __name__ == "__main__":
    _target, _where, _rec_dir, _address, _members, _pid, _seconds = sys.argv[1:8]
    asyncio.run(run(_target, _where, _rec_dir, _address, int(_members), int(_pid), float(_seconds)))
