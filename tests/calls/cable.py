"""A network with a school and a trunk at the two ends of a cable, and everything that crosses it."""

import asyncio
import re
import socket
import struct
import subprocess
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import netns
from tests.calls.ears import alaw
from tests.calls.people import PARENT, SCHOOL, TEACHER, TRUNK


@contextmanager
def network() -> Iterator["Trunkside"]:
    """This thread, and what it starts, in a network with the school at 192.0.2.1; beyond a cable, at 192.0.2.2, the trunk's."""
    with netns.entered() as alone:
        assert alone, "these tests need the right to make a network namespace (root, on Linux)"
        beyond = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        try:
            assert beyond.stdout is not None
            beyond.stdout.readline()
            side = Trunkside(beyond.pid)
            subprocess.run(["ip", "link", "set", "lesson1", "netns", str(beyond.pid)], check=True)
            for words in ("link set lo up", f"address add {TRUNK}/24 dev lesson1", "link set lesson1 up",
                          f"route add default via {netns.ADDRESS}"):
                subprocess.run(side.inside(["ip", *words.split()]), check=True)
            yield side
        finally:
            beyond.kill()
            beyond.wait()


@dataclass(frozen=True)
class Trunkside:
    """The network beyond the school's cable."""

    pid: int

    def inside(self, command: list[str]) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command]

    async def listening(self, port: int, kind: str = "udp", seconds: float = 8, address: str = "") -> None:
        """Until something is bound to this port there, of this address or of any."""
        for _ in range(int(seconds / 0.02)):
            if self._has(port, kind, address):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"nothing listens on {address}:{port}")

    def _has(self, port: int, kind: str, address: str) -> bool:
        of = socket.inet_aton(address)[::-1].hex().upper() if address else "[0-9A-F]{8}"
        return re.search(rf": {of}:{port:04X} ", Path(f"/proc/{self.pid}/net/{kind}").read_text()) is not None


@dataclass(frozen=True)
class Packet:
    at: float
    source: tuple[str, int]
    target: tuple[str, int]
    data: bytes


class Cable:
    """Everything that crosses between the school and its trunk, as tcpdump wrote it down."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def __aenter__(self) -> "Cable":
        self.process = await asyncio.create_subprocess_exec(
            "tcpdump", "-i", "lesson0", "-U", "-w", str(self.path), "--immediate-mode", "ip", stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        while b"listening" not in await self.process.stderr.readline():
            pass
        return self

    async def __aexit__(self, *ended: object) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    @property
    def packets(self) -> list[Packet]:
        """UDP as it was, and the payload of TCP, each with its ends."""
        data, at, found = self.path.read_bytes(), 24, []
        while at + 16 <= len(data):
            seconds, micros, size, _ = struct.unpack_from("<IIII", data, at)
            frame, at = data[at + 16:at + 16 + size], at + 16 + size
            if len(frame) < 34 or frame[12:14] != b"\x08\x00":
                continue
            head = 14 + (frame[14] & 15) * 4
            ends = struct.unpack_from("!HH", frame, head)
            start = head + (8 if frame[23] == socket.IPPROTO_UDP else (frame[head + 12] >> 4) * 4)
            payload = frame[start:14 + int.from_bytes(frame[16:18], "big")]
            source, target = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
            found.append(Packet(seconds + micros / 1e6, (source, ends[0]), (target, ends[1]), payload))
        return found

    @property
    def sip(self) -> str:
        """Every SIP message, in order."""
        return "\n".join(each.data.decode(errors="replace") for each in self.packets
                         if _is_sip(each.data))

    async def until(self, seen: Callable[[str], bool], seconds: float = 8) -> None:
        """Until what SIP says on the cable is as wanted."""
        for _ in range(int(seconds / 0.05)):
            if seen(self.sip):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(self.sip)

    @property
    def sent(self) -> str:
        """The SIP messages that we sent."""
        return "\n".join(each.data.decode(errors="replace") for each in self.packets
                         if each.target[0] == TRUNK and _is_sip(each.data))

    @property
    def trace(self) -> str:
        """Every byte that is not sound, as far as it is text."""
        return "\n".join(each.data.decode(errors="replace") for each in self.packets if not _is_rtp(each.data))

    def sound(self, to: str = TRUNK, since: float = 0.0, until: float = 1e12) -> "array[int]":
        """What was sent to an address as G.711 A-law, decoded."""
        packets = [each for each in self.packets if each.target[0] == to and since <= each.at <= until and _is_rtp(each.data)]
        return alaw(b"".join(each.data[12:] for each in packets if each.data[1] & 127 == 8))

    def events(self) -> list[tuple[int, bytes]]:
        """Timestamp and payload of every telephone event that the trunk was sent."""
        return [(int.from_bytes(each.data[4:8], "big"), each.data[12:]) for each in self.packets
                if each.target[0] == TRUNK and _is_rtp(each.data) and each.data[1] & 127 == 101]


def leg_of(cable: Cable, call_id: str, address: str) -> str:
    """Every byte of one leg of a bridge that is not sound: its SIP, and all that its telephone was sent or sent us."""
    return "\n".join(each.data.decode(errors="replace") for each in cable.packets if (
        call_id.encode() in each.data if _is_sip(each.data)
        else address in (each.source[0], each.target[0]) and not _is_rtp(each.data)))


def _is_sip(data: bytes) -> bool:
    return re.match(rb"SIP/2\.0 |[A-Z]+ sips?:", data) is not None


def _is_rtp(data: bytes) -> bool:
    return len(data) >= 12 and data[0] >> 6 == 2 and data[1] & 127 in (0, 8, 101)


def leaks(trace: str, names: tuple[str, ...] = TEACHER) -> list[str]:
    """What a trace of the trunk's side has that it must not: the teacher, a number that is nobody's here, a private address."""
    found = [name for name in names if name.lower() in trace.lower()]
    digits = {number for number in re.findall(r"\+?\d{11,13}(?=@)", trace) if number not in (SCHOOL, PARENT)}
    return found + sorted(digits) + sorted(set(re.findall(r"127\.0\.0\.\d+|janus|msid|candidate|fingerprint", trace, re.I)))
