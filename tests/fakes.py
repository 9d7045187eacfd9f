"""Fakes that every test may use. Time is a parameter: nothing here sleeps."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Both clocks, moved only by the test. The default is a school morning in term."""

    def __init__(self, now: datetime = datetime(2026, 11, 24, 9, 0, tzinfo=UTC), boottime: float = 1000.0):
        self._now = now
        self._boottime = boottime

    def now(self) -> datetime:
        return self._now

    def boottime(self) -> float:
        return self._boottime

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._boottime += seconds

    def set(self, now: datetime) -> None:
        """Move the time of day only, as somebody setting the machine's clock would."""
        self._now = now
