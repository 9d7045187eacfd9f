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
from service.safeguarding.approvals.rules import ENDED
from tests.room.stage import ALI, ASSISTANT, BEA, START, TEACHER, Stage, plan_of

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
