from collections.abc import AsyncIterator, Iterator

import aioice.ice
import pytest

from tests import netns
from tests.calls.cable import Trunkside, network
from tests.calls.ears import Caller
from tests.calls.stage import Called


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
