"""How long a pupil waits, from the press of Join to the teacher's picture, in a room that is open."""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.browser.lesson_day import Day, school_day
from tests.browser.programs import Person

TEACHER, CODES = 1, (2, 3, 4)
SHOWN = """() => [...document.querySelectorAll("video[data-person]")].some(v => v.videoWidth && v.currentTime)"""


async def main(times: int = 5) -> list[float]:
    """Seconds of each of `times` joins of the same pupil, who leaves in between."""
    with tempfile.TemporaryDirectory(prefix="chaperone-bench-") as folder:
        async with school_day(Path(folder)) as day:
            _, teacher = await day.teacher(TEACHER)
            await day.pupil(0, CODES[0])
            await day.pupil(1, CODES[1])
            await teacher.sees("open")
            await teacher.turn_on("Camera")
            late = await day.signed_in(await day.browser(CODES[2]), day.lesson["pupil_ids"][2])
            return [await _join(day, late) for _ in range(times)]


async def _join(day: Day, late: Person) -> float:
    await late.page.goto(day.lesson_url)
    join = late.page.get_by_role("button", name="Join the lesson", exact=True)
    await join.wait_for()
    pressed = time.perf_counter()
    await join.click()
    await late.page.wait_for_function(SHOWN)
    took = time.perf_counter() - pressed
    await late.press("Leave")
    await late.sees("ended")
    return took


if __name__ == "__main__":
    _took = asyncio.run(main())
    print(f"From Join to the teacher's picture: median {median(_took):.2f} s, longest {max(_took):.2f} s, of {len(_took)} joins")
