"""T18: one client learns another's network address, and with it where a child lives. Every client here has an address of its own,
and everything that the server sends to it is kept: words, descriptions, packets."""

import asyncio
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from lessons.media import rtp
from lessons.media.addresses import Announcement
from lessons.media.plane import MediaRoom
from lessons.media.uplink import Uplink
from tests.media.raw import RawPeer, offer
from tests.threats.attack import Guard, guarded_by, harm
from tests.threats.modified import Modified
from tests.threats.side_by_side import Beside, in_each, lessons

LESSONS, MEETINGS = (10, 34) if os.environ.get("CHAPERONE_PROOF") == "full" else (1, 1)
"""Of three clients each: more than a thousand joins."""


class At(RawPeer):
    """A peer at an address of its own, that keeps every datagram it gets, as it came and in plain text."""

    def __init__(self, address: str) -> None:
        super().__init__(address=address)
        self.datagrams: list[bytes] = []

    def _received(self, datagram: bytes, at: float) -> None:
        self.datagrams.append(datagram)
        super()._received(datagram, at)


def client(page: Any, address: str) -> Modified:
    """One that offers its own address wherever a description or a packet has room for it."""
    made = Modified(page, At(address), At(address))
    made.offer = offer(made.up.certificate, extra=f"a=candidate:1 1 udp 2122260223 {address} 50000 typ host\r\n").replace(
        "o=- 1 2 IN IP4 127.0.0.1", f"o=- 1 2 IN IP4 {address}")
    return made


def address_of(one: Modified) -> str:
    assert isinstance(one.up, At)
    return one.up.address


def everything_told(one: Modified) -> tuple[str, list[bytes]]:
    assert isinstance(one.up, At)
    assert isinstance(one.down, At)
    return str(one.page.told), [*one.up.datagrams, *one.down.datagrams, *one.up.rtcp, *one.down.rtp, *one.down.rtcp]


def boast(one: Modified) -> None:
    """Its address in a header extension and in a source description (RFC 3550 6.5)."""
    one.microphone.more = {9: socket.inet_aton(address_of(one))}
    name = address_of(one).encode()
    item = bytes([1, len(name)]) + name
    body = struct.pack("!I", 0x2222) + item + bytes(4 - len(item) % 4)
    one.up.send_rtcp(struct.pack("!BBH", 0x81, 202, len(body) // 4) + body)


def candidates_of_everybody(patch: pytest.MonkeyPatch) -> None:
    """As a server that passes candidates on."""
    def announce(room: MediaRoom, addresses: Any) -> Announcement:
        others = [found for peer in room._uplinks if (found := room.media_address(peer))]
        return Announcement([*addresses, *others], room.port.number)

    patch.setattr(MediaRoom, "announce", announce)


def header_of_the_sender(patch: pytest.MonkeyPatch) -> None:
    """As a server that passes the header extensions of a packet on."""
    heard, write, block = Uplink._rtp, rtp.audio, bytearray()

    def keeping(up: Uplink, content: Any, received: float) -> None:
        packet, at = bytes(content), 12
        block[:] = packet[at:at + 4 + 4 * packet[at + 3]] if packet[0] & 0x10 else b""
        heard(up, content, received)

    def with_it(*fields: Any) -> bytes:
        packet = write(*fields)
        return bytes([packet[0] | 0x10 * bool(block)]) + packet[1:12] + block + packet[12:]

    patch.setattr(Uplink, "_rtp", keeping)
    patch.setattr(rtp, "audio", with_it)


@pytest.mark.proof
@guarded_by(Guard("descriptions name the server alone", candidates_of_everybody),
            Guard("packets get a header of the server's own", header_of_the_sender))
async def test_nothing_that_a_client_is_sent_holds_another_client_s_address(tmp_path: Path, attempt: Any) -> None:
    async with lessons(tmp_path / "data", LESSONS) as made:
        with attempt:
            await in_each(made, _meet_again_and_again)


async def _meet_again_and_again(lesson: Beside) -> None:
    for _ in range(MEETINGS):
        pages = [await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)]
        clients = [client(page, f"127.0.{71 + lesson.number}.{71 + number}") for number, page in enumerate(pages)]
        try:
            await _meet(clients)
        finally:
            await asyncio.gather(*(each.close() for each in clients))
        for each in clients:
            words, datagrams = everything_told(each)
            for other in clients:
                address = address_of(other)
                harm(other is not each and (address in words or any(
                    address.encode() in one or socket.inet_aton(address) in one for one in datagrams)),
                     "the address of another client")


async def _meet(clients: list[Modified]) -> None:
    for each in clients:
        await each.page.until(lambda each=each: each.page.last("state") and each.page.state["room"] == "open", 30)  # type: ignore[misc]
    for each in clients:
        each.speaks = True
        each.page.say("microphone", on=True)
        boast(each)
    for each in clients:
        await each.page.until(lambda each=each: len(each.page.told) and len(  # type: ignore[misc]
            [s for s in each.page.last("subscribe")["streams"] if s["source"] == "microphone"]) == len(clients) - 1, 20)
        heard = len(each.down.rtp)
        await each.down.until(lambda each=each, heard=heard: len(each.down.rtp) > heard + 5)  # type: ignore[misc]
