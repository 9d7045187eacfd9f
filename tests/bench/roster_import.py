"""How long an import of the largest file holds the database: every write transaction, and the one that lets people in.

`python -m tests.bench.roster_import` prints the figures: 1,500 pupils with two adults each, then the same file with every
pupil changed.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from service.people import imports
from tests.school import Running, running
from tests.ten_lessons import office, roster_file


@dataclass(frozen=True)
class Import:
    """Figures of one import: rows, the whole time, how many write transactions, and the longest of them (ms)."""

    rows: int
    seconds: float
    transactions: int
    longest_ms: float
    cpu_ms: float


async def imported(school: Running, raw: bytes) -> Import:
    """Import `raw` as the office would, with a stopwatch on every write transaction."""
    held: list[tuple[float, float]] = []
    database = school.database
    writing = database.writing

    @asynccontextmanager
    async def timed() -> AsyncIterator[AsyncSession]:
        async with writing() as session:
            await session.connection()
            began, cpu = time.perf_counter(), time.process_time()
            yield session
        held.append(((time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000))

    actor = await office(school)
    database.writing = timed
    began = time.perf_counter()
    try:
        import_id = await imports.check(school.app.state, actor, raw, is_whole=False)
        plan = await imports.save(school.app.state, actor, import_id)
    finally:
        database.writing = writing
    longest = max(held)
    return Import(plan.rows, time.perf_counter() - began, len(held), longest[0], longest[1])


async def measured(pupils: int = 1500) -> list[tuple[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as school:
            return [("new", await imported(school, roster_file(pupils))),
                    ("every pupil changed", await imported(school, roster_file(pupils, known_as="Other")))]


def main() -> None:
    for name, figures in asyncio.run(measured()):
        print(f"{name}: {figures.rows} rows in {figures.seconds:.1f} s, {figures.transactions} write transactions, "
              f"the longest {figures.longest_ms:.0f} ms ({figures.cpu_ms:.0f} ms of it processor)")


if __name__ == "__main__":
    main()
