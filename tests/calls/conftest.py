from collections.abc import Iterator

import pytest

from tests.calls.cable import Trunkside, network


@pytest.fixture(scope="module")
def side() -> Iterator[Trunkside]:
    """This process moves into a network of its own for the module; the trunk's end of the cable."""
    with network() as beyond:
        yield beyond
