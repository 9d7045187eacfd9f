"""From received packets to whole frames in order: what the record takes and what viewers are sent.

A frame leaves here only when every packet of it is there and every frame before it was given or given up. After a loss
that repair did not mend, video goes on with the next key frame. Pure: `now` is an argument, nothing is sent from here.
"""

from dataclasses import dataclass
from typing import NamedTuple

from lessons.media import vp8

MOST_WAITING, MOST_PACKETS = 1024, 1024
_MOST_BEFORE_KEY = 64
VIDEO_REPAIR_SECONDS, KEY_FRAME_AFTER_SECONDS = 1.0, 0.2
AUDIO_REPAIR_SECONDS, AUDIO_REORDER_SECONDS = 0.08, 0.03


class Piece(NamedTuple):
    """One received packet. `number` is its extended sequence number; an empty payload only fills its place."""

    number: int
    timestamp: int
    marker: bool
    payload: bytes


class Part(NamedTuple):
    """A packet of a frame, with its VP8 descriptor."""

    piece: Piece
    descriptor: vp8.Descriptor | None


@dataclass(frozen=True)
class Frame:
    """One complete encoded frame. `content` has no RTP or VP8 descriptor; `parts` are the packets it came in."""

    timestamp: int
    key: bool
    content: bytes
    parts: tuple[Part, ...]


class _Order:
    """Packets waiting for their turn. `expected` is the next number, None before the start."""

    def __init__(self) -> None:
        self.expected: int | None = None
        self.waiting: dict[int, Piece] = {}
        self.gap_since: float | None = None

    def put(self, piece: Piece, now: float) -> None:
        if self.expected is not None and piece.number < self.expected:
            return
        self.waiting[piece.number] = piece
        if len(self.waiting) > (MOST_WAITING if self.expected is not None else _MOST_BEFORE_KEY):
            del self.waiting[min(self.waiting)]
        if self.gap_since is None:
            self.gap_since = now

    def take(self, now: float) -> Piece | None:
        """The next packet in order, or None while it is missing."""
        piece = self.waiting.pop(self.expected, None) if self.expected is not None else None
        if piece is not None and self.expected is not None:
            self.expected += 1
            self.gap_since = now if self.waiting else None
        return piece

    def reset(self) -> None:
        self.expected, self.gap_since = None, None
        self.waiting.clear()

    def waited(self, now: float) -> float:
        return now - self.gap_since if self.gap_since is not None and self.waiting else 0.0


class OpusFrames:
    """Opus: one packet is one frame (RFC 7587 4.2). A gap holds the later packets back only as long as a repair takes."""

    def __init__(self, repaired: bool) -> None:
        self._order = _Order()
        self._patience = AUDIO_REPAIR_SECONDS if repaired else AUDIO_REORDER_SECONDS

    wants_key = False

    def push(self, piece: Piece, now: float) -> list[Frame]:
        if self._order.expected is None:
            self._order.expected = piece.number
        self._order.put(piece, now)
        return self.due(now)

    def due(self, now: float) -> list[Frame]:
        """The frames whose turn has come at `now`."""
        order, frames = self._order, []
        while order.waiting:
            piece = order.take(now)
            if piece is None:
                if order.waited(now) < self._patience and len(order.waiting) < 50:
                    break
                order.expected = min(order.waiting)
            elif piece.payload:
                frames.append(Frame(piece.timestamp, True, piece.payload, (Part(piece, None),)))
        return frames

    def reset(self) -> None:
        self._order.reset()

    def needs(self, number: int) -> bool:
        """Whether a packet not yet received would still be used."""
        return self._order.expected is None or number >= self._order.expected


class Vp8Frames:
    """VP8 (RFC 7741 4.4): begins with a key frame, and begins again with one after every loss that stays."""

    def __init__(self) -> None:
        self._order = _Order()
        self._parts: list[Part] = []

    @property
    def wants_key(self) -> bool:
        """Whether nothing will come before the next key frame."""
        return self._order.expected is None

    def push(self, piece: Piece, now: float) -> list[Frame]:
        if self._order.expected is None and _starts_key(piece):
            self._begin(piece.number, now)
        self._order.put(piece, now)
        return self.due(now)

    def due(self, now: float) -> list[Frame]:
        """The frames whose turn has come at `now`; gives up on a gap that is too old."""
        order, frames = self._order, list[Frame]()
        while order.expected is not None and order.waiting:
            piece = order.take(now)
            if piece is not None:
                self._add(piece, frames)
            elif not self._gave_up(now):
                break
        return frames

    def reset(self) -> None:
        """Forget everything; the next frame out is a key frame."""
        self._order.reset()
        self._parts.clear()

    def needs(self, number: int) -> bool:
        """Whether a packet not yet received would still be used."""
        return self._order.expected is not None and number >= self._order.expected

    def _begin(self, number: int, now: float) -> None:
        order = self._order
        order.expected = number
        order.waiting = {n: piece for n, piece in order.waiting.items() if n >= number}
        order.gap_since = now if order.waiting else None
        self._parts.clear()

    def _gave_up(self, now: float) -> bool:
        """On a gap: go on at a key frame that waits behind it, or after long enough at any later one."""
        waited = self._order.waited(now)
        if waited < KEY_FRAME_AFTER_SECONDS:
            return False
        key = min((n for n, piece in self._order.waiting.items() if _starts_key(piece)), default=None)
        if key is not None:
            self._begin(key, now)
            return True
        if waited >= VIDEO_REPAIR_SECONDS or len(self._order.waiting) >= MOST_WAITING - 1:
            self.reset()
        return False

    def _add(self, piece: Piece, frames: list[Frame]) -> None:
        if not piece.payload:
            return
        descriptor = vp8.parse(piece.payload)
        if descriptor is None:
            self.reset()
            return
        if descriptor.start and self._parts:            # the marker bit is advice (RFC 3550 5.1)
            frames.append(self._frame())
        if not descriptor.start and not self._continues(piece):
            self.reset()
            return
        self._parts.append(Part(piece, descriptor))
        if piece.marker:
            frames.append(self._frame())

    def _continues(self, piece: Piece) -> bool:
        return bool(self._parts) and self._parts[0].piece.timestamp == piece.timestamp and len(self._parts) < MOST_PACKETS

    def _frame(self) -> Frame:
        parts = tuple(self._parts)
        self._parts.clear()
        content = b"".join(part.piece.payload[part.descriptor.size:] for part in parts if part.descriptor)
        first = parts[0].descriptor
        return Frame(parts[0].piece.timestamp, bool(first and first.key), content, parts)


def _starts_key(piece: Piece) -> bool:
    if not piece.payload or not piece.payload[0] & 0x10 or piece.payload[0] & 7:
        return False
    descriptor = vp8.parse(piece.payload)
    return descriptor is not None and descriptor.key
