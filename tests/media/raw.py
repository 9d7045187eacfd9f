"""A peer that makes every packet by hand: what a browser never sends, and what arrives, byte by byte.

It is the self-test's own peer, which can lose packets as well and has a camera.
"""

import struct
from collections.abc import Callable

from lessons.media import rtp
from service.selftest.peer import AUDIO, CC, MID, REPAIR, REPAIRED, RID, VIDEO, Microphone, Peer, answer, extension, offer, packet
from tests.media.peers import until

__all__ = [
    "AUDIO", "CC", "MID", "REPAIR", "REPAIRED", "RID", "VIDEO", "Camera", "Microphone", "RawPeer", "answer", "extension", "offer",
    "packet",
]


class RawPeer(Peer):
    """`lose_in` and `lose_out` decide what is lost on the way."""

    def __init__(self, *, tcp: bool = False, address: str = "") -> None:
        super().__init__(tcp=tcp, address=address)
        self.lose_in: Callable[[bytes], bool] = lambda packet: False
        self.lose_out: Callable[[bytes], bool] = lambda packet: False

    def send_rtp(self, packet: bytes) -> None:
        protected = self._out.protect(packet)
        if not self.lose_out(packet):
            self.send(protected)

    def take(self, packet: bytes, at: float) -> None:
        if not self.lose_in(packet):
            super().take(packet, at)

    async def until(self, condition: Callable[[], bool], seconds: float = 40) -> None:
        """Here conditions are of the plane as well, which says nothing: look five times a second too."""
        await until(condition, self.changed, seconds)


class Camera:
    """Makes VP8 packets of one layer: real descriptors, invented pictures."""

    def __init__(self, peer: RawPeer, *, mid: str = "1", rid: str | None = None, ssrc: int = 0x1111, start: int = 100,
                 timestamp: int = 5000, picture: int = 300) -> None:
        self.peer, self.mid, self.rid, self.ssrc = peer, mid, rid, ssrc
        self.sequence, self.timestamp, self.picture, self.tl0 = start, timestamp, picture, 7
        self.sent: dict[int, bytes] = {}

    def frame(self, *, key: bool = False, packets: int = 3, size: int = 400) -> list[bytes]:
        """Send one frame; its packets."""
        out = []
        self.picture, self.tl0, self.timestamp = self.picture + 1, self.tl0 + 1, self.timestamp + 6000
        for i in range(packets):
            descriptor = bytes([0x80 | (0x10 if i == 0 else 0), 0xE0, 0x80 | self.picture >> 8 & 127, self.picture & 255,
                                self.tl0 & 255, 0])
            head = (b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00" if key else b"\x11\x02\x00") if i == 0 else b""
            out.append(self.send(descriptor + head + bytes([self.picture & 255]) * size, marker=i == packets - 1))
        return out

    def send(self, payload: bytes, *, marker: bool) -> bytes:
        elements = {MID: self.mid.encode()} | ({RID: self.rid.encode()} if self.rid else {})
        made = packet(VIDEO, self.sequence, self.timestamp, self.ssrc, payload, marker=marker, elements=elements)
        self.sent[self.sequence & 0xFFFF] = made
        self.sequence += 1
        self.peer.send_rtp(made)
        return made

    def repeat(self, sequence: int, *, ssrc: int | None = None, number: int = 1) -> None:
        """Answer a NACK on the retransmission stream (RFC 4588)."""
        original = rtp.parse(self.sent[sequence])
        assert original is not None
        elements = {MID: self.mid.encode()} | ({REPAIRED: self.rid.encode()} if self.rid else {})
        self.peer.send_rtp(packet(REPAIR, number, original.timestamp, ssrc or self.ssrc + 1,
                                  struct.pack("!H", sequence) + original.payload, marker=original.marker, elements=elements))
