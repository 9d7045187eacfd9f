"""The sound of one call, between our Janus and the trunk, and the gate in it (policy: CM4).

Every packet of either side passes here, is taken apart and written anew: what a header could carry beside the sound (a name in
RTCP, an extension) ends here, and neither side learns where the other is. Janus itself would send the caller's voice from the
first announcement on (its plugin takes a 183 for an answer), so the gate is here, and shut until `open`. While it is shut
the callee gets silence in the place of a voice: what stands between sees a call that lives.

Where both ends are telephones there is a relay for each, and the gate of each says what its telephone hears.
"""

import asyncio
import base64
import random
import secrets
import socket
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial

from aiortc.rtp import RtpPacket
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from service.calls.sip.sdp import EVENT, PCMA, PCMU, Sound
from service.calls.sip.sound import anew

SILENCE = {PCMU: b"\xff", PCMA: b"\xd5"}
FRAME = 160
"""Samples, and bytes, of G.711 in a packet of 20 ms."""
PACE = 0.02
KEYS = "0123456789*#"
_INNER = (30000, 39999)


class Gate(Enum):
    SHUT = "shut"
    EARLY = "early"
    """The caller hears, and is not heard."""
    OPEN = "open"
    OURS = "ours"
    """The callee hears only what we play; the caller neither hears nor is heard, and that does not change any more."""


class NoPorts(OSError):
    """Every port for sound is in use."""


class Relay:
    """`inner`, `outer`: our ports towards Janus (loopback) and towards the trunk. `key`: our SRTP key, empty without SRTP."""

    def __init__(self, srtp: bool) -> None:
        self.gate = Gate.SHUT
        self.held = False
        self.other: Relay | None = None
        """Of the other telephone, where there is no browser."""
        self.pressed: Callable[[str], None] | None = None
        """Told each key that is pressed on the telephone."""
        self.caller: Sound | None = None
        self.callee: Sound | None = None
        self.key = base64.b64encode(secrets.token_bytes(30)).decode() if srtp else ""
        self._protect = _session(self.key, Policy.SSRC_ANY_OUTBOUND) if srtp else None
        self._unprotect: Session | None = None
        self._stream = _Stream()
        self._playing = False
        self._pressed_at = -1
        self._turn = asyncio.Lock()
        """What we say ourselves is said one after another."""
        self._inner: asyncio.DatagramTransport | None = None
        self._outer: asyncio.DatagramTransport | None = None
        self._reports: list[socket.socket] = []
        """Where RTCP arrives, which nobody reads. Without a socket there the sender would be told that nobody is there."""
        self.inner = self.outer = 0

    async def bind(self, address: str, ports: tuple[int, int], *, browser: bool = True) -> "Relay":
        """Take a port towards the trunk, and one towards Janus where a browser calls. Raises NoPorts."""
        self._outer, self.outer = await self._opened(address, ports, self._from_callee)
        if browser:
            self._inner, self.inner = await self._opened("127.0.0.1", _INNER, self._from_caller)
        return self

    async def _opened(self, address: str, ports: tuple[int, int],
                      receive: Callable[[bytes, tuple[str, int]], None]) -> tuple[asyncio.DatagramTransport, int]:
        sock, reports = _pair(address, ports)
        self._reports.append(reports)
        sock.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Socket(receive), sock=sock)
        return transport, int(sock.getsockname()[1])

    def close(self) -> None:
        self.gate = Gate.OURS
        for transport in (self._inner, self._outer):
            if transport is not None:
                transport.close()
        for sock in self._reports:
            sock.close()
        self._inner = self._outer = None

    def callee_is(self, sound: Sound | None) -> None:
        """The other end said where it is. Where it should encrypt and does not, there is no sound of it and none for it."""
        if sound is not None and self.key:
            if not sound.key:
                sound = None
            elif self.callee is None or self.callee.key != sound.key:
                self._unprotect = _session(sound.key, Policy.SSRC_ANY_INBOUND)
        self.callee = sound

    # -- packets ------------------------------------------------------------------------------------------------------------

    def _from_caller(self, data: bytes, sender: tuple[str, int]) -> None:
        packet = _parsed(data) if sender[0] == "127.0.0.1" else None
        if packet is not None:
            self.say(packet)

    def say(self, packet: RtpPacket) -> None:
        """The caller's sound, in either of the two codecs; whether it is heard the gate says."""
        if self.gate is Gate.OURS or self._playing or self.callee is None or packet.payload_type not in SILENCE:
            return
        heard = self.gate is Gate.OPEN and not self.held
        payload = (anew(packet.payload, packet.payload_type, self._codec) if heard
                   else SILENCE[self._codec] * len(packet.payload))
        self._send(self._stream.follow(packet, self._codec, payload))

    def _from_callee(self, data: bytes, sender: tuple[str, int]) -> None:
        if self.callee is None or sender[0] != self.callee.address:
            return
        heard = self.gate in (Gate.EARLY, Gate.OPEN) and not self.held and self._inner is not None and self.caller is not None
        if not heard and self.other is None:
            return
        if self._unprotect is not None:
            try:
                data = self._unprotect.unprotect(data)
            except (SrtpError, TypeError):
                return
        packet = _parsed(data)
        if packet is None:
            return
        if self.other is not None:
            self._hear_key(packet) if packet.payload_type == EVENT else self.other.say(packet)
        elif packet.payload_type == self.callee.codec and self._inner is not None and self.caller is not None:
            sound = _packet(packet.payload_type, packet.sequence_number, packet.timestamp, packet.ssrc, packet.payload)
            self._inner.sendto(sound, (self.caller.address, self.caller.port))

    def _hear_key(self, packet: RtpPacket) -> None:
        """A key is said in many packets of one moment."""
        if packet.timestamp != self._pressed_at and len(packet.payload) >= 4 and packet.payload[0] < len(KEYS):
            self._pressed_at = packet.timestamp
            if self.pressed is not None:
                self.pressed(KEYS[packet.payload[0]])

    def _send(self, packet: bytes) -> None:
        if self._outer is not None and self.callee is not None:
            sealed = self._protect.protect(packet) if self._protect else packet
            self._outer.sendto(sealed, (self.callee.address, self.callee.port))

    # -- what we say ourselves ------------------------------------------------------------------------------------------------

    async def play(self, sound: bytes) -> None:
        """Send G.711 in the callee's codec, at its pace, in the place of the caller's voice."""
        frames = (sound[at:at + FRAME] for at in range(0, len(sound), FRAME))
        await self._paced(partial(self._stream.next, self._codec, frame) for frame in frames)

    async def press(self, digits: str) -> None:
        """Send telephone events (RFC 4733): 100 ms each, its end said three times, then 60 ms of silence. To a telephone that
        takes none, nothing is sent."""
        kind = self.callee.events if self.callee else None
        if kind is not None:
            await self._paced(step for digit in digits if self.gate is Gate.OPEN and not self.held
                              for step in self._event(kind, KEYS.index(digit)))

    def _event(self, kind: int, event: int) -> list[Callable[[], bytes]]:
        lasting = [(False, duration) for duration in range(FRAME, 6 * FRAME, FRAME)] + 3 * [(True, 5 * FRAME)]
        pressed = [partial(self._stream.event, kind, event, end, duration, first=at == 0)
                   for at, (end, duration) in enumerate(lasting)]
        return [*pressed, *3 * [partial(self._stream.next, self._codec, SILENCE[self._codec] * FRAME)]]

    @property
    def _codec(self) -> int:
        return self.callee.codec if self.callee else PCMA

    async def _paced(self, packets: Iterable[Callable[[], bytes]]) -> None:
        loop = asyncio.get_running_loop()
        async with self._turn:
            self._playing = True
            try:
                due = loop.time()
                for packet in packets:
                    if self._outer is None:
                        return
                    self._send(packet())
                    due += PACE
                    await asyncio.sleep(max(0.0, due - loop.time()))
            finally:
                self._playing = False


class _Stream:
    """What the callee receives: one source with one count, whoever speaks."""

    def __init__(self) -> None:
        self.ssrc = random.SystemRandom().getrandbits(32)
        self.sequence = random.SystemRandom().getrandbits(15)
        self.timestamp = random.SystemRandom().getrandbits(31)
        self._followed: tuple[int, int] | None = None
        """The source we follow, and what to add to its timestamps."""
        self._event_at = 0

    def follow(self, packet: RtpPacket, codec: int, payload: bytes) -> bytes:
        marker = self._followed is None or self._followed[0] != packet.ssrc
        if self._followed is None or marker:
            self._followed = packet.ssrc, self.timestamp + FRAME - packet.timestamp
        self.timestamp = (packet.timestamp + self._followed[1]) & 0xFFFFFFFF
        return self._counted(codec, self.timestamp, payload, marker)

    def next(self, codec: int, payload: bytes) -> bytes:
        self._followed = None
        self.timestamp = (self.timestamp + FRAME) & 0xFFFFFFFF
        return self._counted(codec, self.timestamp, payload)

    def event(self, payload_type: int, event: int, end: bool, duration: int, first: bool) -> bytes:
        self._followed = None
        self.timestamp = (self.timestamp + FRAME) & 0xFFFFFFFF
        if first:
            self._event_at = self.timestamp
        payload = bytes((event, (0x80 if end else 0) | 10)) + duration.to_bytes(2, "big")
        return self._counted(payload_type, self._event_at, payload, first)

    def _counted(self, payload_type: int, timestamp: int, payload: bytes, marker: bool = False) -> bytes:
        self.sequence = (self.sequence + 1) & 0xFFFF
        return _packet(payload_type, self.sequence, timestamp, self.ssrc, payload, marker)


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, tuple[str, int]], None]) -> None:
        self.datagram_received = receive  # type: ignore[method-assign, assignment]


def _packet(payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool = False) -> bytes:
    return bytes(RtpPacket(payload_type=payload_type, marker=int(marker), sequence_number=sequence, timestamp=timestamp,
                           ssrc=ssrc, payload=payload).serialize())


def _parsed(data: bytes) -> RtpPacket | None:
    try:
        return RtpPacket.parse(data)
    except ValueError:
        return None


def _session(key: str, direction: int) -> Session:
    return Session(Policy(key=base64.b64decode(key), ssrc_type=direction))


def _pair(address: str, ports: tuple[int, int]) -> tuple[socket.socket, socket.socket]:
    """An even port of the range that is free, for RTP, and the next, for RTCP (RFC 3550, 11); which, nobody can foretell."""
    free = list(range(ports[0] + ports[0] % 2, ports[1] + 1, 2))
    random.SystemRandom().shuffle(free)
    for port in free:
        pair = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            pair[0].bind((address, port))
            pair[1].bind((address, port + 1))
        except OSError:
            for taken in pair:
                taken.close()
        else:
            return pair
    raise NoPorts("no port for sound is free")
