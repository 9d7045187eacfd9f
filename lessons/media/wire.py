"""What the two ways of reading and sending datagrams (`batch`, `plain`) share."""

import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

SO_TIMESTAMPNS = 35
"""Also the type of the ancillary message; Python's socket module does not name it."""
_TIMESPEC = struct.Struct("@qq")
Patch = Callable[[Any, int, "Packet"], None]


class Packet:
    """One RTP packet ready for protection: headers rewritten, the same for every viewer that needs no patch.

    `sequence`, `timestamp`, and for VP8 `picture` and `tl0` with their offsets in `content` (0: absent), are what a
    viewer on a switched layer has patched.
    """

    __slots__ = ("content", "header", "picture", "picture_at", "sequence", "timestamp", "tl0", "tl0_at", "wide")

    def __init__(self, content: bytes, header: int, sequence: int, timestamp: int,
                 picture: int = 0, picture_at: int = 0, wide: bool = False, tl0: int = 0, tl0_at: int = 0) -> None:
        self.content = content
        self.header = header
        self.sequence = sequence
        self.timestamp = timestamp
        self.picture = picture
        self.picture_at = picture_at
        self.wide = wide
        self.tl0 = tl0
        self.tl0_at = tl0_at


class Target(Protocol):
    """One viewer's stream, as the sender sees it: keys, socket address, patch and a counter."""

    context: Any
    name: Any
    name_length: int
    address: tuple[Any, ...]
    patch: Patch | None
    bytes_sent: int


class Receipts:
    """Turns the kernel's wall-clock stamps into ages. A step of the wall clock makes a packet older, never younger."""

    def __init__(self) -> None:
        self._last: float | None = None

    def offset(self, real: float) -> float:
        """Wall clock minus CLOCK_BOOTTIME; the larger of this and the last batch's, so that stamps can only age."""
        offset = real - time.clock_gettime(time.CLOCK_BOOTTIME)
        last, self._last = self._last, offset
        return offset if last is None else max(offset, last)

    def age(self, real: float, offset: float, stamp: float | None) -> float:
        """Seconds since the kernel received a datagram stamped `stamp`."""
        if stamp is None:
            return 0.0
        stepped = offset - (self._last if self._last is not None else offset)
        return max(0.0, real - stamp + max(0.0, stepped))


def kernel_stamp(ancillary: Iterable[tuple[int, int, bytes]]) -> float | None:
    """The wall-clock second at which the kernel received what came with this ancillary data."""
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(content) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            return float(seconds + nanoseconds * 1e-9)
    return None


def runs(lengths: Sequence[int], most: int, most_bytes: int) -> Iterator[tuple[int, int]]:
    """Spans [first, last) that one segmented datagram can carry: equal lengths, only the last may be shorter."""
    first = 0
    while first < len(lengths):
        last, total = first + 1, lengths[first]
        while last < len(lengths) and last - first < most and total + lengths[last] <= most_bytes - 64 * (last - first):
            if lengths[last] > lengths[first]:
                break
            total += lengths[last]
            last += 1
            if lengths[last - 1] < lengths[first]:
                break
        yield first, last
        first = last


def raw_address(address: tuple[Any, ...]) -> bytes:
    """The kernel's `struct sockaddr_in` or `sockaddr_in6` of a Python socket address."""
    host, port = str(address[0]).partition("%")[0], int(address[1])
    if ":" in host:
        scope = int(address[3]) if len(address) > 3 else 0
        return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + socket.inet_pton(
            socket.AF_INET6, host) + struct.pack("=I", scope)
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)


def python_address(raw: bytes) -> tuple[Any, ...]:
    """The Python socket address of a raw one. Raises ValueError for any other family."""
    (family,), (port,) = struct.unpack_from("=H", raw), struct.unpack_from("!H", raw, 2)
    if family == socket.AF_INET and len(raw) >= 8:
        return socket.inet_ntoa(raw[4:8]), port
    if family == socket.AF_INET6 and len(raw) >= 28:
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), port, 0, struct.unpack_from("=I", raw, 24)[0]
    raise ValueError("neither IPv4 nor IPv6")
