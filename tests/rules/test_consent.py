"""What a family's answers mean, as sentences."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import rules
from consent.rules import Answer, MayNotAnswer, Purpose, Response, Route, Status
from service.foundation.errors import Invalid

DAY = date(2026, 11, 2)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
BOTH = {"mother": "yes", "father": "yes"}


def said(answer: str, who: str = "mother", *, days: int = 0, hours: int = 0, route: str = "app", name: str = "",
         corrects: str | None = None) -> Response:
    name = name or f"{who}-{answer}-{days}-{hours}-{route}"
    return Response(name, "child", Purpose.CAMERA, Answer(answer), who, Route(route), DAY + timedelta(days),
                    NOON + timedelta(days, hours=hours), corrects)


def test_no_answer_is_not_a_yes() -> None:
    assert rules.status([]) is Status.NO_RESPONSE
    assert rules.held(dict.fromkeys(Purpose, Status.NO_RESPONSE), public_task=False, objection_upheld=False) == frozenset()


def test_the_latest_answer_of_a_parent_counts() -> None:
    assert rules.status([said("given"), said("withdrawn", days=1)]) is Status.WITHDRAWN
    assert rules.status([said("withdrawn", days=1), said("given")]) is Status.WITHDRAWN
    assert rules.status([said("refused"), said("given", days=1)]) is Status.GIVEN


def test_when_parents_differ_the_careful_answer_holds_and_the_office_calls() -> None:
    answers = [said("given"), said("refused", "father")]
    assert rules.status(answers, BOTH) is Status.CONFLICT
    assert rules.held({Purpose.CAMERA: Status.CONFLICT}, public_task=False, objection_upheld=False) == frozenset()


def test_a_form_that_waited_in_a_tray_does_not_override_the_call_that_came_after_it() -> None:
    call = said("withdrawn", route="telephone")
    form_of_that_day = said("given", hours=4, route="paper")
    assert rules.status([call, form_of_that_day]) is Status.WITHDRAWN


def test_an_answer_entered_by_mistake_counts_no_more_and_the_one_before_it_does() -> None:
    wrong = said("given", days=2, name="wrong")
    note = said("entered_in_error", days=3, corrects="wrong")
    assert rules.status([said("refused"), wrong]) is Status.GIVEN
    assert rules.status([said("refused"), wrong, note]) is Status.REFUSED


def test_a_yes_counts_only_from_those_with_parental_responsibility() -> None:
    assert rules.status([said("given")], {"mother": "unknown"}) is Status.NO_RESPONSE
    assert rules.status([said("given")], {"mother": "no"}) is Status.NO_RESPONSE
    assert rules.status([said("given")], {}) is Status.NO_RESPONSE
    assert rules.status([said("given")], {"mother": "yes"}) is Status.GIVEN


def test_a_no_counts_until_somebody_is_known_to_lack_responsibility() -> None:
    answers = [said("given"), said("refused", "father")]
    assert rules.status(answers, {"mother": "yes", "father": "unknown"}) is Status.CONFLICT
    assert rules.status(answers, {"mother": "yes", "father": "no"}) is Status.GIVEN


def test_somebody_who_may_not_decide_is_refused_and_an_unchecked_no_is_kept() -> None:
    for responsible, says_yes in (("no", True), ("no", False), ("unknown", True)):
        with pytest.raises(MayNotAnswer):
            rules.check_respondent(responsible, says_yes=says_yes)
    rules.check_respondent("unknown", says_yes=False)
    rules.check_respondent("yes", says_yes=True)


def test_under_public_task_recording_holds_until_an_objection_is_upheld() -> None:
    nothing = dict.fromkeys(Purpose, Status.NO_RESPONSE)
    assert rules.held(nothing, public_task=True, objection_upheld=False) == {Purpose.BE_RECORDED}
    yes = dict.fromkeys(Purpose, Status.GIVEN)
    assert Purpose.BE_RECORDED not in rules.held(yes, public_task=True, objection_upheld=True)


def test_nobody_joins_a_lesson_without_attending_and_being_recorded() -> None:
    assert rules.may_join({"attend", "be_recorded"})
    assert not rules.may_join({"attend", "camera", "microphone", "chat", "one_to_one"})
    assert not rules.may_join({"be_recorded"})


def test_a_no_after_ones_own_yes_is_a_withdrawal() -> None:
    assert rules.answer_for(False, None) is Answer.REFUSED
    assert rules.answer_for(False, said("given")) is Answer.WITHDRAWN
    assert rules.answer_for(True, said("refused")) is Answer.GIVEN


@given(st.lists(st.tuples(st.sampled_from(["given", "refused", "withdrawn"]), st.sampled_from(["mother", "father"]),
                          st.integers(0, 5), st.integers(0, 9), st.sampled_from(["paper", "app", "telephone"])), max_size=9),
       st.randoms())
def test_the_order_in_which_answers_are_read_changes_nothing_and_one_no_is_never_outvoted(answers, random) -> None:  # type: ignore[no-untyped-def]
    told = [said(answer, who, days=days, hours=hours, route=route, name=str(n))
            for n, (answer, who, days, hours, route) in enumerate(answers)]
    told = list({rules.order(r): r for r in told}.values())  # two answers at the same instant have no order
    found = rules.status(told, BOTH)
    random.shuffle(told)
    assert rules.status(told, BOTH) is found
    last = rules.latest(told).values()
    assert (found is Status.GIVEN) == (bool(last) and all(r.said_yes for r in last))


def test_a_form_is_signed_today_or_earlier() -> None:
    rules.check_day(DAY, DAY)
    for wrong in (DAY + timedelta(1), DAY - timedelta(3 * 366 + 1)):
        with pytest.raises(Invalid):
            rules.check_day(wrong, DAY)
    with pytest.raises(Invalid):
        rules.day_of("31", "2", "2026")
