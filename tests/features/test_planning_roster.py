"""What the live room is told of a lesson: read fresh, so a change of clearance or consent counts at the next reading."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.tables import ConsentResponse
from lessons import roster as rosters
from lessons.live import reading
from lessons.live.plan import Plan, Role
from lessons.live.supervision import Kind
from service.foundation.errors import NotFound
from service.people import commands
from service.people import queries as people
from tests import cluster
from tests.guests import invited
from tests.school import Running


async def plan_now(school: Running) -> Plan:
    async with school.database.reading() as session:
        return await reading.plan(session, await rosters.roster(session, startable(school)["id"]))


def startable(school: Running) -> dict[str, Any]:
    """The seeded lesson that is on now."""
    now = school.clock.now().isoformat()
    return next(lesson for lesson in school.made["lessons"]
                if lesson["starts_at"] <= now < lesson["ends_at"] and len(lesson["pupil_ids"]) >= 4)


async def change(school: Running, statement: str, **values: object) -> None:
    async with school.database.writing() as session:
        await session.exec(text(statement).bindparams(**values))


async def drop_trigger(school: Running, name: str, table: str) -> None:
    """As somebody would who holds the database."""
    await change(school, f"DROP TRIGGER {name}" + (f" ON {table}" if cluster.used else ""))


async def withdraw(school: Running, child_id: str, purpose: str) -> None:
    """Whoever said yes takes it back."""
    async with school.database.writing() as session:
        said = (await session.exec(select(ConsentResponse).where(
            ConsentResponse.child_id == child_id, ConsentResponse.purpose == purpose
        ))).all()
        now = school.clock.now()
        session.add_all(ConsentResponse(
            school_id=one.school_id, child_id=child_id, purpose=purpose, answer="withdrawn", respondent_id=one.respondent_id,
            relationship=one.relationship, route="telephone", signed_on=now.date(), recorded_by="system", recorded_at=now,
        ) for one in said)


async def test_the_plan_has_the_class_its_adults_and_those_who_may_drop_in(school: Running) -> None:
    plan, lesson = await plan_now(school), startable(school)
    pupils = [person for person in plan.people.values() if person.kind is Kind.CHILD]
    assert {person.id for person in pupils} == set(lesson["pupil_ids"])
    teacher = plan.people[lesson["adult_ids"][0]]
    assert (teacher.role, teacher.cleared, teacher.may.moderate, teacher.may.stop) == (Role.TEACHER, True, True, False)
    head = plan.people[school.person("headteacher")]
    assert (head.role, head.may.stop) == (Role.LEADER, True)
    assert school.person("parent") not in plan.people
    assert school.person("governor") not in plan.people


async def test_the_window_is_the_lesson_and_the_profile_s_overrun(school: Running) -> None:
    plan = await plan_now(school)
    assert plan.hard_end_at - plan.ends_at == timedelta(minutes=5)
    assert plan.starts_at < plan.ends_at <= plan.latest_end_at <= plan.hard_end_at
    assert not plan.stopped


async def test_a_name_shown_in_the_room_is_a_child_s_first_name_only(school: Running) -> None:
    plan = await plan_now(school)
    assert all(" " not in person.name for person in plan.people.values() if person.kind is Kind.CHILD)


@pytest.mark.parametrize(("purpose", "lost"), [
    ("attend", ("attend", "microphone", "camera", "chat", "screen")),
    ("be_recorded", ("attend", "microphone", "camera", "chat", "screen")),
    ("camera", ("camera",)), ("microphone", ("microphone",)), ("chat", ("chat",)),
])
async def test_a_withdrawn_consent_counts_at_the_next_reading(school: Running, purpose: str, lost: tuple[str, ...]) -> None:
    before = await plan_now(school)
    child = next(person for person in before.people.values()
                 if person.kind is Kind.CHILD and person.may.attend and person.may.camera and person.may.chat)
    await withdraw(school, child.id, purpose)
    may = (await plan_now(school)).people[child.id].may
    assert {what for what in ("attend", "microphone", "camera", "chat", "screen") if not getattr(may, what)} == set(lost)


async def test_an_adult_whose_dbs_check_is_withdrawn_may_not_even_come_in(school: Running) -> None:
    teacher = startable(school)["adult_ids"][0]
    await change(school, "UPDATE dbs_check SET withdrawn_at = :now WHERE person_id = :teacher",
                 now=school.clock.now(), teacher=teacher)
    person = (await plan_now(school)).people[teacher]
    assert (person.cleared, person.may.attend) == (False, False)


async def test_an_adult_whose_agreement_ran_out_may_not_come_in(school: Running) -> None:
    lesson = startable(school)
    school.clock.advance(timedelta(days=400).total_seconds())
    async with school.database.reading() as session:
        plan = await reading.plan(session, await rosters.roster(session, lesson["id"]))
    assert not plan.people[lesson["adult_ids"][0]].cleared


async def test_a_guest_comes_in_and_never_counts_as_the_schools_adult(school: Running) -> None:
    guest = await invited(school, startable(school)["id"])
    person = (await plan_now(school)).people[guest.guest_id]
    assert (person.kind, person.cleared, person.may.attend, person.may.moderate) == (Kind.GUEST, False, True, False)


async def test_a_pupil_who_left_the_school_is_on_no_roster(school: Running) -> None:
    child = startable(school)["pupil_ids"][0]
    await change(school, "UPDATE person SET left_on = '2020-01-01' WHERE id = :child", child=child)
    assert child not in (await plan_now(school)).people


@pytest.mark.parametrize("status", ["waiting", "refused", "cancelled"])
async def test_a_lesson_that_is_not_planned_opens_for_nobody(school: Running, status: str) -> None:
    await change(school, "UPDATE lesson SET status = :status WHERE id = :id", status=status, id=startable(school)["id"])
    assert (await plan_now(school)).stopped


async def test_whoever_was_removed_stays_out(school: Running) -> None:
    lesson = startable(school)
    await change(
        school, "INSERT INTO journal_entry (id, school_id, lesson_id, seq, at, kind, person_id, body) "
        "SELECT 'entry', school_id, id, 9999, starts_at, 'removed', :child, '{}' FROM lesson WHERE id = :id",
        child=lesson["pupil_ids"][0], id=lesson["id"],
    )
    assert (await plan_now(school)).removed == {lesson["pupil_ids"][0]}


async def test_a_lesson_that_does_not_exist_has_no_plan(school: Running) -> None:
    async with school.database.reading() as session:
        with pytest.raises(NotFound):
            await rosters.roster(session, "nothing")


async def test_a_class_at_the_door_has_its_roster_read_once_also_when_it_has_to_be_read_anew(
    school: Running, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And what was decided since counts for whoever asks next (policy: CO2)."""
    lesson, read, asked = startable(school)["id"], rosters.roster, []

    async def noted(session: AsyncSession, lesson_id: str) -> rosters.Roster:
        asked.append(lesson_id)
        return await read(session, lesson_id)

    async def one() -> int:
        async with school.database.glance() as session:
            return len((await kept.current(session, lesson)).pupils)

    kept = reading.Rosters()
    monkeypatch.setattr(rosters, "roster", noted)
    before = set(await asyncio.gather(*(one() for _ in range(30))))
    school.clock.advance(reading.STANDS.total_seconds())
    assert set(await asyncio.gather(*(one() for _ in range(30)))) == before
    assert len(asked) == 2
    async with school.database.writing() as session:
        head = await people.actor(session, school.person("headteacher"))
        assert head
        await commands.leave(session, head, startable(school)["pupil_ids"][0], school.clock.now())
    [after] = set(await asyncio.gather(*(one() for _ in range(30))))
    assert {after + 1} == before
    assert len(asked) == 3
