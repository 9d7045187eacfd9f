"""Real peers through the plane: sound and pictures are decoded at the other end, behind the gate and the route."""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from lessons.media import batch
from lessons.media.keys import SourceKey
from lessons.media.path import UdpPath
from tests.media.peers import Grey, School, Tone, brightness

CAMERA, MICROPHONE = SourceKey("anna", "camera"), SourceKey("anna", "microphone")


async def test_sound_and_pictures_reach_those_they_are_routed_to(school: School) -> None:
    anna, ben = school.join("anna"), school.join("ben")
    school.open()
    school.route(anna_microphone=["ben"], anna_camera=["ben"], ben_microphone=["anna"])
    await anna.publish(Tone(440), Grey(200))
    await ben.publish(Tone(880))
    await ben.until(lambda: ben.got("anna", "microphone") > 25 and ben.got("anna", "camera") > 10)
    await anna.until(lambda: anna.got("ben", "microphone") > 25)
    assert abs(brightness(ben.frames["anna", "camera"][-1]) - 200) < 12
    assert school.record.frames[CAMERA][0][1], "the record begins with a key frame"


async def test_camera_and_screen_of_one_person_arrive_apart(school: School) -> None:
    anna, ben = school.join("anna"), school.join("ben")
    school.open()
    school.route(anna_microphone=["ben"], anna_camera=["ben"], anna_screen=["ben"])
    await anna.publish(Tone(), Grey(60), Grey(210))
    await ben.until(lambda: ben.got("anna", "camera") > 5 and ben.got("anna", "screen") > 5)
    assert abs(brightness(ben.frames["anna", "camera"][-1]) - 60) < 12
    assert abs(brightness(ben.frames["anna", "screen"][-1]) - 210) < 12


async def test_a_viewer_who_comes_later_sees_those_already_there(school: School) -> None:
    anna, ben = school.join("anna"), school.join("ben")
    school.open()
    school.route(anna_camera=["ben"], anna_microphone=["ben"])
    await anna.publish(Tone(), Grey(100))
    await ben.until(lambda: ben.got("anna", "camera") > 5)
    carl = school.join("carl")
    school.route(anna_camera=["ben", "carl"], anna_microphone=["ben", "carl"])
    await carl.until(lambda: carl.got("anna", "camera") > 5)
    dora = school.join("dora")
    await dora.publish(Tone(), Grey(30))
    school.route(anna_camera=["ben", "carl"], anna_microphone=["ben", "carl"], dora_camera=["ben"])
    await ben.until(lambda: ben.got("dora", "camera") > 5)
    assert carl.got("dora", "camera") == 0


async def test_a_hold_is_silent_and_dark_and_ends_with_a_key_frame(school: School) -> None:
    anna, ben = school.join("anna"), school.join("ben")
    school.open()
    school.route(anna_microphone=["ben"], anna_camera=["ben"])
    await anna.publish(Tone(), Grey(200))
    await ben.until(lambda: ben.got("anna", "camera") > 5)
    school.gate.until = float("-inf")
    school.room.hold()
    sent, recorded = school.room._downlinks["ben"].bytes_sent, len(school.record.frames[CAMERA])
    proof = school.room.last_media("anna")
    await anna.until(lambda: school.room.last_media("anna") > proof + 0.5)
    rtp_sent = sum(s.bytes_sent for s in school.room._downlinks["ben"].streams)
    school.open()
    count = ben.got("anna", "camera")
    assert len(school.record.frames[CAMERA]) == recorded
    await ben.until(lambda: ben.got("anna", "camera") > count + 5)
    assert school.record.frames[CAMERA][recorded][1], "the first after the hold is a key frame"
    assert rtp_sent <= sent


class Weather:
    """Three packets in a hundred lost and some swapped, in both directions, repairs too. Seeded."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.lost = 0

    def loses(self) -> bool:
        lost = self.chance.random() < 0.03
        self.lost += lost
        return lost

    def read(self, real: Any, view: Any) -> Any:
        def read(sock: Any) -> Iterator[tuple[int, int, bytes, float]]:
            taken = [item for item in real(sock) if not (127 < view[item[0] << 11][0] < 192 and self.loses())]
            if len(taken) > 1 and self.chance.random() < 0.2:
                taken[0], taken[1] = taken[1], taken[0]
            yield from taken
        return read

    def fan_out(self, real: Any) -> Any:
        def fan_out(sock: Any, targets: Sequence[Any], packets: Sequence[Any]) -> int:
            order = list(packets)
            if len(order) > 2 and self.chance.random() < 0.2:
                order[0], order[1] = order[1], order[0]
            return sum(real(sock, targets, [packet]) for packet in order if not self.loses())
        return fan_out


async def test_three_percent_loss_and_reordering_both_ways_are_repaired(school: School,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    weather = Weather(1)
    inbox, outbox = school.plane.sockets.inbox, school.plane.sockets.outbox
    assert isinstance(outbox, batch.Outbox)
    monkeypatch.setattr(inbox, "read", weather.read(inbox.read, inbox.slots.view))
    monkeypatch.setattr(outbox, "fan_out", weather.fan_out(outbox.fan_out))
    send = UdpPath.send
    monkeypatch.setattr(UdpPath, "send", lambda path, datagram, *rest: not (
        127 < datagram[0] < 192 and weather.loses()) and send(path, datagram, *rest))
    anna, ben = school.join("anna"), school.join("ben")
    school.open()
    school.route(anna_microphone=["ben"], anna_camera=["ben"])
    await anna.publish(Tone(), Grey(120, busy=40))
    await ben.until(lambda: ben.got("anna", "camera") > 0)
    before = len(school.record.frames[CAMERA])  # while ben's connection was made
    await ben.until(lambda: ben.got("anna", "camera") > 90, 30)
    recorded = [at for at, _, _ in school.record.frames[CAMERA]]
    gaps = [b - a for a, b in itertools.pairwise(recorded)]
    assert weather.lost > 10
    assert max(gaps) < 400, "no picture is missing from the record for long"
    assert ben.got("anna", "camera") >= 0.85 * (len(recorded) - before)
    heard = [at for at, _, _ in school.record.frames[MICROPHONE]]
    assert len(heard) > 0.93 * (heard[-1] - heard[0]) / 20, "only the lost sound is missing (aiortc repairs no sound)"
    assert ben.got("anna", "microphone") > 100
