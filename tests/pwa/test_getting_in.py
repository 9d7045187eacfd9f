"""From the letter to the first page on a phone, and what a confused parent does on the way."""

import re

import pytest
from playwright.async_api import Browser, expect
from sqlmodel import select

from consent.agreements.tables import AgreementSignature
from service.people import queries as people
from service.people.phones.tables import Phone as PhoneRow
from service.people.phones.tables import PhoneInvitation
from service.people.tables import Person
from tests.pwa.conftest import Parents
from tests.pwa.phone import invited, phone

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
REFUSED = "This invitation does not work. Ring"


async def test_a_letter_ends_on_the_first_page(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent"))
    async with phone(browser, parents.url) as mine:
        await mine.goto(f"/m/#i={letter.token}")  # as it is printed
        await mine.sees("Choose your language")
        assert letter.token not in mine.page.url, "a link that works once is not left in the address"
        await mine.sound("language")
        await mine.page.get_by_role("link", name="Continue", exact=True).click()
        await mine.sees("Is this you?")
        await mine.sound("code")
        await mine.fill_letter(letter)
        await mine.sees("Add Chaperone to your phone")
        await mine.sound("add")
        await mine.follow("Continue")
        await mine.sees("Make your passkey")
        await mine.sound("passkey")
        await mine.press("Make my passkey")
        await mine.sees("Can we send you notices?")
        await mine.sound("notices")
        sizes = await mine.page.get_by_role("button").evaluate_all("all => all.map(one => [one.offsetWidth, one.offsetHeight])")
        assert sizes[0] == sizes[1], "either answer is as easy"
        await mine.press("Not now")
        await mine.sees("Hello")
        await expect(mine.page.get_by_role("heading", name=letter.child)).to_be_visible()
        assert await mine.page.title() == "Hello - Chaperone"
        await mine.sound("home")
        assert not any(letter.token in asked for asked in mine.asked if "invitations/open" not in asked)


async def test_a_wrong_code_an_old_letter_and_none_say_the_same(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent", 1))
    said = []
    async with phone(browser, parents.url) as mine:
        for token, code in ((letter.token, "000000" if letter.code != "000000" else "000001"), ("no-such-letter", letter.code)):
            await mine.goto("/m/")
            await mine.goto(f"/m/welcome#i={token}")
            await mine.page.get_by_role("link", name="Continue", exact=True).click()
            await mine.fill_letter(letter, code)
            alert = mine.page.get_by_role("alert")
            await expect(alert).to_contain_text(REFUSED)
            await expect(alert).to_be_focused()
            assert (await mine.page.title()).startswith("Error: ")
            said.append(await alert.inner_text())
            await mine.sound("code-refused")
    assert said[0] == said[1]


async def test_what_is_missing_is_said_before_anything_is_sent(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent", 1))
    async with phone(browser, parents.url) as mine:
        await mine.goto(f"/m/welcome#i={letter.token}")
        await mine.page.get_by_role("link", name="Continue", exact=True).click()
        await mine.page.get_by_label("Day", exact=True).fill("31")
        await mine.page.get_by_label("Month", exact=True).fill("2")
        await mine.page.get_by_label("Year", exact=True).fill("2016")
        await mine.press("Continue")
        await expect(mine.page.get_by_role("alert").get_by_role("link")).to_have_text(
            ["Enter the 6 numbers", "Enter a date of birth, like 27 3 2016"])
        await mine.page.get_by_role("alert").get_by_role("link").first.click()
        await expect(mine.page.get_by_label("Code from school")).to_be_focused()
        assert not any("/api/v1/invitations" in asked for asked in mine.asked)


async def test_going_back_in_the_middle_and_on_again_loses_nothing(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent", 2))
    async with phone(browser, parents.url) as mine:
        await mine.goto(f"/m/welcome#i={letter.token}")
        await mine.page.get_by_role("link", name="Continue", exact=True).click()
        await mine.fill_letter(letter)
        await mine.sees("Add Chaperone to your phone")
        await mine.page.go_back()
        await mine.sees("Is this you?")
        await mine.page.go_forward()
        await mine.sees("Add Chaperone to your phone")
        await mine.follow("Continue")
        await mine.page.go_back()
        await mine.page.go_forward()
        await mine.press("Make my passkey")
        await mine.sees("Can we send you notices?")


async def test_a_passkey_that_is_stopped_can_be_tried_again(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent", 3))
    async with phone(browser, parents.url) as mine:
        await mine.goto(f"/m/welcome#i={letter.token}")
        await mine.page.get_by_role("link", name="Continue", exact=True).click()
        await mine.fill_letter(letter)
        await mine.follow("Continue")
        await mine.page.evaluate("""() => { const real = navigator.credentials.create.bind(navigator.credentials);
          navigator.credentials.create = () => { navigator.credentials.create = real;
            return Promise.reject(new DOMException("", "NotAllowedError")); } }""")
        await mine.press("Make my passkey")
        await expect(mine.page.get_by_role("alert")).to_contain_text("That was stopped before it was done.")
        await mine.press("Make my passkey")
        await mine.sees("Can we send you notices?")
        async with parents.school.database.reading() as session:
            used = (await session.exec(select(PhoneInvitation).where(PhoneInvitation.ended_why == "used"))).all()
        assert used


async def test_an_app_on_an_iphones_home_screen_opens_with_the_passkey_of_the_browser(browser: Browser, parents: Parents) -> None:
    """There it has a storage of its own, but the same passkeys; it is a phone of its own, and rests like every later one."""
    parent = parents.school.person("parent", 4)
    letter = await invited(parents.school, parent)
    async with phone(browser, parents.url) as mine:
        await mine.join(letter)
        await mine.sees("Hello")
        await mine.page.evaluate(FORGOTTEN)
        await mine.goto("/m/")
        await mine.sees("Choose your language")  # negative control: in a browser that knows nothing, the letter is what helps
        await mine.page.add_init_script("Object.defineProperty(navigator, 'standalone', { value: true })")
        await mine.goto("/m/")
        await mine.sees("Sign in")
        await expect(mine.page.get_by_text("If you have made your passkey in the browser, it opens this too.")).to_be_visible()
        await mine.sound("home-screen")
        await mine.press("Open Chaperone")
        await mine.sees("Can we send you notices?")
        await mine.press("Not now")
        await mine.sees("Hello")
    async with parents.school.database.reading() as session:
        phones = (await session.exec(select(PhoneRow).where(PhoneRow.person_id == parent))).all()
    first, second = sorted(phones, key=lambda row: row.added_at)
    assert (first.rests_until, second.rests_until is not None) == (None, True)
    assert first.passkey_id == second.passkey_id


FORGOTTEN = """async () => {
  for (const { name } of await indexedDB.databases()) await new Promise(done => {
    const asked = indexedDB.deleteDatabase(name);
    asked.onsuccess = asked.onblocked = done;
  });
  localStorage.clear();
}"""
"""What is stored is gone, as for an app that shares no storage with the browser."""


async def test_nothing_else_opens_before_the_agreement_is_signed(browser: Browser, parents: Parents) -> None:
    everybody = [one["id"] for one in parents.school.made["people"] if one["role"] == "parent"]
    async with parents.school.database.reading() as session:
        signed = set((await session.exec(select(AgreementSignature.person_id))).all())
    person = next(one for one in everybody if one not in signed)
    letter = await invited(parents.school, person)
    async with phone(browser, parents.url) as mine:
        await mine.join(letter)
        await mine.sees("Agreement for parents")
        await mine.sound("agreement")
        await mine.press("Sign the agreement")
        await expect(mine.page.get_by_role("alert").get_by_role("link")).to_have_text(
            ["Tick the box to say you agree", "Type your name as the school knows it"])
        await mine.goto("/m/permissions")
        await mine.sees("Agreement for parents")
        await mine.goto("/m/concern")  # a worry never waits, and they read that it was sent
        await mine.choose("This app")
        await mine.page.locator("textarea").fill("It is hard to read.")
        await mine.choose("By phone")
        await mine.press("Send")
        await expect(mine.page.locator("h1")).to_contain_text("Sent to the")
        await mine.goto("/m/")
        await mine.sees("Agreement for parents")
        await mine.press("I do not agree")
        await expect(mine.page.get_by_text("You cannot use Chaperone until you sign.")).to_be_visible()
        await mine.sound("agreement-refused")
        await mine.press("Read it again")
        await mine.page.get_by_role("checkbox", name="I have read this and I agree").check()
        async with parents.school.database.reading() as session:
            name = (await people.person(session, (await session.get_one(Person, person)).school_id, person)).full_name
        await mine.page.get_by_label("Type your full name").fill(name)
        await mine.press("Sign the agreement")
        await mine.sees("You have signed")
        renewed = parents.school.clock.now().year + 1
        await expect(mine.page.get_by_text(re.compile(rf"We will ask again on \w+ \d+ \w+ {renewed}\."))).to_be_visible()
        await mine.sound("agreement-signed")
        await mine.follow("Continue")
        await mine.sees("Hello")


async def test_a_phone_that_nobody_touches_locks_itself_and_a_finger_opens_it(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent", 5))
    async with phone(browser, parents.url) as mine:
        await mine.page.clock.install()
        await mine.join(letter)
        await mine.sees("Hello")
        await mine.page.clock.run_for(4 * 60_000 + 10_000)
        await expect(mine.page.get_by_role("dialog")).to_contain_text("For safety we will lock the app in 1 minute.")
        await mine.sound("idle")
        await mine.press("Stay here")
        await expect(mine.page.get_by_role("dialog")).to_have_count(0)
        await mine.page.clock.fast_forward(5 * 60_000 + 10_000)
        await mine.sees("Chaperone is locked")
        assert letter.child not in await mine.page.locator("body").inner_text()
        await mine.sound("locked")
        assert '"token"' not in await mine.kept()
        await mine.page.clock.resume()
        await mine.press("Open Chaperone")
        await mine.sees("Hello")


async def test_a_new_letter_begins_anew_on_a_phone_that_is_locked(browser: Browser, parents: Parents) -> None:
    """The office signed the phone out for good, and its owner comes back with a letter: the old passkey opens nothing."""
    letter = await invited(parents.school, parents.school.person("parent", 7))
    async with phone(browser, parents.url) as mine:
        await mine.join(letter)
        await mine.sees("Hello")
        await mine.follow("More")
        await mine.press("Lock the app")
        await mine.sees("Chaperone is locked")
        await mine.page.goto(f"{mine.url}/m/more#i=another-letter")
        await mine.sees("Choose your language")
        await mine.page.get_by_role("link", name="Continue", exact=True).click()
        await mine.sees("Is this you?")


async def test_signing_out_forgets_the_phone(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent", 6))
    async with phone(browser, parents.url) as mine:
        await mine.join(letter)
        await mine.sees("Hello")
        await mine.follow("More")
        await mine.sees("More")
        await mine.sound("more")
        await mine.press("Sign out on this phone")
        await mine.sees("Choose your language")
        await mine.goto("/m/permissions")
        await mine.sees("Choose your language")
        await mine.follow("I have used this app before")
        await mine.sees("Sign in")
        await mine.sound("sign-in")
