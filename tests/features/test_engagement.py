"""Children who do not come are called, and leadership is told when nobody does (policy: RC2)."""

import json
from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select

from lessons.engagement import commands, queries
from lessons.tables import JournalEntry, Lesson, LessonAdult
from service.calls.tables import Call
from service.foundation.audit import AuditLeaf
from service.foundation.mail import Mail
from service.people import queries as people
from tests.school import Running


@pytest.fixture
async def away(school: Running) -> str:
    """Three lessons of 5 Oak are over, to which everybody came but one child, who came to none. Returns the child."""
    return await missed(school, opened=True)


async def missed(school: Running, *, opened: bool) -> str:
    found = school.lesson()
    child, *others = found["pupil_ids"]
    async with school.database.writing() as session:
        row = await session.get_one(Lesson, found["id"])
        for days in (3, 2, 1):
            start = school.clock.now() - timedelta(days=days)
            lesson = Lesson(school_id=row.school_id, group_id=row.group_id, title=f"Maths {days}", starts_at=start,
                            ends_at=start + timedelta(minutes=40), planned_by=row.planned_by, planned_at=start)
            session.add(lesson)
            await session.flush()
            session.add(LessonAdult(lesson_id=lesson.id, person_id=found["adult_ids"][0], school_id=row.school_id,
                                    part="teacher"))
            lines = [(0, "joined", each) for each in others] + [(0, "opened", ""), (40, "ended", "")] * opened
            session.add_all(JournalEntry(
                school_id=row.school_id, lesson_id=lesson.id, seq=seq, at=start + timedelta(minutes=minutes), kind=kind,
                person_id=person, body=json.dumps({"role": "pupil"} if person else {"reason": "time", "opening": 1}),
            ) for seq, (minutes, kind, person) in enumerate(lines, start=1))
    return str(child)


async def spoke(school: Running, child: str, at: datetime) -> None:
    async with school.database.writing() as session:
        parent = (await session.exec(select(queries.GroupMember).where(queries.GroupMember.person_id == child))).first()
        adult = school.person("parent")
        session.add(Call(school_id=parent.school_id, child_id=child, adult_id=adult, caller_id=school.person("office"),
                         purpose="absence", asked_at=at, placed_at=at, connected_at=at, ended_at=at, ended_why="hung-up",
                         outcome="spoke", what_agreed="Comes on Thursday", recorded_at=at))


async def test_a_child_who_came_to_none_is_on_the_list_with_a_day_and_a_call(school: Running, away: str) -> None:
    name = (await people_name(school, away))
    for role in ("teacher", "office", "headteacher", "dsl"):
        page = (await (await school.signed_in(role)).get("/engagement")).text
        assert name in page, role
        assert f"/calls/new?child={away}" in page, role
    assert name not in (await (await school.signed_in("support")).get("/engagement")).text, "not a child of theirs"
    for role in ("parent", "pupil", "governor", "technician"):
        assert (await (await school.signed_in(role)).get("/engagement")).status_code == 404, role


async def people_name(school: Running, person_id: str) -> str:
    async with school.database.reading() as session:
        office = await people.actor(session, school.person("office"))
        assert office is not None
        return (await people.person(session, office.school_id, person_id)).full_name


async def test_leadership_is_told_once_after_the_agreed_days_without_contact(school: Running, away: str) -> None:
    assert await commands.tell_leadership(school.app.state) == 0
    school.clock.advance(timedelta(days=4).total_seconds())
    assert await commands.tell_leadership(school.app.state) == 1
    assert await commands.tell_leadership(school.app.state) == 0
    async with school.database.reading() as session:
        mails = (await session.exec(select(Mail).where(Mail.text == "N5"))).all()
        kinds = (await session.exec(select(AuditLeaf.kind).where(col(AuditLeaf.subject_id) == away))).all()
    assert {mail.person_id for mail in mails} >= {school.person("headteacher"), school.person("senior_leader")}
    assert "LeadershipToldOfAbsence" in kinds
    page = (await (await school.signed_in("teacher")).get("/engagement")).text
    assert "No contact for 3 school days" in page
    assert "Leadership has been told." in page


async def test_a_family_that_was_spoken_to_is_nobodys_alarm(school: Running, away: str) -> None:
    await spoke(school, away, school.clock.now())
    school.clock.advance(timedelta(days=4).total_seconds())
    assert await commands.tell_leadership(school.app.state) == 0
    assert "Spoken to" in (await (await school.signed_in("office")).get("/engagement")).text


async def test_who_knows_why_says_so_and_the_child_is_off_the_list(school: Running, away: str) -> None:
    client = await school.signed_in("teacher")
    async with school.database.reading() as session:
        lesson = (await session.exec(select(Lesson.id).where(Lesson.title == "Maths 2"))).one()
    page = (await client.get(f"/lessons/{lesson}/absent")).text
    assert "Did not join" in page
    assert f"/calls/new?child={away}&amp;lesson={lesson}" in page
    wrong = await client.post(f"/lessons/{lesson}/absent/{away}", data={"reason": "bored", "words": "Says it is dull"})
    assert "Choose why" in wrong.text
    assert 'value="Says it is dull"' in wrong.text
    other = await client.post(f"/lessons/{lesson}/absent/{away}", data={"reason": "other", "words": "Ring 07700 900123"})
    assert "leave telephone numbers out" in other.text
    assert 'value="other" checked' in other.text
    assert (await client.post(f"/lessons/{lesson}/absent/{away}", data={"reason": "ill"})).status_code == 303
    assert "Ill" in (await client.get(f"/lessons/{lesson}/absent")).text
    assert await people_name(school, away) not in (await client.get("/engagement")).text
    stranger = next(child for child in school.lesson()["pupil_ids"] if child != away)
    assert (await client.post(f"/lessons/{lesson}/absent/{stranger}", data={"reason": "ill"})).status_code == 404


async def test_a_lesson_that_never_opened_was_missed_by_nobody(school: Running) -> None:
    child = await missed(school, opened=False)
    assert "Nobody. Every child came" in (await (await school.signed_in("office")).get("/engagement")).text
    assert child


async def test_the_lessons_page_says_that_leadership_was_told_until_the_family_was_spoken_to(school: Running, away: str) -> None:
    client = await school.signed_in("teacher")
    async with school.database.reading() as session:
        lesson = (await session.exec(select(Lesson.id).where(Lesson.title == "Maths 1"))).one()
    school.clock.advance(timedelta(days=4).total_seconds())
    await commands.tell_leadership(school.app.state)
    client = await school.signed_in("teacher")
    words = "No contact for 3 school days. Leadership has been told."
    assert words in (await client.get(f"/lessons/{lesson}/absent")).text
    school.clock.advance(60)
    await spoke(school, away, school.clock.now())
    assert words not in (await client.get(f"/lessons/{lesson}/absent")).text


async def test_leadership_is_not_told_again_when_an_old_lesson_drops_out_of_sight(school: Running, away: str) -> None:
    """A child who is away for longer than we look back."""
    school.clock.advance(timedelta(days=4).total_seconds())
    assert await commands.tell_leadership(school.app.state) == 1
    school.clock.advance(timedelta(days=20).total_seconds())
    async with school.database.writing() as session:
        row = (await session.exec(select(Lesson).where(Lesson.title == "Maths 1"))).one()
        others = (await session.exec(select(JournalEntry).where(JournalEntry.lesson_id == row.id))).all()
        start = row.starts_at + timedelta(days=1)
        lesson = Lesson(school_id=row.school_id, group_id=row.group_id, title="Maths 0", starts_at=start,
                        ends_at=start + timedelta(minutes=40), planned_by=row.planned_by, planned_at=start)
        session.add(lesson)
        await session.flush()
        session.add_all(JournalEntry(
            school_id=row.school_id, lesson_id=lesson.id, seq=one.seq, at=one.at + timedelta(days=1), kind=one.kind,
            person_id=one.person_id, body=one.body) for one in others)
    school.clock.advance(timedelta(hours=30).total_seconds())
    async with school.database.reading() as session:
        mine = next(one for one in await queries.of_school(session, row.school_id) if one.child_id == away)
    assert mine.missing.lessons == 3, "the first of four is out of sight"
    assert mine.is_late
    assert mine.told_at is not None
    assert await commands.tell_leadership(school.app.state) == 0


async def test_a_call_that_reached_nobody_is_no_contact_whatever_was_recorded(school: Running, away: str) -> None:
    at = school.clock.now()
    async with school.database.writing() as session:
        parent = (await session.exec(select(queries.GroupMember).where(queries.GroupMember.person_id == away))).first()
        session.add(Call(school_id=parent.school_id, child_id=away, adult_id=school.person("parent"),
                         caller_id=school.person("office"), purpose="absence", asked_at=at, placed_at=at, ended_at=at,
                         ended_why="busy", outcome="spoke", what_agreed="Comes on Thursday", recorded_at=at))
    school.clock.advance(timedelta(days=4).total_seconds())
    assert await commands.tell_leadership(school.app.state) == 1
