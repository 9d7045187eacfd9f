"""The media plane of one process, and the media of one room: what the live host uses, and nothing else.

The path of a packet: socket, unprotect, layer, record, viewers whom the route names while the gate is open; one turn of
the loop, no queue in between. Everything that stops media (`set_routes`, `hold`, `leave`) works before it returns.
"""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from lessons.media import adapter, answers, sdp, uplink
from lessons.media.addresses import LOOPBACK, Announcement, is_loopback, of_this_machine
from lessons.media.downlink import Downlink
from lessons.media.gate import Gate
from lessons.media.keys import Codec, FrameSink, Offer, Sinks, SourceKey, SourceKind, Stream, Watch, unwatched
from lessons.media.port import Port
from lessons.media.sdp import BadOffer
from lessons.media.source import Source
from lessons.media.stream import ViewerStream
from lessons.media.timeline import SenderClock
from lessons.media.uplink import Uplink
from service.foundation.clock import Clock

log = logging.getLogger(__name__)
TICK_SECONDS, SENDING_SECONDS = 0.05, 2.0
ADDRESS_BEATS = 200

__all__ = ["BadOffer", "Codec", "FrameSink", "Gate", "MediaRoom", "Offer", "Plane", "SourceKey", "SourceKind", "Stream"]


class Plane:
    """One per process: the port, the certificate and the timer. Make it with `start`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sockets = Port()
        self.certificate: Any = adapter.certificate()
        self.announced: list[str] = []
        self._given: Sequence[str] | None = None
        self._public: tuple[str, ...] = ()
        self._rooms: set[MediaRoom] = set()
        self._timer: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, *, port: int, addresses: Sequence[str] | None = None, public_addresses: Sequence[str] = (),
                    clock: Clock) -> "Plane":
        """Open `port` (0: a free one) for UDP and TCP on `addresses` (None: all of this machine, and loopback).

        `public_addresses` are announced too and not bound (1:1 NAT). Raises OSError when the port is taken and
        `adapter.ContractBroken` when the libraries are not those this was written for.
        """
        adapter.assert_contract()
        plane = cls(clock)
        plane._given, plane._public = addresses, tuple(public_addresses)
        found = list(addresses) if addresses is not None else of_this_machine()
        loopback = [] if addresses is not None else _loopback_here()
        plane.sockets.open([*dict.fromkeys([*found, *loopback])], port)
        plane._announce(found)
        if not plane.announced:
            log.warning("this machine has no network address: browsers elsewhere cannot join")
        plane._timer = asyncio.ensure_future(plane._tick())
        return plane

    def _announce(self, found: Sequence[str]) -> None:
        self.announced = [*dict.fromkeys([*(a for a in found if a in self.sockets.bound), *self._public])]

    def follow_addresses(self) -> None:
        """Bind addresses that the machine has gained and give up those it lost; new clients are offered the new ones."""
        found = of_this_machine() if self._given is None else list(self._given)
        for address in [a for a in self.sockets.bound if a not in found and not is_loopback(a)]:
            self.sockets.unbind(address)
        for address in [a for a in found if a not in self.sockets.bound]:
            try:
                self.sockets.bind(address)
            except OSError:
                log.warning("a media address could not be bound")
        self._announce(found)

    @property
    def port(self) -> int:
        return self.sockets.number

    def room(self, *, gate: Gate, lesson_clock_start: float, sink: Sinks,
             on_offer: Callable[[str, Offer], None], watch: Watch = unwatched) -> "MediaRoom":
        """The media of one room. `lesson_clock_start`: boottime of 0 ms on the lesson's clock. `sink` gives the record of
        a layer of a source, None while there is none (then nothing of it is forwarded). `on_offer` is told what a peer may
        receive. `watch` is told of every delivery."""
        room = MediaRoom(self, gate, lesson_clock_start, sink, on_offer, watch)
        self._rooms.add(room)
        return room

    async def close(self) -> None:
        """End every connection and free the port."""
        if self._timer is not None:
            self._timer.cancel()
        for room in list(self._rooms):
            room.close()
        await asyncio.gather(*self.sockets.goodbyes)
        self.sockets.close()

    def forget(self, room: "MediaRoom") -> None:
        self._rooms.discard(room)

    async def _tick(self) -> None:
        beat = 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            beat += 1
            due: list[Callable[[], None]] = [partial(room.tick, beat) for room in self._rooms]
            if beat % ADDRESS_BEATS == 0:
                due.append(self.follow_addresses)
            for do in due:
                try:
                    do()
                except Exception:
                    log.exception("the media timer failed once")


def _loopback_here() -> list[str]:
    return [address for address in LOOPBACK if ":" not in address or socket.has_ipv6]


class MediaRoom:
    """See `Plane.room`. All methods are called from the loop's thread; a peer is an admitted connection, not a person."""

    def __init__(self, plane: Plane, gate: Gate, lesson_clock_start: float,
                 sink: Sinks, on_offer: Callable[[str, Offer], None], watch: Watch = unwatched) -> None:
        self.gate, self.lesson_clock_start, self.sink, self.on_offer = gate, lesson_clock_start, sink, on_offer
        self.watch = watch
        self.port, self.certificate, self.clock = plane.sockets, plane.certificate, plane.clock
        self.outbox = plane.sockets.outbox
        self._plane = plane
        self._sources: dict[SourceKey, Source] = {}
        self._routes: dict[SourceKey, frozenset[str]] = {}
        self._uplinks: dict[str, Uplink] = {}
        self._downlinks: dict[str, Downlink] = {}
        self._addresses: dict[str, list[str]] = {}
        self._groups: dict[str, int] = {}
        self._reported_at = self.clock.boottime()

    # -- who is here

    def join(self, peer: str, *, loopback: bool = False) -> None:
        """Admit a connection. `loopback`: its HTTP request came from this machine, so it is offered loopback addresses."""
        if peer in self._downlinks:
            return
        here = [a for a in self.port.bound if is_loopback(a)] if loopback else []
        self._addresses[peer] = [*dict.fromkeys([*self._plane.announced, *here])]
        self._groups.setdefault(peer, len(self._groups) + 1)
        downlink = self._downlinks[peer] = Downlink(self, peer, self._addresses[peer])
        downlink.offer_soon()
        for key, recipients in self._routes.items():
            if peer in recipients and key.peer != peer and key in self._sources:
                downlink.route(self._sources[key], True)

    def leave(self, peer: str) -> None:
        """End a connection at once, both ways."""
        up, down = self._uplinks.pop(peer, None), self._downlinks.pop(peer, None)
        for key in [key for key in self._sources if key.peer == peer]:
            source = self._sources.pop(key)
            source.recipients = None
            source.shut()
        if up is not None:
            up.close()
        if down is not None:
            down.close()
        for other in self._downlinks.values():
            other.vanish(peer)
        self._addresses.pop(peer, None)

    def close(self) -> None:
        """End the room's media."""
        for peer in list(self._downlinks):
            self.leave(peer)
        self._plane.forget(self)

    # -- signalling

    async def publish(self, peer: str, offer_sdp: str) -> str:
        """Take the offer of what `peer` sends; the answer. Again after a network change. Raises BadOffer."""
        if peer not in self._downlinks:
            raise BadOffer("This connection is not in the room. Reload the page.")
        description = sdp.parse(offer_sdp)
        parts = uplink.accept(description)
        if description.setup == "passive":
            raise BadOffer
        old = self._uplinks.get(peer)
        if old is not None and old.session == description.session and not old.transport.closed and old.renegotiated(parts):
            return self._answer(old, description)
        new = self._uplinks[peer] = Uplink(self, peer, description, parts)
        if old is not None:
            new.last_audio = old.last_audio
            old.close()
        new.transport.start(description, "server")
        for source in new.sources:
            self._apply(source)
        return self._answer(new, description)

    def _answer(self, up: Uplink, description: sdp.Description) -> str:
        up.version += 1
        transport = up.transport
        if up.remote_ufrag != description.ufrag:
            if up.remote_ufrag:
                transport.new_credentials()             # an ICE restart (RFC 8839 4.4.1)
            up.remote_ufrag = description.ufrag
        endpoint = answers.Endpoint(
            transport.ufrag.decode(), transport.password.decode(), adapter.fingerprint(self.certificate),
            self.announce(self._addresses[up.peer]), up.session_id, up.version)
        return answers.answer(endpoint, up.parts, "passive")

    async def subscribed(self, peer: str, version: int, answer_sdp: str) -> None:
        """Take the answer to the offer of this version. Raises BadOffer."""
        down = self._downlinks.get(peer)
        if down is None:
            raise BadOffer("This connection is not in the room. Reload the page.")
        down.answered(version, sdp.parse(answer_sdp))

    def announce(self, addresses: Sequence[str]) -> Announcement:
        return Announcement(addresses, self.port.number)

    # -- routes

    def set_routes(self, routes: Mapping[SourceKey, frozenset[str]]) -> None:
        """Who receives each source. One not named is neither forwarded nor recorded; one with nobody is only recorded.

        Works for the very next packet: what is no longer routed leaves queues and retransmission at once.
        """
        self._routes = dict(routes)
        for source in self._sources.values():
            self._apply(source)

    def _apply(self, source: Source) -> None:
        recipients = self._routes.get(source.key)
        if recipients == source.recipients:
            return
        before, source.recipients = source.recipients or frozenset(), recipients
        if recipients is None:
            source.shut()
        for peer in before ^ (recipients or frozenset()):
            if peer in self._downlinks and peer != source.key.peer:
                self._downlinks[peer].route(source, peer not in before)

    def hold(self) -> None:
        """The gate is shut: empty every queue and ring, and begin again with key frames when it opens."""
        for source in self._sources.values():
            source.shut()
        for down in self._downlinks.values():
            down.transport.purge(lambda owner: isinstance(owner, ViewerStream))

    def sound_only(self, peer: str, on: bool) -> None:
        """Send `peer` no pictures, or pictures again."""
        if peer in self._downlinks:
            self._downlinks[peer].sound_only(on)

    # -- what is known

    def last_media(self, peer: str) -> float:
        """Boottime of the last authenticated audio packet, by the kernel's receipt; -inf if none. STUN, RTCP: no proof."""
        up = self._uplinks.get(peer)
        return up.last_audio if up is not None else float("-inf")

    def sending(self, peer: str) -> frozenset[SourceKind]:
        """Sources with packets in the last 2 seconds, routed or not."""
        now = self.clock.boottime()
        return frozenset(source.key.kind for key, source in self._sources.items()
                         if key.peer == peer and now - source.heard_at <= SENDING_SECONDS)

    def large_wanted(self, peer: str) -> bool:
        """Whether anybody would be sent the large layer of this peer's camera, so that it is worth sending."""
        source = self._sources.get(SourceKey(peer, "camera"))
        if source is None or source.recipients is None:
            return False
        return any(stream.downlink.layer_order()[:1] == ("h",) for stream in source.streams)

    def media_address(self, peer: str) -> str | None:
        """Where the peer's media comes from; for the same-address alert, never for another client."""
        up = self._uplinks.get(peer)
        path = up.transport.path if up is not None else None
        return str(path.address[0]) if path is not None else None

    def bytes_sent(self, peer: str) -> int:
        """Bytes sent to `peer`, SRTP and SRTCP without UDP and IP headers."""
        up, down = self._uplinks.get(peer), self._downlinks.get(peer)
        return (up.transport.bytes_sent if up else 0) + (down.bytes_sent if down else 0)

    def bytes_received(self, peer: str) -> int:
        """Bytes received from `peer`, likewise."""
        up, down = self._uplinks.get(peer), self._downlinks.get(peer)
        return (up.transport.bytes_received if up else 0) + (down.transport.bytes_received if down else 0)

    # -- for the parts of this room

    def source(self, peer: str, kind: SourceKind) -> Source:
        """The source of this key, made at its first offer and kept while the peer stays."""
        key = SourceKey(peer, kind)
        if key not in self._sources:
            self._sources[key] = Source(self, key)
        return self._sources[key]

    def sender_clock(self, peer: str) -> SenderClock:
        return self._uplinks[peer].clock if peer in self._uplinks else SenderClock()

    def group(self, key: SourceKey) -> str:
        """The media stream id: one for a person's sound and camera, to be played in step; another for the screen."""
        return f"{'s' if key.kind == 'screen' else 'p'}{self._groups[key.peer]}"

    @staticmethod
    def first_number() -> int:
        """Where a layer's outgoing numbers begin: random, far from the wrap."""
        return (1 << 16) + 1000 + secrets.randbelow(20_000)

    # -- time

    def tick(self, beat: int) -> None:
        """Every 50 ms: repair and key frames; every 100 ms feedback; every second reports, layers and consent."""
        now = self.clock.boottime()
        for source in list(self._sources.values()):
            source.tick(now)
        if beat % 2 == 0:
            for up in self._uplinks.values():
                up.send_arrivals()
        if beat % 20 == 0:
            self._each_second(now)

    def _each_second(self, now: float) -> None:
        seconds, self._reported_at = max(0.1, now - self._reported_at), now
        for up in list(self._uplinks.values()):
            up.transport.expire(now)
            up.send_reports(now, seconds)
        for down in list(self._downlinks.values()):
            if down.transport.expire(now):
                down.transport.new_credentials()
                down.offer_soon()
            down.send_reports(now, seconds)
        for source in self._sources.values():
            source.choose_layers()
