"""What a teacher is offered while the room is held so that nobody is alone with one pupil (policy: RL1)."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.lesson_page import ORIGIN, ScriptedRoom, adult, context, person, state

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
SIZES = {"phone": {"width": 320, "height": 640}, "laptop": {"width": 1280, "height": 800}}


class Offers:
    """The server's side of it."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {
            "child": {"id": "p1", "name": "Bea"}, "asked": None, "approval": "", "invited": [],
            "colleagues": [{"id": "c", "name": "Ms Cole", "signed_in": True}, {"id": "d", "name": "Mr Dunn", "signed_in": False}],
        }
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def serve(self, route: Route) -> None:
        if route.request.method == "GET":
            await route.fulfill(json=self.told)
            return
        given = json.loads(route.request.post_data or "{}")
        what = route.request.url.rpartition("/")[2]
        if what == "ask" and not given["why"].strip():
            words = {"why": "Say why this cannot be a group"}
            await route.fulfill(status=422, json={"detail": "There is a problem", "errors": words})
            return
        self.asked.append((what, given))
        if what == "ask":
            self.told["asked"] = {"request_id": "r", "at": "10:22am", "status": "waiting", "seen": [], "by": "", "words": ""}
        else:
            self.told["invited"] = [{"name": "Ms Cole", "at": "10:23am"}]
        await route.fulfill(json={})


async def held(browser: Browser, size: str) -> tuple[ScriptedRoom, Page, Offers]:
    page = await (await browser.new_context(viewport=SIZES[size], reduced_motion="reduce")).new_page()
    room, offers = ScriptedRoom(page, "teacher", context("teacher")), Offers()
    await room.open()
    await page.route(f"{ORIGIN}/lessons/demo/alone**", offers.serve)
    await page.route(f"{ORIGIN}/lessons/demo/alone/**", offers.serve)
    await room.enter("held", [adult(), person(1)], hold=["lone-adult"])
    return room, page, offers


async def look(page: Page, name: str) -> None:
    """Keep a picture where somebody asks for one."""
    if folder := os.environ.get("CHAPERONE_PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.mark.parametrize("size", SIZES)
async def test_a_leader_is_asked_and_a_colleague_invited_by_keyboard_and_the_page_says_what_became_of_it(
    browser: Browser, size: str,
) -> None:
    _, page, offers = await held(browser, size)
    why = page.get_by_label("Why can it not be a group?")
    await expect(why).to_be_visible()
    await look(page, f"alone-{size}")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = (await Axe().run(page)).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
    await why.focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Say why this cannot be a group")).to_be_visible()
    await expect(why).to_be_focused()
    await page.keyboard.type("The others lost their connection.")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    words = page.locator("[data-alone-asked]")
    await expect(words).to_have_text("You asked a senior leader at 10:22am. Nobody has seen it yet.")
    await expect(why).to_be_hidden()
    offers.told["asked"]["seen"] = ["Mrs Khan"]
    await expect(words).to_have_text("You asked a senior leader at 10:22am. Seen by Mrs Khan.")
    await page.get_by_label("Cleared staff who are free now").select_option("Ms Cole, signed in now")
    await page.get_by_role("button", name="Invite a colleague").press("Enter")
    await expect(words).to_contain_text("Ms Cole was asked to join at 10:23am.")
    assert offers.asked == [("ask", {"why": "The others lost their connection."}), ("invite", {"person": "c"})]
    offers.told["asked"] |= {"status": "refused", "by": "Mrs Khan", "words": "Ring home instead."}
    await expect(words).to_contain_text("Mrs Khan did not approve it: Ring home instead.")
    await look(page, f"alone-refused-{size}")
    await page.context.close()


async def test_when_the_room_is_held_for_another_reason_or_opens_it_is_gone(browser: Browser) -> None:
    room, page, _ = await held(browser, "laptop")
    await expect(page.get_by_role("heading", name="Ask a senior leader")).to_be_visible()
    await room.say(state("open", [adult(), person(1), person(2)]))
    await expect(page.locator("[data-alone-panel]")).to_have_count(0)
    await room.say(state("held", [adult()], hold=["not-recorded"]))
    await expect(page.get_by_role("heading", name="Paused")).to_be_visible()
    await expect(page.locator("[data-alone-panel]")).to_have_count(0)
    await page.context.close()
