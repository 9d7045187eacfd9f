"""Signing in by a badge held up to a camera, and the pages about people, in Chromium."""

import asyncio
import re
from pathlib import Path

import pytest
import segno
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from service.people import credentials
from tests.browser import programs
from tests.browser.programs import Service
from tests.browser.test_office_pages import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def sound(page: Page, path: str) -> None:
    """Nothing that axe objects to, one heading, and no sideways scrolling."""
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    found = (await Axe().run(page)).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], path
    assert await page.locator("h1").count() == 1, path


@pytest.mark.parametrize("width", [320, 1280])
async def test_axe_finds_nothing_on_the_pages_about_people(browser: Browser, service: Service, width: int) -> None:
    async with signed_in(browser, service, "office", viewport={"width": width, "height": 800}) as page:
        child, staff = service.first("pupil")["id"], service.first("teacher")["id"]
        await page.goto("/classes")
        group = await page.get_by_role("link", name="5 Oak").get_attribute("href")
        await page.goto(f"/people/{child}")
        guardian = await page.locator("a[href^='/guardians/']").first.get_attribute("href")
        for path in ("/people", "/people/add", f"/people/{child}", f"/people/{child}/change", f"/people/{child}/guardians",
                     str(guardian), f"/people/{staff}", f"/people/{staff}/roles", "/people/import", "/classes", str(group),
                     f"{group}/change", f"{group}/badges", "/dbs", f"/dbs/{staff}/add", "/school", "/account",
                     "/guardians/changes"):
            answer = await page.goto(path)
            assert answer
            assert answer.status == 200, path
            await sound(page, path)


@pytest.mark.parametrize("width", [320, 1280])
async def test_axe_finds_nothing_before_signing_in(browser: Browser, service: Service, width: int) -> None:
    page = await browser.new_page(base_url=service.url, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    for path in ("/sign-in", "/sign-in/badge", "/signed-out?idle=15"):
        await page.goto(path)
        await sound(page, path)
    await page.close()


async def badge_of(browser: Browser, service: Service, group: str) -> tuple[str, str, list[str]]:
    """A new badge of a pupil of this class: first name, code, and the pictures or the number of the PIN."""
    async with signed_in(browser, service, "office") as page:
        await page.goto("/classes")
        await page.get_by_role("link", name=group).click()
        await page.locator("h2:has-text('pupil') + ul a").first.click()
        await page.get_by_role("button", name=re.compile("badge and PIN")).click()
        name = await page.locator(".x-badge__name").inner_text()
        code = await page.locator(".x-badge__code").inner_text()
        pin = await page.locator(".x-slip__pin").inner_text()
        await sound(page, "badges")
    return name, code, re.findall(r"\d\. ([a-z]+)", pin) or [pin.strip()]


def film(code: str, to: Path) -> Path:
    """What a camera sees of a badge held up to it: an uncompressed film of one still picture."""
    width, height, scale = 640, 480, 9
    rows = [list(row) for row in segno.make_qr(code, error="q").matrix_iter(scale=scale, border=4)]
    grey = bytearray(b"\xc8" * (width * height))
    top, left = (height - len(rows)) // 2, (width - len(rows[0])) // 2
    for at, row in enumerate(rows):
        start = (top + at) * width + left
        grey[start:start + len(row)] = bytes(20 if dark else 235 for dark in row)
    frame = b"FRAME\n" + bytes(grey) + b"\x80" * (width * height // 2)
    to.write_bytes(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode() + frame * 3)
    return to


async def test_a_badge_held_up_to_the_camera_is_read_and_the_pictures_open(
    browser: Browser, service: Service, tmp_path: Path,
) -> None:
    name, code, pictures = await badge_of(browser, service, "2 Elm")
    assert set(pictures) <= set(credentials.PICTURES)
    seen = film(code, tmp_path / "badge.y4m")
    async with async_playwright() as playwright:
        camera = await playwright.chromium.launch(executable_path=programs.chromium(), args=[
            "--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={seen}"])
        page = await camera.new_page(base_url=service.url)
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text) if "Content Security Policy" in message.text else None)
        await page.goto("/sign-in/badge")
        await expect(page.get_by_role("heading", name=f"Are you {name}?")).to_be_visible(timeout=20_000)
        await page.get_by_role("button", name=f"Yes, I'm {name}").click()
        for place, picture in zip(("First", "Second", "Third"), pictures, strict=True):
            await page.get_by_role("group", name=f"{place} picture").get_by_role("radio", name=picture, exact=True).click()
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        assert "/sign-in" not in page.url
        assert troubles == []
        await camera.close()


async def test_a_badge_works_without_scripts_and_without_a_camera(browser: Browser, service: Service) -> None:
    name, code, numbers = await badge_of(browser, service, "8 Maths B")
    opened = await browser.new_context(base_url=service.url, java_script_enabled=False)
    page = await opened.new_page()
    await page.goto("/sign-in/badge")
    await page.get_by_label("Type my code").fill(code.lower())
    await page.get_by_role("button", name="Next").click()
    await page.get_by_role("button", name=f"Yes, I'm {name}").click()
    await page.get_by_label("Six numbers").fill(numbers[0])
    await page.get_by_role("button", name="Sign in").click()
    assert "/sign-in" not in page.url
    await opened.close()


async def test_somebody_who_does_nothing_is_asked_first_and_can_stay(browser: Browser, service: Service) -> None:
    async with signed_in(browser, service, "teacher") as page:
        left, stayed = [100], asyncio.Event()

        async def answer(route, request):  # type: ignore[no-untyped-def]
            if "chaperone-background" not in request.headers:
                stayed.set()
                left[0] = 900
            await route.fulfill(json={"seconds_left": left[0], "idle_minutes": 15})

        await page.route("**/session", answer)
        await page.goto("/account")
        dialog = page.get_by_role("dialog", name="Are you still there?")
        await expect(dialog).to_be_visible()
        await sound(page, "/account with the question")
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await asyncio.wait_for(stayed.wait(), 10)
        assert left == [900]


async def test_the_page_is_covered_when_the_time_is_up_and_nobody_answers(browser: Browser, service: Service) -> None:
    """A laptop wakes before its network (policy: AC2)."""
    async with signed_in(browser, service, "teacher") as page:
        left: list[int | None] = [1]

        async def answer(route, request):  # type: ignore[no-untyped-def]
            if left[0] is None:
                await route.abort()
            else:
                await route.fulfill(json={"seconds_left": left[0], "idle_minutes": 15})

        await page.route("**/session", answer)
        await page.goto("/account", wait_until="commit")
        dialog = page.get_by_role("dialog", name="Are you still there?")
        await expect(dialog).to_be_visible()
        left[0] = None
        await expect(dialog.get_by_text("we cannot reach Chaperone, so this page is covered")).to_be_visible()
        await expect(page.locator("main")).to_be_hidden()
        await sound(page, "/account covered")
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_visible()
        left[0] = 900  # another page of the same person was in use: nothing that was typed here is lost
        await expect(page.locator("main")).to_be_visible()
        await expect(dialog).to_be_hidden()


async def test_the_question_is_asked_though_the_first_answer_never_came(browser: Browser, service: Service) -> None:
    async with signed_in(browser, service, "teacher") as page:
        await page.clock.install()
        asked = 0

        async def answer(route, request):  # type: ignore[no-untyped-def]
            nonlocal asked
            asked += 1
            await (route.abort() if asked == 1 else route.fulfill(json={"seconds_left": 100, "idle_minutes": 15}))

        await page.route("**/session", answer)
        await page.goto("/account")
        await page.wait_for_function("document.querySelector('dialog') !== null")
        await page.clock.run_for(16_000)
        await expect(page.get_by_role("dialog", name="Are you still there?")).to_be_visible()


async def test_somebody_who_does_not_answer_is_signed_out_in_words(browser: Browser, service: Service) -> None:
    async with signed_in(browser, service, "teacher") as page:
        await page.route("**/session", lambda route: route.fulfill(json={"seconds_left": 0, "idle_minutes": 15}))
        await page.goto("/account")
        await expect(page.get_by_role("heading", name="We signed you out")).to_be_visible()
        await expect(page.get_by_text("You did nothing for 15 minutes.")).to_be_visible()
