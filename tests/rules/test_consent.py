"""What a family's answers mean, as sentences."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from consent import rules, standing
from consent.rules import Answer, MayNotAnswer, Purpose, Route, Status
from consent.standing import Resolution, Response, Terms
from service.foundation.errors import Invalid

DAY = date(2026, 11, 2)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
BOTH = {"mother": "yes", "father": "yes"}


AT = Terms(NOON + timedelta(10), 365)


def status(answers: list[Response], responsible: Mapping[str, str] = BOTH, at: Terms = AT, *closed: Resolution) -> Status:
    return standing.status(answers, responsible, at, closed)


def said(answer: str, who: str = "mother", *, days: int = 0, hours: int = 0, route: str = "app", name: str = "",
         corrects: str | None = None) -> Response:
    name = name or f"{who}-{answer}-{days}-{hours}-{route}"
    return Response(name, "child", Purpose.CAMERA, Answer(answer), who, Route(route), DAY + timedelta(days),
                    NOON + timedelta(days, hours=hours), corrects)


def test_no_answer_is_not_a_yes() -> None:
    assert status([]) is Status.NO_RESPONSE
    assert rules.held(dict.fromkeys(Purpose, Status.NO_RESPONSE), public_task=False, objection_upheld=False) == frozenset()


def test_the_latest_answer_of_a_parent_counts() -> None:
    assert status([said("given"), said("withdrawn", days=1)]) is Status.WITHDRAWN
    assert status([said("withdrawn", days=1), said("given")]) is Status.WITHDRAWN
    assert status([said("refused"), said("given", days=1)]) is Status.GIVEN


def test_when_parents_differ_the_careful_answer_holds_and_the_office_calls() -> None:
    answers = [said("given"), said("refused", "father")]
    assert status(answers, BOTH) is Status.CONFLICT
    assert rules.held({Purpose.CAMERA: Status.CONFLICT}, public_task=False, objection_upheld=False) == frozenset()


def test_a_conflict_stays_when_the_parents_come_to_agree_until_a_named_person_closes_it() -> None:
    answers = [said("given"), said("refused", "father"), said("given", "father", days=1)]
    assert status(answers) is Status.CONFLICT
    closed = Resolution("child", Purpose.CAMERA, NOON + timedelta(2))
    assert status(answers, BOTH, AT, closed) is Status.GIVEN
    assert status([*answers, said("withdrawn", "father", days=3)], BOTH, AT, closed) is Status.CONFLICT
    earlier = Resolution("child", Purpose.CAMERA, NOON + timedelta(hours=1))
    assert status([*answers[:2], said("withdrawn", days=1)], BOTH, AT, earlier) is Status.WITHDRAWN
    assert status(answers[:2], BOTH, AT, earlier) is Status.CONFLICT  # it never says whose answer is followed


def test_a_court_order_says_whose_answer_is_followed_until_somebody_answers_otherwise() -> None:
    answers = [said("given"), said("refused", "father")]
    order = Resolution("child", Purpose.CAMERA, NOON + timedelta(1), "mother")
    assert status(answers, BOTH, AT, order) is Status.GIVEN
    assert status(answers, BOTH, AT, replace(order, follows_id="father")) is Status.REFUSED
    assert status([*answers, said("refused", "father", days=2)], BOTH, AT, order) is Status.GIVEN, "he says what he had said"
    assert status([*answers, said("given", days=2)], BOTH, AT, order) is Status.GIVEN
    assert status([*answers, said("withdrawn", days=2)], BOTH, AT, order) is Status.WITHDRAWN
    assert status(answers, {"mother": "no", "father": "yes"}, AT, order) is Status.REFUSED


def test_a_yes_stands_for_a_year_and_a_no_until_it_is_taken_back() -> None:
    ends = NOON + timedelta(365)
    assert status([said("given")], BOTH, Terms(ends - timedelta(1), 365)) is Status.GIVEN
    assert status([said("given")], BOTH, Terms(ends, 365)) is Status.EXPIRED
    assert status([said("given"), said("given", "father", days=3)], BOTH, Terms(ends, 365)) is Status.GIVEN
    assert status([said("refused")], BOTH, Terms(ends + timedelta(900), 365)) is Status.REFUSED


def test_a_yes_to_words_that_ended_old_answers_is_asked_for_again_and_a_no_to_them_stays() -> None:
    assert status([replace(said("given"), is_outdated=True)]) is Status.EXPIRED
    assert status([replace(said("refused"), is_outdated=True)]) is Status.REFUSED


def test_a_yes_from_a_new_phone_counts_a_day_later_and_a_no_at_once() -> None:
    resting = replace(said("given", hours=1), counts_from=NOON + timedelta(1))
    soon, later = Terms(NOON + timedelta(hours=2), 365), Terms(NOON + timedelta(1), 365)
    assert status([resting], BOTH, soon) is Status.RESTS
    assert status([resting], {"mother": "unknown"}, soon) is Status.NO_RESPONSE, "a word that will not count waits for nothing"
    assert status([replace(resting, is_outdated=True)], BOTH, soon) is Status.NO_RESPONSE
    assert status([resting], BOTH, later) is Status.GIVEN
    assert status([said("refused"), resting], BOTH, soon) is Status.REFUSED
    taken_back = said("withdrawn", hours=2)
    assert status([said("refused", "father"), resting, taken_back], BOTH, later) is Status.WITHDRAWN  # it never counted


def test_a_pupils_no_beside_a_parents_yes_is_a_conflict_and_their_yes_lets_nobody_in() -> None:
    words = {"mother": "yes", "child": "pupil"}
    assert status([said("given")], words) is Status.GIVEN
    assert status([said("given"), said("refused", "child")], words) is Status.CONFLICT
    assert status([said("given", "child")], words) is Status.NO_RESPONSE
    assert status([said("refused"), said("given", "child")], words) is Status.REFUSED


def test_a_pupil_answers_alone_from_eighteen_and_beside_the_parents_from_the_age_the_school_chose() -> None:
    family = {"mother": "yes"}
    assert rules.with_own_word(family, "child", 18, 16) == {"child": "yes"}
    assert rules.with_own_word(family, "child", 16, 16) == {"mother": "yes", "child": "pupil"}
    assert rules.with_own_word(family, "child", 15, 16) == family


def test_somebody_with_a_court_order_against_them_can_say_no_and_not_yes() -> None:
    assert rules.word("yes", "yes") == "unknown"
    assert rules.word("yes", "no") == "yes"
    assert rules.word("no", "yes") == "no"


def test_a_form_that_waited_in_a_tray_does_not_override_the_call_that_came_after_it() -> None:
    call = said("withdrawn", route="telephone")
    form_of_that_day = said("given", hours=4, route="paper")
    assert status([call, form_of_that_day]) is Status.WITHDRAWN


def test_an_answer_entered_by_mistake_counts_no_more_and_the_one_before_it_does() -> None:
    wrong = said("given", days=2, name="wrong")
    note = said("entered_in_error", days=3, corrects="wrong")
    assert status([said("refused"), wrong]) is Status.GIVEN
    assert status([said("refused"), wrong, note]) is Status.REFUSED


def test_a_yes_counts_only_from_those_with_parental_responsibility() -> None:
    assert status([said("given")], {"mother": "unknown"}) is Status.NO_RESPONSE
    assert status([said("given")], {"mother": "no"}) is Status.NO_RESPONSE
    assert status([said("given")], {}) is Status.NO_RESPONSE
    assert status([said("given")], {"mother": "yes"}) is Status.GIVEN


def test_a_no_counts_until_somebody_is_known_to_lack_responsibility() -> None:
    answers = [said("given"), said("refused", "father")]
    assert status(answers, {"mother": "yes", "father": "unknown"}) is Status.CONFLICT
    assert status(answers, {"mother": "yes", "father": "no"}) is Status.GIVEN


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


def test_a_no_after_ones_own_yes_is_a_withdrawal() -> None:
    assert standing.answer_for(False, None) is Answer.REFUSED
    assert standing.answer_for(False, said("given")) is Answer.WITHDRAWN
    assert standing.answer_for(True, said("refused")) is Answer.GIVEN


def test_a_form_is_signed_today_or_earlier() -> None:
    rules.check_day(DAY, DAY)
    for wrong in (DAY + timedelta(1), DAY - timedelta(3 * 366 + 1)):
        with pytest.raises(Invalid):
            rules.check_day(wrong, DAY)
    with pytest.raises(Invalid):
        rules.day_of("31", "2", "2026")


@pytest.mark.parametrize("route", [Route.PAPER, Route.IN_PERSON, Route.TELEPHONE])
def test_a_yes_rests_for_a_day_after_contact_details_changed_where_only_they_say_whose_it_is(route: Route) -> None:
    rests = NOON + timedelta(hours=24) if route is Route.TELEPHONE else None
    assert rules.counts_from(Route.WEB, None, NOON) == NOON + rules.RESTS, "nobody can tell whose hand it was in a browser"
    assert rules.counts_from(route, NOON, NOON + timedelta(minutes=1)) == rests
    assert rules.counts_from(route, NOON, NOON + timedelta(hours=23, minutes=59)) == rests
    assert rules.counts_from(route, NOON, NOON + timedelta(hours=24)) is None
    assert rules.counts_from(route, None, NOON) is None, "details that were never changed"


def test_recording_is_no_question_of_permission_where_it_is_the_schools_public_task() -> None:
    assert rules.are_asked(public_task=False) == tuple(Purpose)
    assert set(Purpose) - set(rules.are_asked(public_task=True)) == {Purpose.BE_RECORDED}
