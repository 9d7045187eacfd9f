"""One system call per datagram, in pure Python: where recvmmsg is missing, and as the yardstick of `batch` in the tests."""

import socket
import time
from collections.abc import Iterator, Sequence

from lessons.media.adapter import srtp_protect
from lessons.media.memory import SLOT, Slots
from lessons.media.wire import SO_TIMESTAMPNS, Packet, Receipts, Target, kernel_stamp, raw_address


class Inbox:
    """Reads up to 64 datagrams, each with the kernel's receipt time where the system gives one."""

    def __init__(self, count: int = 64) -> None:
        self.slots = Slots(count)
        self._receipts = Receipts()

    @staticmethod
    def prepare(sock: socket.socket) -> None:
        """Ask the kernel to stamp what it receives."""
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def read(self, sock: socket.socket) -> Iterator[tuple[int, int, bytes, float]]:
        """(slot, length, raw source address, seconds since the kernel received it) of each datagram waiting."""
        for i in range(len(self.slots)):
            try:
                datagram, ancillary, flags, address = sock.recvmsg(SLOT, 64)
            except OSError:
                return
            real = time.clock_gettime(time.CLOCK_REALTIME)
            offset = self._receipts.offset(real)
            if flags & socket.MSG_TRUNC:
                continue
            self.slots.view[i * SLOT:i * SLOT + len(datagram)] = datagram
            yield i, len(datagram), raw_address(address), self._receipts.age(real, offset, kernel_stamp(ancillary))


class Outbox:
    """Protects and sends packet by packet."""

    def __init__(self) -> None:
        self._slots = Slots(1)

    def fan_out(self, sock: socket.socket, targets: Sequence[Target], packets: Sequence[Packet]) -> int:
        """Send every packet to every target now; returns how many the kernel took. See `batch.Outbox`."""
        view, pointer, length = self._slots.view, self._slots.pointers[0], self._slots.length
        sent = 0
        for target in targets:
            for packet in packets:
                size = len(packet.content)
                view[0:size] = packet.content
                if target.patch is not None:
                    target.patch(view, 0, packet)
                length[0] = size
                if srtp_protect(target.context, pointer, length) != 0:
                    continue
                try:
                    sock.sendto(view[0:length[0]], target.address)
                except OSError:
                    continue
                target.bytes_sent += length[0]
                sent += 1
        return sent
