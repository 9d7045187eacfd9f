"""An incident from a lesson to its closing, in Chromium: on a phone and on a laptop, and axe finds nothing (policy: IN1)."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.browser.programs import Service
from tests.browser.test_concern_journey import look
from tests.browser.test_office_pages import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("width", [320, 1280])
async def test_a_teacher_records_one_and_the_headteacher_settles_and_closes_it(
    browser: Browser, service: Service, width: int,
) -> None:
    size = {"width": width, "height": 800}
    lesson = next(one for one in service.made["lessons"] if one["title"] == "Maths: fractions")
    async with signed_in(browser, service, "teacher", viewport=size) as page:
        await page.goto(f"/incidents/new?lesson={lesson['id']}")
        await page.get_by_role("button", name="Save the incident").click()
        await expect(page.locator("#problems")).to_contain_text("Write what happened")
        await look(page, "incident-refused", width)
        await page.get_by_label("What is it about?").select_option(label="Disrupting a lesson")
        for number, part in ((1, "did"), (2, "affected")):
            await page.get_by_label(f"Pupil {number}", exact=True).select_option(index=number)
            await page.get_by_label(f"Part of pupil {number}").select_option(part)
        await page.get_by_label("What happened").fill("Shouted until nobody could hear the others")
        await page.get_by_label("No", exact=True).check()
        await page.get_by_role("button", name="Save the incident").click()
        await page.wait_for_url(re.compile(r"/incidents/I-"))
        incident = page.url
        await page.get_by_role("button", name="Tell in the app").first.click()
        await expect(page.get_by_role("table")).to_contain_text("Told, ")
        await page.get_by_text("Escalate it", exact=True).click()
        await page.get_by_label("The headteacher", exact=True).check()
        await page.get_by_label("Why", exact=True).fill("The third time this week")
        await page.locator("details[open]").get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Escalated", exact=True).first).to_be_visible()
        await look(page, "incident-recorder", width)
    async with signed_in(browser, service, "headteacher", viewport=size) as page:
        await page.goto("/incidents")
        await look(page, "incidents", width)
        await page.goto(incident)
        await page.get_by_text("A sanction", exact=True).click()
        await page.get_by_label("For whom").select_option(index=1)
        await page.get_by_label("Sanction", exact=True).select_option(label="Talk with the headteacher or a leader")
        await page.get_by_label("Why it fits this pupil").fill("Three talks with the teacher came before")
        await page.locator("details[open]").get_by_role("button", name="Save").click()
        await page.get_by_text("Close it", exact=True).click()
        await page.get_by_label("What it came to").fill("Over")
        await page.locator("details[open]").get_by_role("button", name="Save").click()
        await expect(page.locator("#problems")).to_contain_text("For each pupil involved, say that the family was told")
        await look(page, "incident-not-yet", width)
        await page.get_by_role("button", name="Tell in the app").click()
        await page.get_by_text("Close it", exact=True).click()
        await page.get_by_label("What it came to").fill("They talked, and it is over")
        await page.locator("details[open]").get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Closed", exact=True).first).to_be_visible()
        await look(page, "incident-closed", width)
