"""Lost packets are asked for and sent again, both ways; copies that nobody asked for go nowhere."""

from lessons.media import rtcp, rtp
from lessons.media.keys import SourceKey
from lessons.media.quality import Level
from tests.media.conftest import Room
from tests.media.raw import Microphone, RawPeer
from tests.media.test_gate import CAMERA, MICROPHONE, lesson, settle


def nacks(peer: RawPeer) -> list[rtcp.Nack]:
    return [said for packet in peer.rtcp for said in rtcp.parse(packet) if isinstance(said, rtcp.Nack)]


def pictures(peer: RawPeer) -> list[rtp.Received]:
    return [p for p in map(rtp.parse, peer.rtp) if p is not None and p.payload_type == 96]


async def test_a_lost_picture_packet_is_asked_for_and_the_frame_goes_on_whole_and_in_order(room: Room) -> None:
    anna, camera, _microphone, ben = await lesson(room)
    lost = (camera.sequence + 1) & 0xFFFF
    anna.lose_out = lambda packet: rtp.parse(packet).sequence == lost and packet[1] & 127 == 96  # type: ignore[union-attr]
    camera.frame()
    camera.frame()                                  # waits behind the broken one
    await anna.until(lambda: any(lost in n.sequences for n in nacks(anna)))
    assert len(pictures(ben)) == 3
    camera.repeat(lost)
    await ben.until(lambda: len(pictures(ben)) == 9)
    sequences = [p.sequence for p in pictures(ben)]
    assert sequences == list(range(sequences[0], sequences[0] + 9))
    assert len(room.record.frames[CAMERA]) == 3


async def test_a_repetition_nobody_asked_for_is_a_probe_and_goes_nowhere(room: Room) -> None:
    anna, camera, microphone, ben = await lesson(room)
    layer = room.room._sources[CAMERA].layers[None]
    received = layer._received
    camera.repeat(camera.sequence - 1)
    await settle(room, anna, microphone)
    assert layer._received == received, "nor does it hide a loss from the reports"
    camera.frame()
    await ben.until(lambda: len(pictures(ben)) == 6)
    assert len(room.record.frames[CAMERA]) == 2
    assert [p.sequence - pictures(ben)[0].sequence for p in pictures(ben)] == list(range(6))


async def test_padding_uses_up_no_number(room: Room) -> None:
    _anna, camera, _microphone, ben = await lesson(room)
    camera.send(b"", marker=False)
    camera.frame()
    await ben.until(lambda: len(pictures(ben)) == 6)
    assert [p.sequence - pictures(ben)[0].sequence for p in pictures(ben)] == list(range(6))


async def test_after_a_loss_that_stays_pictures_wait_for_a_key_frame_that_is_asked_for(room: Room) -> None:
    anna, camera, microphone, ben = await lesson(room)
    lost = camera.sequence
    anna.lose_out = lambda packet: packet[1] & 127 == 96 and rtp.parse(packet).sequence == lost  # type: ignore[union-attr]
    camera.frame()
    camera.frame()
    asked = sum(packet[1] == 206 for packet in anna.rtcp)
    await anna.until(lambda: sum(packet[1] == 206 for packet in anna.rtcp) > asked)
    camera.frame()
    await settle(room, anna, microphone)
    assert len(pictures(ben)) == 3
    camera.frame(key=True)
    await ben.until(lambda: len(pictures(ben)) == 6)
    assert len(room.record.frames[CAMERA]) == 2


async def test_a_lost_sound_packet_holds_the_next_back_only_for_a_moment(room: Room) -> None:
    anna, _camera, microphone, ben = await lesson(room)
    anna.lose_out = lambda packet: True
    microphone.frame()
    anna.lose_out = lambda packet: False
    microphone.frame()
    await anna.until(lambda: bool(nacks(anna)))
    anna.send_rtp(microphone.sent[microphone.sequence - 2])      # audio is sent again as it was
    await ben.until(lambda: sum(p[1] & 127 == 111 for p in ben.rtp) == 3)
    anna.lose_out = lambda packet: True
    microphone.frame()
    anna.lose_out = lambda packet: False
    microphone.frame()
    await ben.until(lambda: sum(p[1] & 127 == 111 for p in ben.rtp) == 4)      # given up
    sounds = [p for p in map(rtp.parse, ben.rtp) if p is not None and p.payload_type == 111]
    assert [p.sequence - sounds[0].sequence for p in sounds] == [0, 1, 2, 4], "the hole stays visible for FEC"
    assert len(room.record.frames[MICROPHONE]) == 4


async def test_a_viewer_gets_a_picture_again_on_the_repair_stream(room: Room) -> None:
    _anna, _camera, _microphone, ben = await lesson(room)
    first = pictures(ben)[0]
    ben.send_rtcp(rtcp.nack(first.ssrc, [first.sequence, first.sequence + 2]))
    await ben.until(lambda: len(ben.rtp) == 6)
    again = [p for p in map(rtp.parse, ben.rtp[4:]) if p is not None]
    assert [p.payload_type for p in again] == [97, 97]
    assert again[0].ssrc != first.ssrc
    assert rtp.original(again[0]) == (first.sequence, first.payload)
    assert again[1].sequence == again[0].sequence + 1
    assert again[0].timestamp == first.timestamp


async def test_a_viewer_without_a_repair_stream_gets_the_same_packet_again(room: Room) -> None:
    _anna, _camera, _microphone, ben = await lesson(room, repairs=False)
    first = pictures(ben)[0]
    packet = ben.rtp[0] if ben.rtp[0][1] & 127 == 96 else ben.rtp[1]
    ben.send_rtcp(rtcp.nack(first.ssrc, [first.sequence]))
    await ben.until(lambda: len(ben.rtp) >= 4)
    # libsrtp's replay check hides the copy from this peer; what was sent is what was asked for.
    stream = room.room._downlinks["ben"]._by_key[CAMERA]
    await ben.until(lambda: stream.repeats == 1)
    assert stream.repeat(first.sequence) == packet


async def test_what_was_never_sent_to_a_viewer_is_never_sent_again(room: Room) -> None:
    _anna, camera, _microphone, _ben = await lesson(room)
    camera.frame()
    room.route(anna_microphone=["ben", "carl"], anna_camera=["ben", "carl"])
    carl = await room.viewer("carl", sources=2)
    camera.frame(key=True)
    await carl.until(lambda: len(pictures(carl)) == 3)
    first = pictures(carl)[0]
    carl.send_rtcp(rtcp.nack(first.ssrc, [(first.sequence - n) & 0xFFFF for n in range(1, 7)]))
    carl.check()
    responses = carl.responses
    await carl.until(lambda: carl.responses > responses)
    assert len(carl.rtp) == 3


async def test_numbers_begin_in_the_lower_half_for_a_viewer_who_comes_late(room: Room) -> None:
    room.route(anna_microphone=["ben"])
    anna = await room.sender("anna")
    ben = await room.viewer("ben", sources=1)
    room.open()
    layer = room.room._sources[SourceKey("anna", "microphone")].layers[None]
    layer.next_out = (1 << 16) + 0xFFF0
    microphone = Microphone(anna)
    for _ in range(40):
        microphone.frame()
    await ben.until(lambda: len(ben.rtp) == 40)
    sequences = [p.sequence for p in map(rtp.parse, ben.rtp) if p is not None]
    assert sequences == list(range(0x7FF0, 0x7FF0 + 40))


async def test_reordered_packets_leave_in_order(room: Room) -> None:
    anna, camera, _microphone, ben = await lesson(room)
    held: list[bytes] = []
    anna.lose_out = lambda packet: held.append(packet) is None
    camera.frame()
    camera.frame()
    anna.lose_out = lambda packet: False
    for packet in [held[i] for i in (1, 0, 3, 2, 5, 4)]:
        anna.send_rtp(packet)
    await ben.until(lambda: len(pictures(ben)) == 9)
    payloads = [rtp.parse(p).payload for p in held]  # type: ignore[union-attr]
    assert [p.payload for p in pictures(ben)[3:]] == payloads


async def test_the_sender_is_told_of_enough_loss_to_protect_its_sound(room: Room) -> None:
    anna, _camera, microphone, _ben = await lesson(room)
    await anna.until(lambda: any(p[1] == 201 for p in anna.rtcp))
    microphone.frame()
    count = len(anna.rtcp)
    await anna.until(lambda: any(p[1] == 201 for p in anna.rtcp[count:]))
    blocks = [b for p in anna.rtcp for b in rtcp.parse(p) if isinstance(b, rtcp.ReportBlock) and b.ssrc == microphone.ssrc]
    assert blocks
    assert min(b.fraction_lost for b in blocks) >= 26


async def test_what_is_lost_of_a_stream_that_sends_little_takes_no_pictures_away(room: Room) -> None:
    anna, camera, microphone, ben = await lesson(room)
    anna.send_rtcp(rtcp.sender_report(camera.ssrc, 1000 << 32, camera.timestamp, 0, 0))
    await settle(room, anna, microphone)
    down = room.room._downlinks["ben"]
    sound, picture = down._by_key[MICROPHONE], down._by_key[CAMERA]

    async def second(of_sound: int, of_picture: int) -> Level:
        seen = len(pictures(ben))
        camera.frame()
        await ben.until(lambda: len(pictures(ben)) == seen + 3)
        sound.fraction_lost, picture.fraction_lost = of_sound, of_picture
        down.send_reports(room.clock.boottime(), 1.0)
        return down.quality.level

    assert [await second(128, 0) for _ in range(3)] == [Level.LARGE] * 3
    assert [await second(0, 128) for _ in range(2)] == [Level.LARGE, Level.SMALL], "one bad report is chance"
