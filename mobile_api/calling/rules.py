"""For how long an app is rung, and what ends a call in it (policy: CM4). Pure; times are seconds on CLOCK_BOOTTIME.

An app that does not say at once that it rings is not there (a phone that fell asleep keeps its connection for a while), and one
whose sound does not reach us cannot be spoken to: both end without an answer, so that the telephone is rung.
"""

from dataclasses import dataclass

from service.calls.way import End

HEARD_SECONDS = 3.0
"""Until an app says that it rings."""
ANSWER_SECONDS = 15.0
"""Until somebody answers in it; then the telephone is rung (issue 6, 3)."""
SOUND_SECONDS = 6.0
"""From an answer until that side's sound is connected; from then on until the caller's is."""
LEASE_SECONDS = 3.0
"""For how long one look at the parent's sign-in lets sound pass."""


@dataclass(frozen=True)
class Times:
    """When what happened; None: not yet."""

    rang: float
    heard: float | None = None
    taken: float | None = None
    answered: float | None = None
    caller_up: bool = False


def ends(times: Times, now: float) -> End | None:
    """How a call ends by itself now; None while it goes on."""
    if times.answered is not None:
        return End.FAULT if not times.caller_up and now - times.answered >= SOUND_SECONDS else None
    if times.taken is not None:
        return End.NO_ANSWER if now - times.taken >= SOUND_SECONDS else None
    longest = ANSWER_SECONDS if times.heard is not None else HEARD_SECONDS
    return End.NO_ANSWER if now - times.rang >= longest else None
