"""The app on a small cheap phone: few bytes, offline, notices, other languages, keyboard, zoom."""

import asyncio
import gzip
import json

import pytest
from playwright.async_api import Browser, expect

from consent.rules import Purpose
from mobile_api.pwa.shell import Language, Shell
from service.foundation import mail
from service.people.tables import Person
from tests.pwa.conftest import Parents
from tests.pwa.families import approve, families
from tests.pwa.phone import Phone, invited, phone

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
MOST = 150_000
"""Bytes until somebody can use the app for the first time: the page, its files, the icons that are asked for, its worker."""


async def test_first_use_takes_less_than_150_kb(browser: Browser, parents: Parents) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        wire = await mine.context.new_cdp_session(mine.page)
        await wire.send("Network.enable")
        sizes: list[float] = []
        wire.on("Network.loadingFinished", lambda each: sizes.append(each["encodedDataLength"]))
        await mine.goto("/m/")
        await mine.sees("Choose your language")
        await mine.page.wait_for_load_state("networkidle")
    kept = sum(len(file.small) for file in parents.school.app.state.parents_app.files.values())
    print(f"first use: {sum(sizes):,.0f} bytes in {len(sizes)} answers; all that the phone keeps: {kept:,} bytes")  # noqa: T201
    assert 20_000 < sum(sizes) < MOST
    assert kept < MOST


async def test_it_opens_without_a_network_and_knows_nothing_of_a_child(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent", 0))
    async with phone(browser, parents.url) as mine:
        await mine.join(letter)
        await mine.sees("Hello")
        await mine.page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
        await mine.page.wait_for_function("navigator.serviceWorker.controller !== null")
        await mine.context.set_offline(True)
        await mine.page.reload()
        await mine.sees("You are offline")
        await expect(mine.page.get_by_text("Nothing about your child is kept on this phone.")).to_be_visible()
        assert letter.child not in await mine.kept()
        await mine.sound("offline")
        await mine.context.set_offline(False)
        await mine.press("Try again")
        await mine.sees("Hello")


SUBSCRIBES = """subscription => { PushManager.prototype.subscribe = async options => {
  if (!options.userVisibleOnly || !options.applicationServerKey) throw new TypeError();
  return {toJSON: () => subscription}; }; }"""
"""The browser's own push service is a company's: here it is the test's, and the rest is the browser's."""


async def test_a_notice_goes_from_the_school_to_the_lock_screen_and_names_nobody(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 1))[3]
    receiver = parents.push.phone()
    async with phone(browser, parents.url, permissions=["notifications"]) as mine:
        about = receiver.subscription
        await mine.context.add_init_script(f"""({SUBSCRIBES})({json.dumps(
            {"endpoint": about.pop("endpoint"), "keys": about})})""")
        await mine.join(await invited(parents.school, family.adults[0]), notices="Yes")
        await mine.sees("Hello")
        await mine.goto("/m/phones")
        await expect(mine.page.get_by_text("Notices are on.")).to_be_visible()
        parents.push.came.clear()
        async with parents.school.database.writing() as session:
            child = await session.get_one(Person, family.child_id)
            await mail.queue(session, school_id=child.school_id, people={family.adults[0]}, text="N7", about=family.child_id,
                             now=parents.school.clock.now(), zone="Europe/London")
        while not parents.push.to(receiver):
            await asyncio.wait_for(parents.push.came.wait(), 30)
            parents.push.came.clear()
        [sent] = parents.push.to(receiver)
        worker = await mine.context.new_cdp_session(mine.page)
        found: list[str] = []
        worker.on("ServiceWorker.workerRegistrationUpdated",
                  lambda told: found.extend(each["registrationId"] for each in told["registrations"]))
        await worker.send("ServiceWorker.enable")
        await mine.page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
        await mine.page.wait_for_function("navigator.serviceWorker.controller !== null")
        await worker.send("ServiceWorker.deliverPushMessage", {"origin": parents.url, "registrationId": found[-1], "data": sent})
        shown = await mine.page.evaluate("""async () => { const worker = await navigator.serviceWorker.ready;
          for (;;) { const all = await worker.getNotifications();
            if (all.length) return all.map(one => [one.title, one.body]);
            await new Promise(done => setTimeout(done, 50)); } }""")
        assert shown == [["Chaperone", "Something changed just now. Open Chaperone."]]


def right_to_left() -> Shell:
    """The app with another language: English that is written from right to left, and longer."""
    shell = Shell()
    said = json.loads(shell.files["words/en.json"].body)
    said["meta"] |= {"code": "ar", "name": "العربية", "dir": "rtl", "locale": "ar", "calendar": None}
    longer = {key: f"«{words}»" if isinstance(words, str) else {kind: f"«{each}»" for kind, each in words.items()}
              for key, words in said["words"].items()}
    file = shell.files["words/en.json"]
    body = json.dumps({"meta": said["meta"], "words": longer}).encode()
    shell.files["words/ar.json"] = type(file)(body, gzip.compress(body), file.kind)
    return shell


async def every_screen(mine: Phone, name: str, child: str) -> None:
    for path in ("", "permissions", "messages", "more", "phones", "concern", "language", f"lessons/{child}",
                 f"attendance/{child}", f"data/{child}", f"watched/{child}", f"calls/{child}"):
        await mine.goto(f"/m/{path}")
        await mine.page.locator("h1").wait_for()
        await mine.sound(f"{name}-{path.partition('/')[0] or 'home'}")


@pytest.mark.parametrize("code", ["en", "cy", "ar"])
async def test_every_screen_in_every_language_and_from_right_to_left(browser: Browser, parents: Parents, code: str) -> None:
    state = parents.school.app.state
    before, state.parents_app = state.parents_app, right_to_left()
    state.parents_app.languages = tuple(
        Language(one.code, one.name, one.dir, is_draft=False) for one in state.parents_app.languages)
    letter = await invited(parents.school, parents.school.person("parent", {"en": 1, "cy": 2, "ar": 3}[code]))
    try:
        async with phone(browser, parents.url, service_workers="block") as mine:
            await mine.join(letter)
            await mine.sees("Hello")
            child = await mine.page.locator(".card-links a").first.get_attribute("href")
            await mine.goto("/m/language")
            await mine.page.locator(f"button[lang={code}]").click()
            await expect(mine.page.locator("html")).to_have_attribute("lang", code)
            await expect(mine.page.locator("html")).to_have_attribute("dir", "rtl" if code == "ar" else "ltr")
            await every_screen(mine, code, str(child).rpartition("/")[2])
    finally:
        state.parents_app = before


async def test_a_draft_is_offered_once_the_school_answers_for_words_in_it(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "8 Maths B", 1))[0]
    async with phone(browser, parents.url) as mine:
        await mine.goto("/m/")
        await expect(mine.page.locator(".languages button")).to_have_text(["English"])
        await approve(parents.school, "cy", Purpose.CAMERA)
        await mine.goto("/m/")
        await expect(mine.page.locator(".languages button")).to_have_text(["English", "Cymraeg"])
        await mine.join(await invited(parents.school, family.adults[0]))
        await mine.sees("Hello")
        await mine.goto("/m/language")
        await mine.press("Cymraeg")
        await expect(mine.page.locator("html")).to_have_attribute("lang", "cy")
        for purpose, language in (("camera", "cy"), ("microphone", "en")):
            await mine.goto(f"/m/permissions/{family.child_id}/{purpose}")
            await mine.page.get_by_role("radio").first.check()
            await mine.page.locator("form button").click()
            await expect(mine.page.locator(".document")).to_have_attribute("lang", language)
            await expect(mine.page.get_by_text("Ddim yn Cymraeg eto.")).to_have_count(0 if language == "cy" else 1)
            await mine.sound(f"question-{purpose}-cy")
        await mine.page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
        await mine.page.wait_for_function("navigator.serviceWorker.controller !== null")
        await mine.goto("/m/more")
        await mine.context.set_offline(True)
        await mine.page.reload()
        await expect(mine.page.locator("html")).to_have_attribute("lang", "cy")


@pytest.mark.parametrize("knows", [True, False], ids=["told-by-its-worker", "not-told-yet"])
@pytest.mark.parametrize("where", ["language", "letter"])
async def test_a_language_is_chosen_also_in_an_app_that_was_open_when_a_newer_one_came(
    browser: Browser, parents: Parents, where: str, knows: bool,
) -> None:
    """The server has no file of an older edition: the app is opened anew, in the language that was chosen."""
    state = parents.school.app.state
    before, newer = state.parents_app, Shell()
    newer.edition = "f" * 16
    newer.languages = before.languages = tuple(
        Language(one.code, one.name, one.dir, is_draft=False) for one in before.languages)
    try:
        async with phone(browser, parents.url, service_workers="allow" if knows else "block") as mine:
            await mine.goto("/m/language" if where == "language" else "/m/#i=a-letter")
            await mine.sees("Choose your language")
            if knows:
                await mine.page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
                await mine.page.wait_for_function("navigator.serviceWorker.controller !== null")
            state.parents_app = newer
            if knows:
                await mine.page.evaluate("navigator.serviceWorker.getRegistration('/m/').then(one => one.update()).then(() => 0)")
                await expect(mine.page.locator("html")).to_have_attribute("data-old", "true")
            await mine.press("Cymraeg")
            await expect(mine.page.locator("html")).to_have_attribute("lang", "cy")
            await expect(mine.page.locator("html")).to_have_attribute("data-edition", newer.edition)
            if where == "letter":
                await mine.page.get_by_role("link", name="Parhau", exact=True).click()
                await mine.sees("Ai chi yw hwn?")
    finally:
        state.parents_app = before


async def test_a_concern_by_keyboard_alone_and_at_400_percent(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent", 5))
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(letter)
        await mine.sees("Hello")
        await mine.goto("/m/concern")
        await mine.page.set_viewport_size({"width": 320, "height": 256})
        await mine.sound("concern-400")
        await mine.page.get_by_role("radio", name="This app", exact=True).focus()
        await mine.page.keyboard.press("Space")
        await mine.page.keyboard.press("Tab")
        await mine.page.keyboard.type("It is hard to read.")
        await mine.page.keyboard.press("Tab")
        await mine.page.keyboard.press("Space")
        await mine.page.keyboard.press("Tab")
        await mine.page.keyboard.press("Enter")
        await expect(mine.page.locator("h1")).to_contain_text("Sent to the")
        await mine.sound("concern-sent")
