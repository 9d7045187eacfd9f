"""Many datagrams per system call: recvmmsg and sendmmsg with UDP segmentation offload, by cffi's ABI mode (no compiler).

Linux only; `plain.py` does the same with one call per packet elsewhere. Costs are in docs/media.md.
"""

import errno
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
_SOL_UDP, _UDP_SEGMENT = 17, 103
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
        count = self._libc.recvmmsg(sock.fileno(), self._messages, len(self._headers), socket.MSG_DONTWAIT, ffi.NULL)
        if count <= 0:
            return
        real = time.clock_gettime(time.CLOCK_REALTIME)
        offset = self._receipts.offset(real)
        for i in range(count):
            header = self._headers[i]
            name = self._names[i * _NAME:i * _NAME + header.namelen]
            age = self._receipts.age(real, offset, self._stamp(i, header))
            truncated = header.flags & socket.MSG_TRUNC
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
        self._control_at = [self._control_memory + i * _CONTROL for i in range(count)]
        for i, vector in enumerate(self._iovecs):
            vector.base = ffi.cast("void *", self._slots.address + i * SLOT)

    def fan_out(self, sock: socket.socket, targets: Sequence[Target], packets: Sequence[Packet]) -> int:
        """Send every packet to every target now, nothing waits. Returns how many the kernel took.

        All targets share `sock`. Packets are sent in order; what the kernel's buffer has no room for is lost, and asked
        for again by the viewer.
        """
        view, pointers, vectors, length = self._slots.view, self._slots.pointers, self._iovecs, self._slots.length
        protect, room = srtp_protect, len(self._headers)
        groups = list(runs([len(p.content) for p in packets], _SEGMENTS, _SEGMENTED_BYTES) if self.segmentation
                      else ((i, i + 1) for i in range(len(packets))))
        slot = message = sent = 0
        for target in targets:
            context, patch = target.context, target.patch
            size = 0
            for first, last in groups:
                if slot + last - first > room:
                    sent += self._flush(sock, message)
                    slot = message = 0
                start = slot
                for packet in packets[first:last]:
                    content = packet.content
                    at = slot * SLOT
                    view[at:at + len(content)] = content
                    if patch is not None:
                        patch(view, at, packet)
                    length[0] = len(content)
                    if protect(context, pointers[slot], length) == 0:
                        vectors[slot].len = length[0]
                        size += length[0]
                        slot += 1
                if slot > start:
                    self._address(message, target, start, slot - start)
                    message += 1
            target.bytes_sent += size
        return sent + self._flush(sock, message)

    def _address(self, message: int, target: Target, first: int, count: int) -> None:
        header = self._headers[message]
        header.name, header.namelen = target.name, target.name_length
        header.iov, header.iovlen = self._iov_at[first], count
        if count > 1:
            size = self._iovecs[first].len
            _SEGMENT_SIZE.pack_into(self._controls, message * _CONTROL, 18, _SOL_UDP, _UDP_SEGMENT, size)
            header.control, header.controllen = self._control_at[message], 24
        else:
            header.control, header.controllen = ffi.NULL, 0

    def _flush(self, sock: socket.socket, messages: int) -> int:
        done = packets = 0
        while done < messages:
            taken = self._libc.sendmmsg(sock.fileno(), self._messages + done, messages - done, socket.MSG_DONTWAIT)
            if taken > 0:
                packets += sum(self._headers[i].iovlen for i in range(done, done + taken))
                done += taken
                continue
            if ffi.errno in (errno.EAGAIN, errno.ENOBUFS):
                break
            packets += self._one_by_one(sock, done, ffi.errno)
            done += 1
        return packets

    def _one_by_one(self, sock: socket.socket, message: int, error: int) -> int:
        """A message the kernel refused: without segmentation its packets may still go."""
        header = self._headers[message]
        if header.iovlen < 2:
            return 0
        if error in (errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT):
            self.segmentation = False
        count, first, sent = header.iovlen, header.iov, 0
        header.iovlen, header.control, header.controllen = 1, ffi.NULL, 0
        for i in range(count):
            header.iov = first + i
            sent += max(0, self._libc.sendmmsg(sock.fileno(), self._messages + message, 1, socket.MSG_DONTWAIT))
        return sent
