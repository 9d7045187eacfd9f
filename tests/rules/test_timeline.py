"""What a recording says of its lesson, read from nothing but its own notes."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings import rules, timeline
from recordings.timeline import Span, facts, joined, lasts_until, outside, stretches


@dataclass(frozen=True)
class Said:
    at_ms: int
    kind: str
    body: dict[str, Any] = field(default_factory=dict)


def came(at: int, person: str) -> Said:
    return Said(at, "presence", {"person": person, "role": "pupil", "event": "in"})


def left(at: int, person: str) -> Said:
    return Said(at, "presence", {"person": person, "event": "out"})


def test_who_was_there_when_with_every_return() -> None:
    found = facts([came(0, "a"), came(10, "b"), left(50, "a"), came(70, "a"), Said(90, "end")], 100)
    assert {each.person_id: each.spans for each in found.presence} == {
        "a": (Span(0, 50), Span(70, 90)), "b": (Span(10, 90),)
    }


def test_a_second_device_is_no_second_arrival() -> None:
    found = facts([came(0, "a"), came(20, "a"), left(50, "a")], 100)
    assert found.presence[0].spans == (Span(0, 50),)


def test_the_waiting_room_is_no_pause_and_every_later_hold_is() -> None:
    held = {"reasons": ["lone-adult", "no-adult"]}
    found = facts([
        Said(5, "hold", {"reasons": ["starting"]}), Said(10, "open"), Said(30, "hold", held), Said(35, "hold", held),
        Said(40, "open"), Said(60, "hold", {"reasons": ["not-recorded"]}),
    ], 100)
    assert found.opened_ms == 10
    assert [(each.start_ms, each.end_ms, each.words) for each in found.pauses] == [
        (30, 40, "One adult would have been alone with one pupil"), (60, 100, "Recording had stopped"),
    ]


def test_a_note_added_to_a_flag_later_stays_at_the_moment_that_was_flagged() -> None:
    found = facts([
        Said(10, "flag", {"flag": "f", "person": "t", "about": "", "note": ""}),
        Said(90, "flag", {"flag": "f", "person": "t", "about": "heard", "note": "Shouting"}),
    ], 100)
    assert [(each.at_ms, each.about, each.note) for each in found.flags] == [(10, "heard", "Shouting")]


@pytest.mark.parametrize("body", [{}, {"person": 3}, {"reasons": "x"}, {"text": None}])
def test_notes_that_make_no_sense_harm_nothing(body: dict[str, Any]) -> None:
    facts([Said(at, kind, body) for at, kind in enumerate(("open", "hold", "chat", "flag", "presence", "unheard-of", "end"))], 9)


def cluster(first: int, last: int, fresh: bool = False) -> Any:
    return SimpleNamespace(t_first=first, t_last=last, fresh=fresh)


def test_a_track_is_there_from_each_beginning_to_its_gap() -> None:
    clusters = [cluster(0, 980, True), cluster(1000, 1980), cluster(5000, 5980, True)]
    assert stretches(clusters, [2100], "opus", 9000) == [Span(0, 2000), Span(5000, 6000)]
    assert stretches(clusters, [2100], "vp8", 9000) == [Span(0, 2100), Span(5000, 9000)]


def test_a_still_picture_lasts_until_the_next_one_or_the_gap_and_not_for_ever() -> None:
    clusters = [cluster(0, 900, True), cluster(4000, 4900), cluster(60_000, 60_900, True)]
    assert lasts_until(clusters, 0, [], "vp8", 90_000) == 4000
    assert lasts_until(clusters, 1, [7000], "vp8", 90_000) == 7000
    assert lasts_until(clusters, 1, [], "vp8", 90_000) == 4900 + timeline.LONGEST_STILL_MS


@pytest.mark.parametrize(("parts", "whole"), [
    ([("complete", "")], ("complete", "")),
    ([("complete", ""), ("complete", "")], ("complete", "")),
    ([("incomplete", "the disk is full"), ("complete", "")], ("incomplete", "the disk is full")),
    ([("incomplete", "a"), ("incomplete", "b"), ("incomplete", "a")], ("incomplete", "a; b")),
])
def test_a_recording_is_complete_only_when_every_part_is(parts: list[tuple[str, str]], whole: tuple[str, str]) -> None:
    assert rules.outcome_of(parts) == whole


@pytest.mark.parametrize(("spans", "others", "left_over"), [
    ([Span(0, 100)], [], [Span(0, 100)]),
    ([Span(0, 100)], [Span(0, 100)], []),
    ([Span(0, 100)], [Span(20, 40)], [Span(0, 20), Span(40, 100)]),
    ([Span(0, 100)], [Span(20, 40), Span(30, 90)], [Span(0, 20), Span(90, 100)]),
    ([Span(0, 10), Span(50, 60)], [Span(5, 55)], [Span(0, 5), Span(55, 60)]),
    ([Span(0, 10)], [Span(10, 20)], [Span(0, 10)]),
])
def test_a_small_picture_stood_alone_where_no_large_one_was(spans: list[Span], others: list[Span], left_over: list[Span]) -> None:
    assert outside(spans, others) == left_over


SPANS = st.lists(st.builds(lambda start, long: Span(start, start + long), st.integers(0, 40), st.integers(1, 12)), max_size=6)


@given(spans=SPANS, others=SPANS)
def test_what_stood_alone_is_every_moment_of_it_that_nothing_else_covers(spans: list[Span], others: list[Span]) -> None:
    def moments(of: list[Span]) -> set[int]:
        return {at for span in of for at in range(span.start_ms, span.end_ms)}

    assert moments(outside(spans, others)) == moments(spans) - moments(others)


def test_a_moment_between_two_sizes_is_no_change_of_picture() -> None:
    assert outside([Span(0, 100)], [Span(30, 90)], 20) == [Span(0, 30)]


def test_what_comes_and_goes_with_a_network_is_one_stretch() -> None:
    assert joined([Span(70, 80), Span(0, 10), Span(5, 8), Span(15, 20)], 5) == [Span(0, 20), Span(70, 80)]
    assert joined([], 5) == []
