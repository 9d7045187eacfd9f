"""Fixed memory that the kernel and libsrtp both work on, so that a packet is not copied between them."""

from typing import Any

from cffi import FFI

from lessons.media.adapter import length_cell, pointer

SLOT = 2048
"""Bytes per packet: an Ethernet packet and the longest SRTP trailer fit, jumbo frames do not."""

ffi = FFI()


class Slots:
    """`count` packets of SLOT bytes each. Slot i is `view[i * SLOT:]`, and `pointers[i]` for libsrtp."""

    def __init__(self, count: int) -> None:
        self._memory: Any = ffi.new("char[]", count * SLOT)
        self.address = int(ffi.cast("uintptr_t", self._memory))
        self.view: Any = ffi.buffer(self._memory)
        self.pointers = [pointer(self.address + i * SLOT) for i in range(count)]
        self.length = length_cell()

    def __len__(self) -> int:
        return len(self.pointers)


SCRATCH = Slots(1)
"""For one packet at a time, inside one turn of the loop."""
