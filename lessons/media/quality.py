"""How much a viewer's network takes: large pictures, small pictures or sound only. Pure: `now` is an argument.

A viewer reports loss, round trip and an estimate of its bandwidth (REMB). The estimate is about what it was sent, so it
says when there is too much, never how much more would fit: going up is a trial, and a failed trial makes the next rarer.
"""

from dataclasses import dataclass, field
from enum import IntEnum

_LOSS, _ROUND_TRIP, _DROPS, _DROPS_WITHIN = 26, 0.4, 2, 10.0
_BAD_REPORTS, _TRIAL, _FIRST_WAIT, _LONGEST_WAIT = 2, 6.0, 8.0, 60.0


class Level(IntEnum):
    """What is sent: sound alone, the small layer, the large layer."""

    SOUND = 0
    SMALL = 1
    LARGE = 2


@dataclass
class Quality:
    """`level` is what the viewer gets now; `ceiling` what was asked for (sound only)."""

    ceiling: Level = Level.LARGE
    _level: Level = Level.LARGE
    _bad: int = 0
    _changed_at: float = float("-inf")
    _wait: float = _FIRST_WAIT
    _good_since: float | None = None
    _drops: list[float] = field(default_factory=list)
    _estimate: float = 0.0

    @property
    def level(self) -> Level:
        return min(self._level, self.ceiling)

    def dropped(self, now: float) -> None:
        """A picture was refused because the viewer's TCP queue was too old."""
        self._drops = [at for at in self._drops if now - at < _DROPS_WITHIN] + [now]
        if len(self._drops) >= _DROPS:
            self._drops.clear()
            self._down(now)

    def report(self, now: float, *, lost: int, round_trip: float | None, estimate: float | None, sending: float) -> None:
        """Once a second: how much was lost (of 256), round trip in seconds, estimate and what is sent in bit/s."""
        bad = lost > _LOSS or (round_trip or 0) > _ROUND_TRIP or self._too_much(estimate, sending)
        self._bad = self._bad + 1 if bad else 0
        if bad:
            self._good_since = None
            if self._bad >= _BAD_REPORTS:
                self._down(now)
        elif self._good_since is None:
            self._good_since = now
        elif self._level < Level.LARGE and now - self._good_since >= self._wait:
            self._level = Level(self._level + 1)
            self._changed_at, self._good_since = now, now
        elif now - self._changed_at > 2 * _LONGEST_WAIT:
            self._wait = _FIRST_WAIT

    def _too_much(self, estimate: float | None, sending: float) -> bool:
        """Less is estimated than is sent, and not because the estimate still grows after we began to send more."""
        before, self._estimate = self._estimate, estimate or 0.0
        return estimate is not None and estimate < 0.9 * sending and estimate <= before

    def _down(self, now: float) -> None:
        if now - self._changed_at < _TRIAL and self._level > Level.SOUND:
            self._wait = min(self._wait * 2, _LONGEST_WAIT)
        if self._level > Level.SOUND:
            self._level = Level(self._level - 1)
            self._changed_at = now
        self._bad, self._good_since = 0, None
