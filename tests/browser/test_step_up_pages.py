"""Passkeys and step-up in Chromium with its virtual authenticator, on a phone and on a laptop."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.programs import Service, confirm_with_code
from tests.browser.test_people_pages import sound

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
AUTHENTICATOR = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
                 "isUserVerified": True, "automaticPresenceSimulation": True}


@asynccontextmanager
async def device(browser: Browser, service: Service, width: int, *, scripts: bool = True) -> AsyncIterator[Page]:
    """A browser on a device with a finger sensor."""
    context = await browser.new_context(base_url=service.url, viewport={"width": width, "height": 800}, reduced_motion="reduce",
                                        java_script_enabled=scripts)
    page = await context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if "Content Security Policy" in message.text else None)
    authenticators = await context.new_cdp_session(page)
    await authenticators.send("WebAuthn.enable")
    await authenticators.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    yield page
    assert troubles == []
    await context.close()


@pytest.mark.parametrize(("width", "role"), [(320, "headteacher"), (1280, "senior_leader")])
async def test_a_leader_adds_a_passkey_signs_in_with_it_and_confirms_with_it(
    browser: Browser, service: Service, width: int, role: str,
) -> None:
    async with device(browser, service, width) as page:
        await page.goto(service.first(role)["sign_in_url"])
        await page.goto("/account")
        await page.get_by_role("button", name="Add a passkey").click()
        await expect(page.get_by_role("heading", name="Check it is you")).to_be_visible()
        await expect(page.locator(".x-step-up [role=alert]")).to_be_hidden()
        await sound(page, "check, with a code")
        await confirm_with_code(page)
        await expect(page.get_by_role("button", name="Make the passkey")).to_be_visible()
        await sound(page, "making a passkey")
        await page.get_by_label("Name").fill("School laptop")
        await page.get_by_role("button", name="Make the passkey").click()
        await expect(page.get_by_text("Your passkey is added.")).to_be_visible()
        await sound(page, "account")

        await page.get_by_role("button", name="Sign out", exact=True).click()
        await page.goto("/sign-in?next=/account")
        await sound(page, "sign-in")
        await page.get_by_role("button", name="Use a passkey").click()
        await expect(page.get_by_role("heading", name="Your account")).to_be_visible()

        person = service.first("teacher" if width == 320 else "governor")["id"]
        await page.goto(f"/people/{person}/roles")
        await page.get_by_label("Technician").check()
        await page.get_by_role("button", name="Save roles").click()
        await sound(page, "check, with a passkey")
        await page.get_by_role("button", name="Confirm with your passkey").click()
        await page.wait_for_url(f"**/people/{person}")
        await expect(page.get_by_text("Technician")).to_be_visible()


async def test_without_any_script_a_password_and_a_code_confirm(browser: Browser, service: Service) -> None:
    async with device(browser, service, 320, scripts=False) as page:
        await page.goto(service.first("headteacher")["sign_in_url"])
        await page.goto(f"/people/{service.first('dpo')['id']}/roles")
        await page.get_by_label("Governor", exact=True).check()
        await page.get_by_role("button", name="Save roles").click()
        await expect(page.get_by_role("button", name=re.compile("passkey"))).to_have_count(0)
        if await page.locator("details").count():
            await page.get_by_text("Use your password and a one-time code").click()
        await confirm_with_code(page)
        await page.wait_for_url(f"**/people/{service.first('dpo')['id']}")


async def test_when_nobody_answers_the_page_says_so_and_nothing_has_changed(browser: Browser, service: Service) -> None:
    async with device(browser, service, 320) as page:
        await page.goto("/sign-in")
        await page.evaluate(
            "() => { navigator.credentials.get = () => Promise.reject(new DOMException('', 'NotAllowedError')); }")
        await page.get_by_role("button", name="Use a passkey").click()
        await expect(page.get_by_role("alert")).to_have_text("Your passkey did not answer. Try again, or use your password.")
        await sound(page, "sign-in, no answer")


async def test_one_time_codes_are_set_up_from_a_square_that_can_be_scanned(browser: Browser, service: Service) -> None:
    async with device(browser, service, 320) as page:
        await page.goto(service.first("technician")["sign_in_url"])
        await page.goto("/account")
        await page.get_by_role("button", name="Remove one-time codes").click()
        await confirm_with_code(page)
        await page.get_by_role("button", name="Set up one-time codes").click()
        await expect(page.locator(".x-one-time svg")).to_be_visible()
        await sound(page, "setting up codes")
        await page.get_by_label("6 numbers from the app").fill("000000")
        await page.get_by_role("button", name="Turn on one-time codes").click()
        await sound(page, "setting up codes, a wrong one")
