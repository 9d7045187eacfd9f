"""A page whose packets are made by hand, against the real application: what somebody's own program could send, byte by byte."""

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import Callable

from lessons.media import rtp, vp8
from tests.media.raw import VIDEO, Camera, Microphone, RawPeer, answer, offer
from tests.room.pages import Page

SMALL, LARGE = 300, 400
"""Bytes in each packet, so that the two pictures are never the same bytes."""


class Modified:
    """A page whose packets are made by hand, so that its camera's two sizes are two pictures."""

    def __init__(self, page: Page, up: RawPeer | None = None, down: RawPeer | None = None) -> None:
        self.page, self.up, self.down = page, up or RawPeer(), down or RawPeer()
        self.speaks, self.offer, self.microphone = False, offer(self.up.certificate), Microphone(self.up)
        self._tasks = [asyncio.create_task(each) for each in (self._beat(), self._send(), self._receive())]

    async def _beat(self) -> None:
        for n in itertools.count():
            self.page.say("heartbeat", n=n, visible=True)
            await asyncio.sleep(1)

    async def _send(self) -> None:
        self.page.say("publish", sdp=self.offer)
        await self.page.until(lambda: self.page.last("published") is not None, 20)
        await self.up.connect(self.page.all("published")[0]["sdp"])
        while True:
            self.microphone.frame()
            await asyncio.sleep(0.03 if self.speaks else 0.1)

    async def _receive(self) -> None:
        for n in itertools.count():
            await self.page.until(lambda n=n: len(self.page.all("subscribe")) > n, 600)  # type: ignore[misc]
            told = self.page.all("subscribe")[n]
            self.page.say("subscribed", version=told["version"], sdp=answer(self.down.certificate, told["sdp"]))
            if n == 0:
                await self.down.connect(told["sdp"])

    async def film(self, enough: Callable[[], bool]) -> None:
        """Send both pictures until it is enough."""
        low = Camera(self.up, rid="l", ssrc=0x1111, start=100, timestamp=5_000, picture=300)
        high = Camera(self.up, rid="h", ssrc=0x3333, start=60_000, timestamp=900_000, picture=5_000)
        async with asyncio.timeout(20):
            for n in itertools.count():
                low.frame(key=n % 15 == 0, size=SMALL)
                high.frame(key=n % 15 == 0, size=LARGE)
                await asyncio.sleep(0.05)
                if enough():
                    return

    def forget(self) -> None:
        """What arrived until now."""
        self.down.rtp.clear()
        self.down.arrived.clear()

    def shown(self) -> set[bytes]:
        """The whole pictures that arrived here, as a decoder gets them."""
        found: dict[int, list[tuple[int, bool, bytes]]] = defaultdict(list)
        for packet in map(rtp.parse, self.down.rtp):
            descriptor = vp8.parse(packet.payload) if packet is not None and packet.payload_type == VIDEO else None
            if packet is not None and descriptor is not None:
                found[packet.timestamp].append((packet.sequence, packet.marker, packet.payload[descriptor.size:]))
        whole = (sorted(parts) for parts in found.values() if any(marker for _, marker, _ in parts))
        return {b"".join(content for _, _, content in parts) for parts in whole}

    def saw(self, size: int) -> int:
        return sum(len(picture) // 3 in range(size, size + 10) for picture in self.shown())

    async def die(self) -> None:
        """As by SIGKILL of the browser on a machine that is cut off: nothing more is sent, nothing is said."""
        await self.close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.up.close()
        self.down.close()
