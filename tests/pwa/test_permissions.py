"""Answering, changing one's mind, and doing both without a network, on a phone (policy: CO2, CO3)."""

import re

import pytest
from playwright.async_api import Browser, Route, expect
from sqlmodel import col, select

from consent.rules import Purpose
from consent.tables import ConsentResponse
from lessons.family.tables import FamilyMessage
from lessons.tables import Lesson
from service.people.tables import Guardianship, Person
from tests.features.test_agreements import renewed
from tests.features.test_consent_answers import answer as said_elsewhere
from tests.pwa.conftest import Parents
from tests.pwa.families import ASKED, Family, answers, families, new_version
from tests.pwa.phone import Phone, invited, phone

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

REGISTER = ("Photographs on display", "Pictures on the school's site, in print or in the news",
            "Recordings to help teachers get better")


async def joined(mine: Phone, parents: Parents, family: Family, adult: int = 0, *, in_person: bool = True) -> str:
    """The adult of this family is in, on the page of permissions. Returns who that is."""
    person = family.adults[adult]
    await mine.join(await invited(parents.school, person, in_person=in_person))
    await mine.sees("Hello")
    await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
    await mine.sees(f"Permissions for {family.name}")
    return person


async def says_they_are_responsible(mine: Phone, family: Family, says: str = "Yes") -> None:
    await mine.sees(f"Do you have parental responsibility for {family.name}?")
    await mine.choose(says)
    await mine.press("Continue")


async def answer(mine: Phone, says: str) -> None:
    await mine.choose(says)
    await mine.press("Save")


async def test_every_question_is_answered_checked_and_sent_once(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 2))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        father = await joined(mine, parents, family, 1)
        name = family.name
        await mine.sound("permissions")
        await mine.follow("Live lessons")
        await mine.sees(f"Do you have parental responsibility for {name}?")
        await mine.sound("responsibility")
        await says_they_are_responsible(mine, family)
        await mine.sees("Live lessons")
        assert await mine.page.locator("input:checked").count() == 0, "nothing is chosen for anybody"
        await expect(mine.page.get_by_text(f"{name} can join lessons on a screen")).to_be_visible()
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
        await mine.sees("Sent")
        await mine.follow("Continue")
        for title in ("Microphone", "Chat", *REGISTER):
            await mine.sees(title)
            await answer(mine, "Yes, I agree")
        await mine.sees("Check your answers")
        await mine.sound("check")
        assert await answers(parents.school, family, father) == {"camera": ["refused"]}, "no yes counts before it is sent"
        await mine.page.get_by_role("button", name="Send my answers").dblclick()
        await mine.sees("Sent")
        await expect(mine.page.get_by_text(f"{name} can join.")).to_be_visible()
        await mine.sound("sent")
        said = await answers(parents.school, family, father)
        assert said == {purpose: ["refused" if purpose == "camera" else "given"] for purpose in ASKED}, "twice pressed, once sent"


async def test_no_takes_as_many_taps_as_yes_and_counts_at_once(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 1))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family)
        for before, now, words in (("Yes", "No, I do not agree", f"{family.name}'s camera is off from now."),
                                   ("No", "Yes, I agree", "Camera: you said yes.")):
            await mine.follow("Camera")
            if before == "Yes":
                await says_they_are_responsible(mine, family)
            await expect(mine.page.get_by_role("radio", name=re.compile(f"^{before}"))).to_be_checked()
            parents.school.clock.advance(1)
            await answer(mine, now)
            await mine.sees("Sent")
            await expect(mine.page.get_by_text(words).first).to_be_visible()
            await mine.sound(f"changed-{before.lower()}")
            await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        assert await answers(parents.school, family, mother) == {"camera": ["withdrawn", "given"]}


async def test_who_came_by_a_posted_letter_reads_from_when_their_yes_counts(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 1))[-1]
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family, in_person=False)
        await mine.follow("Photographs")
        await says_they_are_responsible(mine, family)
        await mine.sees(REGISTER[0])
        await answer(mine, "Yes, I agree")
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.follow("Check my answers")
        await mine.press("Send my answers")
        await mine.sees("Sent")
        starts = mine.page.get_by_text(re.compile("^Your yes starts .* Until then nothing changes.$"))
        await expect(starts).to_have_count(1)
        await mine.sound("rests")
        await mine.page.get_by_role("link", name="Continue").click()
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await expect(starts).to_have_count(1)
        await expect(mine.page.get_by_text("We do not have all the answers")).to_have_count(0)
        assert await answers(parents.school, family, mother) == {"photographs": ["given"]}


async def test_who_may_not_say_yes_can_still_take_a_yes_back(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 1))[1]
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family)
        await mine.follow("Microphone")
        await says_they_are_responsible(mine, family, "Not sure")
        await expect(mine.page.get_by_text("You can still take your yes back.")).to_be_visible()
        await expect(mine.page.get_by_role("radio", name="Yes, I agree")).to_have_count(0)
        await mine.sound("take-back")
        await answer(mine, "No, I do not agree")
        await mine.sees("Sent")
        assert await answers(parents.school, family, mother) == {"microphone": ["withdrawn"]}


async def test_where_answers_differ_neither_parent_learns_what_the_other_said(browser: Browser, parents: Parents) -> None:
    """In this family the father refused recording by telephone; the mother agreed to everything."""
    async with parents.school.database.reading() as session:
        child = (await session.exec(select(ConsentResponse.child_id).where(
            ConsentResponse.answer == "refused", ConsentResponse.purpose == "be_recorded"))).one()
    family = next(one for one in await families(parents.school, "2 Elm", 2) if one.child_id == child)
    async with phone(browser, parents.url, service_workers="block") as mine:
        await joined(mine, parents, family)
        await expect(mine.page.get_by_text("cannot join yet. We do not have all the answers we need.")).to_be_visible()
        await mine.sound("differ")
        async with parents.school.database.reading() as session:
            father = await session.get_one(Person, family.adults[1])
        assert father.given_name not in await mine.page.locator("main").inner_text()
        shown = await mine.page.locator(".card").inner_text()
        assert not any(word in shown for word in ("Recording", "Live lessons", "Camera")), "which question it is would say it all"
        await mine.goto("/m/")
        await expect(mine.page.get_by_text(f"{family.name} cannot join yet. Ring the office")).to_have_count(1)
        await mine.sound("home-cannot-join")


async def test_an_answer_without_a_network_waits_does_not_count_and_is_sent_once(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 1))[2]
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family)
        await mine.follow("Camera")
        await says_they_are_responsible(mine, family)
        await mine.sees("Camera")
        await mine.context.set_offline(True)
        await answer(mine, "No, I do not agree")
        await mine.sees("Waiting to send")
        await expect(mine.page.get_by_text("It does not count yet.")).to_be_visible()
        await expect(mine.page.get_by_text(re.compile("To stop it now, ring"))).to_be_visible()
        await mine.sound("waiting")
        assert family.name not in await mine.kept(), "what waits names no child"
        assert await answers(parents.school, family, mother) == {}
        tries: list[str] = []

        async def lose_the_first_receipt(route: Route) -> None:
            """The first answer arrives at school, and what school says is lost on the way back."""
            if route.request.method != "POST":
                return await route.continue_()
            tries.append(route.request.headers["idempotency-key"])
            answered = await route.fetch()
            await (route.abort() if len(tries) == 1 else route.fulfill(response=answered))

        await mine.page.route("**/api/v1/children/*/consent", lose_the_first_receipt)
        await mine.context.set_offline(False)
        await mine.goto("/m/")
        await expect(mine.page.get_by_text(re.compile("^Sent ")).or_(mine.page.get_by_text("Waiting to send"))).to_be_visible()
        await mine.goto("/m/")
        await expect(mine.page.get_by_text(re.compile("^Sent "))).to_be_visible()
        assert len(tries) >= 2
        assert len(set(tries)) == 1
        assert await answers(parents.school, family, mother) == {"camera": ["withdrawn"]}, "tried twice, answered once"


async def agreeing(parents: Parents) -> list[Family]:
    """Families of two adults who do not differ; the second has not answered anything."""
    async with parents.school.database.reading() as session:
        differ = (await session.exec(select(ConsentResponse.child_id).where(
            ConsentResponse.answer == "refused", ConsentResponse.purpose == "be_recorded"))).all()
    return [one for one in await families(parents.school, "2 Elm", 2) if one.child_id not in differ]


async def lost(route: Route) -> None:
    """What is sent gets nowhere, and what is read does: a network that wants to be signed in to, or a server that restarts."""
    await (route.abort() if route.request.method == "POST" else route.continue_())


async def test_a_no_after_a_yes_that_waits_is_the_last_word_also_from_another_phone(browser: Browser, parents: Parents) -> None:
    family = (await agreeing(parents))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        father = await joined(mine, parents, family, 1)
        await mine.page.route("**/api/v1/children/*/consent", lost)
        await mine.follow("Chat")
        await says_they_are_responsible(mine, family)
        await mine.sees("Chat")
        await answer(mine, "Yes, I agree")
        await expect(mine.page.get_by_role("radio", name="Yes, I agree")).not_to_be_checked()  # the next question
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.follow("Check my answers")
        await mine.press("Send my answers")
        await mine.sees("Waiting to send")
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.follow("Chat")
        await mine.sees("Chat")
        await mine.page.unroute("**/api/v1/children/*/consent")
        await answer(mine, "No, I do not agree")
        await mine.sees("Sent")
        await mine.goto("/m/")
        await mine.sees("Hello")
        assert await answers(parents.school, family, father) == {"chat": ["refused"]}
        await mine.page.route("**/api/v1/children/*/consent", lost)
        await mine.goto(f"/m/permissions/{family.child_id}/chat")
        await answer(mine, "Yes, I agree")
        await mine.sees("Waiting to send")
        parents.school.clock.advance(1)
        await said_elsewhere(parents.school, father, family.child_id, False, Purpose.CHAT)
        await mine.page.unroute("**/api/v1/children/*/consent")
        await mine.goto(f"/m/permissions/{family.child_id}")
        await expect(mine.page.get_by_text("Not sent. Please answer again")).to_be_visible()
        assert set((await answers(parents.school, family, father))["chat"]) == {"refused"}


async def test_where_recording_is_the_schools_public_task_a_parent_objects_and_reads_who_decides(
    browser: Browser, parents: Parents,
) -> None:
    family = (await families(parents.school, "5 Oak", 1))[3]
    await parents.school.set_profile(recording_basis="public_task")
    try:
        async with phone(browser, parents.url, service_workers="block") as mine:
            mother = await joined(mine, parents, family)
            await mine.follow("Recording")
            await expect(mine.page.get_by_text(f"Until then {family.name} is recorded.")).to_be_visible()
            await expect(mine.page.get_by_role("radio", name="Yes, I agree")).to_have_count(0)
            await mine.sound("object")
            await mine.press("I object")
            await mine.sees("Sent")
            words = f"You object. The headteacher decides. Until then {family.name} is recorded."
            await expect(mine.page.get_by_text(words)).to_be_visible()
            await expect(mine.page.get_by_text(f"{family.name} can join.")).to_be_visible()
            await mine.goto(f"/m/permissions/{family.child_id}/be_recorded")
            await expect(mine.page.get_by_text(words)).to_be_visible()
            await expect(mine.page.get_by_role("button", name="I object")).to_have_count(0)
            assert await answers(parents.school, family, mother) == {"be_recorded": ["withdrawn"]}
    finally:
        await parents.school.set_profile(recording_basis="consent")


async def test_how_somebody_is_related_is_kept_as_they_say_it_with_their_answer(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 1))[4]
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family)
        await mine.follow("Camera")
        await mine.sees(f"Do you have parental responsibility for {family.name}?")
        await mine.page.get_by_label(f"How are you related to {family.name}?").fill("Grandmother")
        await says_they_are_responsible(mine, family)
        await answer(mine, "No, I do not agree")
        await mine.sees("Sent")
        async with parents.school.database.reading() as session:
            kept = await session.exec(select(ConsentResponse.declared_relationship).where(
                ConsentResponse.respondent_id == mother, ConsentResponse.purpose == "camera", ConsentResponse.route == "app"))
        assert kept.all() == ["Grandmother"]


async def test_on_a_shared_tablet_nobody_sees_or_sends_what_the_other_answered(browser: Browser, parents: Parents) -> None:
    family = (await agreeing(parents))[1]
    async with phone(browser, parents.url, service_workers="block") as mine:
        father = await joined(mine, parents, family, 1)
        await mine.page.route("**/api/v1/children/*/consent", lost)
        await mine.follow("Chat")
        await says_they_are_responsible(mine, family)
        await answer(mine, "Yes, I agree")
        await expect(mine.page.get_by_role("radio", name="Yes, I agree")).not_to_be_checked()  # the next question
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.follow("Check my answers")
        await mine.press("Send my answers")
        await mine.sees("Waiting to send")
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.follow("Microphone")
        await answer(mine, "Yes, I agree")
        await expect(mine.page.get_by_role("radio", name="Yes, I agree")).not_to_be_checked()  # the next question
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await expect(mine.page.get_by_text("Waiting to send")).to_have_count(2)  # above, and beside its question
        await expect(mine.page.get_by_text("Answered, not sent")).to_be_visible()  # negative control: he sees his own
        await mine.follow("More")
        await mine.press("Lock the app")
        await mine.sees("Chaperone is locked")
        mother = await joined(mine, parents, family)
        await mine.page.unroute("**/api/v1/children/*/consent")
        await expect(mine.page.get_by_text("Answered, not sent").or_(mine.page.get_by_text("Waiting to send"))).to_have_count(0)
        await mine.goto("/m/")
        await mine.sees("Hello")
        for adult in (father, mother):
            assert await answers(parents.school, family, adult) == {}
        assert "microphone" in await mine.kept(), "what he answered is there when he comes back"


async def test_words_that_changed_while_a_parent_read_are_shown_again(browser: Browser, parents: Parents) -> None:
    """A yes is only ever to the words that are shown now."""
    family = (await families(parents.school, "5 Oak", 2))[1]
    async with phone(browser, parents.url, service_workers="block") as mine:
        father = await joined(mine, parents, family, 1)
        await mine.follow("Chat")
        await says_they_are_responsible(mine, family)
        await mine.sees("Chat")
        await answer(mine, "Yes, I agree")
        await expect(mine.page.locator("h1")).not_to_have_text("Chat")
        await mine.goto(f"/m/permissions/{family.child_id}")
        await expect(mine.page.get_by_text("Answered, not sent")).to_have_count(1)
        await mine.follow("Check my answers")
        await expect(mine.page.get_by_role("button", name="Send my answers")).to_be_visible()
        await new_version(parents.school, Purpose.CHAT, "What is written is kept for longer.")
        await mine.press("Send my answers")
        await mine.sees(f"Permissions for {family.name}")
        await expect(mine.page.get_by_text("Not sent. Please answer again")).to_be_visible()
        assert await answers(parents.school, family, father) == {}
        await mine.follow("Chat")
        await says_they_are_responsible(mine, family)
        await expect(mine.page.get_by_text("What is written is kept for longer.")).to_be_visible()
        assert await mine.page.locator("input:checked").count() == 0, "a yes to the old words is none to these"
        await answer(mine, "Yes, I agree")
        await expect(mine.page.get_by_role("radio", name="Yes, I agree")).not_to_be_checked()
        await mine.goto(f"/m/permissions/{family.child_id}/check")
        await mine.press("Send my answers")
        await mine.sees("Sent")
        assert await answers(parents.school, family, father) == {"chat": ["given"]}


async def test_a_question_is_answered_by_keyboard_with_letters_twice_as_large(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "2 Elm", 1))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family)
        keys = mine.page.keyboard
        await mine.page.evaluate("document.documentElement.style.fontSize = '200%'")
        await mine.sound("permissions-200")
        await mine.page.get_by_role("link", name="Chat", exact=True).focus()
        await keys.press("Enter")
        await mine.sees(f"Do you have parental responsibility for {family.name}?")
        await expect(mine.page.locator("h1")).to_be_focused()
        await mine.sound("responsibility-200")
        for key in ("Tab", "Space", "Tab", "Enter"):
            await keys.press(key)
        await mine.sees("Chat")
        await mine.sound("question-200")
        for key in ("Tab", "ArrowDown", "Tab", "Tab", "Enter"):  # from the yes that stands to a no, past the reasons, to Save
            await keys.press(key)
        await mine.sees("Sent")
        await expect(mine.page.locator("h1")).to_be_focused()
        assert await answers(parents.school, family, mother) == {"chat": ["withdrawn"]}


async def test_the_answer_to_a_one_to_one(browser: Browser, parents: Parents) -> None:
    async with parents.school.database.reading() as session:
        lesson = (await session.exec(select(Lesson).where(
            col(Lesson.pupil_id).is_not(None), Lesson.status == "planned", Lesson.starts_at > parents.school.clock.now(),
        ))).first()
        adult = (await session.exec(select(Guardianship.guardian_id).where(
            Guardianship.child_id == lesson.pupil_id, Guardianship.contact_order == 1))).one()
        child = await session.get_one(Person, lesson.pupil_id)
    family = Family(child.id, child.given_name, (adult,))
    async with phone(browser, parents.url, service_workers="block") as mine:
        await joined(mine, parents, family)
        await mine.goto(f"/m/one-to-ones/{family.child_id}/{lesson.id}")
        await says_they_are_responsible(mine, family)
        await mine.sees("This one-to-one lesson")
        await expect(mine.page.get_by_text("Ms Khan").or_(mine.page.get_by_text("Mrs Khan")).first).to_be_visible()
        await mine.sound("one-to-one")
        await mine.choose("No, I do not agree")
        await mine.press("Save")
        await expect(mine.page.get_by_role("status")).to_contain_text("It does not happen.")
        assert await answers(parents.school, family, adult) == {"one_to_one": ["withdrawn"]}
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.follow("One-to-one lesson")
        parents.school.clock.advance(1)
        await answer(mine, "Yes, I agree")
        await mine.sees("Sent")
        assert await answers(parents.school, family, adult) == {"one_to_one": ["withdrawn", "given"]}

        # Whoever is asked is led to the question, from Home, from Permissions and from the message (policy: RL1, CO2).
        await new_version(parents.school, Purpose.ONE_TO_ONE, "It says more.", ends_answers=True)
        async with parents.school.database.writing() as session:
            session.add(FamilyMessage(school_id=lesson.school_id, person_id=adult, child_id=child.id, lesson_id=lesson.id,
                                      kind="one-to-one", about="a test", made_at=parents.school.clock.now()))
        await mine.goto("/m/")
        await mine.sees("Hello")
        needs = mine.page.locator(".needs").get_by_role("link", name=re.compile("question"))
        before = int((await needs.inner_text()).split()[0])
        await needs.click()
        await mine.sees(f"Permissions for {family.name}")
        await mine.follow("One-to-one lesson")
        await mine.sees(f"{family.name}'s one-to-one lessons")
        await mine.page.get_by_role("link", name=re.compile("^Messages")).click()
        await mine.page.get_by_role("link", name="Read about it and answer").first.click()
        await mine.sees("This one-to-one lesson")
        await mine.choose("Yes, I agree")
        parents.school.clock.advance(1)
        await mine.press("Save")
        await expect(mine.page.get_by_role("status")).to_contain_text("School tells you whether it takes place.")
        await mine.follow("Home")
        await expect(needs).to_contain_text(f"{before - 1} question")
        await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
        await mine.follow("One-to-one lesson")
        parents.school.clock.advance(1)
        await answer(mine, "No, I do not agree")
        await expect(mine.page.get_by_text(f"One-to-one lessons of {family.name} do not happen from now.")).to_be_visible()
        await mine.sound("one-to-one-taken-back")
        assert await answers(parents.school, family, adult) == {"one_to_one": ["withdrawn", "given", "given", "withdrawn"]}


async def test_home_names_the_young_child_whose_rules_a_parent_has_to_sign(browser: Browser, parents: Parents) -> None:
    family = (await agreeing(parents))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        await joined(mine, parents, family)
        await renewed(parents.school, "pupils", "Be kind on the screen.")
        await mine.goto("/m/")
        await mine.sees("Hello")
        await mine.sound("home-rules")
        await mine.page.locator(".needs").get_by_role("link", name=f"Sign the rules for {family.name}", exact=True).click()
        await expect(mine.page.get_by_text("Be kind on the screen.")).to_be_visible()
