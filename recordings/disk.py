"""Whether the disk has room for the rest of every lesson that is being recorded on it.

Each capture of this process claims what its lesson still needs; a lesson that would not fit stops while what it has is
safe, rather than when the disk is full under all of them.
"""

import os
import threading

# Before a lesson shows its own rate: a teacher's picture, also small (90 kbit/s), and a few voices.
ASSUMED_BYTES_PER_SECOND = 76_000.0
MARGIN = 1.2

_lock = threading.Lock()
_claims: dict[int, dict[int, float]] = {}


def has_room(fd: int, claimant: int, needed: float) -> bool:
    """Claim `needed` bytes on the disk that holds `fd`, and answer whether all claims fit, in the order they were made."""
    disk = os.fstatvfs(fd)
    device = os.fstat(fd).st_dev
    with _lock:
        claims = _claims.setdefault(device, {})
        claims[claimant] = needed * MARGIN
        before = 0.0
        for other, bytes_needed in claims.items():
            before += bytes_needed
            if other == claimant:
                break
    return before <= disk.f_bavail * disk.f_frsize


def release(claimant: int) -> None:
    with _lock:
        for claims in _claims.values():
            claims.pop(claimant, None)


class Rate:
    """Bytes a second of one lesson: the busiest minute so far, and no less than is assumed."""

    def __init__(self) -> None:
        self.busiest = ASSUMED_BYTES_PER_SECOND
        self._since: float | None = None
        self._bytes = 0

    def wrote(self, count: int, at: float) -> None:
        """`at`: CLOCK_BOOTTIME."""
        self._since = at if self._since is None else self._since
        self._bytes += count
        if at - self._since >= 60.0:
            self.busiest = max(self.busiest, self._bytes / (at - self._since))
            self._since, self._bytes = at, 0
