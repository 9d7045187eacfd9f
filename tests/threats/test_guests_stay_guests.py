"""T5, T6, T7 for guests: nobody lets their own guest in, a pass is for its lessons only, and whoever is out stays out.

Each attack has a negative control that takes the one guard away and fails on the attack's own assertion.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DatabaseError
from sqlmodel import select

from lessons import roster as rosters
from lessons.guests import commands, queries, rules
from lessons.guests.rules import approval_action
from lessons.guests.tables import GuestPass
from lessons.live import reading
from lessons.live.plan import Person
from lessons.live.room import Room
from lessons.live.supervision import Kind
from service.foundation.errors import Conflict, NotAllowed
from service.foundation.events import Role
from service.people.actions import NotConfirmed
from service.people.step_up import Proof
from tests.guests import Invited, asked, invited
from tests.proofs import proof, with_session
from tests.room.pages import Lesson
from tests.room.stage import ALI, BEA, START, TEACHER, Stage, guest, plan_of
from tests.school import Running


async def approve(school: Running, who: Any, one: Invited, given: Proof | None = None) -> None:
    """What the approving route does, by somebody who can prove who they are."""
    async with school.database.reading() as session:
        it = await queries.one_pass(session, who.school_id, one.pass_id)
    given = given or await proof(school, who, approval_action(it, "Good", ""))
    async with school.database.writing() as session:
        await commands.approve(session, who, one.pass_id, reason="Good", proof=given, now=school.clock.now())


async def is_approved(school: Running, one: Invited) -> bool:
    async with school.database.reading() as session:
        return bool((await session.exec(select(GuestPass.approved).where(GuestPass.id == one.pass_id))).one())


async def test_a_sponsor_with_every_role_and_a_good_proof_does_not_approve_their_own_guest(
    school: Running, monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = await asked(school, school.lesson()["id"])
    sponsor = replace(await with_session(school, "teacher"), roles=frozenset(Role))
    with pytest.raises(NotAllowed):
        await approve(school, sponsor, one)
    monkeypatch.setattr(rules, "checked_decider", lambda actor, one: None)
    school.clock.advance(30)
    with pytest.raises(DatabaseError):  # without the rule the database still says no
        await approve(school, sponsor, one)
    assert not await is_approved(school, one)


async def test_negative_control_the_same_words_from_a_third_person_do_approve(school: Running) -> None:
    one = await asked(school, school.lesson()["id"])
    await approve(school, await with_session(school, "headteacher"), one)
    assert await is_approved(school, one)
    with pytest.raises(Conflict):
        await approve(school, await with_session(school, "senior_leader"), one)


async def test_a_proof_given_for_one_guest_lets_no_other_in(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = school.lesson()["id"]
    one, other = await asked(school, lesson), await asked(school, lesson, given_name="Max", family_name="Vane")
    head = await with_session(school, "headteacher")
    async with school.database.reading() as session:
        it = await queries.one_pass(session, head.school_id, one.pass_id)
    given = await proof(school, head, approval_action(it, "Good", ""))
    with pytest.raises(NotConfirmed):
        await approve(school, head, other, given)
    assert not await is_approved(school, other)
    monkeypatch.setattr(rules, "approval_action", lambda it, reason, words: approval_action(
        replace(it, id=one.pass_id, guest_id=one.guest_id), reason, words))
    await approve(school, head, other, given)
    assert await is_approved(school, other), "an action that did not name the guest would have let the other one in"


async def on_the_roster(school: Running, lesson_id: str, person: str) -> bool:
    async with school.database.reading() as session:
        return person in (await reading.plan(session, await rosters.roster(session, lesson_id))).people


async def test_a_pass_for_one_lesson_opens_no_other_of_the_same_class_on_the_same_day(
    school: Running, monkeypatch: pytest.MonkeyPatch,
) -> None:
    lesson = school.lesson()
    one = await invited(school, lesson["id"])
    others = [each["id"] for each in school.made["lessons"] if each["id"] != lesson["id"]]
    assert [each for each in others if await on_the_roster(school, each, one.guest_id)] == []
    whole = queries.admissions

    async def by_school(session: Any, school_id: str, lessons: Any) -> Any:
        found = await whole(session, school_id, {lesson["id"]: next(iter(lessons.values()))})
        return dict.fromkeys(lessons, found[lesson["id"]])

    monkeypatch.setattr(rosters.guests, "admissions", by_school)
    assert [each for each in others if await on_the_roster(school, each, one.guest_id)] != []


# -- in the room ------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def lesson(school: Running) -> AsyncIterator[Lesson]:
    lesson = Lesson(school)
    yield lesson
    await lesson.end()


async def test_whose_pass_was_ended_does_not_come_back_by_an_old_ticket(school: Running, lesson: Lesson) -> None:
    one = await invited(school, lesson.id)
    page = await lesson.page(one.guest_id)
    ticket = (await page.door(device="d", media="all")).json()["ticket"]
    await one.end()
    page.connect()
    page.say("hello", ticket=ticket)
    await page.until(lambda: page.code is not None)
    assert page.last("welcome") is None


SPEAKER = guest("speaker")
LATER = START + timedelta(minutes=3)


def with_a_guest_until(until: Any) -> Stage:
    stage = Stage(plan=plan_of(TEACHER, ALI, BEA, replace(SPEAKER, until=until))).join("teacher", "ali", "bea", "speaker")
    return stage.pass_time(3)


def test_at_the_end_of_the_pass_the_guest_is_gone_and_a_clock_set_back_brings_nobody_back() -> None:
    stage = with_a_guest_until(LATER).pass_time((LATER - START).total_seconds() - 64)
    assert "speaker" in stage.connections
    stage.pass_time(1.25)
    assert "speaker" not in stage.connections
    assert stage.room.is_open, "the lesson goes on"
    stage.wall = START
    stage.join("speaker")
    assert "speaker" not in stage.connections


def test_negative_control_without_the_deadline_the_guest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Room, "_is_over", lambda self, person, now: False)
    stage = with_a_guest_until(LATER).pass_time((LATER - START).total_seconds())
    assert "speaker" in stage.connections


@pytest.mark.parametrize("people", [("speaker", "ali"), ("speaker", "ali", "bea"), ("teacher", "speaker", "ali")])
def test_a_guest_is_nobodys_adult_whoever_else_is_there(people: tuple[str, ...]) -> None:
    assert not Stage(plan=plan_of(TEACHER, ALI, BEA, SPEAKER)).join(*people).pass_time(3).room.is_open


@pytest.mark.parametrize("people", [("speaker", "ali", "bea"), ("teacher", "speaker", "ali")])
def test_negative_control_the_same_person_as_cleared_staff_would_open_it(people: tuple[str, ...]) -> None:
    staff: Person = replace(SPEAKER, kind=Kind.STAFF, cleared=True)
    assert Stage(plan=plan_of(TEACHER, ALI, BEA, staff)).join(*people).pass_time(3).room.is_open
