"""No state that a bounded world can reach lets anything forbidden through: small worlds whole, large ones by a seeded sample.

`make prove` finds and judges more than a million states (tests/room/explore.py).
"""

import pytest

from lessons.live import room, supervision
from lessons.live.supervision import Exposed
from tests.room.exploration import Bounds, Forbidden, Seen, explore
from tests.room.explore import LARGE, SMALL
from tests.room.test_mutants import mutated


@pytest.mark.parametrize("bounds", SMALL, ids=lambda bounds: bounds.name)
def test_no_state_of_a_small_world_lets_anything_forbidden_through(bounds: Bounds):
    seen = explore(bounds)
    assert seen.ended
    assert seen.delivered > 0, "a gate that never opens proves nothing"


def test_no_state_in_a_sample_of_the_large_worlds_lets_anything_forbidden_through():
    total = Seen()
    for bounds in LARGE:
        total.add(explore(bounds, most=200))
    assert total.delivered > 0, "a gate that never opens proves nothing"


def test_a_rule_that_is_content_with_one_child_is_found_out(monkeypatch):
    """Negative control."""
    with mutated(supervision, "-inf, -inf][1]", "-inf, -inf][0]") as broken:
        monkeypatch.setattr(room, "lease", broken.lease)
        with pytest.raises(Forbidden, match="I1 never alone"):
            explore(SMALL[0])


def test_a_room_that_counts_a_pupil_whose_badge_its_only_adult_made_is_found_out(monkeypatch):
    """Negative control."""
    monkeypatch.setattr(room.Room, "_exposed", lambda self, seat, here, counted: Exposed(
        seat.person.id, seat.person.kind, seat.person.id in counted, seat.alive_until))
    with pytest.raises(Forbidden, match="I1 never alone"):
        explore(next(bounds for bounds in SMALL if bounds.allows("badge")))


def test_a_room_that_leaves_the_gate_open_when_it_holds_is_found_out(monkeypatch):
    """Negative control: the history that leads there is told."""
    monkeypatch.setattr(room.Room, "_hold", lambda self, reasons: [])
    with pytest.raises(Forbidden, match=r"I4 supervised.* after \[.*'teacher is lost'\]"):
        explore(SMALL[0])
