"""What the server's media port sends, seen on the wire itself and timed by the kernel: nothing a page says can hide it."""

import socket
import struct
import threading
import time
from dataclasses import dataclass

_EVERY_PROTOCOL, _OUTGOING = 3, 4
_SO_TIMESTAMPNS = 35


@dataclass(frozen=True)
class Packet:
    """One RTP packet from the server: when (seconds since 1970), to which port, its payload type, its size."""

    at: float
    port: int
    payload_type: int
    size: int


class Wire:
    """Listens on loopback, where everything between programs of one machine passes. Needs the right to (CAP_NET_RAW)."""

    def __init__(self, media_port: int) -> None:
        self.media_port = media_port
        self.packets: list[Packet] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERY_PROTOCOL))
        self._socket.bind(("lo", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.settimeout(0.2)
        self._ended = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._ended:
            try:
                content, said, _flags, source = self._socket.recvmsg(256, 64)
            except TimeoutError:
                continue
            if source[2] != _OUTGOING:  # each packet passes twice
                at = next((_seconds(value) for _level, kind, value in said if kind == _SO_TIMESTAMPNS), time.time())
                self._keep(content, at)

    def _keep(self, content: bytes, at: float) -> None:
        version = content[0] >> 4
        start = (content[0] & 15) * 4 if version == 4 else 40
        protocol = content[9] if version == 4 else content[6]
        if protocol != 17 or len(content) < start + 10:
            return
        source, target, size = struct.unpack_from("!HHH", content, start)
        first, second = content[start + 8], content[start + 9]
        if source == self.media_port and 127 < first < 192 and not 191 < second < 224:
            self.packets.append(Packet(at, target, second & 127, size - 8))

    def after(self, moment: float) -> list[Packet]:
        """RTP from the server later than `moment`, retransmissions included."""
        return [packet for packet in self.packets if packet.at > moment]

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._socket.close()


def _seconds(timespec: bytes) -> float:
    seconds, nanoseconds = struct.unpack("@qq", timespec)
    return float(seconds + nanoseconds / 1e9)
