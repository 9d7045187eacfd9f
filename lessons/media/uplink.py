"""What one participant sends: packets to layers, repair, and the feedback that the sender steers by."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lessons.media import rtcp, rtp
from lessons.media.keys import KINDS, SourceKind
from lessons.media.layer import Layer
from lessons.media.sdp import MID, REPAIRED_RID, RID, TRANSPORT_CC, BadOffer, Description, Section
from lessons.media.source import Source
from lessons.media.timeline import SenderClock
from lessons.media.transport import Transport
from lessons.media.twcc import Arrivals

if TYPE_CHECKING:
    from lessons.media.plane import MediaRoom

AUDIO_LOSS_FLOOR = 26           # of 256: libopus writes forward error correction only when it is told of loss
STALE_SECONDS = 1.0             # a packet the kernel had this long belongs to a time we did not watch
BANDWIDTH_CAP = 1_500_000
_RIDS = ("l", "h")


@dataclass(frozen=True)
class Part:
    """One m-line of an accepted uplink offer."""

    kind: SourceKind
    section: Section
    payload: int
    repair: int | None
    rids: tuple[str, ...]

    @property
    def nack(self) -> bool:
        return (self.payload, "nack") in self.section.feedback

    @property
    def transport_cc(self) -> int | None:
        return self.section.extensions.get(TRANSPORT_CC) if (self.payload, "transport-cc") in self.section.feedback else None


def accept(description: Description) -> list[Part]:
    """The parts of an uplink offer: one audio, then a camera, then a screen. Raises BadOffer for anything else."""
    kinds = [section.kind for section in description.sections]
    if kinds != ["audio", "video", "video"][:len(kinds)]:
        raise BadOffer
    return [_part(kind, section) for kind, section in zip(KINDS, description.sections, strict=False)]


def _part(kind: SourceKind, section: Section) -> Part:
    payload = section.payload("opus/48000/2" if kind == "microphone" else "vp8/90000")
    rids = tuple(section.rids)
    if section.rejected or "SAVPF" not in section.protocol or payload is None:
        raise BadOffer
    if rids and (kind != "camera" or not set(rids) <= set(_RIDS) or len(set(rids)) != len(rids)):
        raise BadOffer
    repair = section.repair(payload) if kind != "microphone" else None
    return Part(kind, section, payload, repair, rids)


class Uplink:
    """One connection that a participant sends on. `last_audio`: receipt of the last authenticated sound packet."""

    def __init__(self, room: "MediaRoom", peer: str, description: Description, parts: Sequence[Part]) -> None:
        self.room, self.peer, self.session = room, peer, description.session
        self.parts = list(parts)
        self.remote_ufrag = ""
        self.session_id, self.version = secrets.randbits(60), 0
        self.last_audio = float("-inf")
        self.transport = Transport(room.port, room.certificate, room.clock, on_rtp=self._rtp, on_rtcp=self._rtcp,
                                   on_change=lambda: None)
        self.clock = SenderClock()
        self.sources: list[Source] = []
        self._by_ssrc: dict[int, tuple[Layer, int, bool]] = {}      # layer, payload type, whether it repeats another
        self._by_mid: dict[bytes, tuple[Part, dict[str | None, Layer]]] = {}
        self._by_payload: dict[int, tuple[Part, dict[str | None, Layer]]] = {}
        self._extensions = {uri: number for part in parts for uri, number in part.section.extensions.items()}
        self._transport_cc = next((part.transport_cc for part in parts if part.transport_cc is not None), None)
        self._arrivals = Arrivals()
        self._nacks: asyncio.TimerHandle | None = None
        for part in parts:
            self._add(part)

    def renegotiated(self, parts: Sequence[Part]) -> bool:
        """Take a later offer of the same connection; False when its m-lines are others."""
        if [(p.section.mid, p.payload, p.rids) for p in parts] != [(p.section.mid, p.payload, p.rids) for p in self.parts]:
            return False
        self.parts = list(parts)
        return True

    def _add(self, part: Part) -> None:
        source = self.room.source(self.peer, part.kind)
        first = self.room.first_number()
        layers: dict[str | None, Layer] = {
            rid: Layer(source, self, rid, first, repaired=part.nack) for rid in (part.rids or (None,))}
        self._by_mid[part.section.mid.encode()] = part, layers
        self.sources.append(source)
        source.begin(layers, self._ask_key)
        for payload in (part.payload, part.repair):
            if payload is not None:
                self._by_payload.setdefault(payload, (part, layers))
        if not part.rids and part.section.ssrcs:
            self._declare(part, layers[None])

    def _declare(self, part: Part, layer: Layer) -> None:
        """Without rids the offer names the sources (RFC 5576)."""
        layer.ssrc = next(iter(part.section.pairs), part.section.ssrcs[0])
        self._by_ssrc[layer.ssrc] = layer, part.payload, False
        repair = part.section.pairs.get(layer.ssrc)
        if repair is not None and part.repair is not None:
            self._by_ssrc[repair] = layer, part.repair, True

    # -- in

    def _rtp(self, content: bytes, received: float) -> None:
        packet = rtp.parse(content)
        if packet is None:
            return
        if self._transport_cc is not None:
            sequence = rtp.transport_sequence(content, self._transport_cc)
            if sequence is not None:
                self._arrivals.add(sequence, received)
        known = self._by_ssrc.get(packet.ssrc) or self._learn(content, packet)
        if known is None or known[1] != packet.payload_type:
            return
        layer, _payload, repeated = known
        source = layer.source
        if not source.is_video:
            self.last_audio = max(self.last_audio, received)
        if packet.payload and not repeated:
            source.heard(layer, received)
        now = self.room.clock.boottime()
        if not source.permits(now) or now - received > STALE_SECONDS:
            source.shut()
            if not repeated:
                layer.observe(packet)
            return
        source.touched = True
        frames = layer.arrive_again(packet, now) if repeated else layer.arrive(packet, now)
        if frames:
            source.deliver(layer, frames, received)
        if layer.misses:
            self._nack_soon()
        if layer.frames.wants_key:
            source.request_key(now)

    def _learn(self, content: bytes, packet: rtp.Received) -> tuple[Layer, int, bool] | None:
        """A source not seen before: by its mid and rid (RFC 8852, RFC 9143 9.2), else by its payload type."""
        extensions = rtp.extensions(content)
        mid = extensions.get(self._extensions.get(MID, -1))
        found = self._by_mid.get(mid) if mid is not None else self._by_payload.get(packet.payload_type)
        if found is None or packet.payload_type not in (found[0].payload, found[0].repair):
            return None
        part, layers = found
        rid = extensions.get(self._extensions.get(RID, -1))
        repaired = extensions.get(self._extensions.get(REPAIRED_RID, -1))
        repeated = packet.payload_type == part.repair
        name = (repaired if repeated else rid) if part.rids else None
        layer = layers.get(name.decode("ascii", "replace") if name is not None else None)
        if layer is None:
            return None
        if not repeated:
            layer.ssrc = packet.ssrc
        known = self._by_ssrc[packet.ssrc] = layer, packet.payload_type, repeated
        return known

    def _rtcp(self, content: bytes, received: float) -> None:
        for said in rtcp.parse(content):
            if isinstance(said, rtcp.SenderReport):
                known = self._by_ssrc.get(said.ssrc)
                if known is not None and not known[2]:
                    self.clock.report(said.ntp, received)
                    known[0].sent_report(said, received)
                    known[0].source.reported(known[0], self.clock)

    # -- feedback

    def _ask_key(self, ssrc: int) -> None:
        self.transport.send_rtcp(rtcp.picture_loss(ssrc))

    def _nack_soon(self) -> None:
        if self._nacks is None:
            self._nacks = asyncio.get_running_loop().call_later(0.012, self._ask_again)

    def _ask_again(self) -> None:
        self._nacks = None
        if self.transport.closed:
            return
        now = self.room.clock.boottime()
        for layer in self._layers():
            asked = layer.to_ask(now)
            if asked and layer.ssrc is not None and layer.source.permits(now):
                self.transport.send_rtcp(rtcp.nack(layer.ssrc, asked))
            if layer.misses:
                self._nack_soon()

    def send_arrivals(self) -> None:
        """Every 100 ms: when each packet arrived."""
        message = self._arrivals.feedback()
        ssrc = next((ssrc for ssrc in self._by_ssrc), 0)
        if message is not None:
            self.transport.send_rtcp(rtcp.transport_feedback(ssrc, message))

    def send_reports(self, now: float, seconds: float) -> None:
        """Every second: what was lost (RFC 3550 6.4.2), and a bandwidth for senders without transport feedback."""
        blocks = []
        for layer in self._layers():
            layer.measure(seconds)
            if layer.ssrc is None or now - layer.heard_at > 5:
                continue
            fraction, lost, highest = layer.loss()
            if not layer.source.is_video:
                fraction = max(fraction, AUDIO_LOSS_FLOOR, *(s.fraction_lost for s in layer.source.streams), 0)
            report = layer.report
            last = (report.ntp_bits >> 16) & 0xFFFFFFFF if report else 0
            delay = int((now - layer.reported_at) * 65536) if report else 0
            blocks.append((layer.ssrc, fraction, lost, highest, last, min(delay, 0xFFFFFFFF)))
        if blocks:
            self.transport.send_rtcp(rtcp.receiver_report(blocks[:31]))
        video = [layer.ssrc for layer in self._layers() if layer.source.is_video and layer.ssrc is not None]
        if video and self._transport_cc is None:
            self.transport.send_rtcp(rtcp.bandwidth(BANDWIDTH_CAP, video))

    def _layers(self) -> list[Layer]:
        return [layer for _, layers in self._by_mid.values() for layer in layers.values()]

    def close(self) -> None:
        if self._nacks is not None:
            self._nacks.cancel()
        self.transport.close()
