"""How soon the reviewer sees a picture anywhere in an hour of thirty people, and how fast it is served, beside plain ffmpeg.

The hour is written at once from a few real seconds, and prepared as the service does (pictures and speech of one track are
measured). The service and headless Chromium share this machine; ffmpeg reads the same pictures in clear, where it is installed.
"""

import asyncio
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles

import httpx
from playwright.async_api import Page, async_playwright

from recordings import queries, review
from recordings.preparation.commands import Preparations, prepare_all
from recordings.reader import Recording
from service.foundation.web import COOKIE
from tests.proofs import PASSWORD, code, give_codes
from tests.recordings.lesson import Recorded
from tests.recordings.long_lesson import record_long
from tests.recordings.test_player_in_chromium import served
from tests.school import Running, running

SEEKS = 40
SEEK = """async (ms) => {
  const begun = performance.now();
  const shows = video => video.readyState >= 2 && !video.seeking && Math.abs(video.currentTime - ms / 1000) < 0.3;
  const slider = document.querySelector('.x-review__slider');
  slider.value = ms;
  slider.dispatchEvent(new Event('input', {bubbles: true}));
  let first = 0;
  for (;;) {
    await new Promise(requestAnimationFrame);
    const videos = [...document.querySelectorAll('.x-review__tile:not([hidden]) video')];
    const ready = videos.filter(shows);
    if (ready.length && !first) first = performance.now() - begun;
    if (first && ready.length === videos.length) return [first, performance.now() - begun, videos.length];
    if (performance.now() - begun > 20000) return [first || 20000, 20000, videos.length];
  }
}"""


@asynccontextmanager
async def reviewer(school: Running, recorded: Recorded) -> AsyncIterator[tuple[Page, str, str]]:
    """The DSL's page of the hour, its address and cookie."""
    dsl = school.person("dsl")
    cookie = await school.cookie(dsl)
    async with served(school) as base, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = await browser.new_context(base_url=base, viewport={"width": 1366, "height": 768})
        await context.add_cookies([{"name": COOKIE, "value": cookie, "url": base}])
        page = await context.new_page()
        await page.goto(recorded.page)
        await page.get_by_label("Why?").select_option(label="A moment that staff flagged")
        await give_codes(school, dsl)
        await page.get_by_role("button", name="Watch").click()
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_label("One-time code").fill(code(school))
        began = time.perf_counter()
        await page.get_by_role("button", name="Confirm").click()
        await page.locator(".x-review[data-ready]").wait_for(timeout=60_000)
        await page.wait_for_function("() => document.querySelector('.x-review__tile:not([hidden]) video')?.readyState >= 2")
        print(f"  from Confirm to the page with its first picture: {time.perf_counter() - began:.2f} s")
        yield page, f"{base}{page.url.removeprefix(base)}", cookie
        await browser.close()


async def seeks(page: Page, end_ms: int) -> list[float]:
    """Seconds to the first picture of random seeks; prints those to all of them too."""
    chance = random.Random(1)
    found: list[list[float]] = []
    for _ in range(SEEKS):
        found.append(await page.evaluate(SEEK, chance.randrange(0, end_ms - 20_000) // 1000 * 1000))
    firsts, alls = [each[0] / 1000 for each in found], [each[1] / 1000 for each in found]
    print(f"  first picture of a random seek: {spread(firsts)}; all {int(found[0][2])} that play: {spread(alls)}")
    return firsts


def spread(seconds: list[float]) -> str:
    return f"median {median(seconds):.3f} s, 95 % {quantiles(seconds, n=20)[-1]:.3f} s, longest {max(seconds):.3f} s"


async def requests(address: str, cookie: str, end_ms: int) -> tuple[float, float]:
    """(median seconds of the request behind a seek for one camera, bytes a second when it is all fetched)."""
    chance, took, size = random.Random(2), [], 0
    async with httpx.AsyncClient(cookies={COOKIE: cookie}, timeout=60) as client:
        for _ in range(SEEKS):
            at = chance.randrange(0, end_ms - 20_000)
            began = time.perf_counter()
            answer = await client.get(f"{address}/pieces?of=1.1&at={at}&until={at + 1500}")
            took.append(time.perf_counter() - began)
            assert answer.status_code == 200
        began = time.perf_counter()
        for at in range(0, min(end_ms, 1_200_000), 12_000):
            size += len((await client.get(f"{address}/pieces?of=1.1.{at // 1000}&at={at}&until={at + 12_000}")).content)
        whole = time.perf_counter() - began
    return median(took), size / whole


def in_clear(recorded: Recorded, folder: Path) -> Path:
    """The teacher's camera as a file with an index, as ffmpeg makes it."""
    raw, indexed = folder / "raw.webm", folder / "camera.webm"
    with Recording(recorded.begun.path, recorded.begun.key) as file, raw.open("wb") as out:
        out.write(file.init_segment(1))
        for number in range(len(file.clusters(1))):
            out.write(file.cluster(1, number))
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", raw, "-c", "copy", indexed], check=True)
    return indexed


def ffmpeg(path: Path, end_ms: int) -> tuple[float, float, float]:
    """(median seconds to one picture at a random moment, bytes a second when all packets are read, ms of the processor)."""
    chance, took = random.Random(2), []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(SEEKS):
        at = chance.randrange(0, end_ms - 20_000) / 1000
        began = time.perf_counter()
        subprocess.run(["ffmpeg", "-v", "error", "-ss", str(at), "-i", path, "-frames:v", "1", "-f", "null", "-"], check=True)
        took.append(time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000 / SEEKS
    began = time.perf_counter()
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-c", "copy", "-f", "null", "-"], check=True)
    return median(took), path.stat().st_size / (time.perf_counter() - began), spent


async def opening(school: Running, recorded: Recorded, end_ms: int) -> float:
    """Processor time alone, which other work on the machine does not change. Returns milliseconds for a seek of one camera."""
    async with school.database.reading() as session:
        details = await queries.recording(session, recorded.school_id, recorded.lesson_id)
    for words in ("opened for the first time", "opened again"):
        began = time.process_time()
        opened = await review.open_review(details, school.app.state.vault, school.app.state.shelf)
        print(f"  {words}: {(time.process_time() - began) * 1000:.1f} ms of the processor")
    spent = []
    for of in ("1.1", ",".join(f"1.{number}" for number in range(1, len(opened.tracks) + 1))):
        chance, began = random.Random(3), time.process_time()
        for _ in range(SEEKS):
            at = chance.randrange(0, end_ms - 20_000)
            assert all(review.pieces(opened, review.wanted(of), at, at + 1500))
        spent.append((time.process_time() - began) * 1000 / SEEKS)
    print(f"  what a seek needs, decrypted: one camera {spent[0]:.1f} ms of the processor, every track {spent[1]:.1f} ms")
    return spent[0]


async def main(minutes: int, people: int, picture: str = "") -> None:
    with tempfile.TemporaryDirectory(prefix="chaperone-bench-") as folder:
        async with running(Path(folder) / "data") as school:
            began = time.perf_counter()
            recorded = await record_long(school, minutes=minutes, people=people)
            size = recorded.begun.path.stat().st_size
            print(f"{people} people for {minutes} minutes: {size / 1e9:.2f} GB, written in {time.perf_counter() - began:.0f} s")
            end_ms = minutes * 60_000
            if picture:
                await prepared(school)
            ours_spent = await opening(school, recorded, end_ms)
            async with reviewer(school, recorded) as (page, address, cookie):
                ours = await seeks(page, end_ms)
                one, rate = await requests(address.split("?")[0], cookie, end_ms)
                if picture:
                    await take_picture(page, picture)
            print(f"  the request behind a seek, one camera: median {one * 1000:.1f} ms; all of it: {rate / 1e6:.0f} MB/s")
            if shutil.which("ffmpeg") is None:
                print("  ffmpeg is not installed, so there is nothing to compare with")
                return
            camera = await asyncio.to_thread(in_clear, recorded, Path(folder))
            plain_one, plain_rate, plain_spent = await asyncio.to_thread(ffmpeg, camera, end_ms)
            print(f"  ffmpeg, the same camera in clear: one picture {plain_one * 1000:.1f} ms; "
                  f"all of it: {plain_rate / 1e6:.0f} MB/s")
            print(f"  ratios: the request {one / plain_one:.2f}, first picture in the browser {median(ours) / plain_one:.2f}, "
                  f"throughput {rate / plain_rate:.2f}, processor for a seek {ours_spent / plain_spent:.3f}")


async def prepared(school: Running) -> None:
    state, began = school.app.state, time.perf_counter()
    async with state.preparations.turn:
        pass
    await prepare_all(state.database, state.vault, state.clock, Preparations())
    print(f"  prepared in {time.perf_counter() - began:.0f} s of spare time")


async def take_picture(page: Page, path: str) -> None:
    await page.get_by_role("button", name="Play", exact=True).click()
    await page.wait_for_timeout(4000)
    await page.evaluate("document.querySelector('.x-review').scrollIntoView()")
    await page.screenshot(path=path)


if __name__ == "__main__":
    asyncio.run(main(*(int(each) for each in sys.argv[1:3] or (60, 30)), *sys.argv[3:]))  # type: ignore[arg-type]
