"""T2: an adult and the first child, before anybody else is there. The waiting room carries nothing either way, and all are let in
together when the numbers are right (policy: RL1). Of every message there is, T8 (`test_t08_private_channel`) asks the same."""

import os
from math import inf
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lessons.live import effects as fx
from lessons.live import messages as m
from tests.room.stage import Stage
from tests.threats.attack import Guard, guarded_by, harm

FULL = os.environ.get("CHAPERONE_PROOF") == "full"
ORDERS = 10_000 if FULL else 150
ADULTS, CHILDREN, GUEST = {"teacher", "assistant"}, {"ali", "bea", "cal", "dan"}, {"signer"}
SECRET = "wait behind after"
arrivals = st.lists(
    st.tuples(st.sampled_from(sorted(ADULTS | CHILDREN | GUEST)), st.sampled_from((0.0, 0.25, 1.0, 1.5)), st.booleans()),
    min_size=2, max_size=8, unique_by=lambda arrival: arrival[0],
)


def is_quorum(people: set[str]) -> bool:
    """The numbers, counted here and not by the rule."""
    return bool(people & ADULTS) and (len(people & CHILDREN) > 1 or len(people & ADULTS) > 1)


def arrive(order: list[tuple[str, float, bool]]) -> bool:
    """People come one after another, some try to be heard and to write at once; whether the numbers came about."""
    stage, here = Stage(), set[str]()
    for person, pause, eager in order:
        stage.join(person)
        here.add(person)
        if eager:
            stage.send(person, m.Microphone(True))
            stage.send(person, m.Chat("1", SECRET))
        stage.pass_time(pause)
        if not is_quorum(here) and here & CHILDREN:
            reached = {who: stage.delivers(who) for who in here if stage.delivers(who)}
            harm(reached, "heard before the numbers were right")
            harm(stage.room.is_open, "open before the numbers were right")
            told = [who for _, who, said in stage.wire if isinstance(said, m.ChatMessage) and said.person != who]
            harm(told, "written to before the numbers were right")
    stage.pass_time(2)
    if is_quorum(here):
        stage.send("teacher" if "teacher" in here else "assistant", m.Microphone(True))
        assert stage.room.is_open, "a room that never opens proves nothing"
    return is_quorum(here)


@pytest.mark.proof
@guarded_by(Guard("the numbers", lambda patch: patch.setattr("lessons.live.supervision._company_until", lambda s: inf)))
def test_in_no_order_of_arrival_is_anybody_heard_before_the_numbers_are_right(attempt: Any) -> None:
    came_about = []

    @settings(max_examples=ORDERS, deadline=None, database=None, derandomize=not FULL, report_multiple_bugs=False,
              suppress_health_check=list(HealthCheck))
    @given(arrivals)
    def every(order: list[tuple[str, float, bool]]) -> None:
        came_about.append(arrive(order))

    with attempt:
        every()
        assert any(came_about), "some orders do open the room"


def test_everybody_is_let_in_by_one_opening() -> None:
    stage = Stage().join("teacher", "ali").pass_time(3)
    assert stage.journal("held") == []
    stage.join("bea").pass_time(2)
    assert [one.opening for one in stage.log if isinstance(one, fx.JournalOpening)] == [1]
    assert {who for who in ("teacher", "ali", "bea") if stage.state(who).room == "open"} == {"teacher", "ali", "bea"}
