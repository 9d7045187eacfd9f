"""Incidents: recorded by all staff, followed up by whose they are, about an adult without a trace (policy: IN1, IN2, RC1)."""

import csv
import io
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from lessons.family.tables import FamilyMessage
from lessons.reminders import waiting_for
from service.foundation.audit import AuditBody
from service.foundation.events import Actor, Role
from service.foundation.mail import Mail
from service.people import queries as people
from service.people.tables import Guardianship, Person
from service.safeguarding.approvals.tables import SafeguardingMark
from service.safeguarding.concerns import queries as concerns
from service.safeguarding.concerns.tables import Concern
from service.safeguarding.incidents import queries
from service.safeguarding.incidents.tables import Incident
from tests.school import Running

LEADER = "headteacher"
SECRET = "Canary-threw-a-shoe"
WHEN = {"day": "24", "month": "11", "year": "2026"}
SAID = WHEN | {"said": SECRET, "done": "I spoke to both", "category": "bullying", "about_adult": "no"}


async def who(school: Running, role: str) -> Actor:
    async with school.database.reading() as session:
        found = await people.actor(session, school.person(role))
    assert found is not None
    return found


async def send(school: Running, path: str, role: str, **form: Any) -> httpx.Response:
    async with await school.signed_in(role) as client:
        return await client.post(path, data=form)


async def read(school: Running, path: str, role: str = "headteacher") -> httpx.Response:
    async with await school.signed_in(role) as client:
        return await client.get(path)


async def record(school: Running, role: str = "teacher", **more: str) -> str:
    """The number of one between two pupils: the first did it to the second."""
    pupils = {"child-1": school.person("pupil"), "part-1": "did", "child-2": school.person("pupil", 1), "part-2": "affected"}
    answer = await send(school, "/incidents/new", role, **SAID | pupils | more)
    assert answer.status_code == 303, re.findall(r"error-message[^<]*<[^<]*<[^<]*", answer.text)
    return answer.headers["location"].rpartition("/")[2]


async def add(school: Running, number: str, kind: str, role: str = "teacher", **fields: str) -> int:
    return (await send(school, f"/incidents/{number}/entries", role, kind=kind, **fields)).status_code


async def messages(school: Running) -> list[FamilyMessage]:
    async with school.database.reading() as session:
        return list((await session.exec(select(FamilyMessage).where(FamilyMessage.kind == "incident"))).all())


async def test_a_teacher_records_and_follows_it_and_leaders_and_the_team_see_it(school: Running) -> None:
    number = await record(school)
    assert re.fullmatch(r"I-2026-\d{4}", number)
    for role in ("teacher", LEADER, "dsl", "deputy_dsl"):
        assert SECRET in (await read(school, f"/incidents/{number}", role)).text, role
        assert number in (await read(school, "/incidents", role)).text, role
    for role in ("support", "office", "chair", "technician"):
        assert (await read(school, f"/incidents/{number}", role)).status_code == 404, role
        assert number not in (await read(school, "/incidents", role)).text, role
    for role in ("pupil", "parent", "governor"):
        assert (await read(school, "/incidents", role)).status_code == 404, role


async def test_a_refused_form_comes_back_with_what_was_typed(school: Running) -> None:
    answer = await send(school, "/incidents/new", "teacher", **SAID | {"about_adult": ""})
    assert answer.status_code == 422
    assert SECRET in answer.text
    assert "Choose a pupil, or write a name" in answer.text


async def test_it_is_recorded_from_a_lesson_and_from_a_childs_page_in_one_press(school: Running) -> None:
    lesson, child = school.lesson()["id"], school.person("pupil")
    assert f'href="/incidents/new?lesson={lesson}"' in (await read(school, f"/lessons/{lesson}?planned=1", "teacher")).text
    assert f'href="/incidents/new?child={child}"' in (await read(school, f"/attendance/{child}", LEADER)).text
    assert f'href="/incidents/new?child={child}"' in (await read(school, f"/people/{child}", LEADER)).text
    form = (await read(school, f"/incidents/new?lesson={lesson}&child={child}", LEADER)).text
    assert "Lesson: Maths: fractions" in form
    assert f'<option value="{child}" selected>' in form


async def test_from_record_to_closing_each_step_is_there_to_read(school: Running) -> None:
    number, did, harmed = await record(school), school.person("pupil"), school.person("pupil", 1)
    assert await add(school, number, "sanction", child_id=did, reference="access", words="Again", **WHEN) == 403
    assert await add(school, number, "sanction", LEADER, child_id=harmed, reference="talk", words="Again") == 422
    assert await add(school, number, "sanction", LEADER, child_id=did, reference="access", words="Third time", **WHEN) == 303
    assert await add(school, number, "escalated", reference="headteacher", words="It goes on") == 303
    assert await add(school, number, "closed", LEADER, words="Over") == 409
    for child in (did, harmed):
        assert await add(school, number, "parents-told", child_id=child, words="Rang home") == 303
    assert await add(school, number, "closed", words="Over") == 403, "whoever recorded it does not close it"
    assert await add(school, number, "closed", LEADER, words="They made up") == 303
    page = (await read(school, f"/incidents/{number}")).text
    for words in ("No internet or computer until a day", "Third time", "The headteacher: It goes on", "Rang home", "made up"):
        assert words in page, words
    assert number in (await read(school, "/incidents?state=closed")).text
    assert number not in (await read(school, "/incidents?state=open")).text


async def test_whoever_it_is_escalated_to_has_a_mail_that_names_nothing(school: Running) -> None:
    number = await record(school)
    await add(school, number, "escalated", reference="headteacher", words="It goes on")
    async with school.database.reading() as session:
        [mail] = (await session.exec(select(Mail).where(  # beside the day's own reminder
            Mail.person_id == school.person("headteacher"), Mail.text == "S2", col(Mail.occasion).not_like("daily %")))).all()
        assert number not in f"{mail.about} {mail.occasion}"


async def test_a_stranger_online_is_with_the_safeguarding_team_from_the_first_moment(school: Running) -> None:
    number = await record(school, category="contact")
    async with school.database.reading() as session:
        told = {mail.person_id for mail in (await session.exec(select(Mail).where(Mail.text == "S2"))).all()}
    assert {school.person("dsl"), school.person("deputy_dsl")} <= told
    assert await add(school, number, "parents-told", child_id=school.person("pupil"), reference="app", words="In the app") == 403
    assert await messages(school) == []


async def test_the_register_is_found_by_status_category_and_pupil(school: Running) -> None:
    one, other = await record(school), await record(school, category="device")
    name = (await who(school, "pupil")).name.split()[0]
    for query, found in (("category=device", {other}), ("category=bullying", {one}), ("state=open", {one, other}),
                         ("state=late", set()), (f"q={name}", {one, other}), (f"q={one}", {one}), ("q=nobody", set())):
        page = (await read(school, f"/incidents?{query}")).text
        assert {each for each in (one, other) if f"/incidents/{each}" in page} == found, query


# A family is told


async def test_a_family_is_told_in_the_app_by_one_press_and_neither_mail_nor_message_says_what_it_was(school: Running) -> None:
    number, child = await record(school), school.person("pupil")
    assert await add(school, number, "parents-told", child_id=child, reference="app", words="A message in the app") == 303
    told = await messages(school)
    async with school.database.reading() as session:
        expected = await people.families_to_tell(session, (await who(school, "dsl")).school_id, [child])
        mails = (await session.exec(select(Mail).where(Mail.text == "N5"))).all()
    assert expected
    assert {(one.person_id, one.child_id) for one in told} == {(adult, child) for adult in expected}
    assert {mail.person_id for mail in mails} == expected
    assert not any(number in f"{one.about} {one.lesson_id}" or SECRET in one.about for one in told)
    assert "Told, " in (await read(school, f"/incidents/{number}")).text


async def test_who_must_not_be_contacted_is_not_told_and_nobody_is_where_telling_is_unsafe(school: Running) -> None:
    number, child, other = await record(school), school.person("pupil"), school.person("pupil", 1)
    async with school.database.writing() as session:
        for row in (await session.exec(select(Guardianship).where(Guardianship.child_id == child))).all():
            row.do_not_contact = True
        session.add(SafeguardingMark(school_id=(await who(school, "dsl")).school_id, person_id=other, mark="do-not-tell",
                                     reason="Ask us", set_by=school.person("dsl"), set_at=school.clock.now()))
    for each in (child, other):
        assert await add(school, number, "parents-told", child_id=each, reference="app", words="In the app") == 422
    assert await messages(school) == []


# It is safeguarding


async def test_one_press_makes_a_concern_with_the_same_people_and_whoever_pressed_learns_no_more(school: Running) -> None:
    number = await record(school)
    for _ in range(2):
        sent = await send(school, f"/incidents/{number}/concern", "teacher")
        assert "It is with the safeguarding team now." in sent.text
    async with school.database.reading() as session:
        [row] = (await session.exec(select(Concern))).all()
        view = await concerns.concern(session, await who(school, "dsl"), row.number)
    assert view.standing.children == {school.person("pupil"): "harming", school.person("pupil", 1): "harmed"}
    assert view.standing.categories == ("peer",)
    assert any(f"From incident {number}." in one.entry.words and SECRET in one.entry.words for one in view.entries)
    assert row.number in (await read(school, f"/incidents/{number}", "dsl")).text
    assert row.number not in (await read(school, f"/incidents/{number}", "teacher")).text
    assert await add(school, number, "parents-told", child_id=school.person("pupil"), words="Rang") == 403


async def test_one_press_makes_a_concern_also_when_whom_it_is_about_has_left(school: Running) -> None:
    await send(school, "/incidents/new", "teacher", **SAID | {
        "about_adult": "yes", "about_id": school.person("support"), "category": "adult"})
    async with school.database.writing() as session:
        number = (await session.exec(select(Incident.number))).one()
        (await session.get_one(Person, school.person("support"))).left_on = school.clock.now().date()
    made = await send(school, f"/incidents/{number}/concern", "headteacher")
    assert made.headers["location"].startswith("/concerns/C-")
    async with school.database.reading() as session:
        assert (await session.exec(select(Concern.about_id))).one() == school.person("support")


async def test_what_is_too_long_for_one_entry_of_a_concern_goes_on_in_a_note(school: Running) -> None:
    number = await record(school, said="a" * 7_000 + " middle")
    await add(school, number, "note", words="b" * 7_000 + " end")
    await send(school, f"/incidents/{number}/concern", "dsl")
    async with school.database.reading() as session:
        concern = (await session.exec(select(Concern.number))).one()
        entries = (await concerns.concern(session, await who(school, "dsl"), concern)).entries
    assert [one.entry.kind for one in entries][:2] == ["said", "note"]
    words = "".join(one.entry.words for one in entries[:2])
    assert words.startswith(f"From incident {number}.")
    assert all(each in words for each in ("a" * 7_000 + " middle", "b" * 7_000 + " end"))


async def test_that_the_team_made_a_concern_of_it_is_nothing_that_whoever_recorded_it_reads(school: Running) -> None:
    number = await record(school)
    made = await send(school, f"/incidents/{number}/concern", "dsl")
    assert made.headers["location"].startswith("/concerns/C-")
    assert "Concern recorded" in (await read(school, f"/incidents/{number}", "dsl")).text
    assert "Concern recorded" not in (await read(school, f"/incidents/{number}", "teacher")).text


# About an adult


async def test_whom_an_incident_is_about_finds_no_trace_of_it(school: Running) -> None:
    sent = await send(school, "/incidents/new", "teacher", **SAID | {
        "about_adult": "yes", "about_id": school.person("dsl"), "category": "adult"})
    assert "It is with the headteacher now." in sent.text
    async with school.database.reading() as session:
        number = (await session.exec(select(Incident.number))).one()
        assert school.person("dsl") not in {mail.person_id for mail in (await session.exec(select(Mail))).all()}
        assert await queries.subjects(session, (await who(school, "dsl")).school_id, [], [school.person("dsl")]) == {
            school.person("dsl")}
    for role in ("dsl", "deputy_dsl", "teacher", "chair"):
        assert (await read(school, f"/incidents/{number}", role)).status_code == 404, role
        assert number not in (await read(school, "/incidents", role)).text, role
    assert number not in (await read(school, "/incidents/register.csv", "dsl")).text
    assert SECRET in (await read(school, f"/incidents/{number}", "headteacher")).text


async def test_about_the_headteacher_it_is_the_chairs_and_the_headteacher_finds_none(school: Running) -> None:
    await send(school, "/incidents/new", "teacher", **SAID | {"about_adult": "yes", "about_id": school.person("headteacher")})
    async with school.database.reading() as session:
        number = (await session.exec(select(Incident.number))).one()
    assert (await read(school, f"/incidents/{number}", "headteacher")).status_code == 404
    assert SECRET in (await read(school, f"/incidents/{number}", "chair")).text


async def test_one_that_turns_out_to_be_about_an_adult_leaves_everybody_elses_sight(school: Running) -> None:
    number = await record(school)
    moved = await send(school, f"/incidents/{number}/about", "dsl", about_adult="yes", about_id=school.person("teacher"))
    assert "This now goes to the headteacher only." in moved.text
    for role in ("teacher", "dsl", "deputy_dsl"):
        assert (await read(school, f"/incidents/{number}", role)).status_code == 404, role
    assert SECRET in (await read(school, f"/incidents/{number}", "headteacher")).text


# Kept, and kept up to date


async def test_nothing_that_was_written_is_changed_or_comes_back_into_sight(school: Running) -> None:
    await record(school)
    for statement in ("UPDATE incident_entry SET words = ''", "DELETE FROM incident_entry", "DELETE FROM incident",
                      "UPDATE incident SET number = 'I-2026-0'"):
        with pytest.raises(DBAPIError):
            async with school.database.writing() as session:
                await session.exec(text(statement))
    async with school.database.writing() as session:
        await session.exec(text("UPDATE incident SET routed_to = 'headteacher', about_staff = 1"))
    with pytest.raises(DBAPIError):
        async with school.database.writing() as session:
            await session.exec(text("UPDATE incident SET routed_to = 'dsl'"))


async def test_one_open_for_longer_than_the_school_allows_is_shown_and_its_keepers_are_reminded(school: Running) -> None:
    number = await record(school)
    school.clock.advance(timedelta(days=15).total_seconds())
    page = (await read(school, "/incidents?state=late")).text
    assert f"/incidents/{number}" in page
    assert "Late" in page
    async with school.database.reading() as session:
        told = await waiting_for(session, (await who(school, "dsl")).school_id, school.clock.now())
    assert {school.person("teacher"), school.person("headteacher")} <= told
    assert school.person("support") not in told


async def test_the_file_of_the_register_runs_no_formula_and_names_nobody_in_its_own_name(school: Running) -> None:
    number = await record(school)
    await add(school, number, "sanction", child_id=school.person("pupil"), reference="talk", words="First time")
    answer = await read(school, "/incidents/register.csv", LEADER)
    assert answer.headers["content-disposition"] == 'attachment; filename="incidents.csv"'
    [headings, row] = csv.reader(io.StringIO(answer.text.lstrip("\ufeff")))
    assert len(headings) == len(row)
    assert row[0] == number
    assert "Talk with the teacher or assistant" in row[5]
    assert not any(cell.startswith(tuple("=+-@")) for cell in row)
    assert (await read(school, "/incidents/register.csv", "teacher")).status_code == 404


async def test_the_audit_knows_numbers_of_rows_and_no_words(school: Running) -> None:
    number = await record(school)
    await read(school, f"/incidents/{number}")
    async with school.database.reading() as session:
        bodies = [one.body for one in (await session.exec(select(AuditBody))).all()]
    assert not any(SECRET in str(body) for body in bodies)


def test_every_role_that_oversees_is_one_that_records() -> None:
    assert {Role.SENIOR_LEADER, Role.HEADTEACHER, Role.DSL, Role.DEPUTY_DSL} == queries.rules.OVERSEE < queries.rules.RECORDERS
