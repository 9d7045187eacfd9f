"""Times of day on CLOCK_BOOTTIME, by whichever of the two clocks is the more careful."""

from dataclasses import dataclass, field
from datetime import datetime
from math import inf


@dataclass(frozen=True)
class Moment:
    """Both clocks at once: `boot` (CLOCK_BOOTTIME, seconds) for proofs, `wall` (aware) for people."""

    boot: float
    wall: datetime

    def until(self, when: datetime) -> float:
        return self.boot + (when - self.wall).total_seconds()


@dataclass
class Deadlines:
    """What the clocks have said of each time: a wall clock set forward opens nothing, one set back reopens nothing."""

    _starts: dict[datetime, float] = field(default_factory=dict)
    _ends: dict[datetime, float] = field(default_factory=dict)

    def start(self, when: datetime, now: Moment) -> float:
        """The latest moment that has been said of this start."""
        self._starts[when] = max(self._starts.get(when, -inf), now.until(when))
        return self._starts[when]

    def end(self, when: datetime, now: Moment) -> float:
        """The earliest moment that has been said of this end."""
        self._ends[when] = min(self._ends.get(when, inf), now.until(when))
        return self._ends[when]
