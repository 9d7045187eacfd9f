from collections.abc import AsyncIterator

import pytest

from lessons.media.keys import Offer
from lessons.media.plane import Plane
from service.foundation.clock import SystemClock
from tests.fakes import FakeClock
from tests.media.peers import School, until
from tests.media.raw import RawPeer, answer, offer


class Room(School):
    """A school whose people are made by hand."""

    def __init__(self, plane: Plane, clock: object) -> None:
        super().__init__(plane, clock)
        self.offers: dict[str, list[Offer]] = {}
        self.raw: list[RawPeer] = []
        self.room.on_offer = lambda peer, offer: self.offers.setdefault(peer, []).append(offer)

    async def sender(self, name: str, *, tcp: bool = False, **how: object) -> RawPeer:
        """Join `name` and connect an uplink."""
        peer = RawPeer(tcp=tcp)
        self.raw.append(peer)
        self.room.join(name)
        sdp = await self.room.publish(name, offer(peer.certificate, **how))  # type: ignore[arg-type]
        await peer.connect(sdp)
        await peer.until(lambda: self.room._uplinks[name].transport.connected)
        return peer

    async def viewer(self, name: str, *, tcp: bool = False, sources: int = 0, repairs: bool = True) -> RawPeer:
        """Join `name` and connect a downlink that answered an offer with at least `sources` streams."""
        peer = RawPeer(tcp=tcp)
        self.raw.append(peer)
        self.room.join(name)
        await until(lambda: bool(self.offers.get(name)) and len(self.offers[name][-1].streams) >= sources, peer.changed)
        newest = self.offers[name][-1]
        await self.room.subscribed(name, newest.version, answer(peer.certificate, newest.sdp, repairs=repairs))
        await peer.connect(newest.sdp)
        await peer.until(lambda: self.room._downlinks[name].transport.connected)
        return peer

    async def close(self) -> None:
        for peer in self.raw:
            peer.close()
        await super().close()


@pytest.fixture
async def school() -> AsyncIterator[School]:
    """A room on loopback with real peers, its gate shut."""
    clock = SystemClock()
    school = School(await Plane.start(port=0, addresses=["127.0.0.1"], clock=clock), clock)
    yield school
    await school.close()


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    """A room on loopback whose peers make every packet by hand, its gate shut."""
    clock = SystemClock()
    room = Room(await Plane.start(port=0, addresses=["127.0.0.1"], clock=clock), clock)
    yield room
    await room.close()


@pytest.fixture
async def frozen() -> AsyncIterator[Room]:
    """The same, with a clock that only the test moves."""
    clock = FakeClock()
    room = Room(await Plane.start(port=0, addresses=["127.0.0.1"], clock=clock), clock)
    yield room
    await room.close()
