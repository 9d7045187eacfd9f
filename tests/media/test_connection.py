"""ICE, DTLS and consent: who is connected, since when, and from where."""

import contextlib
import math
import re

import pytest

from lessons.media import adapter, batch, plain
from lessons.media import plane as plane_module
from lessons.media.path import Priority, TcpPath, UdpPath
from service.foundation.clock import SystemClock
from tests.media.conftest import Room
from tests.media.raw import Camera, Microphone, RawPeer, offer


async def test_sound_that_was_authenticated_is_the_only_proof_of_presence(room: Room) -> None:
    anna = await room.sender("anna", rids=False)
    assert room.room.last_media("anna") == -math.inf, "neither STUN nor DTLS"
    anna.send_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x09")
    Camera(anna).frame(key=True)
    await anna.until(lambda: room.room.sending("anna") == {"camera"})
    assert room.room.last_media("anna") == -math.inf, "neither RTCP nor pictures"
    forged = bytearray(Session_protect(anna))
    forged[-1] ^= 1
    anna.send(bytes(forged))
    anna.check()
    responses = anna.responses
    await anna.until(lambda: anna.responses > responses)
    assert room.room.last_media("anna") == -math.inf, "nor a packet that fails its tag"
    Microphone(anna).frame()
    await anna.until(lambda: room.room.last_media("anna") > -math.inf)
    assert 0 <= room.clock.boottime() - room.room.last_media("anna") < 2
    assert room.room.media_address("anna") == "127.0.0.1"
    assert room.room.bytes_received("anna") > 0


def Session_protect(peer: RawPeer) -> bytes:
    from tests.media.raw import packet
    return peer.sessions[1].protect(packet(111, 3, 3, 0x2222, b"sound", elements={1: b"0"}))


async def test_a_replayed_sound_packet_proves_nothing(room: Room) -> None:
    anna = await room.sender("anna")
    caught: list[bytes] = []
    send = anna.send
    anna.send = lambda datagram: (caught.append(datagram), send(datagram))[1]  # type: ignore[method-assign, func-returns-value]
    Microphone(anna).frame()
    await anna.until(lambda: room.room.last_media("anna") > -math.inf)
    proof = room.room.last_media("anna")
    send(caught[0])
    anna.check()
    responses = anna.responses
    await anna.until(lambda: anna.responses > responses)
    assert room.room.last_media("anna") == proof


async def test_a_path_without_checks_for_30_seconds_is_dead(frozen: Room) -> None:
    frozen.route(anna_microphone=["ben"])
    anna = await frozen.sender("anna")
    ben = await frozen.viewer("ben", sources=1)
    frozen.open()
    microphone = Microphone(anna)
    microphone.frame()
    await ben.until(lambda: len(ben.rtp) == 1)
    frozen.clock.advance(20)
    anna.check()
    responses = anna.responses
    await anna.until(lambda: anna.responses > responses)
    frozen.clock.advance(15)
    frozen.room._each_second(frozen.clock.boottime())
    down, up = frozen.room._downlinks["ben"].transport, frozen.room._uplinks["anna"].transport
    assert up.path is not None, "checked 15 s ago"
    assert down.path is None, "checked 35 s ago"
    sent = frozen.room.bytes_sent("ben")
    microphone.frame()
    await anna.until(lambda: len(frozen.record.frames[next(iter(frozen.record.frames))]) == 2)
    assert frozen.room.bytes_sent("ben") == sent
    await ben.until(lambda: len(frozen.offers["ben"]) > 1 and "ice-ufrag" in frozen.offers["ben"][-1].sdp)
    names = [re.search(r"a=ice-ufrag:(\S+)", o.sdp)[1] for o in frozen.offers["ben"]]  # type: ignore[index]
    assert names[-1] != names[0], "an ICE restart is offered"


async def test_the_strongest_cipher_is_chosen(room: Room) -> None:
    anna = await room.sender("anna")
    assert room.room._uplinks["anna"].transport.keys.profile == "SRTP_AEAD_AES_256_GCM"  # type: ignore[union-attr]
    assert anna.responses


async def test_a_peer_that_knows_only_the_old_cipher_is_heard(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.room.join("anna")
    peer = RawPeer()
    room.raw.append(peer)
    sdp = await room.room.publish("anna", offer(peer.certificate))
    before = adapter.PROFILES
    adapter.PROFILES = before[1:]  # type: ignore[misc, assignment]
    try:
        await peer.connect(sdp)
    finally:
        adapter.PROFILES = before  # type: ignore[misc]
    Microphone(peer).frame()
    await peer.until(lambda: room.room.last_media("anna") > -math.inf)
    assert room.room._uplinks["anna"].transport.keys.profile == "SRTP_AES128_CM_SHA1_80"  # type: ignore[union-attr]


async def test_a_certificate_that_the_offer_did_not_name_is_turned_away(room: Room) -> None:
    room.room.join("anna")
    peer = RawPeer()
    room.raw.append(peer)
    sdp = await room.room.publish("anna", offer(adapter.certificate()))
    with contextlib.suppress(ConnectionError):
        await peer.connect(sdp)
    up = room.room._uplinks["anna"].transport
    await peer.until(lambda: up.closed)
    assert up.keys is None


async def test_a_check_with_a_wrong_password_gets_no_answer(room: Room) -> None:
    room.room.join("anna")
    peer = RawPeer()
    room.raw.append(peer)
    sdp = await room.room.publish("anna", offer(peer.certificate))
    await peer.connect(sdp)
    responses = peer.responses
    peer.check(password=b"guess")
    peer.check()
    await peer.until(lambda: peer.responses > responses)
    assert peer.responses == responses + 1


async def test_media_moves_with_a_nominated_check_from_a_new_address(room: Room) -> None:
    anna = await room.sender("anna")
    up = room.room._uplinks["anna"].transport
    first = up.path
    other = RawPeer()
    room.raw.append(other)
    other.ufrag, other.password = anna.ufrag, anna.password
    other.open("127.0.0.1", room.plane.port)
    other.check(nominate=False)
    await other.until(lambda: other.responses == 1)
    assert up.path is first, "a check that nominates nothing moves nothing"
    other.check()
    await other.until(lambda: other.responses == 2)
    assert up.path is not first
    assert isinstance(up.path, UdpPath)


async def test_a_peer_with_udp_blocked_publishes_and_watches_over_tcp(room: Room) -> None:
    room.route(anna_microphone=["ben"], anna_camera=["ben"])
    anna = await room.sender("anna", tcp=True, rids=False)
    ben = await room.viewer("ben", tcp=True, sources=2)
    assert isinstance(room.room._uplinks["anna"].transport.path, TcpPath)
    room.open()
    camera, microphone = Camera(anna), Microphone(anna)
    for _ in range(5):
        microphone.frame()
    camera.frame(key=True)
    await ben.until(lambda: len(ben.rtp) == 8)
    assert room.clock.boottime() - room.room.last_media("anna") < 2


async def test_a_slow_tcp_viewer_loses_pictures_until_a_key_frame_and_keeps_sound(room: Room) -> None:
    room.route(anna_microphone=["ben"], anna_camera=["ben"])
    anna = await room.sender("anna", rids=False)
    ben = await room.viewer("ben", tcp=True, sources=2)
    room.open()
    camera, microphone = Camera(anna), Microphone(anna)
    camera.frame(key=True)
    await ben.until(lambda: len(ben.rtp) == 3)
    path = room.room._downlinks["ben"].transport.path
    assert isinstance(path, TcpPath)
    real, path._write = path._write, lambda data: 0  # type: ignore[method-assign]
    camera.frame()
    await anna.until(lambda: sum(item.priority == Priority.VIDEO for item in path._queue) == 3)
    path._queue[0].since = path._loop.time() - 0.2  # older than a picture may be, younger than sound may be
    camera.frame()
    microphone.frame()
    await anna.until(lambda: any(item.priority == Priority.AUDIO for item in path._queue))
    assert path.dropped[Priority.VIDEO] == 1
    path._write = real  # type: ignore[method-assign]
    path._writable()
    camera.frame()
    await ben.until(lambda: len(ben.rtp) == 7)
    camera.frame(key=True)
    await ben.until(lambda: len(ben.rtp) == 10)


async def test_a_tcp_connection_that_ends_ends_its_path_at_once(room: Room) -> None:
    room.route(anna_microphone=["ben"])
    await room.sender("anna")
    ben = await room.viewer("ben", tcp=True, sources=1)
    stream = room.room._downlinks["ben"].streams[0]
    assert stream in stream.source.streams
    ben.close()
    await ben.until(lambda: room.room._downlinks["ben"].transport.path is None)
    assert stream not in stream.source.streams


async def test_an_idle_tcp_connection_that_never_proves_itself_may_not_send_much(room: Room) -> None:
    peer = RawPeer(tcp=True)
    room.raw.append(peer)
    peer.open("127.0.0.1", room.plane.port)
    await peer.until(lambda: len(room.plane.sockets._connections) == 1)
    for _ in range(5):
        peer.sock.send(b"\x07\xff" + b"x" * 1022)
    await peer.until(lambda: not room.plane.sockets._connections)
    peer = RawPeer(tcp=True)
    room.raw.append(peer)
    peer.open("127.0.0.1", room.plane.port)
    peer.sock.send(b"\xff\xff")                     # a frame longer than any packet
    await peer.until(lambda: not room.plane.sockets._connections)


async def test_the_other_sides_goodbye_ends_the_connection(room: Room) -> None:
    anna = await room.sender("anna")
    await anna._dtls.close()
    await anna.until(lambda: room.room._uplinks["anna"].transport.closed)


async def test_addresses_that_come_and_go_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    here = ["192.0.2.200"]                          # not on this machine: passed over, not fatal
    monkeypatch.setattr(plane_module, "of_this_machine", lambda: here)
    monkeypatch.setattr(plane_module, "is_loopback", lambda address: address in ("127.0.0.1", "::1"))
    plane = await plane_module.Plane.start(port=0, clock=SystemClock())
    try:
        assert plane.announced == []
        here[:] = ["127.0.0.2", "127.0.0.3"]
        plane.follow_addresses()
        assert plane.announced == ["127.0.0.2", "127.0.0.3"]
        here[:] = ["127.0.0.3"]
        plane.follow_addresses()
        assert plane.announced == ["127.0.0.3"]
        assert "127.0.0.2" not in plane.sockets.bound
        assert "127.0.0.1" in plane.sockets.bound
    finally:
        await plane.close()


async def test_without_batched_calls_everything_goes_on_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "available", lambda: False)
    clock = SystemClock()
    room = Room(await plane_module.Plane.start(port=0, addresses=["127.0.0.1"], clock=clock), clock)
    try:
        assert isinstance(room.plane.sockets.outbox, plain.Outbox)
        room.route(anna_microphone=["ben", "carl"], anna_camera=["ben", "carl"])
        anna = await room.sender("anna", rids=False)
        ben, carl = await room.viewer("ben", sources=2), await room.viewer("carl", sources=2)
        room.open()
        Camera(anna).frame(key=True)
        Microphone(anna).frame()
        await ben.until(lambda: len(ben.rtp) == len(carl.rtp) == 4)
    finally:
        await room.close()


def test_the_borrowed_names_are_all_there() -> None:
    adapter.assert_contract()


def test_a_missing_private_name_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = adapter.dtls.RTCDtlsTransport._set_role
    try:
        del adapter.dtls.RTCDtlsTransport._set_role
        with pytest.raises(adapter.ContractBroken, match="_set_role"):
            adapter.assert_contract.__wrapped__()  # as in a process that starts
    finally:
        adapter.dtls.RTCDtlsTransport._set_role = saved
