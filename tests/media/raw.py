"""A peer that makes every packet by hand: what a browser never sends, and what arrives, byte by byte.

Its ICE is one STUN check, its DTLS the plane's own adapter in the other role.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import socket
import struct
from collections.abc import Callable

from pylibsrtp import Error, Session

from lessons.media import adapter, rtp, stun
from tests.media.peers import until

MID, RID, REPAIRED, CC = 1, 2, 3, 4
AUDIO, VIDEO, REPAIR = 111, 96, 97


def offer(certificate: object, *, rids: bool = True, nack: bool = True, kinds: int = 3, ufrag: str = "rawp",
          session: int = 1, extra: str = "") -> str:
    """An uplink offer as Chromium writes it, with only what matters."""
    common = (f"c=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{'p' * 24}\r\na=setup:actpass\r\na=rtcp-mux\r\n"
              f"a=fingerprint:sha-256 {adapter.fingerprint(certificate)}\r\na=sendonly\r\n"  # type: ignore[arg-type]
              f"a=extmap:{MID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
              f"a=extmap:{CC} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n")
    video = (f"a=rtpmap:{VIDEO} VP8/90000\r\na=rtpmap:{REPAIR} rtx/90000\r\na=fmtp:{REPAIR} apt={VIDEO}\r\n"
             + (f"a=rtcp-fb:{VIDEO} nack\r\n" if nack else "")
             + f"a=rtcp-fb:{VIDEO} nack pli\r\na=rtcp-fb:{VIDEO} transport-cc\r\n"
             f"a=extmap:{RID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
             f"a=extmap:{REPAIRED} urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n")
    layers = "a=rid:l send\r\na=rid:h send\r\na=simulcast:send l;h\r\n" if rids else ""
    audio = f"a=rtpmap:{AUDIO} opus/48000/2\r\na=fmtp:{AUDIO} useinbandfec=1\r\na=rtcp-fb:{AUDIO} transport-cc\r\n"
    audio += f"a=rtcp-fb:{AUDIO} nack\r\n" if nack else ""
    lines = [f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO}\r\n{common}a=mid:0\r\n{audio}",
             f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO} {REPAIR}\r\n{common}a=mid:1\r\n{video}{layers}",
             f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO} {REPAIR}\r\n{common}a=mid:2\r\n{video}"][:kinds]
    mids = " ".join(str(i) for i in range(kinds))
    return f"v=0\r\no=- {session} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\n" + "".join(lines) + extra


def answer(certificate: object, offer_sdp: str, *, ufrag: str = "rawv", repairs: bool = True) -> str:
    """A viewer's answer that takes everything."""
    sections = []
    for media, mid in re.findall(r"m=(\w+) .*?a=mid:(\S+)", offer_sdp, re.S):
        codec = f"a=rtpmap:{AUDIO} opus/48000/2\r\n" if media == "audio" else f"a=rtpmap:{VIDEO} VP8/90000\r\n"
        if media == "video" and repairs:
            codec += f"a=rtpmap:{REPAIR} rtx/90000\r\na=fmtp:{REPAIR} apt={VIDEO}\r\n"
        sections.append(f"m={media} 9 UDP/TLS/RTP/SAVPF {AUDIO if media == 'audio' else VIDEO}\r\nc=IN IP4 0.0.0.0\r\n"
                        f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{'p' * 24}\r\na=setup:active\r\na=mid:{mid}\r\na=recvonly\r\n"
                        f"a=fingerprint:sha-256 {adapter.fingerprint(certificate)}\r\n{codec}")  # type: ignore[arg-type]
    return "v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" + "".join(sections)


class RawPeer:
    """One transport. `rtp` and `rtcp` are the plaintext of what arrived; `lose_in` and `lose_out` decide what is lost."""

    def __init__(self, *, tcp: bool = False) -> None:
        self.certificate = adapter.certificate()
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.responses = 0
        self.changed = asyncio.Event()
        self.lose_in: Callable[[bytes], bool] = lambda packet: False
        self.lose_out: Callable[[bytes], bool] = lambda packet: False
        self._tcp = tcp
        self._buffer = b""
        self._keys: adapter.Keys | None = None

    async def connect(self, sdp: str, fingerprint: str | None = None) -> None:
        """Check, shake hands (as DTLS client) and be ready to send. `sdp` is the plane's offer or answer."""
        self.ufrag = re.search(r"a=ice-ufrag:(\S+)", sdp)[1]  # type: ignore[index]
        self.password = re.search(r"a=ice-pwd:(\S+)", sdp)[1].encode()  # type: ignore[index]
        theirs = fingerprint or re.search(r"a=fingerprint:sha-256 (\S+)", sdp)[1]  # type: ignore[index]
        host, port = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+)", sdp).groups()  # type: ignore[union-attr]
        self.open(host, int(port))
        self.check()
        await until(lambda: self.responses > 0, self.changed)
        self._dtls = adapter.Dtls(self.certificate, self.send, lambda: None)
        async with asyncio.timeout(40):
            self._keys = await self._dtls.handshake([("sha-256", theirs)], "client")
        self._out, self._in = self._keys.owners[1], self._keys.owners[0]

    def open(self, host: str, port: int) -> None:
        """Make the socket and connect it."""
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if self._tcp else socket.SOCK_DGRAM)
        self.sock.connect((host, port))
        self.sock.setblocking(False)
        asyncio.get_running_loop().add_reader(self.sock.fileno(), self._readable)

    def check(self, *, nominate: bool = True, password: bytes | None = None) -> None:
        """One STUN binding request (RFC 8445 7.2)."""
        name = f"{self.ufrag}:rawp".encode()
        body = struct.pack("!HH", stun.USERNAME, len(name)) + name + bytes(-len(name) % 4)
        body += struct.pack("!HH", stun.USE_CANDIDATE, 0) if nominate else b""
        head = struct.pack("!HHI12s", stun.REQUEST, len(body) + 24, stun.COOKIE, secrets.token_bytes(12))
        mac = hmac.new(password or self.password, head + body, hashlib.sha1).digest()
        self.send(head + body + struct.pack("!HH", stun.INTEGRITY, 20) + mac)

    def send(self, datagram: bytes) -> None:
        self.sock.send(struct.pack("!H", len(datagram)) + datagram if self._tcp else datagram)

    def send_rtp(self, packet: bytes) -> None:
        protected = self._out.protect(packet)
        if not self.lose_out(packet):
            self.send(protected)

    def send_rtcp(self, packet: bytes) -> None:
        self.send(self._out.protect_rtcp(packet))

    @property
    def sessions(self) -> tuple[Session, Session]:
        return self._in, self._out

    def _readable(self) -> None:
        try:
            while data := self.sock.recv(65536):
                if self._tcp:
                    self._split(data)
                else:
                    self._received(data)
        except (BlockingIOError, OSError):
            pass

    def _split(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2:
            length = struct.unpack_from("!H", self._buffer)[0]
            if len(self._buffer) < 2 + length:
                return
            frame, self._buffer = self._buffer[2:2 + length], self._buffer[2 + length:]
            self._received(frame)

    def _received(self, datagram: bytes) -> None:
        if datagram[0] < 4:
            self.responses += 1
        elif 19 < datagram[0] < 64:
            self._dtls.feed(datagram)
        elif self._keys is not None:
            self._decrypt(datagram)
        self.changed.set()

    def _decrypt(self, datagram: bytes) -> None:
        try:
            if 192 <= datagram[1] <= 223:
                self.rtcp.append(self._in.unprotect_rtcp(datagram))
                return
            packet = self._in.unprotect(datagram)
        except Error:
            return
        if not self.lose_in(packet):
            self.rtp.append(packet)

    async def until(self, condition: Callable[[], bool], seconds: float = 40) -> None:
        await until(condition, self.changed, seconds)

    def close(self) -> None:
        if hasattr(self, "sock") and self.sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.sock.fileno())
            self.sock.close()


def extension(elements: dict[int, bytes]) -> bytes:
    """A one-byte header extension block (RFC 8285 4.2)."""
    body = b"".join(bytes([number << 4 | len(value) - 1]) + value for number, value in elements.items())
    body += bytes(-len(body) % 4)
    return struct.pack("!HH", 0xBEDE, len(body) // 4) + body


def packet(payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool = False,
           elements: dict[int, bytes] | None = None) -> bytes:
    block = extension(elements) if elements else b""
    return struct.pack("!BBHII", 0x90 if block else 0x80, marker << 7 | payload_type, sequence & 0xFFFF,
                       timestamp & 0xFFFFFFFF, ssrc) + block + payload


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


class Microphone:
    """Makes Opus packets."""

    def __init__(self, peer: RawPeer, *, ssrc: int = 0x2222, start: int = 50, timestamp: int = 9600) -> None:
        self.peer, self.ssrc, self.sequence, self.timestamp = peer, ssrc, start, timestamp
        self.sent: dict[int, bytes] = {}
        self.more: dict[int, bytes] = {}

    def frame(self, content: bytes | None = None) -> bytes:
        self.timestamp += 960
        made = packet(AUDIO, self.sequence, self.timestamp, self.ssrc, content or b"\x78" + struct.pack("!I", self.sequence) * 10,
                      elements={MID: b"0", **self.more})
        self.sent[self.sequence & 0xFFFF] = made
        self.sequence += 1
        self.peer.send_rtp(made)
        return made
