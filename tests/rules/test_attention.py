"""Who is called to a lesson that needs somebody (policy: RL1), and when a pause calls them (N3)."""

from datetime import UTC, datetime

from lessons.attention import rules
from lessons.attention.rules import Need, Reason, Viewer
from lessons.live.supervision import Hold
from lessons.live.watch import LONG, Watch
from service.foundation.events import Role

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
HOLDERS = [Viewer("dsl", frozenset({Role.DSL})), Viewer("head", frozenset({Role.HEADTEACHER})),
           Viewer("leader", frozenset({Role.SENIOR_LEADER}))]
EVERYBODY = frozenset({"dsl", "head", "leader"})


def test_whoever_is_on_duty_is_called_and_nobody_else() -> None:
    need = Need(Reason.PAUSED, NOW)
    assert rules.called(need, HOLDERS, {"leader", "somebody without the role"}) == {"leader"}
    assert not rules.calls(need, "dsl", HOLDERS, {"leader"})


def test_with_nobody_on_duty_every_leader_and_the_safeguarding_team_is_called() -> None:
    assert rules.called(Need(Reason.STOPPED, NOW), HOLDERS, ()) == EVERYBODY


def test_an_adult_of_the_lesson_is_not_the_one_who_comes_to_help() -> None:
    need = Need(Reason.PAUSED, NOW, adults=frozenset({"leader"}))
    assert rules.called(need, HOLDERS, {"leader"}) == {"dsl", "head"}


def test_an_invitation_calls_the_colleague_alone_and_a_question_whoever_may_decide() -> None:
    for reason in (Reason.INVITED, Reason.ASKED):
        assert rules.called(Need(reason, NOW, asks_for=frozenset({"head"})), HOLDERS, EVERYBODY) == {"head"}


def test_it_calls_nobody_once_somebody_deals_with_it_or_it_is_over() -> None:
    for need in (Need(Reason.PAUSED, NOW, taken_by="dsl"), Need(Reason.PAUSED, NOW, is_over=True)):
        assert not any(rules.calls(need, person, HOLDERS, ()) for person in EVERYBODY)


def test_a_teacher_may_read_only_what_asks_for_them() -> None:
    teacher = Viewer("hall", frozenset({Role.TEACHER}))
    assert not rules.may_open(Need(Reason.PAUSED, NOW), teacher)
    assert rules.may_open(Need(Reason.INVITED, NOW, asks_for=frozenset({"hall"})), teacher)


def test_a_pause_calls_somebody_after_two_minutes_once() -> None:
    watch, alone = Watch(), (Hold.LONE_ADULT,)
    assert watch.look(True, alone, True, 0) == ""
    assert watch.look(True, alone, True, LONG - 0.25) == ""
    assert watch.look(True, alone, True, LONG) == "lone-adult"
    assert watch.look(True, alone, True, LONG + 60) == ""


def test_each_pause_is_measured_on_its_own_and_an_empty_room_calls_nobody() -> None:
    watch, alone = Watch(), (Hold.LONE_ADULT,)
    watch.look(True, alone, True, 0)
    watch.look(False, (), True, 60)
    assert watch.look(True, alone, True, LONG) == ""
    assert watch.look(True, alone, False, 2 * LONG) == ""
    assert watch.look(True, alone, True, 2 * LONG) == "lone-adult"
