"""No slip of a parent is a dead end, and no answer waits on a phone without a word (decision 234)."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect
from sqlmodel import col, select

from consent.agreements.tables import AgreementSignature
from consent.rules import Purpose
from lessons.tables import Lesson
from service.people import queries as people
from service.people.tables import Guardianship, Person
from tests.features.test_consent_answers import answer as said_elsewhere
from tests.pwa.conftest import Parents
from tests.pwa.families import Family, answers, approve, families
from tests.pwa.phone import invited, phone
from tests.pwa.test_permissions import agreeing, answer, joined, lost, says_they_are_responsible

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
FIRST, SECOND = 0, 1
"""The first adult of a family answered everything on paper, the second nothing."""


async def of_two(parents: Parents, number: int) -> Family:
    return (await families(parents.school, "8 Maths B", 2))[number]


@pytest_asyncio.fixture(loop_scope="module")
async def public_task(parents: Parents) -> AsyncIterator[None]:
    await parents.school.set_profile(recording_basis="public_task")
    yield
    await parents.school.set_profile(recording_basis="consent")


@pytest.mark.usefixtures("public_task")
async def test_who_objects_first_was_not_asked_who_they_are_and_answers_the_rest(browser: Browser, parents: Parents) -> None:
    family = await of_two(parents, 1)
    async with phone(browser, parents.url, service_workers="block") as mine:
        father = await joined(mine, parents, family, SECOND)
        await mine.follow("Recording")
        await mine.press("I object")
        await mine.sees("Sent")
        await mine.goto(f"/m/permissions/{family.child_id}/camera")
        await says_they_are_responsible(mine, family)
        await mine.sees("Camera")
        await answer(mine, "Yes, I agree")
        await mine.sees("Live lessons")
        await mine.goto(f"/m/permissions/{family.child_id}/check")
        await mine.press("Send my answers")
        await mine.sees("Sent")
        assert await answers(parents.school, family, father) == {"be_recorded": ["refused"], "camera": ["given"]}


async def test_who_said_not_sure_by_mistake_changes_what_they_said(browser: Browser, parents: Parents) -> None:
    family = await of_two(parents, 1)
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family, FIRST)
        await mine.follow("Microphone")
        await says_they_are_responsible(mine, family, "Not sure")
        await answer(mine, "No, I do not agree")
        await mine.sees("Sent")
        await mine.goto(f"/m/permissions/{family.child_id}/microphone")  # now it is only what the school keeps
        await expect(mine.page.locator("h1")).to_contain_text("You cannot answer this here. Ring")
        said = f"You said that you do not have parental responsibility for {family.name}, or are not sure."
        await expect(mine.page.get_by_text(said)).to_be_visible()
        await mine.sound("cannot")
        await mine.follow("Change what you said")
        await says_they_are_responsible(mine, family)
        await mine.sees("Microphone")
        parents.school.clock.advance(1)
        await answer(mine, "Yes, I agree")
        await mine.sees("Sent")
        assert await answers(parents.school, family, mother) == {"microphone": ["withdrawn", "given"]}
        await mine.goto(f"/m/permissions/{family.child_id}/camera")
        await mine.sees("Camera")


async def test_a_first_no_counts_within_a_second_of_save_and_leads_on_to_the_next_question(
    browser: Browser, parents: Parents,
) -> None:
    family = (await families(parents.school, "5 Oak", 2))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        father = await joined(mine, parents, family, SECOND)
        await mine.follow("Camera")
        await says_they_are_responsible(mine, family)
        await mine.sees("Camera")
        await mine.choose("No, I do not agree")
        async with mine.page.expect_response("**/api/v1/children/*/consent", timeout=1_000) as sent:
            await mine.press("Save")
        assert (await sent.value).ok
        await mine.sees("Sent")
        await expect(mine.page.get_by_text(f"{family.name}'s camera is off from now.")).to_be_visible()
        assert await answers(parents.school, family, father) == {"camera": ["refused"]}
        await mine.sound("first-no")
        await mine.follow("Continue")
        await mine.sees("Live lessons")


async def test_a_first_no_that_gets_nowhere_waits_by_itself(browser: Browser, parents: Parents) -> None:
    family = await of_two(parents, 3)
    async with phone(browser, parents.url, service_workers="block") as mine:
        father = await joined(mine, parents, family, SECOND)
        await mine.follow("Camera")
        await says_they_are_responsible(mine, family)
        await mine.sees("Camera")
        await mine.page.route("**/api/v1/children/*/consent", lost)
        await answer(mine, "No, I do not agree")
        await mine.sees("Waiting to send")
        await mine.page.unroute("**/api/v1/children/*/consent")
        await mine.goto("/m/")
        await expect(mine.page.get_by_text(re.compile("^Sent "))).to_be_visible()
        assert await answers(parents.school, family, father) == {"camera": ["refused"]}


async def test_who_says_no_while_the_school_takes_nothing_is_asked_each_question_once(browser: Browser, parents: Parents) -> None:
    """What waits is answered: it is neither the next question nor “to do”."""
    family = (await agreeing(parents))[1]

    async def busy(route: Route) -> None:
        await (route.fulfill(status=503, body="") if route.request.method == "POST" else route.continue_())

    async with phone(browser, parents.url, service_workers="block") as mine:
        father = await joined(mine, parents, family, SECOND)
        await mine.page.route("**/api/v1/children/*/consent", busy)
        await mine.follow("Live lessons")
        await says_they_are_responsible(mine, family)
        for title in ("Live lessons", "Recording"):
            await mine.sees(title)
            await answer(mine, "No, I do not agree")
            await mine.sees("Waiting to send")
            await mine.follow("Continue")
        await mine.sees("Camera")
        await mine.goto(f"/m/permissions/{family.child_id}")
        tasks = mine.page.locator(".tasks li")
        await expect(tasks.filter(has_text="To do")).to_have_count(6)
        await expect(tasks.filter(has_text="Waiting to send")).to_have_count(2)
        await mine.sound("waits-in-list")
        assert await answers(parents.school, family, father) == {}


async def test_wherever_the_app_opens_it_says_which_answers_were_not_sent_and_home_leads_to_sending_them(
        browser: Browser, parents: Parents) -> None:
    family = await of_two(parents, 4)
    async with phone(browser, parents.url, service_workers="block") as mine:
        father = await joined(mine, parents, family, SECOND)
        await mine.follow("Microphone")
        await says_they_are_responsible(mine, family)
        for title in ("Microphone", "Live lessons"):
            await mine.sees(title)
            await answer(mine, "Yes, I agree")
        await mine.sees("Recording")
        await mine.goto("/m/")  # the app was closed, and is opened again
        said = f"You have not sent your answers for {family.name}: Microphone, Live lessons. They do not count yet."
        await expect(mine.page.get_by_text(said)).to_be_visible()
        await mine.page.set_viewport_size({"width": 320, "height": 568})
        await mine.sound("home-not-sent")
        saved = mine.page.get_by_role("listitem").filter(has_text=re.compile("^(Microphone|Live lessons) Answered, not sent$"))
        await mine.follow("More")
        await mine.press("Lock the app")
        await mine.sees("Chaperone is locked")
        await expect(saved).to_have_count(2)
        await expect(mine.page.get_by_text("It does not count yet.")).to_be_visible()
        await expect(mine.page.get_by_text(family.name)).to_have_count(0)
        await mine.sound("locked-not-sent")
        await mine.press("Open Chaperone")
        await mine.sees("More")
        await mine.context.set_offline(True)
        await mine.follow("Home")
        await mine.sees("You are offline")
        await expect(saved).to_have_count(2)
        await mine.sound("offline-not-sent")
        await mine.context.set_offline(False)
        await mine.press("Try again")
        await mine.follow("Check my answers")
        await mine.press("Send my answers")
        await mine.sees("Sent")
        await mine.goto("/m/")
        await mine.sees("Hello")
        await expect(mine.page.get_by_text("You have not sent your answers")).to_have_count(0)
        assert await answers(parents.school, family, father) == {"microphone": ["given"], "attend": ["given"]}


async def test_whom_the_school_knows_by_another_name_reads_which_and_whom_to_ring_in_their_language(
    browser: Browser, parents: Parents,
) -> None:
    everybody = [one["id"] for one in parents.school.made["people"] if one["role"] == "parent"]
    async with parents.school.database.reading() as session:
        signed = set((await session.exec(select(AgreementSignature.person_id))).all())
    person = next(one for one in everybody if one not in signed)
    await approve(parents.school, "cy", Purpose.CAMERA)
    async with parents.school.database.reading() as session:
        name = (await people.person(session, (await session.get_one(Person, person)).school_id, person)).full_name
    async with phone(browser, parents.url) as mine:
        await mine.join(await invited(parents.school, person))
        await mine.sees("Agreement for parents")
        await expect(mine.page.get_by_text("Not in English yet.")).to_have_count(0)
        await mine.page.get_by_role("checkbox", name="I have read this and I agree").check()
        await mine.page.get_by_label("Type your full name").fill("Maiden Name")
        await mine.press("Sign the agreement")
        alert = mine.page.get_by_role("alert")
        await expect(alert).to_contain_text(f"Sign as {name}, or ring the office on 01632 960123 if that is not your name.")
        await mine.page.set_viewport_size({"width": 320, "height": 568})
        await mine.sound("agreement-other-name")
        await mine.goto("/m/language")
        await mine.press("Cymraeg")
        await expect(mine.page.locator("html")).to_have_attribute("lang", "cy")
        await mine.goto("/m/agreement")
        await expect(mine.page.get_by_text("Ddim yn Cymraeg eto.")).to_be_visible()
        await expect(mine.page.get_by_text(f"Mae'r ysgol yn eich adnabod fel {name}.")).to_be_visible()
        await mine.sound("agreement-cy")


async def alone(parents: Parents) -> tuple[Family, str]:
    """A child with two parents and a one-to-one to come: the mother said yes to those on paper, the father nothing."""
    async with parents.school.database.reading() as session:
        lesson = (await session.exec(select(Lesson).where(
            col(Lesson.pupil_id).is_not(None), Lesson.status == "planned", Lesson.starts_at > parents.school.clock.now()))).one()
    found = [one for adults in (2, 3, 4) for one in await families(parents.school, "8 Maths B", adults)]
    family = next(one for one in found if one.child_id == lesson.pupil_id)
    return family, f"/m/one-to-ones/{family.child_id}/{lesson.id}"


async def test_who_says_yes_to_a_one_to_one_is_not_told_what_the_other_parent_said(browser: Browser, parents: Parents) -> None:
    family, page = await alone(parents)
    parents.school.clock.advance(1)
    await said_elsewhere(parents.school, family.adults[SECOND], family.child_id, False, Purpose.ONE_TO_ONE)
    async with phone(browser, parents.url, service_workers="block") as mine:
        await joined(mine, parents, family, FIRST)
        await mine.goto(page)
        await says_they_are_responsible(mine, family)
        await mine.sees("This one-to-one lesson")
        parents.school.clock.advance(1)
        await answer(mine, "Yes, I agree")
        await expect(mine.page.get_by_role("status")).to_have_text("Sent. School tells you whether it takes place.")
        await mine.sound("one-to-one-sent")


async def test_a_yes_to_a_one_to_one_that_rests_says_from_when_it_counts(browser: Browser, parents: Parents) -> None:
    family, page = await alone(parents)
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(await invited(parents.school, family.adults[SECOND], in_person=False))
        await mine.sees("Hello")
        await mine.goto(page)
        await says_they_are_responsible(mine, family)
        await mine.sees("This one-to-one lesson")
        parents.school.clock.advance(1)
        await answer(mine, "Yes, I agree")
        await expect(mine.page.get_by_role("status")).to_have_text("Sent. School tells you whether it takes place.")
        await expect(mine.page.get_by_text(re.compile("^Your yes starts .* Until then"))).to_be_visible()
        await mine.sound("one-to-one-rests")


async def stepmother(parents: Parents, family: Family, number: int, responsible: str) -> str:
    """The adult of another family beside those of this one, and what the school's record says of her."""
    other = (await families(parents.school, "2 Elm", 1))[number]
    async with parents.school.database.writing() as session:
        child = await session.get_one(Person, family.child_id)
        session.add(Guardianship(school_id=child.school_id, guardian_id=other.adults[0], child_id=child.id, contact_order=3,
                                 relationship="stepmother", parental_responsibility=responsible, court_order="no"))
    return other.adults[0]


@asynccontextmanager
async def unchecked(parents: Parents, family: Family, adult: str) -> AsyncIterator[None]:
    """Nobody has checked yet whether this adult has parental responsibility: the server takes their no, and no yes."""
    async def record(word: str) -> None:
        async with parents.school.database.writing() as session:
            link = (await session.exec(select(Guardianship).where(
                Guardianship.guardian_id == adult, Guardianship.child_id == family.child_id))).one()
            link.parental_responsibility = word

    await record("unknown")
    yield
    await record("yes")


ONLY_NO = "You can say no here. It counts as soon as you save it. For a yes, ring the office on 01632 960123."


async def test_whose_responsibility_nobody_has_checked_says_their_first_no_and_is_asked_nothing(
        browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 2))[1]
    father = family.adults[SECOND]
    async with unchecked(parents, family, father), phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(await invited(parents.school, father))
        await mine.sees("Hello")
        await expect(mine.page.get_by_text(re.compile("questions? to answer"))).to_have_count(0)
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.sees(f"Permissions for {family.name}")
        await expect(mine.page.get_by_text(ONLY_NO)).to_be_visible()
        await expect(mine.page.get_by_text("To do")).to_have_count(0)
        await expect(mine.page.get_by_text("Not answered")).to_have_count(8)
        await mine.sound("only-no")
        await mine.follow("Camera")
        await mine.sees("Camera")
        await expect(mine.page.get_by_text(ONLY_NO)).to_be_visible()
        await expect(mine.page.get_by_role("radio", name="Yes, I agree")).to_have_count(0)
        await mine.sound("only-no-question")
        await answer(mine, "No, I do not agree")
        await mine.sees("Sent")
        assert await answers(parents.school, family, father) == {"camera": ["refused"]}


@pytest.mark.usefixtures("public_task")
async def test_whose_responsibility_nobody_has_checked_can_object_to_recording(browser: Browser, parents: Parents) -> None:
    family = await of_two(parents, 2)
    mother = family.adults[FIRST]
    async with unchecked(parents, family, mother), phone(browser, parents.url, service_workers="block") as mine:
        await joined(mine, parents, family, FIRST)
        await mine.follow("Recording")
        await mine.press("I object")
        await mine.sees("Sent")
        assert await answers(parents.school, family, mother) == {"be_recorded": ["withdrawn"]}


async def test_who_is_not_sure_of_their_responsibility_says_a_first_no(browser: Browser, parents: Parents) -> None:
    family = (await agreeing(parents))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        father = await joined(mine, parents, family, SECOND)
        await mine.follow("Camera")
        await says_they_are_responsible(mine, family, "Not sure")
        await mine.sees("Camera")
        await expect(mine.page.get_by_text(ONLY_NO)).to_be_visible()
        await expect(mine.page.get_by_role("link", name="Change what you said")).to_be_visible()
        await answer(mine, "No, I do not agree")
        await mine.sees("Sent")
        assert await answers(parents.school, family, father) == {"camera": ["refused"]}


async def test_whose_responsibility_nobody_has_checked_says_no_to_a_one_to_one(browser: Browser, parents: Parents) -> None:
    family, page = await alone(parents)
    adult = await stepmother(parents, family, 1, "unknown")
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(await invited(parents.school, adult))
        await mine.sees("Hello")
        await mine.goto(page.rpartition("/")[0])
        await expect(mine.page.get_by_text("Not answered")).to_be_visible()
        await mine.goto(page)
        await mine.sees("This one-to-one lesson")
        await expect(mine.page.get_by_text(ONLY_NO)).to_be_visible()
        await mine.sound("one-to-one-only-no")
        await answer(mine, "No, I do not agree")
        await expect(mine.page.get_by_role("status")).to_contain_text("Sent")
        assert await answers(parents.school, family, adult) == {"one_to_one": ["refused"]}


async def test_who_may_not_answer_for_a_child_is_told_whom_to_ring_and_shown_no_form(browser: Browser, parents: Parents) -> None:
    family, page = await alone(parents)
    other = await stepmother(parents, family, 0, "no")
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.join(await invited(parents.school, other))
        await mine.sees("Hello")
        await mine.goto(page)
        await mine.sees("This one-to-one lesson")
        await expect(mine.page.get_by_text("You cannot answer this here. Ring the office on 01632 960123.")).to_be_visible()
        await expect(mine.page.get_by_role("radio")).to_have_count(0)
        await expect(mine.page.get_by_role("button", name="Save")).to_have_count(0)
        await mine.sound("one-to-one-cannot")


async def test_an_answer_that_the_school_does_not_take_from_them_says_whom_to_ring(browser: Browser, parents: Parents) -> None:
    """The school's record changed while they read."""
    family = (await families(parents.school, "5 Oak", 1))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family)
        await mine.follow("Camera")
        await says_they_are_responsible(mine, family)
        await mine.sees("Camera")
        async with parents.school.database.writing() as session:
            link = (await session.exec(select(Guardianship).where(Guardianship.guardian_id == mother))).one()
            link.parental_responsibility = "no"
        await answer(mine, "No, I do not agree")
        await expect(mine.page.get_by_role("alert")).to_contain_text("You cannot answer this here. Ring the office")


@pytest.mark.parametrize("size", ["100%", "200%"])
async def test_what_waits_fits_the_smallest_phone_wherever_it_is_said(browser: Browser, parents: Parents, size: str) -> None:
    """320 px, and letters twice as large: nothing hangs out, and every tab can be pressed (WCAG 1.4.10, 1.4.4)."""
    family = (await families(parents.school, "5 Oak", 1))[1 if size == "100%" else 2]

    async def fits(name: str) -> None:
        await mine.page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
        await mine.sound(f"{name}-{size}")

    async with phone(browser, parents.url, service_workers="block") as mine:
        await joined(mine, parents, family)
        await mine.page.set_viewport_size({"width": 320, "height": 568})
        await mine.page.route("**/api/v1/children/*/consent", lost)
        await mine.follow("Microphone")
        await says_they_are_responsible(mine, family)
        await answer(mine, "No, I do not agree")
        await mine.sees("Waiting to send")
        await fits("320-sent")
        for path in ("/m/", f"/m/permissions/{family.child_id}", f"/m/permissions/{family.child_id}/microphone"):
            await mine.goto(path)
            await fits(f"320-{path.count('/')}")
        await mine.follow("More")
        await mine.press("Sign out on this phone")
        await mine.sees("Your answers are not sent")
        await fits("320-leave")
        await mine.press("Stay signed in")
        await mine.press("Lock the app")
        await mine.sees("Chaperone is locked")
        await fits("320-locked")
        await mine.press("Open Chaperone")
        await mine.sees("More")
        await mine.context.set_offline(True)
        await mine.follow("Home")
        await mine.sees("You are offline")
        await fits("320-offline")
