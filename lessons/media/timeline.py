"""From RTP timestamps to the lesson's clock, so that one person's sound and pictures stay together in the record.

A track starts at the arrival of its first frame and runs on by its RTP timestamps. Sender reports say which timestamp
was which moment on the sender's clock (RFC 3550 6.4.1); a track drifts towards that, a millisecond a frame, so that no
hole and no overlap appears.
"""

from lessons.media.rtp import signed32

_STEP_MS, _JUMP_MS = 1.0, 2000.0


class SenderClock:
    """One connection's sender clock against ours. Shared by its tracks: what they share cannot pull them apart."""

    def __init__(self) -> None:
        self._ahead: float | None = None        # our seconds minus the sender's

    def report(self, ntp: float, received: float) -> None:
        """A sender report stamped `ntp` by the sender arrived at `received`."""
        sample = received - ntp
        if self._ahead is None or abs(sample - self._ahead) > 5:
            self._ahead = sample
        else:
            self._ahead += 0.05 * (sample - self._ahead)

    def ours(self, ntp: float) -> float | None:
        """Our clock's seconds at the sender's `ntp`; None before the first report."""
        return None if self._ahead is None else ntp + self._ahead


class Timeline:
    """One track: `at_ms` of every frame, never going back."""

    def __init__(self, rate: int, lesson_start: float) -> None:
        self._rate, self._lesson_start = rate, lesson_start
        self._clock: SenderClock | None = None
        self._report: tuple[float, int] | None = None       # sender's seconds, RTP timestamp
        self._anchor: tuple[int, float] | None = None        # RTP timestamp, milliseconds of the lesson
        self._last = -1

    def report(self, clock: SenderClock, ntp: float, rtp: int) -> None:
        """The sender said that `rtp` was at `ntp`."""
        self._clock, self._report = clock, (ntp, rtp)

    def restart(self) -> None:
        """After a hold or on another layer: the next frame is placed by its arrival again."""
        self._anchor, self._report = None, None

    def at_ms(self, timestamp: int, received: float) -> int:
        """Milliseconds of the lesson of the frame with this RTP timestamp, received at `received` (CLOCK_BOOTTIME)."""
        arrival = (received - self._lesson_start) * 1000
        ideal = self._ideal(timestamp)
        if self._anchor is None:
            self._anchor = (timestamp, arrival if ideal is None or abs(ideal - arrival) > _JUMP_MS else ideal)
        at = self._anchor[1] + signed32(timestamp - self._anchor[0]) * 1000 / self._rate
        if abs(at - arrival) > _JUMP_MS:
            at = arrival                            # the sender restarted its clock, or was away
        elif ideal is not None and abs(ideal - arrival) <= _JUMP_MS:
            at += max(-_STEP_MS, min(_STEP_MS, ideal - at))
        self._anchor = (timestamp, at)
        self._last = max(self._last + 1, round(at))
        return self._last

    def _ideal(self, timestamp: int) -> float | None:
        if self._clock is None or self._report is None:
            return None
        ours = self._clock.ours(self._report[0] + signed32(timestamp - self._report[1]) / self._rate)
        return None if ours is None else (ours - self._lesson_start) * 1000
