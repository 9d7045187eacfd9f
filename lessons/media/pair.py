"""The sound of two people, brought together and masked: each is connected to us, and neither learns where the other is.

Nothing is decoded and nothing kept. Every packet is taken apart and written anew, with a source and count of ours and without
extensions; RTCP does not pass. The gate is asked for each packet, and again for one that waited for a slow TCP connection.
"""

import asyncio
import secrets
from collections.abc import Callable

from lessons.media import adapter, answers, rtcp, rtp, sdp, uplink
from lessons.media.addresses import Announcement
from lessons.media.gate import Gate
from lessons.media.path import Priority
from lessons.media.plane import Plane
from lessons.media.rtp import Received
from lessons.media.sdp import BadOffer
from lessons.media.transport import Transport
from lessons.media.uplink import AUDIO_LOSS_FLOOR, STALE_SECONDS

FRAME = 960
"""Samples of 20 ms of Opus: RTP counts 48,000 a second (RFC 7587)."""


class Pair:
    """Two sides at most. `gate` shut, or `held`: neither hears the other. `changed` runs whenever a side's
    connection did, so that whoever made the pair looks at it."""

    def __init__(self, plane: Plane, gate: Gate, changed: Callable[[], None]) -> None:
        self.gate, self.held = gate, False
        self.plane, self.changed = plane, changed
        self.sides: list[Side] = []

    def add(self, offer: str) -> "Side":
        """One side's offer: one line of sound, both ways, complete (nothing is trickled). Raises BadOffer."""
        side = Side(self, offer)
        self.sides.append(side)
        return side

    def passes(self) -> bool:
        """Whether a packet may pass now."""
        return not self.held and self.gate.permits(self.plane.clock.boottime())

    def hold(self, held: bool) -> None:
        self.held = held
        self._purge()

    def _purge(self) -> None:
        for side in self.sides:
            side.transport.purge(lambda owner: owner is self)

    def pass_on(self, side: "Side", packet: Received) -> None:
        for other in self.sides:
            if other is not side:
                other.hear(packet if self.passes() else None)

    def tick(self) -> None:
        """Each second: where consent is over (RFC 7675) there is no path any more; and what makes senders protect their sound."""
        for side in self.sides:
            side.transport.expire(self.plane.clock.boottime())
            side.report()

    def close(self) -> None:
        """At once: nothing that waits is sent any more."""
        self.gate.until = float("-inf")
        self._purge()
        for side in self.sides:
            side.transport.close()


class Side:
    """One person's connection to us."""

    def __init__(self, pair: Pair, offer: str) -> None:
        description = sdp.parse(offer)
        parts = uplink.accept(description)
        if len(parts) != 1 or description.setup == "passive" or parts[0].section.direction != "sendrecv":
            raise BadOffer
        plane = pair.plane
        self._pair, self._part, self._stream = pair, parts[0], _Stream()
        self._from, self._highest = 0, rtp.Extender()
        self.is_up = asyncio.Event()
        self.transport = Transport(plane.sockets, plane.certificate, plane.clock, on_rtp=self._rtp, on_rtcp=_ignored,
                                   on_change=self._changed)
        self.transport.may_deliver = lambda owner: owner is not pair or pair.passes()
        self.transport.start(description, "server")

    @property
    def is_gone(self) -> bool:
        """Whether it was connected and is not any more, or never will be."""
        return self.transport.closed or (self.is_up.is_set() and self.transport.path is None)

    def answer(self) -> str:
        """Our answer for this side: our addresses and our certificate, nobody else's."""
        plane, transport = self._pair.plane, self.transport
        endpoint = answers.Endpoint(
            transport.ufrag.decode(), transport.password.decode(), adapter.fingerprint(plane.certificate),
            Announcement(plane.announced or plane.sockets.bound, plane.port), answers.new_session(), 1)
        return answers.both_ways(endpoint, self._part, self._stream.ssrc)

    def hear(self, packet: Received | None) -> None:
        """Send what the other side said; None for what may not pass."""
        if packet is None:
            self._stream.pause()
        else:
            self.transport.send_rtp(self._stream.follow(packet, self._part.payload), Priority.AUDIO, self._pair)

    def report(self) -> None:
        """libopus writes forward error correction only where it is told of loss."""
        if self._highest.highest is not None:
            self.transport.send_rtcp(rtcp.receiver_report([(self._from, AUDIO_LOSS_FLOOR, 0, self._highest.highest, 0, 0)]))

    def _rtp(self, content: bytes, received: float) -> None:
        packet = rtp.parse(content)
        if packet is None or packet.payload_type != self._part.payload or not packet.payload:
            return
        if self._from != packet.ssrc:
            self._from, self._highest = packet.ssrc, rtp.Extender()
        self._highest.highest = max(self._highest.extend(packet.sequence), self._highest.highest or 0)
        if self._pair.plane.clock.boottime() - received <= STALE_SECONDS:
            self._pair.pass_on(self, packet)

    def _changed(self) -> None:
        if self.transport.connected:
            self.is_up.set()
        self._pair.changed()


class _Stream:
    """What one side receives: one source with one count, over holds and new sources of the other."""

    def __init__(self) -> None:
        self.ssrc = 2 + secrets.randbelow((1 << 32) - 2)
        self._sequence = secrets.randbits(15)  # SRTP's roll-over begins at 0: never in the upper half (RFC 3711 3.3.1)
        self._timestamp = secrets.randbits(31)
        self._from: int | None = None
        self._shift, self._later = 0, 0
        self._paused = True

    def pause(self) -> None:
        self._paused = True

    def follow(self, packet: Received, payload_type: int) -> bytes:
        begins = self._paused or self._from != packet.ssrc
        if self._from != packet.ssrc:
            self._from, self._later = packet.ssrc, self._timestamp + FRAME - packet.timestamp
        if begins:  # what did not pass was not lost
            self._shift, self._paused = self._sequence + 1 - packet.sequence, False
        sequence = (packet.sequence + self._shift) & 0xFFFF
        timestamp = (packet.timestamp + self._later) & 0xFFFFFFFF
        if (sequence - self._sequence) & 0xFFFF < 0x8000:
            self._sequence, self._timestamp = sequence, timestamp
        return rtp.audio(payload_type, begins or packet.marker, sequence, timestamp, self.ssrc, packet.payload)


def _ignored(content: bytes, received: float) -> None:
    """What one side reports is of the connection to us, and goes no further."""
