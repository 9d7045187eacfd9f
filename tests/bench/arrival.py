"""One person who comes to a lesson, from the badge to the open room: every request that their browser would make, their
WebSocket, and media over real DTLS-SRTP both ways, in so little processor time that one process can be three hundred of them.
"""

import asyncio
import re
import ssl
import time
from dataclasses import dataclass, field

import httpx

from service.foundation.web import COOKIE
from service.people.commands import NewBadge
from service.selftest.visitor import Visitor

TICKET = re.compile(r'name="ticket" value="([^"]+)"')
LOADED = re.compile(r'<(?:link rel="(?:stylesheet|icon)"|script|img)[^>]* (?:href|src)="(/static/[^"]+)"')
IMPORTED = re.compile(r'^(?:import|export)\b[^;]*?from "(\./[^"]+)"', re.M)
PATIENCE = 30.0
MUTED = 0.2
"""Seconds between the packets of a muted microphone in Chromium (docs/decisions on presence)."""
_TLS = ssl.create_default_context()


@dataclass
class Arrival(Visitor):
    """`at`: when each step was done (perf_counter): scanned, signed_in, page, ticket, welcome, heard, open.
    `kept`: files that this device has from earlier days. `patience`: seconds after which they give up."""

    pace: float = MUTED
    badge: NewBadge | None = None
    at: dict[str, float] = field(default_factory=dict)
    error: str = ""
    requests: int = 0
    kept: set[str] = field(default_factory=set)
    patience: float = PATIENCE

    async def arrive(self) -> None:
        """All of it. What goes wrong is kept in `error`."""
        try:
            async with asyncio.timeout(self.patience):
                self._mark("began")
                async with httpx.AsyncClient(base_url=self.url, verify=_TLS, timeout=self.patience, headers={
                        "origin": self.url, "accept-encoding": "gzip"}) as client:
                    if self.badge is not None:
                        await self._sign_in(client, self.badge)
                    ticket = await self._door(client)
                await self.enter(ticket)
                await self.meet()
                await self.until(lambda: self.told["state"]["room"] == "open")
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
        form = await client.get("/sign-in/badge")
        while "refresh" in form.headers:  # as a browser does by itself
            await asyncio.sleep(int(form.headers["refresh"]))
            form = await client.get("/sign-in/badge")
        await self._page(client, form)
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

    async def _door(self, client: httpx.AsyncClient) -> str:
        await self._page(client, await client.get(f"/lessons/{self.lesson_id}", headers=self._own))
        self._mark("page")
        given = await self.ask(client)
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


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    if match is None:
        raise RuntimeError(f"nothing like {pattern.pattern} was answered")
    return match[1]
