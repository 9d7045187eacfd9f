"""A school day in real browsers: the service, a network of its own, and people who come to one lesson."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Playwright, async_playwright

from tests import netns
from tests.browser import signals
from tests.browser.firefox import Firefox
from tests.browser.programs import PATIENCE, Chromium, Person, Service
from tests.browser.replay import Asked
from tests.browser.signals import TONES
from tests.browser.wire import Wire


class Day:
    """The running service, the lesson that is on now, and whoever came. Made with `school_day`."""

    def __init__(self, service: Service, folder: Path, playwright: Playwright, wire: Wire | None) -> None:
        self.service, self.folder, self.playwright, self.wire = service, folder, playwright, wire
        self.lesson = _startable(service.made["lessons"])
        self.browsers: list[Chromium | Firefox] = []
        self.people: list[Person | Firefox] = []
        self.camera = signals.camera_file
        self.asked = Asked()

    @property
    def lesson_url(self) -> str:
        return f"{self.service.url}/lessons/{self.lesson['id']}"

    async def browser(self, code: int) -> Chromium:
        """A computer of its own, whose camera and microphone carry `code`."""
        browser = Chromium(self.folder, code, self.camera)
        self.browsers.append(browser)
        return await browser.open(self.playwright)

    async def signed_in(self, browser: Chromium, person_id: str) -> Person:
        """This person at that computer."""
        known = self.service.person(person_id)
        context = await browser.context()
        self.asked.listen(context)
        person = Person(known["name"], person_id, await context.new_page())
        await person.sign_in(known["sign_in_url"])
        return person

    async def teacher(self, code: int) -> tuple[Chromium, Person]:
        browser = await self.browser(code)
        person = await self.signed_in(browser, self.lesson["adult_ids"][0])
        await person.enter(self.lesson_url, "Start the lesson")
        self.people.append(person)
        return browser, person

    async def pupil(self, number: int, code: int) -> tuple[Chromium, Person]:
        browser = await self.browser(code)
        person = await self.signed_in(browser, self.lesson["pupil_ids"][number])
        await person.enter(self.lesson_url, "Join the lesson")
        self.people.append(person)
        return browser, person

    def strike(self, browser: Chromium, person: Person) -> float:
        """This person's browser dies (SIGKILL), as if the battery had gone. When that was."""
        self.people.remove(person)
        died = time.time()
        browser.kill()
        return died

    async def firefox(self, number: int, code: int) -> Firefox:
        """A pupil who comes with Firefox; the microphone hums at the tone of `code`, the camera's colour changes."""
        firefox = Firefox(self.folder, TONES[code])
        self.browsers.append(firefox)
        self.people.append(firefox)
        await firefox.open()
        await firefox.goto(self.service.person(self.lesson["pupil_ids"][number])["sign_in_url"])
        await firefox.enter(self.lesson_url, "Join the lesson")
        return firefox

    async def until_sees(self, person: Person, expected: dict[tuple[str, str], int | None],
                         seconds: float = PATIENCE) -> None:
        """Wait until exactly these pictures of others are there, each showing its code (None: a picture without one)."""
        await self._until(person, person.pictures, expected, seconds)

    async def until_hears(self, person: Person, expected: dict[str, int], seconds: float = PATIENCE) -> None:
        """Wait until exactly these people are heard, each at the tone of their code."""

        async def heard() -> dict[str, int | None]:
            return {who: tone for who, tone in (await person.sounds()).items() if tone is not None}

        await self._until(person, heard, {who: TONES[code] for who, code in expected.items()}, seconds)

    async def _until(self, person: Person, look: Callable[[], Awaitable[Any]], expected: Any, seconds: float) -> None:
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            for each in self.people:
                await each.keep_on()
            last = await look()
            if last == expected:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"{person.name} expected {expected}, last had {last}\n{await person.describe()}\n{person.history()}")


def _startable(lessons: list[dict[str, Any]]) -> dict[str, Any]:
    """The lesson that is on now, with a teacher and at least four pupils."""
    now = datetime.now(UTC)
    on = [lesson for lesson in lessons if lesson["adult_ids"] and len(lesson["pupil_ids"]) >= 4
          and datetime.fromisoformat(lesson["starts_at"]) <= now < datetime.fromisoformat(lesson["ends_at"])]
    return max(on, key=lambda lesson: lesson["ends_at"])


@asynccontextmanager
async def school_day(folder: Path) -> AsyncIterator[Day]:
    """Start the service where nobody else can reach it, and end everything at the end."""
    with netns.entered() as alone:
        port = _free_port()
        service = Service(folder, CHAPERONE_MEDIA_PORT=str(port))
        wire = Wire(port) if alone else None
        day = None
        try:
            await service.ready()
            async with async_playwright() as playwright:
                day = Day(service, folder, playwright, wire)
                try:
                    yield day
                    assert await asyncio.to_thread(service.forbidden) == 0, "the service's wire monitor saw what may not be"
                finally:
                    for browser in day.browsers:
                        browser.kill()
        finally:
            service.kill()
            if wire is not None:
                wire.close()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def axe_finds_nothing(person: Person) -> None:
    found = await Axe().run(person.page)
    assert found.violations_count == 0, found.generate_report()
