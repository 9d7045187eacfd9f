"""Answering, changing one's mind, and doing both without a network, on a phone (screens 6.3 to 6.5, 6.12; policy: CO2, CO3)."""

import re

import pytest
from playwright.async_api import Browser, expect

from mobile_api import schemas
from tests.pwa.conftest import Parents
from tests.pwa.phone import Phone, invited, phone
from tests.pwa.questions import Questions

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def joined(mine: Phone, parents: Parents, number: int) -> Questions:
    """A parent who is in, with their child's questions beside the service."""
    letter = await invited(parents.school, parents.school.person("parent", number))
    await mine.join(letter)
    await mine.sees("Hello")
    questions = Questions(schemas.OwnChild(id="x", name=letter.child))
    link = await mine.page.get_by_role("link", name=re.compile("^All of")).get_attribute("href")
    questions.child = schemas.OwnChild(id=str(link).rpartition("/")[2], name=letter.child)
    await questions.beside(mine.page)
    return questions


async def answer(mine: Phone, says: str) -> None:
    await mine.choose(says)
    await mine.press("Save")


async def test_four_questions_are_answered_checked_and_sent_once(browser: Browser, parents: Parents) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        questions = await joined(mine, parents, 0)
        name = questions.child.name
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.sees(f"Permissions for {name}")
        await mine.sound("permissions")
        await mine.follow("Live lessons")
        await mine.sees(f"Do you have parental responsibility for {name}?")
        await mine.sound("responsibility")
        await mine.choose("Yes")
        await mine.press("Continue")
        await mine.sees("Live lessons")
        assert await mine.page.locator("input:checked").count() == 0, "nothing is chosen for anybody"
        await mine.sound("question")
        await mine.press("Save")
        await expect(mine.page.get_by_role("alert")).to_contain_text("Choose yes or no")
        await answer(mine, "Yes, I agree")
        await mine.sees("Recording")
        await answer(mine, "Yes, I agree")
        await mine.sees("Camera")
        await mine.choose("No, I do not agree")
        await expect(mine.page.get_by_text("Why? You do not have to say")).to_be_visible()
        await mine.sound("question-no")
        await mine.press("Save")
        await mine.sees("Microphone")
        await answer(mine, "Yes, I agree")
        await mine.sees("Check your answers")
        await mine.sound("check")
        assert questions.sent == [], "nothing counts before it is sent"
        await mine.page.get_by_role("button", name="Send my answers").dblclick()
        await mine.sees("Sent")
        await expect(mine.page.get_by_text(f"{name} can join.")).to_be_visible()
        await mine.sound("sent")
        assert questions.answers == {"attend": "yes", "be_recorded": "yes", "camera": "no", "microphone": "yes"}
        assert len(questions.sent) == 4, "a double tap sends nothing twice"


async def test_no_takes_as_many_taps_as_yes_and_counts_at_once(browser: Browser, parents: Parents) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        questions = await joined(mine, parents, 1)
        questions.answers = dict.fromkeys(("attend", "be_recorded", "camera", "microphone"), "yes")
        questions.responsibility = "yes"
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.follow("Camera")
        await expect(mine.page.get_by_role("radio", name="Yes, I agree")).to_be_checked()
        await answer(mine, "No, I do not agree")
        await mine.sees("Sent")
        await expect(mine.page.get_by_text(f"{questions.child.name}'s camera is off from now.")).to_be_visible()
        await mine.sound("withdrawn")
        assert [given["says_yes"] for _, given in questions.sent] == [False]


async def test_where_answers_differ_neither_parent_learns_what_the_other_said(browser: Browser, parents: Parents) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        questions = await joined(mine, parents, 2)
        questions.answers, questions.differ = dict.fromkeys(("attend", "be_recorded", "camera", "microphone"), "yes"), True
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await expect(mine.page.get_by_text("cannot join yet. We do not have all the answers we need.")).to_be_visible()
        await mine.sound("differ")


async def test_an_answer_without_a_network_waits_does_not_count_and_is_sent_once(browser: Browser, parents: Parents) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        questions = await joined(mine, parents, 3)
        questions.answers = dict.fromkeys(("attend", "be_recorded", "camera", "microphone"), "yes")
        questions.responsibility = "yes"
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.follow("Camera")
        await mine.sees("Camera")
        await mine.context.set_offline(True)
        await mine.page.unroute("**/api/v1/children/*/consent")
        await answer(mine, "No, I do not agree")
        await mine.sees("Waiting to send")
        await expect(mine.page.get_by_text("It does not count yet.")).to_be_visible()
        await expect(mine.page.get_by_text(re.compile("To stop it now, ring"))).to_be_visible()
        await mine.sound("waiting")
        assert questions.child.name not in await mine.kept(), "what waits names no child"
        questions.loses = 1  # the first answer arrives, and its receipt is lost
        await questions.beside(mine.page)
        await mine.context.set_offline(False)
        await mine.goto("/m/")
        await expect(mine.page.get_by_text(re.compile("^Sent ")).or_(mine.page.get_by_text("Waiting to send"))).to_be_visible()
        await mine.goto("/m/")
        await expect(mine.page.get_by_text(re.compile("^Sent "))).to_be_visible()
        assert len({key for key, _ in questions.sent}) == 1, "however often it is tried it is one answer"
        assert questions.answers["camera"] == "no"


async def test_the_answer_to_a_one_to_one(browser: Browser, parents: Parents) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        questions = await joined(mine, parents, 5)
        await mine.goto(f"/m/one-to-ones/{questions.child.id}/lesson-1")
        await mine.sees("This one-to-one lesson")
        await mine.sound("one-to-one")
        await mine.choose("No, I do not agree")
        await mine.press("Save")
        await expect(mine.page.get_by_role("status")).to_contain_text("It does not happen.")
        assert questions.one_to_one == "no"
