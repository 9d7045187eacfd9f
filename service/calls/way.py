"""What carries a call. One interface for every way of telephoning, held to the same tests (policy: CM4).

A way knows numbers and sound, and nothing of why. It decides nothing: the desk asks the rule, writes the call down, and only
then places it. Of what it cannot be certain a way says that it has ended, and sees to it that it has.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from service.calls.number import Number
from service.foundation.errors import Unavailable


class NoWay(Unavailable):
    """We could not place the call, so nobody was called. Try again in a minute, or ask the office to ring."""

    code = "no-way"


@dataclass(frozen=True)
class Order:
    """One call to place.

    call_id    opaque, 32 hex digits: the only name of the call that a way may write into a log or a header
    callee     whom to ring
    shown      the school's number: what the callee sees, and may ring back
    withheld   the school insists on showing none (RFC 3323 `Privacy: id`)
    offer      the browser's SDP offer, where the caller speaks in a browser; candidates complete (no trickling)
    telephone  the caller's own telephone, where a leader's grant allows it (policy: CM3). One of the two, never both.
    person     whose telephone it is, by their opaque id: for a way that reaches people and not numbers
    """

    call_id: str
    callee: Number
    shown: Number
    withheld: bool = False
    offer: str = field(default="", repr=False)
    telephone: Number | None = None
    person: str = ""


class By(StrEnum):
    """What the caller speaks by."""

    COMPUTER = "computer"
    TELEPHONE = "telephone"


@dataclass(frozen=True)
class Text:
    """One text to send. `key`: the secret by which the provider tells of it, the only name of it in an address."""

    key: str = field(repr=False)
    to: Number
    words: str = field(repr=False)


class NotKnown(Unavailable):
    """We do not know whether it was sent."""

    code = "not-known"


class Kind(StrEnum):
    RINGING = "ringing"
    EARLY = "early"
    """Sound before anybody answered (a tone, an announcement): heard by the caller, who is not heard."""
    ANSWERED = "answered"
    ENDED = "ended"


class End(StrEnum):
    """How a call ended, as far as the way knows. `FAULT` is whatever is not certain."""

    HUNG_UP = "hung-up"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    FAULT = "fault"


@dataclass(frozen=True)
class News:
    """What happened to a call. `answer`: the SDP answer for the browser, once, with the first of EARLY or ANSWERED. `in_app`: of
    ANSWERED, that it was not a telephone which did."""

    call_id: str
    kind: Kind
    answer: str = field(default="", repr=False)
    end: End | None = None
    in_app: bool = False


Tell = Callable[[News], Awaitable[None]]


class Way(Protocol):
    """What carries calls."""

    @property
    def number(self) -> Number | None:
        """The one number that it shows; None where it shows any that it is told."""

    async def faults(self) -> tuple[str, ...]:
        """Why no call could be placed just now, in words for a technician; none while all is well. Answers within 2 s."""

    async def place(self, order: Order, tell: Tell) -> None:
        """Begin to call. News follows through `tell`, in order, and ends with exactly one ENDED, whatever happens.

        Between ANSWERED and `connect` neither side hears the other. Raises NoWay when nobody was or will be rung by it.
        """

    async def connect(self, call_id: str) -> None:
        """Let the two hear each other: the rule was asked once more, after somebody had answered. Unknown: nothing happens."""

    async def hang_up(self, call_id: str) -> None:
        """End the call, at any moment of it, also one that is still being placed. Unknown or ended: nothing happens."""

    async def press(self, call_id: str, digits: str) -> None:
        """Send digits (0-9*#) as telephone events (RFC 4733), one after another. Does not wait until they are sent."""

    async def hold(self, call_id: str, held: bool) -> None:
        """Neither side hears the other while held."""

    async def leave_message(self, call_id: str) -> None:
        """Play the school's neutral recording to the callee, then hang up. The caller is not heard from this moment on.

        Raises Unavailable where the school has recorded none; then nothing changes.
        """

    async def close(self) -> None:
        """End every call, and let go of everything."""


class Network(Way, Protocol):
    """A connection to the telephone network, where the school's number is: it may carry texts as well."""

    @property
    def by(self) -> frozenset[By]:
        """What a caller can speak by here."""

    @property
    def texts(self) -> bool:
        """Whether it carries texts."""

    async def text(self, text: Text) -> None:
        """Send a text from the school's number, once. Raises NoWay where it certainly was not, NotKnown where it may be."""

    def heard_text(self, path: str, body: bytes, signature: str) -> dict[str, str]:
        """What is said to us of texts, at this path of ours, if it is to be believed. Raises NotFound, NotAllowed."""


def offered(way: Network | None) -> frozenset[By]:
    """What callers are offered to speak by: all of it while nothing is connected."""
    return way.by if way is not None else frozenset(By)
