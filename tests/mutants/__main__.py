"""Mistakes that a mutation tool makes in the rule, the lease and every place that sends: each has to be noticed by a test.

`python -m tests.mutants [rule|sends]` prints how many were made and every one that survived. In the rule none may; of the
places that send, a seeded sample is made (CHAPERONE_MUTANTS says how many), and survivors are listed to be read.
Mistakes that somebody thought of are in tests/room/test_mutants.py.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from pathlib import Path

import libcst as cst
from mutmut.mutation.file_mutation import Mutation, create_mutations, deep_replace

from lessons.live import supervision
from tests.room.test_mutants import copied
from tests.rules import test_supervision

ROOT = Path(__file__).resolve().parents[2]
SENDS_SAMPLE = int(os.environ.get("CHAPERONE_MUTANTS", "60"))
PATIENCE = 3.0
"""How many times as long as without any mistake the tests may take: one that makes a test wait for ever is noticed too."""
RULE_TESTS = ("--noconftest", "tests/rules/test_supervision.py", "tests/room/test_room.py", "tests/room/test_exploration.py",
              "tests/room/test_histories.py")
MEDIA_TESTS = ("tests/media/test_gate.py", "tests/media/test_forwarding.py", "tests/media/test_records.py",
               "tests/media/test_layers.py", "tests/media/test_repair.py", "tests/media/test_sending.py")
HOST_TESTS = (
    "tests/features/test_live_room.py", "tests/features/test_wire_monitor.py", *(f"tests/threats/test_{name}.py" for name in (
        "t01_alone_with_the_last_pupil", "t04_two_lessons_at_once", "t07_revoked_approval",
        "t08_breakout_is_no_private_channel", "t12_reconnect", "t13_revoked_staff")))


@dataclass(frozen=True)
class Place:
    """A module to make mistakes in: in these functions of it (all when empty), noticed by these tests."""

    module: str
    tests: tuple[str, ...]
    """And what else pytest is told: the rule's tests need none of the application."""
    functions: frozenset[str] = frozenset()

    @property
    def path(self) -> Path:
        return ROOT / f"{self.module.replace('.', '/')}.py"


RULE = (
    Place("lessons.live.supervision", RULE_TESTS),
    Place("lessons.live.deadlines", RULE_TESTS),
    Place("lessons.live.seat", RULE_TESTS, frozenset({"alive_until", "is_here", "sit", "stand"})),
)
SENDS = (
    Place("lessons.media.gate", MEDIA_TESTS),
    Place("lessons.media.source", MEDIA_TESTS, frozenset({
        "permits", "deliver", "_taken", "_forward", "_admit", "_fan_of", "_grouped", "_packets", "_send_tcp", "repeat", "shut",
    })),
    Place("lessons.media.downlink", MEDIA_TESTS, frozenset({"route", "_may_deliver", "_settle", "vanish"})),
    Place("lessons.media.record", MEDIA_TESTS, frozenset({"take", "stop"})),
    Place("lessons.live.host", HOST_TESTS, frozenset({"_set_gate", "_set_routes", "_say", "_tell", "_hang_up", "break_off"})),
)


@dataclass(frozen=True)
class Mutant:
    place: Place
    name: str
    source: str


def mutants(place: Place) -> Iterator[Mutant]:
    """Every mistake the tool makes in a place: only what changes the code, and not its words for people."""
    source = place.path.read_text()
    module, mutations, _, _ = create_mutations(str(place.path), source)
    for mutation in mutations:
        name = _function(module, mutation)
        if place.functions and name not in place.functions:
            continue
        made = deep_replace(module, mutation.original_node, mutation.mutated_node)
        if isinstance(made, cst.Module) and _means_something(mutation):
            said = f"{_says(mutation.original_node)}  →  {_says(mutation.mutated_node)}"
            yield Mutant(place, f"{place.module} {name or 'itself'}: {said}", made.code)


class _Finder(cst.CSTVisitor):
    """The innermost function around a node."""

    def __init__(self, node: cst.CSTNode):
        self.node, self.around, self.found = node, list[str](), ""

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.around.append(node.name.value)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        self.around.pop()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if node is self.node:
            self.found = self.around[-1] if self.around else ""
        return super().on_visit(node)


def _function(module: cst.Module, mutation: Mutation) -> str:
    finder = _Finder(mutation.original_node)
    module.visit(finder)
    return finder.found


def _means_something(mutation: Mutation) -> bool:
    """Not a string's letters: those are words for people, and codes that the protocol's own tests compare."""
    return not isinstance(mutation.original_node, cst.SimpleString | cst.FormattedString | cst.ConcatenatedString)


def _says(node: cst.CSTNode) -> str:
    return re.sub(r"\s+", " ", cst.Module([]).code_for_node(node)).strip()[:90]


def is_noticed(mutant: Mutant, limit: float) -> bool:
    """Whether a test fails, or goes on for longer than `limit` seconds, with this mistake in the product. The rule meets its
    oracle first, in this process: most mistakes go no further."""
    if mutant.place.module == supervision.__name__ and _oracle_notices(mutant.source):
        return True
    return _fails(mutant.place.tests, limit, f"{mutant.place.module}=", mutant.source)


def control(tests: tuple[str, ...]) -> float:
    """The same tests with no mistake in the product must pass, or they would notice anything. Seconds that they took."""
    began = time.monotonic()
    if _fails(tests, inf):
        raise RuntimeError(f"these tests fail as the product is: {' '.join(tests)}")
    return time.monotonic() - began


def _oracle_notices(source: str) -> bool:
    try:
        with copied(supervision, source) as copy:
            return not all(test_supervision.agrees(world, copy.lease) for world in test_supervision.sampled(6_000, seed=5))
    except Exception:
        return True  # it is not even a module any more, or gives no answer


def _fails(tests: tuple[str, ...], limit: float, module: str = "", source: str = "") -> bool:
    """`module`: what is loaded from `source` instead, and a `=`; none when empty."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(source)
        file.flush()
        try:
            run = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.mutants.plugin", "-p", "no:cacheprovider", *tests],
                env={**os.environ, "CHAPERONE_MUTANT": module and module + file.name}, cwd=ROOT, capture_output=True,
                timeout=None if limit == inf else limit, check=False,
            )
        except subprocess.TimeoutExpired:
            return True
    return run.returncode != 0


def survivors(made: list[Mutant]) -> Iterator[Mutant]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tests = list(dict.fromkeys(mutant.place.tests for mutant in made))
        limits = {each: PATIENCE * seconds for each, seconds in zip(tests, pool.map(control, tests), strict=True)}
        noticed = pool.map(lambda mutant: is_noticed(mutant, limits[mutant.place.tests]), made)
        yield from (mutant for mutant, was in zip(made, noticed, strict=True) if not was)


def report(title: str, made: list[Mutant]) -> int:
    print(f"{title}: {len(made)} mistakes made", flush=True)
    left = []
    for mutant in survivors(made):
        print(f"  survived: {mutant.name}", flush=True)
        left.append(mutant)
    print(f"{title}: {len(made) - len(left)} noticed, {len(left)} survived")
    return len(left)


def all_of(places: Iterable[Place]) -> list[Mutant]:
    return [mutant for place in places for mutant in mutants(place)]


def main(wanted: list[str]) -> int:
    in_the_rule = 0
    if not wanted or "rule" in wanted:
        in_the_rule = report("The rule and its lease", all_of(RULE))
    if not wanted or "sends" in wanted:
        made = all_of(SENDS)
        report("Where something is sent", random.Random(7).sample(made, min(SENDS_SAMPLE, len(made))))
    return 1 if in_the_rule else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
