"""Each layer has a record of its own: what of it is forwarded was taken, and what nobody watches costs nothing."""

import asyncio
from collections import defaultdict

from lessons.media import rtp, vp8
from lessons.media.quality import Level
from lessons.media.source import KEY_FRAME_EVERY
from tests.media.conftest import Room
from tests.media.raw import VIDEO, Camera, RawPeer
from tests.media.test_layers import CAMERA, settle_on, two_layers

SMALL, LARGE = (CAMERA, "l"), (CAMERA, "h")


def shown(viewer: RawPeer) -> list[bytes]:
    """The whole pictures that arrived, as a decoder gets them."""
    found: dict[int, list[tuple[int, bool, bytes]]] = defaultdict(list)
    for packet in map(rtp.parse, viewer.rtp):
        descriptor = vp8.parse(packet.payload) if packet is not None and packet.payload_type == VIDEO else None
        if packet is not None and descriptor is not None:
            found[packet.timestamp].append((packet.sequence, packet.marker, packet.payload[descriptor.size:]))
    return [b"".join(content for _, _, content in sorted(parts)) for parts in found.values() if any(each[1] for each in parts)]


def kept(room: Room, *layers: tuple[object, str | None]) -> list[bytes]:
    return [content for layer in layers for _, _, content in room.record.layers.get(layer, [])]  # type: ignore[call-overload]


async def wants(room: Room, viewer: RawPeer, level: Level) -> None:
    room.room._downlinks["ben"].quality.ceiling = level
    await settle_on(room, viewer, "h" if level is Level.LARGE else "l")


async def both(room: Room, low: Camera, high: Camera, *keys: bool) -> None:
    """Send a frame of each size for each of `keys`, and wait until the record has those of the large one."""
    for key in keys:
        before = len(kept(room, LARGE))
        low.frame(key=key, size=300)
        high.frame(key=key)
        await high.peer.until(lambda before=before: len(kept(room, LARGE)) > before)  # type: ignore[misc]


async def test_a_size_that_nobody_watches_is_not_recorded(room: Room) -> None:
    _anna, low, high, ben = await two_layers(room)
    await wants(room, ben, Level.LARGE)
    await both(room, low, high, True)
    before = len(kept(room, SMALL))
    await both(room, low, high, False, True, False)
    assert len(kept(room, SMALL)) == before
    assert room.record.paused[SMALL] == 1, "its record says that it stopped"
    assert room.record.paused[LARGE] == 0


async def test_it_is_recorded_from_the_key_frame_that_its_first_viewer_gets_until_the_last_one_leaves(room: Room) -> None:
    _anna, low, high, ben = await two_layers(room)
    await wants(room, ben, Level.LARGE)
    await both(room, low, high, True, False)
    before, paused = len(kept(room, SMALL)), room.record.paused[SMALL]
    await wants(room, ben, Level.SMALL)
    await both(room, low, high, False)
    assert len(kept(room, SMALL)) == before, "no picture can begin there"
    await both(room, low, high, True, False, False)
    await ben.until(lambda: shown(ben)[-1] == kept(room, SMALL)[-1])
    again = room.record.layers[SMALL][before:]
    assert [key for _, key, _ in again] == [True, False, False]
    await wants(room, ben, Level.LARGE)
    await both(room, low, high, True, False)
    assert room.record.paused[SMALL] == paused + 1
    assert set(shown(ben)) <= set(kept(room, SMALL, LARGE))


async def test_whatever_is_lost_on_the_way_what_is_shown_of_either_size_was_taken(room: Room) -> None:
    anna, low, high, ben = await two_layers(room)
    lost = iter(range(10_000))
    anna.lose_out = lambda packet: next(lost) % 11 == 5
    for n in range(120):
        if n % 20 == 0:
            room.room._downlinks["ben"].quality.ceiling = Level.SMALL if n % 40 else Level.LARGE
            room.room._sources[CAMERA].choose_layers()
        low.frame(key=n % 5 == 0, size=300)
        high.frame(key=n % 5 == 0)
        await asyncio.sleep(0.01)
    anna.lose_out = lambda packet: False
    last = [camera.picture + 1 & 255 for camera in (low, high)]
    high.frame(key=True)
    low.frame(key=True, size=300)
    await ben.until(lambda: shown(ben)[-1][-1] in last)
    of_small, of_large = set(kept(room, SMALL)), set(kept(room, LARGE))
    assert set(shown(ben)) <= of_small | of_large
    assert set(shown(ben)) & of_small
    assert set(shown(ben)) & of_large
    for layer in (SMALL, LARGE):
        at = [at for at, _, _ in room.record.layers[layer]]
        assert at == sorted(at)


async def test_a_size_whose_record_refuses_is_not_shown_and_the_other_takes_its_place(room: Room) -> None:
    _anna, low, high, ben = await two_layers(room)
    await wants(room, ben, Level.SMALL)
    await both(room, low, high, True, False)
    await ben.until(lambda: shown(ben)[-1] == kept(room, SMALL)[-1])
    before = set(shown(ben))
    room.record.refused = {"l"}
    await both(room, low, high, False, True, False)
    await ben.until(lambda: shown(ben)[-1] == kept(room, LARGE)[-1])
    assert set(shown(ben)) - before <= set(kept(room, LARGE))


async def test_where_the_large_one_falls_silent_the_small_one_is_recorded_unwatched(room: Room) -> None:
    _anna, low, _high, ben = await two_layers(room)
    room.room.sound_only("ben", True)
    source = room.room._sources[CAMERA]
    await ben.until(lambda: source.best is not None and source.best.rid == "h")
    source.records["h"].taken_at -= 2               # a second and more has passed without it
    before = len(kept(room, SMALL))
    low.frame(key=True, size=300)
    low.frame(size=300)
    await low.peer.until(lambda: len(kept(room, SMALL)) == before + 2)
    await ben.until(lambda: room.record.paused[LARGE] == 1)
    assert not source.records["h"].running


async def test_every_size_that_is_recorded_gets_a_place_to_seek_to(room: Room) -> None:
    _anna, low, high, ben = await two_layers(room)
    await wants(room, ben, Level.SMALL)
    await both(room, low, high, True, False)
    await ben.until(lambda: shown(ben)[-1] == kept(room, SMALL)[-1])
    source, now = room.room._sources[CAMERA], room.clock.boottime()
    source._key_asked = float("-inf")
    assert not source.key_due(now)
    source.records["l"].key_came = now - 2 * KEY_FRAME_EVERY
    assert source.key_due(now), "the small one's last key frame is long ago"
    source.records["l"].stop()
    assert not source.key_due(now)
