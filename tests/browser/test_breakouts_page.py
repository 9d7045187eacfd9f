"""Breakout rooms on the lesson's page, against a scripted school: every room's state, who goes where, and everybody back."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Route, expect

from tests.browser.lesson_page import NAMES, ScriptedRoom, adult, lesson_page, person, state

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
CLASS = [adult(), *(person(number) for number in range(4))]
MAIN, RED, BLUE = "demo", "red", "blue"


class School:
    """What the page asks of the school about rooms, and what it answers."""

    def __init__(self, room: ScriptedRoom) -> None:
        self.room = room
        self.asked: list[tuple[str, Any]] = []
        self.refusal: dict[str, Any] | None = None
        self.arrangement = {
            "open": False,
            "rooms": [{"lesson": "", "name": f"Room {n + 1}", "adults": [who], "pupils": [f"p{n}", f"p{n + 2}"]}
                      for n, who in enumerate(("t", "a"))],
            "adults": [{"id": "t", "name": "Mr Hall", "here": True}, {"id": "a", "name": "Ms Cole", "here": False}],
            "pupils": [{"id": f"p{n}", "name": NAMES[n], "here": n < 3} for n in range(4)],
        }

    async def listen(self) -> "School":
        await self.room.page.route("**/lessons/demo/breakouts**", self._answer)
        await self.room.page.route("**/lessons/*/door", self._door)
        return self

    async def _answer(self, route: Route) -> None:
        request = route.request
        path = request.url.partition("/breakouts")[2]
        self.asked.append((path, request.post_data_json if request.method == "POST" else None))
        if request.method == "POST" and self.refusal:
            return await route.fulfill(status=422, json=self.refusal)
        await route.fulfill(status=200, json=self.arrangement if request.method == "GET" else {})

    async def _door(self, route: Route) -> None:
        self.room.doors.append(route.request.post_data_json | {"door": route.request.url})
        await route.fulfill(json={"ticket": "t2", "expires_in": 60})


def line(lesson: str, name: str, room: str, hold: list[str], adults: int, pupils: int) -> dict[str, Any]:
    return {"lesson": lesson, "name": name, "room": room, "hold": hold, "adults": adults, "pupils": pupils, "expected": pupils}


def rooms(*, blue: str = "open") -> dict[str, Any]:
    held = blue == "held"
    lines = [
        line(MAIN, "Main room", "held", ["no-adult"], 0, 0), line(RED, "Room 1", "open", [], 1, 2),
        line(BLUE, "Room 2", blue, ["no-adult"] if held else [], 0 if held else 1, 2),
    ]
    pupils = [{"person": f"p{n}", "name": NAMES[n], "lesson": (RED, BLUE)[n % 2], "here": True} for n in range(4)]
    return {"type": "rooms", "rooms": lines, "pupils": pupils}


def said(text: str) -> dict[str, Any]:
    return {"type": "chat", "id": "c1", "person": "t", "name": "Mr Hall", "text": text, "at": "2026-03-03T10:20:00Z"}


@pytest_asyncio.fixture(loop_scope="module")
async def teacher(browser: Browser) -> AsyncIterator[tuple[ScriptedRoom, School]]:
    async with lesson_page(browser, "teacher") as room:
        yield room, await School(room).listen()
        assert [t for t in room.troubles if "422" not in t] == []


async def arrange(room: ScriptedRoom) -> None:
    await room.page.get_by_role("button", name="More", exact=True).first.click()
    await room.page.locator("#more-menu").get_by_role("button", name="Breakout rooms").click()
    await room.page.get_by_role("heading", name="Breakout rooms").wait_for()


async def picture(room: ScriptedRoom, name: str) -> None:
    """Kept where `PICTURES` says, to be looked at."""
    if folder := os.environ.get("PICTURES"):
        await room.page.screenshot(path=Path(folder) / f"{name}.png")


async def test_the_teacher_opens_what_is_proposed_after_a_change(teacher: tuple[ScriptedRoom, School]) -> None:
    room, school = teacher
    await room.enter("open", CLASS)
    await arrange(room)
    dialog = room.page.get_by_role("dialog", name="Breakout rooms")
    await picture(room, "arrange-1280")
    assert (await Axe().run(room.page)).violations_count == 0
    await dialog.get_by_label(NAMES[2]).select_option("Room 2")
    await dialog.get_by_label("Name").first.fill("Red")
    await dialog.get_by_label("Second adult").first.select_option("Ms Cole (not here yet)")
    await dialog.get_by_role("button", name="Open the rooms").click()
    await expect(dialog).to_be_hidden()
    assert school.asked[-1] == ("", {"rooms": [
        {"name": "Red", "adults": ["t", "a"], "pupils": ["p0"]},
        {"name": "Room 2", "adults": ["a"], "pupils": ["p1", "p3", "p2"]},
    ]})


async def test_what_the_school_refuses_is_said_in_its_words_and_nothing_is_lost(teacher: tuple[ScriptedRoom, School]) -> None:
    room, school = teacher
    words = "Ms Cole cannot be in two rooms. Choose one."
    school.refusal = {"detail": words, "errors": {"rooms": words}}
    await room.enter("open", CLASS)
    await arrange(room)
    dialog = room.page.get_by_role("dialog", name="Breakout rooms")
    await dialog.get_by_label("Name").first.fill("Red")
    await dialog.get_by_role("button", name="Open the rooms").click()
    await expect(dialog.get_by_role("alert")).to_have_text(words)
    assert await dialog.get_by_label("Name").first.input_value() == "Red"


async def test_staff_see_one_bar_for_each_room_live_and_hear_of_a_pause(teacher: tuple[ScriptedRoom, School]) -> None:
    room, _ = teacher
    await room.enter("open", CLASS)
    await room.say(rooms())
    bars = room.page.get_by_role("region", name="Rooms of this lesson").get_by_role("listitem")
    await expect(bars).to_have_count(3)
    await expect(bars.nth(0)).to_contain_text("Nobody here")
    await expect(bars.nth(2)).to_contain_text("Open")
    await room.say(rooms(blue="held"))
    await expect(bars.nth(2)).to_contain_text("Paused: no adult")
    await expect(bars.nth(2)).to_contain_text("0 adults, 2 pupils")
    await expect(room.page.locator('[data-say="alert"]')).to_have_text("Room 2. Paused: no adult")
    assert (await Axe().run(room.page)).violations_count == 0
    await picture(room, "rooms-1280")
    await room.page.set_viewport_size({"width": 320, "height": 640})
    await picture(room, "rooms-320")
    assert await room.page.evaluate("document.documentElement.scrollWidth") <= 320
    await room.say({"type": "rooms", "rooms": [], "pupils": []})
    await expect(bars).to_have_count(0)


async def test_a_pupil_is_moved_with_the_keyboard_on_a_narrow_screen(teacher: tuple[ScriptedRoom, School]) -> None:
    room, school = teacher
    school.arrangement["open"] = True
    await room.enter("open", CLASS)
    await room.say(rooms())
    await room.page.set_viewport_size({"width": 320, "height": 640})
    await room.page.get_by_role("button", name="Move a pupil").press("Enter")
    dialog = room.page.get_by_role("dialog", name="Breakout rooms")
    await picture(room, "move-320")
    choice = dialog.get_by_label(NAMES[0])
    await choice.focus()
    await choice.press("R")
    await choice.select_option("Room 2")
    async with asyncio.timeout(10):
        while not any(path == "/move" for path, _ in school.asked):
            await room.page.wait_for_timeout(50)
    assert ("/move", {"person": "p0", "to": BLUE}) in school.asked
    assert await room.page.evaluate("document.documentElement.scrollWidth") <= 320
    await dialog.get_by_role("button", name="Bring everybody back").press("Enter")
    await expect(dialog).to_be_hidden()
    assert school.asked[-1] == ("/close", {})


async def test_a_page_that_is_told_to_move_comes_in_at_the_other_door_without_its_questions(browser: Browser) -> None:
    async with lesson_page(browser, "pupil") as room:
        await School(room).listen()
        await room.enter("open", CLASS)
        await room.say(said("said before"))
        await room.say({"type": "move", "lesson": RED, "name": "Room 1", "is_main": False})
        await room.page.wait_for_selector('main[data-room="lobby"]')
        await room.page.get_by_text("You are going to Room 1.").wait_for()
        assert await room.page.locator("video[data-person], audio[data-person]").count() == 0
        async with asyncio.timeout(15):
            while len(room.sockets) < 2:
                await room.page.wait_for_timeout(50)
        assert room.sockets[-1].url.endswith(f"/lessons/{RED}/socket")
        moved = room.doors[-1]
        assert moved.pop("door").endswith(f"/lessons/{RED}/door")
        assert moved == {}, "the answers of the door are kept"
        await room.say(state("open", CLASS))
        await room.page.wait_for_selector('main[data-room="open"]')
        await room.say(said("said here"))
        await room.page.get_by_text("said here").wait_for(state="attached")
        assert await room.page.get_by_text("said before").count() == 0
        assert room.troubles == []


async def test_a_pupil_in_the_main_room_is_told_in_friendly_words_where_everybody_is(browser: Browser) -> None:
    async with lesson_page(browser, "pupil") as room:
        await room.enter("held", [person(0)], hold=["no-adult"], breakouts=True)
        await expect(room.page.locator("[data-held-reason]")).to_contain_text("Everybody is in a breakout room.")
        await room.say(state("held", [person(0)], hold=["stopped-by-school"], breakouts=True))
        await expect(room.page.locator("[data-held-reason]")).to_contain_text("This lesson has stopped.")
        assert await room.page.get_by_role("button", name="Breakout rooms").count() == 0
        await picture(room, "pupil-main")
