"""The wire monitor alone: from a lesson in which all is well one thing goes wrong, and a delivery breaks just that invariant."""

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest

from lessons.live.monitor import Facts, Forbidden, Known, Monitor

ALL = frozenset({"attend", "microphone", "camera", "screen", "chat"})
NOW, OPENS, CLOSES = 1000.0, 900.0, 4000.0
PEOPLE = {
    "teacher": Known("staff", True, ALL), "assistant": Known("staff", True, ALL), "signer": Known("guest", False, ALL),
    "ali": Known("child", False, ALL), "bea": Known("child", False, ALL),
}


class Watch:
    """A monitor whose room has the teacher, Ali and Bea in it, open and recorded."""

    def __init__(self, *people: str) -> None:
        self.found: list[Forbidden] = []
        self.heard_at = dict.fromkeys(PEOPLE, (NOW - 0.1, NOW - 0.5))
        self.monitor = Monitor(lambda person: self.heard_at[person], self.found.append)
        self.monitor.planned(Facts(PEOPLE, OPENS, CLOSES))
        self.here = people or ("teacher", "ali", "bea")
        for person in self.here:
            self.monitor.came(f"of {person}", person, f"device of {person}")
        self.monitor.durable(NOW - 1)
        self.monitor.owned(NOW - 1)
        self.monitor.opened(1)

    def plan(self, **changes: object) -> None:
        self.monitor.planned(replace(self.monitor.facts, **changes))  # type: ignore[arg-type]

    def may(self, person: str, *what: str) -> None:
        self.plan(people={**self.monitor.facts.people, person: replace(PEOPLE[person], may=frozenset(what))})

    def sends(self, sender: str = "teacher", source: str = "microphone", to: str = "", viewers: str = "", at: float = NOW,
              ) -> set[str]:
        """Deliver one packet; which invariants the monitor says it broke."""
        before = len(self.found)
        route = frozenset(to.split() or (p for p in self.here if p != sender))
        self.monitor.media(sender, source, route, tuple(viewers.split()) or tuple(sorted(route)), 100, at)
        return {name.split()[0] for one in self.found[before:] for name in one.broken}


def bea_leaves(watch: Watch) -> None:
    watch.here = ("teacher", "ali")
    watch.monitor.went("of bea")


WRONG: dict[str, tuple[Callable[[Watch], object], set[str]]] = {
    "Bea leaves": (bea_leaves, {"I1"}),
    "Bea is not heard": (lambda w: w.heard_at.update(bea=(NOW - 2.0, NOW)), {"I1"}),
    "Bea's page is frozen": (lambda w: w.heard_at.update(bea=(NOW, NOW - 10.0)), {"I1"}),
    "the teacher's page is frozen": (lambda w: w.heard_at.update(teacher=(NOW, NOW - 3.0)), {"I4"}),
    "Bea is on the teacher's device": (lambda w: w.monitor.came("of bea", "bea", "device of teacher"), {"I1"}),
    "Bea is on Ali's device": (lambda w: w.monitor.came("of bea", "bea", "device of ali"), {"I1"}),
    "the recorder stalls": (lambda w: w.monitor.durable(NOW - 3.0), {"I2"}),
    "the recorder fails": (lambda w: w.monitor.durable(-inf), {"I2"}),
    "the lesson is over": (lambda w: w.plan(closes=NOW - 1), {"I3"}),
    "the lesson has not begun": (lambda w: w.plan(opens=NOW + 1), {"I3"}),
    "it is stopped": (lambda w: w.plan(stopped=True), {"I3"}),
    "an approval is needed": (lambda w: w.plan(needs_approval=True), {"I1"}),
    "Ali was removed": (lambda w: w.monitor.wrote("removed", "ali"), {"I3"}),
    "Ali is off the roster": (lambda w: w.plan(people={p: k for p, k in PEOPLE.items() if p != "ali"}), {"I1", "I3"}),
    "the teacher may not speak": (lambda w: w.may("teacher", "attend"), {"I6"}),
    "a pause was journalled": (lambda w: w.monitor.wrote("held", "", 1), {"I7"}),
    "the database is gone": (lambda w: w.monitor.owned(NOW - 3.0), {"I8"}),
}


@pytest.mark.parametrize("what", WRONG)
def test_one_thing_that_goes_wrong_is_seen_at_the_next_packet(what: str) -> None:
    watch, (goes_wrong, broken) = Watch(), WRONG[what]
    assert watch.sends() == set()
    assert watch.sends() == set(), "what was derived once is remembered"
    goes_wrong(watch)
    assert watch.sends() == broken


@pytest.mark.parametrize(("after", "broken"), [(1.89, set()), (1.91, {"I1", "I4"}), (2.1, {"I1", "I2", "I4", "I8"})])
def test_what_runs_out_is_seen_without_anybody_saying_so(after: float, broken: set[str]) -> None:
    watch = Watch()
    assert watch.sends() == set()
    assert watch.sends(at=NOW + after) == broken


@pytest.mark.parametrize(("sender", "source", "to", "viewers", "broken"), [
    ("ali", "camera", "teacher", "", set()),
    ("ali", "microphone", "bea", "", {"I5"}),               # staff are left out
    ("teacher", "microphone", "ali", "ali bea", {"I5"}),    # somebody beside the route
    ("teacher", "microphone", "ali stranger", "ali stranger", {"I3"}),
    ("teacher", "microphone", "ali assistant", "ali assistant", {"I3"}),  # on the roster, not in the room
])
def test_whom_a_packet_reaches_is_looked_at(sender: str, source: str, to: str, viewers: str, broken: set[str]) -> None:
    assert Watch().sends(sender, source, to, viewers) == broken


@pytest.mark.parametrize(("to", "broken"), [("teacher ali bea", False), ("teacher ali", False), ("ali bea", True)])
def test_chat_reaches_everybody_or_staff_alone(to: str, broken: bool) -> None:
    watch = Watch()
    watch.monitor.chat("ali", frozenset(to.split()), 5, NOW)
    assert bool(watch.found) is broken


@pytest.mark.parametrize(("here", "approvals", "broken"), [
    (("teacher", "ali"), (("teacher", "ali", NOW - 1, NOW + 1),), set()),
    (("teacher", "ali"), (("teacher", "bea", NOW - 1, NOW + 1),), {"I1"}),
    (("teacher", "ali"), (("assistant", "ali", NOW - 1, NOW + 1),), {"I1"}),
    (("teacher", "ali"), (("teacher", "ali", NOW - 9, NOW - 1),), {"I1"}),
    (("teacher", "ali"), (("teacher", "ali", NOW + 1, NOW + 9),), {"I1"}),
    (("teacher", "signer", "ali"), (("teacher", "ali", NOW - 1, NOW + 1),), {"I1"}),
    (("teacher", "assistant", "ali"), (), set()),
    (("teacher", "assistant"), (), set()),
    (("signer", "ali", "bea"), (), {"I4"}),
])
def test_company_is_two_children_two_cleared_adults_or_exactly_who_was_approved(
    here: tuple[str, ...], approvals: tuple[tuple[str, str, float, float], ...], broken: set[str],
) -> None:
    watch = Watch(*here)
    watch.plan(approvals=approvals)
    assert watch.sends(here[0]) == broken


def test_an_opening_that_was_taken_back_before_it_was_durable_is_no_opening() -> None:
    watch = Watch()
    watch.monitor.wrote("held", "", 2)
    watch.monitor.opened(2)
    assert watch.sends() == {"I7"}
    watch.monitor.opened(3)
    assert watch.sends() == set()


def test_counts_tell_an_operator_what_was_watched() -> None:
    watch = Watch()
    watch.sends()
    watch.monitor.durable(-inf)
    watch.sends()
    assert (watch.monitor.watched.deliveries, watch.monitor.watched.forbidden) == (4, 1)
