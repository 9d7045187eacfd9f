"""From a worry to a closed concern, in Chromium: on a phone and on a laptop, and axe finds nothing (policy: RC1, RC3, DE4)."""

import asyncio
import io
import os
import re
import zipfile
from pathlib import Path

import pyrage
import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.programs import Service
from tests.browser.test_office_pages import signed_in
from tests.browser.test_people_pages import sound

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
PRESS = """() => fetch("/worried", {method: "POST", headers: {"content-type": "application/json"},
  body: JSON.stringify({text: "Somebody was unkind"})}).then(answer => answer.status)"""


async def look(page: Page, name: str, width: int) -> None:
    """Nothing that axe objects to; `PICTURES` names a folder for those who want to see it."""
    await sound(page, name)
    if folder := os.environ.get("PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)


async def confirm(page: Page) -> None:
    password, code = await page.locator(".x-step-up .govuk-inset-text strong").all_inner_texts()
    await page.get_by_label("Password").fill(password)
    await page.get_by_label("One-time code").fill(code)
    await page.get_by_role("button", name="Confirm", exact=True).click()


async def fill_day(page: Page, inside: str = "main") -> None:
    where = page.locator(inside)
    for part, value in (("Day", "3"), ("Month", "3"), ("Year", "2027")):
        await where.get_by_label(part, exact=True).fill(value)


@pytest.mark.parametrize("width", [320, 1280])
async def test_a_worry_becomes_a_concern_is_handed_over_and_closed(browser: Browser, service: Service, width: int) -> None:
    size = {"width": width, "height": 800}
    async with signed_in(browser, service, "pupil", viewport=size) as page:
        assert await page.evaluate(PRESS) == 200
    async with signed_in(browser, service, "dsl", viewport=size) as page:
        await page.goto("/safeguarding")
        await look(page, "queue", width)
        await page.locator("#alerts tr", has_text="Worry").first.get_by_role("link").click()
        await page.get_by_role("button", name="I have got this").click()
        await expect(page.locator("main").get_by_role("button", name="Record a concern")).to_be_visible()
        await look(page, "item", width)
        await page.locator("main").get_by_role("button", name="Record a concern").click()
        await page.get_by_role("button", name="Save the concern").click()
        await expect(page.locator("#problems")).to_contain_text("Write what was seen or heard")
        await look(page, "new-refused", width)
        await page.get_by_label("No", exact=True).check()
        await page.get_by_label("Pupil 1", exact=True).select_option(index=1)
        await page.get_by_label("Part of pupil 1").select_option("harmed")
        await page.get_by_label("What was seen or heard").fill("“Somebody was unkind”")
        await page.get_by_label("Online safety", exact=True).check()
        await page.get_by_role("button", name="Save the concern").click()
        await page.wait_for_url("**/concerns/C-*")
        concern = page.url
        await look(page, "concern", width)
        await page.get_by_text("Add something to do", exact=True).click()
        await page.get_by_label("What is to be done", exact=True).fill("Speak to the form tutor")
        await page.get_by_label("Who does it", exact=True).select_option(index=1)
        await fill_day(page, "details[open]")
        await page.locator("details[open]").get_by_role("button", name="Save").click()
        await page.get_by_role("button", name=re.compile("^Done")).click()
        await expect(page.get_by_text("Nothing is left to do.")).to_be_visible()
        await look(page, "concern-done", width)
        receiver = pyrage.x25519.Identity.generate()
        await page.get_by_role("button", name="Make transfer pack for CPOMS").click()
        await page.get_by_label("Who it is for").fill("Sam Lee")
        await page.get_by_label("Where they work").fill("Social care")
        await page.get_by_label("Their public key").fill(str(receiver.to_public()))
        await page.get_by_role("button", name="Ask for the file").click()
        await expect(page.get_by_text("so a colleague looks at it")).to_be_visible()
    async with signed_in(browser, service, "deputy_dsl", viewport=size) as page:
        await page.goto(f"{concern}/export")
        await look(page, "second-look", width)
        await page.get_by_role("button", name="I have looked").click()
        await confirm(page)
        await expect(page.get_by_role("button", name="Make the file")).to_be_visible()
    async with signed_in(browser, service, "dsl", viewport=size) as page:
        await page.goto(f"{concern}/export")
        await page.get_by_role("button", name="Make the file").click()
        async with page.expect_download() as downloading:
            await confirm(page)
        made = await asyncio.to_thread((await (await downloading.value).path()).read_bytes)
        inside = zipfile.ZipFile(io.BytesIO(pyrage.decrypt(made, [receiver])))
        assert b"Somebody was unkind" in inside.read("chronology.csv")
        await page.goto(concern)
        await page.get_by_text("Close it", exact=True).click()
        await page.get_by_label("What it came to").fill("Handed over to CPOMS")
        await page.locator("details[open]").get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Closed", exact=True).first).to_be_visible()
        await page.goto("/safeguarding?tab=mine")
        await page.locator("#alerts tr", has_text="Worry").first.get_by_role("link").click()
        await page.get_by_label("Add a note", exact=True).fill("Recorded and handed over")
        await page.get_by_label("A concern was recorded").check()
        await page.get_by_role("button", name="Save the note and close").click()
        await page.wait_for_url("**/safeguarding?tab=mine")
        await page.goto("/safeguarding?tab=closed")
        await expect(page.get_by_role("cell", name="A concern was recorded").first).to_be_visible()
        await look(page, "closed", width)
