"""Where packets of one connection go out: a UDP address, or a TCP connection with a queue bounded by age."""

import asyncio
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol

from lessons.media.memory import ffi
from lessons.media.wire import Receipts, kernel_stamp, python_address


class Priority(IntEnum):
    """What may be dropped first when a viewer's network is slower than the lesson."""

    VIDEO = 0
    AUDIO = 1
    CONTROL = 2


class Path(Protocol):
    """A way to the other side that has passed a STUN check."""

    address: tuple[Any, ...]
    closed: bool

    def send(self, datagram: bytes, priority: Priority, owner: object = None) -> bool:
        """Send or queue one packet; False when it was refused. `owner` lets `purge` find it again."""
        ...


class UdpPath:
    """One remote address on one local socket. Also what a fan-out needs to know of it."""

    def __init__(self, sock: socket.socket, raw: bytes) -> None:
        self.sock = sock
        self.raw = raw
        self.address = python_address(raw)
        self.name: Any = ffi.new("char[]", raw)
        self.name_length = len(raw)
        self.closed = False

    def send(self, datagram: bytes, priority: Priority, owner: object = None) -> bool:
        try:
            self.sock.sendto(datagram, self.address)
        except OSError:
            return False
        return True


class _Queued:
    __slots__ = ("data", "owner", "priority", "since", "started")

    def __init__(self, data: bytes, priority: Priority, owner: object, since: float, started: bool) -> None:
        self.data, self.priority, self.owner, self.since, self.started = data, priority, owner, since, started


class TcpPath:
    """One ICE-TCP connection: every packet behind a 16-bit length (RFC 4571, RFC 6544).

    The queue is bounded by the age of its oldest packet, per priority: byte limits mean seconds of delay on a slow line.
    TCP_NOTSENT_LOWAT keeps what is not on the wire in this queue, where a shut gate can still take it back.
    """

    OLDEST = (0.15, 0.4, 3.0)              # seconds, by Priority
    LONGEST = 2048                          # a frame longer than any packet is not ours
    BEFORE_CHECK = 4096                     # bytes a connection may send before it has passed a STUN check

    def __init__(self, sock: socket.socket, received: Callable[["TcpPath", bytes, float], None],
                 gone: Callable[["TcpPath"], None]) -> None:
        self.sock = sock
        self.address: tuple[Any, ...] = sock.getpeername()
        self.verified = False
        self.closed = False
        self.dropped: Counter[Priority] = Counter()
        self.may_deliver: Callable[[object], bool] = lambda owner: True
        self.delivers: Callable[[object, int], None] = lambda owner, size: None
        self._received, self._gone = received, gone
        self._loop = asyncio.get_running_loop()
        self._in = bytearray()
        self._queue: deque[_Queued] = deque()
        self._writing = False
        self._receipts = Receipts()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, 25, 4096)       # TCP_NOTSENT_LOWAT, Linux
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, datagram: bytes, priority: Priority, owner: object = None) -> bool:
        now = self._loop.time()
        if self.closed or (self._queue and now - self._queue[0].since > self.OLDEST[priority]):
            self.dropped[priority] += 1
            return False
        data = struct.pack("!H", len(datagram)) + datagram
        sent = 0 if self._queue else self._write(data)
        if sent < len(data) and not self.closed:
            self._queue.append(_Queued(data[sent:], priority, owner, now, sent > 0))
            self._watch(True)
        return not self.closed

    def purge(self, unwanted: Callable[[object], bool]) -> None:
        """Take back every queued packet whose owner is `unwanted`.

        The rest of a packet that is partly sent becomes zeros: the framing stays whole and the packet fails its tag.
        """
        kept: deque[_Queued] = deque()
        for item in self._queue:
            if item.priority is Priority.CONTROL or not unwanted(item.owner):
                kept.append(item)
            elif item.started:
                item.data, item.owner, item.priority = bytes(len(item.data)), None, Priority.CONTROL
                kept.append(item)
        self._queue = kept

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._queue.clear()
        self._loop.remove_reader(self.sock.fileno())
        self._watch(False)
        self.sock.close()
        self._gone(self)

    def _write(self, data: bytes) -> int:
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.close()
            return 0

    def _watch(self, on: bool) -> None:
        if on != self._writing:
            self._writing = on
            if on:
                self._loop.add_writer(self.sock.fileno(), self._writable)
            else:
                self._loop.remove_writer(self.sock.fileno())

    def _writable(self) -> None:
        self.purge(lambda owner: not self.may_deliver(owner))
        while self._queue:
            head = self._queue[0]
            if not head.started:
                self.delivers(head.owner, len(head.data))
            sent = self._write(head.data)
            if self.closed:
                return
            if sent < len(head.data):
                head.data, head.started = head.data[sent:], head.started or sent > 0
                return
            self._queue.popleft()
        self._watch(False)

    def _readable(self) -> None:
        try:
            data, ancillary, _flags, _address = self.sock.recvmsg(16384, 64)
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        if not data:
            self.close()
            return
        self._in += data
        real = time.clock_gettime(time.CLOCK_REALTIME)
        self._split(self._receipts.age(real, self._receipts.offset(real), kernel_stamp(ancillary)))
        if not self.verified and len(self._in) > self.BEFORE_CHECK:
            self.close()

    def _split(self, age: float) -> None:
        buffer, at = self._in, 0
        while len(buffer) - at >= 2 and not self.closed:
            length = buffer[at] << 8 | buffer[at + 1]
            if length > self.LONGEST:
                self.close()
                return
            if len(buffer) - at < 2 + length:
                break
            self._received(self, bytes(buffer[at + 2:at + 2 + length]), age)
            at += 2 + length
        del buffer[:at]

