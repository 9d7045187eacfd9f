"""One received RTP stream: an audio track, a picture, or one simulcast layer of a picture. Order, loss and repair."""

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lessons.media import rtp
from lessons.media.frames import Frame, OpusFrames, Piece, Vp8Frames
from lessons.media.rtcp import SenderReport
from lessons.media.wire import Packet

if TYPE_CHECKING:
    from lessons.media.source import Source

RING = 1024
_MOST_MISSING, _MOST_TRIES, _DROPOUT = 400, 10, 3000
_FIRST_NACK, _NEXT_NACK = 0.01, 0.06


@dataclass
class _Missing:
    since: float
    ask_at: float
    tries: int = 0


class Layer:
    """`rid` is "l", "h" or None. What is sent on is numbered anew from `next_out`, without the holes of the uplink."""

    def __init__(self, source: "Source", uplink: object, rid: str | None, first_out: int, *, repaired: bool) -> None:
        self.source = source
        self.uplink = uplink
        self.rid = rid
        self.ssrc: int | None = None
        self.frames = Vp8Frames() if source.is_video else OpusFrames(repaired)
        self.report: SenderReport | None = None
        self.reported_at = 0.0
        self.heard_at = float("-inf")
        self.next_out = first_out
        self.last_timestamp = self.last_picture = self.last_tl0 = 0
        self.sent_at = 0.0
        self.bits_per_second = 0.0
        self.ring: list[Packet | None] = [None] * RING
        self.repaired = repaired
        self._sequence = rtp.Extender()
        self._missing: dict[int, _Missing] = {}
        self._recent: deque[int] = deque(maxlen=2)
        self._received = self._first = self._expected_before = self._received_before = 0
        self._bytes = 0
        self._last_number: int | None = None
        self._idle = True

    # -- in

    def arrive(self, packet: rtp.Received, now: float) -> list[Frame]:
        """Take a media packet; the frames that are complete and in order now."""
        number = self._place(packet.sequence, now)
        if number is None:
            return []
        self._idle = False
        self._bytes += len(packet.payload)
        return self.frames.push(Piece(number, packet.timestamp, packet.marker, packet.payload), now)

    def arrive_again(self, packet: rtp.Received, now: float) -> list[Frame]:
        """Take a retransmission. Only what is missing: browsers send copies of old packets as bandwidth probes."""
        repeated = rtp.original(packet)
        if repeated is None or self._sequence.highest is None:
            return []
        number = self._sequence.extend(repeated[0])
        if self._missing.pop(number, None) is None:
            return []
        self._received += 1
        self._idle = False
        return self.frames.push(Piece(number, packet.timestamp, packet.marker, repeated[1]), now)

    def _place(self, sequence: int, now: float) -> int | None:
        """The packet's extended number; None for a duplicate and for one from nowhere (RFC 3550 A.1)."""
        number = self._sequence.extend(sequence)
        highest = self._sequence.highest
        if highest is None or abs(number - highest) > _DROPOUT:
            return self._restart(number, sequence, highest)
        self._recent.clear()
        if number > highest:
            for lost in range(max(highest + 1, number - _MOST_MISSING), number):
                self._missing[lost] = _Missing(now, now + _FIRST_NACK)
            self._sequence.highest = number
            self._bound_missing()
        elif self._missing.pop(number, None) is None:
            return None
        self._received += 1
        return number

    def _restart(self, number: int, sequence: int, highest: int | None) -> int | None:
        """Begin, or begin again after two packets in a row from elsewhere."""
        self._recent.append(sequence)
        if highest is not None and (len(self._recent) < 2 or (self._recent[1] - self._recent[0]) & 0xFFFF != 1):
            return None
        if highest is not None and number < highest:
            number += 1 << 16
        self._sequence.highest = number
        self._first = number if highest is None else self._first + number - highest - 1
        self._received += 1
        self._missing.clear()
        self.frames.reset()
        return number

    def _bound_missing(self) -> None:
        while len(self._missing) > _MOST_MISSING:
            del self._missing[next(iter(self._missing))]

    # -- repair

    def due(self, now: float) -> list[Frame]:
        """Frames that need not wait any longer for an earlier one."""
        return self.frames.due(now)

    def to_ask(self, now: float) -> list[int]:
        """Sequence numbers to ask for now (RFC 4585 6.2.1): soon, then ever later, while they are still of use."""
        asked: list[int] = []
        for number in [n for n, m in self._missing.items() if m.tries >= _MOST_TRIES or now - m.since > 1.5
                       or not self.frames.needs(n)]:
            del self._missing[number]
        for number, missing in self._missing.items():
            if now >= missing.ask_at and len(asked) < 100:
                missing.tries += 1
                missing.ask_at = now + _NEXT_NACK * missing.tries
                asked.append(number & 0xFFFF)
        return asked if self.repaired else []

    @property
    def misses(self) -> bool:
        return self.repaired and bool(self._missing)

    # -- reports

    def sent_report(self, report: SenderReport, now: float) -> None:
        self.report, self.reported_at = report, now

    def loss(self) -> tuple[int, int, int]:
        """(fraction lost of 256 since the last call, packets lost in all, highest extended number): RFC 3550 A.3."""
        highest = self._sequence.highest
        if highest is None:
            return 0, 0, 0
        expected = highest - self._first + 1
        new, got = expected - self._expected_before, self._received - self._received_before
        self._expected_before, self._received_before = expected, self._received
        fraction = 0 if new <= 0 else max(0, min(255, 256 * (new - got) // new))
        return fraction, expected - self._received, highest

    def measure(self, seconds: float) -> None:
        """Update the bit rate; called once a second."""
        self.bits_per_second = 8 * self._bytes / seconds
        self._bytes = 0

    # -- out

    def number(self, frame: Frame) -> int:
        """Take outgoing sequence numbers for a frame; the first. Sound keeps the holes, so that FEC sees them."""
        if not self.source.is_video:
            first = frame.parts[0].piece.number
            if self._last_number is not None and 1 < first - self._last_number <= 50:
                self.next_out += first - self._last_number - 1
            self._last_number = first
        number = self.next_out
        self.next_out += len(frame.parts)
        return number

    def keep(self, packets: list[Packet]) -> None:
        """Remember what was sent, to send it again."""
        for packet in packets:
            self.ring[packet.sequence % RING] = packet

    def sent(self, number: int) -> Packet | None:
        packet = self.ring[number % RING]
        return packet if packet is not None and packet.sequence == number else None

    def forget(self) -> None:
        """Nothing received or sent before now is of use: the next picture is a key frame, nothing old is sent again."""
        if self._idle:
            return
        self._idle = True
        self._missing.clear()
        self._last_number = None
        self.frames.reset()
        self.ring = [None] * RING

    def observe(self, packet: rtp.Received) -> None:
        """Count a packet that is dropped on purpose, so that it is not reported as lost."""
        number = self._sequence.extend(packet.sequence)
        highest = self._sequence.highest
        if highest is None or abs(number - highest) > _DROPOUT:
            self._restart(number, packet.sequence, highest)
        else:
            self._sequence.highest = max(highest, number)
            self._received += 1
