"""While the gate is shut nothing leaves towards viewers and nothing is recorded (policy: RL1, RL3, RL4)."""

import asyncio

import pytest

from lessons.media import rtcp, rtp
from lessons.media.gate import Gate
from lessons.media.keys import SourceKey
from tests.media.conftest import Room
from tests.media.raw import Camera, Microphone, RawPeer

CAMERA, MICROPHONE = SourceKey("anna", "camera"), SourceKey("anna", "microphone")


async def lesson(room: Room, **viewer: bool) -> tuple[RawPeer, Camera, Microphone, RawPeer]:
    """Anna sends to Ben; the gate is open and the first key frame has arrived."""
    room.route(anna_microphone=["ben"], anna_camera=["ben"])
    anna = await room.sender("anna", rids=False)
    ben = await room.viewer("ben", sources=2, **viewer)
    room.open()
    camera, microphone = Camera(anna), Microphone(anna)
    camera.frame(key=True)
    microphone.frame()
    await ben.until(lambda: len(ben.rtp) == 4)
    return anna, camera, microphone, ben


async def settle(room: Room, peer: RawPeer, microphone: Microphone) -> None:
    """Wait until the plane has read everything sent so far: its proof of sound is as new as this packet."""
    before = room.room.last_media("anna")
    microphone.frame()
    await peer.until(lambda: room.room.last_media("anna") > before)


async def test_nothing_is_delivered_before_the_gate_opens_and_it_is_after(room: Room) -> None:
    room.route(anna_microphone=["ben"], anna_camera=["ben"])
    anna = await room.sender("anna", rids=False)
    ben = await room.viewer("ben", sources=2)
    camera, microphone = Camera(anna), Microphone(anna)
    camera.frame(key=True)
    await settle(room, anna, microphone)
    assert ben.rtp == []
    assert not any(room.record.frames.values())
    room.open()
    camera.frame()                                  # not a key frame: not yet
    await settle(room, anna, microphone)
    camera.frame(key=True)
    await ben.until(lambda: len(ben.rtp) == 4)
    assert [key for _, key, _ in room.record.frames[CAMERA]] == [True]


async def test_a_shut_gate_lets_no_packet_and_no_retransmission_out(room: Room) -> None:
    anna, camera, microphone, ben = await lesson(room)
    picture = rtp.parse(next(p for p in ben.rtp if p[1] & 127 == 96))
    assert picture is not None
    nack = rtcp.nack(picture.ssrc, [picture.sequence])
    ben.send_rtcp(nack)                             # the control: open, it is sent again
    await ben.until(lambda: len(ben.rtp) == 5)
    room.gate.until = float("-inf")                 # the lease ends by itself; nobody calls hold
    ben.send_rtcp(nack)
    camera.frame()
    await settle(room, anna, microphone)
    ben.check()
    responses = ben.responses
    await ben.until(lambda: ben.responses > responses)      # the plane has read the NACK before this check
    assert len(ben.rtp) == 5
    assert len(room.record.frames[CAMERA]) == 1


async def test_after_a_hold_nothing_older_is_sent_again_and_pictures_begin_with_a_key_frame(room: Room) -> None:
    anna, camera, microphone, ben = await lesson(room)
    old = rtp.parse(next(p for p in ben.rtp if p[1] & 127 == 96))
    assert old is not None
    room.gate.until = float("-inf")
    room.room.hold()
    source = room.room._sources[CAMERA]
    assert not any(source.layers[None].ring)
    assert not any(stream._earlier for stream in source.streams)
    room.open()
    ben.send_rtcp(rtcp.nack(old.ssrc, [old.sequence]))
    camera.frame()
    await settle(room, anna, microphone)
    await ben.until(lambda: len(ben.rtp) == 5)      # the sound
    assert all(p[1] & 127 == 111 for p in ben.rtp[4:])
    await anna.until(lambda: any(p[1] == 206 for p in anna.rtcp))       # it was asked for
    camera.frame(key=True)
    await ben.until(lambda: len(ben.rtp) == 8)
    again = rtp.parse(ben.rtp[-3])
    assert again is not None
    assert again.sequence == old.sequence + 3, "the viewer sees no hole"


async def test_what_the_record_refuses_is_not_forwarded(room: Room) -> None:
    anna, camera, microphone, ben = await lesson(room)
    room.record.refuses = True
    camera.frame()
    await settle(room, anna, microphone)
    room.record.refuses = False
    camera.frame()                                  # the record has a hole before it: wait for a key frame
    await settle(room, anna, microphone)
    await ben.until(lambda: len(ben.rtp) == 5)
    camera.frame(key=True)
    await ben.until(lambda: len(ben.rtp) == 8)
    assert [key for _, key, _ in room.record.frames[CAMERA]] == [True, True]


async def test_without_a_record_nothing_is_forwarded(room: Room) -> None:
    room.room.sink = lambda key, codec, layer: None
    room.route(anna_microphone=["ben"])
    anna = await room.sender("anna")
    ben = await room.viewer("ben", sources=1)
    room.open()
    await settle(room, anna, Microphone(anna))
    assert ben.rtp == []


async def test_a_write_that_ends_the_lease_stops_the_very_packet(room: Room) -> None:
    anna, camera, microphone, ben = await lesson(room)
    sink = room.room._sources[MICROPHONE].records[None].sink
    assert sink is not None
    write = sink.write

    def ends(frame: bytes, at_ms: int, key: bool) -> bool:
        room.gate.until = float("-inf")
        return write(frame, at_ms, key)

    sink.write = ends  # type: ignore[method-assign]
    await settle(room, anna, microphone)
    camera.frame(key=True)
    await settle(room, anna, microphone)
    assert len(ben.rtp) == 4


async def test_a_source_without_a_route_is_neither_forwarded_nor_recorded(room: Room) -> None:
    anna, camera, microphone, ben = await lesson(room)
    room.route(anna_camera=["ben"])                 # the microphone is muted
    await settle(room, anna, microphone)
    assert len(ben.rtp) == 4
    assert len(room.record.frames[MICROPHONE]) == 1
    room.route(anna_camera=[], anna_microphone=[])  # recorded only
    camera.frame(key=True)
    await settle(room, anna, microphone)
    assert len(ben.rtp) == 4
    assert len(room.record.frames[MICROPHONE]) == 2
    room.route(anna_camera=["ben"], anna_microphone=["ben"])
    await settle(room, anna, microphone)
    camera.frame(key=True)
    await ben.until(lambda: len(ben.rtp) == 8)
    assert room.room.sending("anna") == {"camera", "microphone"}


async def test_a_packet_that_waited_in_the_kernel_for_over_a_second_is_dropped(room: Room) -> None:
    anna, _camera, microphone, ben = await lesson(room)
    proof = room.room.last_media("anna")
    microphone.frame()
    import time
    time.sleep(1.3)                                 # the loop itself stalls  # noqa: ASYNC251
    await anna.until(lambda: room.room.last_media("anna") > proof)
    assert room.clock.boottime() - room.room.last_media("anna") > 1.2, "it proves no more than when it came"
    assert len(ben.rtp) == 4
    microphone.frame()
    await ben.until(lambda: len(ben.rtp) == 5)


async def test_the_gate_is_asked_again_when_a_slow_viewer_can_take_more(room: Room) -> None:
    from lessons.media.path import TcpPath
    room.route(anna_microphone=["ben"])
    anna = await room.sender("anna", rids=False)
    ben = await room.viewer("ben", sources=1, tcp=True)
    room.open()
    path = room.room._downlinks["ben"].transport.path
    assert isinstance(path, TcpPath)
    real, path._write = path._write, lambda data: 0  # type: ignore[method-assign]
    microphone = Microphone(anna)
    await settle(room, anna, microphone)
    assert len(path._queue) == 1
    room.gate.until = float("-inf")
    path._write = real  # type: ignore[method-assign]
    path._writable()
    ben.check()
    responses = ben.responses
    await ben.until(lambda: ben.responses > responses)
    assert ben.rtp == []


async def test_the_rest_of_a_half_sent_packet_is_blanked(room: Room) -> None:
    from lessons.media.path import TcpPath
    room.route(anna_microphone=["ben"])
    anna = await room.sender("anna", rids=False)
    ben = await room.viewer("ben", sources=1, tcp=True)
    room.open()
    path = room.room._downlinks["ben"].transport.path
    assert isinstance(path, TcpPath)
    real = path._write

    def half(data: bytes) -> int:
        path._write = lambda data: 0  # type: ignore[method-assign]
        return real(data[:20])

    path._write = half  # type: ignore[method-assign]
    microphone = Microphone(anna)
    await settle(room, anna, microphone)
    room.gate.until = float("-inf")
    room.room.hold()
    path._write = real  # type: ignore[method-assign]
    path._writable()
    ben.check()
    responses = ben.responses
    await ben.until(lambda: ben.responses > responses)      # the framing is whole
    assert ben.rtp == []
    room.open()
    await settle(room, anna, microphone)
    await ben.until(lambda: len(ben.rtp) == 1)


async def test_a_gate_that_is_not_asked_is_noticed_by_whoever_watches(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    _anna, camera, _microphone, ben = await lesson(room)
    assert (room.watch.deliveries, room.watch.wrong) == (2, [])
    monkeypatch.setattr(Gate, "permits", lambda gate, now: True)
    room.gate.until = float("-inf")
    camera.frame()
    await ben.until(lambda: len(ben.rtp) == 7)
    assert room.watch.wrong == [f"{CAMERA} to ('ben',): the gate is shut"]
    room.watch.wrong.clear()


async def test_leaving_ends_everything_at_once(room: Room) -> None:
    _anna, camera, microphone, ben = await lesson(room)
    room.room.leave("anna")
    camera.frame(key=True)
    microphone.frame()
    await asyncio.sleep(0)
    room.room.leave("ben")
    assert len(ben.rtp) == 4
    assert room.room.last_media("anna") == float("-inf")
    assert room.room.media_address("anna") is None
