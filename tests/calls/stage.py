"""A school and its trunk in a network of their own: real Janus, kamailio and telephones, and ears at both ends."""

import asyncio
import fractions
import math
import re
import secrets
import socket
import struct
import subprocess
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError

from service.calls.number import Number
from service.calls.sip.processes import Gateway
from service.calls.sip.trunk import Trunk
from service.calls.sip.way import SipWay
from service.calls.way import Kind, News, Order
from tests import netns

SCHOOL, PARENT = "+441632960001", "+441632960777"
TRUNK = "192.0.2.2"
TEACHER = ("Hall", "teacher-17", "+447700900123", "home-laptop")
"""What no trunk may ever see: a teacher's name, id, number and machine."""
HEARD, SAID, MESSAGE = 1000.0, 440.0, 620.0
"""Hertz of the caller's tone, of the callee's, and of the school's message."""


@contextmanager
def network() -> Iterator["Trunkside"]:
    """This thread, and what it starts, in a network with the school at 192.0.2.1; beyond a cable, at 192.0.2.2, the trunk's."""
    with netns.entered() as alone:
        assert alone, "these tests need the right to make a network namespace (root, on Linux)"
        beyond = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        try:
            assert beyond.stdout is not None
            beyond.stdout.readline()
            side = Trunkside(beyond.pid)
            subprocess.run(["ip", "link", "set", "lesson1", "netns", str(beyond.pid)], check=True)
            for words in ("link set lo up", f"address add {TRUNK}/24 dev lesson1", "link set lesson1 up",
                          f"route add default via {netns.ADDRESS}"):
                subprocess.run(side.inside(["ip", *words.split()]), check=True)
            yield side
        finally:
            beyond.kill()
            beyond.wait()


@dataclass(frozen=True)
class Trunkside:
    """The network beyond the school's cable."""

    pid: int

    def inside(self, command: list[str]) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command]

    async def listening(self, port: int, kind: str = "udp", seconds: float = 8) -> None:
        """Until something is bound to this port there."""
        wanted = re.compile(rf": [0-9A-F]{{8}}:{port:04X} ")
        for _ in range(int(seconds / 0.02)):
            if wanted.search(Path(f"/proc/{self.pid}/net/{kind}").read_text()):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"nothing listens on {port}")


def trunk(**more: Any) -> Trunk:
    return Trunk(**{"host": TRUNK, "address": netns.ADDRESS, "number": Number(SCHOOL)} | more)


def order(offer: str, **more: Any) -> Order:
    return Order(**{"call_id": secrets.token_hex(16), "callee": Number(PARENT), "shown": Number(SCHOOL), "offer": offer} | more)


@asynccontextmanager
async def way(of: Trunk | None = None, *, strips: bool = True, message: Path | None = None,
              certificate: Path | None = None) -> AsyncIterator[SipWay]:
    of = of or trunk()
    opened = SipWay(of, message, Gateway(of, print, strips=strips, certificate=certificate))
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


class Diary:
    """What was told of a call, to be waited for."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self._told = asyncio.Condition()

    async def tell(self, news: News) -> None:
        async with self._told:
            self.news.append(news)
            self._told.notify_all()

    async def until(self, kind: Kind, seconds: float = 10) -> News:
        async def seen() -> News:
            async with self._told:
                await self._told.wait_for(lambda: any(news.kind is kind for news in self.news))
                return next(news for news in self.news if news.kind is kind)
        try:
            return await asyncio.wait_for(seen(), seconds)
        except TimeoutError:
            raise AssertionError(f"no {kind}, only {self.kinds}") from None

    @property
    def kinds(self) -> list[Kind]:
        return [news.kind for news in self.news]


def tone(hertz: float, samples: int, start: int = 0) -> bytes:
    """A sine at 8 kHz, 16 bits."""
    return array("h", (round(12000 * math.sin(2 * math.pi * hertz * at / 8000)) for at in range(start, start + samples))).tobytes()


def frame_of(sound: bytes, at: int = 0) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(sound) // 2)
    frame.planes[0].update(sound)
    frame.sample_rate, frame.pts, frame.time_base = 8000, at, fractions.Fraction(1, 8000)
    return frame


class Tone(AudioStreamTrack):
    def __init__(self, hertz: float = HEARD) -> None:
        super().__init__()
        self.at, self.begun = 0, 0.0
        self.second = tone(hertz, 8000)
        """Whole numbers of hertz, so that a second can be said again and again."""

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        self.begun = self.begun or loop.time()
        await asyncio.sleep(max(0.0, self.begun + self.at / 8000 - loop.time()))
        start = self.at % 8000 * 2
        frame = frame_of(self.second[start:start + 320], self.at)
        self.at += 160
        return frame


class Caller:
    """A teacher's browser, as far as sound goes: says a tone, and keeps what it hears."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peer.addTrack(Tone())
        self.sound = array("h")
        self.peer.on("track", self._listen)

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return str(self.peer.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def _listen(self, track: Any) -> None:
        async def keep() -> None:
            ears = av.AudioResampler(format="s16", layout="mono", rate=8000)
            with suppress(MediaStreamError):
                while True:
                    for frame in ears.resample(await track.recv()):
                        self.sound.frombytes(bytes(frame.planes[0])[:frame.samples * 2])
        self._task = asyncio.ensure_future(keep())

    async def close(self) -> None:
        await self.peer.close()


def hertz(sound: "array[int]") -> float:
    """Which of the tones that we use it is, if one of them makes up most of the sound; 0 for silence, -1 for anything else."""
    if not sound or (power := sum(each * each for each in sound) / len(sound)) < 100 ** 2:
        return 0.0
    return next((each for each in (HEARD, SAID, MESSAGE) if _share(sound, each) > 0.5 * power), -1.0)


def _share(sound: "array[int]", hertz: float) -> float:
    """The power at one frequency (Goertzel)."""
    turn = 2 * math.cos(2 * math.pi * hertz / 8000)
    one = two = 0.0
    for each in sound:
        one, two = each + turn * one - two, one
    return 2 * (one * one + two * two - turn * one * two) / len(sound) ** 2


def wav(path: Path, hertz: float, seconds: float) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        for packet in [*stream.encode(frame_of(tone(hertz, int(8000 * seconds)))), *stream.encode(None)]:
            file.mux(packet)
    return path


# -- the cable ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packet:
    at: float
    source: tuple[str, int]
    target: tuple[str, int]
    data: bytes


class Cable:
    """Everything that crosses between the school and its trunk, as tcpdump wrote it down."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def __aenter__(self) -> "Cable":
        self.process = await asyncio.create_subprocess_exec(
            "tcpdump", "-i", "lesson0", "-U", "-w", str(self.path), "--immediate-mode", "ip", stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        while b"listening" not in await self.process.stderr.readline():
            pass
        return self

    async def __aexit__(self, *ended: object) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    @property
    def packets(self) -> list[Packet]:
        """UDP as it was, and the payload of TCP, each with its ends."""
        data, at, found = self.path.read_bytes(), 24, []
        while at + 16 <= len(data):
            seconds, micros, size, _ = struct.unpack_from("<IIII", data, at)
            frame, at = data[at + 16:at + 16 + size], at + 16 + size
            if len(frame) < 34 or frame[12:14] != b"\x08\x00":
                continue
            head = 14 + (frame[14] & 15) * 4
            ends = struct.unpack_from("!HH", frame, head)
            start = head + (8 if frame[23] == socket.IPPROTO_UDP else (frame[head + 12] >> 4) * 4)
            payload = frame[start:14 + int.from_bytes(frame[16:18], "big")]
            source, target = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
            found.append(Packet(seconds + micros / 1e6, (source, ends[0]), (target, ends[1]), payload))
        return found

    @property
    def sip(self) -> str:
        """Every SIP message, in order."""
        return "\n".join(each.data.decode(errors="replace") for each in self.packets
                         if re.match(rb"SIP/2\.0 |[A-Z]+ sips?:", each.data))

    @property
    def trace(self) -> str:
        """Every byte that is not sound, as far as it is text."""
        return "\n".join(each.data.decode(errors="replace") for each in self.packets if not _is_rtp(each.data))

    def sound(self, to: str = TRUNK, since: float = 0.0, until: float = 1e12) -> "array[int]":
        """What was sent to an address as G.711 A-law, decoded."""
        packets = [each for each in self.packets if each.target[0] == to and since <= each.at <= until and _is_rtp(each.data)]
        return alaw(b"".join(each.data[12:] for each in packets if each.data[1] & 127 == 8))

    def events(self) -> list[tuple[int, bytes]]:
        """Timestamp and payload of every telephone event that the trunk was sent."""
        return [(int.from_bytes(each.data[4:8], "big"), each.data[12:]) for each in self.packets
                if each.target[0] == TRUNK and _is_rtp(each.data) and each.data[1] & 127 == 101]


def _is_rtp(data: bytes) -> bool:
    return len(data) >= 12 and data[0] >> 6 == 2 and data[1] & 127 in (0, 8, 101)


def alaw(data: bytes) -> "array[int]":
    sound = array("h")
    if data:
        decoder = av.CodecContext.create("pcm_alaw", "r")
        decoder.sample_rate, decoder.layout = 8000, "mono"
        for frame in decoder.decode(av.Packet(data)):
            sound.frombytes(bytes(frame.planes[0])[:frame.samples * 2])
    return sound


# -- telephones -----------------------------------------------------------------------------------------------------------------

_BARESIP = """
poll_method epoll
sip_listen {address}:{port}
net_interface {address}
call_max_calls 40
audio_source aufile,{folder}/said.wav
audio_srate 8000
audio_channels 1
rtp_ports 46000-46999
module_path /usr/lib/baresip/modules
module stdio.so
module g711.so
module aufile.so
module sndfile.so
snd_path {folder}
module_tmp uuid.so
module_tmp account.so
module_app menu.so
{more}
ring_aufile none
"""


class Baresip:
    """A family's telephone. `heard` is what came out of it, once the call has ended."""

    def __init__(self, side: Trunkside, folder: Path, account: str = "", more: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.side, self.folder = side, folder
        wav(folder / "said.wav", SAID, 120)
        (folder / "config").write_text(_BARESIP.format(address=TRUNK, port=5060, folder=folder, more=more))
        (folder / "accounts").write_text(
            f"<sip:{PARENT}@{TRUNK}>;regint=0;answermode=auto;audio_codecs=PCMA,PCMU{account}\n")
        (folder / "contacts").write_text("")

    async def __aenter__(self) -> "Baresip":
        self.log = (self.folder / "log").open("wb")
        self.process = await asyncio.create_subprocess_exec(
            *self.side.inside(["baresip", "-f", str(self.folder), "-v"]), stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)
        await self.side.listening(5060)
        return self

    async def __aexit__(self, *ended: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self.log.close()

    @property
    def heard(self) -> "array[int]":
        path, = self.folder.glob("dump-*-dec.wav")
        data = path.read_bytes()[44:]
        return array("h", data[:len(data) // 2 * 2])


def leaks(trace: str, names: tuple[str, ...] = TEACHER) -> list[str]:
    """What a trace of the trunk's side has that it must not: the teacher, a number that is nobody's here, a private address."""
    found = [name for name in names if name.lower() in trace.lower()]
    digits = {number for number in re.findall(r"\+?\d{11,13}(?=@)", trace) if number not in (SCHOOL, PARENT)}
    return found + sorted(digits) + sorted(set(re.findall(r"127\.0\.0\.\d+|janus|msid|candidate|fingerprint", trace, re.I)))
