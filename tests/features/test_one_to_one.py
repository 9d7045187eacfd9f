"""A one-to-one is asked for exactly, decided by somebody else, and holds for nothing else (policy: RL1, CM6)."""

import re
from datetime import date, time, timedelta
from typing import Any

import pytest
from sqlmodel import select

from lessons import commands as planning
from lessons import roster as rosters
from lessons.live import reading
from lessons.live.supervision import Kind
from lessons.one_to_one import commands
from service.foundation.audit import AuditLeaf
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import Role
from service.people.actions import NotConfirmed
from service.people.step_up import Proof
from service.safeguarding.approvals import commands as approvals
from service.safeguarding.approvals import marks
from service.safeguarding.approvals.commands import Changed, Decided, MayNotDecide, TalkFirst, TooLate, Verdict
from service.safeguarding.approvals.rules import ENDED
from tests.features.test_planning_roster import change, withdraw
from tests.one_to_one import (
    THURSDAY,
    approve,
    ask,
    given,
    lessons,
    named,
    proved,
    pupils,
    read,
    refuse,
    revoke,
    set_roles,
)
from tests.school import Running


async def plan_of(school: Running, lesson_id: str) -> Any:
    async with school.database.reading() as session:
        return await reading.plan(session, await rosters.roster(session, lesson_id))


async def events(school: Running, kind: str) -> int:
    async with school.database.reading() as session:
        return len((await session.exec(select(AuditLeaf).where(AuditLeaf.kind == kind))).all())


# Asking


async def test_a_request_makes_lessons_that_wait_for_one_pupil_and_one_adult(school: Running) -> None:
    request_id = await ask(school)
    [row] = await lessons(school, request_id)
    assert (row.status, row.title, row.ends_at - row.starts_at) == ("waiting", "One-to-one", timedelta(minutes=30))
    plan = await plan_of(school, row.id)
    assert plan.stopped
    assert [person.id for person in plan.people.values() if person.kind is Kind.CHILD] == [(await pupils(school))[0]]
    assert await events(school, "OneToOneAsked") == 1


@pytest.mark.parametrize(("changes", "field", "words"), [
    ({"why": " "}, "why", "Say why this cannot be a group"),
    ({"safeguards": ""}, "safeguards", "Say what will keep it safe"),
    ({"minutes": 60}, "length", "Choose 45 minutes or less for this age"),
    ({"starts": (THURSDAY - timedelta(hours=26, minutes=30),)}, "start", "Choose a time at least 24 hours away"),
    ({"starts": (THURSDAY + timedelta(days=2, hours=2, minutes=10),)}, "start",
     "This pupil has Science: forces with Mr Hall from 2pm to 2:45pm"),
    ({"starts": (THURSDAY, THURSDAY + timedelta(weeks=8))}, "until", "Choose a last day in the same half term, within 7 weeks"),
])
async def test_it_is_measured_by_the_rules_of_every_lesson(
    school: Running, changes: dict[str, Any], field: str, words: str,
) -> None:
    with pytest.raises(Invalid) as refused:
        await ask(school, **changes)
    assert refused.value.fields[field] == words


async def test_the_notice_is_the_school_s_own(school: Running) -> None:
    await school.set_profile(one_to_one_notice_hours=0)
    assert await ask(school, starts=(school.clock.now() + timedelta(hours=1),))


async def test_a_pupil_who_may_not_take_part_is_refused_without_a_reason(school: Running) -> None:
    await withdraw(school, (await pupils(school))[0], "attend")
    with pytest.raises(Invalid) as refused:
        await ask(school)
    assert refused.value.fields == {"pupil": "This pupil cannot join yet. Ask the office about permissions"}


async def test_a_teacher_asks_only_for_pupils_they_teach_and_for_themselves(school: Running) -> None:
    with pytest.raises(Invalid) as refused:
        await ask(school, by="Mrs Khan", adult="Ms Lin")
    assert refused.value.fields == {"adult": "Choose a member of staff"}
    hall, cole = await named(school, "Mr Hall"), await named(school, "Ms Cole")
    child = (await pupils(school, "8 Maths B"))[0]  # Ms Cole does not teach them
    async with school.database.writing() as session:
        with pytest.raises(Invalid) as refused:
            await commands.shared_class(session, cole, cole.person_id, child)
        assert refused.value.fields == {"pupil": "Choose a pupil you teach"}
        with pytest.raises(NotFound):
            await commands.shared_class(session, cole, hall.person_id, child)


async def test_the_pupil_is_clashed_with_in_any_class_and_the_class_is_not_taken_by_the_one_to_one(school: Running) -> None:
    await ask(school)
    with pytest.raises(Invalid) as refused:
        await ask(school, by="Ms Cole")
    assert refused.value.fields["start"] == "This pupil has One-to-one with Mr Hall from 12pm to 12:30pm"
    assert await ask(school, by="Ms Cole", pupil=1)


# Deciding


async def test_the_headteacher_approves_exactly_this_and_the_plan_names_the_pair(school: Running) -> None:
    request_id = await ask(school)
    await approve(school, request_id, conditions="Door open")
    [row], [approval] = await lessons(school, request_id), await given(school, request_id)
    assert (row.status, row.decision_reason) == ("planned", "Agreed with the family.")
    assert (approval.starts_at, approval.ends_at, approval.conditions) == (row.starts_at, row.ends_at, "Door open")
    plan = await plan_of(school, row.id)
    [pair] = plan.approvals
    assert (pair.adult, pair.child, pair.start, pair.end) == (approval.adult_id, approval.child_id, row.starts_at, row.ends_at)
    assert (plan.needs_approval, plan.ticket_approval) == (True, approval.id)
    assert plan.hard_end_at == plan.latest_end_at == row.ends_at
    assert not plan.people[approval.child_id].may.camera
    assert (await events(school, "OneToOneApproved"), await events(school, "LessonApproved")) == (1, 1)


async def test_the_pupil_s_camera_is_on_only_where_the_approval_says_so(school: Running) -> None:
    request_id = await ask(school, camera_on=True)
    await approve(school, request_id)
    [row], [approval] = await lessons(school, request_id), await given(school, request_id)
    assert (await plan_of(school, row.id)).people[approval.child_id].may.camera
    await revoke(school, approval.id)
    assert not (await plan_of(school, row.id)).people[approval.child_id].may.camera


@pytest.mark.parametrize(("by", "words"), [
    ("Mr Hall", "You cannot decide this. You are the adult in it."),
    ("Mrs Khan", "You cannot decide this. Your school's rules name others."),
    ("Miss Okafor", "You cannot decide this. Your school's rules name others."),
    ("Ms Cole", "You cannot decide this. Your school's rules name others."),
])
async def test_nobody_else_decides(school: Running, by: str, words: str) -> None:
    request_id = await ask(school)
    found, who, now = await read(school, request_id), await named(school, by), school.clock.now()
    verdict = Verdict(request_id, found.asked.digest, "Because")
    async with school.database.writing() as session:
        with pytest.raises(MayNotDecide, match=re.escape(words)):
            await commands.approve(session, who, verdict, Proof(), now)
        with pytest.raises(MayNotDecide, match=re.escape(words)):
            await commands.refuse(session, who, verdict, Proof(), now)
        with pytest.raises(MayNotDecide, match=re.escape(words)):
            await commands.question(session, who, verdict, now)
    assert await given(school) == []


async def test_a_headteacher_who_asks_for_another_does_not_decide_and_the_chair_does(school: Running) -> None:
    request_id = await ask(school, by="Dr Marsh", adult="Mr Hall")
    with pytest.raises(MayNotDecide, match="You asked for it"):
        await approve(school, request_id)
    await approve(school, request_id, by="Mrs Frost")
    assert len(await given(school, request_id)) == 1


async def test_nothing_is_decided_twice(school: Running) -> None:
    request_id = await ask(school)
    await refuse(school, request_id)
    assert [row.status for row in await lessons(school, request_id)] == ["refused"]
    for again in (approve, refuse):
        with pytest.raises(Decided):
            await again(school, request_id)


async def test_a_decision_needs_a_reason_and_what_was_read(school: Running) -> None:
    request_id = await ask(school)
    with pytest.raises(Invalid, match="There is a problem"):
        await approve(school, request_id, reason=" ")
    with pytest.raises(Changed):
        await approve(school, request_id, digest="0" * 64)
    before = await read(school, request_id)
    await change(school, "UPDATE lesson SET version = version + 1 WHERE id = :id", id=before.asked.lessons[0].lesson_id)
    with pytest.raises(Changed):
        await approve(school, request_id, digest=before.asked.digest)


async def test_ask_for_more_and_the_answer_is_a_request_to_be_read_again(school: Running) -> None:
    request_id = await ask(school)
    before, head, hall = await read(school, request_id), await named(school, "Dr Marsh"), await named(school, "Mr Hall")
    async with school.database.writing() as session:
        verdict = Verdict(request_id, before.asked.digest, "Why not after school?")
        await commands.question(session, head, verdict, school.clock.now())
    school.clock.advance(60)
    async with school.database.writing() as session:
        await approvals.answer(session, hall, request_id, "There is no bus then.", school.clock.now())
    with pytest.raises(Changed):
        await approve(school, request_id, digest=before.asked.digest)
    found = await read(school, request_id)
    assert [(note.kind, note.words) for note in found.notes] == [
        ("question", "Why not after school?"), ("answer", "There is no bus then.")]
    await approve(school, request_id)


async def test_a_decision_is_confirmed_for_exactly_that(school: Running) -> None:
    """A proof for a refusal, for other conditions or of somebody else is worth nothing (threat T5)."""
    request_id = await ask(school)
    found, head, chair = await read(school, request_id), await named(school, "Dr Marsh"), await named(school, "Mrs Frost")
    wanted = Verdict(request_id, found.asked.digest, "Yes", conditions="Door open")
    other = Verdict(request_id, found.asked.digest, "Yes")
    proofs = [Proof(), await proved(school, head, approvals.decision(found, wanted, "refuse")),
              await proved(school, head, approvals.decision(found, other, "approve")),
              await proved(school, chair, approvals.decision(found, wanted, "approve"))]
    for proof in proofs:
        async with school.database.writing() as session:
            with pytest.raises(NotConfirmed):
                await commands.approve(session, head, wanted, proof, school.clock.now())
    assert await given(school) == []
    proof = await proved(school, head, approvals.decision(found, wanted, "approve"))
    async with school.database.writing() as session:
        await commands.approve(session, head, wanted, proof, school.clock.now())
    [approval] = await given(school)
    assert approval.confirmed_by == proof.grant_id


async def test_when_its_time_has_come_it_was_not_approved(school: Running) -> None:
    request_id = await ask(school)
    school.clock.advance(3 * 86400)
    with pytest.raises(TooLate, match=r"Time has passed\. It was not approved\."):
        await approve(school, request_id)


async def test_the_rules_are_measured_again_when_it_is_decided(school: Running) -> None:
    request_id = await ask(school)
    await change(school, "UPDATE dbs_check SET withdrawn_at = checked_on")
    with pytest.raises(Invalid) as refused:
        await approve(school, request_id)
    assert "Mr Hall has no valid DBS check on record" in refused.value.fields["verdict"]
    assert await given(school) == []


async def test_a_series_is_one_decision_and_one_approval_for_each_lesson(school: Running) -> None:
    starts = tuple(THURSDAY + timedelta(weeks=week) for week in range(4))
    request_id = await ask(school, starts=starts, until=starts[-1].date())
    await approve(school, request_id, expires_on=date(2026, 12, 10))
    assert [row.starts_at for row in await given(school, request_id)] == list(starts[:3])
    assert [row.status for row in await lessons(school, request_id)] == ["planned"] * 3 + ["refused"]
    second = (await given(school, request_id))[1]
    await revoke(school, second.id)
    assert [row.status for row in await lessons(school, request_id)] == ["planned", "cancelled", "planned", "refused"]


async def test_a_mark_of_the_dsl_has_the_approver_talk_first(school: Running) -> None:
    request_id, dsl = await ask(school), await named(school, "Miss Okafor")
    hall, head = await named(school, "Mr Hall"), await named(school, "Dr Marsh")
    async with school.database.writing() as session:
        await marks.put(session, dsl, person_id=hall.person_id, mark="talk-first", reason="A worry", now=school.clock.now())
    with pytest.raises(TalkFirst):
        await approve(school, request_id)
    school.clock.advance(60)
    async with school.database.writing() as session:
        await approvals.note_spoken(session, head, request_id, "She agrees, with the door open.", school.clock.now())
    await approve(school, request_id)


async def test_only_the_safeguarding_team_marks_and_never_themselves(school: Running) -> None:
    dsl, head = await named(school, "Miss Okafor"), await named(school, "Dr Marsh")
    async with school.database.writing() as session:
        with pytest.raises(NotFound):
            await marks.put(session, head, person_id=dsl.person_id, mark="talk-first", reason="x", now=school.clock.now())
        with pytest.raises(Invalid):
            await marks.put(session, dsl, person_id=dsl.person_id, mark="talk-first", reason="x", now=school.clock.now())


async def test_a_second_adult_instead_needs_no_approval_and_the_dsl_is_told(school: Running) -> None:
    request_id, cole, head = await ask(school), await named(school, "Ms Cole"), await named(school, "Dr Marsh")
    async with school.database.writing() as session:
        await commands.add_second(session, head, request_id, cole.person_id, school.clock.now())
    [row] = await lessons(school, request_id)
    plan = await plan_of(school, row.id)
    assert (row.status, plan.stopped, plan.approvals) == ("planned", False, ())
    assert (plan.needs_approval, plan.ticket_approval) == (False, "")
    with pytest.raises(Decided):
        await approve(school, request_id)


# What it does not hold for


async def test_an_approved_one_to_one_is_not_moved_covered_or_decided_by_the_way(school: Running) -> None:
    request_id, hall, head = await ask(school), await named(school, "Mr Hall"), await named(school, "Dr Marsh")
    [row] = await lessons(school, request_id)
    now = school.clock.now()
    async with school.database.writing() as session:
        with pytest.raises(planning.Conflict):
            await planning.decide(session, head, row.id, approve=True, reason="By the way", now=now)
    await approve(school, request_id)
    cole = await named(school, "Ms Cole")
    async with school.database.writing() as session:
        with pytest.raises(planning.OneToOneIsFixed, match="ask for another"):
            await planning.cover(session, hall, row.id, person_id=cole.person_id, later=False, now=now)
        with pytest.raises(planning.OneToOneIsFixed):
            await planning.move(session, hall, row.id, day=date(2026, 11, 27), at=time(12), minutes=30, later=False, now=now)


# Ending


async def test_an_approval_that_no_longer_stands_has_an_end_that_is_past_and_equal_plans_stay_equal(school: Running) -> None:
    request_id = await ask(school)
    await approve(school, request_id)
    [row], [approval] = await lessons(school, request_id), await given(school, request_id)
    await withdraw(school, approval.child_id, "one_to_one")
    first = await plan_of(school, row.id)
    school.clock.advance(5)
    assert await plan_of(school, row.id) == first
    [pair] = first.approvals
    assert pair.end == ENDED
    assert first.ticket_approval == ""


async def test_a_role_that_is_lost_ends_the_approvals_for_good(school: Running) -> None:
    request_id, head = await ask(school), await named(school, "Dr Marsh")
    await approve(school, request_id)
    await set_roles(school, head.person_id, Role.TEACHER)
    await set_roles(school, head.person_id, Role.HEADTEACHER)
    [approval] = await given(school, request_id)
    assert (approval.revoked_by, approval.revoked_because) == ("system", "Whoever approved it may no longer approve it")


async def test_revoking_is_for_leaders_and_the_safeguarding_team_with_a_reason(school: Running) -> None:
    request_id = await ask(school)
    await approve(school, request_id)
    [approval] = await given(school, request_id)
    with pytest.raises(NotFound):
        await revoke(school, approval.id, by="Ms Cole")
    with pytest.raises(Invalid):
        await revoke(school, approval.id, by="Mrs Khan", because=" ")
    await revoke(school, approval.id, by="Miss Okafor")
    with pytest.raises(planning.Conflict):
        await revoke(school, approval.id)
    [row] = await lessons(school, request_id)
    assert row.status == "cancelled"
