"""The programs of an end-to-end test: the service as `make run` starts it, browsers each in processes of their own."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from playwright.async_api import BrowserContext, Page, Playwright

from tests.architecture.files import ROOT
from tests.browser import signals

PATIENCE = 40.0  # seconds; browsers are slow to start on a busy machine with two processors


class Program:
    """A process with its children, ended together and for certain."""

    def __init__(self, command: list[str], log: Path, **more: Any) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(command, stderr=out, start_new_session=True, cwd=ROOT, **more)

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the whole process group; by default as a flat battery would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)
        self.process.wait(15)


def _as_on_a_machine_of_its_own(pid: int) -> None:
    """A school's browsers run elsewhere: those on this machine must not keep its processors from the service. Where that is not
    allowed (it takes root), rooms pause more often than in a school."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, FIRST)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(FIRST))  # it has a session of its own, which Linux weighs as one


FIRST = -15


class Service(Program):
    """`chaperone dev --json` on a port of its own. `made` is what it says when it is ready."""

    def __init__(self, folder: Path, **environment: str) -> None:
        command = [sys.executable, "-m", "service", "dev", "--json", "--port", "0", "--data", str(folder / "data")]
        self.folder = folder
        super().__init__(command, folder / "service.log", stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        self.made: dict[str, Any] = {}
        _as_on_a_machine_of_its_own(self.process.pid)

    async def ready(self) -> Self:
        line = await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), PATIENCE)  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(self.log.read_text()[-3000:])
        self.made = json.loads(line)
        return self

    @property
    def url(self) -> str:
        return str(self.made["base_url"])

    def forbidden(self) -> int:
        """How many deliveries the service's own wire monitor found that should not have been."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
        return int(float(re.search(r"^chaperone_forbidden_deliveries_total (\S+)$", text, re.M)[1]))  # type: ignore[index]

    def person(self, person_id: str) -> dict[str, Any]:
        return next(person for person in self.made["people"] if person["id"] == person_id)

    def all(self, role: str) -> list[dict[str, Any]]:
        return [person for person in self.made["people"] if person["role"] == role]

    def first(self, role: str) -> dict[str, Any]:
        return self.all(role)[0]


async def confirm_with_code(page: Page) -> None:
    """Answer “Check it is you” as the demo says, once it asks."""
    shown = page.locator(".x-step-up .govuk-inset-text strong")
    await shown.nth(1).wait_for()
    password, code = await shown.all_inner_texts()
    await page.get_by_label("Password").fill(password)
    await page.get_by_label("One-time code").fill(code)
    await page.get_by_role("button", name="Confirm", exact=True).click()


class Chromium(Program):
    """One headless Chromium whose camera and microphone carry `code`; it may be killed without touching any other."""

    def __init__(self, folder: Path, code: int, camera: Callable[[Path, int], Path] = signals.camera_file) -> None:
        self.profile = Path(tempfile.mkdtemp(prefix="chromium-", dir=folder))
        flags = [
            "--headless=new", "--no-sandbox", "--remote-debugging-port=0", f"--user-data-dir={self.profile}", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
            "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
            "--disable-renderer-backgrounding", "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={camera(self.profile, code)}",
            f"--use-file-for-fake-audio-capture={signals.microphone_file(self.profile, code)}",
            "--mute-audio",
        ]
        self.code = code
        super().__init__([chromium(), *flags, "about:blank"], folder / f"chromium-{code}.log", stdout=subprocess.DEVNULL)

    async def open(self, playwright: Playwright) -> Self:
        """Connect to it once it listens."""
        async with asyncio.timeout(PATIENCE):
            while not (told := self.profile / "DevToolsActivePort").exists() or not told.read_text():
                await asyncio.sleep(0.05)
        port = told.read_text().split()[0]
        self.browser = await playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        return self

    async def context(self) -> BrowserContext:
        """A fresh profile in this browser: another person at the same computer."""
        return await self.browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        super().kill(how)
        shutil.rmtree(self.profile, ignore_errors=True)


def chromium() -> str:
    """The Chromium to drive: `CHROMIUM`, or the one on the path."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or "chromium"


class Person:
    """Somebody at their browser, in plain verbs. `troubles`: what their page complained about."""

    def __init__(self, name: str, person_id: str, page: Page) -> None:
        self.name, self.id, self.page = name, person_id, page
        self.troubles: list[str] = []
        self.wants: set[str] = set()
        self.heard: list[tuple[float, str]] = []
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("websocket", lambda socket: socket.on("framereceived", self._heard))

    def _heard(self, frame: str | bytes) -> None:
        text = frame if isinstance(frame, str) else frame.decode()
        self.heard.append((time.time(), text))

    async def sign_in(self, url: str) -> None:
        await self.page.goto(url)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).first.click()

    async def confirm(self) -> None:
        await confirm_with_code(self.page)

    async def enter(self, lesson_url: str, button: str) -> None:
        """Go to the lesson's page, answer the door, go in."""
        await self.page.goto(lesson_url)
        await self.page.get_by_role("button", name=button, exact=True).wait_for()
        for promise in await self.page.locator(".x-promises input[type=checkbox]").all():
            await promise.press("Space")
        beside = self.page.locator("#beside-nobody")
        if await beside.count():
            await beside.press("Space")
        await self.press(button)

    async def sees(self, room: str, hold: str | None = None, seconds: float = PATIENCE) -> None:
        """Wait until the page says this state of the room (and this first reason for a hold)."""
        reason = "" if hold is None else f'[data-hold^="{hold}"]'
        await self.page.locator(f'main[data-room="{room}"]{reason}').wait_for(state="attached", timeout=1000 * seconds)

    async def turn_on(self, control: str) -> None:
        """Press a control of the room that stays pressed, and press it again whenever a pause has turned it off."""
        self.wants.add(control)
        await self.page.get_by_role("button", name=control, exact=True).first.wait_for()
        await self.keep_on()

    async def keep_on(self) -> None:
        """Turn on again what a pause turned off: pupils come back with camera and microphone off."""
        for control in self.wants:
            button = self.page.get_by_role("button", name=control, exact=True).first
            if await button.is_visible() and await button.get_attribute("aria-pressed") != "true":
                await button.click()

    async def write(self, text: str) -> None:
        """Say something in the chat."""
        panel = self.page.get_by_role("button", name="Chat", exact=True).first
        if await panel.get_attribute("aria-pressed") != "true":
            await panel.click()
        await self.page.locator("[data-chat-text]").fill(text)
        await self.press("Send")

    async def says(self, text: str, seconds: float = PATIENCE) -> None:
        """Say it until it is delivered: a room that pauses in between refuses it, and the words stay in the box."""
        async with asyncio.timeout(seconds):
            while not any(message["text"] == text for _, message in self.messages("chat")):
                await self.sees("open")
                await self.write(text)
                await asyncio.sleep(1)

    def messages(self, kind: str) -> list[tuple[float, dict[str, Any]]]:
        """What the server has said of this type, and when (`time.time`)."""
        said = [(at, json.loads(text)) for at, text in self.heard]
        return [(at, message) for at, message in said if message["type"] == kind]

    async def pictures(self) -> dict[tuple[str, str], int | None]:
        return signals.pictures(await self.page.evaluate(signals.READ_PICTURES))

    async def sounds(self, seconds: float = 1.2) -> dict[str, int | None]:
        return signals.sounds(await self.page.evaluate(signals.READ_SOUNDS, [list(signals.TONES.values()), seconds]))

    async def describe(self) -> dict[str, Any]:
        """What the page says of the room and what it shows: for the words of a failed test."""
        return dict(await self.page.evaluate("""() => ({...document.querySelector("main").dataset,
          media: [...document.querySelectorAll("[data-person][data-source]")].map(m => [m.tagName, {...m.dataset},
            m.readyState, m.paused, m.srcObject?.getTracks().map(t => t.readyState + " " + t.muted).join()])})"""))

    def history(self) -> str:
        """How the room changed, as it told this person: for the same."""
        return "\n".join(f"{at % 1000:7.2f} {state['room']} {' '.join(state['hold'])} " + ", ".join(
            f"{who['name']} {''.join(source[0] for source in ('microphone', 'camera', 'screen') if who[source])}"
            for who in state["people"]) for at, state in self.messages("state"))
