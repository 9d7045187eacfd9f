"""What one participant receives: m-lines that grow with what it may see, and reports that choose its layers."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lessons.media import answers, rtcp
from lessons.media.adapter import fingerprint
from lessons.media.keys import Offer, SourceKey, Stream
from lessons.media.quality import Level, Quality
from lessons.media.sdp import BadOffer, Description
from lessons.media.source import VP8_REPAIR, Source
from lessons.media.stream import ViewerStream
from lessons.media.transport import Transport

if TYPE_CHECKING:
    from lessons.media.plane import MediaRoom

COALESCE_SECONDS, ANSWER_SECONDS, KEY_REQUEST_PAUSE = 0.1, 10.0, 1.0
WRITE_SECONDS = 0.005
"""Between the gate's answer for what waits for TCP and its going out, at most."""
MOST_REPEATS = 800
"""Packets sent again to one viewer in a second, at most."""
MANY_PICTURES = 4
"""More pictures than this are shown small, so the small layer is sent."""


@dataclass
class _Line:
    mid: str
    media: str
    stream: ViewerStream | None = None


class Downlink:
    """One connection that a participant receives on. Offers carry a version; one is under way at a time."""

    def __init__(self, room: "MediaRoom", peer: str, addresses: list[str]) -> None:
        self.room, self.peer = room, peer
        self.version = 0
        self.repairs_apart = True           # the viewer takes retransmissions on their own SSRC (RTX)
        self.quality = Quality()
        self.transport = Transport(room.port, room.certificate, room.clock, on_rtp=lambda packet, received: None,
                                   on_rtcp=self._rtcp, on_change=self._changed)
        self.transport.may_deliver, self.transport.delivers = self._may_deliver, self._delivers
        self._addresses = addresses
        self._session = answers.new_session()
        self._lines = [_Line("0", "audio")]         # free: the handshake is done before the first source is there
        self._by_key: dict[SourceKey, ViewerStream] = {}
        self._by_ssrc: dict[int, ViewerStream] = {}
        self._under_way: tuple[int, frozenset[ViewerStream]] | None = None
        self._offered_at = float("-inf")
        self._changed_since_offer = True
        self._timer: asyncio.TimerHandle | None = None
        self._estimate: float | None = None
        self._round_trip: float | None = None
        self._reports: deque[tuple[int, float]] = deque(maxlen=32)
        self._bytes_before = 0
        self._repeats_left = MOST_REPEATS

    # -- what is visible

    @property
    def streams(self) -> list[ViewerStream]:
        return list(self._by_key.values())

    def show(self, source: Source) -> None:
        """Make a source part of the next offer, on a free m-line or a new one."""
        if source.key in self._by_key:
            return
        media = "video" if source.is_video else "audio"
        line = next((line for line in self._lines if line.media == media and line.stream is None), None)
        if line is None:
            line = _Line(str(len(self._lines)), media)
            self._lines.append(line)
        line.stream = self._by_key[source.key] = ViewerStream(self, source, line.mid)
        self.offer_soon()

    def vanish(self, peer: str) -> None:
        """A participant left: its m-lines become inactive and free."""
        for line in self._lines:
            if line.stream is not None and line.stream.source.key.peer == peer:
                self._by_ssrc.pop(line.stream.source.ssrc, None)
                self._by_ssrc.pop(line.stream.source.repair_ssrc, None)
                del self._by_key[line.stream.source.key]
                line.stream = None
                self.offer_soon()

    def route(self, source: Source, on: bool) -> None:
        """Let a source flow to this viewer, or stop it before the next packet."""
        if on:
            self.show(source)
        stream = self._by_key.get(source.key)
        if stream is None or stream.routed == on:
            return
        stream.routed = on
        if not on:
            stream.leave()
            stream.forget()
            self.transport.purge(lambda owner: owner is stream)
        self._settle(stream)

    def _settle(self, stream: ViewerStream) -> None:
        """Put the stream in or out of its source's fan, as route, answer and transport allow."""
        source = stream.source
        flows = stream.routed and self.transport.connected and self._by_ssrc.get(source.ssrc) is stream
        if flows:
            stream.reach()
            if stream not in source.streams:
                source.streams.append(stream)
        elif stream in source.streams:
            stream.leave()
            stream.context = stream.want = None
            source.streams.remove(stream)
        if flows:
            source.choose(stream)
        source.regroup()
        if stream.waits:
            source.request_key(self.room.clock.boottime())

    def _changed(self) -> None:
        for stream in self.streams:
            self._settle(stream)
        if self.transport.closed and self._timer is not None:
            self._timer.cancel()

    def _may_deliver(self, owner: object) -> bool:
        return not isinstance(owner, ViewerStream) or (
            owner.routed and owner.source.permits(self.room.clock.boottime()))

    def _delivers(self, owner: object, size: int) -> None:
        if isinstance(owner, ViewerStream):
            owner.source.delivers(owner.viewer, size, self.room.clock.boottime() - WRITE_SECONDS)

    # -- offers

    def offer_soon(self) -> None:
        """Offer in 100 ms whatever has changed until then, after the answer to the offer under way."""
        self._changed_since_offer = True
        if self._timer is None and not self.transport.closed:
            self._timer = asyncio.get_running_loop().call_later(COALESCE_SECONDS, self._offer)

    def _offer(self) -> None:
        self._timer = None
        now = self.room.clock.boottime()
        if self.transport.closed or not self._changed_since_offer or (
                self._under_way is not None and now - self._offered_at < ANSWER_SECONDS):
            return
        self.version += 1
        self._changed_since_offer = False
        self._offered_at = now
        self._under_way = (self.version, frozenset(self.streams))
        endpoint = answers.Endpoint(
            self.transport.ufrag.decode(), self.transport.password.decode(), fingerprint(self.room.certificate),
            self.room.announce(self._addresses), self._session, self.version)
        sdp = answers.offer(endpoint, [self._sent(line) for line in self._lines])
        streams = tuple(Stream(line.mid, line.stream.source.key.peer, line.stream.source.key.kind)
                        for line in self._lines if line.stream is not None)
        self.room.on_offer(self.peer, Offer(self.version, sdp, streams))

    def _sent(self, line: _Line) -> answers.Sent:
        if line.stream is None:
            return answers.Sent(line.media, line.mid)
        source = line.stream.source
        group = self.room.group(source.key)
        return answers.Sent(line.media, line.mid, group, source.ssrc, source.repair_ssrc)

    def answered(self, version: int, description: Description) -> None:
        """The viewer's answer. Raises BadOffer when it is to another offer or does not fit it."""
        if self._under_way is None or version != self._under_way[0]:
            raise BadOffer("That answer is to an older offer. Reload the page.")
        lines = self._lines[:len(description.sections)]
        if description.setup == "actpass" or [line.mid for line in lines] != [s.mid for s in description.sections] or (
                len(description.sections) < self._offered_lines()):
            raise BadOffer
        self.transport.start(description, "server" if description.setup == "active" else "client")
        offered = self._under_way[1]
        self._under_way = None
        for line, section in zip(lines, description.sections, strict=True):
            if line.stream is not None and line.stream in offered and not section.rejected:
                if section.kind == "video":
                    self.repairs_apart = section.codecs.get(VP8_REPAIR) == "rtx/90000"
                self._by_ssrc[line.stream.source.ssrc] = line.stream
                self._by_ssrc[line.stream.source.repair_ssrc] = line.stream
                self._settle(line.stream)
        if self._changed_since_offer:
            self.offer_soon()

    def _offered_lines(self) -> int:
        offered = self._under_way[1] if self._under_way is not None else frozenset()
        return max((i for i, line in enumerate(self._lines, 1) if line.stream in offered), default=1)

    # -- reports

    def layer_order(self) -> tuple[str, ...]:
        """The layers this viewer should have, best first; none for sound only."""
        level = self.quality.level
        if level is Level.SOUND:
            return ()
        pictures = sum(stream.routed and stream.source.key.kind == "camera" for stream in self.streams)
        return ("h", "l") if level is Level.LARGE and pictures <= MANY_PICTURES else ("l", "h")

    def may_repeat(self) -> bool:
        """Whether another packet may be sent again in this second: asking is cheaper than answering."""
        self._repeats_left -= 1
        return self._repeats_left >= 0

    def refused_by_queue(self) -> None:
        """A picture was too old for this viewer's TCP connection."""
        before = self.quality.level
        self.quality.dropped(self.room.clock.boottime())
        self._level_changed(before)

    def sound_only(self, on: bool) -> None:
        before = self.quality.level
        self.quality.ceiling = Level.SOUND if on else Level.LARGE
        self._level_changed(before)

    def _level_changed(self, before: Level) -> None:
        if self.quality.level != before:
            self.choose_layers()

    def choose_layers(self) -> None:
        for stream in self.streams:
            if stream in stream.source.streams:
                stream.source.choose(stream)

    def _rtcp(self, content: bytes, received: float) -> None:
        now = self.room.clock.boottime()
        for said in rtcp.parse(content):
            if isinstance(said, rtcp.Bandwidth):
                self._estimate = said.bits_per_second
                continue
            stream = self._by_ssrc.get(said.ssrc)
            if stream is None:
                continue
            if isinstance(said, rtcp.Nack):
                stream.source.repeat(stream, said.sequences, now)
            elif isinstance(said, rtcp.KeyFrameRequest):
                self._key_wanted(stream, now)
            elif isinstance(said, rtcp.ReportBlock) and said.ssrc == stream.source.ssrc:
                stream.fraction_lost = said.fraction_lost
                self._measure_round_trip(said, now)

    def _key_wanted(self, stream: ViewerStream, now: float) -> None:
        if stream.routed and stream.source.permits(now) and now - stream.key_asked_at >= KEY_REQUEST_PAUSE:
            stream.key_asked_at = now
            stream.source.request_key(now)

    def _measure_round_trip(self, block: rtcp.ReportBlock, now: float) -> None:
        sent = next((at for ntp, at in self._reports if ntp == block.last_report), None)
        if sent is not None:
            self._round_trip = max(0.0, now - sent - block.delay / 65536)

    def send_reports(self, now: float, seconds: float) -> None:
        """Every second: the publishers' clocks, and a judgement of this viewer's network."""
        self._repeats_left = MOST_REPEATS
        reports = []
        for stream in self.streams:
            report = stream.sender_report(now) if stream.routed and stream.source.permits(now) else None
            if report is not None:
                reports.append(rtcp.sender_report(*report))
                self._reports.append(((report[1] >> 16) & 0xFFFFFFFF, now))
        for some in _batches(reports, 40):
            self.transport.send_rtcp(b"".join(some))
        # The estimate counts what carries abs-send-time (draft-alvestrand-rmcat-remb-03): pictures, not sound.
        sent = sum(stream.bytes_sent for stream in self.streams if stream.source.is_video)
        sending, self._bytes_before = 8 * max(0, sent - self._bytes_before) / seconds, sent
        before = self.quality.level
        if reports:
            self.quality.report(now, lost=self._lost(), round_trip=self._round_trip, estimate=self._estimate, sending=sending)
        if self.quality.level != before:
            self.choose_layers()

    def _lost(self) -> int:
        """How much does not arrive, of 256: of all bytes since the last report. They take one path, and of a still screen that
        sent three packets the one that was lost says little about it."""
        sent = [(stream.fraction_lost, stream.bytes_since_report()) for stream in self.streams]
        return sum(lost * size for lost, size in sent) // max(1, sum(size for _, size in sent))

    @property
    def bytes_sent(self) -> int:
        return self.transport.bytes_sent + sum(stream.bytes_sent for stream in self.streams)

    def close(self) -> None:
        for stream in self.streams:
            stream.routed = False
            self._settle(stream)
        self.transport.close()


def _batches(items: list[bytes], most: int) -> Iterable[list[bytes]]:
    return (items[i:i + most] for i in range(0, len(items), most))

