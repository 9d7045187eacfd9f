"""Malformed and forged packets are dropped in silence: no exception reaches the loop, no memory grows, nobody is harmed."""

import logging
import random
import struct

import pytest

from lessons.media import rtcp
from lessons.media.keys import SourceKey
from tests.media.conftest import Room
from tests.media.raw import AUDIO, VIDEO, Camera, Microphone, RawPeer, packet
from tests.media.test_gate import lesson

MICROPHONE = SourceKey("anna", "microphone")


def corpus(seed: int, count: int = 300) -> list[bytes]:
    """Every first byte that means something, with broken rests."""
    chance = random.Random(seed)
    heads = [b"", b"\x00", b"\x00\x01\x00\x00", b"\x00\x01\xff\xff\x21\x12\xa4\x42" + bytes(12), b"\x16",
             b"\x16\xfe\xfd" + bytes(40),
             b"\x80\x6f", b"\x90\x60" + bytes(10) + b"\xbe\xde\xff\xff", b"\x80\xc8\xff\xff", b"\xbf\xe0" + bytes(30)]
    return [chance.choice(heads) + chance.randbytes(chance.randrange(60)) for _ in range(count)]


async def still_works(room: Room, anna: RawPeer, microphone: Microphone, ben: RawPeer) -> None:
    count = len(ben.rtp)
    microphone.frame()
    await ben.until(lambda: len(ben.rtp) > count)


@pytest.fixture
def no_errors(caplog: pytest.LogCaptureFixture) -> None:
    """The test fails when anything was logged as an error."""
    caplog.set_level(logging.ERROR)
    yield
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


@pytest.mark.usefixtures("no_errors")
async def test_noise_from_strangers_changes_nothing(room: Room) -> None:
    anna, _camera, microphone, ben = await lesson(room)
    stranger = RawPeer()
    room.raw.append(stranger)
    stranger.open("127.0.0.1", room.plane.port)
    for datagram in corpus(1):
        stranger.send(datagram)
    await still_works(room, anna, microphone, ben)
    assert len(room.plane.sockets._paths) == 2
    assert stranger.responses == 0


@pytest.mark.usefixtures("no_errors")
async def test_noise_on_an_admitted_path_changes_nothing(room: Room) -> None:
    anna, _camera, microphone, ben = await lesson(room)
    for datagram in corpus(2):
        anna.send(datagram)
    await still_works(room, anna, microphone, ben)


@pytest.mark.usefixtures("no_errors")
async def test_noise_over_tcp_changes_nothing(room: Room) -> None:
    anna, _camera, microphone, ben = await lesson(room)
    for datagram in corpus(3, 40):
        stranger = RawPeer(tcp=True)
        room.raw.append(stranger)
        stranger.open("127.0.0.1", room.plane.port)
        stranger.sock.send(datagram or b"\x00\x00")
        stranger.close()
    await still_works(room, anna, microphone, ben)


@pytest.mark.usefixtures("no_errors")
async def test_authentic_but_malformed_rtp_is_dropped(room: Room) -> None:
    anna, camera, microphone, ben = await lesson(room)
    count = len(ben.rtp)
    good = packet(VIDEO, camera.sequence, 1, camera.ssrc, b"")
    for broken in (
        bytes([good[0] | 0x20]) + good[1:] + b"\x00",                # padding of nothing
        bytes([good[0] | 0x20]) + good[1:] + b"\xff",                # padding longer than the packet
        bytes([good[0] | 0x10]) + good[1:] + struct.pack("!HH", 0xBEDE, 1) + b"\x15\x00\x00\x00",   # an element too long
        packet(VIDEO, camera.sequence, 1, camera.ssrc, b"\x90"),     # a descriptor that ends
        packet(VIDEO, camera.sequence, 1, camera.ssrc, b"\x90\xff\xff"),
        packet(AUDIO, camera.sequence, 1, camera.ssrc, b"sound on the picture's source"),
        packet(99, 1, 1, 0x7777, b"an unknown source"),
        packet(VIDEO, 1, 1, 0x7778, b"\x90\x80\x01\x10", elements={1: b"9"}),        # an unknown mid
        packet(VIDEO, 1, 1, 0x7779, b"\x90\x80\x01\x10", elements={1: b"\xff\xfe"}),
    ):
        anna.send_rtp(broken)
    await still_works(room, anna, microphone, ben)
    assert len(ben.rtp) == count + 1
    camera.sequence += 3
    camera.frame(key=True)


@pytest.mark.usefixtures("no_errors")
async def test_authentic_but_malformed_rtcp_is_dropped(room: Room) -> None:
    anna, _camera, microphone, ben = await lesson(room)
    chance = random.Random(4)
    for peer in (anna, ben):
        for kind in (200, 201, 202, 203, 204, 205, 206, 207):
            for _ in range(20):
                body = chance.randbytes(4 * chance.randrange(1, 12))
                words = chance.choice((len(body) // 4, 0, 0xFFFF, 1))
                peer.send_rtcp(struct.pack("!BBH", 0x80 | chance.randrange(64), kind, words) + body)
    await still_works(room, anna, microphone, ben)


@pytest.mark.usefixtures("no_errors")
async def test_a_viewer_cannot_make_others_pay_by_asking(room: Room) -> None:
    anna, _camera, microphone, ben = await lesson(room)
    source = room.room._sources[SourceKey("anna", "camera")]
    before = sum(p[1] == 206 for p in anna.rtcp)
    for _ in range(50):
        ben.send_rtcp(rtcp.picture_loss(source.ssrc))
        ben.send_rtcp(rtcp.nack(source.ssrc, range(5000, 5400)))
        ben.send_rtcp(rtcp.nack(12345, range(17)))
    await still_works(room, anna, microphone, ben)
    assert sum(p[1] == 206 for p in anna.rtcp) - before <= 2


async def test_pictures_on_the_microphones_source_are_no_sound(room: Room) -> None:
    anna, _camera, microphone, ben = await lesson(room)
    count, proof = len(ben.rtp), room.room.last_media("anna")
    anna.send_rtp(packet(VIDEO, microphone.sequence, microphone.timestamp, microphone.ssrc, b"x" * 40))
    anna.check()
    responses = anna.responses
    await anna.until(lambda: anna.responses > responses)
    assert len(ben.rtp) == count
    assert room.room.last_media("anna") == proof
    assert len(room.record.frames[MICROPHONE]) == 1


async def test_asking_for_everything_again_has_an_end(room: Room) -> None:
    anna, _camera, microphone, ben = await lesson(room)
    source = room.room._sources[MICROPHONE]
    sound = next(p for p in ben.rtp if p[1] & 127 == AUDIO)
    down = room.room._downlinks["ben"]
    down._repeats_left = 5
    sent = down.transport.bytes_sent
    ben.send_rtcp(b"".join(rtcp.nack(source.ssrc, [sound[2] << 8 | sound[3]]) for _ in range(20)))
    await still_works(room, anna, microphone, ben)
    assert 0 < down.transport.bytes_sent - sent <= 5 * (len(sound) + 16) + 400


async def test_a_sender_cannot_fill_memory_with_sources(room: Room) -> None:
    anna, _camera, microphone, ben = await lesson(room)
    for ssrc in range(0x9000, 0x9000 + 300):
        anna.send_rtp(packet(AUDIO, 1, 1, ssrc, b"x", elements={1: b"0"}))
    up = room.room._uplinks["anna"].transport
    await anna.until(lambda: up.refused > 200)
    assert len(up._ssrcs) <= 64
    await still_works(room, anna, microphone, ben)


async def test_an_endless_frame_and_an_endless_gap_stay_bounded(room: Room) -> None:
    anna, camera, microphone, ben = await lesson(room)
    layer = room.room._sources[SourceKey("anna", "camera")].layers[None]
    for i in range(1500):
        camera.send(b"\x80\xe0\x81\x2d\x07\x00" + b"z" * 20 if i else b"\x90\xe0\x81\x2d\x07\x00\x11" + b"z", marker=False)
        if i % 100 == 0:
            await still_works(room, anna, microphone, ben)
    camera.sequence += 500
    for _ in range(60):
        camera.frame()
    await still_works(room, anna, microphone, ben)
    assert len(layer.frames._order.waiting) <= 1024
    assert len(layer._missing) <= 400
    assert len(layer.frames._parts) <= 1024  # type: ignore[union-attr]


async def test_one_peers_numbers_may_start_anew(room: Room) -> None:
    _anna, camera, _microphone, ben = await lesson(room)
    camera.sequence = 40_000
    camera.frame()
    camera.frame(key=True)
    await ben.until(lambda: len(ben.rtp) == 7)


async def test_forged_sources_of_another_peer_go_nowhere(room: Room) -> None:
    _anna, _camera, _microphone, ben = await lesson(room)
    carl = await room.sender("carl", rids=False)
    count = len(ben.rtp)
    Camera(carl, ssrc=0x1111).frame(key=True)       # Anna's numbers, on Carl's connection
    Microphone(carl, ssrc=0x2222).frame()
    await carl.until(lambda: room.room.last_media("carl") > float("-inf"))
    assert len(ben.rtp) == count
