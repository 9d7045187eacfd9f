"""The school's neutral recording, as the telephone network speaks: G.711, A-law and mu-law (ITU-T G.711)."""

from pathlib import Path

import av
from av.audio.resampler import AudioResampler

from service.calls.sip.sdp import PCMA, PCMU
from service.foundation.errors import Invalid, Unavailable

LONGEST_SECONDS = 120


class NoMessage(Unavailable):
    """The school has recorded no message. Hang up, and ask the office to ring."""

    code = "no-message"


class NotSound(Invalid):
    """The school's recorded message cannot be read, or is longer than two minutes."""

    code = "not-sound"


def recorded(path: Path) -> dict[int, bytes]:
    """A sound file in both codecs, by payload type. Raises NotSound."""
    try:
        return {PCMA: _encoded(path, "pcm_alaw"), PCMU: _encoded(path, "pcm_mulaw")}
    except (av.FFmpegError, IndexError, OSError) as unreadable:
        raise NotSound from unreadable


def _encoded(path: Path, name: str) -> bytes:
    encoder = av.CodecContext.create(name, "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"  # type: ignore[attr-defined]
    resampler = AudioResampler(format="s16", layout="mono", rate=8000)
    sound = bytearray()
    with av.open(str(path)) as file:
        for frame in file.decode(file.streams.audio[0]):
            for part in resampler.resample(frame):
                for packet in encoder.encode(part):  # type: ignore[attr-defined]
                    sound += bytes(packet)
            if len(sound) > LONGEST_SECONDS * 8000:
                raise NotSound
    return bytes(sound)
