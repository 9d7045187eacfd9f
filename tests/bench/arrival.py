"""One person who comes to a lesson, from the badge to the open room: every request that their browser would make, their
WebSocket, and media over real DTLS-SRTP both ways, in so little processor time that one process can be three hundred of them.
"""

import asyncio
import json
import re
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from service.foundation.web import COOKIE
from service.people.commands import NewBadge
from tests.media.raw import Microphone, RawPeer, answer, offer

DOOR = {"clothing": "yes", "place": "yes", "people_near": "yes", "beside": "nobody", "media": "all"}
TICKET = re.compile(r'name="ticket" value="([^"]+)"')
LOADED = re.compile(r'<(?:link rel="(?:stylesheet|icon)"|script|img)[^>]* (?:href|src)="(/static/[^"]+)"')
IMPORTED = re.compile(r'^(?:import|export)\b[^;]*?from "(\./[^"]+)"', re.M)
PATIENCE = 30.0
MUTED = 0.2
"""Seconds between the packets of a muted microphone in Chromium (docs/decisions on presence)."""
CONSENT = 5.0
_TLS = ssl.create_default_context()


class Device(RawPeer):
    """A transport from an address of its own, as from a home of its own."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def open(self, host: str, port: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((self.address, 0))
        self.sock.connect((host, port))
        self.sock.setblocking(False)
        asyncio.get_running_loop().add_reader(self.sock.fileno(), self._readable)


@dataclass
class Arrival:
    """`at`: when each step was done (perf_counter): scanned, signed_in, page, ticket, welcome, heard, open.
    `kept`: files that this device has from earlier days."""

    url: str
    lesson_id: str
    address: str
    badge: NewBadge | None = None
    cookie: str = ""
    at: dict[str, float] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    requests: int = 0
    kept: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._socket: ClientConnection | None = None
        self.up, self.down = Device(self.address), Device(self.address)

    async def come(self) -> None:
        """All of it. What goes wrong is kept in `error`."""
        try:
            async with asyncio.timeout(PATIENCE):
                self._mark("began")
                async with httpx.AsyncClient(base_url=self.url, verify=_TLS, timeout=PATIENCE, headers={
                        "origin": self.url, "accept-encoding": "gzip"}) as client:
                    if self.badge is not None:
                        await self._sign_in(client, self.badge)
                    ticket = await self._door(client)
                await self._enter(ticket)
                await self._connect()
                await self._until(lambda: self.told["state"]["room"] == "open")
                self._mark("open")
        except Exception as error:
            self.error = f"{type(error).__name__}: {error} after {list(self.at)[-1:]}"

    def _mark(self, step: str) -> None:
        self.at[step] = time.perf_counter()

    # -- pages

    async def look(self, *paths: str) -> None:
        """Only see these pages, and keep of them what may be kept."""
        async with httpx.AsyncClient(base_url=self.url, verify=_TLS, timeout=PATIENCE) as client:
            for path in paths:
                await self._page(client, await client.get(path, headers=self._own))

    async def _sign_in(self, client: httpx.AsyncClient, badge: NewBadge) -> None:
        await self._page(client, await client.get("/sign-in/badge"))
        self._mark("began")  # the badge is held up
        scanned = await self._page(client, await client.post("/sign-in/badge", data={"code": badge.code}))
        ticket = _found(TICKET, scanned)
        await self._page(client, await client.post("/sign-in/pin", data={"ticket": ticket}))
        pins = dict(zip(("pin1", "pin2", "pin3"), badge.pin.split(), strict=False))
        proved = await client.post("/sign-in/pin/check", data={"ticket": ticket, **pins})
        if proved.status_code != 303:
            raise RuntimeError(f"the PIN was answered {proved.status_code}")
        self.cookie = _found(re.compile(rf"{COOKIE}=([^;]+)"), proved.headers["set-cookie"])
        self._mark("signed_in")
        await self._page(client, await client.get(proved.headers["location"], headers=self._own))

    @property
    def _own(self) -> dict[str, str]:
        return {"cookie": f"{COOKIE}={self.cookie}"}

    async def _door(self, client: httpx.AsyncClient) -> str:
        await self._page(client, await client.get(f"/lessons/{self.lesson_id}", headers=self._own))
        self._mark("page")
        given = await client.post(f"/lessons/{self.lesson_id}/door", headers=self._own,
                                  json={**DOOR, "device": f"the device at {self.address}"})
        self.requests += 1
        given.raise_for_status()
        self._mark("ticket")
        return str(given.json()["ticket"])

    async def _page(self, client: httpx.AsyncClient, page: httpx.Response) -> str:
        """What a page names is loaded too, its scripts' modules as well, except what an earlier page's answer let us keep."""
        page.raise_for_status()
        self.requests += 1
        here = set(self.kept)
        wanted = set(LOADED.findall(page.text)) - here
        while wanted:
            files = await asyncio.gather(*(client.get(path) for path in sorted(wanted)))
            self.requests += len(files)
            here |= wanted
            self.kept |= {file.url.path for file in files if "max-age" in file.headers.get("cache-control", "")}
            wanted = {str(file.url.join(name).path) for file in files if file.url.path.endswith(".js")
                      for name in IMPORTED.findall(file.text)} - here
        return page.text

    # -- the room

    async def _enter(self, ticket: str) -> None:
        self._socket = await connect(
            f"{self.url.replace('http', 'ws', 1)}/lessons/{self.lesson_id}/socket", subprotocols=["chaperone.room.v1"],  # type: ignore[list-item]
            additional_headers={"cookie": f"{COOKIE}={self.cookie}"}, origin=self.url, proxy=None, max_queue=None,  # type: ignore[arg-type]
        )
        await self._say("hello", ticket=ticket)
        self._tasks.append(asyncio.create_task(self._listen(self._socket)))
        await self._until(lambda: "welcome" in self.told)
        self._mark("welcome")
        self._tasks.append(asyncio.create_task(self._beat()))

    async def _say(self, kind: str, **more: Any) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps({"type": kind, **more}))

    async def _listen(self, line: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in line:
                said = json.loads(text)
                self.told[said["type"]] = said
                self._news.set()
        self.told["closed"] = line.close_code
        self._news.set()

    async def _until(self, holds: Callable[[], object]) -> None:
        while not holds():
            if "closed" in self.told:
                raise ConnectionError(f"the socket was closed: {self.told['closed']}")
            self._news.clear()
            await self._news.wait()

    async def _beat(self) -> None:
        n = 0
        with suppress(ConnectionClosed):
            while True:
                await self._say("heartbeat", n=n, visible=True)
                n += 1
                await asyncio.sleep(1)

    # -- media

    async def _connect(self) -> None:
        """Both connections at once, as a browser makes them; presence begins with the first packet of sound."""
        receiving = asyncio.create_task(self._receive())
        await self._say("publish", sdp=offer(self.up.certificate))
        await self._until(lambda: "published" in self.told)
        await self.up.connect(self.told["published"]["sdp"])
        self._tasks.append(asyncio.create_task(self._hum()))
        self._mark("heard")
        await receiving
        self._mark("connected")

    async def _receive(self) -> None:
        await self._until(lambda: "subscribe" in self.told)
        offered = self.told["subscribe"]
        await self._say("subscribed", version=offered["version"], sdp=answer(self.down.certificate, offered["sdp"]))
        await self.down.connect(offered["sdp"])

    async def _hum(self) -> None:
        """A muted microphone, and consent to go on receiving (RFC 7675)."""
        microphone, checked = Microphone(self.up), time.monotonic()
        while True:
            microphone.frame()
            if time.monotonic() - checked > CONSENT:
                checked = time.monotonic()
                self.up.check()
                if self.down.responses:
                    self.down.check()
            await asyncio.sleep(MUTED)

    async def go(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for device in (self.up, self.down):
            device.close()
        if self._socket is not None:
            with suppress(Exception):
                await self._socket.close()


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    if match is None:
        raise RuntimeError(f"nothing like {pattern.pattern} was answered")
    return match[1]
