"""Somebody in a lesson whose socket says, by the kernel's clock, when each packet reached it; who leaves, or dies."""

import asyncio
import time

import httpx
from websockets.asyncio.client import ClientConnection

from service.selftest.peer import Peer
from service.selftest.visitor import Visitor
from tests.bench.arrival import _TLS, MUTED, PATIENCE

FRAME = 0.005
"""Seconds between packets of a voice, four times as many as Opus makes, so that the last byte is known to 5 ms."""
TRIES = 5


class Ear(Peer):
    """A downlink's socket: only arrival counts, so media is not decrypted. `last`: seconds since 1970 of the newest packet."""

    last = 0.0
    packets = 0

    def _decrypt(self, datagram: bytes, at: float) -> None:
        if not 191 < datagram[1] < 224:  # RTCP is none (RFC 5761 4)
            self.last, self.packets = at, self.packets + 1


class Attendee(Visitor):
    """Sends the sound of a voice when it `speaks`, else that of a muted microphone. `closed_at`: when its socket was closed."""

    down: Ear

    def __init__(self, url: str, lesson_id: str, address: str, cookie: str, *, speaks: bool = False) -> None:
        super().__init__(url, lesson_id, address, cookie, pace=FRAME if speaks else MUTED)
        self.down, self.speaks = Ear(address=address), speaks
        self.closed_at = 0.0

    async def come_in(self) -> "Attendee":
        """In, whatever the room's state."""
        client = httpx.AsyncClient(base_url=self.url, verify=_TLS, timeout=PATIENCE, headers={"origin": self.url})
        async with client:
            for _ in range(TRIES):
                try:
                    async with asyncio.timeout(PATIENCE):
                        await self.come(client)
                    return self
                except httpx.HTTPStatusError as refused:  # "not available just now": a page tries again, and so do we
                    if refused.response.status_code != 503:
                        raise
        raise RuntimeError(f"the door was busy {TRIES} times")

    async def open(self) -> "Attendee":
        """In, and the room is open."""
        await self.come_in()
        await self.sees("open")
        if self.speaks:
            await self.say("microphone", on=True)
        return self

    async def _listen(self, line: ClientConnection) -> None:
        await super()._listen(line)
        self.closed_at = time.time()

    def told_at(self, kind: str) -> float:
        """When this page was last told something of this kind; 0 when never."""
        return next((at for at, said in reversed(self.log) if said["type"] == kind), 0.0)

    async def sees(self, room: str) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.until(lambda: self.told.get("state", {}).get("room") == room)

    async def hears(self, packets: int = 5, of: "Attendee | None" = None) -> None:
        """Until so many more packets have arrived. Raises RuntimeError when they do not: with what this page, and that of
        whoever speaks, was told."""
        wanted = self.down.packets + packets
        try:
            await self.down.until(lambda: self.down.packets >= wanted, PATIENCE)
        except TimeoutError:
            pages = [self.standing, *([of.standing] if of else [])]
            raise RuntimeError(f"nothing was heard for {PATIENCE:g} s in {'; whoever speaks: '.join(pages)}") from None

    @property
    def standing(self) -> str:
        """How the lesson stands by what this page was told, without anybody's name."""
        state = self.told.get("state", {})
        ended = [task for task in self._tasks if task.done() and not task.cancelled()]
        speak = [person["role"] for person in state.get("people", []) if person["microphone"]]
        return (f"{self.lesson_id}: {state.get('room')}, held because {state.get('hold')}, {len(state.get('people', []))} here, "
                f"recording: {state.get('recording')}, turned on: {speak}, socket closed: {self.told.get('closed')}, "
                f"sent {self.sent} packets, the last {time.time() - self.sent_at:.1f} s ago, "
                f"tasks that ended: {[(task.get_coro().__name__, task.exception()) for task in ended]}")  # type: ignore[union-attr]

    async def die(self) -> None:
        """As by SIGKILL: the kernel closes what was open."""
        for task in self._tasks:
            task.cancel()
        assert self._socket is not None
        self._socket.transport.abort()
        for peer in (self.up, self.down):
            peer.close()
