from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.school import Running, running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, seeded data folder, made once a run."""
    folder = tmp_path_factory.mktemp("template")
    async with running(folder):
        pass
    return folder


@pytest.fixture
async def school(tmp_path: Path, template: Path) -> AsyncIterator[Running]:
    """The application with the demo school, on a database of its own."""
    async with running(tmp_path / "data", template=template) as started:
        yield started
