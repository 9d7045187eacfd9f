"""Asking for teaching practice, agreeing, ending it, and erasing a recording early, in Chromium: small phone, laptop, axe."""

import os
import sqlite3
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.programs import Service, confirm_with_code
from tests.browser.test_office_pages import signed_in
from tests.browser.test_people_pages import sound

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def looked(page: Page, name: str) -> None:
    """Sound to axe; `PICTURES` names a folder for those who want to see it."""
    await sound(page, name)
    if folder := os.environ.get("PICTURES"):
        width = (page.viewport_size or {})["width"]
        await page.screenshot(path=Path(folder) / f"practice-{name}-{width}.png", full_page=True)


def every_family_allows_it(service: Service) -> None:
    """Beside each yes to lessons one to teaching practice, written into the database."""
    with sqlite3.connect(service.folder / "data" / "chaperone.sqlite3", timeout=20) as database:
        names = [name for _, name, *_ in database.execute("PRAGMA table_info(consent_response)")]
        changed = {"id": "lower(hex(randomblob(16)))", "purpose": "'teaching_practice'"}
        database.execute(
            f"INSERT INTO consent_response ({', '.join(names)}) SELECT {', '.join(changed.get(name, name) for name in names)} "
            "FROM consent_response WHERE purpose = 'attend' AND child_id NOT IN "
            "(SELECT child_id FROM consent_response WHERE purpose = 'teaching_practice')")


@pytest.mark.parametrize(("width", "title"), [(320, "Story time"), (1280, "History: the Romans")])
async def test_a_lesson_is_asked_for_agreed_to_and_ended(browser: Browser, service: Service, width: int, title: str) -> None:
    size = {"width": width, "height": 800}
    lesson = next(each for each in service.made["lessons"] if each["title"] == title)
    every_family_allows_it(service)
    async with signed_in(browser, service, "senior_leader", viewport=size) as page:
        await page.goto(f"/lessons/{lesson['id']}/practice")
        await looked(page, "ask")
        await page.get_by_role("button", name="Ask for it").click()
        await expect(page.get_by_text("It waits for")).to_be_visible()
        await looked(page, "waiting")
        asked = page.url
        await page.goto("/practice")
        await looked(page, "list")
    async with signed_in(browser, service, "headteacher", viewport=size) as page:
        await page.goto(asked)
        await page.get_by_role("button", name="End it for good").click()
        await expect(page.get_by_text("nobody has to say so")).to_be_visible()
        await looked(page, "gone")


async def test_two_people_erase_a_recording_early(browser: Browser, service: Service) -> None:
    async with signed_in(browser, service, "dpo", viewport={"width": 320, "height": 800}) as page:
        await page.goto("/endings")
        await page.get_by_role("link", name="Erase early").first.click()
        await looked(page, "erase")
        await page.get_by_role("button", name="Save decision").click()
        await looked(page, "erase-empty")
        await page.get_by_label("A parent").check()
        await page.get_by_label("Why do they ask").fill("They do not want the voice kept")
        await page.get_by_label("Erase it, if a second").check()
        await page.get_by_role("button", name="Save decision").click()
        await confirm_with_code(page)
        await expect(page.get_by_text("This waits for a second person")).to_be_visible()
        await looked(page, "erase-waits")
        asked = page.url
    async with signed_in(browser, service, "dsl", viewport={"width": 1280, "height": 800}) as page:
        await page.goto(asked)
        await looked(page, "erase-second")
        await page.get_by_label("Agree: destroy it now").check()
        await page.get_by_role("button", name="Save decision").click()
        await confirm_with_code(page)
        await expect(page.get_by_text("It is being destroyed").or_(page.get_by_text("It was destroyed on"))).to_be_visible()
        await looked(page, "erased")
