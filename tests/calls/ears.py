"""A teacher's browser as far as sound goes, and what it takes to know a tone when one hears it."""

import asyncio
import fractions
import math
from array import array
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError

from tests.calls.people import HEARD, MESSAGE, SAID


def tone(hertz: float, samples: int, start: int = 0) -> bytes:
    """A sine at 8 kHz, 16 bits."""
    turn = 2 * math.pi * hertz / 8000
    return array("h", (round(12000 * math.sin(turn * at)) for at in range(start, start + samples))).tobytes()


def frame_of(sound: bytes, at: int = 0) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(sound) // 2)
    frame.planes[0].update(sound)
    frame.sample_rate, frame.pts, frame.time_base = 8000, at, fractions.Fraction(1, 8000)
    return frame


class Tone(AudioStreamTrack):
    def __init__(self, hertz: float = HEARD) -> None:
        super().__init__()
        self.at, self.begun, self.silent = 0, 0.0, False
        self.second = tone(hertz, 8000)
        """Whole numbers of hertz, so that a second can be said again and again."""

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        self.begun = self.begun or loop.time()
        await asyncio.sleep(max(0.0, self.begun + self.at / 8000 - loop.time()))
        start = self.at % 8000 * 2
        frame = frame_of(bytes(320) if self.silent else self.second[start:start + 320], self.at)
        self.at += 160
        return frame


class Caller:
    """A teacher's browser, as far as sound goes: says a tone, and keeps what it hears."""

    def __init__(self, tone: Tone | None = None) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tone = tone or Tone()
        self.peer.addTrack(self.tone)
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

    async def connected(self, seconds: float = 8) -> None:
        up = asyncio.Event()
        self.peer.on("connectionstatechange", lambda: up.set() if self.peer.connectionState == "connected" else None)
        if self.peer.connectionState != "connected":
            await asyncio.wait_for(up.wait(), seconds)

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


def alaw(data: bytes) -> "array[int]":
    sound = array("h")
    if data:
        decoder = av.CodecContext.create("pcm_alaw", "r")
        decoder.sample_rate, decoder.layout = 8000, "mono"
        for frame in decoder.decode(av.Packet(data)):
            sound.frombytes(bytes(frame.planes[0])[:frame.samples * 2])
    return sound


def encoded(sound: bytes) -> bytes:
    """G.711 A-law."""
    encoder = av.CodecContext.create("pcm_alaw", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    return b"".join(bytes(packet) for packet in encoder.encode(frame_of(sound)))
