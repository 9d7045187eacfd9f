from collections.abc import AsyncIterator

import pytest

from lessons.media.plane import Plane
from service.foundation.clock import SystemClock
from tests.media.peers import School


@pytest.fixture
async def school() -> AsyncIterator[School]:
    """A room on loopback, its gate shut."""
    clock = SystemClock()
    plane = await Plane.start(port=0, addresses=["127.0.0.1"], clock=clock)
    school = School(plane, clock)
    yield school
    await school.close()
