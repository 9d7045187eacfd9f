"""Lessons of the real application side by side in real time, so that a thousand runs of an attack take minutes and not hours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from service.foundation.clock import SystemClock
from tests.room.pages import Lesson
from tests.school import Running, running
from tests.ten_lessons import Taught, ten_lessons

MOST = 10


class Beside(Lesson):
    """One of them: a teacher and at least three pupils, carried by the application's own media plane."""

    def __init__(self, school: Running, taught: Taught, number: int):
        self.school, self.number = school, number
        self.id, self.teacher_id, self.pupil_ids = taught.lesson_id, taught.teacher_id, list(taught.pupil_ids)
        self.pages = []


@asynccontextmanager
async def lessons(folder: Path, count: int, *, minutes: int = 40) -> AsyncIterator[list[Beside]]:
    """`count` lessons that are on for `minutes` more, at most ten."""
    async with running(folder, clock=SystemClock()) as school:  # type: ignore[arg-type]
        made = [Beside(school, taught, number) for number, taught in enumerate(
            await ten_lessons(school, pupils=150, lessons=count, minutes=minutes))]
        yield made
        for each in made:
            await each.end()


async def in_each(made: list[Beside], attack: Callable[[Beside], Awaitable[None]]) -> None:
    """The same attack in all of them at once. The first that got what it was after ends them all."""
    tasks = [asyncio.ensure_future(attack(each)) for each in made]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
