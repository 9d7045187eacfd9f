"""When the Data Protection Officer is asked again, and the 72 hours of a breach, as sentences."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import Actor, Role
from service.people.profile import Profile, RecordingBasis
from service.safeguarding.breaches import rules as breaches
from service.safeguarding.breaches.rules import Step
from service.safeguarding.impact import rules
from service.safeguarding.impact.inventory import inventory
from service.safeguarding.impact.rules import Due, Review

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
SHOWN = rules.document(Profile(), inventory())
YES = {section.key: "yes" for section in SHOWN.sections}


def test_it_is_due_until_it_is_approved_when_it_changes_and_each_year() -> None:
    approved = Review(SHOWN.hash, True, NOW)
    assert rules.due(None, SHOWN.hash, NOW) is Due.NEVER
    assert rules.due(replace(approved, approved=False), SHOWN.hash, NOW) is Due.NOT_APPROVED
    assert rules.due(approved, "another", NOW) is Due.CHANGED
    assert rules.due(approved, SHOWN.hash, NOW + timedelta(364)) is None
    assert rules.due(approved, SHOWN.hash, NOW + timedelta(365)) is Due.YEAR


@pytest.mark.parametrize("change", [
    {"retention_days": 7}, {"retention_one_to_one_days": 7}, {"recording_basis": RecordingBasis.PUBLIC_TASK},
    {"pupils_see_each_other": True}, {"blur_may_be_off": True}, {"chat_from_key_stage": 1}, {"one_to_one_by_any_leader": True},
    {"agreement_days": 200},
])
def test_a_rule_that_bears_on_privacy_makes_another_document(change: dict[str, object]) -> None:
    assert rules.document(replace(Profile(), **change), inventory()).hash != SHOWN.hash  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"overrun_minutes": 4}, {"teacher_late_minutes": 4}, {"staff_idle_minutes": 14}])
def test_a_rule_that_does_not_asks_nobody_again(change: dict[str, int]) -> None:
    assert rules.document(replace(Profile(), **change), inventory()).hash == SHOWN.hash  # type: ignore[arg-type]


def test_a_new_column_makes_another_document() -> None:
    first, *others = inventory().tables
    more = replace(inventory(), tables=(replace(first, columns=(*first.columns, ("shoe_size", "size of shoes"))), *others))
    assert rules.document(Profile(), more).hash != SHOWN.hash


def test_every_section_is_answered_and_a_no_says_what_is_wrong() -> None:
    assert rules.check_answers(SHOWN, YES, {})
    assert not rules.check_answers(SHOWN, YES | {"kept": "no"}, {"kept": "We keep them for a year"})
    with pytest.raises(Invalid) as refusal:
        rules.check_answers(SHOWN, YES | {"kept": "no", "risks": "perhaps"}, {})
    assert set(refusal.value.fields) == {"kept-note", "risks"}


def test_what_is_confirmed_is_these_answers_about_this_document() -> None:
    other = rules.document(Profile(retention_days=7), inventory())
    actions = [rules.review_action(SHOWN, YES, {}), rules.review_action(other, YES, {}),
               rules.review_action(SHOWN, YES | {"kept": "no"}, {"kept": "No"}), rules.review_action(SHOWN, YES, {"kept": "No"})]
    assert len({action.hash for action in actions}) == 4


def test_who_leads_the_school_does_not_approve_it_for_the_school() -> None:
    rules.check_reviewer(Actor("a", "s", frozenset({Role.DPO})))
    for roles in ({Role.DPO, Role.HEADTEACHER}, {Role.DPO, Role.SENIOR_LEADER}, {Role.GOVERNOR}, {Role.HEADTEACHER}):
        with pytest.raises(NotAllowed):
            rules.check_reviewer(Actor("a", "s", frozenset(roles)))


# -- breaches ---------------------------------------------------------------------------------------------------------


def test_the_72_hours_run_from_noticing_until_the_question_is_answered() -> None:
    assert breaches.clock(NOW, [], NOW + timedelta(hours=70)).left == timedelta(hours=2)
    assert breaches.clock(NOW, [Step.NOTE, Step.TOLD_PEOPLE], NOW + timedelta(hours=73)).is_late
    for answer in (Step.TOLD_ICO, Step.NOT_TOLD):
        answered = breaches.clock(NOW, [answer], NOW + timedelta(hours=73))
        assert (answered.left, answered.is_late) == (None, False)


def test_nothing_is_closed_before_the_question_of_the_ico_is_answered() -> None:
    with pytest.raises(Invalid) as refusal:
        breaches.check_step("closed", "All is well", [Step.NOTE])
    assert set(refusal.value.fields) == {"kind"}
    assert breaches.check_step("closed", "All is well", [Step.NOT_TOLD]) is Step.CLOSED
    with pytest.raises(Conflict):
        breaches.check_step("told_ico", "Later", [Step.NOT_TOLD, Step.CLOSED])
    assert breaches.check_step("note", "Later", [Step.NOT_TOLD, Step.CLOSED]) is Step.NOTE


def test_a_breach_was_noticed_at_a_time_that_has_been() -> None:
    breaches.check_breach("A letter went astray", "One family", NOW, NOW)
    for what, whose, at in (("", "One family", NOW), ("A letter", " ", NOW), ("A letter", "One", None),
                            ("A letter", "One", NOW + timedelta(minutes=1)), ("A" * 2001, "One", NOW)):
        with pytest.raises(Invalid):
            breaches.check_breach(what, whose, at, NOW)
