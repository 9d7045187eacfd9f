"""Simulcast: the viewer's network chooses the layer, and a switch leaves no seam (RFC 7741, RFC 8853)."""

import asyncio
import itertools

from lessons.media import rtcp, rtp, vp8
from lessons.media.keys import SourceKey
from lessons.media.quality import Level
from tests.media.conftest import Room
from tests.media.raw import Camera, RawPeer
from tests.media.test_repair import pictures

CAMERA = SourceKey("anna", "camera")


def report(peer: RawPeer, camera: Camera, ntp: float, timestamp: int) -> None:
    peer.send_rtcp(rtcp.sender_report(camera.ssrc, int(ntp * (1 << 32)), timestamp, 0, 0))


async def two_layers(room: Room) -> tuple[RawPeer, Camera, Camera, RawPeer]:
    room.route(anna_camera=["ben"])
    anna = await room.sender("anna")
    ben = await room.viewer("ben", sources=1)
    room.open()
    low = Camera(anna, rid="l", ssrc=0x1111, start=100, timestamp=5_000, picture=300)
    high = Camera(anna, rid="h", ssrc=0x3333, start=60_000, timestamp=900_000, picture=5_000)
    report(anna, low, 1000.0, low.timestamp)        # both layers show the same moment at these timestamps
    report(anna, high, 1000.0, high.timestamp)
    low.frame(key=True)
    high.frame(key=True)
    await ben.until(lambda: len(pictures(ben)) >= 3)
    return anna, low, high, ben


async def settle_on(room: Room, ben: RawPeer, rid: str) -> None:
    room.room._sources[CAMERA].choose_layers()
    stream = room.room._downlinks["ben"]._by_key[CAMERA]
    await ben.until(lambda: stream.want is not None and stream.want.rid == rid)


async def test_the_best_layer_is_recorded_and_both_serve_viewers(room: Room) -> None:
    _anna, low, high, ben = await two_layers(room)
    await settle_on(room, ben, "h")
    low.frame(key=True)
    high.frame(key=True)
    low.frame()
    high.frame()
    source = room.room._sources[CAMERA]
    await ben.until(lambda: source.best is not None and source.best.rid == "h")
    await ben.until(lambda: high.picture & 255 == pictures(ben)[-1].payload[-1])
    recorded = [content[-1] for _, _, content in room.record.frames[CAMERA]]
    assert recorded[-1] == high.picture & 255


async def test_a_switch_leaves_no_seam_in_numbers_pictures_and_time(room: Room) -> None:
    _anna, low, high, ben = await two_layers(room)
    down = room.room._downlinks["ben"]
    for rid, level in (("h", Level.LARGE), ("l", Level.SMALL), ("h", Level.LARGE)):
        down.quality.ceiling = level
        await settle_on(room, ben, rid)
        for key in (True, False, False):
            low.frame(key=key)
            high.frame(key=key)
            await asyncio.sleep(0)
        wanted = high if rid == "h" else low
        await ben.until(lambda wanted=wanted: pictures(ben)[-1].payload[-1] == wanted.picture & 255)  # type: ignore[misc]
    seen = pictures(ben)
    assert [p.sequence - seen[0].sequence for p in seen] == list(range(len(seen)))
    frames = {p.timestamp: vp8.parse(p.payload) for p in seen}
    times = list(frames)
    assert all(0 < b - a <= 4 * 6000 for a, b in itertools.pairwise(times)), times
    numbers = [d.picture for d in frames.values() if d]
    assert [n - numbers[0] for n in numbers] == list(range(len(numbers)))
    tl0 = [d.tl0 for d in frames.values() if d]
    assert [(n - tl0[0]) & 255 for n in tl0] == list(range(len(tl0)))


async def test_a_repetition_after_a_switch_is_the_packet_the_viewer_missed(room: Room) -> None:
    _anna, low, high, ben = await two_layers(room)
    before = pictures(ben)[0]
    down = room.room._downlinks["ben"]
    rid = down._by_key[CAMERA].segment.layer.rid  # type: ignore[union-attr]
    down.quality.ceiling = Level.SMALL if rid == "h" else Level.LARGE
    await settle_on(room, ben, "l" if rid == "h" else "h")
    low.frame(key=True)
    high.frame(key=True)
    await ben.until(lambda: len(pictures(ben)) >= 6)
    after = pictures(ben)[-1]
    ben.send_rtcp(rtcp.nack(before.ssrc, [before.sequence, after.sequence]))
    await ben.until(lambda: sum(p[1] & 127 == 97 for p in ben.rtp) == 2)
    again = [rtp.original(p) for p in map(rtp.parse, ben.rtp) if p is not None and p.payload_type == 97]
    assert again == [(before.sequence, before.payload), (after.sequence, after.payload)]


async def test_sound_only_stops_pictures_at_once_and_they_come_back(room: Room) -> None:
    anna, low, high, ben = await two_layers(room)
    room.room.sound_only("ben", True)
    count = len(pictures(ben))
    low.frame(key=True)
    high.frame(key=True)
    source = room.room._sources[CAMERA]
    heard = len(room.record.frames[CAMERA])
    await ben.until(lambda: len(room.record.frames[CAMERA]) > heard)        # still recorded
    assert len(pictures(ben)) == count
    room.room.sound_only("ben", False)
    await anna.until(lambda: any(p[1] == 206 for p in anna.rtcp))
    source.choose_layers()
    low.frame(key=True)
    high.frame(key=True)
    await ben.until(lambda: len(pictures(ben)) > count)


async def test_many_pictures_are_sent_small(room: Room) -> None:
    _anna, _low, _high, _ben = await two_layers(room)
    down = room.room._downlinks["ben"]
    assert down.layer_order() == ("h", "l")
    for i in range(5):
        room.room.join(f"p{i}")
        down.route(room.room.source(f"p{i}", "camera"), True)
    assert down.layer_order() == ("l", "h")


async def test_a_sender_that_begins_again_goes_on_in_the_same_stream(room: Room) -> None:
    _anna, low, _high, ben = await two_layers(room)
    again = await room.sender("anna", session=2)
    camera = Camera(again, rid="l", ssrc=0x9999, start=7, timestamp=70, picture=1)
    count = len(pictures(ben))
    camera.frame(key=True)
    await ben.until(lambda: len(pictures(ben)) == count + 3)
    seen = pictures(ben)
    assert {p.ssrc for p in seen} == {seen[0].ssrc}
    assert [p.sequence - seen[0].sequence for p in seen] == list(range(len(seen)))
    assert rtp.signed32(seen[-1].timestamp - seen[-4].timestamp) > 0
    at = [at for at, _, _ in room.record.frames[CAMERA]]
    assert at == sorted(at)
    assert low.sent


async def test_a_still_screen_is_asked_for_a_key_frame_when_somebody_comes(frozen: Room) -> None:
    frozen.route(anna_screen=["ben"])
    anna = await frozen.sender("anna")
    frozen.open()
    screen = Camera(anna, mid="2", ssrc=0x7777)
    screen.frame(key=True)
    key = SourceKey("anna", "screen")
    await anna.until(lambda: bool(frozen.record.frames.get(key)))
    frozen.clock.advance(20)                        # nothing moves on the screen: nothing is sent
    anna.check()
    before = sum(p[1] == 206 for p in anna.rtcp)
    ben = await frozen.viewer("ben", sources=1)
    await anna.until(lambda: sum(p[1] == 206 for p in anna.rtcp) > before)
    screen.frame(key=True)
    await ben.until(lambda: len(pictures(ben)) == 3)


async def test_nonsense_in_a_senders_report_does_not_throw_its_picture_into_another_hour(room: Room) -> None:
    anna, low, high, ben = await two_layers(room)
    report(anna, low, 1000.0, low.timestamp)
    report(anna, high, 9_000_000.0, high.timestamp)
    down = room.room._downlinks["ben"]
    down.quality.ceiling = Level.SMALL
    await settle_on(room, ben, "l")
    low.frame(key=True)
    await ben.until(lambda: pictures(ben)[-1].payload[-1] == low.picture & 255)
    down.quality.ceiling = Level.LARGE
    await settle_on(room, ben, "h")
    high.frame(key=True)
    await ben.until(lambda: pictures(ben)[-1].payload[-1] == high.picture & 255)
    times = [p.timestamp for p in pictures(ben)]
    assert all(0 <= rtp.signed32(b - a) < 5 * 90_000 for a, b in itertools.pairwise(times))
