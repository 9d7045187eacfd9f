"""WebM as browsers play it by Media Source: one track to a stream, blocks in order of time, nothing decoded.

Pure. Matroska (RFC 9559) elements by hand, because a muxer would own the flushing that crash safety needs.
Times are whole milliseconds on the lesson's clock.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

Codec = Literal["opus", "vp8"]

CLUSTER_MS = 1000
FILLER_MS = 20
# Discontinuous transmission sends nothing for up to 400 ms and a muted microphone for 1.5 s; longer is a real gap.
LONGEST_HOLE_MS = 2000
# A still screen sends nothing between the key frames that capture asks for every 5 or 10 seconds.
LONGEST_STILL_MS = 12000


class Block(NamedTuple):
    """One coded frame: an Opus packet or a whole VP8 frame."""

    at_ms: int
    frame: bytes
    key: bool


def size(n: int) -> bytes:
    """An EBML size in the fewest bytes (RFC 8794 section 4); all ones is reserved for unknown."""
    for width in range(1, 9):
        if n < (1 << 7 * width) - 1:
            return (n | 1 << 7 * width).to_bytes(width, "big")
    raise ValueError("too large for EBML")


def element(name: bytes, body: bytes) -> bytes:
    return name + size(len(body)) + body


def _number(name: bytes, n: int) -> bytes:
    return element(name, n.to_bytes(max(1, (n.bit_length() + 7) // 8), "big"))


def init_segment(codec: Codec, width: int = 640, height: int = 360) -> bytes:
    """What a SourceBuffer needs before any cluster. `width` and `height` are hints; VP8 carries its own."""
    ebml = element(
        b"\x1a\x45\xdf\xa3",
        _number(b"\x42\x86", 1) + _number(b"\x42\xf7", 1) + _number(b"\x42\xf2", 4) + _number(b"\x42\xf3", 8)
        + element(b"\x42\x82", b"webm") + _number(b"\x42\x87", 4) + _number(b"\x42\x85", 2),
    )
    name = b"Chaperone"
    info = element(
        b"\x15\x49\xa9\x66",
        _number(b"\x2a\xd7\xb1", 1_000_000) + element(b"\x4d\x80", name) + element(b"\x57\x41", name),
    )
    track = _number(b"\xd7", 1) + _number(b"\x73\xc5", 1) + _number(b"\x9c", 0)
    if codec == "vp8":
        picture = _number(b"\xb0", width) + _number(b"\xba", height)
        track += _number(b"\x83", 1) + element(b"\x86", b"V_VP8") + element(b"\xe0", picture)
    else:
        head = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 312, 48000, 0, 0)
        sound = element(b"\xb5", struct.pack("!d", 48000.0)) + _number(b"\x9f", 2)
        track += _number(b"\x83", 2) + element(b"\x86", b"A_OPUS") + element(b"\x63\xa2", head)
        track += _number(b"\x56\xaa", 6_500_000) + _number(b"\x56\xbb", 80_000_000) + element(b"\xe1", sound)
    tracks = element(b"\x16\x54\xae\x6b", element(b"\xae", track))
    unknown = b"\x01\xff\xff\xff\xff\xff\xff\xff"
    return ebml + b"\x18\x53\x80\x67" + unknown + info + tracks


def cluster(blocks: Sequence[Block]) -> bytes:
    """One cluster of SimpleBlocks of track 1, its time that of the first block. Blocks must be in order of time."""
    start = blocks[0].at_ms
    parts = [_number(b"\xe7", start)]
    for at_ms, frame, key in blocks:
        parts.append(b"\xa3" + size(len(frame) + 4) + struct.pack("!BhB", 0x81, at_ms - start, 0x80 if key else 0))
        parts.append(frame)
    return element(b"\x1f\x43\xb6\x75", b"".join(parts))


def clusters(blocks: Iterable[Block], codec: Codec) -> Iterator[list[Block]]:
    """Cut ordered blocks into clusters: at most a second each, every key frame of a picture first in its own."""
    current: list[Block] = []
    for block in blocks:
        if current and (block.at_ms - current[0].at_ms >= CLUSTER_MS or (codec == "vp8" and block.key)):
            yield current
            current = []
        current.append(block)
    if current:
        yield current


def is_gap(codec: Codec, earlier: Block, later: Block) -> bool:
    """Whether nothing was there in between, rather than silence or a still picture."""
    longest = LONGEST_HOLE_MS if codec == "opus" else LONGEST_STILL_MS
    return later.at_ms - earlier.at_ms >= longest


def without_holes(blocks: Iterable[Block], last: Block | None) -> Iterator[Block]:
    """Fill what discontinuous transmission left out with empty Opus frames.

    Without them a browser's buffer falls into islands and stops at the first hole. `last` is the block before these,
    None after a gap. A real gap stays one.
    """
    for block in blocks:
        if last is not None and not is_gap("opus", last, block):
            at_ms = last.at_ms + opus_ms(last.frame)
            while block.at_ms - at_ms >= FILLER_MS - 5:
                yield Block(at_ms, opus_filler(last.frame), True)
                at_ms += FILLER_MS
        yield block
        last = block


def opus_ms(packet: bytes) -> int:
    """The length of an Opus packet, from its first byte (RFC 6716 section 3.1), rounded up to a millisecond."""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        tenths = (100, 200, 400, 600)[config & 3]
    elif config < 16:
        tenths = (100, 200)[config & 1]
    else:
        tenths = (25, 50, 100, 200)[config & 3]
    frames = 1 if code == 0 else 2 if code < 3 else packet[1] & 0x3F if len(packet) > 1 else 1
    return -(-tenths * max(1, frames) // 10)


def opus_filler(packet: bytes) -> bytes:
    """20 ms of nothing in the mode, bandwidth and channels of `packet`: a first byte and no frame, as DTX defines it."""
    config = packet[0] >> 3
    if config < 12:
        config = config & ~3 | 1
    elif config < 16:
        config |= 1
    else:
        config |= 3
    return bytes((config << 3 | packet[0] & 4,))


def vp8_is_key(frame: bytes) -> bool:
    """RFC 6386 section 9.1: a key frame stands alone and carries its size."""
    return len(frame) >= 10 and not frame[0] & 1 and frame[3:6] == b"\x9d\x01\x2a"


def vp8_size(frame: bytes) -> tuple[int, int]:
    """Width and height from a VP8 key frame."""
    width, height = struct.unpack_from("<HH", frame, 6)
    return width & 0x3FFF, height & 0x3FFF


def blocks(data: bytes) -> Iterator[Block]:
    """The blocks of one cluster, as `cluster` wrote them."""
    _, offset, end = _element_at(data, 0)
    start = 0
    while offset < end:
        name, inside, after = _element_at(data, offset)
        if name == b"\xe7":
            start = int.from_bytes(data[inside:after], "big")
        elif name == b"\xa3":
            at_ms = start + struct.unpack_from("!h", data, inside + 1)[0]
            yield Block(at_ms, data[inside + 4 : after], bool(data[inside + 3] & 0x80))
        offset = after


def lasting(data: bytes, until_ms: int) -> bytes:
    """The same cluster, its last picture said to last until `until_ms`.

    A browser drops every picture after a hole up to the next key frame; a picture that stood still is no hole.
    """
    _, body, _ = _element_at(data, 0)
    offset, end = body, len(data)
    start, last = 0, (0, 0, 0)
    while offset < end:
        name, inside, after = _element_at(data, offset)
        if name == b"\xe7":
            start = int.from_bytes(data[inside:after], "big")
        elif name == b"\xa3":
            last = (offset, inside, after)
        offset = after
    block, inside, after = last
    relative = struct.unpack_from("!h", data, inside + 1)[0]
    is_key = data[inside + 3] & 0x80
    group = element(b"\xa1", data[inside : inside + 3] + bytes((data[inside + 3] & 0x7F,)) + data[inside + 4 : after])
    group += _number(b"\x9b", max(1, until_ms - start - relative))
    if not is_key:
        group += element(b"\xfb", b"\xff")  # it needs an earlier picture
    return element(b"\x1f\x43\xb6\x75", data[body:block] + element(b"\xa0", group) + data[after:end])


def _element_at(data: bytes, offset: int) -> tuple[bytes, int, int]:
    """(name, where its body begins, where it ends) of the element at `offset`; sizes as `size` writes them."""
    name_bytes = 4 if data[offset] == 0x1F else 1
    width = 9 - data[offset + name_bytes].bit_length()
    first = offset + name_bytes
    length = int.from_bytes(data[first : first + width], "big") & ((1 << 7 * width) - 1)
    return data[offset : offset + name_bytes], first + width, first + width + length
