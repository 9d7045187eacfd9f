"""Many datagrams per system call: recvmmsg and sendmmsg with UDP segmentation offload, by cffi's ABI mode (no compiler).

Linux only; `plain.py` does the same with one call per packet elsewhere. Costs are in docs/media.md.
"""

import errno
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any

from lessons.media.adapter import srtp_protect
from lessons.media.memory import SLOT, Slots, ffi
from lessons.media.wire import SO_TIMESTAMPNS, Packet, Receipts, Target, runs

ffi.cdef("""
struct iovec { void *base; size_t len; };
struct msghdr { void *name; uint32_t namelen; struct iovec *iov; size_t iovlen;
                void *control; size_t controllen; int flags; };
struct mmsghdr { struct msghdr header; unsigned int len; };
int recvmmsg(int, struct mmsghdr *, unsigned int, int, void *);
int sendmmsg(int, struct mmsghdr *, unsigned int, int);
""")
_NAME, _CONTROL = 28, 64
_DONTWAIT, _TRUNCATED = int(socket.MSG_DONTWAIT), int(socket.MSG_TRUNC)     # the enumerations cost microseconds
_SHIFT = SLOT.bit_length() - 1
_SOL_UDP, _UDP_SEGMENT = 17, 103
_LONGEST_WAIT = 0.004                       # for room in the socket's buffer, once a frame
_SEGMENTS, _SEGMENTED_BYTES = 60, 60_000    # the kernel takes 64 segments and 64 KiB
_TIMESTAMP = struct.Struct("@Niiqq")        # struct cmsghdr, struct timespec
_SEGMENT_SIZE = struct.Struct("@NiiH")      # struct cmsghdr, u16


def available() -> bool:
    """Whether this system has both calls."""
    try:
        library: Any = ffi.dlopen(None)
        return bool(library.recvmmsg) and bool(library.sendmmsg)
    except (OSError, AttributeError):
        return False


class Inbox:
    """Reads up to 64 datagrams per call, each with the kernel's receipt time and the sender's raw socket address."""

    def __init__(self, count: int = 64) -> None:
        self.slots = Slots(count)
        self._libc: Any = ffi.dlopen(None)
        self._messages: Any = ffi.new("struct mmsghdr[]", count)
        self._vectors: Any = ffi.new("struct iovec[]", count)
        self._name_memory: Any = ffi.new("char[]", count * _NAME)
        self._control_memory: Any = ffi.new("char[]", count * _CONTROL)
        self._names: Any = ffi.buffer(self._name_memory)
        self._controls: Any = ffi.buffer(self._control_memory)
        self._headers = [self._messages[i].header for i in range(count)]
        self._receipts = Receipts()
        for i, header in enumerate(self._headers):
            self._vectors[i].base = ffi.cast("void *", self.slots.address + i * SLOT)
            self._vectors[i].len = SLOT
            header.name, header.iov, header.iovlen = self._name_memory + i * _NAME, self._vectors + i, 1
            header.control = self._control_memory + i * _CONTROL
            header.namelen, header.controllen = _NAME, _CONTROL

    @staticmethod
    def prepare(sock: socket.socket) -> None:
        """Ask the kernel to stamp what it receives."""
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def read(self, sock: socket.socket) -> Iterator[tuple[int, int, bytes, float]]:
        """(slot, length, raw source address, seconds since the kernel received it) of each datagram waiting, 64 at most."""
        count = self._libc.recvmmsg(sock.fileno(), self._messages, len(self._headers), _DONTWAIT, ffi.NULL)
        if count <= 0:
            return
        real = time.clock_gettime(time.CLOCK_REALTIME)
        offset = self._receipts.offset(real)
        for i in range(count):
            header = self._headers[i]
            name = self._names[i * _NAME:i * _NAME + header.namelen]
            age = self._receipts.age(real, offset, self._stamp(i, header))
            truncated = header.flags & _TRUNCATED
            header.namelen, header.controllen = _NAME, _CONTROL
            if not truncated:
                yield i, self._messages[i].len, name, age

    def _stamp(self, i: int, header: Any) -> float | None:
        if header.controllen < _TIMESTAMP.size:
            return None
        _size, level, kind, seconds, nanoseconds = _TIMESTAMP.unpack_from(self._controls, i * _CONTROL)
        return seconds + nanoseconds * 1e-9 if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) else None


class Outbox:
    """Protects a frame's packets for each viewer in place and hands them to the kernel in one call per socket."""

    def __init__(self, count: int = 512) -> None:
        self.segmentation = True            # until the kernel or a network card refuses it
        self._slots = Slots(count)
        self._libc: Any = ffi.dlopen(None)
        self._messages: Any = ffi.new("struct mmsghdr[]", count)
        self._vectors: Any = ffi.new("struct iovec[]", count)
        self._control_memory: Any = ffi.new("char[]", count * _CONTROL)
        self._controls: Any = ffi.buffer(self._control_memory)
        self._headers = [self._messages[i].header for i in range(count)]
        self._iovecs = [self._vectors[i] for i in range(count)]
        self._iov_at = [self._vectors + i for i in range(count)]
        self._room = count
        self._named: list[Any] = [None] * count
        self._spans = [(-1, -1)] * count
        self._control_at = [self._control_memory + i * _CONTROL for i in range(count)]
        for i, vector in enumerate(self._iovecs):
            vector.base = ffi.cast("void *", self._slots.address + i * SLOT)

    def fan_out(self, sock: socket.socket, targets: Sequence[Target], packets: Sequence[Packet]) -> int:
        """Send every packet to every target now, nothing waits. Returns how many the kernel took.

        All targets share `sock`. Packets are sent in order; what the kernel's buffer has no room for is lost, and asked
        for again by the viewer.
        """
        groups = list(runs([len(p.content) for p in packets], _SEGMENTS, _SEGMENTED_BYTES)
                      if self.segmentation and len(packets) > 1 else ((i, i + 1) for i in range(len(packets))))
        slot = message = sent = 0
        for target in targets:
            for first, last in groups:
                if slot + last - first > self._room:
                    sent += self._flush(sock, message, slot)
                    slot = message = 0
                count = self._protect(target, packets[first:last], slot)
                if count:
                    self._address(message, target, slot, count)
                    slot += count
                    message += 1
        return sent + self._flush(sock, message, slot)

    def _protect(self, target: Target, packets: Sequence[Packet], slot: int) -> int:
        """Copy, patch and encrypt packets into the slots from `slot` on; how many."""
        slots, context, patch = self._slots, target.context, target.patch
        view, length, first = slots.view, slots.length, slot
        for packet in packets:
            content = packet.content
            at, size = slot << _SHIFT, len(content)
            view[at:at + size] = content
            if patch is not None:
                patch(view, at, packet)
            length[0] = size
            if srtp_protect(context, slots.pointers[slot], length) == 0:
                size = length[0]
                self._iovecs[slot].len = size
                target.bytes_sent += size
                slot += 1
        return slot - first

    def _address(self, message: int, target: Target, first: int, count: int) -> None:
        """Point a message at its viewer and its packets. What it points at already is left: each write costs."""
        header = self._headers[message]
        if self._named[message] is not target.name:
            header.name, header.namelen = target.name, target.name_length
            self._named[message] = target.name
        if self._spans[message] != (first, count):
            header.iov, header.iovlen = self._iov_at[first], count
            header.control, header.controllen = (self._control_at[message], 24) if count > 1 else (ffi.NULL, 0)
            self._spans[message] = (first, count)
        if count > 1:
            size = self._iovecs[first].len
            _SEGMENT_SIZE.pack_into(self._controls, message * _CONTROL, 18, _SOL_UDP, _UDP_SEGMENT, size)

    def _flush(self, sock: socket.socket, messages: int, packets: int) -> int:
        done, sent, waited = 0, 0, False
        while done < messages:
            taken = self._libc.sendmmsg(sock.fileno(), self._messages + done, messages - done, _DONTWAIT)
            if taken == messages:
                return packets
            if taken > 0:
                sent += sum(count for _, count in self._spans[done:done + taken])
                done += taken
            elif ffi.errno not in (errno.EAGAIN, errno.ENOBUFS):
                sent += self._one_by_one(sock, done, ffi.errno)
                done += 1
            elif waited or not select.select([], [sock], [], _LONGEST_WAIT)[1]:
                break
            else:
                waited = True
        return sent

    def _one_by_one(self, sock: socket.socket, message: int, error: int) -> int:
        """A message the kernel refused: without segmentation its packets may still go."""
        header = self._headers[message]
        if header.iovlen < 2:
            return 0
        if error in (errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT):
            self.segmentation = False
        count, first, sent = header.iovlen, header.iov, 0
        self._spans[message] = (-1, -1)
        header.iovlen, header.control, header.controllen = 1, ffi.NULL, 0
        for i in range(count):
            header.iov = first + i
            sent += max(0, self._libc.sendmmsg(sock.fileno(), self._messages + message, 1, _DONTWAIT))
        return sent
