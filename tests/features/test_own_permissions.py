"""“My permissions”: a pupil who is asked reads, answers and takes back in their own pages (policy: CO2, CO3)."""

import html
import json
import re
from datetime import date

import httpx
import pytest
from sqlmodel import select

from consent.documents import commands as document_commands
from consent.documents import queries as documents
from consent.documents.tables import ConsentText
from consent.rules import PURPOSES, Purpose
from service.people.tables import Person
from tests.features.test_consent_answers import answer, may, rows
from tests.features.test_consent_documents import office, publish
from tests.features.test_families import family
from tests.room.pages import Lesson
from tests.school import Running

PAGE = "/my-permissions"


async def grown(school: Running, child: str, age: int, *, asked_from: int = 16, **profile: str) -> str:
    """The child at this age, in a school that asks pupils from this one."""
    await school.set_profile(pupils_asked_from=asked_from, **profile)
    async with school.database.writing() as session:
        (await session.get_one(Person, child)).born_on = date(school.clock.now().year - age, 1, 1)
    return child


@pytest.fixture
async def ali(school: Running) -> str:
    """Sixteen, and asked beside two parents, one of whom said yes to a camera."""
    return await grown(school, (await family(school))[0], 16)


async def of(school: Running, person: str) -> httpx.AsyncClient:
    return school.client(await school.cookie(person))


def form(page: httpx.Response, said: str, **more: str) -> dict[str, str]:
    """What the page's own form sends."""
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    return {name: html.unescape(value) for name, value in hidden} | {"said": said} | more


async def says(client: httpx.AsyncClient, said: str, purpose: str = "camera", **more: str) -> httpx.Response:
    page = await client.get(f"{PAGE}/{purpose}")
    return await client.post(f"{PAGE}/{purpose}", data=form(page, said, **more))


def words(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


async def told(client: httpx.AsyncClient, purpose: str = "camera") -> str:
    """What the list says about one purpose."""
    page = (await client.get(PAGE)).text
    return words(page.partition(f'href="{PAGE}/{purpose}"')[0].rpartition('list__value">')[2].partition("</dd>")[0])


DAY = 24 * 3600


# -- who has such a page -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "asked_from", "is_asked"), [
    (15, 16, False), (16, 16, True), (17, 18, False), (18, 18, True), (19, 16, True),
])
async def test_the_page_is_there_from_the_age_of_the_school_and_from_eighteen_in_every_school(
    school: Running, age: int, asked_from: int, is_asked: bool,
) -> None:
    child = await grown(school, (await family(school))[0], age, asked_from=asked_from)
    async with await of(school, child) as client:
        found = [(await client.get(PAGE)).status_code, (await client.get(f"{PAGE}/camera")).status_code,
                 (await client.post(f"{PAGE}/camera", data={})).status_code]
        assert found == ([200, 200, 422] if is_asked else [404, 404, 404])
        assert (f'href="{PAGE}"' in (await client.get("/today")).text) is is_asked


async def test_a_pupil_whose_day_of_birth_nobody_knows_is_not_asked(school: Running, ali: str) -> None:
    async with school.database.writing() as session:
        (await session.get_one(Person, ali)).born_on = None
    async with await of(school, ali) as client:
        assert (await client.get(PAGE)).status_code == 404


async def test_neither_staff_nor_parents_have_such_a_page_nor_can_a_pupil_ask_for_another_ones(school: Running, ali: str) -> None:
    _, mother, _ = await family(school)
    other = next(pupil for pupil in school.lesson()["pupil_ids"] if pupil != ali)
    for person in (mother, *(school.person(role) for role in ("teacher", "office", "headteacher", "dsl"))):
        async with await of(school, person) as client:
            assert (await client.get(PAGE)).status_code == 404
            assert (await client.post(f"{PAGE}/camera", data={"said": "no"})).status_code == 404
    async with await of(school, ali) as client:
        for path in (f"{PAGE}/{other}", f"{PAGE}/{other}/camera", f"{PAGE}/everything"):
            assert (await client.get(path)).status_code == 404
        assert (await says(client, "no", child_id=other)).status_code == 303  # nobody asks the form whose answer it is
    assert {row.child_id for row in await rows(school, route="web")} == {ali}


# -- reading and answering -------------------------------------------------------------------------------------------------


async def test_every_purpose_is_listed_and_shown_in_the_words_of_its_version_about_this_pupil(school: Running, ali: str) -> None:
    async with school.database.reading() as session:
        name, school_id = (await session.get_one(Person, ali)).given_name, (await session.get_one(Person, ali)).school_id
        shown = await documents.shown(session, school_id)
        read = {purpose: await documents.words(session, school_id, one.document_id, "en", name=name)
                for purpose, one in shown.items()}
    async with await of(school, ali) as client:
        listed = (await client.get(PAGE)).text
        for purpose in PURPOSES:
            assert f'href="{PAGE}/{purpose}"' in listed
            page = words((await client.get(f"{PAGE}/{purpose}")).text)
            assert all(section.words in page for section in read[purpose].text.sections), purpose


async def test_with_an_answer_is_kept_what_was_read_who_said_it_and_how(school: Running, ali: str) -> None:
    async with await of(school, ali) as client:
        assert (await says(client, "no", reason=" My room ")).headers["location"] == f"{PAGE}?saved=camera"
    (row,) = await rows(school, route="web")
    async with school.database.reading() as session:
        shown = (await documents.shown(session, row.school_id))[Purpose.CAMERA]
    assert (row.child_id, row.respondent_id, row.recorded_by, row.answer, row.reason) == (ali, ali, ali, "refused", "My room")
    assert (row.document_id, row.document_version, row.text_hash) == (shown.document_id, 1, shown.languages["en"])
    assert json.loads(row.filled)["others"] == "Not other pupils."
    assert row.counts_from is None


async def test_a_text_that_was_read_in_welsh_is_answered_in_welsh(school: Running, ali: str) -> None:
    async with school.database.writing() as session:
        welsh = next(one for one in (await session.exec(select(ConsentText).where(ConsentText.language == "cy"))).all()
                     if "camera" in one.sections.lower())
        await document_commands.approve(session, await office(school, "headteacher"), text_id=welsh.id, reviewer="Mrs Jones",
                                        now=school.clock.now())
        about = next(purpose for purpose, one in (await documents.shown(session, welsh.school_id)).items()
                     if one.document_id == welsh.document_id)
    async with await of(school, ali) as client:
        assert f'href="{PAGE}/{about}?language=cy"' in (await client.get(f"{PAGE}/{about}")).text
        page = await client.get(f"{PAGE}/{about}?language=cy")
        await client.post(f"{PAGE}/{about}", data=form(page, "no"))
        assert '<div id="own-words" lang="en">' in (await client.get(f"{PAGE}/chat?language=xx")).text
    (row,) = await rows(school, route="web")
    assert '<div id="own-words" lang="cy">' in page.text
    assert (row.language, row.text_hash) == ("cy", welsh.text_hash)


async def test_nothing_is_chosen_for_them_and_who_chooses_nothing_is_told_and_keeps_what_they_wrote(
    school: Running, ali: str,
) -> None:
    async with await of(school, ali) as client:
        shown = (await client.get(f"{PAGE}/camera")).text.partition(f'action="{PAGE}/camera"')[2].partition("</form>")[0]
        assert shown.count('type="radio"') == 2
        assert " checked" not in shown
        again = await says(client, "", reason="My room")
        assert again.status_code == 422
        assert "Choose yes or no" in again.text
        assert 'value="My room"' in again.text
    assert await rows(school, route="web") == []


# -- what it does ----------------------------------------------------------------------------------------------------------


async def test_a_room_that_is_open_obeys_a_pupils_no_within_a_second(school: Running) -> None:
    lesson = Lesson(school)
    ali = await grown(school, lesson.pupil_ids[2], 16)
    await lesson.teacher()
    await lesson.pupil(0)
    page = await lesson.pupil(2)
    await lesson.opened()
    await page.until(lambda: page.state["room"] == "open")
    before = school.clock.boottime()
    async with await of(school, ali) as client:
        await says(client, "no", "attend")
    await page.until(lambda: page.state["hold"] == ["not-permitted"], 2.0)
    assert school.clock.boottime() - before <= 1.0
    await lesson.end()


async def test_from_eighteen_the_pupil_alone_decides_and_takes_it_back_as_easily(school: Running) -> None:
    child, mother, _ = await family(school)
    await answer(school, mother, child, True)
    await grown(school, child, 18)
    async with await of(school, child) as client:
        assert "only you decide" in (await client.get(PAGE)).text
        assert await told(client) == "Now: No You have not answered."
        done = await says(client, "yes")
        starts = "You said yes. It starts Wednesday 25 November, 10am."
        assert await told(client) == f"Now: No {starts}"
        assert "Your yes starts Wednesday 25 November, 10am." in (await client.get(done.headers["location"])).text
        assert "camera" not in await may(school, child)
    school.clock.advance(DAY)
    async with await of(school, child) as client:
        assert "camera" in await may(school, child)
        assert await told(client) == "Now: Yes You said yes."
        done = await says(client, "no")
        assert "camera" not in await may(school, child)
        assert await told(client) == "Now: No You said no."
        assert "Your no counts from now." in (await client.get(done.headers["location"])).text
    assert [row.answer for row in await rows(school, respondent_id=child)] == ["given", "withdrawn"]


async def test_a_pupils_no_stands_against_a_parents_yes_and_their_yes_alone_opens_nothing(school: Running, ali: str) -> None:
    async with await of(school, ali) as client:
        assert await told(client) == "Now: Yes You have not answered."
        await says(client, "no")
        assert await told(client) == "Now: No You said no."
        await says(client, "yes", "photographs")
    school.clock.advance(DAY)
    async with await of(school, ali) as client:
        assert (await told(client, "photographs")).startswith("Now: No You said yes. It is yes only when a grown-up says yes")
    assert "camera" not in await may(school, ali)


async def test_a_pupil_whose_parent_said_no_is_told_what_holds_and_that_both_are_asked_and_not_who_said_what(
    school: Running, ali: str,
) -> None:
    """Whether a parent said no or nothing at all, the pupil reads the same."""
    _, mother, father = await family(school)
    pages = []
    async with await of(school, ali) as client:
        await says(client, "yes", "photographs")
    school.clock.advance(DAY)
    for person in (None, mother, father):
        if person is not None:
            await answer(school, person, ali, False, Purpose.PHOTOGRAPHS)
        async with await of(school, ali) as client:
            pages.append(words((await client.get(f"{PAGE}/photographs")).text))
            pages.append(await told(client, "photographs"))
    assert pages[:2] == pages[2:4] == pages[4:]
    assert "Now: No You said yes." in pages[0]
    assert "You and your grown-ups are both asked. It is yes only when a grown-up says yes and nobody says no." in pages[0]


async def test_a_pupil_reads_that_the_law_comes_before_their_no_where_it_does(school: Running) -> None:
    child = await grown(school, (await family(school))[0], 18, recording_basis="public_task")
    async with await of(school, child) as client:
        await says(client, "no", "be_recorded")
        assert "Now: Yes You said no. A law or a court comes before your answer here." in await told(client, "be_recorded")


async def test_a_pupil_is_asked_again_when_a_yes_has_run_out(school: Running) -> None:
    child = await grown(school, (await family(school))[0], 18)
    async with await of(school, child) as client:
        await says(client, "yes")
    school.clock.advance(366 * DAY)
    async with await of(school, child) as client:
        assert await told(client) == "Now: No You said yes, and that has run out. Please answer again."


# -- two pages, two presses ------------------------------------------------------------------------------------------------


async def test_a_form_that_is_sent_twice_is_one_answer(school: Running, ali: str) -> None:
    async with await of(school, ali) as client:
        sent = form(await client.get(f"{PAGE}/camera"), "yes")
        assert [(await client.post(f"{PAGE}/camera", data=sent)).status_code for _ in range(2)] == [303, 303]
    assert len(await rows(school, route="web")) == 1


async def test_a_yes_from_a_page_that_was_left_open_does_not_come_after_a_no_and_a_no_is_always_taken(
    school: Running, ali: str,
) -> None:
    async with await of(school, ali) as client:
        old = await client.get(f"{PAGE}/camera")
        await says(client, "no")
        refused = await client.post(f"{PAGE}/camera", data=form(old, "yes"))
        assert refused.status_code == 422
        assert "You answered this question again after you read it here" in refused.text
        assert (await client.post(f"{PAGE}/camera", data=form(old, "no"))).status_code == 303
        school.clock.advance(1)
        assert (await says(client, "yes")).status_code == 303
    assert [row.answer for row in await rows(school, route="web")] == ["refused", "refused", "given"]


async def test_a_yes_is_only_to_the_words_that_are_shown_now_and_the_new_ones_are_read_first(school: Running, ali: str) -> None:
    async with await of(school, ali) as client:
        old = await client.get(f"{PAGE}/camera")
        await publish(school, ends_answers=True)
        refused = await client.post(f"{PAGE}/camera", data=form(old, "yes"))
        assert refused.status_code == 422
        assert "Read them again before you say yes" in refused.text
        assert "What changed: It is clearer" in refused.text
        assert (await client.post(f"{PAGE}/camera", data=form(refused, "yes"))).status_code == 303
    assert [row.document_version for row in await rows(school, route="web")] == [2]
