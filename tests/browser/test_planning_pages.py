"""Planning and everybody's timetable in Chromium: readable by all, narrow enough for any phone, and without JavaScript too."""

import re
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from tests.browser.programs import Service
from tests.browser.test_office_pages import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


def lesson(service: Service, title: str) -> str:
    found: dict[str, Any] = next(one for one in service.made["lessons"] if one["title"] == title)
    return f"/lessons/{found['id']}"


def paths(service: Service, role: str) -> list[str]:
    return {
        "teacher": ["/today", "/lessons/plan", "/calendar", "/one-to-one", "/one-to-one/ask",
                    lesson(service, "Algebra: brackets"), lesson(service, "Algebra: brackets") + "/change",
                    lesson(service, "Science: forces") + "/change"],
        "pupil": ["/today"], "parent": ["/family"],
        "headteacher": ["/today", "/lessons/waiting", "/one-to-one/in-force"],
        "dsl": ["/school/words", "/safeguarding/one-to-ones", "/safeguarding/marks"],
    }[role]


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("role", ["teacher", "pupil", "parent", "headteacher", "dsl"])
async def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    browser: Browser, service: Service, role: str, width: int,
) -> None:
    async with signed_in(browser, service, role, viewport={"width": width, "height": 800}) as page:
        for path in paths(service, role):
            answer = await page.goto(path)
            assert answer
            assert answer.status == 200, path
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
            found = (await Axe().run(page)).response["violations"]
            assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], path
            assert await page.locator("h1").count() == 1, path


@pytest.mark.parametrize(("scripted", "title"), [(True, "Planned by Enter"), (False, "Planned without scripts")])
async def test_a_lesson_is_planned_from_the_keyboard_with_and_without_javascript(
    browser: Browser, service: Service, scripted: bool, title: str
) -> None:
    async with signed_in(browser, service, "teacher", java_script_enabled=scripted) as page:
        await page.goto("/lessons/plan")
        await page.get_by_label("Another day").check()
        for box, typed in (("#on", "1"), ("#on-month", "1"), ("#on-year", "2040")):
            await page.locator(box).fill(typed)
        await page.get_by_label("Title").fill(title)
        await page.get_by_label("Title").press("Enter")
        await expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
        assert await page.get_by_label("Title").input_value() == title  # nothing is lost
        await page.get_by_label(re.compile("^Tomorrow")).check()
        await page.get_by_label("Start").select_option("16:00" if scripted else "15:00")
        await page.get_by_label("Title").press("Enter")
        await expect(page.get_by_role("heading", name="Lesson planned")).to_be_visible()


async def test_a_field_shows_only_with_the_answer_it_belongs_to(browser: Browser, service: Service) -> None:
    async with signed_in(browser, service, "teacher") as page:
        await page.goto("/lessons/plan")
        await page.get_by_label(re.compile("^Tomorrow")).check()
        await expect(page.get_by_role("group", name="Which day?")).to_be_hidden()
        await page.get_by_label("Another day").check()
        await expect(page.get_by_role("group", name="Which day?")).to_be_visible()
        await expect(page.get_by_role("button", name="Show every date")).to_be_hidden()
        await page.get_by_label("Every week").check()
        await expect(page.get_by_role("button", name="Show every date")).to_be_visible()
