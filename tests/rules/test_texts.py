"""Which words may be sent, after which call, and what a text's state may become (policy: CM1, CM2, CM5)."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.calls import rules
from service.calls.progress import Why
from service.calls.rules import Allowed, Not
from service.calls.texts import rules as texts
from service.calls.texts.rules import After, Status
from tests.rules.test_calls import GOOD, LIMITS, NOON

MISSED = After(Why.NO_ANSWER, NOON - timedelta(minutes=3), None)


def said(after: After | None = MISSED, **changes: object) -> Allowed | Not:
    return texts.decide(replace(GOOD, **changes), LIMITS, after, NOON, has_way=True)  # type: ignore[arg-type]


def test_a_text_follows_a_call_that_nobody_answered() -> None:
    assert said() == Allowed()


@pytest.mark.parametrize("changes", [
    {"ended_at": None}, {"ended_at": NOON - timedelta(hours=2, seconds=1)}, {"why": Why.RULE}, {"why": Why.ENDED_BY_LEADER},
    {"why": Why.NOT_PLACED}, {"why": Why.NOT_CHECKED}, {"why": Why.NOT_KNOWN}, {"why": Why.PAGE_CLOSED}, {"why": Why.HUNG_UP},
    {"connected_at": NOON - timedelta(minutes=4)},
    {"why": Why.HUNG_UP, "connected_at": NOON - timedelta(minutes=4), "outcome": "spoke"},
])
def test_no_text_follows_a_call_that_reached_somebody_was_stopped_or_is_long_over(changes: dict[str, object]) -> None:
    assert said(replace(MISSED, **changes)) == texts.NOT_AFTER  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [
    {"why": why} for why in (Why.BUSY, Why.REFUSED, Why.CANCELLED, Why.FAULT)] + [
    {"why": Why.MESSAGE, "connected_at": NOON - timedelta(minutes=4), "message_left": True},
    {"why": Why.HUNG_UP, "connected_at": NOON - timedelta(minutes=4), "outcome": "no-answer"},
])
def test_whom_a_call_or_a_mailbox_did_not_reach_may_be_sent_a_text(changes: dict[str, object]) -> None:
    assert said(replace(MISSED, **changes)) == Allowed()  # type: ignore[arg-type]


def test_one_text_follows_a_call_and_none_where_nothing_carries_it() -> None:
    assert said(None) == texts.NOT_AFTER
    assert said(replace(MISSED, is_text_sent=True)) == texts.ALREADY
    assert texts.decide(GOOD, LIMITS, MISSED, NOON, has_way=False) == texts.NO_TEXTS


@pytest.mark.parametrize(("changes", "refusal"), [
    ({"contact": None}, rules.DO_NOT_CALL), ({"contact": replace(GOOD.contact, do_not_contact=True)}, rules.DO_NOT_CALL),  # type: ignore[type-var]
    ({"is_school_day": False}, rules.outside(LIMITS)), ({"about_child": 6}, rules.TOO_OFTEN_CHILD),
    ({"to_family": None}, rules.TOO_OFTEN_FAMILY), ({"is_signed_in": False}, rules.SIGNED_OUT),
    ({"is_closed": True}, rules.CLOSED),
    ({"teaches": False}, rules.NOT_YOURS),
])
def test_who_may_not_be_called_is_sent_nothing_either(changes: dict[str, object], refusal: Not) -> None:
    assert said(**changes) == refusal


# -- a text's state -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(Status)))
def test_whatever_is_said_in_whatever_order_a_text_only_moves_on(heard: list[Status]) -> None:
    now, was = Status.ASKED, [Status.ASKED]
    for then in heard:
        if texts.is_further(now, then):
            now = then
            was.append(now)
    assert len(was) == len(set(was))
    assert all(before not in (Status.DELIVERED, Status.FAILED) for before, _ in pairwise(was))


def test_the_providers_words_mean_what_they_say() -> None:
    assert [texts.status_of(word) for word in ("queued", "sent", "delivered", "undelivered", "failed", "received", "")] == [
        Status.SENT, Status.SENT, Status.DELIVERED, Status.FAILED, Status.FAILED, None, None]


# -- the school's texts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "many"), [
    ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2), ("আ" * 70, 1), ("আ" * 71, 2),
    ("😀" * 35, 1), ("😀" * 36, 2),
])
def test_a_text_is_as_many_messages_as_its_script_needs(words: str, many: int) -> None:
    assert texts.parts(words) == many


@pytest.mark.parametrize(("changes", "field"), [
    ({"title": ""}, "title"), ({"language": "E"}, "language"), ({"language": "<b>"}, "language"), ({"words": "Hello"}, "words"),
    ({"words": "a" * 460}, "words"), ({"words": "Ring 01632 960 123 now"}, "words"),
    ({"words": "See https://school.example now"}, "words"),
    ({"words": "See bit.ly/x now, please"}, "words"),
    ({"words": "About amina rahman: please ring us"}, "words"),
    ({"words": "About Sean O’Brien-Løvé: please ring us"}, "words"),
])
def test_a_text_names_no_child_and_no_number_and_has_no_link(changes: dict[str, str], field: str) -> None:
    good = {"title": "We tried to ring", "language": "Bengali (Sylheti)",
            "words": "We tried to ring you. Please ring the office."}
    children = frozenset({"Amina Rahman", "Seán O'Brien Løvé"})
    assert texts.problems(**good, children=children) == {}
    assert set(texts.problems(**good | changes, children=children)) == {field}
