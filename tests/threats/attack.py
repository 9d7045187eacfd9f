"""An attack and its negative controls: one function, run with every guard, and again with exactly one of them taken away.

An attack says `harm(...)` where it would have got what it is after. With the guards in place it must not come to that; without
one it must, and at that very assertion: an attack that fails for another reason fails its test.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest


class Harm(AssertionError):
    """The attack got what it was after."""


def harm(done: object, what: str) -> None:
    """The attack's own assertion: this must not have been."""
    if done:
        raise Harm(f"{what}: {done}")


@dataclass(frozen=True)
class Guard:
    """One function of the production wiring, and how to take it away."""

    name: str
    remove: Callable[[pytest.MonkeyPatch], Any]


def guarded_by(*guards: Guard) -> pytest.MarkDecorator:
    """Run a test with all guards, then without each. The test wraps its attack in the fixture `attempt`."""
    return pytest.mark.parametrize("attempt", [None, *guards], indirect=True, ids=lambda one: one.name if one else "guarded")


@contextmanager
def attempted(without: Guard | None, patch: pytest.MonkeyPatch, forbidden: list[Any]) -> Iterator[None]:
    if without is None:
        yield
        return
    without.remove(patch)
    with pytest.raises(Harm):
        yield
    forbidden.clear()  # the wire monitor may well have seen it too
