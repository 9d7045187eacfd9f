"""Signing the agreement and the impact assessment in Chromium: by keyboard, on a phone, and for axe."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page

from service.foundation.web import COOKIE
from tests.browser.lesson_page import chromium
from tests.browser.test_people_pages import sound
from tests.features.test_agreements import renewed
from tests.proofs import PASSWORD, code, give_codes
from tests.school import Running
from tests.served import served

pytestmark = pytest.mark.browser
PICTURES = os.environ.get("CHAPERONE_PICTURES", "")


@asynccontextmanager
async def opened(school: Running, person: str, width: int, *, signs: bool = True) -> AsyncIterator[Page]:
    cookie = await school.cookie(person, signs=signs)
    async with served(school) as base, chromium() as browser:
        context = await browser.new_context(base_url=base, viewport={"width": width, "height": 800}, reduced_motion="reduce")
        await context.add_cookies([{"name": COOKIE, "value": cookie, "url": base}])
        yield await context.new_page()


async def seen(page: Page, name: str, width: int) -> None:
    """Sound, and a picture where somebody wants to look."""
    await sound(page, name)
    if PICTURES:
        await page.screenshot(path=str(Path(PICTURES) / f"{name}-{width}.png".replace(" ", "-")), full_page=True)


async def tab_to(page: Page, name: str) -> None:
    """Go on with the Tab key until what is called so has the focus."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText") == name:
            return
    raise AssertionError(f"never reached: {name}")


@pytest.mark.parametrize("width", [320, 1280])
async def test_a_teacher_whose_agreement_was_renewed_signs_by_keyboard_before_anything_else_opens(
    school: Running, width: int,
) -> None:
    await renewed(school, text="I use my school account only.\nI am kind.", what_changed="Being kind is new")
    async with opened(school, school.person("teacher"), width, signs=False) as page:
        await page.goto("/lessons/plan")
        assert page.url.endswith("/agreement?next=/lessons/plan")
        await seen(page, "agreement", width)
        await tab_to(page, "I have read this and I agree")
        await page.keyboard.press("Space")
        await tab_to(page, "Type your full name")
        await page.keyboard.type("Priya Cole")
        await page.keyboard.press("Enter")
        await page.get_by_text("Type your name as the school knows it").first.wait_for()
        assert (await page.title()).startswith("Error: ")
        await seen(page, "agreement again", width)
        await tab_to(page, "Type your full name")
        await page.keyboard.press("Control+A")
        await page.keyboard.type("Daniel Hall")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="You have signed").wait_for()
        await seen(page, "signed", width)
        await tab_to(page, "Go on")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", level=1, name="Plan a lesson").wait_for()


@pytest.mark.parametrize("width", [320, 1280])
async def test_what_pupils_and_parents_see_is_sound(school: Running, width: int) -> None:
    await renewed(school, "pupils")
    child = school.lesson("Story time")["pupil_ids"][0]
    async with opened(school, child, width, signs=False) as page:
        await page.goto("/today")
        await page.get_by_text("Your grown-up needs to say yes to the rules first.").wait_for()
        await seen(page, "youngest", width)
    async with opened(school, school.lesson()["pupil_ids"][0], width, signs=False) as page:
        await page.goto("/agreement")
        await seen(page, "pupil", width)
        await page.get_by_role("link", name="I do not agree").click()
        await seen(page, "pupil does not agree", width)
        await page.goto("/today")
        await page.get_by_role("button", name="I agree. I am").click()
        await page.get_by_role("button", name="Go on").click()
        await page.wait_for_url("**/today")


@pytest.mark.parametrize("width", [320, 1280])
async def test_the_office_adds_a_version_and_reads_the_register(school: Running, width: int) -> None:
    await renewed(school)
    async with opened(school, school.person("office"), width) as page:
        await page.goto("/permissions/agreements")
        await seen(page, "register", width)
        await page.get_by_role("link", name="Add a new version for parents").click()
        await seen(page, "new version", width)
        await page.get_by_label("What people sign").fill("I do not record lessons.")
        await page.get_by_role("button", name="Add this version").click()
        await seen(page, "new version again", width)
        await page.get_by_label("What changed").fill("It is shorter")
        await page.get_by_label("In force from").fill("1/12/2026")
        await page.get_by_role("button", name="Add this version").click()
        await page.get_by_role("heading", level=1, name="Who has signed").wait_for()


@pytest.mark.parametrize("width", [320, 1280])
async def test_the_data_protection_officer_approves_the_impact_assessment(school: Running, width: int) -> None:
    await school.block_pupils()
    school.clock.advance(60)
    await give_codes(school, school.person("dpo"))
    async with opened(school, school.person("dpo"), width) as page:
        await page.goto("/impact")
        await page.get_by_text("Not approved: real pupils stay blocked.").wait_for()
        await seen(page, "impact", width)
        await page.get_by_role("button", name="Record my approval").click()
        await seen(page, "impact again", width)
        for radio in await page.get_by_label("Yes", exact=True).all():
            await radio.check()
        await page.get_by_role("button", name="Record my approval").click()
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_label("One-time code").fill(code(school))
        await page.get_by_role("button", name="Confirm", exact=True).click()
        await page.get_by_text("Approved by Ms Shaw").wait_for()
        assert await page.get_by_text("Not approved: real pupils stay blocked.").count() == 0
        for path, name in (("/impact/data", "data"), ("/breaches", "breaches")):
            await page.goto(path)
            await seen(page, name, width)
        await page.get_by_label("What happened?").fill("A letter went to another family")
        await page.get_by_label("Whose data is it").fill("One family")
        await page.get_by_label("Day it was noticed").fill("24/11/2026")
        await page.get_by_label("Time it was noticed").fill("9:00")
        await page.get_by_role("button", name="Record it").click()
        await page.get_by_role("heading", level=1, name="Data breach 1").wait_for()
        await seen(page, "breach", width)
