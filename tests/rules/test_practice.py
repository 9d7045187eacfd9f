"""A recording for teaching practice is there only while everybody in it says yes (policy: RE1, CO2)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from recordings.practice import rules
from recordings.practice.rules import Lesson, Plan, Shown, State, Verdict
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor, Role

NINE = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PLAN = Plan("p", "s", "l", "Maths", "5 Oak", NINE, "hall", "lead", "hall", NINE, frozenset({"hall", "bello"}),
            frozenset({"hall", "bello"}))
SHOWN = Shown(frozenset({"ali", "bea"}), frozenset({"hall", "bello"}))
LESSON = Lesson("l", "Maths", "5 Oak", NINE, ("hall",), frozenset({"hall", "bello"}), frozenset({"ali", "bea"}),
                frozenset({"ali", "bea"}))


def judged(plan: Plan = PLAN, shown: Shown = SHOWN, yes: frozenset[str] = SHOWN.children, *, is_clear: bool = True,
           is_open: bool = False, now: datetime = NINE) -> Verdict:
    return rules.verdict(plan, shown, yes, is_clear=is_clear, is_open=is_open, now=now)


def test_every_combination_of_yes_and_no_is_a_no_but_one() -> None:
    for made, ali, bea, hall, bello, clear in product((False, True), repeat=6):
        said = frozenset({"ali"} if ali else ()) | frozenset({"bea"} if bea else ())
        agreed = frozenset({"hall"} if hall else ()) | frozenset({"bello"} if bello else ())
        found = judged(replace(PLAN, agreed=agreed, is_made=made), yes=said, is_clear=clear)
        assert (found is Verdict.YES) == all((ali, bea, hall, bello, clear)), (made, ali, bea, hall, bello, clear)
        assert (found is Verdict.NO) == (not (ali and bea and clear) or (made and not (hall and bello)))


def test_what_has_ended_never_comes_back() -> None:
    assert judged(replace(PLAN, ended_at=NINE)) is Verdict.NO
    assert judged(replace(PLAN, is_made=True, is_gone=True)) is Verdict.NO
    assert replace(PLAN, is_made=True, is_gone=True).state is State.GONE


def test_it_waits_a_week_for_who_has_not_agreed_and_is_not_made_of_nobody() -> None:
    waiting = replace(PLAN, agreed=frozenset({"hall"}))
    assert judged(waiting, now=NINE + rules.WAITS - timedelta(seconds=1)) is Verdict.WAITS
    assert judged(waiting, now=NINE + rules.WAITS) is Verdict.NO
    assert judged(shown=Shown()) is Verdict.WAITS


@pytest.mark.parametrize("made", [False, True])
def test_nobody_makes_or_watches_it_while_an_alert_or_an_incident_of_the_lesson_is_open(made: bool) -> None:
    plan = replace(PLAN, is_made=made)
    assert judged(plan, is_open=True) is Verdict.WAITS
    assert judged(plan) is Verdict.YES


def test_a_lesson_to_which_one_pupil_came_is_not_kept() -> None:
    assert judged(shown=replace(SHOWN, children=frozenset({"ali"}))) is Verdict.WAITS


def actor(person: str, *roles: Role) -> Actor:
    return Actor(person, "s", frozenset(roles), "", "")


@pytest.mark.parametrize("changed", [
    {"has_begun": True}, {"is_one_to_one": True}, {"has_guest": True}, {"teachers": ()},
    {"children": frozenset({"ali"})}, {"yes": frozenset({"ali"})},
])
def test_a_lesson_is_kept_only_beforehand_for_a_group_whose_families_all_allow_it(changed: dict[str, object]) -> None:
    rules.check_can_be_kept(LESSON)
    with pytest.raises(Conflict):
        rules.check_can_be_kept(replace(LESSON, **changed))  # type: ignore[arg-type]


def test_who_teaches_it_or_leads_asks_and_nobody_else() -> None:
    rules.check_may_ask(actor("hall", Role.TEACHER), LESSON)
    rules.check_may_ask(actor("lead", Role.SENIOR_LEADER), LESSON)
    for other in (actor("cole", Role.TEACHER), actor("hall", Role.SUPPORT), actor("okafor", Role.DSL)):
        with pytest.raises(NotFound):
            rules.check_may_ask(other, LESSON)


def test_the_colleague_teaches_or_leads_and_is_another_person() -> None:
    rules.check_mentor("lead", frozenset({Role.SENIOR_LEADER}), "hall")
    for mentor, role in (("hall", Role.TEACHER), ("mum", Role.PARENT), ("lin", Role.OFFICE), ("gov", Role.GOVERNOR)):
        with pytest.raises(Invalid):
            rules.check_mentor(mentor, frozenset({role}), "hall")


def test_only_the_teacher_and_that_colleague_watch_and_only_while_it_stands() -> None:
    made = replace(PLAN, is_made=True)
    rules.check_watches(actor("hall", Role.TEACHER), made, Verdict.YES)
    rules.check_watches(actor("lead", Role.SENIOR_LEADER), made, Verdict.YES)
    refused = [(actor("hall", Role.TEACHER), made, Verdict.NO), (actor("hall", Role.TEACHER), PLAN, Verdict.YES),
               (actor("lead", Role.GOVERNOR), made, Verdict.YES), (actor("bello", Role.SUPPORT), made, Verdict.YES),
               (actor("head", Role.HEADTEACHER), made, Verdict.YES), (actor("okafor", Role.DSL), made, Verdict.YES)]
    for who, plan, found in refused:
        with pytest.raises(NotFound):
            rules.check_watches(who, plan, found)


def test_while_it_waits_the_two_are_told_in_the_words_that_stood_there_before_and_others_nothing() -> None:
    made = replace(PLAN, is_made=True)
    with pytest.raises(rules.Pauses, match=rules.PAUSES):
        rules.check_watches(actor("hall", Role.TEACHER), made, Verdict.WAITS)
    for who, plan in ((actor("okafor", Role.DSL), made), (actor("hall", Role.TEACHER), PLAN)):
        with pytest.raises(NotFound):
            rules.check_watches(who, plan, Verdict.WAITS)
