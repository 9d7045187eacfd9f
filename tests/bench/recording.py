"""What recording costs: processor time for each frame, beside writing the same frames to a file as they are.

A lesson of thirty: one camera and a shared screen, three people speaking, twenty-six muted; sixty seconds of it. Once as it is
when everybody sees the camera large, and once when somebody with a slow network sees it small, so that both are recorded.
"""

import asyncio
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from recordings.capture import Capture
from recordings.format import Header
from recordings.vault import new_key
from service.foundation.clock import SystemClock

SECONDS = 60
SPEAKERS = 3
PICTURES = 2
KEY = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" + bytes(12_000)
DELTA = b"\x11\x02\x00" + bytes(2_900)  # 350 kbit/s at 15 frames a second
SMALL_KEY = KEY[:10] + bytes(1_990)
SMALL_DELTA = DELTA[:3] + bytes(750)  # 90 kbit/s at 15 frames a second, as our page sends it
SPEECH = b"\x48" + bytes(79)  # 32 kbit/s


def frames(second: int, *, small: bool) -> list[tuple[str, bytes, int, bool]]:
    """(track, frame, milliseconds, key) of one second."""
    def picture(name: str, frame: int, whole: bytes, change: bytes) -> tuple[str, bytes, int, bool]:
        key = frame == 0 and second % 5 == 0
        return name, whole if key else change, second * 1000 + frame * 1000 // 15, key

    found = [picture(f"p{n}", frame, KEY, DELTA) for n in range(PICTURES) for frame in range(15)]
    found += [picture("pl", frame, SMALL_KEY, SMALL_DELTA) for frame in range(15 if small else 0)]
    found += [(f"s{n}", SPEECH, second * 1000 + frame * 20, True) for n in range(SPEAKERS) for frame in range(50)]
    return sorted(found, key=lambda each: each[2])


async def captured(folder: Path, *, small: bool) -> tuple[float, float, int]:
    """Processor seconds of everything, of the event loop's calls alone, and bytes on disk."""
    header = Header("s", "r", "l", 1, datetime.now(UTC))
    durable = asyncio.Event()
    capture = Capture.start(
        folder / "1.rec", header=header, key=new_key(), lesson_clock_start=0.0, clock=SystemClock(),
        on_durable=lambda instant: durable.set(), on_fault=lambda reason: None,
    )
    tracks = {
        name: capture.track(name, person_id=name, source="camera" if name[0] == "p" else "microphone",
                            codec="vp8" if name[0] == "p" else "opus")
        for name in {each[0] for each in frames(0, small=small)}
    }
    loop = 0.0
    began = time.process_time()
    for second in range(SECONDS):
        lesson = frames(second, small=small)
        before = time.thread_time()
        for name, frame, at_ms, key in lesson:
            assert tracks[name].write(frame, at_ms, key)
        capture.flush()
        loop += time.thread_time() - before
        durable.clear()
        await durable.wait()
    await capture.seal("complete")
    return time.process_time() - began, loop, (folder / "1.rec").stat().st_size


def plain(folder: Path, *, small: bool) -> tuple[float, int]:
    """The same frames appended as they are, in clear, one fdatasync a second."""
    fd = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    began = time.process_time()
    for second in range(SECONDS):
        for _, frame, at_ms, key in frames(second, small=small):
            os.write(fd, at_ms.to_bytes(4, "big") + bytes((key,)) + frame)
        os.fdatasync(fd)
    spent = time.process_time() - began
    size = os.fstat(fd).st_size
    os.close(fd)
    return spent, size


def measure(*, small: bool) -> None:
    count = sum(len(frames(second, small=small)) for second in range(SECONDS))
    began = time.process_time()
    for second in range(SECONDS):
        frames(second, small=small)
    making = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        whole, loop, size = asyncio.run(captured(Path(folder), small=small))
        bare, bare_size = plain(Path(folder), small=small)
    whole, bare = whole - making, bare - making
    also = ", one of them also small" if small else ""
    print(f"recording {count} frames of {SECONDS} seconds, {SPEAKERS} voices and {PICTURES} pictures{also}")
    print(f"  ours, encrypted and chained: {whole / count * 1e6:6.2f} us a frame, {loop / count * 1e6:.2f} of them on the loop; "
          f"{whole / SECONDS:.3%} of a core, {size / 1e6:.1f} MB")
    print(f"  the same frames in clear:    {bare / count * 1e6:6.2f} us a frame; "
          f"{bare / SECONDS:.3%} of a core, {bare_size / 1e6:.1f} MB")
    print(f"  ratio {whole / bare:.2f}")


def main() -> None:
    measure(small=False)
    measure(small=True)


if __name__ == "__main__":
    main()
