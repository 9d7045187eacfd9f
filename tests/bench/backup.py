"""A demo school with 2 GB of recordings: backed up, backed up again, restored; beside a plain copy of the same bytes.

The recordings are random and sealed as real ones are, an hour of a lesson each. Folders on one disk; no network.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage

from service.backup import command, restoring
from service.backup.saving import save
from service.backup.target import Target
from service.foundation.settings import Settings
from service.wiring import SUBSCRIBERS
from tests.school import running
from tests.storage import recorded

RECORDINGS, SECOND = 10, 57_000
"""Ten lessons of an hour, each 205 MB."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    done = work()
    return time.perf_counter() - began, done


def plain_copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    os.sync()


async def main(folder: Path) -> None:
    data, new = folder / "data", folder / "new"
    identity = pyrage.x25519.Identity.generate()
    async with running(data) as school:
        for number in range(RECORDINGS):
            await recorded.sealed(school.app.state, f"bench-{number}", (SECOND,) * 3600)
        size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
        settings = school.app.state.settings.model_copy(update={"backup_recipients": str(identity.to_public())})
        targets = Target(str(folder / "to"), "data", None), Target(str(folder / "to"), "keys", None)
        longest, first = 0.0, asyncio.create_task(asyncio.to_thread(
            timed, lambda: save(settings, *targets, school.clock.now(), lambda words: None)))
        while not first.done():
            waited, _ = await write(school)
            longest = max(longest, waited)
            await asyncio.sleep(0.02)
        took, _ = await first
        again, made = timed(lambda: save(settings, *targets, school.clock.now(), lambda words: None))
        clock = school.clock
    copied, _ = timed(lambda: plain_copy(data, folder / "plain"))
    shutil.rmtree(folder / "plain")
    began = time.perf_counter()
    source = restoring.opened(*targets, [identity])
    assert await command.put_back(source, Settings(data=new), clock, SUBSCRIBERS) == 0
    back = time.perf_counter() - began
    print(f"{size / 1e9:.2f} GB, {RECORDINGS} recordings")
    print(f"plain copy         {copied:6.1f} s")
    print(f"first back-up      {took:6.1f} s, {took / copied:.1f} times a plain copy")
    print(f"  a writer waited  {longest * 1000:6.0f} ms at most meanwhile, in the same process")
    print(f"second back-up     {again:6.1f} s, {made.copied_bytes / 1e6:.1f} MB new")
    print(f"restore, verified  {back:6.1f} s, {back / copied:.1f} times a plain copy; 50 GB: {back / size * 50e9 / 60:.0f} min")


async def write(school: Any) -> tuple[float, None]:
    """How long one small write transaction took, from asking for it."""
    began = time.perf_counter()
    async with school.database.writing():
        pass
    return time.perf_counter() - began, None


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="chaperone-bench-", dir=os.environ.get("CHAPERONE_BENCH_FOLDER")) as made:
        asyncio.run(main(Path(made)))
