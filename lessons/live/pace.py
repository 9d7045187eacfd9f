"""How often is too often: for what one page sends or asks, so that no page keeps others waiting."""

from collections import deque

from service.foundation.clock import Clock


class Pace:
    """At most so many of something in so many seconds."""

    def __init__(self, clock: Clock, most: int, seconds: float):
        self._clock, self._most, self._seconds = clock, most, seconds
        self._at: deque[float] = deque(maxlen=most + 1)  # however fast they come

    def is_over(self) -> bool:
        """Count one more. Is that too many?"""
        now = self._clock.boottime()
        while self._at and now - self._at[0] > self._seconds:
            self._at.popleft()
        self._at.append(now)
        return len(self._at) > self._most
