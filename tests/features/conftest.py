from collections.abc import AsyncIterator

import pytest

from tests.room.pages import Lesson
from tests.school import Running


@pytest.fixture
async def lesson(school: Running) -> AsyncIterator[Lesson]:
    """The lesson that is on now, on a clock and media that the test plays."""
    lesson = Lesson(school)
    yield lesson
    await lesson.end()
