"""Pages that come to a lesson of the real application, over its own ASGI socket, with media that a test plays itself.

Time is the fake clock's: `Lesson.settle` moves it in the room's own steps while everybody is heard.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from lessons.live import protocol
from lessons.live.host import Host
from lessons.media.keys import SourceKey
from service.foundation.web import COOKIE
from tests.school import Running

DOOR = {"clothing": "yes", "place": "yes", "people_near": "yes", "beside": "nobody", "media": "all"}


class PlayedMedia:
    """The media of one room: who is heard is what the test says. What passes is decided by the gate and the routes alone."""

    def __init__(self, gate: Any, clock: Any, watch: Any):
        self.gate, self.clock, self.watch = gate, clock, watch
        self.routes: dict[SourceKey, frozenset[str]] = {}
        self.heard: dict[str, float] = {}
        self.addresses: dict[str, str] = {}
        self.here: list[str] = []
        self.holds = 0

    def join(self, peer: str, *, loopback: bool = False) -> None:
        self.here.append(peer)
        self.heard[peer] = -inf

    def leave(self, peer: str) -> None:
        if peer in self.here:
            self.here.remove(peer)

    def close(self) -> None:
        self.here.clear()

    async def publish(self, peer: str, offer_sdp: str) -> str:
        return f"answer to {offer_sdp}"

    async def subscribed(self, peer: str, version: int, answer_sdp: str) -> None:
        pass

    def set_routes(self, routes: Mapping[SourceKey, frozenset[str]]) -> None:
        self.routes = dict(routes)

    def hold(self) -> None:
        self.holds += 1

    def sound_only(self, peer: str, on: bool) -> None:
        pass

    def last_media(self, peer: str) -> float:
        return self.heard.get(peer, -inf)

    def media_address(self, peer: str) -> str | None:
        return self.addresses.get(peer)

    def large_wanted(self, peer: str) -> bool:
        return bool(self.routes.get(SourceKey(peer, "camera")))

    def delivers(self, peer: str, kind: Any = "microphone") -> frozenset[str]:
        """Who gets a packet of this source at this moment; the wire monitor sees it, as on the application's own plane."""
        now, key = self.clock.boottime(), SourceKey(peer, kind)
        to = self.routes.get(key, frozenset()) if self.gate.permits(now) else frozenset()
        if to:
            self.watch(key, to, tuple(to), 1, now)
        return to


class PlayedPlane:
    def __init__(self, clock: Any):
        self.clock = clock
        self.rooms: list[PlayedMedia] = []

    def room(self, *, gate: Any, watch: Any, **_: Any) -> PlayedMedia:
        self.rooms.append(PlayedMedia(gate, self.clock, watch))
        return self.rooms[-1]


class Page:
    """One page of one person: a WebSocket of the application, and everything it was told."""

    def __init__(self, lesson: "Lesson", person: str, cookie: str):
        self.lesson, self.person, self.cookie = lesson, person, cookie
        self.told: list[dict[str, Any]] = []
        self.code: int | None = None
        self.accepted = False
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def door(self, **answers: Any) -> Any:
        async with self.lesson.school.client(self.cookie) as client:
            return await client.post(f"/lessons/{self.lesson.id}/door", json=answers)

    def connect(self, *, origin: str = "http://chaperone.test", subprotocol: str = protocol.SUBPROTOCOL,
                lesson_id: str = "") -> "Page":
        headers = [(b"host", b"chaperone.test"), (b"origin", origin.encode()), (b"cookie", f"{COOKIE}={self.cookie}".encode())]
        path = f"/lessons/{lesson_id or self.lesson.id}/socket"
        scope = {
            "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "path": path,
            "raw_path": path.encode(), "query_string": b"", "headers": headers, "client": ("192.0.2.7", 1), "state": {},
            "server": ("chaperone.test", 80), "subprotocols": [subprotocol] if subprotocol else [],
        }
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(self.lesson.school.app(scope, self._to_app.get, self._from_app))
        return self

    async def _from_app(self, message: Any) -> None:
        match message["type"]:
            case "websocket.accept":
                self.accepted = True
            case "websocket.send":
                self.told.append(json.loads(message["text"]))
            case "websocket.close":
                self.code = message.get("code", 1000)
        self._news.set()

    async def enter(self, *, device: str = "", **answers: Any) -> "Page":
        """Through the door and into the room."""
        answer = await self.door(**{**DOOR, "device": device or f"device of {self.person}", **answers})
        assert answer.status_code == 200, answer.text
        self.connect()
        self.say("hello", ticket=answer.json()["ticket"])
        await self.until(lambda: self.last("welcome") is not None)
        return self

    def say(self, type: str, **fields: Any) -> None:
        self.raw(json.dumps({"type": type, **fields}))

    def raw(self, text: str) -> None:
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    def vanish(self, code: int = 1006) -> None:
        """The transport dies; nothing is said."""
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": code})

    def all(self, type: str) -> list[dict[str, Any]]:
        return [message for message in self.told if message["type"] == type]

    def last(self, type: str) -> dict[str, Any] | None:
        found = self.all(type)
        return found[-1] if found else None

    @property
    def state(self) -> dict[str, Any]:
        found = self.last("state")
        assert found is not None
        return found

    async def until(self, condition: Callable[[], object], seconds: float = 15.0) -> None:
        """Wait for what this page is told next, until `condition` holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                if not condition():
                    await self._news.wait()

    async def closed(self, code: int) -> None:
        await self.until(lambda: self.code is not None)
        assert self.code == code

    async def end(self) -> None:
        if self._task is not None and not self._task.done():
            self.vanish()
            await asyncio.wait([self._task], timeout=3)


class Lesson:
    """The seeded lesson that is on now, and the pages in it."""

    def __init__(self, school: Running, *, played: bool = True):
        """`played`: media is what the test says; otherwise the application's own plane carries it."""
        self.school = school
        now = school.clock.now().isoformat()
        found = next(each for each in school.made["lessons"]
                     if each["starts_at"] <= now < each["ends_at"] and len(each["pupil_ids"]) >= 4)
        self.id: str = found["id"]
        self.teacher_id: str = found["adult_ids"][0]
        self.pupil_ids: list[str] = found["pupil_ids"]
        self.plane = PlayedPlane(school.clock)
        if played:
            school.app.state.rooms.plane = self.plane
        self.pages: list[Page] = []

    async def page(self, person: str) -> Page:
        page = Page(self, person, await self.school.cookie(person))
        self.pages.append(page)
        return page

    async def teacher(self, **door: Any) -> Page:
        return await (await self.page(self.teacher_id)).enter(**door)

    async def pupil(self, position: int = 0, **door: Any) -> Page:
        return await (await self.page(self.pupil_ids[position])).enter(**door)

    @property
    def host(self) -> Host:
        found = self.school.app.state.rooms.live(self.id)
        assert found is not None
        return found  # type: ignore[no-any-return]

    @property
    def media(self) -> PlayedMedia:
        return self.plane.rooms[-1]

    async def settle(self, seconds: float, *, silent: tuple[Page, ...] = (), recorded: bool = True, current: bool = True) -> None:
        """Time passes; everybody but `silent` is heard."""
        for _ in range(round(seconds / 0.25)):
            self.school.clock.advance(0.25)
            now, host = self.school.clock.boottime(), self.host
            for connected in list(host.connections.values()):
                if connected.person not in [page.person for page in silent]:
                    self.media.heard[connected.person] = connected.page_at = now
            if recorded:
                host.recorded(now)
            host.tick()
            if current:
                await host.confirm()

    async def opened(self) -> None:
        """Everybody is heard until the room opens."""
        async with asyncio.timeout(20):
            await self.settle(1.25)
            while not self.host.room.is_open:
                await self.host.journal.drained()
                await self.settle(0.25)

    async def end(self) -> None:
        for page in self.pages:
            await page.end()
