"""Answers that wait on a phone: none is lost without a word, each is sent once and in its order."""

import json
import re
from typing import Any

import pytest
from playwright.async_api import Browser, Route, expect

from service.people import queries as people
from service.people.tables import Person
from tests.features.test_agreements import renewed
from tests.pwa.conftest import Parents
from tests.pwa.families import Family, answers, families
from tests.pwa.phone import Phone, phone
from tests.pwa.test_permissions import agreeing, answer, joined, lost, says_they_are_responsible

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
CONSENT = "**/api/v1/children/*/consent"

ANSWERS = """async ([edition, name]) => {
  const file = (one) => import(`/m/files/${edition}/${one}.js`);
  const [{ Answers }, { Problem }, { Store }] = [await file("answers"), await file("protocol"), await file("store")];
  const store = await Store.open(name), sent = [], server = {};
  const opens = (phone) => store.set("phone", phone);
  if (!await store.get("phone")) await opens("hers");
  const client = { write: async (method, path, body) => {
    if (server.status) throw new Problem(server.status, { code: server.code });
    sent.push(body.says);
  } };
  const answers = new Answers(store, client);
  const wait = async (purpose, says) => store.put({ ...await answers.save("child", purpose, "/", { says }), state: "waiting" });
  WORK
  return [sent, (await store.waiting()).map((one) => one.state)];
}"""


async def worked(mine: Phone, parents: Parents, work: str, name: str) -> Any:
    """What was sent, and how the answers of a phone stand, after some work on a store of this name."""
    return await mine.page.evaluate(ANSWERS.replace("WORK", work), [parents.school.app.state.parents_app.edition, name])


@pytest.mark.parametrize(("status", "code", "becomes"), [
    (503, "", "waits"), (429, "", "waits"), (403, "agreement-due", "waits"), (409, "under-way", "waits"),
    (409, "answer-lost", "sent"), (409, "words-changed", "refused"), (404, "not-found", "refused"),
])
async def test_only_what_the_school_refused_is_not_tried_again(
    browser: Browser, parents: Parents, status: int, code: str, becomes: str,
) -> None:
    """A school that is busy for a moment does not take the second before the first; what it took before, it does not refuse."""
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.goto("/m/")
        tried = f"""
          await wait("camera", "yes"); await wait("chat", "no");
          const write = client.write;
          let tries = 0;
          client.write = (...given) => {{
            Object.assign(server, {{ status: tries++ ? 0 : {status}, code: "{code}" }});
            return write(...given);
          }};
          await answers.flush();"""
        said = await worked(mine, parents, tried, code or str(status))
        assert said == ([[], ["waiting", "waiting"]] if becomes == "waits" else [["no"], [becomes, "sent"]])


@pytest.mark.parametrize(("status", "code"), [(503, ""), (502, ""), (429, ""), (409, "under-way")])
async def test_an_answer_that_the_school_cannot_take_just_now_waits_and_is_not_called_lost(
    browser: Browser, parents: Parents, status: int, code: str,
) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.goto("/m/")
        pressed = f"""server.status = {status}; server.code = "{code}";
          sent.push(await answers.send([await answers.save("child", "camera", "/", {{ says: "no" }})]));"""
        assert await worked(mine, parents, pressed, f"{status}") == [[None], ["waiting"]]


async def test_the_last_word_on_a_question_is_the_one_that_is_sent(browser: Browser, parents: Parents) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.goto("/m/")
        replaced = """await wait("camera", "yes"); await wait("camera", "no"); await answers.flush();"""
        assert await worked(mine, parents, replaced, "replaced") == [["no"], ["sent"]]


async def test_a_clock_that_is_put_right_between_two_answers_changes_neither_their_order_nor_the_last_word(
    browser: Browser, parents: Parents,
) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.page.clock.install()
        await mine.goto("/m/")
        await mine.page.clock.set_fixed_time("2031-05-01T10:00:00Z")
        await worked(mine, parents, """await wait("camera", "yes"); await wait("chat", "no");""", "clock")
        await mine.page.clock.set_fixed_time("2026-05-01T10:00:00Z")
        again = """await wait("camera", "no"); await wait("microphone", "yes"); await answers.flush();"""
        assert await worked(mine, parents, again, "clock") == [["no", "no", "yes"], ["sent", "sent", "sent"]]


async def test_what_waits_is_sent_when_its_own_parent_is_back(browser: Browser, parents: Parents) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.goto("/m/")
        shared = """await wait("camera", "hers"); await opens("his"); await wait("camera", "his"); await answers.flush();
          sent.push("then"); await opens("hers"); await answers.flush();"""
        assert await worked(mine, parents, shared, "shared") == [["his", "then", "hers"], ["sent", "sent"]]


async def test_whoever_signs_out_leaves_the_other_parents_answers_where_they_are(browser: Browser, parents: Parents) -> None:
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.goto("/m/")
        left = """await wait("camera", "his no"); await opens("mother"); await wait("camera", "her yes"); await store.empty();
          await opens("hers"); await answers.flush();"""
        assert await worked(mine, parents, left, "left") == [["his no"], ["sent"]]


async def takes_the_camera_back(mine: Phone, family: Family, then: str = "Waiting to send") -> None:
    await mine.follow("Camera")
    await says_they_are_responsible(mine, family)
    await mine.sees("Camera")
    await answer(mine, "No, I do not agree")
    await mine.sees(then)


async def kept_purposes(mine: Phone) -> list[str]:
    return [one["purpose"] for one in json.loads(await mine.kept())[0]["waiting"]]


async def test_on_a_shared_tablet_whoever_signs_out_takes_no_answer_of_the_other_parent_with_them(
    browser: Browser, parents: Parents,
) -> None:
    family = (await agreeing(parents))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        await joined(mine, parents, family)
        await mine.page.route(CONSENT, lost)
        await takes_the_camera_back(mine, family)
        await mine.follow("More")
        await mine.press("Lock the app")
        await mine.sees("Chaperone is locked")
        await joined(mine, parents, family, 1)
        await mine.follow("More")
        await mine.press("Sign out on this phone")
        await mine.sees("Choose your language")
        assert await kept_purposes(mine) == ["camera"]


async def test_nobodys_own_answer_is_deleted_before_they_say_so(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 1))[0]
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family)
        await mine.page.route(CONSENT, lost)
        await takes_the_camera_back(mine, family)
        await mine.follow("More")
        await mine.press("Sign out on this phone")
        await mine.sees("Your answers are not sent")
        await expect(mine.page.get_by_text("1 answer of yours is only on this phone. It does not count yet.")).to_be_visible()
        await mine.sound("leave")
        await mine.press("Stay signed in")
        await mine.sees("More")
        assert await kept_purposes(mine) == ["camera"]
        await mine.press("Sign out on this phone")
        await mine.press("Delete them and sign out")
        await mine.sees("Choose your language")
        assert await kept_purposes(mine) == []
        assert await answers(parents.school, family, mother) == {}


async def test_what_can_be_sent_is_sent_before_somebody_signs_out(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 1))[1]
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family)
        await mine.page.route(CONSENT, lost)
        await takes_the_camera_back(mine, family)
        await mine.page.unroute(CONSENT)
        await mine.follow("More")
        await mine.press("Sign out on this phone")
        await mine.sees("Choose your language")
        assert await answers(parents.school, family, mother) == {"camera": ["withdrawn"]}


async def busy(route: Route) -> None:
    """The school starts anew just now."""
    await (route.fulfill(status=503, body="") if route.request.method == "POST" else route.continue_())


async def test_a_school_that_was_busy_is_asked_again_and_nobodys_half_written_words_are_drawn_over(
    browser: Browser, parents: Parents,
) -> None:
    family = (await families(parents.school, "5 Oak", 1))[2]
    async with phone(browser, parents.url, service_workers="block") as mine:
        await mine.page.clock.install()
        mother = await joined(mine, parents, family)
        await mine.page.route(CONSENT, busy)
        await takes_the_camera_back(mine, family)
        await expect(mine.page.get_by_text("It does not count yet.")).to_be_visible()
        await mine.follow("More")
        await mine.follow("Raise a concern")
        await mine.page.locator("textarea").fill("She does not want to go to school.")
        await mine.page.unroute(CONSENT)
        async with mine.page.expect_response(lambda said: said.url.endswith("/me") and said.request.method == "GET"):
            await mine.page.clock.run_for(31_000)
        assert await answers(parents.school, family, mother) == {"camera": ["withdrawn"]}
        await expect(mine.page.locator("textarea")).to_have_value("She does not want to go to school.")
        await mine.follow("Home")
        await expect(mine.page.get_by_text(re.compile("^Sent "))).to_be_visible()


async def test_what_waited_for_the_agreement_is_sent_once_it_is_signed(browser: Browser, parents: Parents) -> None:
    family = (await families(parents.school, "5 Oak", 1))[3]
    async with phone(browser, parents.url, service_workers="block") as mine:
        mother = await joined(mine, parents, family)
        await mine.follow("Camera")
        await says_they_are_responsible(mine, family)
        await mine.sees("Camera")
        await renewed(parents.school, "parents", "Be kinder.", what_changed="Kindness is new")
        await answer(mine, "No, I do not agree")
        await mine.sees("Agreement for parents")
        assert await answers(parents.school, family, mother) == {}
        async with parents.school.database.reading() as session:
            school_id = (await session.get_one(Person, mother)).school_id
            name = (await people.person(session, school_id, mother)).full_name
        await mine.page.get_by_role("checkbox", name="I have read this and I agree").check()
        await mine.page.get_by_label("Type your full name").fill(name)
        await mine.press("Sign the agreement")
        await mine.sees("You have signed")
        assert await answers(parents.school, family, mother) == {"camera": ["withdrawn"]}
