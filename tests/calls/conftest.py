from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aioice.ice
import pytest

from service.calls.rest.way import RestWay
from tests import netns
from tests.calls.bridged import CALLER, FAMILY
from tests.calls.cable import Trunkside, network
from tests.calls.ears import Caller
from tests.calls.homes import Home, Later
from tests.calls.people import SCHOOL
from tests.calls.provider import ACCOUNT, TOKEN, Does, listening, provider
from tests.calls.stage import Called
from tests.home_calls import family
from tests.school import running


@pytest.fixture(scope="module")
def side() -> Iterator[Trunkside]:
    """This process moves into a network of its own for the module; the trunk's end of the cable."""
    with network() as beyond, pytest.MonkeyPatch.context() as patch:
        patch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [netns.ADDRESS])  # others leave loopback there
        yield beyond


@pytest.fixture
async def call() -> AsyncIterator[Called]:
    called = Called(Caller())
    yield called
    await called.caller.close()


@pytest.fixture
async def home(tmp_path: Path, template: Path) -> AsyncIterator[Home]:
    later = Later()
    (tmp_path / "token").write_text(TOKEN + "\n")
    async with provider() as beyond, listening(later) as origin:
        beyond.people = {CALLER: Does(), FAMILY: Does()}
        settings = {"provider_url": beyond.url, "provider_account": ACCOUNT, "provider_token_file": tmp_path / "token",
                    "provider_number": SCHOOL, "public_url": origin}
        async with running(tmp_path / "data", template=template, **settings) as school:
            later.app = school.app
            assert isinstance(school.app.state.way, RestWay)
            yield Home(await family(school, shown=SCHOOL), beyond)
