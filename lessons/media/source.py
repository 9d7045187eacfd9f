"""One microphone, camera or screen: every frame first to the record, then, if it was taken, to those it is routed to."""

import random
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from lessons.media import rtp
from lessons.media.frames import Frame
from lessons.media.keys import Codec, SourceKey
from lessons.media.layer import Layer
from lessons.media.path import Priority, UdpPath
from lessons.media.record import Record
from lessons.media.stream import ViewerStream
from lessons.media.timeline import SenderClock
from lessons.media.wire import Packet

if TYPE_CHECKING:
    import socket

    from lessons.media.plane import MediaRoom

OPUS, VP8, VP8_REPAIR = 111, 96, 97
"""Payload types in every offer to viewers, so that one rewritten packet fits all."""
KEY_FRAME_EVERY, KEY_FRAME_LIMIT, KEY_FRAME_LIMIT_STILL = 5.0, 0.4, 2.0
_TAKEN_FOR, _HEARD_FOR, _NEVER = 1.0, 2.0, float("-inf")
_NOBODY: frozenset[str] = frozenset()


class _Fan(NamedTuple):
    """Who gets the packets of one layer: by UDP, grouped by our socket, and by TCP. `viewers`: all of them, by name."""

    udp: "list[tuple[socket.socket, list[ViewerStream]]]"
    tcp: list[ViewerStream]
    viewers: tuple[str, ...]

    @property
    def watched(self) -> bool:
        return bool(self.viewers)


class Source:
    """`recipients` is None while the source is neither recorded nor forwarded, and empty while it is only recorded.

    `best` is the best layer that arrives. It is recorded whether or not anybody watches; another only while somebody does.
    """

    def __init__(self, room: "MediaRoom", key: SourceKey) -> None:
        self.room, self.key = room, key
        self.is_video = key.kind != "microphone"
        self.codec: Codec = "vp8" if self.is_video else "opus"
        self.rate = 90_000 if self.is_video else 48_000
        self.records: dict[str | None, Record] = {}
        self.payload = VP8 if self.is_video else OPUS
        self.repair_payload = VP8_REPAIR
        self.ssrc, self.repair_ssrc = secrets.randbits(31) + 2, secrets.randbits(31) + 2
        self.recipients: frozenset[str] | None = None
        self.layers: dict[str | None, Layer] = {}
        self.streams: list[ViewerStream] = []
        self.heard_at = float("-inf")
        self.best: Layer | None = None
        self.ask_key: Callable[[int], None] = lambda ssrc: None
        self._key_asked = float("-inf")
        self._jitter = random.uniform(0.8, 1.2)
        self._fan: dict[Layer, _Fan] = {}
        self._settled = False               # every viewer that may be has joined
        self.touched = False                # something came through since it was last shut

    # -- in

    def begin(self, layers: Mapping[str | None, Layer], ask_key: Callable[[int], None]) -> None:
        """A new uplink sends this source now; its layers replace the old ones."""
        for layer in self.layers.values():
            layer.forget()
        self.layers, self.ask_key = dict(layers), ask_key
        self._stop_records()
        for rid in layers:
            self.records.setdefault(rid, Record(self.room, self.key, self.codec, rid))
        self.choose_layers()

    def _stop_records(self) -> None:
        self.best = None
        for record in self.records.values():
            record.stop()

    def permits(self, now: float) -> bool:
        """Whether anything of this source may be recorded or forwarded at this moment."""
        return self.recipients is not None and self.room.gate.permits(now)

    def heard(self, layer: Layer, received: float) -> None:
        """A packet with media in it arrived, whether or not it may go on."""
        woke = received - layer.heard_at > _HEARD_FOR
        layer.heard_at = max(layer.heard_at, received)
        self.heard_at = max(self.heard_at, received)
        if woke and self.is_video:
            self.choose_layers()

    def reported(self, layer: Layer, clock: SenderClock) -> None:
        """A sender report of `layer` arrived."""
        if self.layers.get(layer.rid) is layer and self.records[layer.rid].running:
            self.records[layer.rid].reported(layer, clock)

    def deliver(self, layer: Layer, frames: list[Frame], received: float) -> None:
        """Frames came out of repair: record, then forward. The gate is asked anew for each: a write may have ended it."""
        for frame in frames:
            now = self.room.clock.boottime()
            if not self.permits(now):
                self.shut()
                return
            if not self._taken(layer, frame, received, now):
                continue
            now = self.room.clock.boottime()
            if not self.permits(now):
                self.shut()
                return
            self._forward(layer, frame, now)

    def _taken(self, layer: Layer, frame: Frame, received: float, now: float) -> bool:
        """Whether the record has this very frame of this very layer: the layers of a picture may show different things."""
        if frame.key and layer is not self.best and self._better(layer, now):
            self.best = layer
        record = self.records[layer.rid]
        if layer is not self.best and not self._awaited(layer, frame):
            record.stop()
            return False
        if record.take(layer, frame, received, now):
            return True
        self._refused(layer)
        return False

    def _better(self, layer: Layer, now: float) -> bool:
        best = self.best
        return best is None or now - self.records[best.rid].taken_at > _TAKEN_FOR or (best.rid, layer.rid) == ("l", "h")

    def _awaited(self, layer: Layer, frame: Frame) -> bool:
        """Whether anybody would get this frame."""
        return self._fan_of(layer).watched or (frame.key and not self._settled and any(
            _begins(stream, layer) for stream in self.streams))

    def _refused(self, layer: Layer) -> None:
        """The record of this layer has a hole now; pictures after it need a key frame."""
        if layer is self.best:
            self.best = None
        if self.is_video:
            layer.forget()
            for stream in self.streams:
                if stream.segment is not None and stream.segment.layer is layer:
                    stream.leave()
            self.regroup()

    # -- out

    def _forward(self, layer: Layer, frame: Frame, now: float) -> None:
        if frame.key and not self._settled:
            self._admit(layer, frame, now)
        fan = self._fan_of(layer)
        packets = self._packets(layer, frame, now)
        if fan.viewers:
            self.delivers(fan.viewers, len(frame.content), now)
        for sock, streams in fan.udp:
            self.room.outbox.fan_out(sock, streams, packets)
        for stream in fan.tcp:
            self._send_tcp(stream, packets)
        if self.streams:
            layer.keep(packets)

    def _admit(self, layer: Layer, frame: Frame, now: float) -> None:
        """Viewers that want this layer and wait for its key frame begin here."""
        self._settled = True
        for stream in self.streams:
            if _begins(stream, layer):
                stream.join(layer, frame, layer.next_out, now)
                self._fan.clear()
            self._settled = self._settled and not stream.waits

    def _fan_of(self, layer: Layer) -> _Fan:
        fan = self._fan.get(layer)
        if fan is None:
            fan = self._fan[layer] = self._grouped(layer)
        return fan

    def _grouped(self, layer: Layer) -> _Fan:
        groups: dict[int, tuple[socket.socket, list[ViewerStream]]] = {}
        here = [stream for stream in self.streams if stream.segment is not None and stream.segment.layer is layer]
        for stream in here:
            path = stream.downlink.transport.path
            if isinstance(path, UdpPath):
                groups.setdefault(path.sock.fileno(), (path.sock, []))[1].append(stream)
        return _Fan(list(groups.values()), [stream for stream in here if stream.tcp],
                    tuple(stream.downlink.peer for stream in here))

    def _packets(self, layer: Layer, frame: Frame, now: float) -> list[Packet]:
        number = layer.number(frame)
        layer.last_timestamp, layer.sent_at = frame.timestamp, now
        if not self.is_video:
            piece = frame.parts[0].piece
            content = rtp.audio(OPUS, piece.marker, number & 0xFFFF, frame.timestamp, self.ssrc, piece.payload)
            return [Packet(content, rtp.AUDIO_HEADER, number, frame.timestamp)]
        sent, packets = rtp.abs_send_time(now), []
        last = len(frame.parts) - 1
        for i, (piece, descriptor) in enumerate(frame.parts):
            assert descriptor is not None
            content = rtp.video(VP8, i == last, (number + i) & 0xFFFF, frame.timestamp, self.ssrc, sent, piece.payload)
            header = rtp.VIDEO_HEADER
            packets.append(Packet(
                content, header, number + i, frame.timestamp, descriptor.picture,
                descriptor.picture_at and header + descriptor.picture_at, descriptor.wide,
                descriptor.tl0, descriptor.tl0_at and header + descriptor.tl0_at))
        layer.last_picture, layer.last_tl0 = packets[-1].picture, packets[-1].tl0
        return packets

    def _send_tcp(self, stream: ViewerStream, packets: list[Packet]) -> None:
        """Over TCP a late picture is worse than none: after a refusal, nothing until the next key frame."""
        segment = stream.segment
        priority = Priority.VIDEO if self.is_video else Priority.AUDIO
        for packet in packets:
            content = packet.content if stream.patch is None or segment is None else segment.patched(packet)
            if not stream.downlink.transport.send_rtp(content, priority, stream) and self.is_video:
                stream.leave(packet.sequence)
                self.regroup()
                stream.downlink.refused_by_queue()
                return

    def delivers(self, viewers: tuple[str, ...], size: int, now: float) -> None:
        """Say to whoever watches what goes out now. Nothing is asked: a watch that decided would be another rule."""
        self.room.watch(self.key, self.recipients if self.recipients is not None else _NOBODY, viewers, size, now)

    def repeat(self, stream: ViewerStream, sequences: tuple[int, ...], now: float) -> None:
        """Send packets again that a viewer misses, behind the same gate and route as the first time."""
        for sequence in sequences:
            if not stream.routed or not self.permits(now) or not stream.downlink.may_repeat():
                return
            packet = stream.repeat(sequence)
            if packet is not None:
                self.delivers(stream.viewer, len(packet), now)
                stream.downlink.transport.send_rtp(packet, Priority.VIDEO if self.is_video else Priority.AUDIO, stream)

    # -- routes

    def regroup(self) -> None:
        """A viewer's path, keys or layer changed."""
        self._fan.clear()
        self._settled = False

    def choose_layers(self) -> None:
        """Give every viewer the layer its network and screen want."""
        for stream in self.streams:
            self.choose(stream)

    def choose(self, stream: ViewerStream) -> None:
        want = self._wanted(stream)
        if want is not stream.want:
            stream.want = want
            self.regroup()
        if want is None and stream.segment is not None:
            stream.leave()
            self.regroup()

    def _wanted(self, stream: ViewerStream) -> Layer | None:
        if not self.is_video:
            return next(iter(self.layers.values()), None)
        order = stream.downlink.layer_order()
        if not order:
            return None
        now = self.room.clock.boottime()
        present = [self.layers[rid] for rid in (None, *order) if rid in self.layers]
        alive = [layer for layer in present if now - layer.heard_at < _HEARD_FOR]
        return next(iter(alive or present), None)

    def shut(self) -> None:
        """Nothing may pass: forget what waits, what could be sent again, and what an unbroken picture would need."""
        if not self.touched:
            return
        self.touched = False
        for layer in self.layers.values():
            layer.forget()
        for stream in self.streams:
            stream.leave()
            stream.forget()
            stream.downlink.transport.purge(lambda owner, stream=stream: owner is stream)  # type: ignore[misc]
        self._stop_records()
        self.regroup()

    # -- key frames

    def request_key(self, now: float) -> None:
        """Ask the sender for a key frame, at most every 400 ms: browsers ignore more, and one serves all layers."""
        layers = [self.layers[rid] for rid in ("h", None, "l") if rid in self.layers]
        heard = [layer for layer in layers if now - layer.heard_at < _HEARD_FOR]
        limit = KEY_FRAME_LIMIT if heard else KEY_FRAME_LIMIT_STILL
        layer = next((layer for layer in heard or layers if layer.ssrc is not None and layer.heard_at > _NEVER), None)
        if self.is_video and layer is not None and layer.ssrc is not None and now - self._key_asked >= limit:
            self._key_asked = now
            self.ask_key(layer.ssrc)

    def key_due(self, now: float) -> bool:
        """Whether somebody waits for a key frame: the record, a viewer, or the next place to seek to."""
        if not self.is_video or not self.permits(now):
            return False
        heard = [layer for layer in self.layers.values() if now - layer.heard_at < _HEARD_FOR]
        best = self.best
        if not heard:                               # a still screen sends nothing, but answers when it is asked
            return best is None or any(stream.waits for stream in self.streams)
        return (best is None or any(layer.frames.wants_key for layer in heard)
                or (best.rid == "l" and any(layer.rid == "h" for layer in heard))
                or any(stream.waits for stream in self.streams)
                or any(record.running and now - max(record.key_came, self._key_asked) > KEY_FRAME_EVERY * self._jitter
                       for record in self.records.values()))

    def tick(self, now: float) -> None:
        """Every 50 ms: frames that waited long enough, and key frames that are due."""
        if not self.permits(now):
            self.shut()
            return
        for layer in list(self.layers.values()):
            frames = layer.due(now)
            if frames:
                self.deliver(layer, frames, now)
            if layer is not self.best and not self._fan_of(layer).watched:
                self.records[layer.rid].stop()
        if self.key_due(now):
            self.request_key(now)


def _begins(stream: ViewerStream, layer: Layer) -> bool:
    """Whether a viewer would begin with a key frame of this layer: the one it wants, or any when it has no picture yet."""
    return stream.waits and (stream.want is layer or stream.segment is None)
