"""One source as one viewer receives it: continuous numbers over layer switches, holds and reconnections."""

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lessons.media import rtp
from lessons.media.frames import Frame
from lessons.media.layer import Layer
from lessons.media.path import TcpPath, UdpPath
from lessons.media.wire import Packet, Patch

if TYPE_CHECKING:
    from lessons.media.downlink import Downlink
    from lessons.media.source import Source


@dataclass(frozen=True)
class Segment:
    """A stretch on one layer: what is added to its numbers. `first` is the layer's number it began with."""

    layer: Layer
    first: int
    number: int = 0
    time: int = 0
    picture: int = 0
    tl0: int = 0

    @property
    def changes_nothing(self) -> bool:
        return not (self.number & 0xFFFF or self.time or self.picture or self.tl0)

    def patch(self, view: Any, at: int, packet: Packet) -> None:
        """Rewrite a copy of a packet in place: sequence number, timestamp, PictureID and TL0PICIDX (RFC 7741)."""
        view[at + 2:at + 8] = (((packet.sequence + self.number) & 0xFFFF) << 32
                               | (packet.timestamp + self.time) & 0xFFFFFFFF).to_bytes(6, "big")
        if packet.picture_at:
            offset, picture = at + packet.picture_at, packet.picture + self.picture
            if packet.wide:
                view[offset:offset + 2] = (0x8000 | picture & 0x7FFF).to_bytes(2, "big")
            else:
                view[offset:offset + 1] = bytes([picture & 0x7F])
        if packet.tl0_at:
            view[at + packet.tl0_at:at + packet.tl0_at + 1] = bytes([(packet.tl0 + self.tl0) & 0xFF])

    def patched(self, packet: Packet) -> bytes:
        content = bytearray(packet.content)
        self.patch(content, 0, packet)
        return bytes(content)


@dataclass
class _End:
    """Where the last segment left off, in the numbers that the viewer saw."""

    layer: Layer
    segment: Segment
    number: int
    timestamp: int
    picture: int
    tl0: int
    sent_at: float


class ViewerStream:
    """`routed`: the room lets this viewer have it. `want`: the layer to send, None for none. `segment`: what flows now."""

    def __init__(self, downlink: "Downlink", source: "Source", mid: str) -> None:
        self.downlink, self.source, self.mid = downlink, source, mid
        self.viewer = (downlink.peer,)
        self.routed = False
        self.want: Layer | None = None
        self.segment: Segment | None = None
        self.fraction_lost = 0
        self.bytes_sent = 0
        self._bytes_reported = 0
        self.packets_before = 0
        self.repeats = 0
        self.key_asked_at = float("-inf")
        # wire.Target, set when it may flow
        self.context: Any = None
        self._keys: object = None           # owns `context`, which is only a pointer
        self.name: Any = None
        self.name_length = 0
        self.address: tuple[Any, ...] = ()
        self.patch: Patch | None = None
        self._earlier: deque[tuple[Segment, int]] = deque(maxlen=3)       # and the number each ended before
        self._end: _End | None = None
        self._repeat_sequence = 1

    @property
    def tcp(self) -> bool:
        return isinstance(self.downlink.transport.path, TcpPath)

    @property
    def waits(self) -> bool:
        """Whether it could flow but has to wait for a key frame of the layer it wants."""
        return self.want is not None and self.context is not None and (
            self.segment is None or self.segment.layer is not self.want)

    def reach(self) -> None:
        """Take keys and address from the transport; called whenever they may have changed."""
        path, keys = self.downlink.transport.path, self.downlink.transport.keys
        self._keys, self.context = keys, keys.send if keys is not None else None
        if isinstance(path, UdpPath):
            self.name, self.name_length, self.address = path.name, path.name_length, path.address

    def join(self, layer: Layer, frame: Frame, first: int, now: float) -> None:
        """Go on with `layer` from this frame (a key frame), whose first number is `first`."""
        self.leave()
        end, number, part = self._end, 0, frame.parts[0].descriptor
        if end is None:
            # The viewer's SRTP starts with roll-over 0: never begin in the upper half of the numbers (RFC 3711 3.3.1).
            number = -0x8000 if first & 0x8000 else 0
            segment = Segment(layer, first, number)
        elif end.layer is layer:
            segment = Segment(layer, first, end.number - first, end.segment.time, end.segment.picture, end.segment.tl0)
        else:
            segment = Segment(layer, first, end.number - first, self._time(end, layer, frame.timestamp, now),
                              end.picture + 1 - part.picture if part else 0, end.tl0 + 1 - part.tl0 if part else 0)
        self.segment = segment
        self.patch = None if segment.changes_nothing else segment.patch

    def _time(self, end: _End, layer: Layer, timestamp: int, now: float) -> int:
        """Map the new layer's clock to the old one's: by both sender reports, else by the time that passed."""
        old, new, rate = end.layer.report, layer.report, self.source.rate
        out = passed = end.timestamp + round((now - end.sent_at) * rate)
        if old is not None and new is not None and end.layer.uplink is layer.uplink:
            moment = new.ntp + rtp.signed32(timestamp - new.rtp) / rate
            out = old.rtp + round((moment - old.ntp) * rate) + end.segment.time
        if abs(rtp.signed32(out - passed)) > 2 * rate:      # a sender may report nonsense
            out = passed
        if rtp.signed32(out - end.timestamp) <= 0:
            out = end.timestamp + 90
        return out - timestamp

    def leave(self, number: int | None = None) -> None:
        """Stop sending before the layer's `number` (by default, before what comes next)."""
        segment = self.segment
        if segment is None:
            return
        layer, stop = segment.layer, segment.layer.next_out if number is None else number
        self._end = _End(layer, segment, stop + segment.number, layer.last_timestamp + segment.time,
                         layer.last_picture + segment.picture, layer.last_tl0 + segment.tl0, layer.sent_at)
        self._earlier.append((segment, stop))
        self.packets_before += stop - segment.first
        self.segment, self.patch, self.fraction_lost = None, None, 0

    def forget(self) -> None:
        """Nothing sent so far may be sent again."""
        self._earlier.clear()

    def repeat(self, sequence: int) -> bytes | None:
        """The packet this viewer knows by `sequence`, ready to be sent again; None when it is gone."""
        spans = [(segment, stop) for segment, stop in self._earlier]
        if self.segment is not None:
            spans.append((self.segment, self.segment.layer.next_out))
        for segment, stop in reversed(spans):
            number = stop - 1 - ((stop - 1 + segment.number - sequence) & 0xFFFF)
            packet = segment.layer.sent(number) if segment.first <= number else None
            if packet is not None:
                self.repeats += 1
                return self._repeated(packet, segment.patched(packet))
        return None

    def _repeated(self, packet: Packet, content: bytes) -> bytes:
        if not self.source.is_video or not self.downlink.repairs_apart:
            return content                          # the same packet again (RFC 4585; SRTP allows the repeat)
        sent = rtp.abs_send_time(self.downlink.room.clock.boottime())
        self._repeat_sequence += 1
        source = self.source
        return rtp.repeat(content, packet.header, source.repair_payload, self._repeat_sequence, source.repair_ssrc, sent)

    def bytes_since_report(self) -> int:
        """What was sent since this was last asked."""
        since, self._bytes_reported = self.bytes_sent - self._bytes_reported, self.bytes_sent
        return since

    def sender_report(self, now: float) -> tuple[int, int, int, int, int] | None:
        """(ssrc, NTP, RTP time, packets, octets): the publisher's own clock, so that its tracks stay together."""
        segment = self.segment
        report = segment.layer.report if segment is not None else None
        if segment is None or report is None:
            return None
        passed = now - segment.layer.reported_at
        return (self.source.ssrc, report.ntp_bits + int(passed * (1 << 32)),
                report.rtp + int(passed * self.source.rate) + segment.time,
                self.packets_before + segment.layer.next_out - segment.first, self.bytes_sent)
