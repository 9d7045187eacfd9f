"""The VP8 RTP payload descriptor (RFC 7741 4.2)."""

from typing import NamedTuple


class Descriptor(NamedTuple):
    """`size` bytes before the VP8 data. `picture_at` and `tl0_at` are offsets in the payload, 0 when absent;
    `start` is the first packet of a frame, `key` the first packet of a key frame."""

    size: int
    picture: int
    picture_at: int
    wide: bool
    tl0: int
    tl0_at: int
    start: bool
    key: bool


def parse(payload: bytes) -> Descriptor | None:
    """Read the descriptor; None when the payload ends inside it or has no VP8 data."""
    try:
        return _parse(payload)
    except IndexError:
        return None


def _parse(payload: bytes) -> Descriptor | None:
    first, size = payload[0], 1
    picture = picture_at = tl0 = tl0_at = 0
    wide = False
    if first & 0x80:
        extension = payload[1]
        size = 2
        if extension & 0x80:
            picture_at, wide = size, payload[size] > 127
            picture = (payload[size] & 127) << 8 | payload[size + 1] if wide else payload[size]
            size += 2 if wide else 1
        if extension & 0x40:
            tl0_at, tl0 = size, payload[size]
            size += 1
        if extension & 0x30:
            size += 1
    start = bool(first & 0x10) and not first & 0x07
    return Descriptor(size, picture, picture_at, wide, tl0, tl0_at, start, start and not payload[size] & 1)
