"""Guests' passes as a rule: who asks, who decides, and when one lets somebody in (policy: AC7)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons.guests import rules
from lessons.guests.rules import Asked, Kind, Pass, State
from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import STAFF, Actor, Role

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
TODAY = NOW.date()
ONE = Pass("pass", "guest", "sponsor", Kind.SPEAKER, "Talks about bridges", "Seen by the agency", NOW - timedelta(hours=1),
           NOW + timedelta(hours=1), frozenset({"lesson"}), frozenset(), NOW - timedelta(days=1))
YES = replace(ONE, decided_by="leader", decided_at=NOW - timedelta(hours=2), approved=True)
TEACHER, HEAD = frozenset({Role.TEACHER}), frozenset({Role.HEADTEACHER})


def in_force(one: Pass, at: datetime = NOW, sponsor: frozenset[Role] = TEACHER, approver: frozenset[Role] = HEAD) -> bool:
    return rules.is_in_force(one, at, sponsor=sponsor, approver=approver)


def test_a_pass_lets_in_from_its_first_moment_to_just_before_its_last() -> None:
    assert [in_force(YES, at) for at in (YES.starts_at - timedelta(seconds=1), YES.starts_at, NOW,
                                         YES.ends_at - timedelta(seconds=1), YES.ends_at)] == [False, True, True, True, False]


@pytest.mark.parametrize("one", [
    ONE, replace(YES, approved=False), replace(YES, revoked_at=NOW, revoked_by="leader"), replace(YES, decided_by="sponsor"),
    replace(YES, decided_by="guest"), replace(YES, sponsor_id="guest"), replace(YES, decided_by="sponsor", sponsor_id="sponsor"),
])
def test_no_pass_is_in_force_that_three_people_do_not_stand_behind(one: Pass) -> None:
    assert not in_force(one)


@given(st.frozensets(st.sampled_from(Role)), st.frozensets(st.sampled_from(Role)))
def test_a_pass_stands_only_while_its_sponsor_works_here_and_its_approver_could_still_approve(
    sponsor: frozenset[Role], approver: frozenset[Role],
) -> None:
    may = bool(sponsor & STAFF) and bool(approver & {Role.SENIOR_LEADER, Role.HEADTEACHER})
    assert in_force(YES, sponsor=sponsor, approver=approver) == may


def test_only_a_leader_who_is_neither_the_sponsor_nor_the_guest_decides() -> None:
    for person, role in product(("leader", "sponsor", "guest"), Role):
        actor = Actor(person, "school", frozenset({role}))
        may = person == "leader" and role in (Role.SENIOR_LEADER, Role.HEADTEACHER)
        if may:
            rules.checked_decider(actor, ONE)
        else:
            with pytest.raises(NotAllowed):
                rules.checked_decider(actor, ONE)
    with pytest.raises(NotAllowed):
        rules.checked_decider(Actor("sponsor", "school", frozenset(Role)), ONE)


def test_the_sponsor_and_any_leader_end_a_visit_and_nobody_else() -> None:
    rules.checked_ender(Actor("sponsor", "school", TEACHER), YES)
    rules.checked_ender(Actor("other", "school", HEAD), YES)
    for person, roles in (("other", TEACHER), ("guest", frozenset({Role.GUEST})), ("other", frozenset({Role.OFFICE}))):
        with pytest.raises(NotAllowed):
            rules.checked_ender(Actor(person, "school", roles), YES)


ASKED = Asked("speaker", "Talks about bridges", "Seen by the agency", TODAY, TODAY, frozenset({"lesson"}), given_name="Mia",
              family_name="Lind")


def problems(**more: object) -> dict[str, str]:
    return rules.asking_problems(replace(ASKED, **more), lessons={"lesson": TODAY, "later": TODAY + timedelta(7)},  # type: ignore[arg-type]
                                 children={"ali", "bea"}, today=TODAY)


def test_a_whole_request_lacks_nothing() -> None:
    assert problems() == {}
    assert problems(kind="interpreter", child_ids=frozenset({"ali"})) == {}
    assert problems(given_name="", family_name="", guest_id="known") == {}
    assert problems(lesson_ids=frozenset({"lesson", "later"}), last=TODAY + timedelta(7)) == {}


@pytest.mark.parametrize(("field", "more"), [
    ("kind", {"kind": "friend"}), ("given_name", {"given_name": ""}), ("family_name", {"family_name": ""}),
    ("purpose", {"purpose": "Talk"}), ("purpose", {"purpose": "x" * 501}), ("identity_note", {"identity_note": ""}),
    ("first", {"first": None}), ("first", {"first": TODAY - timedelta(1)}), ("last", {"last": None}),
    ("last", {"last": TODAY - timedelta(1)}), ("last", {"last": TODAY + timedelta(93)}),
    ("lessons", {"lesson_ids": frozenset()}), ("lessons", {"lesson_ids": frozenset({"another"})}),
    ("lessons", {"lesson_ids": frozenset({"later"})}), ("children", {"kind": "interpreter"}),
    ("children", {"child_ids": frozenset({"ali"})}), ("children", {"kind": "interpreter", "child_ids": frozenset({"zed"})}),
])
def test_what_a_request_lacks_is_said_beside_its_box(field: str, more: dict[str, object]) -> None:
    assert field in problems(**more)


def test_nobody_is_their_own_guest_and_who_works_here_is_none() -> None:
    rules.checked_guest("guest", "adult", {Role.GUEST, Role.PARENT}, "sponsor")
    for person, kind, roles in (("sponsor", "adult", {Role.GUEST}), ("child", "child", {Role.PUPIL}),
                                ("x", "adult", {Role.PARENT}), ("x", "adult", {Role.GUEST, Role.TEACHER}),
                                ("x", "child", {Role.GUEST})):
        with pytest.raises(Invalid):
            rules.checked_guest(person, kind, roles, "sponsor")


@pytest.mark.parametrize(("one", "state"), [
    (ONE, State.WAITING), (YES, State.APPROVED), (replace(YES, approved=False), State.REFUSED),
    (replace(YES, revoked_at=NOW), State.ENDED), (replace(YES, ends_at=NOW), State.OVER), (replace(ONE, ends_at=NOW), State.OVER),
])
def test_a_visit_is_in_one_state(one: Pass, state: State) -> None:
    assert one.state(NOW) is state


def test_an_approval_is_confirmed_for_exactly_one_visit() -> None:
    """Any field that differs is another action, so a proof given for one is worth nothing for the other (threats T5, T6)."""
    action = rules.approval_action(YES, "Good", "")
    others = (replace(YES, guest_id="x"), replace(YES, sponsor_id="x"), replace(YES, kind=Kind.TUTOR), replace(YES, purpose="x"),
              replace(YES, identity_note="x"), replace(YES, starts_at=NOW), replace(YES, ends_at=NOW), replace(YES, id="x"),
              replace(YES, lesson_ids=frozenset({"x"})), replace(YES, child_ids=frozenset({"x"})))
    assert len({action.hash, rules.approval_action(YES, "x", "").hash,
                *(rules.approval_action(each, "Good", "").hash for each in others)}) == len(others) + 2
    assert rules.LINK_LASTS < rules.LONGEST
    assert isinstance(ASKED.first, date)
