"""Sound as the telephone network speaks: G.711, A-law and mu-law (ITU-T G.711). The school's recording, and our own tones."""

import math
from array import array
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import av
from av.audio.resampler import AudioResampler

from service.calls.sip.sdp import PCMA, PCMU
from service.foundation.errors import Invalid, Unavailable

LONGEST_SECONDS = 120
NAMES = {PCMA: "pcm_alaw", PCMU: "pcm_mulaw"}
RATE = 8000
RINGING = ((0.4, (400, 450)), (0.2, ()), (0.4, (400, 450)), (2.0, ()))
"""What a caller hears while it rings: seconds, and hertz (ITU-T E.180, the United Kingdom's)."""
YOUR_TURN = ((0.15, (880,)), (0.85, ()))
"""Something is to be pressed."""


class NoMessage(Unavailable):
    """The school has recorded no message. Hang up, and ask the office to ring."""

    code = "no-message"


class NotSound(Invalid):
    """The school's recorded message cannot be read, or is longer than two minutes."""

    code = "not-sound"


def recorded(path: Path) -> dict[int, bytes]:
    """A sound file in both codecs, by payload type. Raises NotSound."""
    try:
        return {codec: _encoded(path, name) for codec, name in NAMES.items()}
    except (av.FFmpegError, IndexError, OSError) as unreadable:
        raise NotSound from unreadable


def _encoded(path: Path, name: str) -> bytes:
    encoder = _codec(name, "w")
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    sound = bytearray()
    with av.open(str(path)) as file:
        for frame in file.decode(file.streams.audio[0]):
            for part in resampler.resample(frame):
                for packet in encoder.encode(part):
                    sound += bytes(packet)
            if len(sound) > LONGEST_SECONDS * RATE:
                raise NotSound
    return bytes(sound)


@cache
def tone(parts: Iterable[tuple[float, tuple[int, ...]]], codec: int) -> bytes:
    """Tones and silences, one after another: seconds and the hertz of each."""
    samples = array("h")
    for seconds, hertz in parts:
        samples.extend(sum(round(4000 * math.sin(2 * math.pi * each * at / RATE)) for each in hertz)
                       for at in range(round(seconds * RATE)))
    return _written(samples.tobytes(), codec)


def anew(sound: bytes, codec: int, wanted: int) -> bytes:
    """The same sound in the other end's codec."""
    return sound if codec == wanted else sound.translate(_table(codec, wanted))


@cache
def _table(codec: int, wanted: int) -> bytes:
    """What each byte is in the other codec."""
    frame, = _codec(NAMES[codec], "r").decode(av.Packet(bytes(range(256))))
    return _written(bytes(frame.planes[0])[:512], wanted)


def _written(samples: bytes, codec: int) -> bytes:
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples) // 2)
    frame.planes[0].update(samples)
    frame.sample_rate = RATE
    return b"".join(bytes(packet) for packet in _codec(NAMES[codec], "w").encode(frame))


def _codec(name: str, mode: Literal["r", "w"]) -> Any:
    """What av has no types for."""
    made: Any = av.CodecContext.create(name, mode)
    made.sample_rate, made.layout, made.format = RATE, "mono", "s16"
    return made
