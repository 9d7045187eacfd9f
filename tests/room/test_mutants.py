"""Mistakes that somebody could make in the rule or the room, each made on purpose: every one must be noticed.

A proof that passes with the rule broken proves nothing. The rule's mutants meet its oracle, the room's the histories.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import EnumType
from types import ModuleType

import pytest

from lessons.live import room as room_module
from lessons.live import supervision
from tests.room import test_histories as histories
from tests.room import test_room
from tests.room.stage import Stage
from tests.rules import test_supervision as rule_tests

RULE_MUTANTS = {
    "one child is enough": ("[*sorted(moments, reverse=True), -inf, -inf][1]", "[*sorted(moments, reverse=True), -inf, -inf][0]"),
    "any adult supervises": ("if p.kind is kind and p.counts", "if p.counts"),
    "nobody is too doubtful to count": ("if p.kind is kind and p.counts]", "if p.kind is kind]"),
    "children may be without an adult": ("Hold.NO_ADULT: _adult_until(s)", "Hold.NO_ADULT: inf"),
    "the recorder may be stale": ("Hold.NOT_RECORDED: s.recorder_until", "Hold.NOT_RECORDED: s.recorder_until + 0.5"),
    "unrecorded": ("Hold.NOT_RECORDED: s.recorder_until", "Hold.NOT_RECORDED: inf"),
    "the plan may be old": ("Hold.STARTING: s.owner_until", "Hold.STARTING: inf"),
    "no end": ("s.closes_at if s.opens_at <= now and", "inf if s.opens_at <= now and"),
    "before it begins": ("s.closes_at if s.opens_at <= now and not _approval_to_come(s, now) else -inf", "s.closes_at"),
    "a stop stops nothing": ("Hold.STOPPED: -inf if s.stopped else inf", "Hold.STOPPED: inf"),
    "the last moment counts": ("if expiry <= now}", "if expiry < now}"),
    "the latest proof decides": ("Verdict(min(proofs.values()), ())", "Verdict(max(proofs.values()), ())"),
    "open for ever": ("Verdict(min(proofs.values()), ())", "Verdict(inf, ())"),
    "an approval for anybody": ("if adults == [a.adult] and children == [a.child]", "if adults and children == [a.child]"),
    "an approval for any child": ("if adults == [a.adult] and children == [a.child]", "if adults == [a.adult] and children"),
    "an approval without an end": ("max((min(a.end, *here)", "max((min(here)"),
    "an approval before its time": ("_approvals_of_this_pair(s) if a.start <= now)", "_approvals_of_this_pair(s))"),
    "an approval with somebody watching": ("if p.kind is not Kind.CHILD]", "if p.kind is Kind.STAFF]"),
    "a child who is silent was approved": ("min(a.end, *here)", "a.end"),
    "any two people are company": ("if not _children(s):", "if True:"),
    "a guest is as good as staff": ("_second_latest(_protectors(s, Kind.STAFF))", "_second_latest(_protectors(s, Kind.GUEST))"),
    "who may not take part is no reason": ("-inf if s.barred and not _children(s) else inf", "inf"),
    "reasons in any order": ("tuple(reason for reason in Hold if reason in missing)", "tuple(sorted(missing))"),
    "an ended approval is not named": ("missing.add(Hold.APPROVAL_ENDED)", "pass"),
    "alone with nobody": ("missing.discard(Hold.LONE_ADULT)", "pass"),
}

ROOM_MUTANTS = {
    "a lapse goes unseen": ("unbroken = now.boot < self._proved_until", "unbroken = True"),
    "an expired lease is kept": ("        self.until = verdict.until\n        return [Gate(self.until)]", "        return []"),
    "a hold leaves the gate open": ("return [Gate(-inf), held] if was_open", "return [held] if was_open"),
    "it opens at once": ("if now.boot - self._steady_since < steady:", "if False:"),
    "it opens unwritten": ("        if not self._opening_durable:\n            return []\n", ""),
    "a removed pupil comes back": ("event.person in self.removed | self.plan.removed", "False"),
    "the waiting room has channels": ("{} if waiting else routes(", "routes("),
    "who may not attend is reached": ("present = [s.person for s in self.seats.values() if s.is_here]",
                                      "present = [s.person for s in self.seats.values() if s.connection]"),
    "pupils come back with their microphones on": ("if seat.is_child:\n                    seat.silence()", "pass"),
    "a withdrawn camera stays on": ("seat.camera and person.may.camera", "seat.camera"),
    "a fault is waited out": ("                self.recorder_at = -inf\n", ""),
    "it never opens": ("self.phase, self.reasons, self.until = Phase.OPEN, (), verdict.until", "pass"),
    "it never reopens": ("            self._steady_since = now.boot\n            return held", "            return held"),
    "an adult is in company with a badge of their own": ("if not seat.is_child or person.let_in_by not in here:", "if True:"),
    "an adult is in company with themselves": ("twice = twice or seat.person.id in doubles", "pass"),
    "a dropped connection stays": ("return self._vacate(self._seat_of(connection), reason)", "return []"),
}
BREAKOUT_MUTANTS = {
    "who belongs elsewhere is let in": ("if belongs is not None and event.person not in", "if False and event.person not in"),
    "who belongs elsewhere stays": ("        if to is not None and was.id not in", "        if False and was.id not in"),
    "who came elsewhere stays": (
        'return self._send_away(person, Close.REPLACED, "elsewhere" if other_lesson else "replaced")', "return []"),
    "who was removed elsewhere stays": ('return self._send_away(person, Close.REMOVED, "removed")', "return []"),
    "who was removed elsewhere comes back": ("                self.removed |= {person}\n", ""),
    "a stop of the lesson does not reach its rooms": ("case MainStopped():\n                self.stopped = True",
                                                      "case MainStopped():\n                pass"),
    "a room goes on when the lesson has ended": ("return self.finish(reason, with_main=True)", "return []"),
    "a room goes on when its plan says that it is over": ("        if plan.over:\n", "        if False:\n"),
}
"""In what reaches a breakout room from the other rooms of its lesson."""
PLAYBOOK = frozenset({
    "it opens at once", "it opens unwritten", "pupils come back with their microphones on",
    "the waiting room has channels", "an adult is in company with a badge of their own", "an adult is in company with themselves",
})
"""These break no invariant of a delivery in those histories; the playbook (tests/room/test_room.py) notices them."""


@contextmanager
def mutated(module: ModuleType, old: str, new: str) -> Iterator[ModuleType]:
    """A copy of a module with one mistake in it, under another name."""
    source = inspect.getsource(module)
    assert old in source, f"the mutant no longer fits: {old}"
    with copied(module, source.replace(old, new, 1)) as made:
        yield made


@contextmanager
def copied(module: ModuleType, source: str) -> Iterator[ModuleType]:
    """A module made of this source, which is much like `module`'s."""
    spec = importlib.util.spec_from_loader(f"{module.__name__}_mutant", loader=None)
    assert spec is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[made.__name__] = made
    try:
        exec(compile(source, made.__name__, "exec"), made.__dict__)
        kinds = {name: thing for name, thing in vars(module).items() if isinstance(thing, EnumType)}
        made.__dict__.update(kinds)  # or nothing would be of any kind that it knows, and everything held
        yield made
    finally:
        del sys.modules[made.__name__]


def test_a_copy_of_the_rule_without_a_mistake_agrees_with_the_oracle() -> None:
    """Negative control: what is noticed below is the mistake, not the copying."""
    with mutated(supervision, "", "") as copy:
        assert all(rule_tests.agrees(world, copy.lease) for world in rule_tests.sampled(5_000, seed=5))


def test_a_copy_of_the_room_without_a_mistake_breaks_no_invariant() -> None:
    with mutated(room_module, "", "") as copy:
        for history in TELLING:
            histories.play(history, copy.Room)
        for history in BETWEEN_ROOMS:
            histories.play(history, copy.Room, is_breakout=True)


@pytest.mark.parametrize("mistake", RULE_MUTANTS)
def test_a_mistake_in_the_rule_is_noticed(mistake: str) -> None:
    with mutated(supervision, *RULE_MUTANTS[mistake]) as mutant:
        assert not all(rule_tests.agrees(world, mutant.lease) for world in rule_tests.sampled(20_000, seed=5))


@pytest.mark.parametrize("mistake", sorted(ROOM_MUTANTS.keys() - PLAYBOOK))
def test_a_mistake_in_the_room_is_noticed(mistake: str) -> None:
    with mutated(room_module, *ROOM_MUTANTS[mistake]) as mutant:
        assert _is_noticed(lambda: [histories.play(history, mutant.Room) for history in TELLING])


@pytest.mark.parametrize("mistake", BREAKOUT_MUTANTS)
def test_a_mistake_between_the_rooms_of_a_lesson_is_noticed(mistake: str) -> None:
    with mutated(room_module, *BREAKOUT_MUTANTS[mistake]) as mutant:
        assert _is_noticed(lambda: [histories.play(history, mutant.Room, is_breakout=True) for history in BETWEEN_ROOMS])


@pytest.mark.parametrize("mistake", sorted(PLAYBOOK))
def test_a_mistake_in_the_room_is_noticed_by_the_playbook(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = [scene for name, scene in vars(test_room).items() if name.startswith("test_")]
    with mutated(room_module, *ROOM_MUTANTS[mistake]) as mutant:
        monkeypatch.setattr(Stage, "room_class", mutant.Room)
        assert any(_is_noticed(scene) for scene in scenes)


def _is_noticed(proof: Callable[[], object]) -> bool:
    try:
        proof()
    except Exception:
        return True
    return False


TELLING = [
    (), ("all speak", "time"), ("all speak", "bea is silent"), ("all speak", "unrecorded"), ("all speak", "recorder fails"),
    ("all speak", "bea is removed", "bea joins", "time"), ("assistant joins", "time", "all speak", "ali may not attend"),
    ("all speak", "ali drops"), ("all speak", "teacher drops"), ("bea is silent", "time"), ("all speak", "all stall", "time"),
    ("all film", "ali loses the camera"),
]
BETWEEN_ROOMS = [
    ("all speak", "bea belongs elsewhere", "time"), ("all speak", "bea belongs elsewhere", "bea joins", "time"),
    ("all speak", "bea comes elsewhere", "time"), ("assistant joins", "time", "all speak", "bea is removed elsewhere", "time"),
    ("assistant joins", "all speak", "bea is removed elsewhere", "bea joins", "time"), ("all speak", "the main room is stopped"),
    ("all speak", "the main room ends"), ("all speak", "everybody is brought back"), ("all speak", "the room is over"),
]
