"""A teacher plans a lesson; leaders, families and pupils see what became of it."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from lessons import commands
from lessons.pages import day
from lessons.proposals import Wanted
from lessons.tables import Lesson, LessonAdult, LessonLink
from service.foundation.audit import AuditLeaf
from service.people import queries as people
from service.people.tables import GroupMember, TeachingGroup
from service.safeguarding.tables import Alert
from tests.features.test_planning_roster import change, withdraw
from tests.school import Running

FORM = {"title": "Maths: shapes", "day": "other", "on-day": "30", "on-month": "11", "on-year": "2026", "start": "10:15",
        "length": "40", "repeat": "once"}  # the Monday after the seeded Tuesday, inside the seeded term


@pytest.fixture
async def teacher(school: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with await school.signed_in("teacher") as client:
        yield client


async def group(school: Running, name: str) -> str:
    async with school.database.reading() as session:
        return (await session.exec(select(TeachingGroup.id).where(TeachingGroup.name == name))).one()


async def plan(school: Running, client: httpx.AsyncClient, name: str = "5 Oak", **changes: str) -> httpx.Response:
    return await client.post("/lessons/plan", data={"group": await group(school, name), **FORM, **changes})


async def lessons(school: Running, title: str = "Maths: shapes") -> list[Lesson]:
    async with school.database.reading() as session:
        return list((await session.exec(select(Lesson).where(Lesson.title == title).order_by(Lesson.starts_at))).all())


async def events(school: Running, kind: str) -> int:
    async with school.database.reading() as session:
        return len((await session.exec(select(AuditLeaf).where(AuditLeaf.kind == kind))).all())


async def staff(school: Running, name: str) -> str:
    async with school.database.reading() as session:
        school_id = (await session.exec(select(Lesson.school_id))).first()
        assert school_id
        everybody = await people.holders(session, school_id, frozenset(people.Role))
        return next(person.id for person in everybody if person.name == name)


def errors(page: httpx.Response) -> list[str]:
    summary = re.search(r'govuk-error-summary__list">(.*?)</ul>', page.text, re.S)
    return re.findall(r"<a[^>]*>(.*?)</a>", summary[1]) if summary else []


# Planning


async def test_a_lesson_inside_the_rules_is_planned_with_one_form_and_seen_by_families(
    school: Running, teacher: httpx.AsyncClient
) -> None:
    answer = await plan(school, teacher)
    assert answer.status_code == 303
    page = await teacher.get(answer.headers["location"])
    assert "Lesson planned" in page.text
    assert "It meets the school’s rules, so no approval is needed. Families can see it now." in page.text
    [lesson] = await lessons(school)
    assert (lesson.status, lesson.decided_by, lesson.starts_at) == ("planned", "", datetime(2026, 11, 30, 10, 15, tzinfo=UTC))
    assert await events(school, "LessonPlanned") == 1


async def test_pressing_enter_in_the_form_plans_and_does_not_fill_it_in_again(
    school: Running, teacher: httpx.AsyncClient
) -> None:
    form = (await teacher.get("/lessons/plan")).text.partition('action="/lessons/plan"')[2]
    first = re.search(r'<button[^>]*type="submit"[^>]*>', form)
    assert first
    assert "formmethod" not in first[0]


async def test_the_form_comes_filled_in_from_the_last_lesson_with_that_class(school: Running, teacher: httpx.AsyncClient) -> None:
    await plan(school, teacher, about="Squares", start="11:30", length="30")
    page = (await teacher.get("/lessons/plan")).text
    assert 'value="Maths: shapes"' in page
    assert '<option value="11:30" selected>' in page
    assert ">Squares</textarea>" in page
    assert "8 of 8 pupils in 5 Oak can join. 1 adult: you." in page


async def test_a_refused_form_loses_nothing_and_says_what_to_do_beside_each_field(
    school: Running, teacher: httpx.AsyncClient
) -> None:
    page = await plan(school, teacher, "2 Elm", start="06:00", length="60", about="Keep me", **{"link-0": "games.example/x"})
    assert page.status_code == 422
    assert errors(page) == [
        "Choose a time between 8am and 5pm on a school day", "Choose 30 minutes or less for this age",
        "games.example/x is not on the allowed list. Ask Miss Okafor to allow it, or remove it",
    ]
    assert "<title>Error: Plan a lesson" in page.text
    assert 'id="start-error"' in page.text
    assert 'id="link-0-error"' in page.text
    for kept in ("Maths: shapes", "Keep me", 'value="games.example/x"', 'value="30"'):
        assert kept in page.text
    assert await lessons(school) == []


@pytest.mark.parametrize(("field", "value", "words"), [
    ("title", " ", "Give the lesson a title"), ("start", "noon", "Choose when it starts"),
    ("length", "x", "Choose how long it is"), ("on-month", "13", "Enter a real day, like 3 3 2027"), ("day", "", "Choose a day"),
    ("link-1", "javascript:alert(1)", "Enter a web address, like bbc.co.uk/bitesize"),
])
async def test_what_cannot_be_read_is_said_in_plain_words(
    school: Running, teacher: httpx.AsyncClient, field: str, value: str, words: str
) -> None:
    page = await plan(school, teacher, **{field: value})
    assert (page.status_code, errors(page)) == (422, [words])


async def test_markup_in_a_title_is_shown_and_never_run(school: Running, teacher: httpx.AsyncClient) -> None:
    answer = await plan(school, teacher, title="<script>alert(1)</script>")
    page = await teacher.get(answer.headers["location"])
    assert "&lt;script&gt;" in page.text
    assert "<script>alert" not in page.text


async def test_a_clash_names_the_class_the_lesson_and_the_times(school: Running, teacher: httpx.AsyncClient) -> None:
    await plan(school, teacher)
    page = await plan(school, teacher, start="10:45")
    assert errors(page) == ["5 Oak has Maths: shapes with Mr Hall from 10:15am to 10:55am"]
    page = await plan(school, teacher, "8 Maths B", start="10:45")
    assert errors(page) == ["Mr Hall has Maths: shapes with 5 Oak from 10:15am to 10:55am"]
    assert (await plan(school, teacher, "8 Maths B", start="10:55")).status_code == 303  # back to back


@pytest.mark.postgresql
async def test_of_two_plans_for_one_teacher_and_time_exactly_one_is_made(school: Running) -> None:
    oak, maths = await group(school, "5 Oak"), await group(school, "8 Maths B")
    async with school.database.reading() as session:
        actor = await people.actor(session, school.person("teacher"))
    assert actor
    start = datetime(2026, 11, 30, 10, 15, tzinfo=UTC)

    async def attempt(number: int) -> str:
        wanted = Wanted(group_id=(oak, maths)[number % 2], title="At once", starts=(start,), minutes=30,
                        adults=(actor.person_id,))
        try:
            async with school.database.writing() as session:
                await commands.plan(session, actor, wanted, school.clock.now())
        except commands.PlanRefused as refused:
            return refused.refusals[0].rule
        return "planned"

    outcomes = await asyncio.gather(*(attempt(number) for number in range(6)))
    assert sorted(outcomes) == ["clash"] * 5 + ["planned"]
    assert len(await lessons(school, "At once")) == 1


async def test_nobody_plans_for_a_class_they_do_not_teach(school: Running) -> None:
    async with await school.signed_in("teacher", 1) as cole:
        assert (await plan(school, cole, "8 Maths B")).status_code == 404
    async with await school.signed_in("pupil") as pupil:
        assert (await plan(school, pupil)).status_code == 404


async def leave(school: Running, name: str, pupils: int) -> None:
    """Only so many pupils of a class may take part."""
    async with school.database.reading() as session:
        members = (await session.exec(select(GroupMember.person_id).where(
            GroupMember.group_id == await group(school, name), GroupMember.part == "pupil"
        ))).all()
    for child in members[pupils:]:
        await withdraw(school, child, "attend")


async def test_a_one_to_one_is_refused_and_the_page_says_how_to_ask(school: Running, teacher: httpx.AsyncClient) -> None:
    await leave(school, "5 Oak", 1)
    page = await plan(school, teacher, because="Please")
    assert errors(page) == [
        "Only 1 pupil in this group can join. Add pupils, add a second member of staff, or ask for an exception"
    ]
    assert "Dr Marsh decides about this exact lesson, adult, pupil and time" in page.text
    assert "Ask for approval" not in page.text
    assert await lessons(school) == []


async def test_one_pupil_with_two_cleared_adults_is_planned_and_the_dsl_is_told(
    school: Running, teacher: httpx.AsyncClient
) -> None:
    await leave(school, "5 Oak", 1)
    answer = await plan(school, teacher, second=await staff(school, "Mrs Bello"))
    assert "The DSL has been told." in (await teacher.get(answer.headers["location"])).text
    async with school.database.reading() as session:
        alerts = (await session.exec(select(Alert).where(Alert.kind == "one-pupil"))).all()
    assert len(alerts) == 1


async def test_nobody_on_duty_means_no_lesson(school: Running, teacher: httpx.AsyncClient) -> None:
    await change(school, "DELETE FROM duty_slot WHERE weekday = 0")
    assert errors(await plan(school, teacher)) == [
        "Nobody is on duty for safeguarding at that time. Choose another time, or ask the office about the rota"
    ]


async def test_whoever_teaches_the_lesson_is_not_the_one_on_duty_for_it(school: Running) -> None:
    async with await school.signed_in("senior_leader") as khan:
        await change(school, "DELETE FROM duty_slot WHERE person_id != :khan", khan=school.person("senior_leader"))
        assert "Nobody is on duty" in errors(await plan(school, khan, "8 Maths B"))[0]


async def test_an_adult_without_a_valid_check_is_not_planned(school: Running, teacher: httpx.AsyncClient) -> None:
    await change(school, "UPDATE dbs_check SET withdrawn_at = '2026-11-01' WHERE person_id = :hall",
                 hall=school.person("teacher"))
    words = "Mr Hall has no valid DBS check on record. Ask the office before you plan"
    assert words in errors(await plan(school, teacher))


# Series


async def test_a_weekly_series_is_planned_at_the_same_time_on_every_date(school: Running, teacher: httpx.AsyncClient) -> None:
    answer = await plan(school, teacher, repeat="weekly", **{"until-day": "14", "until-month": "12", "until-year": "2026"})
    assert answer.headers["location"].endswith("?planned=3")
    made = await lessons(school)
    assert [lesson.starts_at.day for lesson in made] == [30, 7, 14]
    assert len({lesson.series_id for lesson in made}) == 1


async def test_a_series_shows_each_date_and_the_bad_one_can_be_left_out(school: Running, teacher: httpx.AsyncClient) -> None:
    await change(school, "INSERT INTO closure (id, school_id, closed_on, name) "
                 "SELECT 'inset', id, '2026-12-07', 'INSET' FROM school")
    weekly = {"repeat": "weekly", "until-day": "14", "until-month": "12", "until-year": "2026"}
    page = await plan(school, teacher, **weekly)
    assert page.status_code == 422
    rows = re.findall(r'<th scope="row"[^>]*>(.*?)</th>.*?<strong[^>]*>(.*?)</strong>', page.text, re.S)
    assert rows == [("Monday 30 November", "OK"), ("Monday 7 December", "Not allowed"), ("Monday 14 December", "OK")]
    assert await lessons(school) == []
    assert (await plan(school, teacher, **weekly, **{"left-out": "2026-12-07"})).status_code == 303
    assert [lesson.starts_at.day for lesson in await lessons(school)] == [30, 14]


async def test_looking_at_the_dates_plans_nothing(school: Running, teacher: httpx.AsyncClient) -> None:
    page = await plan(school, teacher, repeat="weekly", step="check", **{
        "until-day": "14", "until-month": "12", "until-year": "2026",
    })
    assert page.text.count(">OK</strong>") == 3
    assert await lessons(school) == []


async def test_an_exception_is_for_one_exact_lesson_and_never_for_a_series(school: Running, teacher: httpx.AsyncClient) -> None:
    page = await plan(school, teacher, length="60", repeat="weekly", because="We need it", **{
        "until-day": "7", "until-month": "12", "until-year": "2026",
    })
    assert page.status_code == 422
    assert await lessons(school) == []


# Exceptions


async def asked(school: Running, teacher: httpx.AsyncClient) -> Lesson:
    page = await plan(school, teacher, length="60")
    assert "Ask for approval" in page.text
    answer = await plan(school, teacher, length="60", because="A practical needs the hour")
    assert "Nothing can start until a senior leader approves it." in (await teacher.get(answer.headers["location"])).text
    [lesson] = await lessons(school)
    assert (lesson.status, lesson.outside) == ("waiting", "length")
    return lesson


@pytest.mark.parametrize(("answer", "status", "event"), [
    ("approve", "planned", "LessonApproved"), ("refuse", "refused", "LessonRefused"),
])
async def test_a_lesson_outside_the_profile_waits_for_a_senior_leader(
    school: Running, teacher: httpx.AsyncClient, answer: str, status: str, event: str
) -> None:
    lesson = await asked(school, teacher)
    async with await school.signed_in("headteacher") as head:
        page = (await head.get("/lessons/waiting")).text
        assert "A practical needs the hour" in page
        assert "Longer than the limit for this age" in page
        unreasoned = await head.post(f"/lessons/waiting/{lesson.id}", data={"answer": answer})
        assert errors(unreasoned) == ["Give a reason"]
        done = await head.post(f"/lessons/waiting/{lesson.id}", data={"answer": answer, "reason": "I looked at it"})
        assert done.status_code == 303
    [lesson] = await lessons(school)
    assert (lesson.status, lesson.decision_reason) == (status, "I looked at it")
    assert await events(school, event) == 1


# What comes after today


def to_come(page: httpx.Response) -> str:
    return page.text.partition('id="to-come"')[2]


async def test_a_teacher_finds_the_lessons_of_other_days_and_the_links_to_look_at(
    school: Running, teacher: httpx.AsyncClient
) -> None:
    lesson = await planned(school, teacher, **{"link-0": "nrich.maths.org/shapes"})
    page = await teacher.get("/today")
    assert f'<a class="govuk-link" href="/lessons/{lesson.id}">Maths: shapes, 5 Oak</a>' in to_come(page)
    assert f'href="/lessons/{lesson.id}"' not in page.text.partition('id="to-come"')[0]
    assert "Preview 1 link for Maths: shapes, Monday 30 November" in page.text
    async with await school.signed_in("teacher", 1) as cole:
        assert "Maths: shapes" not in (await cole.get("/today")).text


async def test_a_lesson_that_waits_or_was_refused_is_shown_with_its_state(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson = await asked(school, teacher)
    assert "Waiting for approval" in to_come(await teacher.get("/today"))
    async with await school.signed_in("headteacher") as head:
        assert f'href="/lessons/{lesson.id}"' in to_come(await head.get("/today"))
        await head.post(f"/lessons/waiting/{lesson.id}", data={"answer": "refuse", "reason": "Plan two short ones"})
    page = to_come(await teacher.get("/today"))
    assert "Not approved" in page
    assert "Reason: Plan two short ones" in page


async def test_whoever_planned_a_lesson_for_another_finds_it_as_their_own(school: Running) -> None:
    async with await school.signed_in("senior_leader") as khan:
        lesson = await planned(school, khan, adult=await staff(school, "Mr Hall"))
        own = to_come(await khan.get("/today")).partition("Everybody else’s")[0]
    assert f'href="/lessons/{lesson.id}"' in own


async def test_the_lessons_to_come_are_limited_and_more_can_be_seen(
    school: Running, teacher: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await planned(school, teacher, repeat="weekly", **{"until-day": "14", "until-month": "12", "until-year": "2026"})
    found = to_come(await teacher.get("/today"))
    everything = re.findall(r'href="(/lessons/\w+)"', found)
    assert len(everything) >= 3
    assert "Show more" not in found
    monkeypatch.setattr(day, "AT_A_TIME", len(everything) - 1)
    first, more = to_come(await teacher.get("/today")), to_come(await teacher.get("/today?more=2"))
    assert re.findall(r'href="(/lessons/\w+)"', first) == everything[:-1]
    assert 'href="/today?more=2#to-come"' in first
    assert re.findall(r'href="(/lessons/\w+)"', more) == everything
    assert "Show more" not in more
    assert (await teacher.get("/today?more=-5")).status_code == 200


async def test_nobody_approves_their_own_lesson(school: Running) -> None:
    async with await school.signed_in("senior_leader") as khan:
        await plan(school, khan, "8 Maths B", length="75", because="Please")
        [lesson] = await lessons(school)
        refused = await khan.post(f"/lessons/waiting/{lesson.id}", data={"answer": "approve", "reason": "Mine"})
    assert errors(refused) == ["You cannot decide this. You planned it or you are the adult in it."]
    assert (await lessons(school))[0].status == "waiting"


async def test_an_approval_lifts_no_floor(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson = await asked(school, teacher)
    await leave(school, "5 Oak", 1)
    async with await school.signed_in("headteacher") as head:
        refused = await head.post(f"/lessons/waiting/{lesson.id}", data={"answer": "approve", "reason": "Fine"})
    assert errors(refused)[0].startswith("Only 1 pupil in this group can join")
    assert (await lessons(school))[0].status == "waiting"


async def test_a_lesson_that_waits_is_on_no_pupils_or_parents_page(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson = await asked(school, teacher)
    async with await school.signed_in("pupil") as pupil, await school.signed_in("parent") as parent:
        assert (await pupil.get(f"/lessons/{lesson.id}")).status_code == 404
        assert "Maths: shapes" not in (await parent.get("/family")).text


# Changes


async def planned(school: Running, teacher: httpx.AsyncClient, **changes: str) -> Lesson:
    assert (await plan(school, teacher, **changes)).status_code == 303
    return (await lessons(school))[0]


MOVE = {"on-day": "27", "on-month": "11", "on-year": "2026", "start": "13:00", "length": "30"}


async def test_a_moved_lesson_is_shown_to_families_with_where_it_was(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson = await planned(school, teacher)
    answer = await teacher.post(f"/lessons/{lesson.id}/move", data=MOVE)
    assert answer.status_code == 303
    async with await school.signed_in("parent") as parent:
        page = (await parent.get("/family")).text
    assert "1pm to 1:30pm" in page
    assert "Moved from Monday 30 November, 10:15am." in page
    assert await events(school, "LessonMoved") == 1


async def test_a_move_is_measured_like_a_plan_and_changes_nothing_when_refused(
    school: Running, teacher: httpx.AsyncClient
) -> None:
    lesson = await planned(school, teacher)
    page = await teacher.post(f"/lessons/{lesson.id}/move", data=MOVE | {"start": "19:00"})
    assert errors(page) == ["Choose a time between 8am and 5pm on a school day"]
    assert (await lessons(school))[0].starts_at == lesson.starts_at


async def test_this_and_later_lessons_move_together(school: Running, teacher: httpx.AsyncClient) -> None:
    weekly = {"repeat": "weekly", "until-day": "14", "until-month": "12", "until-year": "2026"}
    await planned(school, teacher, **weekly)
    second = (await lessons(school))[1]
    move = {"on-day": "8", "on-month": "12", "on-year": "2026", "start": "13:00", "length": "30", "scope": "later"}
    await teacher.post(f"/lessons/{second.id}/move", data=move)
    assert [(lesson.starts_at.day, lesson.starts_at.hour) for lesson in await lessons(school)] == [(30, 10), (8, 13), (15, 13)]


async def test_a_cancelled_lesson_is_told_and_opens_for_nobody(school: Running) -> None:
    async with await school.signed_in("teacher", 1) as cole, await school.signed_in("pupil", 1) as pupil:
        assert (await plan(school, cole, "2 Elm", day="today", length="20")).status_code == 303
        [lesson] = await lessons(school)
        assert 'data-room="door"' in (await cole.get(f"/lessons/{lesson.id}")).text
        await cole.post(f"/lessons/{lesson.id}/cancel", data={"because": "Illness"})
        day, page = (await pupil.get("/today")).text, await cole.get(f"/lessons/{lesson.id}")
    assert "This lesson is cancelled." in day
    assert "Illness" not in day
    assert 'data-room="door"' not in page.text


async def test_a_family_sees_that_a_lesson_is_cancelled_and_not_why(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson = await planned(school, teacher)
    await teacher.post(f"/lessons/{lesson.id}/cancel", data={"because": "Illness"})
    async with await school.signed_in("parent") as parent:
        family = (await parent.get("/family")).text
    assert "Cancelled" in family
    assert "Illness" not in family


async def test_cover_is_another_cleared_adult_and_families_are_told(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson, cole = await planned(school, teacher), await staff(school, "Ms Cole")
    answer = await teacher.post(f"/lessons/{lesson.id}/cover", data={"person": cole})
    assert answer.status_code == 303
    async with await school.signed_in("parent") as parent:
        assert "Ms Cole teaches this lesson." in (await parent.get("/family")).text
    async with school.database.reading() as session:
        rows = (await session.exec(select(LessonAdult).where(LessonAdult.lesson_id == lesson.id))).all()
    assert [(row.person_id, row.part) for row in rows] == [(cole, "cover")]
    assert (await teacher.get(f"/lessons/{lesson.id}/change")).status_code == 200  # its planner still may


async def test_cover_without_a_dbs_check_is_refused(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson, cole = await planned(school, teacher), await staff(school, "Ms Cole")
    await change(school, "DELETE FROM dbs_check WHERE person_id = :cole", cole=cole)
    page = await teacher.post(f"/lessons/{lesson.id}/cover", data={"person": cole})
    assert errors(page) == ["Ms Cole has no valid DBS check on record. Ask the office before you plan"]


async def test_a_teacher_who_is_busy_cannot_cover(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson, cole = await planned(school, teacher), await staff(school, "Ms Cole")
    async with await school.signed_in("teacher", 1) as client:
        assert (await plan(school, client, "2 Elm", title="Reading", length="20")).status_code == 303
    page = await teacher.post(f"/lessons/{lesson.id}/cover", data={"person": cole})
    assert errors(page) == ["Ms Cole has Reading with 2 Elm from 10:15am to 10:35am"]


async def test_a_parent_or_pupil_is_never_put_in_front_of_a_class(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson = await planned(school, teacher)
    for role in ("parent", "pupil", "office"):
        for path, field in (("cover", "person"), ("second", "second")):
            page = await teacher.post(f"/lessons/{lesson.id}/{path}", data={field: school.person(role)})
            assert errors(page) == ["Choose a member of staff"]


async def test_a_lesson_that_is_on_cannot_be_moved_or_cancelled_but_a_second_adult_can_come(
    school: Running, teacher: httpx.AsyncClient
) -> None:
    now_on = next(lesson for lesson in school.made["lessons"] if lesson["title"] == "Maths: fractions")["id"]
    await change(school, "UPDATE lesson SET started_at = :now WHERE id = :id", now=school.clock.now(), id=now_on)
    assert (await teacher.post(f"/lessons/{now_on}/move", data=MOVE)).status_code == 409
    assert (await teacher.post(f"/lessons/{now_on}/cancel", data={})).status_code == 409
    bello = await staff(school, "Mrs Bello")
    assert (await teacher.post(f"/lessons/{now_on}/second", data={"second": bello})).status_code == 303


async def test_another_teachers_lesson_is_not_there_to_change(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson = await planned(school, teacher)
    async with await school.signed_in("teacher", 1) as cole, await school.signed_in("pupil") as pupil:
        for client in (cole, pupil):
            for path in ("move", "cancel", "cover", "second", "links"):
                assert (await client.post(f"/lessons/{lesson.id}/{path}", data=MOVE)).status_code == 404
            assert (await client.get(f"/lessons/{lesson.id}/change")).status_code == 404


# Links


async def test_a_link_opens_in_the_lesson_only_once_somebody_looked_at_it(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson = await planned(school, teacher, **{"link-0": "nrich.maths.org/shapes"})
    async with school.database.reading() as session:
        link = (await session.exec(select(LessonLink).where(LessonLink.lesson_id == lesson.id))).one()
    assert link.previewed_at is None
    path = f"/lessons/{lesson.id}/links/{link.id}/preview"
    assert errors(await teacher.post(path, data={})) == ["Look at the whole page, then tick the box"]
    assert (await teacher.post(path, data={"looked": "yes"})).status_code == 303
    async with school.database.reading() as session:
        link = (await session.exec(select(LessonLink).where(LessonLink.lesson_id == lesson.id))).one()
    assert (link.previewed_by, link.previewed_at) == (school.person("teacher"), school.clock.now())
    assert await events(school, "LinkPreviewed") == 1


async def test_an_address_off_the_allowed_list_is_not_added(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson = await planned(school, teacher)
    page = await teacher.post(f"/lessons/{lesson.id}/links", data={"url": "https://nrich.maths.org.evil.example"})
    assert errors(page) == ["This address is not on the allowed list. Ask Miss Okafor to allow it, or remove it"]


async def test_what_the_dsl_allows_can_be_used_at_once_and_is_kept_with_the_reason(
    school: Running, teacher: httpx.AsyncClient
) -> None:
    lesson = await planned(school, teacher)
    async with await school.signed_in("dsl") as dsl:
        lists: dict[str, Any] = {"words": "stupid\n", "links": "nrich.maths.org\nsums.example"}
        assert errors(await dsl.post("/school/words", data=lists)) == ["Say why"]
        assert (await dsl.post("/school/words", data=lists | {"reason": "For year 5"})).status_code == 303
        page = (await dsl.get("/school/words")).text
    assert "For year 5" in page
    assert "Miss Okafor" in page
    added = await teacher.post(f"/lessons/{lesson.id}/links", data={"url": "sums.example/shapes"})
    assert added.status_code == 303
    assert await events(school, "WordListChanged") == 1


async def test_a_temporary_change_of_the_lists_goes_back_by_itself(school: Running, teacher: httpx.AsyncClient) -> None:
    lesson = await planned(school, teacher)
    async with await school.signed_in("dsl") as dsl:
        await dsl.post("/school/words", data={"words": "stupid", "links": "sums.example", "reason": "One day",
                                              "expires-day": "24", "expires-month": "11", "expires-year": "2026"})
    school.clock.advance(timedelta(days=1).total_seconds())
    async with await school.signed_in("teacher") as tomorrow:
        page = await tomorrow.post(f"/lessons/{lesson.id}/links", data={"url": "sums.example"})
    assert "not on the allowed list" in errors(page)[0]


@pytest.mark.parametrize("role", ["teacher", "pupil", "parent", "office", "headteacher", "technician"])
async def test_only_safeguarding_leads_see_or_change_the_lists(school: Running, role: str) -> None:
    async with await school.signed_in(role) as client:
        assert (await client.get("/school/words")).status_code == 404
        assert (await client.post("/school/words", data={"words": "", "links": "", "reason": "x"})).status_code == 404
