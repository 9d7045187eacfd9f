"""What arrives and whose answer is lost on the way back is done once, and nobody is told that it was not (decisions 122, 132)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Route, expect
from sqlmodel import select

from service.people.phones.tables import Phone as PhoneRow
from service.people.tables import SignIn
from service.safeguarding.tables import Alert
from tests.pwa.conftest import Parents
from tests.pwa.phone import Letter, Phone, invited, phone

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
CONCERNS = "**/api/v1/concerns"
RENEWALS = "**/api/v1/tokens/refresh"
UNSURE = "We do not know whether it arrived. Try again."


async def arrives_and_no_answer_comes_back(route: Route) -> None:
    await route.fetch()
    await route.abort()


async def arrives_and_a_gateway_answers(route: Route) -> None:
    answer = await route.fetch()
    await (route.fulfill(status=502, body="") if answer.ok else route.fulfill(response=answer))  # a nonce that is old is no try


async def never_arrives(route: Route) -> None:
    await route.abort()


async def concerns(parents: Parents, parent: str) -> int:
    """How often the school was told something by this parent: what comes again while it is open is counted with it."""
    async with parents.school.database.reading() as session:
        return sum((await session.exec(select(Alert.times).where(Alert.raised_by == parent))).all())


async def writes_a_concern(mine: Phone, words: str) -> None:
    await mine.goto("/m/concern")
    await mine.choose("This app")
    await mine.page.locator("textarea").fill(words)
    await mine.choose("By phone")


@asynccontextmanager
async def concern_without_a_reply(browser: Browser, parents: Parents, parent: str) -> AsyncIterator[Phone]:
    letter = await invited(parents.school, parent)
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(letter)
        await mine.sees("Hello")
        await writes_a_concern(mine, "It is hard to read.")
        await mine.page.route(CONCERNS, arrives_and_no_answer_comes_back)
        await mine.press("Send")
        await expect(mine.page.get_by_role("alert")).to_contain_text(UNSURE)
        yield mine


async def test_a_concern_that_is_pressed_again_after_a_lost_reply_is_one_concern(browser: Browser, parents: Parents) -> None:
    parent = parents.school.person("parent", 1)
    async with concern_without_a_reply(browser, parents, parent) as mine:
        assert await concerns(parents, parent) == 1, "it had arrived"
        await mine.sound("unsure")
        await mine.page.unroute(CONCERNS)
        await mine.press("Send")
        await expect(mine.page.locator("h1")).to_contain_text("Sent to the")
        assert await concerns(parents, parent) == 1


async def test_other_words_after_a_lost_reply_are_another_concern(browser: Browser, parents: Parents) -> None:
    parent = parents.school.person("parent", 2)
    async with concern_without_a_reply(browser, parents, parent) as mine:
        await mine.page.unroute(CONCERNS)
        await mine.page.locator("textarea").fill("It is hard to read, and small.")
        await mine.press("Send")
        await expect(mine.page.locator("h1")).to_contain_text("Sent to the")
        assert await concerns(parents, parent) == 2


async def test_nothing_is_called_unsent_but_what_has_not_left_the_phone(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent", 3))
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(letter)
        await mine.sees("Hello")
        await writes_a_concern(mine, "It is hard to read.")
        await mine.page.route(CONCERNS, lambda route: route.fulfill(status=502, body=""))
        await mine.press("Send")
        await expect(mine.page.get_by_role("alert")).to_contain_text(UNSURE)
        await mine.page.unroute(CONCERNS)
        await mine.context.set_offline(True)
        await mine.press("Send")
        await expect(mine.page.get_by_role("alert")).to_contain_text("You are offline. Nothing has been sent.")


async def test_a_renewal_is_tried_no_oftener_than_the_school_forgives(browser: Browser, parents: Parents) -> None:
    """A third try would look like a thief's copy, and the family would be told of one."""
    parent = parents.school.person("parent", 4)
    letter = await invited(parents.school, parent)
    tries: list[str] = []

    async def renewed_and_lost(route: Route) -> None:
        tries.append(route.request.url)
        answer = await route.fetch()
        await (route.abort() if answer.ok else route.fulfill(response=answer))  # a nonce that is old is no try

    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(letter)
        await mine.sees("Hello")
        await mine.page.route(RENEWALS, renewed_and_lost)
        await mine.page.reload()
        await mine.sees("You are offline")
        await mine.press("Try again")
        await expect(mine.page.locator("html")).to_have_attribute("data-drawn", "2")
        await mine.press("Try again")
        await mine.sees("Chaperone is locked")
        await mine.page.unroute(RENEWALS)
        async with parents.school.database.reading() as session:
            ended = (await session.exec(select(SignIn.ended_at).where(SignIn.person_id == parent, SignIn.route == "phone"))).all()
        assert ended == [None], "nobody was taken for a thief"
        await mine.press("Open Chaperone")
        await mine.sees("Hello")


TOGETHER = """async (edition) => {
  const { Client } = await import(`/m/files/${edition}/protocol.js`);
  const { Store } = await import(`/m/files/${edition}/store.js`);
  const client = new Client(await Store.open());
  const read = await Promise.allSettled(["/me", "/messages", "/phones"].map((path) => client.read(path)));
  return read.map((one) => one.status);
}"""


async def test_what_is_read_at_the_same_time_is_one_renewal(browser: Browser, parents: Parents) -> None:
    letter = await invited(parents.school, parents.school.person("parent", 5))
    done: list[bool] = []

    async def loses_the_first(route: Route) -> None:
        answer = await route.fetch()
        if not answer.ok:
            return await route.fulfill(response=answer)
        done.append(True)
        await (route.abort() if len(done) == 1 else route.fulfill(response=answer))

    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(letter)
        await mine.sees("Hello")
        await mine.page.route(RENEWALS, loses_the_first)
        edition = parents.school.app.state.parents_app.edition
        assert await mine.page.evaluate(TOGETHER, edition) == ["rejected"] * 3
        assert len(done) == 1
        assert await mine.page.evaluate(TOGETHER, edition) == ["fulfilled"] * 3
        assert len(done) == 2


FINISH = "**/api/v1/passkeys/register/finish"


async def before_the_passkey(mine: Phone, letter: Letter) -> None:
    await mine.goto(f"/m/#i={letter.token}")
    await mine.page.get_by_role("link", name="Continue", exact=True).click()
    await mine.sees("Is this you?")
    await mine.fill_letter(letter)
    await mine.sees("Add Chaperone to your phone")
    await mine.follow("Continue")
    await mine.sees("Make your passkey")


async def phones_of(parents: Parents, parent: str) -> int:
    async with parents.school.database.reading() as session:
        return len((await session.exec(select(PhoneRow.id).where(PhoneRow.person_id == parent))).all())


@pytest.mark.parametrize(("number", "loses"), [
    (6, arrives_and_no_answer_comes_back), (7, arrives_and_a_gateway_answers), (8, never_arrives)])
async def test_whose_passkey_was_kept_without_a_reply_gets_in_with_it(
    browser: Browser, parents: Parents, number: int, loses: Callable[[Route], Awaitable[None]],
) -> None:
    """The invitation is used up by then: the passkey is what opens the account that was made (decision 235)."""
    parent = parents.school.person("parent", number)
    letter = await invited(parents.school, parent)
    async with phone(browser, parents.url, service_workers="block") as mine:
        await before_the_passkey(mine, letter)
        await mine.page.route(FINISH, loses)
        await mine.press("Make my passkey")
        await expect(mine.page.get_by_role("alert")).to_contain_text(UNSURE)
        await mine.page.unroute(FINISH)
        await mine.press("Make my passkey")
        await mine.sees("Can we send you notices?")
        await mine.press("Not now")
        await mine.sees("Hello")
        assert await phones_of(parents, parent) == 1, "it is the same phone"


@pytest.mark.parametrize(("number", "presses"), [(11, True), (12, False)])
async def test_whose_passkey_never_arrived_makes_another_with_the_same_letter_however_late(
    browser: Browser, parents: Parents, number: int, presses: bool,
) -> None:
    """The invitation was good for a quarter of an hour; the network came back after that, and the letter still works."""
    parent = parents.school.person("parent", number)
    letter = await invited(parents.school, parent)
    async with phone(browser, parents.url, service_workers="block") as mine:
        await before_the_passkey(mine, letter)
        await mine.page.route(FINISH, never_arrives)
        await mine.press("Make my passkey")
        await expect(mine.page.get_by_role("alert")).to_contain_text(UNSURE)
        await mine.page.unroute(FINISH)
        parents.school.clock.advance(20 * 60)
        if presses:
            await mine.press("Make my passkey")
            await expect(mine.page.get_by_role("alert")).to_contain_text("Go back and enter the code from school again.")
            await mine.sound("passkey-too-late")
        await mine.follow("Back")
        await mine.sees("Is this you?")
        await mine.fill_letter(letter)
        await mine.follow("Continue")
        await mine.sees("Make your passkey")
        await mine.press("Make my passkey")
        await mine.sees("Can we send you notices?")
        assert await phones_of(parents, parent) == 1


async def test_who_closed_the_app_after_a_lost_passkey_reply_finds_the_way_in(browser: Browser, parents: Parents) -> None:
    parent = parents.school.person("parent", 9)
    letter = await invited(parents.school, parent)
    async with phone(browser, parents.url, service_workers="block") as mine:
        await before_the_passkey(mine, letter)
        await mine.page.route(FINISH, arrives_and_no_answer_comes_back)
        await mine.press("Make my passkey")
        await expect(mine.page.get_by_role("alert")).to_contain_text(UNSURE)
        await mine.page.unroute(FINISH)
        await mine.goto("/m/more")
        await mine.goto(f"/m/#i={letter.token}")
        await mine.page.get_by_role("link", name="Continue", exact=True).click()
        await mine.fill_letter(letter)
        await expect(mine.page.get_by_role("alert")).to_contain_text("This invitation does not work.")
        await mine.sound("code-been-here")
        await mine.follow("I have used this app before")
        await mine.press("Open Chaperone")
        await mine.sees("Can we send you notices?")
        await mine.press("Not now")
        await mine.sees("Hello")
        assert await phones_of(parents, parent) == 1


async def test_a_sign_in_without_a_reply_is_pressed_again(browser: Browser, parents: Parents) -> None:
    parent = parents.school.person("parent", 10)
    letter = await invited(parents.school, parent)
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(letter)
        await mine.sees("Hello")
        await mine.follow("More")
        await mine.press("Lock the app")
        await mine.sees("Chaperone is locked")
        await mine.page.route("**/api/v1/sign-in/finish", arrives_and_no_answer_comes_back)
        await mine.press("Open Chaperone")
        await expect(mine.page.get_by_role("alert")).to_contain_text(UNSURE)
        await mine.page.unroute("**/api/v1/sign-in/finish")
        await mine.press("Open Chaperone")
        await mine.sees("More")
        assert await phones_of(parents, parent) == 1
