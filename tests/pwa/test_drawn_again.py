"""A page that is drawn again leaves whoever reads it where they are: by keyboard, and with a screen reader (WCAG 2.2, 3.2)."""

import re

import pytest
from playwright.async_api import Browser, expect

from lessons.family.tables import FamilyMessage
from service.people.tables import Person
from tests.pwa.conftest import Parents
from tests.pwa.families import Family, families
from tests.pwa.phone import Phone, invited, phone

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def told(parents: Parents, family: Family, *abouts: str) -> None:
    async with parents.school.database.writing() as session:
        school_id = (await session.get_one(Person, family.child_id)).school_id
        session.add_all([FamilyMessage(school_id=school_id, person_id=family.adults[0], child_id=family.child_id, kind=kind,
                                       about="a test", made_at=parents.school.clock.now()) for kind in abouts])


async def drawn_again(mine: Phone, milliseconds: int) -> None:
    before = await mine.page.evaluate("document.documentElement.dataset.drawn")
    await mine.page.clock.run_for(milliseconds)
    await mine.page.wait_for_function("before => document.documentElement.dataset.drawn !== before", arg=before)


async def test_home_is_not_touched_while_nothing_changes_and_keeps_the_place_when_something_does(
    browser: Browser, parents: Parents,
) -> None:
    family = (await families(parents.school, "5 Oak", 1))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.page.clock.install()
        await mine.join(await invited(parents.school, family.adults[0]))
        await mine.sees("Hello")
        week = mine.page.get_by_role("link", name=f"All of {family.name}'s lessons", exact=True)
        await week.focus()
        await week.evaluate("link => { link.isTheSame = true; }")
        await drawn_again(mine, 21_000)
        assert await mine.page.evaluate("document.activeElement.isTheSame"), "nothing changed, so nothing was drawn"

        news = mine.page.locator(".needs").get_by_text(re.compile("new message"))
        before = int((await news.inner_text()).split()[0])
        await told(parents, family, "lesson-moved")
        await drawn_again(mine, 21_000)
        await expect(news).to_contain_text(f"{before + 1} new")
        assert not await mine.page.evaluate("document.activeElement.isTheSame")  # negative control: this is another one
        await expect(week).to_be_focused()

        tab = mine.page.get_by_role("link", name=re.compile("^Messages"))
        await tab.focus()
        await told(parents, family, "lesson-cancelled")
        await drawn_again(mine, 21_000)
        await expect(news).to_contain_text(f"{before + 2} new")
        await expect(tab).to_be_focused()


async def test_a_message_that_is_marked_as_read_leads_to_the_next_and_the_last_to_the_title(
    browser: Browser, parents: Parents,
) -> None:
    family = (await families(parents.school, "5 Oak", 1))[1]
    await told(parents, family, "lesson-moved", "lesson-cancelled")
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(await invited(parents.school, family.adults[0]))
        await mine.sees("Hello")
        await mine.goto("/m/messages")
        read = mine.page.get_by_role("button", name=re.compile("^I have read this"))
        await expect(read).to_have_count(3)  # with what they are told of their new phone
        for left in (2, 1, 0):
            await read.first.focus()
            await mine.page.keyboard.press("Enter")
            await expect(read).to_have_count(left)
            await expect(read.first if left else mine.page.locator("h1")).to_be_focused()
