"""Until when may a room be open if nothing more is heard? The one safeguarding rule, as a pure function (policy: RL1, RL4).

It prevents an adult being alone with a child, children being together without an adult, and anything unrecorded. Its
answer is a lease: a moment on CLOCK_BOOTTIME, compared with the clock at every delivery. So when a page, a laptop, the
recorder or the host itself goes silent nobody has to notice: the lease runs out. Opening needs every proof; closing none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import inf

MEDIA_PROOF = 2.0
"""Seconds that one authenticated media packet, by the kernel's clock, proves a device to be in the room."""
ADULT_PAGE_PROOF = 3.0
"""Seconds that a heartbeat proves a supervising adult's page to run: a frozen page goes on sending media."""
CHILD_PAGE_PROOF = 10.0
RECORDER_PROOF = 3.0
"""Seconds after the recorder's last durable write."""
OWNER_PROOF = 3.0
"""Seconds after the last renewal of the lesson's ownership and reading of its plan."""
FIRST_STEADY = 1.0
"""Seconds of unbroken proof before a room opens for the first time; a gust of proofs opens nothing."""
AGAIN_STEADY = 0.3


class Kind(StrEnum):
    """What a person is to the rule. It comes from the school's register, never from a session."""

    STAFF = "staff"
    GUEST = "guest"
    CHILD = "child"


class Hold(StrEnum):
    """Why nothing is delivered, most important first: people are shown the first that applies."""

    STOPPED = "stopped-by-school"
    APPROVAL_ENDED = "approval-ended"
    NOT_RECORDED = "not-recorded"
    NO_ADULT = "no-adult"
    LONE_ADULT = "lone-adult"
    NOT_PERMITTED = "not-permitted"
    OUTSIDE_WINDOW = "outside-window"
    STARTING = "starting"


@dataclass(frozen=True)
class Exposed:
    """Somebody who may be reached: admitted, and not provably gone. In doubt a person is here for exposure."""

    id: str
    kind: Kind
    counts: bool
    """A distinct person who can protect: a cleared, rostered adult; a child on a device of their own."""
    alive_until: float
    """When this person's own proofs run out. In doubt a person is absent for protection."""


@dataclass(frozen=True)
class Approval:
    """A senior leader allowed exactly this adult and this child, from `start` until `end` (policy: RL1)."""

    adult: str
    child: str
    start: float
    end: float


@dataclass(frozen=True)
class Snapshot:
    """All that the rule looks at. Every number is a moment on CLOCK_BOOTTIME, in seconds."""

    people: tuple[Exposed, ...] = ()
    approvals: tuple[Approval, ...] = ()
    recorder_until: float = -inf
    owner_until: float = -inf
    opens_at: float = inf
    closes_at: float = -inf
    stopped: bool = False
    barred: bool = False
    """Somebody is connected who may not take part: they reach and are reached by nobody."""
    needs_approval: bool = False
    """A lesson for one pupil and one adult: without its approval nothing passes, whoever else is there."""


@dataclass(frozen=True)
class Verdict:
    """Open while the clock is below `until`; when held, why, in the order of `Hold`."""

    until: float
    reasons: tuple[Hold, ...]

    def permits(self, now: float) -> bool:
        return now < self.until


def lease(s: Snapshot, now: float) -> Verdict:
    """The earliest expiry among the proofs that the rule needs at `now`; held when one is missing."""
    proofs = {
        Hold.STOPPED: -inf if s.stopped else inf,
        Hold.APPROVAL_ENDED: _lesson_approved_until(s, now),
        Hold.NOT_RECORDED: s.recorder_until,
        Hold.NO_ADULT: _adult_until(s),
        Hold.LONE_ADULT: max(_company_until(s), _approved_until(s, now)),
        Hold.NOT_PERMITTED: -inf if s.barred and not _children(s) else inf,
        Hold.OUTSIDE_WINDOW: s.closes_at if s.opens_at <= now and not _approval_to_come(s, now) else -inf,
        Hold.STARTING: s.owner_until,
    }
    missing = {reason for reason, expiry in proofs.items() if expiry <= now}
    if not missing:
        return Verdict(min(proofs.values()), ())
    if Hold.NO_ADULT in missing:
        missing.discard(Hold.LONE_ADULT)  # there is no adult to be alone with
    elif Hold.LONE_ADULT in missing and _approval_is_over(s, now):
        missing.add(Hold.APPROVAL_ENDED)
    return Verdict(-inf, tuple(reason for reason in Hold if reason in missing))


def _children(s: Snapshot) -> list[Exposed]:
    return [p for p in s.people if p.kind is Kind.CHILD]


def _protectors(s: Snapshot, kind: Kind) -> list[float]:
    return [p.alive_until for p in s.people if p.kind is kind and p.counts]


def _adult_until(s: Snapshot) -> float:
    return max(_protectors(s, Kind.STAFF), default=-inf)


def _company_until(s: Snapshot) -> float:
    """Until when there are two children or two cleared adults; where no child is exposed, any two people."""
    if not _children(s):
        return _second_latest(p.alive_until for p in s.people)
    return max(_second_latest(_protectors(s, Kind.CHILD)), _second_latest(_protectors(s, Kind.STAFF)))


def _second_latest(moments: Iterable[float]) -> float:
    return [*sorted(moments, reverse=True), -inf, -inf][1]


def _approved_until(s: Snapshot, now: float) -> float:
    """Until when an approval covers exactly the two people who are exposed and the child among them is here."""
    here = [p.alive_until for p in _children(s)]
    return max((min(a.end, *here) for a in _approvals_of_this_pair(s) if a.start <= now), default=-inf)


def _lesson_approved_until(s: Snapshot, now: float) -> float:
    """Until when a lesson that needs an approval has one; before it begins the lesson's window is what holds the room."""
    if not s.needs_approval or _approval_to_come(s, now):
        return inf
    return max((a.end for a in s.approvals if a.start <= now), default=-inf)


def _approval_to_come(s: Snapshot, now: float) -> bool:
    begun = any(a.start <= now < a.end for a in s.approvals)
    return s.needs_approval and not begun and any(max(now, a.start) < a.end for a in s.approvals)


def _approval_is_over(s: Snapshot, now: float) -> bool:
    return any(a.end <= now for a in _approvals_of_this_pair(s))


def _approvals_of_this_pair(s: Snapshot) -> list[Approval]:
    adults = [p.id for p in s.people if p.kind is not Kind.CHILD]
    children = [p.id for p in _children(s)]
    return [a for a in s.approvals if adults == [a.adult] and children == [a.child]]
