"""The gate of one room: a lease that shuts by itself (policy: RL1, RL3)."""

import math


class Gate:
    """Delivery is allowed while `clock.boottime() < until`. Written only by the room's host, read at every delivery.

    Nobody has to shut it: when the host, its loop or one of its proofs stops, `until` passes.
    """

    __slots__ = ("until",)

    def __init__(self, until: float = -math.inf) -> None:
        self.until = until

    def permits(self, now: float) -> bool:
        """Whether a packet may be delivered (recorded, forwarded or sent again) at `now`, seconds on CLOCK_BOOTTIME."""
        return now < self.until
