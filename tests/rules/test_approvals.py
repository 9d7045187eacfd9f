"""Who approves an adult alone with a child, and when that approval stands (policy: RL1, AC1, AC8)."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons.one_to_one import rules as one_to_one
from lessons.rules import Hours
from service.foundation.events import Role
from service.people.profile import Profile
from service.safeguarding.approvals import rules
from service.safeguarding.approvals.rules import NEEDED, Approval, Asked, AskedLesson, Bar, Known, Lapse, Parties

NOW = datetime(2027, 3, 2, 8, 0, tzinfo=UTC)
START = datetime(2027, 3, 4, 10, 0, tzinfo=UTC)
HEAD, LEADER, CHAIR, TEACHER = (frozenset({role}) for role in (Role.HEADTEACHER, Role.SENIOR_LEADER, Role.CHAIR, Role.TEACHER))
BY_HEAD, BY_ANY = Profile(), Profile(one_to_one_by_any_leader=True)
PARTIES = Parties("hall", "ali", "hall")


def given_to(**changes: object) -> Approval:
    return replace(Approval("a", "lesson", PARTIES, "marsh", START, START + timedelta(minutes=30)), **changes)  # type: ignore[arg-type]


GOOD = Known(HEAD, NEEDED, adult_is_cleared=True, adult_is_on_roster=True, child_is_on_roster=True)


# Who may decide


@pytest.mark.parametrize("profile", [BY_HEAD, BY_ANY])
def test_the_headteacher_approves_and_a_teacher_never_does(profile: Profile) -> None:
    assert rules.bar("marsh", HEAD, PARTIES, profile) is None
    assert rules.bar("cole", TEACHER, PARTIES, profile) is Bar.ROLE
    assert rules.bar("cole", frozenset(), PARTIES, profile) is Bar.ROLE


def test_a_senior_leader_approves_only_where_the_profile_says_so() -> None:
    assert rules.bar("khan", LEADER, PARTIES, BY_HEAD) is Bar.ROLE
    assert rules.bar("khan", LEADER, PARTIES, BY_ANY) is None


def test_the_dsl_is_asked_and_does_not_approve() -> None:
    assert rules.bar("okafor", frozenset({Role.DSL}), PARTIES, BY_ANY) is Bar.ROLE


@pytest.mark.parametrize("roles", [HEAD, HEAD | CHAIR, LEADER | TEACHER])
def test_nobody_decides_what_they_teach_ask_for_or_are_in_whatever_roles_they_hold(roles: frozenset[Role]) -> None:
    parties = Parties("adult", "child", "asker")
    assert rules.bar("adult", roles, parties, BY_ANY) is Bar.ADULT
    assert rules.bar("asker", roles, parties, BY_ANY) is Bar.REQUESTER
    assert rules.bar("child", roles, parties, BY_ANY) is Bar.CHILD


def test_where_a_headteacher_asks_or_teaches_only_the_chair_decides() -> None:
    parties = replace(PARTIES, involves_headteacher=True)
    assert rules.bar("other head", HEAD, parties, BY_ANY) is Bar.CHAIR_ONLY
    assert rules.bar("khan", LEADER, parties, BY_ANY) is Bar.CHAIR_ONLY
    assert rules.bar("frost", CHAIR, parties, BY_ANY) is None


@given(st.sampled_from(list("abc")), st.frozensets(st.sampled_from(list(Role))), st.tuples(*[st.sampled_from(list("abc"))] * 3),
       st.booleans(), st.sampled_from([BY_HEAD, BY_ANY]))
def test_no_combination_of_roles_lets_a_party_decide(
    who: str, roles: frozenset[Role], parties: tuple[str, str, str], head: bool, profile: Profile,
) -> None:
    if rules.bar(who, roles, Parties(*parties, head), profile) is None:
        assert who not in parties
        assert roles & (HEAD | LEADER | CHAIR)
        assert not head or Role.CHAIR in roles


# Whether it stands


def test_an_approval_stands_while_everything_it_rests_on_does() -> None:
    assert rules.lapse(given_to(), GOOD, BY_HEAD) is None


@pytest.mark.parametrize(("changes", "why"), [
    ({"approver_roles": TEACHER}, Lapse.APPROVER), ({"approver_roles": frozenset()}, Lapse.APPROVER),
    ({"approver_roles": LEADER}, Lapse.APPROVER),
    ({"purposes": NEEDED - {"one_to_one"}}, Lapse.CONSENT), ({"purposes": NEEDED - {"attend"}}, Lapse.CONSENT),
    ({"purposes": NEEDED - {"be_recorded"}}, Lapse.CONSENT),
    ({"adult_is_cleared": False}, Lapse.ADULT), ({"adult_is_on_roster": False}, Lapse.ADULT),
    ({"child_is_on_roster": False}, Lapse.CHILD),
])
def test_it_falls_with_each_thing_it_rests_on(changes: dict[str, object], why: Lapse) -> None:
    assert rules.lapse(given_to(), replace(GOOD, **changes), BY_HEAD) is why  # type: ignore[arg-type]


def test_it_stands_only_when_everything_does() -> None:
    """Every combination: one thing missing is enough."""
    fields = {
        "approver_roles": (HEAD, TEACHER), "purposes": (NEEDED, NEEDED - {"one_to_one"}), "adult_is_cleared": (True, False),
        "adult_is_on_roster": (True, False), "child_is_on_roster": (True, False),
    }
    for revoked in (None, NOW):
        for values in itertools.product(*fields.values()):
            known = replace(GOOD, **dict(zip(fields, values, strict=True)))  # type: ignore[arg-type]
            stands = rules.lapse(given_to(revoked_at=revoked), known, BY_HEAD) is None
            assert stands == (known == GOOD and revoked is None)


def test_a_profile_that_takes_the_right_away_takes_the_approvals_with_it() -> None:
    known = replace(GOOD, approver_roles=LEADER)
    assert rules.lapse(given_to(), known, BY_ANY) is None
    assert rules.lapse(given_to(), known, BY_HEAD) is Lapse.APPROVER


def test_an_adult_who_became_headteacher_needs_the_chair() -> None:
    approval = given_to(parties=replace(PARTIES, involves_headteacher=True))
    assert rules.lapse(approval, GOOD, BY_HEAD) is Lapse.APPROVER
    assert rules.lapse(approval, replace(GOOD, approver_roles=CHAIR), BY_HEAD) is None


def test_what_is_said_of_it() -> None:
    approval, later = given_to(), START + timedelta(minutes=10)
    assert rules.say_state(approval, None, NOW) == "Not yet"
    assert rules.say_state(approval, None, later) == "In force"
    assert rules.say_state(approval, None, START + timedelta(minutes=30)) == "Over"
    assert rules.say_state(approval, Lapse.CONSENT, later) == "A permission is missing"
    assert rules.say_state(replace(approval, revoked_at=NOW), Lapse.REVOKED, START + timedelta(days=9)) == "Ended by the school"


# What is decided


ASKED = Asked("r", 1, "planned", "hall", "ali", "hall", "why", ("group",), "door open", "yes", False,
              (AskedLesson("lesson", 1, START, START + timedelta(minutes=30)),))


@pytest.mark.parametrize("changes", [
    {"request_id": "s"}, {"version": 2}, {"kind": "now"}, {"adult": "cole"}, {"child": "bea"}, {"requester": "khan"},
    {"why": "why not"}, {"tried": ("group", "visit")}, {"safeguards": ""}, {"parent_present": "no"}, {"camera_on": True},
    {"lessons": ()}, {"lessons": (replace(ASKED.lessons[0], lesson_id="x"),)},
    {"lessons": (replace(ASKED.lessons[0], version=2),)},
    {"lessons": (replace(ASKED.lessons[0], starts_at=NOW),)}, {"lessons": (replace(ASKED.lessons[0], ends_at=NOW),)},
    {"lessons": ASKED.lessons * 2},
])
def test_whatever_changes_in_a_request_changes_its_digest(changes: dict[str, object]) -> None:
    assert replace(ASKED, **changes).digest != ASKED.digest  # type: ignore[arg-type]
    assert replace(ASKED).digest == ASKED.digest


def test_speaking_to_the_dsl_counts_only_after_the_mark() -> None:
    assert rules.spoken_to_dsl([], [])
    assert not rules.spoken_to_dsl([NOW], [])
    assert not rules.spoken_to_dsl([NOW], [NOW - timedelta(minutes=1)])
    assert rules.spoken_to_dsl([NOW], [NOW + timedelta(minutes=1)])


# Asking


TERMS = ((date(2027, 1, 4), date(2027, 2, 12)), (date(2027, 2, 22), date(2027, 4, 30)))
HOURS = Hours("Europe/London", time(8), time(17), TERMS)


def weeks(first: datetime, count: int) -> list[datetime]:
    return [first + timedelta(weeks=week) for week in range(count)]


def test_notice_is_the_school_s_own_and_a_day_by_default() -> None:
    near = NOW + timedelta(hours=23, minutes=59)
    assert one_to_one.problems([near], HOURS, BY_HEAD, NOW) == {"start": "Choose a time at least 24 hours away"}
    assert one_to_one.problems([NOW + timedelta(hours=24)], HOURS, BY_HEAD, NOW) == {}
    assert one_to_one.problems([near], HOURS, Profile(one_to_one_notice_hours=0), NOW) == {}


def test_a_series_lies_in_one_half_term_and_is_at_most_seven_weeks() -> None:
    words = {"until": "Choose a last day in the same half term, within 7 weeks"}
    assert one_to_one.problems(weeks(START, 8), HOURS, BY_HEAD, NOW) == {}
    assert one_to_one.problems(weeks(START, 9), HOURS, BY_HEAD, NOW) == words
    before = datetime(2027, 2, 4, 10, tzinfo=UTC)
    assert one_to_one.problems(weeks(before, 4), HOURS, BY_HEAD, before - timedelta(days=7)) == words


@pytest.mark.parametrize(("number", "words"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (21, "21st")])
def test_ordinals_are_said_as_people_say_them(number: int, words: str) -> None:
    assert one_to_one.say_ordinal(number) == words


def test_the_pattern_is_written() -> None:
    usual = one_to_one.say_usual([0, 0, 1, 1, 3])
    assert usual == "Most staff: 1 or none."
    assert one_to_one.say_pattern("Mr Hall", "Ali", 3, 2, usual) == (
        "This would be Mr Hall’s 4th one-to-one this half term, 2 of the earlier ones with Ali. Most staff: 1 or none."
    )
    assert one_to_one.say_pattern("Mr Hall", "Ali", 0, 0, one_to_one.say_usual([])) == (
        "This would be Mr Hall’s 1st one-to-one this half term. Most staff: none."
    )
