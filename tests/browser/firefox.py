"""Firefox by Marionette, its own remote protocol: JSON with its length before it, over TCP. Playwright's is another build."""

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.browser.programs import PATIENCE, Program

_PREFERENCES: dict[str, Any] = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "media.peerconnection.ice.loopback": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class Firefox(Program):
    """One headless Firefox ESR. Its camera shows colours that change, its microphone hums at `hertz`."""

    def __init__(self, folder: Path, hertz: int) -> None:
        self.profile = Path(tempfile.mkdtemp(prefix="firefox-", dir=folder))
        preferences = {**_PREFERENCES, "marionette.port": 0, "media.navigator.audio.fake_frequency": hertz}
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
        (self.profile / "user.js").write_text("".join(lines))
        command = ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", str(self.profile), "about:blank"]
        environment = {**os.environ, "HOME": str(self.profile), "MOZ_HEADLESS": "1"}
        super().__init__(command, folder / "firefox.log", stdout=subprocess.DEVNULL, env=environment)
        self._asked = 0
        self.wants: set[str] = set()

    async def open(self) -> Self:
        async with asyncio.timeout(PATIENCE):
            while not (told := self.profile / "MarionetteActivePort").exists() or not told.read_text().strip():
                await asyncio.sleep(0.1)
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", int(told.read_text()), limit=1 << 24)
            await self._read()
            await self.ask("WebDriver:NewSession", {})
            await self.ask("WebDriver:SetTimeouts", {"script": 1000 * PATIENCE, "pageLoad": 1000 * PATIENCE})
        return self

    async def _read(self) -> Any:
        length = await self._reader.readuntil(b":")
        return json.loads(await self._reader.readexactly(int(length[:-1])))

    async def ask(self, command: str, parameters: dict[str, Any]) -> Any:
        self._asked += 1
        message = json.dumps([0, self._asked, command, parameters]).encode()
        self._writer.write(b"%d:%s" % (len(message), message))
        _kind, _number, error, result = await self._read()
        if error:
            raise RuntimeError(f"{command}: {error.get('message')}")
        return result

    async def goto(self, url: str) -> None:
        await self.ask("WebDriver:Navigate", {"url": url})

    async def evaluate(self, function: str, given: object = None) -> Any:
        """Call a JavaScript function (its source) in the page; the counterpart of Playwright's `evaluate`."""
        script = (f"const [given, done] = arguments; Promise.resolve(({function})(JSON.parse(given)))"
                  ".then(value => done({value: JSON.stringify(value ?? null)}), error => done({error: String(error)}));")
        answer = await self.ask("WebDriver:ExecuteAsyncScript", {"script": script, "args": [json.dumps(given)]})
        if "error" in answer["value"]:
            raise RuntimeError(answer["value"]["error"])
        return json.loads(answer["value"]["value"])

    async def press(self, name: str) -> None:
        """Press the first visible button with this text, once it is there."""
        await self.until("""name => {
            const button = [...document.querySelectorAll("button")].find(b => b.textContent.trim() === name && b.offsetParent);
            button?.click();
            return Boolean(button);
        }""", bool, given=name)

    async def enter(self, lesson_url: str, button: str) -> None:
        """As `Person.enter`."""
        await self.goto(lesson_url)
        await self.evaluate("() => document.querySelectorAll('.x-promises input, #beside-nobody').forEach(i => i.click())")
        await self.press(button)

    async def turn_on(self, control: str) -> None:
        """As `Person.turn_on`."""
        self.wants.add(control)
        await self.keep_on()

    async def keep_on(self) -> None:
        """As `Person.keep_on`."""
        await self.evaluate("""wants => [...document.querySelectorAll("button[aria-pressed=false]")]
            .filter(b => wants.includes(b.textContent.trim()) && b.offsetParent).forEach(b => b.click())""", sorted(self.wants))

    async def sees(self, room: str) -> None:
        """As `Person.sees`."""
        await self.until("() => document.querySelector('main')?.dataset.room ?? ''", lambda state: state == room)

    async def until(self, function: str, holds: Callable[[Any], bool], *, given: object = None,
                    seconds: float = PATIENCE) -> None:
        """Wait until what this function answers is as it should be."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            await self.keep_on()
            last = await self.evaluate(function, given)
            if holds(last):
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"Firefox last had {last}")
