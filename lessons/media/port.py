"""One port number for everybody: a UDP socket and a TCP listener on every local address.

One socket per address, not one on 0.0.0.0: a reply must leave from the address the browser sent to, or the browser
drops it. All remote candidates are ignored; a connection is found by the ICE user fragment of its first STUN check.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Sequence
from typing import Protocol

from lessons.media import batch, plain, stun
from lessons.media.memory import Slots
from lessons.media.path import Path, Priority, TcpPath, UdpPath
from lessons.media.wire import SO_TIMESTAMPNS

log = logging.getLogger(__name__)
_UNVERIFIED_SECONDS, _MOST_UNVERIFIED = 10.0, 256


class Endpoint(Protocol):
    """A connection that a port hands packets to."""

    password: bytes

    def checked(self, path: Path, nominated: bool) -> None:
        """A STUN check with our password came over `path`."""
        ...

    def dtls_received(self, datagram: bytes) -> None: ...

    def srtp_received(self, slots: object, slot: int, length: int, age: float) -> None: ...

    def gone(self, path: Path) -> None:
        """A TCP connection ended."""
        ...


class Port:
    """The sockets of one plane. `by_ufrag` is who expects a first check; `paths` who has passed one."""

    def __init__(self) -> None:
        self.number = 0
        self.by_ufrag: dict[bytes, Endpoint] = {}
        self.bound: list[str] = []
        fast = batch.available()
        self.inbox = batch.Inbox() if fast else plain.Inbox()
        self.outbox = batch.Outbox() if fast else plain.Outbox()
        self.goodbyes: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._udp: dict[str, socket.socket] = {}
        self._tcp: dict[str, socket.socket] = {}
        self._paths: dict[tuple[int, bytes], tuple[UdpPath, Endpoint]] = {}
        self._connections: dict[TcpPath, Endpoint | None] = {}
        self._tcp_slots = Slots(1)

    def open(self, addresses: Sequence[str], number: int) -> None:
        """Bind every address to one number; 0 finds a number that is free on all. Raises OSError when none is."""
        for _ in range(20 if number == 0 else 1):
            try:
                self._bind_all(addresses, number)
                return
            except OSError as error:
                self.close()
                failure = error
        raise failure

    def _bind_all(self, addresses: Sequence[str], number: int) -> None:
        self.number = number
        for address in addresses:
            try:
                self.bind(address)
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                log.warning("a media address could not be bound")

    def bind(self, address: str) -> None:
        """One UDP socket and one TCP listener on `address`."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        tcp = socket.socket(family, socket.SOCK_STREAM)
        try:
            if family == socket.AF_INET6:
                udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                udp.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
            self.inbox.prepare(udp)
            udp.setblocking(False)
            udp.bind((address, self.number))
            tcp.setblocking(False)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((address, udp.getsockname()[1]))
            tcp.listen(64)
        except OSError:
            udp.close()
            tcp.close()
            raise
        self.number = udp.getsockname()[1]
        self._udp[address], self._tcp[address] = udp, tcp
        self.bound.append(address)
        self._loop.add_reader(udp.fileno(), self._udp_readable, udp)
        self._loop.add_reader(tcp.fileno(), self._accept, tcp)

    def unbind(self, address: str) -> None:
        """Give up an address that the machine no longer has; connections over it move or expire."""
        self.bound.remove(address)
        for sock in (self._udp.pop(address), self._tcp.pop(address)):
            number = sock.fileno()
            self._loop.remove_reader(number)
            for key in [key for key in self._paths if key[0] == number]:
                del self._paths[key]
            sock.close()

    def close(self) -> None:
        for sock in (*self._udp.values(), *self._tcp.values()):
            self._loop.remove_reader(sock.fileno())
            sock.close()
        for path in list(self._connections):
            path.close()
        self._udp.clear()
        self._tcp.clear()
        self._paths.clear()
        self.bound.clear()

    def forget(self, endpoint: Endpoint) -> None:
        """Remove every path and name of a connection that ended."""
        self.by_ufrag = {ufrag: e for ufrag, e in self.by_ufrag.items() if e is not endpoint}
        for key in [key for key, (_, e) in self._paths.items() if e is endpoint]:
            del self._paths[key]
        for path in [path for path, e in self._connections.items() if e is endpoint]:
            path.close()

    def forget_path(self, path: Path) -> None:
        if isinstance(path, UdpPath):
            self._paths.pop((path.sock.fileno(), path.raw), None)
        elif isinstance(path, TcpPath):
            path.close()

    # -- in

    def _udp_readable(self, sock: socket.socket) -> None:
        inbox, number, paths = self.inbox, sock.fileno(), self._paths
        view = inbox.slots.view
        for slot, length, raw, age in inbox.read(sock):
            known = paths.get((number, raw))
            at = slot << 11
            first = view[at][0] if length else 255
            try:
                if known is not None and 127 < first < 192:
                    known[1].srtp_received(inbox.slots, slot, length, age)
                elif first < 4:
                    self._check(view[at:at + length], known[0] if known else UdpPath(sock, raw))
                elif known is not None and 19 < first < 64:
                    known[1].dtls_received(view[at:at + length])
            except Exception:
                log.exception("a received packet was dropped")

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        if sum(not path.verified for path in self._connections) >= _MOST_UNVERIFIED:
            sock.close()
            return
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            path = TcpPath(sock, self._tcp_received, self._tcp_gone)
        except OSError:
            sock.close()
            return
        self._connections[path] = None
        self._loop.call_later(_UNVERIFIED_SECONDS, lambda: None if path.verified else path.close())

    def _tcp_received(self, path: TcpPath, datagram: bytes, age: float) -> None:
        endpoint = self._connections.get(path)
        first = datagram[0] if datagram else 255
        try:
            if first < 4:
                self._check(datagram, path)
            elif endpoint is not None and 127 < first < 192:
                self._tcp_slots.view[0:len(datagram)] = datagram
                endpoint.srtp_received(self._tcp_slots, 0, len(datagram), age)
            elif endpoint is not None and 19 < first < 64:
                endpoint.dtls_received(datagram)
        except Exception:
            log.exception("a received packet was dropped")

    def _tcp_gone(self, path: TcpPath) -> None:
        endpoint = self._connections.pop(path, None)
        if endpoint is not None:
            endpoint.gone(path)

    def _check(self, datagram: bytes, path: UdpPath | TcpPath) -> None:
        request = stun.parse(datagram)
        endpoint = self.by_ufrag.get(request.local_ufrag) if request else None
        if request is None or endpoint is None or not request.verified(endpoint.password):
            return
        if isinstance(path, UdpPath):
            self._paths[path.sock.fileno(), path.raw] = (path, endpoint)
        else:
            path.verified = True
            self._connections[path] = endpoint
        path.send(stun.success(request, endpoint.password, path.address), Priority.CONTROL)
        endpoint.checked(path, request.nominated)
