"""What a proof of identity is worth: one action, once, for a minute (threat T5)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.people import actions, one_time_codes
from service.people.actions import Action, Grant

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
GOOD = Grant("person", "session", "a" * 64, NOW + timedelta(seconds=60), False)


def refused(grant: Grant = GOOD, *, person: str = "person", session: str = "session", action: str = "a" * 64,
            now: datetime = NOW) -> str:
    return actions.refusal(grant, person_id=person, session_id=session, action_hash=action, now=now)


def test_a_grant_allows_its_own_action_to_its_own_person_in_its_own_session_for_a_minute() -> None:
    assert refused() == ""
    assert refused(now=NOW + timedelta(seconds=59)) == ""


@pytest.mark.parametrize(("why", "case"), [
    ("wrong", {"person": "somebody else"}), ("wrong", {"session": "another"}), ("wrong", {"session": ""}),
    ("other-action", {"action": "b" * 64}), ("over", {"now": NOW + timedelta(seconds=60)}),
])
def test_a_grant_allows_nothing_else(why: str, case: dict[str, object]) -> None:
    assert refused(**case) == why  # type: ignore[arg-type]


def test_a_grant_is_used_once() -> None:
    assert refused(Grant("person", "session", "a" * 64, GOOD.expires_at, True)) == "used"


def test_a_session_without_a_name_never_has_a_grant() -> None:
    assert refused(Grant("person", "", "a" * 64, GOOD.expires_at, False), session="") == "wrong"


def test_the_same_action_reads_the_same_whatever_the_order_and_the_zone() -> None:
    london, delhi = NOW, NOW.astimezone(timezone(timedelta(hours=5.5)))
    one = Action("approve", "approve it", {"lesson": "1", "until": london, "pupils": ["a", "b"]})
    other = Action("approve", "say yes", {"pupils": ("a", "b"), "until": delhi, "lesson": "1"})
    assert one.hash == other.hash
    assert one.canonical == ('{"fields":{"lesson":"1","pupils":["a","b"],"until":"2026-11-24T10:00:00.000000+00:00"},'
                             '"kind":"approve"}')


VALUES = st.one_of(st.text(max_size=8), st.integers(-9, 9), st.booleans(), st.none(), st.lists(st.text(max_size=3), max_size=3))


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), st.dictionaries(st.text(max_size=4), VALUES, max_size=4),
       st.sampled_from("ab"), st.sampled_from("ab"))
def test_two_actions_have_one_hash_only_when_they_are_the_same(one: dict[str, actions.Value], other: dict[str, actions.Value],
                                                               kind: str, its_kind: str) -> None:
    same = Action(kind, "", one).canonical == Action(its_kind, "", other).canonical
    assert (Action(kind, "", one).hash == Action(its_kind, "", other).hash) == same
    assert same == (kind == its_kind and repr(sorted(one.items())) == repr(sorted(other.items())))


def test_what_was_not_confirmed_with_something_older_rests_for_a_day_once_the_school_is_live() -> None:
    assert actions.rests_until(is_proven=False, is_live=True, now=NOW) == NOW + timedelta(hours=24)
    assert actions.rests_until(is_proven=True, is_live=True, now=NOW) == NOW
    assert actions.rests_until(is_proven=False, is_live=False, now=NOW) == NOW


@pytest.mark.parametrize(("kept", "said", "cloned"), [
    (0, 0, False), (0, 1, False), (5, 6, False), (5, 900, False), (5, 5, True), (5, 4, True), (5, 0, True),
])
def test_a_counter_that_does_not_grow_betrays_a_copy(kept: int, said: int, cloned: bool) -> None:
    assert actions.is_cloned(kept, said) == cloned


# RFC 6238 appendix B, SHA-1, the last six digits of its eight.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
VECTORS = ((59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"))


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    assert one_time_codes.matching_step(SECRET, code, now, 0) == seconds // 30


@pytest.mark.parametrize(("late", "accepted"), [(-61, False), (-30, True), (0, True), (30, True), (60, False), (90, False)])
def test_a_clock_may_be_wrong_by_one_step_and_no_more(late: int, accepted: bool) -> None:
    now = datetime.fromtimestamp(1234567890 + late, UTC)
    assert (one_time_codes.matching_step(SECRET, "005924", now, 0) is not None) == accepted


def test_a_step_that_was_used_is_not_used_again() -> None:
    now = datetime.fromtimestamp(1234567890, UTC)
    assert one_time_codes.matching_step(SECRET, "005924", now, 1234567890 // 30) is None


@pytest.mark.parametrize(("typed", "meant"), [
    ("123 456", "123456"), (" 123456\n", "123456"), ("12345", ""), ("١٢٣٤٥٦", ""), ("abcdef", ""),
])
def test_what_is_typed_becomes_six_digits_or_nothing(typed: str, meant: str) -> None:
    assert one_time_codes.normal(typed) == meant
