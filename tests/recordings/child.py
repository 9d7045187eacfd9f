"""A recorder in a process of its own, to be killed: records in real time and says what it accepted.

    python -m tests.recordings.child FILE
"""

import asyncio
import sys
from pathlib import Path

from recordings.capture import Capture
from service.foundation.clock import SystemClock
from tests.recordings.media import DELTA_FRAME, HEADER, KEY, KEY_FRAME, SPEECH


def frame(n: int) -> bytes:
    return SPEECH + n.to_bytes(4, "big")


async def main(path: Path) -> None:
    clock = SystemClock()
    zero = clock.boottime()

    def say(*words: object) -> None:
        sys.stdout.write(" ".join(map(str, words)) + "\n")
        sys.stdout.flush()

    capture = Capture.start(
        path, header=HEADER, key=KEY, lesson_clock_start=zero, clock=clock,
        on_durable=lambda instant: say("durable", instant), on_fault=lambda reason: say("fault", reason),
    )
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    camera = capture.track("c", person_id="p", source="camera", codec="vp8")
    n = 0
    while capture.healthy:
        at_ms = n * 20
        if microphone.write(frame(n), at_ms, True):
            say("accepted", at_ms, clock.boottime())
        if n % 3 == 0:
            camera.write(KEY_FRAME if n % 75 == 0 else DELTA_FRAME, at_ms, n % 75 == 0)
        n += 1
        await asyncio.sleep(max(0.0, zero + n * 0.02 - clock.boottime()))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
