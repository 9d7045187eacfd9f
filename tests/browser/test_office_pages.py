"""The office's, the safeguarding team's and the leaders' pages in Chromium, against the service as `make run` starts it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.browser.programs import Service

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@asynccontextmanager
async def signed_in(browser: Browser, service: Service, role: str, *, number: int = 0, **context: Any) -> AsyncIterator[Page]:
    """A page signed in as a person with `role`, by default the first. What the browser complains about fails the test."""
    opened = await browser.new_context(base_url=service.url, reduced_motion="reduce", **context)
    page = await opened.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if "Content Security Policy" in message.text else None)
    await page.goto(service.all(role)[number]["sign_in_url"])
    yield page
    assert troubles == []
    await opened.close()


async def worry(browser: Browser, service: Service, number: int = 0) -> None:
    """A pupil presses “I'm worried”. The same pupil's next press joins the first, so each test has a pupil of its own."""
    async with signed_in(browser, service, "pupil", number=number) as page:
        answer = await page.evaluate("""async () => (await fetch("/worried", {
            method: "POST", headers: {"content-type": "application/json"}, body: "{}"})).status""")
        assert answer == 200


async def paths(page: Page, service: Service, role: str) -> list[str]:
    """Every page of mine that this role has, with one of each kind of record."""
    lesson = min(service.made["lessons"], key=lambda found: found["starts_at"])
    child = lesson["pupil_ids"][0]
    if role != "office":
        await page.goto("/permissions")
        await page.get_by_role("link", name="2 Elm").first.click()
        await page.get_by_role("row").filter(has_text="Needs a call").get_by_role("link").first.click()
        differs = page.url.removeprefix(service.url) + "/differ"
        return [differs, "/permissions/texts", "/permissions/texts/attend",
                "/live", f"/live/{lesson['id']}/stop", "/agreement", "/safeguarding", "/safeguarding?tab=closed", "/concerns",
                "/concerns/new", "/concerns/officer", "/incidents", "/incidents/new", "/permissions", "/attendance"]
    await page.goto("/permissions")
    group = await page.locator("h2 a").first.get_attribute("href")
    await page.goto(f"/permissions/children/{child}")
    mistake = await page.get_by_role("link", name="Entered by mistake").first.get_attribute("href")
    assert group
    assert mistake
    asked = await ask_families(page, service)
    await page.goto("/permissions/texts/attend")
    languages = [str(await link.get_attribute("href")) for link in await page.locator("a[href*='/versions/']").all()]
    return ["/permissions/requests", asked, f"{asked}/calls", f"{asked}/forms", "/permissions/texts", "/permissions/texts/attend",
            "/permissions/texts/attend/new", languages[-1],
            "/permissions", "/permissions/missing", "/permissions/agreements", f"/permissions/agreements/{child}", group, mistake,
            f"/permissions/children/{child}", "/attendance", f"/attendance/{child}", f"/lessons/{lesson['id']}/attendance",
            f"/lessons/{lesson['id']}/attendance/{child}"]


async def ask_families(page: Page, service: Service) -> str:
    """Through the form: the whole school is asked for two permissions. Returns the address of the request."""
    await page.goto("/permissions/requests")
    await page.get_by_label("Photographs may go on display in school").check()
    await page.get_by_label("May turn the camera on").check()
    later = datetime.now(UTC) + timedelta(days=20)
    for label, value in (("Day", later.day), ("Month", later.month), ("Year", later.year)):
        await page.get_by_label(label).fill(str(value))
    await page.get_by_role("button", name="Ask them").click()
    await expect(page.get_by_text("The families have been told that a question waits.")).to_be_visible()
    return page.url.removeprefix(service.url).partition("?")[0]


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("role", ["office", "dsl"])
async def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    browser: Browser, service: Service, role: str, width: int,
) -> None:
    async with signed_in(browser, service, role, viewport={"width": width, "height": 800}) as page:
        for path in await paths(page, service, role):
            answer = await page.goto(path)
            assert answer
            assert answer.status == 200, path
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
            found = (await Axe().run(page)).response["violations"]
            assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], path
            assert await page.locator("h1").count() == 1, path


async def test_a_worry_reaches_the_dsl_s_open_page_within_seconds_without_a_reload(browser: Browser, service: Service) -> None:
    async with signed_in(browser, service, "dsl") as page:
        await page.goto("/safeguarding")
        await expect(page.get_by_text("Nothing waiting.")).to_be_visible()
        await page.evaluate("window.sameDocument = true")
        await worry(browser, service)
        banner = page.get_by_role("region", name="Safeguarding alert")
        await expect(banner).to_contain_text(re.compile(r"^\s*Safeguarding alert, \d+(:\d\d)?(am|pm)\. Open\.\s*$"), timeout=6000)
        await expect(page.locator("#alerts tr")).to_have_count(1)
        await expect(page.locator("#alerts tr")).to_contain_text("Worry")
        assert await page.evaluate("window.sameDocument")
        await page.locator("#alerts a").click()
        await page.get_by_role("button", name="I have got this").click()
        await expect(banner).to_have_count(0)
        found = (await Axe().run(page)).response["violations"]
        assert [rule["id"] for rule in found] == []


async def test_every_page_shows_it_without_a_reload_and_one_tab_waits_for_all_of_them(browser: Browser, service: Service) -> None:
    async with signed_in(browser, service, "deputy_dsl") as page:
        tabs = [page, *[await page.context.new_page() for _ in range(7)]]  # a browser keeps six connections to a site
        asked: list[str] = []
        for tab in tabs:
            tab.on("request", lambda request: asked.append(request.url) if "/banners" in request.url else None)
            await tab.goto("/account", wait_until="networkidle")
            await tab.evaluate("window.sameDocument = true")
        known = await page.locator("#banners").get_attribute("data-shown")
        await worry(browser, service, 1)
        for tab in tabs:
            await expect(tab.locator("#banners")).not_to_have_attribute("data-shown", known or "", timeout=6000)
            await expect(tab.get_by_role("region", name="Safeguarding alert")).to_be_visible()
            assert await tab.evaluate("window.sameDocument")
        assert len([url for url in asked if "shown=" in url]) <= 3, "one tab waits for all"
        await tabs[1].bring_to_front()
        await tabs[1].get_by_role("button", name="Sign out", exact=True).click()
        await expect(tabs[2].get_by_role("region", name="Safeguarding alert")).to_have_count(0, timeout=5000)


async def test_the_teacher_s_page_shows_nothing_of_it(browser: Browser, service: Service) -> None:
    async with signed_in(browser, service, "teacher") as page:
        await worry(browser, service, 2)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto("/attendance")
        await page.wait_for_load_state("networkidle")
        assert not [url for url in asked if "safeguarding" in url or "alerts" in url]
        assert "Safeguarding" not in await page.content()


async def test_a_paper_form_is_written_down_by_keyboard_alone_and_without_scripts(browser: Browser, service: Service) -> None:
    lesson = max(service.made["lessons"], key=lambda found: found["starts_at"])
    async with signed_in(browser, service, "office", java_script_enabled=False) as page:
        await page.goto(f"/permissions/children/{lesson['pupil_ids'][0]}")
        await page.get_by_role("radio").first.focus()
        await page.keyboard.press("Space")
        await page.get_by_role("radiogroup", name="May turn the camera on").get_by_label("No", exact=True).focus()
        await page.keyboard.press("Space")
        await page.get_by_role("button", name="Save", exact=True).focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert", name="Saved")).to_be_visible()
        row = page.locator(".govuk-summary-list__row").filter(has_text="Camera")
        await expect(row).to_contain_text(re.compile("Changed to no|Needs a call"))
