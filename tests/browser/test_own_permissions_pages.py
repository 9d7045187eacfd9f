"""“My permissions” in Chromium: by keyboard, on a phone and a wide screen and for axe (policy: CO2)."""

import pytest
from playwright.async_api import Page

from tests.browser.test_agreement_pages import opened, seen, tab_to
from tests.features.test_families import family
from tests.features.test_own_permissions import PAGE, grown
from tests.school import Running

pytestmark = pytest.mark.browser


def troubles(page: Page) -> list[str]:
    """What the browser objects to from here on; its Content Security Policy among it."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    return found


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("age", [16, 18])
async def test_a_pupil_finds_reads_and_answers_by_keyboard_and_takes_it_back_the_same_way(
    school: Running, age: int, width: int,
) -> None:
    ali = await grown(school, (await family(school))[0], age)
    async with opened(school, ali, width) as page:
        wrong = troubles(page)
        await page.goto("/today")
        await seen(page, "day with permissions", width)
        for said, told in (("Yes, I agree", "you said yes."), ("No, I do not agree", "you said no.")):
            await page.goto("/today")
            await tab_to(page, "My permissions")
            await page.keyboard.press("Enter")
            await page.get_by_role("heading", level=1, name="My permissions").wait_for()
            await page.get_by_role("link", name="May turn the camera on").focus()
            await page.keyboard.press("Enter")
            await page.get_by_role("heading", level=1, name="Camera").wait_for()
            await seen(page, f"own question {age}", width)
            await page.get_by_role("radio", name=said).focus()
            await page.keyboard.press("Space")
            await tab_to(page, "Save")
            await page.keyboard.press("Enter")
            await page.get_by_role("alert", name="Saved").get_by_text(told).wait_for()
            await seen(page, f"own permissions {age} {said[:2]}", width)
        assert wrong == []


@pytest.mark.parametrize("width", [320, 1280])
async def test_who_chooses_nothing_is_led_to_the_question(school: Running, width: int) -> None:
    async with opened(school, await grown(school, (await family(school))[0], 16), width) as page:
        await page.goto(f"{PAGE}/photographs")
        await page.get_by_role("button", name="Save").click()
        await page.get_by_role("link", name="Choose yes or no").click()
        assert (await page.title()).startswith("Error: ")
        assert await page.evaluate("document.activeElement.id") == "said-yes"
        await seen(page, "own question again", width)
