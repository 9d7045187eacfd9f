"""Two clocks, never mixed: the time of day for people, and CLOCK_BOOTTIME for every proof and deadline.

CLOCK_BOOTTIME runs on while the machine is suspended, which `time.monotonic()` and so `loop.time()` do not: a lease
that was fresh when the lid closed is stale when it opens.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The time of day, UTC, aware. Never goes backwards within one process."""
        ...

    def boottime(self) -> float:
        """Seconds on CLOCK_BOOTTIME: what leases, proofs and time-outs compare."""
        ...


class SystemClock:
    """The machine's clocks. A wall clock set back shows the latest time already seen: what expired stays expired."""

    def __init__(self) -> None:
        self._latest = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        self._latest = max(self._latest, datetime.now(UTC))
        return self._latest

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
