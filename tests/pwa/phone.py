"""A parent with a phone: a phone-sized Chromium with a lock that a finger opens, in plain verbs."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, expect
from sqlmodel import select

from mobile_api.route import Limits
from service.people import queries as people
from service.people.phones import commands
from service.people.sign_in import Tries
from service.people.tables import Guardianship, Person
from tests.school import Running

SMALL = {"width": 360, "height": 740}
LOCK = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
        "automaticPresenceSimulation": True}
OFFLINE = ("net::ERR_INTERNET_DISCONNECTED", "Failed to load resource")


@dataclass(frozen=True)
class Letter:
    """What the office sent, what it said on the telephone, and what the family knows."""

    token: str
    code: str
    born_on: date
    child: str


async def invited(school: Running, person_id: str, *, in_person: bool = True) -> Letter:
    """A letter of the office for this parent. All phones of these tests ask from one address, so its tries are forgotten; and
    what browsers sign has the machine's time, so the school's clock keeps up."""
    school.clock.advance((today() - school.clock.now()).total_seconds())
    school.app.state.tries, school.app.state.limits = Tries(), Limits()
    token = secrets.token_urlsafe(16)
    async with school.database.writing() as session:
        office = await people.actor(session, school.person("office"))
        letter = await commands.invite(session, office, school.app.state.pepper, person_id, in_person=in_person,
                                       keeps_phones=True, now=school.clock.now(), token=token)
        link = (await session.exec(select(Guardianship).where(Guardianship.guardian_id == person_id))).first()
        child = await session.get_one(Person, link.child_id)
    return Letter(token, letter.code, child.born_on, child.given_name)


@dataclass
class Phone:
    """One phone in somebody's hand. `troubles`: what its pages complained about."""

    context: BrowserContext
    page: Page
    url: str
    troubles: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def goto(self, path: str) -> None:
        await self.page.goto(f"{self.url}{path}")
        await self.page.locator("html[data-ready]").wait_for()

    async def sees(self, title: str) -> None:
        """The page of this title is drawn, and a screen reader is at its beginning."""
        await expect(self.page.locator("h1")).to_have_text(title)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def follow(self, name: str) -> None:
        await self.page.get_by_role("link", name=name, exact=True).click()

    async def choose(self, name: str) -> None:
        await self.page.get_by_role("radio", name=name, exact=True).check()

    async def fill_letter(self, letter: Letter, code: str = "") -> None:
        await self.page.get_by_label("Code from school").fill(code or letter.code)
        born = letter.born_on
        for name, value in (("Day", born.day), ("Month", born.month), ("Year", born.year)):
            await self.page.get_by_label(name, exact=True).fill(str(value))
        await self.press("Continue")

    async def join(self, letter: Letter, notices: str = "Not now") -> None:
        """From the letter to the end of the set-up."""
        await self.goto(f"/m/#i={letter.token}")
        await self.page.get_by_role("link", name="Continue", exact=True).click()
        await self.sees("Is this you?")
        await self.fill_letter(letter)
        await self.sees("Add Chaperone to your phone")
        await self.follow("Continue")
        await self.sees("Make your passkey")
        await self.press("Make my passkey")
        await self.sees("Can we send you notices?")
        await self.press(notices)

    async def sound(self, name: str) -> None:
        """Axe finds nothing, nothing hangs out at the side; `PICTURES` names a folder for those who want to see it."""
        found = await Axe().run(self.page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        over = await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, f"{name} is {over} px too wide"
        if folder := os.environ.get("PICTURES"):
            await self.page.screenshot(path=Path(folder) / f"{name}.png")

    async def kept(self) -> str:
        """What this phone keeps, as text: stores, what is cached beside the app's own files, local storage."""
        return str(await self.page.evaluate(KEPT))


KEPT = """async () => {
  const rows = await new Promise(resolve => {
    const asked = indexedDB.open("chaperone");
    asked.onsuccess = async () => {
      const all = {};
      for (const name of asked.result.objectStoreNames) {
        const store = asked.result.transaction(name).objectStore(name);
        all[name] = await new Promise(done => { const read = store.getAll(); read.onsuccess = () => done(read.result); });
      }
      asked.result.close();
      resolve(all);
    };
  });
  const cached = [];
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const {url} of await cache.keys()) cached.push(url, url.includes("/m/files/") || await (await cache.match(url)).text());
  }
  return JSON.stringify([rows, cached, {...localStorage}, {...sessionStorage}]);
}"""


@asynccontextmanager
async def phone(browser: Browser, url: str, **more: Any) -> AsyncIterator[Phone]:
    """A phone that has seen nothing yet. What its pages complain about fails the test, but for being offline."""
    context = await browser.new_context(viewport=SMALL, reduced_motion="reduce", **more)  # type: ignore[arg-type]
    page = await context.new_page()
    made = Phone(context, page, url)
    page.on("pageerror", lambda error: made.troubles.append(str(error)))
    page.on("console", lambda said: made.troubles.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("request", lambda request: made.asked.append(f"{request.method} {request.url}"))
    devices = await context.new_cdp_session(page)
    await devices.send("WebAuthn.enable")
    await devices.send("WebAuthn.addVirtualAuthenticator", {"options": LOCK})
    try:
        yield made
        assert made.troubles == []
    finally:
        await context.close()


def today() -> datetime:
    """Browsers have the machine's time, and so has the school of these tests."""
    return datetime.now(UTC)
