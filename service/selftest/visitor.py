"""One synthetic person in a lesson: the door, the WebSocket and real media both ways, at the addresses that a browser uses.

Each packet of their sound says whose it is and its number, so that what anybody hears is known packet by packet. They are
as disobedient as a changed browser would be: they go on sending while the room is paused.
"""

import asyncio
import json
import secrets
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from lessons.media import rtp
from service.foundation.web import COOKIE
from service.selftest.peer import Microphone, Peer, answer, offer

DOOR = {"clothing": "yes", "place": "yes", "people_near": "yes", "beside": "nobody", "media": "all"}
PROTOCOL = "chaperone.room.v1"
CONSENT = 5.0
"""Seconds between two STUN checks: consent to go on receiving (RFC 7675)."""
SPEAKING = 0.05
"""Seconds between two packets of sound: less than a voice, more than a muted microphone."""
_SAMPLES = 48_000
_MARK = struct.Struct("!8sI")


@dataclass
class Visitor:
    """`told`: the latest message of each type; `log`: all of them, with the time of day each came. `device`: the key this
    browser keeps. `pace`: seconds between packets of sound."""

    url: str
    lesson_id: str
    address: str = ""
    cookie: str = ""
    device: str = ""
    name: str = ""
    pace: float = SPEAKING
    told: dict[str, Any] = field(default_factory=dict)
    log: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    sent: int = 0
    sent_at: float = 0.0

    def __post_init__(self) -> None:
        self.tag = secrets.token_bytes(8)
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._socket: ClientConnection | None = None
        self._answered = 0
        self.up, self.down = Peer(address=self.address), Peer(address=self.address)

    def _mark(self, step: str) -> None:
        """A step is done; for who measures."""

    # -- the door and the room

    @property
    def _own(self) -> dict[str, str]:
        return {"cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}

    async def ask(self, client: httpx.AsyncClient) -> httpx.Response:
        """Ask at the door; the answer, whatever it is."""
        return await client.post(f"/lessons/{self.lesson_id}/door", headers=self._own,
                                 json={**DOOR, "device": self.device or f"the device at {self.address}"})

    async def come(self, client: httpx.AsyncClient) -> "Visitor":
        """Through the door, into the room, and heard there. Raises httpx.HTTPStatusError when the door says no."""
        given = await self.ask(client)
        given.raise_for_status()
        await self.enter(str(given.json()["ticket"]))
        await self.meet()
        return self

    async def enter(self, ticket: str) -> None:
        """Open the socket with this ticket and say hello."""
        self._socket = await connect(
            f"{self.url.replace('http', 'ws', 1)}/lessons/{self.lesson_id}/socket", subprotocols=[PROTOCOL],  # type: ignore[list-item]
            additional_headers=self._own, origin=self.url, proxy=None, max_queue=None,  # type: ignore[arg-type]
        )
        await self.say("hello", ticket=ticket)
        self._tasks.append(asyncio.create_task(self._listen(self._socket)))
        await self.until(lambda: "welcome" in self.told)
        self._mark("welcome")
        self._tasks.append(asyncio.create_task(self._beat()))

    async def say(self, kind: str, **more: Any) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps({"type": kind, **more}))

    async def _listen(self, line: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in line:
                said = json.loads(text)
                self.told[said["type"]] = said
                self.log.append((time.time(), said))
                if said["type"] == "subscribe" and self._answered:
                    await self._take(said)
                self._news.set()
        self.told["closed"] = line.close_code
        self._news.set()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for what this page is told next, until `holds`. Raises ConnectionError when the service hangs up before."""
        while not holds():
            if "closed" in self.told:
                raise ConnectionError(f"the socket was closed: {self.told['closed']}")
            self._news.clear()
            await self._news.wait()

    async def _beat(self) -> None:
        n = 0
        with suppress(ConnectionClosed):
            while True:
                await self.say("heartbeat", n=n, visible=True)
                n += 1
                await asyncio.sleep(1)

    # -- media

    async def meet(self) -> None:
        """Both connections at once, as a browser makes them; presence begins with the first packet of sound."""
        receiving = asyncio.create_task(self._receive())
        await self.say("publish", sdp=offer(self.up.certificate))
        await self.until(lambda: "published" in self.told)
        await self.up.connect(self.told["published"]["sdp"])
        self._tasks.append(asyncio.create_task(self._hum()))
        self._mark("heard")
        await receiving
        self._mark("connected")

    async def _receive(self) -> None:
        await self.until(lambda: "subscribe" in self.told)
        offered = self.told["subscribe"]
        await self._take(offered)
        await self.down.connect(offered["sdp"])

    async def _take(self, offered: dict[str, Any]) -> None:
        """Agree to receive whatever is offered, each offer once."""
        if offered["version"] > self._answered:
            self._answered = offered["version"]
            await self.say("subscribed", version=offered["version"], sdp=answer(self.down.certificate, offered["sdp"]))

    async def _hum(self) -> None:
        """Sound without end, and consent to go on receiving."""
        microphone, checked = Microphone(self.up), time.monotonic()
        while True:
            self.sent_at = time.time()
            microphone.frame(self.payload(self.sent), samples=round(self.pace * _SAMPLES))
            self.sent += 1
            if time.monotonic() - checked > CONSENT:
                checked = time.monotonic()
                self.up.check()
                if self.down.responses:
                    self.down.check()
            await asyncio.sleep(self.pace)

    def payload(self, number: int) -> bytes:
        """The sound of one packet: an Opus frame of 20 ms that says whose it is (RFC 6716 3.1)."""
        return b"\x78" + _MARK.pack(self.tag, number) + bytes(27)

    def heard(self) -> list[tuple[float, bytes]]:
        """Everything that reached this person: when, and what."""
        read = ((at, rtp.parse(packet)) for at, packet in zip(self.down.arrived, self.down.rtp, strict=True))
        return [(at, found.payload) for at, found in read if found is not None]

    def hears(self, other: "Visitor", *, since: float = 0.0) -> list[float]:
        """When each packet of `other` reached this person, from the time of day `since` on."""
        return [at for at, payload in self.heard() if other.tag in payload and at >= since]

    # -- the end

    async def vanish(self) -> float:
        """As when the battery goes flat: nothing more is sent and nothing is said. The time of day of the last packet."""
        await self._stop()
        return self.sent_at

    async def _stop(self) -> None:
        kept = [task for task in self._tasks if task.get_coro().__name__ == "_listen"]  # type: ignore[union-attr]
        ended = [task for task in self._tasks if task not in kept]
        self._tasks = kept
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    async def go(self) -> None:
        """Leave, as a page that is closed does."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for peer in (self.up, self.down):
            await peer.end()
        if self._socket is not None:
            with suppress(Exception):
                await self._socket.close()
