"""The lesson's page on its own: the real template, style, script and headers, a scripted server, real media peers."""

import asyncio
import json
import mimetypes
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, Error, Page, Route, WebSocketRoute, async_playwright

from service.app import TEMPLATES as PACKAGES
from service.foundation import web
from service.foundation.crowd import Crowded
from service.foundation.events import Role

TEMPLATES = web.templates(PACKAGES)
ROOT = Path(__file__).parents[2]
SFU = Path(__file__).with_name("fake_sfu.js").read_text()
ORIGIN = "http://localhost:9"
FLAGS = [
    "--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--disable-features=WebRtcHideLocalIpsWithMdns", "--auto-accept-this-tab-capture",
]
NAMES = ["Ali", "Bea", "Chidi", "Dana", "Eryk", "Fatima", "George", "Hana", "Ivo", "Jaya", "Kofi", "Lena", "Mo", "Nia", "Omar",
         "Priya", "Quinn", "Rosa", "Sami", "Tess", "Uma", "Viktor", "Wen", "Xenia", "Yusuf", "Zoe", "Amir", "Beth", "Cleo", "Dev"]
COLOURS = ["#7a4b5f", "#3f6b73", "#6b6a3a", "#4e5b8c", "#7b5a3a", "#3d6f4f", "#6d4a86", "#8a4f4f"]


def context(role: str, **changes: Any) -> dict[str, Any]:
    """What the server gives the template for this role."""
    staff = role != "pupil"
    may = ["microphone", "camera", "chat"] + (["screen", "moderate"] if role == "teacher" else [])
    names = NAMES[:8] if staff else []
    return {
        "lesson": {"id": "demo", "main_id": "", "is_one_to_one": False, "title": "Maths", "class_name": "5 Oak",
                   "when": "Tuesday 3 March, 10:15am to 11am",
                   "starts": "10:15am", "links": [{"url": "https://www.bbc.co.uk/bitesize", "title": "BBC Bitesize: fractions"}]},
        "me": {"name": "Mr Hall" if role == "teacher" else "Ali", "role": role, "may": may, "young": False, "blur": "off"},
        "adults": [{"name": "Mr Hall", "role": "teacher"}, {"name": "Ms Cole", "role": "teaching assistant"}],
        "pupils": {"count": 8, "names": names},
        "usage": {"all_mb": 150, "sound_mb": 20, "left_mb": None if staff else 320},
        "contact": {"office": "the office on 01632 960100", "dsl": "Mrs Khan on 01632 960101"},
        "urls": {"door": "/lessons/demo/door", "socket": "/lessons/demo/socket", "worried": "/worried", "home": "/",
                 "attendance": "/lessons/demo/attendance" if staff else "", "call_home": "",
                 "concern": "/concerns/new?lesson=demo" if staff else ""},
        "problem": None, **changes,
    }


def person(number: int, **changes: Any) -> dict[str, Any]:
    """A pupil as the room describes them."""
    return {"person": f"p{number}", "name": NAMES[number], "role": "pupil", "hand": None, "microphone": False, "camera": True,
            "screen": False, "camera_stopped": False, "may_share": False, "sharing": "none", "beside": None,
            "connected": True, **changes}


def adult(**changes: Any) -> dict[str, Any]:
    return person(0, person="t", name="Mr Hall", role="teacher", microphone=True, **changes)


def state(room: str, people: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    waiting = {"adults": 1, "pupils": 1, "needed": 2, "recording": True}
    return {"type": "state", "room": room, "hold": [], "waiting": waiting, "ends_at": "2026-03-03T11:00:00Z",
            "recording": room == "open", "people": people, "chat": True, "presenter": None} | changes


class ScriptedRoom:
    """One page and the server it believes it talks to. `heard`: what the page has said on its sockets; `crowded`: how often the
    door still says to come again in a second; `asked_at`: when it was asked."""

    def __init__(self, page: Page, role: str, given: dict[str, Any]):
        self.page = page
        self.role = role
        self.given = given
        self.heard: list[dict[str, Any]] = []
        self.doors: list[dict[str, Any]] = []
        self.asked_at: list[float] = []
        self.worries: list[dict[str, Any]] = []
        self.sockets: list[WebSocketRoute] = []
        self.door_answer: tuple[int, dict[str, Any]] = (200, {"ticket": "t1", "expires_in": 60})
        self.crowded = 0
        self.worried_online = True
        self.troubles: list[str] = []
        self._version = 0
        self._news = asyncio.Event()

    async def open(self) -> None:
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", lambda message: self.troubles.append(message.text) if message.type == "error" else None)
        await self.page.add_init_script(SFU)
        await self.page.route("**/*", self._serve)
        await self.page.route_web_socket("**/socket", self._connected)
        await self.page.goto(f"{ORIGIN}/lessons/demo")

    async def enter(self, room: str = "lobby", people: list[dict[str, Any]] | None = None, **changes: Any) -> None:
        await self.page.get_by_role("button", name="Start the lesson" if self.role == "teacher" else "Join the lesson").click()
        await self.wait_for("publish")
        await self.say(state(room, people or [], **changes))
        await self.page.wait_for_selector(f"main[data-room={room}]")

    async def say(self, message: dict[str, Any]) -> None:
        self.sockets[-1].send(json.dumps(message))

    async def show_streams(self, streams: list[dict[str, Any]]) -> None:
        """Let these streams arrive, as the server's next offer."""
        self._version += 1
        offer = await self.page.evaluate("streams => fakeSfu.offer(streams)", streams)
        await self.say({"type": "subscribe", "version": self._version, **offer})
        answer = await self.wait_for("subscribed", lambda message: message["version"] == self._version)
        await self.page.evaluate("sdp => fakeSfu.answered(sdp)", answer["sdp"])

    async def wait_for(self, kind: str, matches: Any = lambda message: True) -> dict[str, Any]:
        """The next message of this type that the page says (or has said and nobody has taken yet)."""
        async with asyncio.timeout(15):
            while True:
                for message in self.heard:
                    if message["type"] == kind and matches(message):
                        self.heard.remove(message)
                        return message
                self._news.clear()
                await self._news.wait()

    def _connected(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(lambda text: self._said(json.loads(text)))

    def _said(self, message: dict[str, Any]) -> None:
        self.heard.append(message)
        self._news.set()
        if message["type"] == "hello":
            self.sockets[-1].send(json.dumps(self._welcome()))
        if message["type"] == "publish":
            self._publishing = asyncio.ensure_future(self._publish(message["sdp"]))

    async def _publish(self, sdp: str) -> None:
        with suppress(Error):  # the page may be gone before the answer is
            answer = await self.page.evaluate("sdp => fakeSfu.accept(sdp)", sdp)
            await self.say({"type": "published", "sdp": answer})

    def _welcome(self) -> dict[str, Any]:
        me = self.given["me"]
        you = {"person": "t" if self.role == "teacher" else "p0", "name": me["name"], "role": self.role, "may": me["may"]}
        return {"type": "welcome", "you": you,
                "lesson": {"id": "demo", "title": "Maths", "class_name": "5 Oak", "starts_at": "2026-03-03T10:15:00Z",
                           "ends_at": "2026-03-03T11:00:00Z", "hard_end_at": "2026-03-03T11:05:00Z", "links": [],
                           "one_to_one": self.given["lesson"]["is_one_to_one"]},
                "now": "2026-03-03T10:36:20Z", "heartbeat_every": 1}

    async def _serve(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path == "/lessons/demo":
            page = TEMPLATES.get_template("lessons/room.html")
            actor = {"name": self.given["me"]["name"], "roles": frozenset[Role]()}
            school = {"name": "Oakfield School", "is_demo": False}
            body = page.render(actor=actor, Role=Role, school=school, navigation=[], path=path, **self.given)
            await route.fulfill(body=body, content_type="text/html", headers=web.HEADERS)
        elif path == "/lessons/demo/door":
            self.doors.append(route.request.post_data_json)
            self.asked_at.append(monotonic())
            status, answer = self.door_answer
            if self.crowded:
                self.crowded -= 1
                status, answer = 503, {"title": "Not available just now", "detail": Crowded().message, "code": Crowded.code}
            await route.fulfill(status=status, json=answer, headers={"Retry-After": "1"} if status == 503 else {})
        elif path == "/lessons/demo/alone":
            await route.fulfill(json={"child": {"id": "p0", "name": "Ali"}, "asked": None, "approval": "", "invited": [],
                                      "colleagues": [{"id": "c0", "name": "Ms Cole", "signed_in": True}]})
        elif path == "/session":
            await route.fulfill(json={"seconds_left": 1200, "idle_minutes": 20})
        elif path == "/lessons/demo/alone":
            await route.fulfill(json={"child": None, "asked": None, "invited": [], "colleagues": []})
        elif path == "/worried":
            if not self.worried_online:
                return await route.abort()
            self.worries.append(route.request.post_data_json)
            await route.fulfill(json={"worry_id": "w1", "when": "today"})
        elif path.startswith("/static/lessons/"):
            await self._file(route, ROOT / "lessons/static" / path.removeprefix("/static/lessons/"))
        else:
            await self._file(route, ROOT / "service" / path.lstrip("/"))

    async def _file(self, route: Route, file: Path) -> None:
        await route.fulfill(path=file, content_type=mimetypes.guess_type(file.name)[0], headers=web.HEADERS)


@asynccontextmanager
async def chromium(*more: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
                                                   args=[*FLAGS, *more])
        yield browser
        await browser.close()


@asynccontextmanager
async def lesson_page(
    browser: Browser, role: str, *, width: int = 1366, height: int = 768, devices: bool = True, **changes: Any
) -> AsyncIterator[ScriptedRoom]:
    """The page at its door, for this role; `changes` replace parts of what the server gives the template."""
    opened = await browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce",
                                       permissions=["camera", "microphone"] if devices else [])
    room = ScriptedRoom(await opened.new_page(), role, context(role, **changes))
    await room.open()
    yield room
    await opened.close()
