"""RTCP (RFC 3550, RFC 4585, RFC 5104) and receiver estimated maximum bitrate: what arrives, and what is sent."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
_NACK, _TRANSPORT_CC, _PLI, _FIR, _AFB = 1, 15, 1, 4, 15
_HEADER = struct.Struct("!BBH")
_REPORT = struct.Struct("!IB3sIIII")
OUR_SSRC = 1
"""The sender of everything this side reports; no media has it."""


class SenderReport(NamedTuple):
    """`ntp` in seconds on the sender's clock, `ntp_bits` as it was on the wire."""

    ssrc: int
    ntp: float
    ntp_bits: int
    rtp: int


class ReportBlock(NamedTuple):
    """How one of our streams arrives. `fraction_lost` of 256; `last_report` and `delay` in 1/65536 s (RFC 3550 6.4.1)."""

    ssrc: int
    fraction_lost: int
    last_report: int
    delay: int


class Nack(NamedTuple):
    """Packets a receiver misses (RFC 4585 6.2.1)."""

    ssrc: int
    sequences: tuple[int, ...]


class KeyFrameRequest(NamedTuple):
    """Picture loss indication or full intra request."""

    ssrc: int


class Bandwidth(NamedTuple):
    """REMB: the most the receiver believes it can take, bit/s."""

    bits_per_second: int


Arrived = SenderReport | ReportBlock | Nack | KeyFrameRequest | Bandwidth


def parse(packet: bytes) -> list[Arrived]:
    """What a compound packet says that concerns us. Malformed parts end the list; nothing raises."""
    found: list[Arrived] = []
    at = 0
    while at + 8 <= len(packet):
        first, kind, words = _HEADER.unpack_from(packet, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2 or end > len(packet):
            break
        body = packet[at + 4:end]
        if first & 0x20 and body and body[-1] <= len(body):
            body = body[:len(body) - body[-1]]
        found += _read(first & 31, kind, body)
        at = end
    return found


def _read(count: int, kind: int, body: bytes) -> Iterator[Arrived]:
    if kind == SR and len(body) >= 24:
        ssrc, ntp, rtp = struct.unpack_from("!IQI", body)
        yield SenderReport(ssrc, ntp / (1 << 32), ntp, rtp)
        yield from _blocks(count, body, 24)
    elif kind == RR:
        yield from _blocks(count, body, 4)
    elif kind == RTPFB and count == _NACK and len(body) >= 12:
        yield Nack(struct.unpack_from("!I", body, 4)[0], tuple(_lost(body)))
    elif kind == PSFB and len(body) >= 8:
        yield from _payload_feedback(count, body)


def _blocks(count: int, body: bytes, at: int) -> Iterator[ReportBlock]:
    for start in range(at, min(at + 24 * count, len(body) - 23), 24):
        ssrc, fraction, _lost, _highest, _jitter, last, delay = _REPORT.unpack_from(body, start)
        yield ReportBlock(ssrc, fraction, last, delay)


def _lost(body: bytes) -> Iterator[int]:
    for at in range(8, len(body) - 3, 4):
        first, bits = struct.unpack_from("!HH", body, at)
        yield first
        yield from ((first + 1 + i) & 0xFFFF for i in range(16) if bits >> i & 1)


def _payload_feedback(count: int, body: bytes) -> Iterator[Arrived]:
    if count == _PLI:
        yield KeyFrameRequest(struct.unpack_from("!I", body, 4)[0])
    elif count == _FIR:
        yield from (KeyFrameRequest(struct.unpack_from("!I", body, at)[0]) for at in range(8, len(body) - 7, 8))
    elif count == _AFB and body[8:12] == b"REMB" and len(body) >= 16:
        exponent, mantissa = body[13] >> 2, (body[13] & 3) << 16 | body[14] << 8 | body[15]
        yield Bandwidth(min(mantissa << exponent, 1 << 40))


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def receiver_report(blocks: Sequence[tuple[int, int, int, int, int, int]]) -> bytes:
    """Blocks of (ssrc, fraction lost of 256, lost, highest extended sequence, last SR, delay since it), 31 at most."""
    packed = b"".join(
        _REPORT.pack(ssrc, fraction, min(max(lost, 0), 0x7FFFFF).to_bytes(3, "big"), highest & 0xFFFFFFFF, 0, last, delay)
        for ssrc, fraction, lost, highest, last, delay in blocks)
    return _packet(len(blocks), RR, struct.pack("!I", OUR_SSRC) + packed)


def sender_report(ssrc: int, ntp_bits: int, rtp: int, packets: int, octets: int) -> bytes:
    return _packet(0, SR, struct.pack("!IQIII", ssrc, ntp_bits & (1 << 64) - 1, rtp & 0xFFFFFFFF,
                                      packets & 0xFFFFFFFF, octets & 0xFFFFFFFF))


def nack(ssrc: int, sequences: Iterable[int]) -> bytes:
    """Ask for packets again. `sequences` in order of sending."""
    entries: list[list[int]] = []
    for sequence in sequences:
        step = (sequence - entries[-1][0]) & 0xFFFF if entries else 0
        if entries and 1 <= step <= 16:
            entries[-1][1] |= 1 << (step - 1)
        else:
            entries.append([sequence & 0xFFFF, 0])
    return _packet(_NACK, RTPFB, struct.pack("!II", OUR_SSRC, ssrc) + b"".join(struct.pack("!HH", *e) for e in entries))


def picture_loss(ssrc: int) -> bytes:
    """Ask for a key frame (RFC 4585 6.3.1)."""
    return _packet(_PLI, PSFB, struct.pack("!II", OUR_SSRC, ssrc))


def bandwidth(bits_per_second: int, ssrcs: Sequence[int]) -> bytes:
    """REMB, for a sender that knows no transport-wide feedback."""
    exponent = max(0, bits_per_second.bit_length() - 18)
    mantissa = bits_per_second >> exponent
    fields = struct.pack("!4sBBH", b"REMB", len(ssrcs), exponent << 2 | mantissa >> 16, mantissa & 0xFFFF)
    return _packet(_AFB, PSFB, struct.pack("!II", OUR_SSRC, 0) + fields + b"".join(struct.pack("!I", s) for s in ssrcs))


def transport_feedback(ssrc: int, message: bytes) -> bytes:
    """Wrap a transport-wide feedback message, padded to whole words."""
    padding = -len(message) % 4
    body = struct.pack("!II", OUR_SSRC, ssrc) + message + (bytes(padding - 1) + bytes([padding]) if padding else b"")
    return _HEADER.pack(0x80 | (0x20 if padding else 0) | _TRANSPORT_CC, RTPFB, len(body) // 4) + body
