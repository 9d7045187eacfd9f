"""Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): the sender estimates.

The server only says when each packet arrived; that is 32 lines here and a good estimator in every browser.
"""

import struct

_TICK = 0.00025                     # receive deltas are multiples of 250 us
_REFERENCE = 256                    # and the reference time of 64 ms, 256 ticks
_MOST_PACKETS = 8192


class Arrivals:
    """Arrival times by transport-wide sequence number, since the last feedback."""

    def __init__(self) -> None:
        self._next: int | None = None       # extended number that the next feedback starts with
        self._highest = 0
        self._times: dict[int, float] = {}
        self._count = 0

    def add(self, sequence: int, at: float) -> None:
        """A packet arrived at `at` seconds, any clock that does not jump."""
        if self._next is None:
            self._next = self._highest = sequence + (1 << 16)
        step = (sequence - self._highest) & 0xFFFF
        number = self._highest + (step if step < 0x8000 else step - 0x10000)
        self._highest = max(self._highest, number)
        if number >= self._next and len(self._times) < _MOST_PACKETS:
            self._times.setdefault(number, at)

    def feedback(self) -> bytes | None:
        """The message about everything since the last one; None when nothing arrived."""
        if not self._times or self._next is None:
            return None
        start, last = self._next, max(self._times)
        if last - start >= _MOST_PACKETS:           # the sender jumped: what is between was never sent
            start = min(self._times)
            start = max(start, last - _MOST_PACKETS + 1)
        first = min(number for number in self._times if number >= start)
        reference = int(self._times[first] / _TICK) // _REFERENCE
        symbols, deltas = self._encode(start, last, reference * _REFERENCE)
        head = struct.pack("!HHI", start & 0xFFFF, last - start + 1, (reference & 0xFFFFFF) << 8 | self._count & 0xFF)
        self._count += 1
        self._next = last + 1
        self._times.clear()
        return head + _chunks(symbols) + deltas

    def _encode(self, start: int, last: int, tick: int) -> tuple[list[int], bytes]:
        symbols: list[int] = []
        deltas = bytearray()
        for number in range(start, last + 1):
            at = self._times.get(number)
            if at is None:
                symbols.append(0)
                continue
            delta = int(at / _TICK) - tick
            small = 0 <= delta <= 255
            symbols.append(1 if small else 2)
            delta = delta if small else max(-0x8000, min(0x7FFF, delta))
            deltas += bytes([delta]) if small else struct.pack("!h", delta)
            tick += delta
        return symbols, bytes(deltas)


def _chunks(symbols: list[int]) -> bytes:
    """Run-length chunks for long runs of one symbol, vectors of seven two-bit symbols for the rest."""
    out, at = bytearray(), 0
    while at < len(symbols):
        run = at
        while run < len(symbols) and symbols[run] == symbols[at] and run - at < 0x1FFF:
            run += 1
        if run - at > 7 or run == len(symbols):
            out += struct.pack("!H", symbols[at] << 13 | run - at)
            at = run
            continue
        chunk = 0xC000
        for i, symbol in enumerate(symbols[at:at + 7]):
            chunk |= symbol << (12 - 2 * i)
        out += struct.pack("!H", chunk)
        at += 7
    return bytes(out)
