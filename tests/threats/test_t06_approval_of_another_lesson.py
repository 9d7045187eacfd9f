"""T6: an approval used for another child, lesson, adult or time. Of every mutation of every field, only the exact tuple opens
the gate; and the probe notices where a field is not compared."""

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lessons.live import supervision
from lessons.live.plan import ApprovedPair, Plan
from lessons.live.supervision import Approval
from lessons.tables import Lesson, LessonAdult
from service.safeguarding.approvals import queries
from service.safeguarding.approvals.rules import ENDED
from tests.one_to_one import OneToOne, approved_lesson
from tests.room.stage import ALI, ASSISTANT, BEA, START, TEACHER, Stage, plan_of
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm

EXACT = ApprovedPair("teacher", "ali", START, START + timedelta(minutes=10), "the approval")
PEOPLE = ("teacher", "assistant", "leader", "speaker", "ali", "bea", "cal", "nobody", "")
MINUTES = st.integers(min_value=-600, max_value=600).map(lambda minutes: START + timedelta(minutes=minutes))
PAIRS = st.builds(ApprovedPair, st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), MINUTES, MINUTES | st.just(ENDED),
                  st.sampled_from(["the approval", "another", ""]))


def of_one_pupil(*approvals: ApprovedPair, **changes: Any) -> Plan:
    """A one-to-one of teacher and Ali, a minute after its start."""
    return plan_of(TEACHER, ALI, approvals=approvals, needs_approval=True, **changes)


def opens(plan: Plan, *people: str) -> bool:
    stage = Stage(plan=plan).join(*(people or ("teacher", "ali"))).pass_time(1.5)
    return stage.room.is_open


def fits(pair: ApprovedPair) -> bool:
    """What the approval has to be, said once more: nothing of the rule is used."""
    now = START + timedelta(minutes=1)
    return (pair.adult, pair.child) == ("teacher", "ali") and pair.start <= now and pair.end > now + timedelta(seconds=2)


SIZE = 50 if os.environ.get("CHAPERONE_PROOF") == "full" else 1


def test_the_exact_approval_opens_the_room() -> None:
    assert fits(EXACT)
    assert opens(of_one_pupil(EXACT))


@pytest.mark.proof
@given(PAIRS)
@settings(max_examples=400 * SIZE, deadline=None)
def test_no_other_adult_child_or_time_opens_it(pair: ApprovedPair) -> None:
    assert opens(of_one_pupil(pair)) == fits(pair)


@pytest.mark.proof
@given(st.lists(PAIRS.filter(lambda pair: not fits(pair)), max_size=4))
@settings(max_examples=200 * SIZE, deadline=None)
def test_several_approvals_that_do_not_fit_do_not_add_up_to_one_that_does(pairs: list[ApprovedPair]) -> None:
    assert not opens(of_one_pupil(*pairs))


@pytest.mark.parametrize("people", [("assistant", "ali"), ("teacher", "bea")], ids=["another adult", "another child"])
def test_the_approval_of_one_pair_is_no_other_pair_s(people: tuple[str, str]) -> None:
    """In a group lesson, where more people are on the roster than the approval names."""
    plan = plan_of(TEACHER, ASSISTANT, ALI, BEA, approvals=(EXACT,))
    assert opens(plan)
    assert not opens(plan, *people)


async def beside(approved: OneToOne) -> OneToOne:
    """A lesson of the same class and teacher at the same time, to which nobody comes but the pupil of the approval."""
    async with approved.school.database.writing() as session:
        first = await session.get_one(Lesson, approved.id)
        other = Lesson(school_id=first.school_id, group_id=first.group_id, title="Reading", planned_by=approved.teacher_id,
                       starts_at=first.starts_at, ends_at=first.ends_at, planned_at=first.starts_at - timedelta(days=1))
        session.add(other)
        await session.flush()
        session.add(LessonAdult(lesson_id=other.id, person_id=approved.teacher_id, school_id=other.school_id, part="teacher"))
    return OneToOne(approved.school, other.id, approved.teacher_id, *approved.pupil_ids)


ITS_OWN = Guard("an approval is for its own lesson", lambda patch: patch.setattr(
    queries, "of_lessons", lambda session, school_id, _lessons: queries.all_given(session, school_id)))


@guarded_by(ITS_OWN)
async def test_nor_does_the_approval_of_another_lesson_of_the_same_two(school: Running, attempt: Any) -> None:
    async with approved_lesson(school) as (approved, _):
        other = await beside(approved)
        with attempt:
            await other.teacher()
            ali = await other.pupil()
            for _ in range(12):
                await other.settle(0.25)
                await other.host.journal.drained()
                harm(other.host.room.is_open, "alone in a lesson that nobody approved")
            assert ali.state["hold"] == ["lone-adult"]
        await other.end()


ATTACKS = {
    "another adult": replace(EXACT, adult="assistant"), "another child": replace(EXACT, child="bea"),
    "yesterday": replace(EXACT, start=START - timedelta(days=1), end=START - timedelta(days=1, minutes=-10)),
    "tomorrow": replace(EXACT, start=START + timedelta(days=1), end=START + timedelta(days=1, minutes=10)),
    "one that does not stand": replace(EXACT, end=ENDED),
}


@pytest.mark.parametrize("guarded", [False, True], ids=["without the comparison", "with the comparison"])
@pytest.mark.parametrize("attack", list(ATTACKS))
def test_each_field_is_compared(monkeypatch: pytest.MonkeyPatch, attack: str, guarded: bool) -> None:
    """The control takes out exactly the comparison that the attack breaks."""
    if not guarded:
        _careless(monkeypatch, attack)
    assert opens(of_one_pupil(ATTACKS[attack])) is not guarded


def _careless(monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    real = supervision.lease
    kept = {"another adult": {"adult": "teacher"}, "another child": {"child": "ali"}}

    def lease(s: supervision.Snapshot, now: float) -> supervision.Verdict:
        fields: dict[str, Any] = kept.get(attack, {"start": now - 60, "end": now + 600})
        mutated: tuple[Approval, ...] = tuple(replace(a, **fields) for a in s.approvals)
        return real(replace(s, approvals=mutated), now)

    monkeypatch.setattr("lessons.live.room.lease", lease)
