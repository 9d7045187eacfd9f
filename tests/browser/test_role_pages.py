"""Two people give a role with which somebody may approve, and the menu on a phone, in Chromium (threat T5)."""


import pytest
from playwright.async_api import Browser, expect

from tests.browser.programs import Service, confirm_with_code
from tests.browser.test_office_pages import signed_in
from tests.browser.test_people_pages import sound

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(("width", "role", "second"), [
    (320, "Senior leader", "chair"), (1280, "Deputy safeguarding lead", "dsl"),
])
async def test_two_people_make_somebody_an_approver(browser: Browser, service: Service, width: int, role: str,
                                                    second: str) -> None:
    size, person = {"width": width, "height": 800}, service.first("teacher")["id"]
    async with signed_in(browser, service, "headteacher", viewport=size) as page:
        await page.goto(f"/people/{person}/roles")
        await sound(page, "roles")
        await page.get_by_label(role).check()
        await page.get_by_role("button", name="Save roles").click()
        await sound(page, "check it is you")
        await confirm_with_code(page)
        await expect(page.get_by_text("Until then it counts for nothing")).to_be_visible()
        await sound(page, "person")
        await page.get_by_role("link", name="See what waits").click()
        await sound(page, "waiting")
        await page.get_by_role("link", name=role).click()
        await sound(page, "own request")
        await expect(page.get_by_text("You asked for this. It waits for a second person")).to_be_visible()
        asked = page.url
    async with signed_in(browser, service, second, viewport=size) as page:
        await page.goto(asked)
        await sound(page, "second person")
        await page.get_by_role("button", name="Save decision").click()
        await sound(page, "nothing chosen")
        await page.get_by_label("Agree", exact=True).check()
        await page.get_by_role("button", name="Save decision").click()
        await confirm_with_code(page)
        await expect(page.get_by_text("has this role now")).to_be_visible()
        await sound(page, "agreed")


async def test_a_leader_s_menu_is_one_button_on_a_phone_and_a_line_on_a_laptop(browser: Browser, service: Service) -> None:
    async with signed_in(browser, service, "headteacher", viewport={"width": 320, "height": 800}) as page:
        await page.goto("/people")
        menu, people = page.get_by_role("button", name="Menu"), page.get_by_role("link", name="People", exact=True)
        await expect(people).to_be_hidden()
        await sound(page, "menu folded")
        await menu.focus()
        await page.keyboard.press("Enter")
        await expect(people).to_be_visible()
        await expect(menu).to_have_attribute("aria-expanded", "true")
        await sound(page, "menu open")
        await page.set_viewport_size({"width": 1280, "height": 800})
        await expect(menu).to_be_hidden()
        await expect(people).to_be_visible()
        await sound(page, "menu wide")


async def test_without_scripts_the_menu_is_open(browser: Browser, service: Service) -> None:
    context = await browser.new_context(base_url=service.url, viewport={"width": 320, "height": 800}, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(service.first("headteacher")["sign_in_url"])
    await page.goto("/people")
    await expect(page.get_by_role("link", name="People", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Menu")).to_be_hidden()
    await context.close()
