"""One school for the parents' phones, on a port of its own, and one browser for all of them."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.lesson_page import chromium
from tests.fakes import FakeClock
from tests.push import PushService, push_service
from tests.pwa.phone import today
from tests.school import Running, running
from tests.served import served


@dataclass
class Parents:
    """The school as phones reach it."""

    school: Running
    url: str
    push: PushService


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parents(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parents]:
    port = _free_port()
    url = f"http://localhost:{port}"
    async with push_service() as push, running(
        tmp_path_factory.mktemp("phones"), clock=FakeClock(today()), port=port, push_hosts=push.url,
        push_contact="office@school.example",
    ) as school, served(school, port):
        yield Parents(school, url, push)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
