"""Calling home in Chromium: the call's page from the first press to the record, and every page of calls at two widths."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from service.calls.way import End, Kind
from service.foundation.web import COOKIE
from tests.browser.lesson_page import chromium
from tests.home_calls import Family, family, until
from tests.school import Running
from tests.served import served

pytestmark = pytest.mark.browser
PICTURES = os.environ.get("CHAPERONE_PICTURES", "")
SILENCE = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


@asynccontextmanager
async def page_of(browser: Browser, home: Family, url: str, role: str, **how: Any) -> AsyncIterator[Page]:
    """Somebody's browser. What it complains about fails the test."""
    context = await browser.new_context(base_url=url, reduced_motion="reduce", permissions=["microphone"], **how)
    token = await home.school.cookie(home.school.person(role))
    await context.add_cookies([{"name": COOKIE, "value": token, "url": url}])
    page, troubles = await context.new_page(), list[str]()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if "Content Security" in message.text else None)
    yield page
    assert troubles == []
    await context.close()


async def start(page: Page, home: Family) -> str:
    """“Call home”, as a teacher does it. Returns the call's id."""
    await page.goto(f"/calls/new?child={home.child}")
    await page.get_by_label("mother").check()
    await page.get_by_label("How the child is").check()
    await page.get_by_role("button", name="Start the call").click()
    await page.wait_for_url(re.compile(r"/calls/[0-9a-f]{32}"))
    return page.url.rpartition("/")[2]


async def test_a_call_from_the_first_press_to_the_record(school: Running) -> None:
    home = await family(school)
    async with served(school) as url, chromium() as browser, page_of(browser, home, url, "teacher") as page:
        call_id = await start(page, home)
        state = page.get_by_role("status")
        await expect(state).to_have_text("Calling")
        await until(lambda: call_id in home.way.orders)
        assert home.way.orders[call_id].offer.startswith("v=0")
        assert "m=audio" in home.way.orders[call_id].offer
        await home.way.say(call_id, Kind.RINGING)
        await home.way.say(call_id, Kind.ANSWERED)
        await expect(state).to_have_text("Connected")
        await expect(page.locator("#timer")).to_have_text(re.compile(r", 00:\d\d"))
        assert call_id in home.way.heard
        await page.get_by_text("Keys, for a menu that answers").click()
        await page.get_by_role("button", name="5", exact=True).click()
        await page.get_by_role("button", name="Hold").click()
        await expect(page.get_by_role("button", name="Go on")).to_have_attribute("aria-pressed", "true")
        await until(lambda: ("hold", call_id) in home.way.steps)
        assert ("press 5", call_id) in home.way.steps
        await page.get_by_role("button", name="End the call").press("Enter")
        await expect(state).to_have_text("Ended")
        await expect(page.get_by_role("button", name="Record what happened")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.get_by_label("Spoke", exact=True).check()
        await page.get_by_label("What was agreed?").fill("Comes back on Thursday")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Comes back on Thursday")).to_be_visible()
        assert "900123" not in await page.content()


async def test_a_page_that_is_closed_takes_its_call_with_it(school: Running) -> None:
    home = await family(school)
    async with served(school) as url, chromium() as browser, page_of(browser, home, url, "teacher") as page:
        call_id = await start(page, home)
        await until(lambda: call_id in home.way.orders)
        await page.goto("about:blank")
        await until(lambda: school.app.state.desk.live(call_id) is None)
        await until(lambda: _over(home, call_id))
    assert (await home.call(call_id)).ended_why == "page-closed"


async def _over(home: Family, call_id: str) -> bool:
    return (await home.call(call_id)).ended_at is not None


async def test_what_is_refused_at_dialling_is_said_and_nobody_is_rung(school: Running) -> None:
    home = await family(school)
    async with served(school) as url, chromium() as browser, page_of(browser, home, url, "teacher") as page:
        await page.goto(f"/calls/new?child={home.child}")
        await page.get_by_label("mother").check()
        await page.get_by_label("How the child is").check()
        await home.link(home.mum, do_not_contact=True)
        await page.get_by_role("button", name="Start the call").click()
        await expect(page.locator(".govuk-error-summary")).to_contain_text("Do not call. Ask the DSL.")
        assert home.way.steps == []


async def test_another_page_of_somebody_else_gets_no_line(school: Running) -> None:
    home = await family(school)
    call_id = await home.asked()
    async with served(school) as url, chromium() as browser:
        for role in ("headteacher", "parent"):
            async with page_of(browser, home, url, role) as page:
                await page.goto("/account")
                code = await page.evaluate("""async (id) => new Promise((done) => {
                    const line = new WebSocket(location.origin.replace("http", "ws") + "/calls/" + id + "/line");
                    line.onclose = ({code}) => done(code); })""", call_id)
                assert code == 4403, role
        async with page_of(browser, home, url, "teacher") as page:
            await page.goto("/account")
            for text in ("{}", '{"type":"press","digits":"12; rm"}', '{"type":"offer","sdp":"x"}', "9" * 70_000,
                         '{"type":"hold","held":"perhaps"}'):
                code = await page.evaluate("""async ([id, text]) => new Promise((done) => {
                    const line = new WebSocket(location.origin.replace("http", "ws") + "/calls/" + id + "/line");
                    line.onopen = () => line.send(text);
                    line.onclose = ({code}) => done(code); })""", [call_id, text])
                assert code == 4400, text[:40]
    assert home.way.steps == []


PAGES = {
    "teacher": ("/calls", "/calls/new?child={child}", "/calls/emergency?child={child}", "/calls/phone", "/engagement",
                "/lessons/{lesson}/absent", "/attendance/{child}"),
    "headteacher": ("/calls", "/calls/phones", "/calls/register"),
    "office": ("/calls/settings", "/people/{mum}/contact", "/people/{child}", "/calls/register",
               "/calls/texts", "/calls/replies"),
}


@pytest.mark.parametrize("width", [320, 1280])
async def test_every_page_of_calls_is_accessible_and_fits(school: Running, width: int) -> None:
    home = await family(school)
    await home.link(home.dad, court_order="yes")
    lesson = school.lesson()["id"]
    async with served(school) as url, chromium() as browser:
        for role, paths in PAGES.items():
            async with page_of(browser, home, url, role, viewport={"width": width, "height": 800}) as page:
                for path in paths:
                    await page.goto(path.format(child=home.child, mum=home.mum, lesson=lesson))
                    await fits(page, path)
        async with page_of(browser, home, url, "teacher", viewport={"width": width, "height": 800}) as page:
            call_id = await start(page, home)
            await until(lambda: call_id in home.way.orders)
            await home.way.say(call_id, Kind.ANSWERED)
            await expect(page.get_by_role("status")).to_have_text("Connected")
            await fits(page, "the call")
            await page.get_by_role("button", name="End the call").click()
            await page.get_by_role("button", name="Record what happened").click()
            await page.get_by_role("button", name="Save").click()
            await expect(page.locator(".govuk-error-summary")).to_contain_text("Choose what happened")
            await fits(page, "the record")


@pytest.mark.parametrize("width", [320, 1280])
async def test_a_text_from_the_offices_words_to_the_record(school: Running, width: int) -> None:
    home = await family(school)
    async with served(school) as url, chromium() as browser:
        async with page_of(browser, home, url, "office", viewport={"width": width, "height": 800}) as page:
            await page.goto("/calls/texts")
            await page.get_by_label("What is it for?").fill("We tried to ring")
            await page.get_by_role("button", name="Publish").click()
            await expect(page.get_by_text("Version 1, English")).to_be_visible()
            await fits(page, "a text of the school")
        async with page_of(browser, home, url, "teacher", viewport={"width": width, "height": 800}) as page:
            call_id = await start(page, home)
            await until(lambda: call_id in home.way.orders)
            await home.way.say(call_id, Kind.ENDED, end=End.NO_ANSWER)
            await page.get_by_role("button", name="Record what happened").click()
            await fits(page, "the record after nobody answered")
            await page.get_by_role("link", name=re.compile("^Send .* a text")).click()
            await fits(page, "sending a text")
            await page.get_by_role("button", name="Send the text").click()
            await expect(page.get_by_text("We tried to ring. Sent, ")).to_be_visible()
            await fits(page, "the record with a text")
    assert [each.words for each in home.way.sent] == [
        "Hello. We tried to ring you from school. Please ring the school office on this number. Thank you."]


async def fits(page: Page, what: str) -> None:
    if PICTURES:  # where somebody wants to look
        name = re.sub(r"[^a-z]+", "-", what.split("?")[0]).strip("-")
        await page.screenshot(path=str(Path(PICTURES) / f"{name}-{page.viewport_size['width']}.png"), full_page=True)
    assert (await Axe().run(page)).response["violations"] == [], what
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), what
