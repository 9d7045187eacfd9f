from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from service.foundation.clock import SystemClock
from tests.room.pages import Lesson
from tests.school import Running, running
from tests.threats.attack import attempted


@pytest.fixture
def attempt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
            forbidden: list[Any]) -> AbstractContextManager[None]:
    """Wraps an attack: it must come to nothing, or, where a guard is taken away, succeed at its own assertion."""
    return attempted(request.param, monkeypatch, forbidden)


@pytest.fixture
async def played(school: Running) -> AsyncIterator[Lesson]:
    """The lesson that is on now, on a clock and media that the test plays."""
    lesson = Lesson(school)
    yield lesson
    await lesson.end()


@pytest.fixture
async def carried(tmp_path: Path) -> AsyncIterator[Lesson]:
    """The same in real time, carried by the application's own media plane."""
    async with running(tmp_path / "data", clock=SystemClock()) as school:  # type: ignore[arg-type]
        lesson = Lesson(school, played=False)
        yield lesson
        await lesson.end()
