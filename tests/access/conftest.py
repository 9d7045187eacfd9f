from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.access.world import World, build, undone
from tests.school import running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def built(tmp_path_factory: pytest.TempPathFactory, template: Path) -> AsyncIterator[World]:
    """The school of `world.py`, made once."""
    async with running(tmp_path_factory.mktemp("world") / "data", template=template) as school:
        yield await build(school)


@pytest_asyncio.fixture(loop_scope="session")
async def world(built: World) -> AsyncIterator[World]:
    """The same, in which nothing that is asked leaves a trace; for this test only."""
    async with undone(built.school):
        yield built
