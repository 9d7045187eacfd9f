"""Real pupils are blocked until the Data Protection Officer has approved the impact assessment (policy: AC5)."""

import json

import httpx
import pytest
from sqlalchemy.exc import DatabaseError
from sqlmodel import func, select, update

from lessons import roster as rosters
from lessons.live import reading
from lessons.reminders import waiting_for
from service.foundation.audit import AuditLeaf
from service.people.tables import Person, School
from service.safeguarding.impact import queries, rules
from service.safeguarding.impact.tables import ImpactReview
from tests.features.test_import import PUPILS, imported, sheet
from tests.features.test_permissions import office
from tests.proofs import confirmed_post, give_codes
from tests.school import Running

BLOCKED = "Real pupils stay blocked"
REFUSED = "approves the impact assessment. Nothing has been saved."


async def children(school: Running) -> int:
    async with school.database.reading() as session:
        return int((await session.exec(select(func.count()).select_from(Person).where(Person.kind == "child"))).one())


async def answers(client: httpx.AsyncClient, **said: str) -> dict[str, str]:
    """The officer's form as it is shown: yes to everything but `said`."""
    page = (await client.get("/impact")).text
    shown = page.partition('name="shown" value="')[2].partition('"')[0]
    assert len(shown) == 64
    keys = [part.partition('"')[0] for part in page.split('aria-labelledby="section-')[1:]]
    return {"shown": shown, **dict.fromkeys(keys, "yes"), **said}


async def reviewed(school: Running, **said: str) -> httpx.Response:
    """The officer answers, and confirms it."""
    client = await school.signed_in("dpo")
    given = await answers(client, **said)
    school.clock.advance(60)  # a code works once
    return await confirmed_post(school, client, school.person("dpo"), "/impact", given)


async def test_until_the_approval_is_recorded_no_pupil_is_added_imported_or_brought_back(school: Running) -> None:
    left = school.lesson()["pupil_ids"][0]
    async with school.database.writing() as session:
        await session.exec(update(Person).where(Person.id == left).values(left_on=school.clock.now().date()))
    await school.block_pupils()
    before = await children(school)
    child = {"kind": "child", "given_name": "Ivo", "family_name": "Novak", "year_group": "5"}
    async with await school.signed_in("office") as client:
        for answer in (await client.post("/people/add", data=child), await client.post(f"/people/{left}/return"),
                       await imported(client, sheet(*PUPILS))):
            assert REFUSED in answer.text, (answer.status_code, answer.text)
        assert await children(school) == before
        adult = {"kind": "adult", "given_name": "Ivo", "family_name": "Novak", "roles": "support", "email": "ivo@example.org"}
        assert (await client.post("/people/add", data=adult)).status_code == 303, "staff can be added before"
    assert (await reviewed(school)).status_code == 303
    async with await school.signed_in("office") as client:  # negative control
        assert (await client.post("/people/add", data=child)).status_code == 303
        assert (await imported(client, sheet(*PUPILS))).status_code in (200, 303)
    assert await children(school) == before + 3


async def test_whatever_families_permit_no_pupil_is_admitted_before_the_approval(school: Running) -> None:
    lesson = school.lesson()["id"]

    async def may(blocked: bool) -> None:
        async with school.database.reading() as session:
            roster = await rosters.roster(session, lesson)
            plan = await reading.plan(session, roster)
        assert any(plan.people[pupil.id].may.attend for pupil in roster.pupils) is not blocked
        async with school.client(await school.cookie(roster.pupils[0].id)) as client:
            answer = await client.post(f"/lessons/{lesson}/door", json={})
            assert (answer.status_code == 403 and answer.json()["code"] == "not-permitted") is blocked, answer.text

    await may(blocked=False)
    await school.block_pupils()
    school.clock.advance(11)
    await may(blocked=True)


async def test_one_no_takes_the_approval_back_in_a_lesson_that_is_on(school: Running) -> None:
    answer = await reviewed(school, kept="no", **{"kept-note": "We keep them for a year"})
    assert answer.status_code == 303
    async with school.database.reading() as session:
        assert await queries.are_blocked(session, (await office(school)).school_id)
        assert (await session.exec(select(AuditLeaf.kind).where(AuditLeaf.kind == "ImpactReviewed"))).all() == ["ImpactReviewed"]
    for role in ("dpo", "headteacher", "office"):
        async with await school.signed_in(role) as client:
            page = (await client.get("/impact")).text
            assert all(words in page for words in ("Not approved: real pupils stay blocked.", "We keep them for a year"))
            assert ("Still true?" in page) is (role == "dpo")


async def test_the_office_and_the_headteacher_are_told_on_every_page_while_pupils_are_blocked(school: Running) -> None:
    async with await school.signed_in("office") as client:
        assert BLOCKED not in (await client.get("/people")).text
        await school.block_pupils()
        assert BLOCKED in (await client.get("/people")).text
    async with await school.signed_in("teacher") as client:
        assert BLOCKED not in (await client.get("/today")).text


async def test_a_rule_that_changes_what_is_kept_asks_the_officer_again_and_lessons_go_on(school: Running) -> None:
    school_id, officer = (await office(school)).school_id, school.person("dpo")

    async def is_waited_for() -> bool:
        async with school.database.reading() as session:
            return officer in await waiting_for(session, school_id, school.clock.now())

    assert not await is_waited_for()
    await school.set_profile(retention_days=7)
    async with school.database.reading() as session:
        found = await queries.assessment(session, school_id)
    assert (found.due, found.is_blocked) == (rules.Due.CHANGED, False)
    assert await is_waited_for()
    assert (await reviewed(school)).status_code == 303
    assert not await is_waited_for()


async def test_what_is_approved_is_what_was_shown_and_nothing_is_approved_without_a_proof(school: Running) -> None:
    async with await school.signed_in("dpo") as client:
        given = await answers(client)
        assert "Check it is you" in (await client.post("/impact", data=given)).text
        refused = await client.post("/impact", data=given | {"kept": ""})
        assert (refused.status_code, "Say whether “How long” is still true" in refused.text) == (422, True)
        await give_codes(school, school.person("dpo"))
        await school.set_profile(retention_days=7)
        answer = await confirmed_post(school, client, school.person("dpo"), "/impact", given)
        assert (answer.status_code, "has changed since you opened it" in answer.text) == (422, True)
    async with school.database.reading() as session:
        assert (await session.exec(select(func.count()).select_from(ImpactReview))).one() == 1, "the seed's"


async def test_what_the_officer_said_stays_with_the_document_it_was_about(school: Running) -> None:
    assert (await reviewed(school)).status_code == 303
    async with school.database.reading() as session:
        row = (await session.exec(select(ImpactReview).order_by(ImpactReview.reviewed_at.desc()))).first()  # type: ignore[attr-defined]
    assert json.loads(row.document)["sections"][0]["title"] == "What it is for"
    with pytest.raises(DatabaseError, match="append-only"):
        async with school.database.writing() as session:
            await session.exec(update(ImpactReview).values(approved=True))


async def test_only_the_self_tests_school_needs_no_approval(school: Running) -> None:
    async with school.database.writing() as session:
        real, nobodys = School(name="Birchwood School"), School(name="Self-test", is_self_test=True)
        session.add_all((real, nobodys))
        await session.flush()
        assert await queries.are_blocked(session, real.id)
        assert not await queries.are_blocked(session, nobodys.id)


async def test_the_officer_lands_on_the_assessment_and_reads_every_table(school: Running) -> None:
    async with await school.signed_in("dpo") as client:
        assert (await client.get("/")).headers["location"] == "/impact"
        page = (await client.get("/impact/data")).text
    assert all(words in page for words in ("date of birth", "number of the DBS certificate", "Who watched, why, and when."))


# -- breaches (policy: AC10) --------------------------------------------------------------------------------------------


async def test_a_breach_is_recorded_and_the_72_hours_run_until_it_is_said_whether_the_ico_was_told(school: Running) -> None:
    async with await school.signed_in("dpo") as client:
        form = {"what": "A letter went to another family", "whose": "One family", "day": "24/11/2026", "time": "9:00"}
        for wrong, words in (({"what": ""}, "Say what happened"), ({"time": "soon"}, "Enter a day and a time"),
                             ({"day": "25/11/2026"}, "not a time to come")):
            refused = await client.post("/breaches", data=form | wrong)
            assert (refused.status_code, words in refused.text) == (422, True)
        page = (await client.post("/breaches", data=form)).headers["location"]
        assert "71 hours left to tell the ICO, until Friday 27 November, 9am." in (await client.get(page)).text
        closing = await client.post(page, data={"kind": "closed", "words": "All is well"})
        assert "First record whether the ICO was told" in closing.text
        for kind in ("told_ico", "closed"):
            assert (await client.post(page, data={"kind": kind, "words": "By telephone"})).status_code == 303
        assert "Closed." in (await client.get(page)).text
    async with await school.signed_in("headteacher") as client:
        assert "Data breach 1" in (await client.get("/breaches")).text


async def test_the_log_of_breaches_is_for_the_officer_and_the_headteacher_of_that_school(school: Running) -> None:
    async with await school.signed_in("dpo") as client:
        form = {"what": "A letter", "whose": "One family", "day": "24/11/2026", "time": "9:00"}
        page = (await client.post("/breaches", data=form)).headers["location"]
    for role in ("office", "dsl", "teacher", "governor"):
        async with await school.signed_in(role) as client:
            assert (await client.get(page)).status_code == 404
