"""The pages of one-to-ones: asking, deciding, ending, and what the safeguarding team and families see."""

import re
from collections.abc import AsyncIterator
from datetime import date, timedelta

import httpx
import pytest
from sqlmodel import col, select

from consent.rules import Status
from lessons.one_to_one.queries import CONSENT_WORDS
from lessons.tables import JournalEntry
from recordings.tables import Recording, RecordingParticipant, RecordingView
from service.people.tables import Guardianship, SignIn
from service.safeguarding.approvals import queries as approved
from tests.features.test_planning_roster import change
from tests.one_to_one import WHY, approve, ask, given, lessons, named, pupils, revoke
from tests.proofs import confirmed_post
from tests.school import Running

FORM = {"on-day": "26", "on-month": "11", "on-year": "2026", "start": "12:00", "length": "30", "repeat": "once", "why": WHY,
        "tried": "group", "safeguards": "The door is open.", "parent": "yes", "camera": "off"}


@pytest.fixture
async def teacher(school: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with await school.signed_in("teacher") as client:
        yield client


@pytest.fixture
async def head(school: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with await school.signed_in("headteacher") as client:
        yield client


def errors(page: httpx.Response) -> list[str]:
    summary = re.search(r'govuk-error-summary__list">(.*?)</ul>', page.text, re.S)
    return re.findall(r"<a[^>]*>(.*?)</a>", summary[1]) if summary else []


def digest(page: httpx.Response) -> str:
    found = re.search(r'name="digest" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found[1]


async def decided(school: Running, client: httpx.AsyncClient, request_id: str, **changes: str) -> httpx.Response:
    page = await client.get(f"/one-to-one/{request_id}")
    form = {"answer": "approve", "reason": "Agreed with the family.", "digest": digest(page), **changes}
    return await confirmed_post(school, client, school.person("headteacher"), f"/one-to-one/{request_id}", form)


# Asking


async def test_a_teacher_asks_and_sees_where_it_stands(school: Running, teacher: httpx.AsyncClient) -> None:
    assert "We avoid these. A senior leader must approve this exact lesson, adult and pupil." in (
        await teacher.get("/one-to-one/ask")).text
    answer = await teacher.post("/one-to-one/ask", data={"pupil": (await pupils(school))[0], **FORM})
    assert answer.status_code == 303, answer.text
    page = await teacher.get(answer.headers["location"])
    assert "Nothing can start until it is approved and a parent has said yes." in page.text
    assert "Waiting for approval" in page.text
    assert "Most staff" not in page.text  # the pattern is for those who decide
    assert "Waiting for approval" in (await teacher.get("/one-to-one")).text


async def test_a_refused_form_loses_nothing_and_says_what_to_do(school: Running, teacher: httpx.AsyncClient) -> None:
    page = await teacher.post("/one-to-one/ask", data={**FORM, "why": "", "start": "", "safeguards": "Kept"})
    assert page.status_code == 422
    assert errors(page) == ["Choose a pupil", "Choose when it starts", "Say why this cannot be a group"]
    assert ">Kept</textarea>" in page.text
    soon = {**FORM, "pupil": (await pupils(school))[0], "on-day": "25", "start": "09:00"}
    assert errors(await teacher.post("/one-to-one/ask", data=soon)) == ["Choose a time at least 24 hours away"]


async def test_a_series_is_asked_for_at_once(school: Running, teacher: httpx.AsyncClient) -> None:
    weekly = {**FORM, "repeat": "weekly", "until-day": "10", "until-month": "12", "until-year": "2026"}
    answer = await teacher.post("/one-to-one/ask", data={"pupil": (await pupils(school))[0], **weekly})
    request_id = answer.headers["location"].split("/")[-1].partition("?")[0]
    assert len(await lessons(school, request_id)) == 3


async def test_a_plan_with_one_pupil_leads_to_the_request(school: Running, teacher: httpx.AsyncClient) -> None:
    await change(school, "DELETE FROM group_member WHERE part = 'pupil' AND person_id NOT IN (SELECT max(person_id) FROM "
                         "group_member WHERE part = 'pupil' GROUP BY group_id)")
    form = await teacher.get("/lessons/plan")
    group = re.search(r'<option value="([0-9a-f]{32})" selected>', form.text)
    assert group
    page = await teacher.post("/lessons/plan", data={
        "group": group[1], "title": "Alone", "day": "other", "on-day": "30", "on-month": "11", "on-year": "2026",
        "start": "10:15", "length": "30", "repeat": "once"})
    assert 'href="/one-to-one/ask"' in page.text


# Deciding


async def test_the_headteacher_reads_everything_and_approves_exactly_this(school: Running, head: httpx.AsyncClient) -> None:
    request_id = await ask(school)
    queue = (await head.get("/lessons/waiting")).text
    assert f"/one-to-one/{request_id}" in queue
    page = await head.get(f"/one-to-one/{request_id}")
    for words in (WHY, "A group, A second adult", "Mr Hall has a valid DBS check", "No objection",
                  "This would be Mr Hall’s 1st one-to-one this half term.", "is free at 12pm", "Add as second adult"):
        assert words in page.text, words
    answer = await decided(school, head, request_id)
    assert answer.status_code == 303, answer.text
    page = await head.get(answer.headers["location"])
    assert "Approved" in page.text
    assert f"/one-to-one/{request_id}" not in (await head.get("/lessons/waiting")).text
    [approval] = await given(school, request_id)
    assert approval.confirmed_by


async def test_nothing_is_decided_without_a_proof_or_on_a_wrong_one(school: Running, head: httpx.AsyncClient) -> None:
    request_id = await ask(school)
    form = {"answer": "approve", "reason": "Yes", "digest": digest(await head.get(f"/one-to-one/{request_id}"))}
    assert "Check it is you" in (await head.post(f"/one-to-one/{request_id}", data=form)).text
    wrong = {**form, "step_up_action": "0" * 64, "step_up_password": "x", "step_up_code": "123456"}
    assert (await head.post(f"/one-to-one/{request_id}", data=wrong)).status_code == 422
    assert await given(school) == []


async def test_what_is_missing_or_has_changed_is_said_before_anybody_proves_anything(
    school: Running, head: httpx.AsyncClient,
) -> None:
    request_id = await ask(school)
    read = digest(await head.get(f"/one-to-one/{request_id}"))
    page = await head.post(f"/one-to-one/{request_id}", data={"digest": read})
    assert errors(page) == ["Choose what you decide", "Give a reason"]
    page = await head.post(f"/one-to-one/{request_id}", data={"answer": "approve", "reason": "Yes", "digest": "0" * 64})
    assert errors(page) == ["This request has changed. Read it again."]
    school.clock.advance(3 * 86400)
    async with await school.signed_in("headteacher") as later:
        page = await later.get(f"/one-to-one/{request_id}")
        assert "Time has passed. It was not approved." in page.text
        assert "Save decision" not in page.text


async def test_asking_for_more_and_answering(school: Running, teacher: httpx.AsyncClient, head: httpx.AsyncClient) -> None:
    request_id = await ask(school)
    form = {"answer": "more", "reason": "Why not after school?", "digest": digest(await head.get(f"/one-to-one/{request_id}"))}
    assert (await head.post(f"/one-to-one/{request_id}", data=form)).status_code == 303
    page = await teacher.get(f"/one-to-one/{request_id}")
    assert "Why not after school?" in page.text
    assert (await teacher.post(f"/one-to-one/{request_id}/answer", data={"words": "There is no bus."})).status_code == 303
    assert "There is no bus." in (await head.get(f"/one-to-one/{request_id}")).text


@pytest.mark.parametrize(("role", "status"), [("pupil", 404), ("parent", 404), ("office", 404), ("governor", 404), ("dsl", 200)])
async def test_nobody_without_business_finds_a_request(school: Running, role: str, status: int) -> None:
    request_id = await ask(school)
    async with await school.signed_in(role) as client:
        assert (await client.get(f"/one-to-one/{request_id}")).status_code == status
    async with await school.signed_in("teacher", 1) as colleague:
        assert (await colleague.get(f"/one-to-one/{request_id}")).status_code == 404


async def test_a_mark_takes_approve_away_until_the_dsl_was_talked_to_and_says_why_to_nobody(
    school: Running, head: httpx.AsyncClient, teacher: httpx.AsyncClient,
) -> None:
    request_id, hall = await ask(school), await named(school, "Mr Hall")
    async with await school.signed_in("dsl") as dsl:
        mark = {"person": hall.person_id, "mark": "talk-first", "reason": "A secret worry"}
        assert (await dsl.post("/safeguarding/marks", data=mark)).status_code == 303
        assert "A secret worry" in (await dsl.get("/safeguarding/marks")).text
    page = await head.get(f"/one-to-one/{request_id}")
    assert "Talk to the DSL first" in page.text
    assert "Approve exactly this" not in page.text
    assert "A secret worry" not in page.text
    assert "Talk to the DSL" not in (await teacher.get(f"/one-to-one/{request_id}")).text
    school.clock.advance(30)
    unticked = await head.post(f"/one-to-one/{request_id}/spoken", data={"spoken": "She agrees, by telephone."})
    assert (unticked.status_code, "She agrees, by telephone.</textarea>" in unticked.text) == (422, True)
    spoken = {"talked": "yes", "spoken": "She agrees."}
    assert (await head.post(f"/one-to-one/{request_id}/spoken", data=spoken)).status_code == 303
    page = await head.get(f"/one-to-one/{request_id}")
    assert "Approve exactly this" in page.text
    assert "She agrees." not in (await teacher.get(f"/one-to-one/{request_id}")).text


async def test_a_second_adult_is_added_in_one_press(school: Running, head: httpx.AsyncClient) -> None:
    request_id, cole = await ask(school), await named(school, "Ms Cole")
    assert (await head.post(f"/one-to-one/{request_id}/second", data={"person": cole.person_id})).status_code == 303
    assert "Second adult instead" in (await head.get(f"/one-to-one/{request_id}")).text
    assert [row.status for row in await lessons(school, request_id)] == ["planned"]


async def test_the_chair_decides_about_the_headteacher_s_own(school: Running, head: httpx.AsyncClient) -> None:
    request_id = await ask(school, by="Dr Marsh")
    assert f"/one-to-one/{request_id}" not in (await head.get("/lessons/waiting")).text
    chair = await named(school, "Mrs Frost")
    async with school.client(await school.cookie(chair.person_id)) as client:
        assert f"/one-to-one/{request_id}" in (await client.get("/lessons/waiting")).text
        assert "Approve exactly this" in (await client.get(f"/one-to-one/{request_id}")).text


# Ending


async def test_an_approval_is_ended_from_in_force(school: Running, head: httpx.AsyncClient) -> None:
    request_id = await ask(school)
    await approve(school, request_id)
    [approval] = await given(school)
    path = f"/one-to-one/in-force/{approval.id}"
    assert path in (await head.get("/one-to-one/in-force")).text
    assert errors(await head.post(path)) == ["Give a reason"]
    answer = await confirmed_post(school, head, school.person("headteacher"), path, {"reason": "The family rang."})
    assert answer.status_code == 303, answer.text
    assert "Ended at 10:00:00am" in (await head.get(answer.headers["location"])).text
    assert [one.revoked_because for one in await given(school)] == ["The family rang."]


# What others see


async def test_the_dsl_sees_every_one_with_who_approved_it(school: Running) -> None:
    await approve(school, await ask(school))
    async with await school.signed_in("dsl") as client:
        page = (await client.get("/safeguarding/one-to-ones")).text
    assert "Dr Marsh" in page
    assert "Not yet" in page
    async with await school.signed_in("headteacher") as client:
        assert (await client.get("/safeguarding/one-to-ones")).status_code == 404


@pytest.mark.parametrize("marked", [False, True], ids=["told", "marked as unsafe"])
async def test_the_family_is_told_unless_that_is_unsafe(school: Running, marked: bool) -> None:
    child = (await pupils(school))[0]
    await approve(school, await ask(school))
    parent = await parent_of(school, child)
    if marked:
        async with await school.signed_in("dsl") as dsl:
            mark = {"person": child, "mark": "do-not-tell", "reason": "Not safe at home"}
            assert (await dsl.post("/safeguarding/marks", data=mark)).status_code == 303
    async with school.client(await school.cookie(parent)) as client:
        page, api = await client.get("/family"), await client.get("/api/v1/timetable")
    await it_took_place_and_was_watched(school, child)
    async with school.client(await school.cookie(parent)) as client:
        attended, data, views = [(await client.get(f"/api/v1/children/{child}/{what}")).json()
                                 for what in ("attendance", "data", "views")]
    assert ("One-to-one" in [one["title"] for one in attended["entries"]]) is not marked
    assert (data["used_mb"] > 0) is not marked
    assert bool(views["entries"]) is not marked
    for words in ("and Mr Hall, alone, on Thursday 26 November, 12pm to 12:30pm", WHY, "Dr Marsh", "It stops at once."):
        assert (words in page.text) is not marked
    assert ("One-to-one" in page.text) is not marked
    assert ("One-to-one" in api.text) is not marked


async def test_a_parent_who_is_asked_about_a_one_to_one_finds_the_question(school: Running) -> None:
    """It is counted and stands with the others while a one-to-one is approved, and what was answered can always be changed."""
    async with school.database.reading() as session:
        links = (await session.exec(select(Guardianship).order_by(col(Guardianship.contact_order)))).all()
    adults = {child: [link.guardian_id for link in links if link.child_id == child] for child in await pupils(school)}
    number, (child, (answered, unanswered)) = next(
        (number, family) for number, family in enumerate(adults.items()) if len(family[1]) == 2)

    async def asks(parent: str) -> tuple[int, list[tuple[str, bool]]]:
        async with school.client(await school.cookie(parent)) as client:
            me = (await client.get("/api/v1/me")).json()
            consent = (await client.get(f"/api/v1/children/{child}/consent")).json()
        return me["questions"], [(one["answer"], one["needs_answer"]) for one in consent["permissions"]
                                 if one["purpose"] == "one_to_one"]

    before, rows = await asks(unanswered)
    assert rows == []  # negative control: where none is approved, nobody is asked
    others, rows = await asks(answered)
    assert rows == [("yes", False)]
    await approve(school, await ask(school, pupil=number))
    assert await asks(unanswered) == (before + 1, [(None, True)])
    assert await asks(answered) == (others, [("yes", False)])
    await revoke(school, (await given(school))[0].id)
    assert await asks(unanswered) == (before, [])


async def test_where_telling_is_unsafe_no_question_tells(school: Running) -> None:
    child = (await pupils(school))[0]
    await approve(school, await ask(school))
    [approval] = await given(school)

    async def told() -> frozenset[str]:
        async with school.database.reading() as session:
            return await approved.told_of_some(session, approval.school_id, [child], school.clock.now())

    assert await told() == {child}  # negative control
    async with await school.signed_in("dsl") as dsl:
        mark = {"person": child, "mark": "do-not-tell", "reason": "Not safe at home"}
        assert (await dsl.post("/safeguarding/marks", data=mark)).status_code == 303
    assert await told() == frozenset()


async def test_a_family_is_not_told_of_what_nobody_approved(school: Running) -> None:
    await ask(school)
    parent = await parent_of(school, (await pupils(school))[0])
    async with school.client(await school.cookie(parent)) as client:
        assert "One-to-one" not in (await client.get("/family")).text


async def it_took_place_and_was_watched(school: Running, child: str) -> None:
    """The approved one-to-one was recorded, and the safeguarding team watched it afterwards."""
    [approval] = await given(school)
    school.clock.advance((approval.ends_at - school.clock.now()).total_seconds() + 3600)
    async with school.database.writing() as session:
        of = {"school_id": approval.school_id}
        session.add_all(
            JournalEntry(**of, lesson_id=approval.lesson_id, seq=seq, at=at, kind=kind, person_id=person)
            for seq, (at, kind, person) in enumerate((
                (approval.starts_at, "joined", child), (approval.ends_at, "left", child), (approval.ends_at, "ended", "")), 1))
        recording = Recording(**of, lesson_id=approval.lesson_id, title="One-to-one", class_name="5 Oak", outcome="complete",
                              starts_at=approval.starts_at, ends_at=approval.ends_at, started_at=approval.starts_at,
                              ended_at=approval.ends_at, kept_until=date(2027, 1, 1))
        session.add(recording)
        await session.flush()
        now, sign_in = school.clock.now(), (await session.exec(select(SignIn.id))).first() or ""
        session.add_all([
            RecordingParticipant(**of, recording_id=recording.id, person_id=child, role="pupil", admitted_at=approval.starts_at),
            RecordingView(**of, recording_id=recording.id, person_id=school.person("dsl"), session_id=sign_in, why="flag",
                          granted_at=now, expires_at=now + timedelta(hours=1))])


async def parent_of(school: Running, child: str) -> str:
    async with school.database.reading() as session:
        return (await session.exec(select(Guardianship.guardian_id).where(Guardianship.child_id == child))).all()[0]


def test_the_page_of_a_request_has_words_for_whatever_a_family_says() -> None:
    """Also for a yes that ran out, and for one that starts later."""
    assert CONSENT_WORDS.keys() == set(Status)
