"""When a paused lesson calls somebody from outside: once for each pause, after two minutes (N3). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from lessons.live.supervision import Hold

LONG = 120.0
"""Seconds of a pause after which those on duty are called."""


@dataclass
class Watch:
    """Of one room. `look` is asked four times a second."""

    _since: float = inf
    _called: bool = False

    def look(self, is_held: bool, reasons: Sequence[Hold], anybody: bool, now: float) -> str:
        """The reason to call somebody for, at the moment when it is time; else nothing. `anybody`: someone waits in the room."""
        if not is_held:
            self._since, self._called = inf, False
            return ""
        self._since = min(self._since, now)
        if self._called or not anybody or now - self._since < LONG:
            return ""
        self._called = True
        return str(reasons[0]) if reasons else str(Hold.STARTING)
