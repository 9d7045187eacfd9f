from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.access.world import World, build, undone
from tests.school import running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory, template: Path) -> AsyncIterator[World]:
    """The school of `world.py`, in which nothing that is asked leaves a trace."""
    async with running(tmp_path_factory.mktemp("world") / "data", template=template) as school:
        made = await build(school)
        async with undone(school):
            yield made
