"""One peer connection: an ICE-lite agent (RFC 8445 2.5), DTLS and SRTP on the plane's port."""

import asyncio
import contextlib
import logging
import math
import secrets
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from lessons.media import adapter
from lessons.media.memory import SCRATCH, SLOT, Slots
from lessons.media.path import Path, Priority, TcpPath, UdpPath
from lessons.media.port import Port
from lessons.media.sdp import Description
from service.foundation.clock import Clock

log = logging.getLogger(__name__)
CONSENT_SECONDS = 30.0          # RFC 7675 5.1
_SETUP_SECONDS = 30.0
_MOST_PATHS, _MOST_SSRCS = 8, 64
_SSRC = struct.Struct("!I")

RtpHandler = Callable[[bytes, float], None]
RtcpHandler = Callable[[bytes, float], None]


class Transport:
    """Keys, path and counters of one connection. `on_rtp` and `on_rtcp` get authenticated plaintext and its receipt time
    (CLOCK_BOOTTIME); `on_change` runs when it connects, moves to another path, loses consent or closes."""

    def __init__(self, port: Port, certificate: Any, clock: Clock, *, on_rtp: RtpHandler, on_rtcp: RtcpHandler,
                 on_change: Callable[[], None]) -> None:
        self.path: UdpPath | TcpPath | None = None
        self.keys: adapter.Keys | None = None
        self.closed = False
        self.bytes_sent = 0
        self.bytes_received = 0
        self.refused = 0                        # packets that failed authentication or came from too many sources
        self.consent_at = -math.inf
        self.ufrag, self.password = b"", b""
        self.may_deliver: Callable[[object], bool] = lambda owner: True
        self.delivers: Callable[[object, int], None] = lambda owner, size: None
        self._port, self._clock = port, clock
        self._on_rtp, self._on_rtcp, self._on_change = on_rtp, on_rtcp, on_change
        self._dtls = adapter.Dtls(certificate, self._send_dtls, self.close)
        self._checked = asyncio.Event()
        self._paths: deque[UdpPath | TcpPath] = deque()
        self._ssrcs: set[int] = set()
        self._start: asyncio.Task[None] | None = None
        self.new_credentials()

    @property
    def connected(self) -> bool:
        return self.keys is not None and self.path is not None and not self.closed

    def new_credentials(self) -> None:
        """Fresh ICE name and password: at the start, and to restart ICE after consent was lost (RFC 8839 4.4)."""
        self._port.by_ufrag.pop(self.ufrag, None)
        self.ufrag = secrets.token_hex(4).encode()
        self.password = secrets.token_hex(12).encode()
        self._port.by_ufrag[self.ufrag] = self

    def start(self, remote: Description, role: adapter.Role) -> None:
        """Begin to wait for a STUN check and then shake hands. Runs on its own; a failure closes the connection."""
        if self._start is None:
            self._start = asyncio.ensure_future(self._run(remote, role))

    async def _run(self, remote: Description, role: adapter.Role) -> None:
        try:
            async with asyncio.timeout(_SETUP_SECONDS):
                await self._checked.wait()
                self.keys = await self._dtls.handshake(remote.fingerprints, role)
        except (ConnectionError, TimeoutError) as error:
            log.info("a media connection was not established: %s", type(error).__name__)
            self.close()
            return
        self._on_change()

    def close(self) -> None:
        """End it at once: nothing is sent or accepted afterwards."""
        if self.closed:
            return
        self.closed = True
        if self._start is not None and not self._start.done():
            self._start.cancel()
        goodbye = asyncio.ensure_future(self._say_goodbye())
        self._port.goodbyes.add(goodbye)
        goodbye.add_done_callback(self._port.goodbyes.discard)
        self._on_change()

    async def _say_goodbye(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1):
                await self._dtls.close()
        self.path, self.keys = None, None
        self._port.forget(self)

    # -- port.Endpoint

    def checked(self, path: Path, nominated: bool) -> None:
        assert isinstance(path, UdpPath | TcpPath)
        if path not in self._paths:
            self._paths.append(path)
            if len(self._paths) > _MOST_PATHS:
                self._forget_oldest()
        if path is self.path or self.path is None or nominated or self.path.closed:
            self.consent_at = self._clock.boottime()
            self._use(path)

    def _use(self, path: UdpPath | TcpPath) -> None:
        if self.path is not path and not self.closed:
            self.path = path
            if isinstance(path, TcpPath):
                path.may_deliver, path.delivers = self.may_deliver, self.delivers
            self._checked.set()
            self._on_change()

    def _forget_oldest(self) -> None:
        oldest = next(path for path in self._paths if path is not self.path)
        self._paths.remove(oldest)
        self._port.forget_path(oldest)

    def gone(self, path: Path) -> None:
        if path in self._paths:
            self._paths.remove(path)  # type: ignore[arg-type]
        if self.path is path:
            self.path = None
            self._on_change()

    def dtls_received(self, datagram: bytes) -> None:
        if not self.closed:
            self._dtls.feed(datagram)

    def srtp_received(self, slots: object, slot: int, length: int, age: float) -> None:
        """Authenticate and decrypt one packet where it lies; what fails is dropped (RFC 3711 3.3)."""
        if self.keys is None or self.closed or length < 12 or not isinstance(slots, Slots):
            return
        at = slot * SLOT
        head = slots.view[at:at + 12]
        rtcp = 192 <= head[1] <= 223                    # RFC 5761 4
        ssrc = _SSRC.unpack_from(head, 4 if rtcp else 8)[0]
        if ssrc not in self._ssrcs and len(self._ssrcs) >= _MOST_SSRCS:
            self.refused += 1                           # libsrtp keeps a context for every source it has seen
            return
        cell = slots.length
        cell[0] = length
        unprotect = adapter.srtp_unprotect_rtcp if rtcp else adapter.srtp_unprotect
        if unprotect(self.keys.receive, slots.pointers[slot], cell) != 0:
            self.refused += 1
            return
        self._ssrcs.add(ssrc)
        self.bytes_received += length
        handler = self._on_rtcp if rtcp else self._on_rtp
        handler(slots.view[at:at + cell[0]], self._clock.boottime() - age)

    # -- out

    def send_rtp(self, packet: bytes, priority: Priority, owner: object) -> bool:
        """Protect and send one packet; False when it did not go. Fan-out to many does not come this way."""
        return self._send(packet, adapter.srtp_protect, priority, owner)

    def send_rtcp(self, packet: bytes) -> bool:
        return self._send(packet, adapter.srtp_protect_rtcp, Priority.CONTROL, None)

    def _send(self, packet: bytes, protect: Callable[[Any, Any, Any], int], priority: Priority, owner: object) -> bool:
        if self.keys is None or self.path is None or self.closed or len(packet) > SLOT - 160:
            return False
        SCRATCH.view[0:len(packet)] = packet
        SCRATCH.length[0] = len(packet)
        if protect(self.keys.send, SCRATCH.pointers[0], SCRATCH.length) != 0:
            return False
        size = SCRATCH.length[0]
        self.bytes_sent += size
        return self.path.send(SCRATCH.view[0:size], priority, owner)

    def _send_dtls(self, datagram: bytes) -> None:
        if self.path is not None:
            self.path.send(datagram, Priority.CONTROL)

    def purge(self, unwanted: Callable[[object], bool]) -> None:
        """Take back what waits for a slow TCP viewer and is unwanted now."""
        if isinstance(self.path, TcpPath):
            self.path.purge(unwanted)

    def expire(self, now: float) -> bool:
        """Drop the path when consent is older than 30 s (RFC 7675). True when it was dropped just now."""
        if self.path is None or now - self.consent_at <= CONSENT_SECONDS:
            return False
        self.path = None
        while self._paths:
            self._port.forget_path(self._paths.pop())
        self._on_change()
        return True
