"""Asking for a guest, the guest's own page, and changing the school's rules, in Chromium."""


import pytest
from playwright.async_api import Browser

from tests.browser.programs import Service, confirm_with_code
from tests.browser.test_office_pages import signed_in
from tests.browser.test_people_pages import sound

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(("width", "second"), [(320, "headteacher"), (1280, "chair")])
async def test_two_people_change_the_rules(browser: Browser, service: Service, width: int, second: str) -> None:
    size = {"width": width, "height": 800}
    async with signed_in(browser, service, "senior_leader", viewport=size) as page:
        await page.goto("/school/rules/change")
        await sound(page, "change")
        days = int(await page.get_by_label("Lessons kept for").input_value())
        await page.get_by_label("Lessons kept for").fill(str(days + 7))
        await page.get_by_role("button", name="Compare").click()
        await sound(page, "compare")
        assert await page.get_by_text("▼ less protection").count() == 1
        await page.get_by_role("button", name="Ask a second person").click()
        await sound(page, "compare again")
        await page.get_by_label("Why less protection").fill("Complaints take six weeks to reach us")
        await page.get_by_label("Review on").fill(f"1/6/{await page.evaluate('new Date().getFullYear() + 1')}")
        if await page.evaluate("new Date().getMonth() < 6"):
            await page.get_by_label("Review on").fill(f"1/12/{await page.evaluate('new Date().getFullYear()')}")
        await page.get_by_role("button", name="Ask a second person").click()
        await sound(page, "asked")
        asked = page.url
    async with signed_in(browser, service, second, viewport=size) as page:
        await page.goto(asked)
        await sound(page, "second person")
        await page.get_by_label("Agree all").check()
        await page.get_by_role("button", name="Save decision").click()
        await confirm_with_code(page)
        await page.get_by_text("It starts with the next lesson").wait_for()
        await page.goto("/school/rules/history")
        await sound(page, "history")
        assert await page.get_by_text("Complaints take six weeks to reach us").count() >= 1


@pytest.mark.parametrize(("width", "leader"), [(320, "headteacher"), (1280, "senior_leader")])
async def test_a_guest_comes_from_the_lessons_page_to_the_door(browser: Browser, service: Service, width: int,
                                                               leader: str) -> None:
    size = {"width": width, "height": 800}
    lesson = next(one["id"] for one in service.made["lessons"] if one["title"] == "Maths: fractions")
    async with signed_in(browser, service, "teacher", viewport=size) as page:
        await page.goto(f"/guests/ask?lesson={lesson}")
        await sound(page, "ask")
        await page.get_by_role("button", name="Send for approval").click()
        await sound(page, "ask again")
        await page.get_by_label("Interpreter", exact=True).check()
        await page.get_by_label("First name").fill("Mia")
        await page.get_by_label("Last name").fill("Lind")
        await page.get_by_label("What will the guest do?").fill("Signs in British Sign Language")
        await page.get_by_label("How do you know").fill("Identity seen by the agency")
        await page.locator("#children").check()
        await page.get_by_role("button", name="Send for approval").click()
        await sound(page, "asked")
        visit = page.url
        async with signed_in(browser, service, leader, viewport=size) as other:
            await other.goto("/guests")
            await sound(other, "guests")
            await other.goto(visit)
            await other.get_by_label("Approve exactly this").check()
            await other.get_by_label("Reason").fill("Known to us")
            await other.get_by_role("button", name="Save decision").click()
            await confirm_with_code(other)
            await other.get_by_role("button", name="End this visit").wait_for()
            await sound(other, "approved")
        await page.goto(visit)
        await page.get_by_role("button", name="Make a one-time link").click()
        await sound(page, "link")
        link = await page.locator(".x-once").inner_text()
    context = await browser.new_context(base_url=service.url, viewport=size, reduced_motion="reduce")  # type: ignore[arg-type]
    guest = await context.new_page()
    await guest.goto("/guest/in/" + link.rpartition("/")[2])
    await sound(guest, "arrive")
    await guest.get_by_role("button", name="Go in").click()
    await sound(guest, "the agreement first")
    await guest.get_by_label("I have read this").check()
    await guest.get_by_label("Type your full name").fill("Mia Lind")
    await guest.get_by_role("button", name="Sign the agreement").click()
    await guest.get_by_role("button", name="Go on").click()
    await sound(guest, "own page")
    assert await guest.locator("h1").inner_text() == "You are a guest of Mr Hall"
    await guest.get_by_role("link", name="Maths: fractions").click()
    await guest.locator("main[data-room=door]").wait_for()
    await context.close()
