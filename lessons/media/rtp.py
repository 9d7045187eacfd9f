"""RTP headers (RFC 3550, RFC 8285) and retransmission (RFC 4588)."""

import struct
from typing import NamedTuple

_FIXED = struct.Struct("!BBHII")
_EXTENDED = struct.Struct("!BBHIIHHI")      # with one four-byte header extension: abs-send-time, id 3
_WORDS = struct.Struct("!HH")
ABS_SEND_TIME_ID = 3
AUDIO_HEADER, VIDEO_HEADER = _FIXED.size, _EXTENDED.size
_ONE_BYTE, _MOST_CSRC = 0xBEDE, 15


class Received(NamedTuple):
    """One received packet. `payload` has no padding; empty is a probe. `start` is where it began in the packet."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    start: int


def parse(packet: bytes) -> Received | None:
    """Read a packet; None when its lengths contradict each other."""
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(packet)
    start, end = 12 + 4 * (first & _MOST_CSRC), len(packet)
    if first & 0x10:
        if start + 4 > end:
            return None
        start += 4 + 4 * (packet[start + 2] << 8 | packet[start + 3])
    if first & 0x20:
        end -= packet[-1]
        if packet[-1] == 0:
            return None
    if start > end or first >> 6 != 2:
        return None
    return Received(second & 0x7F, second > 127, sequence, timestamp, ssrc, packet[start:end], start)


def extensions(packet: bytes) -> dict[int, bytes]:
    """Header extension elements by id, one-byte and two-byte form (RFC 8285 4.2, 4.3). Malformed ones end the list."""
    found: dict[int, bytes] = {}
    if not packet[0] & 0x10:
        return found
    at = 12 + 4 * (packet[0] & _MOST_CSRC)
    if at + 4 > len(packet):
        return found
    profile, words = _WORDS.unpack_from(packet, at)
    at, end = at + 4, min(at + 4 + 4 * words, len(packet))
    one_byte = profile == _ONE_BYTE
    if not one_byte and profile >> 4 != 0x100:
        return found
    while at < end:
        if packet[at] == 0:
            at += 1
            continue
        if one_byte:
            number, size, at = packet[at] >> 4, (packet[at] & 15) + 1, at + 1
            if number == 15:
                break
        else:
            if at + 1 >= end:
                break
            number, size, at = packet[at], packet[at + 1], at + 2
        if at + size > end:
            break
        found[number] = packet[at:at + size]
        at += size
    return found


def transport_sequence(packet: bytes, number: int) -> int | None:
    """The transport-wide sequence number. Every uplink packet carries one, so this takes the short way where it can."""
    value = extensions(packet).get(number)
    return value[0] << 8 | value[1] if value is not None and len(value) == 2 else None


def original(packet: Received) -> tuple[int, bytes] | None:
    """The sequence number and payload that a retransmission repeats; None for a padding probe (RFC 4588 4)."""
    if len(packet.payload) < 2:
        return None
    return packet.payload[0] << 8 | packet.payload[1], packet.payload[2:]


def audio(payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes) -> bytes:
    """A packet without extensions."""
    return _FIXED.pack(0x80, marker << 7 | payload_type, sequence, timestamp, ssrc) + payload


def video(payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, sent: int, payload: bytes) -> bytes:
    """A packet with abs-send-time, from which a viewer estimates its bandwidth. `sent` is from `abs_send_time`."""
    return _EXTENDED.pack(0x90, marker << 7 | payload_type, sequence, timestamp, ssrc, _ONE_BYTE, 1,
                          ABS_SEND_TIME_ID << 28 | 2 << 24 | sent) + payload


def abs_send_time(seconds: float) -> int:
    """24 bits of 6.18 fixed point seconds."""
    return int(seconds % 64 * (1 << 18)) & 0xFFFFFF


def repeat(content: bytes, header: int, payload_type: int, sequence: int, ssrc: int, sent: int | None) -> bytes:
    """The retransmission of `content` on its own SSRC: original sequence number first in the payload (RFC 4588 4)."""
    packet = bytearray(content[:header]) + content[2:4] + content[header:]
    packet[1] = packet[1] & 0x80 | payload_type
    struct.pack_into("!H", packet, 2, sequence & 0xFFFF)
    struct.pack_into("!I", packet, 8, ssrc)
    if sent is not None and header == VIDEO_HEADER:
        packet[17:20] = sent.to_bytes(3, "big")
    return bytes(packet)


class Extender:
    """16-bit sequence numbers to ever-growing ones, and back steps for late packets (RFC 3550 A.1)."""

    __slots__ = ("highest",)

    def __init__(self) -> None:
        self.highest: int | None = None

    def extend(self, sequence: int) -> int:
        """The full number nearest to the highest so far. Only `advance` moves the highest."""
        if self.highest is None:
            return sequence + (1 << 16)
        step = (sequence - self.highest) & 0xFFFF
        return self.highest + (step if step < 0x8000 else step - 0x10000)


def signed32(difference: int) -> int:
    """A difference of 32-bit timestamps as a signed number."""
    return (difference + (1 << 31)) % (1 << 32) - (1 << 31)
