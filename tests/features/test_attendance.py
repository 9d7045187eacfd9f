"""The record of who was in a lesson writes itself, and is nobody's business but theirs who have some (policy: RL9, AC3)."""

import csv
import io
import json
from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from lessons.tables import AttendanceCorrection, JournalEntry, Lesson, LessonAdult
from service.foundation.audit import AuditLeaf
from service.people.tables import Person, School
from tests.school import Running


@pytest.fixture
async def lesson(school: Running) -> str:
    """Maths, of which the journal tells: a pupil who stayed, one who came late, one who reconnected, the others not there."""
    found = school.lesson()
    ali, maya, zofia, *_ = found["pupil_ids"]
    teacher, start = found["adult_ids"][0], datetime.fromisoformat(found["starts_at"])
    lines = [
        (-1, "joined", teacher, {"role": "teacher"}), (0, "joined", ali, {"role": "pupil", "beside": "grown-up"}),
        (0, "joined", zofia, {"role": "pupil", "beside": "nobody"}), (1, "opened", "", {"opening": 1}), (5, "left", zofia, {}),
        (5.5, "joined", zofia, {"role": "pupil"}), (12, "joined", maya, {"role": "pupil"}), (20, "held", "", {}),
        (22, "opened", "", {"opening": 2}), (40, "left", ali, {}), (40, "ended", "", {"reason": "time"}),
    ]
    async with school.database.writing() as session:
        row = await session.get_one(Lesson, found["id"])
        session.add_all(
            JournalEntry(school_id=row.school_id, lesson_id=row.id, seq=seq, at=start + timedelta(minutes=minutes), kind=kind,
                         person_id=person, body=json.dumps(body))
            for seq, (minutes, kind, person, body) in enumerate(lines, start=1)
        )
    school.clock.advance(3600)
    return row.id


async def name_of(school: Running, person_id: str) -> str:
    async with school.database.reading() as session:
        row = await session.get_one(Person, person_id)
        return f"{row.preferred_name or row.given_name} {row.family_name}"


@pytest.mark.postgresql
async def test_a_lesson_shows_who_came_and_says_that_it_is_not_the_register(school: Running, lesson: str) -> None:
    async with await school.signed_in("teacher") as client:
        page = await client.get(f"/lessons/{lesson}/attendance")
    assert "This is a record of who was in the lesson. It is not the school register." in page.text
    assert "3 of 8" in page.text
    assert "12 minutes late" in page.text
    assert "Reconnected 1 time" in page.text
    assert "Beside: a grown-up" in page.text
    assert "1 time, 2 minutes" in page.text, "the pause"
    assert page.text.count("Did not join") == 2 * 5, "in the picture and in the table"


async def test_the_times_are_in_the_schools_own_zone(school: Running, lesson: str) -> None:
    async with school.database.writing() as session:
        (await session.exec(select(School))).one().zone = "Asia/Tokyo"
    async with await school.signed_in("teacher") as client:
        page = await client.get(f"/lessons/{lesson}/attendance")
    assert "6:58pm to 7:38pm" in page.text


async def test_a_correction_is_added_with_a_name_and_a_reason_and_the_journal_stays(school: Running, lesson: str) -> None:
    leo = school.lesson()["pupil_ids"][3]
    path = f"/lessons/{lesson}/attendance/{leo}"
    async with await school.signed_in("teacher") as client:
        assert (await client.get(path)).status_code == 200
        wrong = await client.post(path, data={"joined": "10:05", "left": "10:01", "reason": "No sound"})
        assert (wrong.status_code, "Enter a time after they joined" in wrong.text) == (422, True)
        for gap in ({"reason": "x"}, {"joined": "later", "left": "10:10", "reason": "x"}, {"joined": "10:00", "left": "10:10"}):
            assert (await client.post(path, data=gap)).status_code == 422
        done = await client.post(path, data={"joined": "10:00", "left": "10.30", "reason": "Her tablet was her brother's"})
        assert done.status_code == 303
        page = await client.get(f"/lessons/{lesson}/attendance")
    assert "4 of 8" in page.text
    assert "<s>Did not join</s>" in page.text
    assert "10am to 10:30am: Her tablet was her brother&#39;s (Mr Hall, " in page.text
    async with school.database.reading() as session:
        assert len((await session.exec(select(JournalEntry))).all()) == 11
        assert [leaf.kind for leaf in (await session.exec(select(AuditLeaf).where(AuditLeaf.subject_id == leo))).all()] == [
            "AttendanceCorrected"]


async def test_saying_that_somebody_was_not_there_strikes_out_their_minutes(school: Running, lesson: str) -> None:
    ali = school.lesson()["pupil_ids"][0]
    async with await school.signed_in("office") as client:
        await client.post(f"/lessons/{lesson}/attendance/{ali}", data={"absent": "yes", "reason": "It was his cousin"})
        page = await client.get(f"/attendance/{ali}")
    assert "Came to 0 of " in page.text
    assert "<s>9:58am to 10:38am, 40 minutes</s>" in page.text


async def test_the_copy_is_minutes_and_that_it_was_taken_is_kept(school: Running, lesson: str) -> None:
    async with await school.signed_in("teacher") as client:
        answer = await client.get(f"/lessons/{lesson}/attendance.csv")
    lines = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    by_name = {line["Pupil"]: line for line in lines}
    ali, maya = [await name_of(school, person) for person in school.lesson()["pupil_ids"][:2]]
    assert len(lines) == 8
    assert (by_name[ali]["Minutes in the room"], by_name[ali]["Minutes while the room was open"]) == ("40", "37")
    assert (by_name[maya]["Minutes late"], by_name[maya]["Minutes in the room"]) == ("12", "28")
    assert ali.split()[0].lower() not in answer.headers["content-disposition"].lower()
    async with school.database.reading() as session:
        assert (await session.exec(select(AuditLeaf).where(AuditLeaf.kind == "AttendanceExported"))).one().lesson_id == lesson


async def test_names_are_links_only_for_who_may_open_the_pupils_record(school: Running, lesson: str) -> None:
    """A second adult or cover has the record of the lesson they were in, and no pupil's."""
    ali = school.lesson()["pupil_ids"][0]
    async with school.database.writing() as session:
        row = await session.get_one(Lesson, lesson)
        session.add(LessonAdult(lesson_id=lesson, person_id=school.person("support"), school_id=row.school_id, part="second"))
    for role, is_link in (("support", False), ("teacher", True), ("office", True)):
        async with await school.signed_in(role) as client:
            page = await client.get(f"/lessons/{lesson}/attendance")
            assert (await name_of(school, ali)) in page.text
            assert (f'href="/attendance/{ali}"' in page.text) is is_link, role
            assert ((await client.get(f"/attendance/{ali}")).status_code == 200) is is_link, role


async def test_a_guest_another_teacher_a_pupil_or_a_parent_has_no_business_in_it(school: Running, lesson: str) -> None:
    ali = school.lesson()["pupil_ids"][0]
    paths = (f"/lessons/{lesson}/attendance", f"/lessons/{lesson}/attendance.csv", f"/lessons/{lesson}/attendance/{ali}",
             f"/attendance/{ali}")
    async with school.database.writing() as session:
        row = await session.get_one(Lesson, lesson)
        session.add(LessonAdult(lesson_id=lesson, person_id=school.person("support"), school_id=row.school_id, part="guest"))
    for role, position in (("teacher", 1), ("support", 0), ("pupil", 0), ("parent", 0), ("governor", 0), ("technician", 0)):
        async with await school.signed_in(role, position) as client:
            for path in paths if role != "teacher" else paths[:3]:  # she teaches the class, and did not run this lesson
                assert (await client.get(path)).status_code == 404, (role, path)
    async with school.client() as nobody:
        assert (await nobody.get(paths[0])).status_code == 303


async def test_the_list_shows_a_teacher_their_own_lessons_and_a_leader_all(school: Running, lesson: str) -> None:
    for role, position, sees in (("teacher", 0, True), ("teacher", 1, False), ("headteacher", 0, True), ("dsl", 0, True)):
        async with await school.signed_in(role, position) as client:
            page = await client.get("/attendance")
            assert (f"/lessons/{lesson}/attendance" in page.text) is sees, role


async def test_the_dsl_reads_and_does_not_correct(school: Running, lesson: str) -> None:
    ali = school.lesson()["pupil_ids"][0]
    async with await school.signed_in("dsl") as client:
        assert "Add a correction" not in (await client.get(f"/lessons/{lesson}/attendance")).text
        answer = await client.post(f"/lessons/{lesson}/attendance/{ali}", data={"absent": "yes", "reason": "x"})
        assert answer.status_code == 404
    async with school.database.reading() as session:
        assert (await session.exec(select(AttendanceCorrection))).all() == []


async def test_a_teacher_sees_of_a_pupil_only_the_lessons_they_ran(school: Running, lesson: str) -> None:
    ali = school.lesson()["pupil_ids"][0]
    for position, sees in ((0, True), (1, False)):
        async with await school.signed_in("teacher", position) as client:
            page = await client.get(f"/attendance/{ali}")
        assert page.status_code == 200
        assert (f"/lessons/{lesson}/attendance" in page.text) is sees


async def test_while_the_lesson_is_on_nobody_is_called_absent(school: Running) -> None:
    found = school.lesson()
    async with await school.signed_in("teacher") as client:
        page = await client.get(f"/lessons/{found['id']}/attendance")
    assert "Not here yet" in page.text
    assert "<td class=\"govuk-table__cell\" data-label=\"Joined\">Did not join" not in page.text


async def test_a_class_named_like_a_register_code_leaves_as_words(school: Running, lesson: str) -> None:
    async with school.database.writing() as session:
        (await session.get_one(Lesson, lesson)).title = "/"
    async with await school.signed_in("teacher") as client:
        answer = await client.get(f"/lessons/{lesson}/attendance.csv")
    assert {line["Remote lesson (not the school register)"] for line in csv.DictReader(
        io.StringIO(answer.text.removeprefix("\ufeff")))} == {"“/”"}
