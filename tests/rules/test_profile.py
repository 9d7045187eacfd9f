"""The school's rules as a value: bounds, what protects less, and what two people are (policy: IN5)."""

import json
import re
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import Actor, Role
from service.people import profile, rules
from service.people.profile import (
    RULES,
    STAGES,
    Less,
    Profile,
    Rule,
    checked,
    differences,
    less_protection,
    lines,
    profile_from,
    profile_words,
    read,
)

TODAY = date(2026, 11, 24)


def values(rule: Rule) -> Any:
    """Every value of a rule that a school may choose."""
    return st.sampled_from([choice for choice, _ in rule.choices]) if rule.choices else st.integers(rule.low, rule.high)


def profiles() -> st.SearchStrategy[Profile]:
    one = {name: values(rule) for name, rule in RULES.items()}
    one["lesson_minutes"] = st.tuples(*[values(RULES["lesson_minutes"])] * len(STAGES))
    return st.builds(Profile, **one)


def test_every_field_has_bounds_a_direction_a_policy_and_words_for_what_is_lost() -> None:
    """A new field of the profile fails here until somebody has thought about which way it protects less."""
    assert set(RULES) == {field.name for field in fields(Profile)}
    for name, rule in RULES.items():
        assert rule.less in set(Less), name
        assert rule.policy, name
        assert rule.lost, name
        assert rule.choices or rule.low < rule.high, name


def looser_and_stricter(name: str) -> tuple[Profile, Profile, Profile]:
    """(before, a profile that protects less by this field alone, one that protects more or at least differs)."""
    rule, default = RULES[name], Profile()
    if rule.choices:
        ends = [rule.choices[0][0], rule.choices[-1][0]]
    else:
        ends = [rule.low, rule.high] if rule.less is not Less.LOWER else [rule.high, rule.low]
    middle: Any = rule.choices[len(rule.choices) // 2][0] if len(rule.choices) > 2 else (ends[0] if rule.choices else
                                                                                           (rule.low + rule.high) // 2)
    of = (lambda value: (value,) * len(STAGES)) if name == "lesson_minutes" else (lambda value: value)
    return tuple(replace(default, **{name: of(value)}) for value in (middle, ends[1], ends[0]))  # type: ignore[return-value]


def test_every_rule_of_the_school_is_asked_for_somewhere() -> None:
    """A rule that two people change and that nothing reads would be a promise that is not kept."""
    root = Path(profile.__file__).parents[2]
    read = "".join(file.read_text() for folder in ("consent", "lessons", "mobile_api", "recordings", "service")
                   for file in (root / folder).rglob("*.py") if file.name != "profile.py")
    own = Path(profile.__file__).read_text()
    assert [field.name for field in fields(Profile)
            if not re.search(rf"\.{field.name}\b", read) and f"self.{field.name}" not in own] == []


@pytest.mark.parametrize("name", [field.name for field in fields(Profile)])
def test_less_protection_is_told_for_every_field_and_only_that_way(name: str) -> None:
    before, looser, stricter = looser_and_stricter(name)
    assert less_protection(before, looser) == {name}
    assert less_protection(looser, before) == ({name} if RULES[name].less is Less.EITHER else set())
    assert less_protection(before, stricter) == ({name} if RULES[name].less is Less.EITHER else set())
    assert less_protection(before, before) == set()


@pytest.mark.parametrize(("name", "before", "after"), [
    ("lesson_minutes", (20, 30, 45, 60, 60, 60), (20, 30, 46, 60, 60, 60)), ("second_adult_below", 4, 3),
    ("pupils_see_each_other", False, True), ("chat_from_key_stage", 2, 1), ("recording_basis", "consent", "public_task"),
    ("retention_days", 30, 31), ("retention_days", 30, 29), ("one_to_one_by_any_leader", False, True),
    ("blur_may_be_off", False, True), ("alert_minutes", 5, 6), ("staff_early_minutes", 15, 10), ("agreement_days", 365, 366),
])
def test_these_changes_protect_children_less(name: str, before: Any, after: Any) -> None:
    assert less_protection(replace(Profile(), **{name: before}), replace(Profile(), **{name: after})) == {name}


def test_a_longer_lesson_is_looser_although_another_stage_is_shorter() -> None:
    after = replace(Profile(), lesson_minutes=(5, 5, 46, 60, 60, 60))
    assert less_protection(Profile(), after) == {"lesson_minutes"}
    assert [row.key for row in differences(Profile(), after) if row.is_looser] == ["lesson_minutes_2"]


@given(profiles(), profiles())
def test_what_differs_is_shown_and_what_is_looser_one_way_is_not_looser_back(before: Profile, after: Profile) -> None:
    there, back = less_protection(before, after), less_protection(after, before)
    both_ways = there & back - {"lesson_minutes"}  # of the lengths one may be longer and another shorter
    assert all(RULES[name].less is Less.EITHER for name in both_ways)
    assert there | back == {field.name for field in fields(Profile) if getattr(before, field.name) != getattr(after, field.name)}
    assert (differences(before, after) == ()) == (before == after)


@given(profiles())
def test_what_a_school_may_choose_is_kept_and_read_back_from_storage_and_from_a_form(profile: Profile) -> None:
    assert checked(profile) == profile
    assert profile_from(profile.to_json()) == profile
    assert read({line.key: str(line.value) for line in lines(profile)}) == profile
    assert all(value and policy for _, shown in profile_words(profile) for _, value, policy in shown)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: (
    st.lists(inner, max_size=7) | st.dictionaries(st.sampled_from([*RULES, "x"]) | st.text(), inner, max_size=8)), max_leaves=30)


@given(st.text() | JSON.map(json.dumps) | st.fixed_dictionaries({}, optional=dict.fromkeys(RULES, JSON)).map(json.dumps))
def test_whatever_is_in_the_database_reads_as_a_profile_that_a_school_may_choose(text: str) -> None:
    assert checked(profile_from(text)) == profile_from(text)


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "null", "[" * 100_000, '{"lesson_minutes": [1]}',
                                  '{"retention_days": true}', '{"overrun_minutes": 1e9}', '{"second_adult_below": "4"}',
                                  '{"recording_basis": "none"}'])
def test_what_no_school_may_choose_counts_as_the_default(text: str) -> None:
    assert profile_from(text) == Profile()


@pytest.mark.parametrize("name", list(RULES))
def test_no_field_takes_a_value_outside_its_bounds(name: str) -> None:
    rule = RULES[name]
    beyond: list[Any] = ["", "off", None, -1, 10**9] if rule.choices else [rule.low - 1, rule.high + 1, 1.5, "5", None, True]
    for value in beyond:
        chosen = (value,) * len(STAGES) if name == "lesson_minutes" else value
        with pytest.raises(Invalid):
            checked(replace(Profile(), **{name: chosen}))
        with pytest.raises(Invalid):
            read({line.key: str(line.value) for line in lines(Profile())} | {name: "9999", f"{name}_2": "9999"})


# -- two people --------------------------------------------------------------------------------------------------------


def somebody(person: str, *roles: Role) -> Actor:
    return Actor(person, "school", frozenset(roles))


HEAD, LEADER, CHAIR = frozenset({Role.HEADTEACHER}), frozenset({Role.SENIOR_LEADER}), frozenset({Role.CHAIR})


@pytest.mark.parametrize(("asker", "second"), [(HEAD, LEADER), (LEADER, HEAD), (LEADER, CHAIR), (HEAD, CHAIR)])
def test_a_leader_asks_and_another_one_or_the_chair_agrees(asker: frozenset[Role], second: frozenset[Role]) -> None:
    rules.checked_rules_second(somebody("two", *second), "one", asker)


@pytest.mark.parametrize(("asker", "second", "who"), [
    (HEAD, HEAD, "one"), (HEAD, HEAD | CHAIR | LEADER, "one"), (LEADER, LEADER, "two"), (frozenset(), HEAD, "two"),
    (frozenset({Role.OFFICE}), HEAD, "two"), (HEAD, frozenset({Role.DSL, Role.OFFICE, Role.TEACHER}), "two"),
    (CHAIR, HEAD, "two"),
])
def test_nobody_agrees_their_own_change_and_no_two_leaders_without_the_head_or_the_chair(
    asker: frozenset[Role], second: frozenset[Role], who: str,
) -> None:
    with pytest.raises(NotAllowed):
        rules.checked_rules_second(somebody(who, *second), "one", asker)


def test_every_looser_line_needs_a_reason_and_there_is_a_day_on_which_somebody_looks_again() -> None:
    after = replace(Profile(), retention_days=60, blur_may_be_off=True, overrun_minutes=0)
    given_ = {"retention_days": "A complaint", "blur_may_be_off": "  ", "overrun_minutes": "not needed"}
    with pytest.raises(Invalid) as refused:
        rules.checked_rules_request(Profile(), after, given_, None, TODAY)
    assert set(refused.value.fields) == {"reason_blur_may_be_off", "review_on"}
    kept = rules.checked_rules_request(Profile(), after, given_ | {"blur_may_be_off": "Old tablets"}, date(2027, 11, 24), TODAY)
    assert kept == {"retention_days": "A complaint", "blur_may_be_off": "Old tablets"}
    for day in (TODAY, date(2027, 11, 25)):
        with pytest.raises(Invalid):
            rules.checked_rules_request(Profile(), after, kept, day, TODAY)


def test_a_change_that_protects_more_says_why_once_and_no_change_is_refused() -> None:
    after = replace(Profile(), overrun_minutes=0)
    assert rules.checked_rules_request(Profile(), after, {"all": "Calm ends"}, date(2027, 1, 1), TODAY) == {"all": "Calm ends"}
    with pytest.raises(Invalid):
        rules.checked_rules_request(Profile(), after, {}, date(2027, 1, 1), TODAY)
    with pytest.raises(Invalid, match="Nothing is different"):
        rules.checked_rules_request(Profile(), Profile(), {"all": "Why not"}, date(2027, 1, 1), TODAY)
