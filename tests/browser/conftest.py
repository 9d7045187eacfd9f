"""What browser tests share: each module has a browser and, where it asks for one, a service of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.lesson_page import chromium
from tests.browser.programs import Service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    started = Service(tmp_path_factory.mktemp("service"))
    try:
        yield await started.ready()
    finally:
        started.kill()
