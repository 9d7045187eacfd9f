"""What happens to a live room. The host says so, in the turn in which it sees it; what closes is never queued."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from lessons.live.messages import ClientMessage
from lessons.live.plan import Plan


@dataclass(frozen=True)
class Joined:
    """A ticket was accepted on `connection`. `device`: the key this browser keeps; `beside`: who is near."""

    person: str
    connection: str
    device: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Dropped:
    """A connection is provably gone: the person left, the transport died or the session was revoked."""

    connection: str
    reason: str = "dropped"


@dataclass(frozen=True)
class Sent:
    """A page said something."""

    connection: str
    message: ClientMessage


@dataclass(frozen=True)
class Proved:
    """When each person's media and page were last heard, the recorder was last durable, the plan last current: on CLOCK_BOOTTIME.

    Said as soon as it is known. A proof that waits for the next tick can come after the one before has run out.
    """

    media: Mapping[str, float] = field(default_factory=dict)
    page: Mapping[str, float] = field(default_factory=dict)
    recorder: float = -inf
    owner: float = -inf


@dataclass(frozen=True)
class RecorderFailed:
    """Nothing more will be durable until the host starts another recorder."""

    reason: str


@dataclass(frozen=True)
class PlanRead:
    """The school's decisions as they are now; also proof, from `at`, that they are current."""

    plan: Plan
    at: float


@dataclass(frozen=True)
class OpeningJournalled:
    """The opening with this number is durable in the journal, so it may happen."""

    opening: int


@dataclass(frozen=True)
class AddressShared:
    """Two people's media come from one address: a fact for leaders, never a reason to hold."""

    person: str
    other: str


@dataclass(frozen=True)
class CameElsewhere:
    """This person is coming into another room: of the same lesson, or, where `other_lesson`, of another one."""

    person: str
    other_lesson: bool = False


@dataclass(frozen=True)
class RemovedElsewhere:
    """Staff sent this person out of another room of the same lesson, and so out of all of them."""

    person: str


@dataclass(frozen=True)
class MainStopped:
    """A leader stopped the lesson that this is a breakout room of."""


@dataclass(frozen=True)
class MainEnded:
    """The lesson that this is a breakout room of is over."""

    reason: str


@dataclass(frozen=True)
class ForbiddenDelivery:
    """The wire monitor saw something pass that may not have; `broken`: which invariants."""

    broken: tuple[str, ...]


@dataclass(frozen=True)
class Ticked:
    """Time has passed."""


RoomEvent = (
    Joined | Dropped | Sent | Proved | RecorderFailed | PlanRead | OpeningJournalled | AddressShared | CameElsewhere
    | ForbiddenDelivery | RemovedElsewhere | MainStopped | MainEnded | Ticked
)
