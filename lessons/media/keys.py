"""Which source of which participant: the words that rooms, routes and recordings share."""

from dataclasses import dataclass
from typing import Literal, Protocol

SourceKind = Literal["microphone", "camera", "screen"]
Codec = Literal["opus", "vp8"]
KINDS: tuple[SourceKind, ...] = ("microphone", "camera", "screen")
"""In the order of the uplink's m-lines (docs/room-protocol.md)."""


@dataclass(frozen=True)
class SourceKey:
    """`peer` is the opaque id of one admitted connection."""

    peer: str
    kind: SourceKind


@dataclass(frozen=True)
class Stream:
    """One source in an offer to a viewer, by the `mid` of its m-line."""

    mid: str
    peer: str
    kind: SourceKind


@dataclass(frozen=True)
class Offer:
    """What a viewer may receive now; replaces every earlier version."""

    version: int
    sdp: str
    streams: tuple[Stream, ...]


class Watch(Protocol):
    """Told of every delivery at the moment before it is made: one frame, one packet again, or one that waited for TCP."""

    def __call__(self, key: SourceKey, to: frozenset[str], viewers: tuple[str, ...], size: int, at: float, /) -> None:
        """`to`: the source's whole route; `viewers`: who gets `size` bytes of it now, at boottime `at`."""
        ...


def unwatched(key: SourceKey, to: frozenset[str], viewers: tuple[str, ...], size: int, at: float, /) -> None:
    """Nobody watches."""


class FrameSink(Protocol):
    """The record of one layer of one source. Given by `recordings.capture`."""

    def write(self, frame: bytes, at_ms: int, key: bool) -> bool:
        """Take one complete encoded frame at this time of the lesson. False: not taken, it must not be forwarded."""
        ...

    def pause(self) -> None:
        """What comes next is not taken; a picture begins again with a key frame."""
        ...


class Sinks(Protocol):
    """Where the plane asks for a record: None while there is none, and then nothing of that layer is forwarded."""

    def __call__(self, key: SourceKey, codec: Codec, layer: str | None, /) -> FrameSink | None:
        """`layer` is the rid, "l" or "h" (RFC 8853), None for a source that is sent once."""
        ...
