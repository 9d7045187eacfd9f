"""The media of one synthetic page, packet by packet: one STUN check for ICE, the plane's own DTLS adapter in the other role.

Nothing is coded or decoded, so that a whole class of these costs a server almost nothing, and every byte that arrives is
known with the kernel's own time of arrival.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from pylibsrtp import Error, Session

from lessons.media import adapter, stun

MID, RID, REPAIRED, CC = 1, 2, 3, 4
AUDIO, VIDEO, REPAIR = 111, 96, 97
SO_TIMESTAMPNS = 35
"""Linux: the kernel says when each datagram arrived (socket(7)); Python has no name for it."""
CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+)")
ANSWERS_WITHIN = 2.0
_ROOM_FOR_STAMP = socket.CMSG_SPACE(16)


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


class Peer:
    """One transport. `rtp` and `rtcp` are the plaintext of what arrived; `arrived`, beside `rtp`, is when (time of day, s).

    `address`: the local address to send from; empty: the system's choice.
    """

    def __init__(self, *, tcp: bool = False, address: str = "") -> None:
        self.certificate = adapter.certificate()
        self.rtp: list[bytes] = []
        self.arrived: list[float] = []
        self.rtcp: list[bytes] = []
        self.responses = 0
        self.changed = asyncio.Event()
        self.address = address
        self._tcp = tcp
        self._buffer = b""
        self._keys: adapter.Keys | None = None
        self._dtls: adapter.Dtls | None = None

    async def connect(self, sdp: str, fingerprint: str | None = None) -> None:
        """Check, shake hands (as DTLS client) and be ready to send. `sdp` is the plane's offer or answer.

        Of several addresses that the server names the first one that answers is taken. Raises ConnectionError.
        """
        self.ufrag = _said(r"a=ice-ufrag:(\S+)", sdp)
        self.password = _said(r"a=ice-pwd:(\S+)", sdp).encode()
        theirs = fingerprint or _said(r"a=fingerprint:sha-256 (\S+)", sdp)
        await self._reach(CANDIDATE.findall(sdp))
        self._dtls = adapter.Dtls(self.certificate, self.send, lambda: None)
        async with asyncio.timeout(40):
            self._keys = await self._dtls.handshake([("sha-256", theirs)], "client")
        self._out, self._in = self._keys.owners[1], self._keys.owners[0]

    async def _reach(self, addresses: list[tuple[str, str]]) -> None:
        patience = ANSWERS_WITHIN if len(addresses) > 1 else 40.0
        for host, port in addresses:
            try:
                self.open(host, int(port))
                self.check()
                await self.until(lambda: self.responses > 0, patience)
                return
            except (OSError, TimeoutError):
                self.close()
        raise ConnectionError("the media port does not answer at any address that the service names")

    def open(self, host: str, port: int) -> None:
        """Make the socket and connect it."""
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM if self._tcp else socket.SOCK_DGRAM)
        if self.address:
            self.sock.bind((self.address, 0))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
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
        self.send(self._out.protect(packet))

    def send_rtcp(self, packet: bytes) -> None:
        self.send(self._out.protect_rtcp(packet))

    @property
    def sessions(self) -> tuple[Session, Session]:
        return self._in, self._out

    def _readable(self) -> None:
        try:
            while True:
                data, stamps, _, _ = self.sock.recvmsg(65536, _ROOM_FOR_STAMP)
                if not data:
                    return
                at = next((_seconds(stamp) for _, kind, stamp in stamps if kind == SO_TIMESTAMPNS), time.time())
                if self._tcp:
                    self._split(data, at)
                else:
                    self._received(data, at)
        except (BlockingIOError, OSError):
            pass

    def _split(self, data: bytes, at: float) -> None:
        self._buffer += data
        while len(self._buffer) >= 2:
            length = struct.unpack_from("!H", self._buffer)[0]
            if len(self._buffer) < 2 + length:
                return
            frame, self._buffer = self._buffer[2:2 + length], self._buffer[2 + length:]
            self._received(frame, at)

    def _received(self, datagram: bytes, at: float) -> None:
        if datagram[0] < 4:
            self.responses += 1
        elif 19 < datagram[0] < 64:
            if self._dtls is not None:
                self._dtls.feed(datagram)
        elif self._keys is not None:
            self._decrypt(datagram, at)
        self.changed.set()

    def _decrypt(self, datagram: bytes, at: float) -> None:
        try:
            if 192 <= datagram[1] <= 223:
                self.rtcp.append(self._in.unprotect_rtcp(datagram))
                return
            packet = self._in.unprotect(datagram)
        except Error:
            return
        self.take(packet, at)

    def take(self, packet: bytes, at: float) -> None:
        """One packet of media, decrypted."""
        self.rtp.append(packet)
        self.arrived.append(at)

    async def until(self, condition: Callable[[], bool], seconds: float = 40) -> None:
        """Wait until `condition` holds, looking whenever something arrives."""
        async with asyncio.timeout(seconds):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def end(self) -> None:
        """Say goodbye (DTLS close_notify) and close."""
        if self._dtls is not None and hasattr(self, "sock") and self.sock.fileno() >= 0:
            with suppress(OSError, ConnectionError):
                await self._dtls.close()
        self.close()

    def close(self) -> None:
        """Nothing more is sent or taken; the other side is told nothing."""
        if hasattr(self, "sock") and self.sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.sock.fileno())
            self.sock.close()


def _said(pattern: str, sdp: str) -> str:
    found = re.search(pattern, sdp)
    if found is None:
        raise ConnectionError("the service's description of its media is not complete")
    return found[1]


def _seconds(stamp: bytes) -> float:
    seconds, nanoseconds = struct.unpack("qq", stamp[:16])
    return float(seconds + nanoseconds / 1e9)


def extension(elements: dict[int, bytes]) -> bytes:
    """A one-byte header extension block (RFC 8285 4.2)."""
    body = b"".join(bytes([number << 4 | len(value) - 1]) + value for number, value in elements.items())
    body += bytes(-len(body) % 4)
    return struct.pack("!HH", 0xBEDE, len(body) // 4) + body


def packet(payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool = False,
           elements: dict[int, bytes] | None = None) -> bytes:
    """One RTP packet (RFC 3550 5.1)."""
    block = extension(elements) if elements else b""
    return struct.pack("!BBHII", 0x90 if block else 0x80, marker << 7 | payload_type, sequence & 0xFFFF,
                       timestamp & 0xFFFFFFFF, ssrc) + block + payload


class Microphone:
    """Makes Opus packets. `more`: header extensions beside the m-line's name."""

    def __init__(self, peer: Peer, *, ssrc: int = 0x2222, start: int = 50, timestamp: int = 9600) -> None:
        self.peer, self.ssrc, self.sequence, self.timestamp = peer, ssrc, start, timestamp
        self.sent: dict[int, bytes] = {}
        self.more: dict[int, bytes] = {}

    def frame(self, content: bytes | None = None, samples: int = 960) -> bytes:
        """Send one; the packet. `samples`: how long after the one before, in 1/48000 s."""
        self.timestamp += samples
        made = packet(AUDIO, self.sequence, self.timestamp, self.ssrc, content or b"\x78" + struct.pack("!I", self.sequence) * 10,
                      elements={MID: b"0", **self.more})
        self.sent[self.sequence & 0xFFFF] = made
        self.sequence += 1
        self.peer.send_rtp(made)
        return made
