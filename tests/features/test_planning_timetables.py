"""Everybody's timetable shows what is theirs to know, and a lesson's one address shows each person their side of it."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from icalendar import Calendar
from sqlmodel import select

from consent.family import FamilyChild, Outcome
from consent.rules import Purpose
from lessons import proposals, rules
from lessons.commands import as_wanted
from lessons.tables import Lesson
from service.people.tables import Guardianship, Person
from tests.features.test_consent_answers import answer as said
from tests.features.test_planning_roster import change, withdraw
from tests.school import Running


def lesson(school: Running, title: str) -> dict[str, Any]:
    return next(one for one in school.made["lessons"] if one["title"] == title)


async def client_of(school: Running, person_id: str) -> httpx.AsyncClient:
    return school.client(await school.cookie(person_id))


async def parent_of(school: Running, child_id: str) -> str:
    async with school.database.reading() as session:
        return (await session.exec(select(Guardianship.guardian_id).where(
            Guardianship.child_id == child_id, Guardianship.contact_order == 1
        ))).one()


# A parent


async def test_a_parent_sees_only_the_lessons_of_their_own_children(school: Running) -> None:
    ours, theirs = lesson(school, "Maths: fractions"), lesson(school, "Story time")
    async with await client_of(school, await parent_of(school, ours["pupil_ids"][0])) as parent:
        page = (await parent.get("/family")).text
        assert "Maths: fractions with Mr Hall" in page
        assert "Story time" not in page
        for one in (ours, theirs):
            assert (await parent.get(f"/lessons/{one['id']}")).status_code == 404  # never a way into a lesson
    async with school.database.reading() as session:
        others = (await session.exec(select(Person).where(Person.kind == "child", Person.id != ours["pupil_ids"][0]))).all()
    names = {child.preferred_name or child.given_name for child in others} - {"May"}
    assert not [name for name in names if re.search(rf"\b{re.escape(name)}\b", page)]


async def pages_of_blocked_parents(school: Running, *flags: str) -> list[str]:
    """A parent's family page under each of `flags`, and last as one who is no child's guardian."""
    child = lesson(school, "Maths: fractions")["pupil_ids"][0]
    parent = await parent_of(school, child)
    pages = []
    for flag in flags:
        await change(school, f"UPDATE guardianship SET {flag} WHERE guardian_id = :parent", parent=parent)
        async with await client_of(school, parent) as client:
            pages.append((await client.get("/family")).text)
        await change(school, "UPDATE guardianship SET do_not_contact = false, court_order = 'no' WHERE guardian_id = :parent",
                     parent=parent)
    await change(school, "DELETE FROM guardianship WHERE guardian_id = :parent", parent=parent)
    async with await client_of(school, parent) as client:
        pages.append((await client.get("/family")).text)
    return pages


async def test_a_blocked_parent_cannot_be_told_from_one_without_children(school: Running) -> None:
    pages = await pages_of_blocked_parents(
        school, "do_not_contact = 1", "court_order = 'yes'", "court_order = 'unknown'", "court_order = 'no'",
    )
    *blocked, control, childless = pages
    assert "There is nothing to show. Ring the office on 01632 960123." in blocked[0]
    assert {*blocked, childless} == {childless}
    assert "Maths: fractions" in control


async def test_a_parent_learns_that_something_is_missing_and_never_who_said_what(school: Running) -> None:
    child = lesson(school, "Maths: fractions")["pupil_ids"][0]
    await withdraw(school, child, "be_recorded")
    async with await client_of(school, await parent_of(school, child)) as parent:
        page = (await parent.get("/family")).text
    assert "cannot join yet. We do not have all the answers we need. The office will be in touch." in page
    assert "withdrawn" not in page
    assert "refused" not in page


async def test_a_parent_whose_yes_rests_reads_from_when_it_counts_and_is_promised_no_call(school: Running) -> None:
    child = lesson(school, "Maths: fractions")["pupil_ids"][0]
    mother = await parent_of(school, child)
    await said(school, mother, child, False, Purpose.ATTEND)
    pages = []
    for _ in range(2):
        async with await client_of(school, mother) as parent:
            pages.append((await parent.get("/family")).text)
        school.clock.advance(60)
        await said(school, mother, child, True, Purpose.ATTEND, counts_from=school.clock.now() + timedelta(hours=24))
    assert ["The office will be in touch" in page for page in pages] == [True, False]
    assert "cannot join yet. Your yes starts Wednesday 25 November" in pages[1]


@pytest.mark.parametrize("asks", ["words", "expired"])
def test_where_the_other_half_of_joining_is_asked_again_no_day_is_promised(asks: str) -> None:
    def day_of(recording_asks: str) -> datetime | None:
        at = datetime(2026, 11, 25, 10, tzinfo=UTC)
        rests = SimpleNamespace(purpose=Purpose.ATTEND, outcome=Outcome.RESTS, asks="", own=SimpleNamespace(counts_from=at))
        other = SimpleNamespace(purpose=Purpose.BE_RECORDED, outcome=Outcome.NOT_YET, asks=recording_asks, own=None)
        return FamilyChild("c", "Ali", True, True, (rests, other), None).rests_until  # type: ignore[arg-type]

    assert day_of(asks) is None
    assert day_of("") is not None, "negative control"


# A pupil


async def test_a_pupil_goes_to_the_lesson_from_ten_minutes_before(school: Running) -> None:
    pupil = lesson(school, "Maths: fractions")["pupil_ids"][0]
    async with await client_of(school, pupil) as client:
        page = (await client.get("/today")).text
        assert f'href="/lessons/{lesson(school, "Maths: fractions")["id"]}"' in page
        assert "This lesson has ended." in page
    async with await client_of(school, lesson(school, "Story time")["pupil_ids"][0]) as client:
        early = (await client.get("/today")).text
        assert "You can join at 11:20am" in early
        assert "Go to the lesson" not in early
        assert "You can join at 11:20am" in (await client.get(f"/lessons/{lesson(school, 'Story time')['id']}")).text


async def test_the_door_says_that_it_is_recorded_and_checked_and_what_data_it_uses(school: Running) -> None:
    """Whoever comes in was told that use is monitored (policy: CO6) and what it may cost (policy: RL11)."""
    for role in ("pupil", "teacher"):
        async with await school.signed_in(role) as client:
            page = (await client.get(f"/lessons/{school.lesson()['id']}")).text
        assert "This lesson is recorded. School staff can check what is said, shown and typed." in page
        assert re.search(r"About \d+ MB for this lesson. Sound only: about \d+ MB.", page)


async def test_a_pupil_who_cannot_join_is_told_kindly_and_not_why(school: Running) -> None:
    one = lesson(school, "Maths: fractions")
    await withdraw(school, one["pupil_ids"][0], "attend")
    words = "You cannot join this one. You have not done anything wrong. School will send you the work another way."
    async with await client_of(school, one["pupil_ids"][0]) as client:
        assert words in (await client.get("/today")).text
        assert words in (await client.get(f"/lessons/{one['id']}")).text


async def test_a_pupils_pages_name_no_other_pupil(school: Running) -> None:
    one = lesson(school, "Maths: fractions")
    async with await client_of(school, one["pupil_ids"][0]) as client:
        pages = (await client.get("/today")).text + (await client.get(f"/lessons/{one['id']}")).text
    async with school.database.reading() as session:
        others = (await session.exec(select(Person).where(Person.kind == "child", Person.id != one["pupil_ids"][0]))).all()
    assert not [child.given_name for child in others if re.search(rf"\b{re.escape(child.given_name)}\b", pages)]


# The lesson's one address


@pytest.mark.parametrize(("role", "door"), [("teacher", True), ("senior_leader", True), ("dsl", True), ("headteacher", True)])
async def test_staff_with_business_there_get_the_door_of_a_lesson_that_is_on(school: Running, role: str, door: bool) -> None:
    async with await school.signed_in(role) as client:
        page = await client.get(f"/lessons/{lesson(school, 'Maths: fractions')['id']}")
    assert ('data-room="door"' in page.text) is door


@pytest.mark.parametrize("role", ["parent", "office", "governor", "technician", "support"])
async def test_to_everybody_else_a_lesson_does_not_exist(school: Running, role: str) -> None:
    async with await school.signed_in(role) as client:
        there = await client.get(f"/lessons/{lesson(school, 'Maths: fractions')['id']}")
        nothing = await client.get("/lessons/" + "0" * 32)
    assert there.status_code == nothing.status_code == 404
    assert there.text.replace(lesson(school, "Maths: fractions")["id"], "0" * 32) == nothing.text


async def test_a_pupil_of_another_class_finds_nothing(school: Running) -> None:
    async with await client_of(school, lesson(school, "Story time")["pupil_ids"][0]) as client:
        assert (await client.get(f"/lessons/{lesson(school, 'Maths: fractions')['id']}")).status_code == 404


async def test_before_its_time_the_address_is_the_plan_and_afterwards_what_happened(school: Running) -> None:
    async with await school.signed_in("teacher") as teacher:
        before = (await teacher.get(f"/lessons/{lesson(school, 'Story time')['id']}")).text
    assert "You can start it from Tuesday 24 November, 11:15am." in before
    assert "Not previewed" in before
    async with await school.signed_in("teacher", 1) as cole:
        after = (await cole.get(f"/lessons/{lesson(school, 'English: war poems')['id']}")).text
    assert "Check attendance" in after
    assert 'data-room="door"' not in before + after


async def test_the_window_ends_with_the_overrun(school: Running) -> None:
    one = lesson(school, "Maths: fractions")
    async with await school.signed_in("teacher") as teacher:
        school.clock.advance(timedelta(minutes=14).total_seconds())
        await teacher.get("/today")  # stays signed in
        school.clock.advance(timedelta(minutes=14).total_seconds())
        await teacher.get("/today")
        school.clock.advance(timedelta(minutes=14, seconds=59).total_seconds())
        assert 'data-room="door"' in (await teacher.get(f"/lessons/{one['id']}")).text
        school.clock.advance(1)
        assert 'data-room="door"' not in (await teacher.get(f"/lessons/{one['id']}")).text


# The calendar feed


async def feed_url(client: httpx.AsyncClient) -> str:
    found = re.search(r'value="(http[^"]+\.ics)"', (await client.post("/calendar")).text)
    assert found
    return found[1].partition("://")[2].partition("/")[2]


async def test_a_calendar_feed_has_the_lessons_and_names_nobody(school: Running) -> None:
    """It leaves the school, so nobody's name or number is in it (policy: CM5)."""
    async with await school.signed_in("teacher") as teacher:
        path = await feed_url(teacher)
    async with school.client() as anybody:  # a calendar program has no cookie
        answer = await anybody.get(f"/{path}")
    assert answer.headers["content-type"].startswith("text/calendar")
    entries = Calendar.from_ical(answer.content).walk("VEVENT")
    async with school.database.reading() as session:
        titles = set((await session.exec(select(Lesson.title))).all())
        people = (await session.exec(select(Person))).all()
    assert {str(entry["summary"]) for entry in entries} == {"Lesson with 5 Oak", "Lesson with 2 Elm", "Lesson with 8 Maths B"}
    assert not [title for title in titles if title in answer.text]
    names = {name for person in people for name in (person.given_name, person.family_name) if len(name) > 3}
    assert not [name for name in names if name in answer.text]


async def test_a_weekly_lesson_stays_at_its_time_in_a_calendar_when_the_clocks_change(school: Running) -> None:
    one = lesson(school, "Science: forces")
    await change(school, "UPDATE lesson SET starts_at = '2027-03-29 08:00:00', ends_at = '2027-03-29 08:45:00' WHERE id = :id",
                 id=one["id"])
    async with await school.signed_in("teacher") as teacher:
        path = await feed_url(teacher)
        entries = Calendar.from_ical((await teacher.get(f"/{path}")).content).walk("VEVENT")
    moved = next(entry for entry in entries if str(entry["uid"]).startswith(one["id"]))
    assert moved["dtstart"].dt.isoformat() == "2027-03-29T08:00:00+00:00"  # 9am on the wall, in summer time


async def test_a_revoked_or_replaced_calendar_address_is_no_address(school: Running) -> None:
    async with await school.signed_in("teacher") as teacher, school.client() as anybody:
        first = await feed_url(teacher)
        second = await feed_url(teacher)
        assert (await anybody.get(f"/{first}")).status_code == 404
        assert (await anybody.get(f"/{second}")).status_code == 200
        await teacher.post("/calendar/revoke")
        assert (await anybody.get(f"/{second}")).status_code == 404
        assert (await anybody.get("/calendar/guess.ics")).status_code == 404


async def test_a_calendar_stops_when_its_owner_leaves(school: Running) -> None:
    async with await school.signed_in("teacher") as teacher, school.client() as anybody:
        path = await feed_url(teacher)
        await change(school, "UPDATE person SET left_on = '2026-11-24' WHERE id = :id", id=school.person("teacher"))
        assert (await anybody.get(f"/{path}")).status_code == 404


async def test_only_the_hash_of_a_calendar_address_is_kept(school: Running) -> None:
    async with await school.signed_in("teacher") as teacher:
        token = (await feed_url(teacher)).removeprefix("calendar/").removesuffix(".ics")
    assert not any(token in row for row in school.rows())


# The seed


async def test_the_demo_school_keeps_its_own_rules(school: Running) -> None:
    """Every planned lesson of the demo is one that the rules would have let through."""
    async with school.database.reading() as session:
        planned = (await session.exec(
            select(Lesson).where(Lesson.status == "planned", Lesson.starts_at > school.clock.now())
        )).all()
        found = {
            row.title: [refusal.rule for one in await proposals.measure(session, row.school_id, await as_wanted(session, row),
                                                                        school.clock.now()) for refusal in one.refusals]
            for row in planned
        }
        both = (await session.exec(select(Lesson).where(Lesson.status == "waiting").order_by(Lesson.starts_at))).all()
        waiting, one_to_one = both
        alone = await proposals.measure(session, one_to_one.school_id, await as_wanted(session, one_to_one), school.clock.now())
        asked = await proposals.measure(session, waiting.school_id, await as_wanted(session, waiting), school.clock.now())
    assert {title: broken for title, broken in found.items() if broken} == {}
    assert [refusal.rule for refusal in asked[0].refusals] == [rules.Rule.LENGTH]
    assert (one_to_one.pupil_id is not None, alone[0].refusals) == (True, ())
