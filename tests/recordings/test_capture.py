"""What the recorder takes is on the disk within a second, encrypted, and plays again (policy: AC4)."""

import asyncio
import itertools
import os
import stat
import threading

import av
import pytest

from recordings import webm
from recordings.format import HEADER as CHUNK_HEADER
from recordings.format import ChunkDamaged, Kind
from recordings.reader import PartFile, Recording
from recordings.verify import verify
from recordings.webm import Block
from tests.recordings.media import DELTA_FRAME, KEY, KEY_FRAME, SPEECH, real_opus, real_vp8


def frames_of(recording: Recording, track: int, path) -> list[tuple[int, bytes, bool]]:
    """Demux a track as any player would."""
    path.write_bytes(
        recording.init_segment(track)
        + b"".join(recording.cluster(track, n) for n in range(len(recording.clusters(track))))
    )
    # A demuxer takes the Opus decoder's delay off.
    delay = 7 if recording.tracks[track].codec == "opus" else 0
    with av.open(str(path)) as file:
        return [
            (round(packet.pts * packet.time_base * 1000) + delay, bytes(packet), packet.is_keyframe)
            for packet in file.demux() if packet.pts is not None
        ]


async def test_what_was_accepted_is_read_back_frame_for_frame(recorder, tmp_path):
    pictures, sound = real_vp8(3), real_opus(3)
    capture = recorder.start()
    camera = capture.track("camera-1", person_id="teacher", source="camera", codec="vp8")
    microphone = capture.track("mic-1", person_id="teacher", source="microphone", codec="opus")
    for second in range(3):
        for at, frame, key in pictures:
            if at // 1000 == second:
                assert camera.write(frame, at, key)
        for at, packet, key in sound:
            if at // 1000 == second:
                assert microphone.write(packet, at, key)
        await recorder.second(capture)
    manifest = await capture.seal("complete")

    assert manifest.outcome == "complete"
    with Recording(recorder.path, KEY) as recording:
        assert {info.source: info.person_id for info in recording.tracks.values()} == {
            "camera": "teacher", "microphone": "teacher"
        }
        by_source = {info.source: number for number, info in recording.tracks.items()}
        assert frames_of(recording, by_source["camera"], tmp_path / "v.webm") == pictures
        assert frames_of(recording, by_source["microphone"], tmp_path / "a.webm") == sound
    assert verify(recorder.path, key=KEY, public=recorder.keys.public).is_sound


async def test_nothing_said_or_shown_is_readable_on_the_disk(recorder):
    capture = recorder.start()
    track = capture.track("mic-1", person_id="person-7", source="microphone", codec="opus")
    canary = SPEECH + b"CANARY OF A CHILD'S VOICE"
    assert track.write(canary, 0, True)
    assert capture.note("chat", 5, {"text": "CANARY OF CHAT"})
    await recorder.second(capture)
    await capture.seal("complete")

    on_disk = recorder.path.read_bytes()
    assert b"CANARY" not in on_disk
    assert b"person-7" not in on_disk
    # Negative control: with the key both are there.
    with Recording(recorder.path, KEY) as recording:
        assert b"CANARY OF A CHILD" in recording.cluster(1, 0)
        assert recording.notes()[0].body == {"text": "CANARY OF CHAT"}
    with pytest.raises(ChunkDamaged), Recording(recorder.path, bytes([7]) * 32) as wrong:
        wrong._decrypt(wrong._others[0])


async def test_only_the_service_may_read_the_file(recorder):
    capture = recorder.start()
    await recorder.until_durable(recorder.clock.boottime())
    assert stat.S_IMODE(recorder.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(recorder.path.parent.stat().st_mode) == 0o700
    await capture.seal("complete")


async def test_an_empty_block_proves_the_recorder_each_second_without_any_media(recorder):
    capture = recorder.start()
    for _ in range(3):
        await recorder.second(capture)
    await capture.seal("complete")
    with PartFile(recorder.path) as part:
        beats = [chunk.t_first for chunk, _ in part.walk() if chunk.kind == Kind.BEAT]
    assert beats == [0, 1000, 2000, 3000, 3000]
    assert recorder.durable[:4] == [1000.0, 1001.0, 1002.0, 1003.0]


async def test_the_recorder_proves_itself_without_being_asked(recorder):
    """The one test that waits for the real timer."""
    capture = recorder.start()
    recorder.clock.advance(0.5)
    await recorder.until_durable(1000.5)
    await capture.seal("complete")


async def test_one_fdatasync_a_second_whatever_the_number_of_tracks(recorder, monkeypatch):
    syncs = []
    real = os.fdatasync
    capture = recorder.start()
    await recorder.until_durable(recorder.clock.boottime())
    monkeypatch.setattr("os.fdatasync", lambda fd: (syncs.append(fd), real(fd)))
    for track in range(30):
        capture.track(f"t{track}", person_id=f"p{track}", source="microphone", codec="opus").write(SPEECH, 0, True)
    await recorder.second(capture)
    assert len(syncs) == 1
    await capture.seal("complete")


async def test_a_picture_before_its_first_key_frame_is_refused(recorder):
    capture = recorder.start()
    camera = capture.track("c", person_id="p", source="camera", codec="vp8")
    assert not camera.write(DELTA_FRAME, 0, False)
    assert not camera.write(DELTA_FRAME, 0, True), "a frame that only claims to be a key frame"
    assert camera.write(KEY_FRAME, 10, True)
    assert camera.write(DELTA_FRAME, 20, False)
    await capture.seal("complete")


async def test_after_a_hold_the_gap_is_real_and_a_picture_waits_for_a_key_frame(recorder):
    capture = recorder.start()
    camera = capture.track("c", person_id="p", source="camera", codec="vp8")
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    assert camera.write(KEY_FRAME, 0, True)
    assert microphone.write(SPEECH, 0, True)
    recorder.clock.advance(0.4)
    camera.pause()
    microphone.pause()
    assert not camera.write(DELTA_FRAME, 500, False)
    assert camera.write(KEY_FRAME, 800, True)
    assert microphone.write(SPEECH, 800, True)
    await recorder.second(capture)
    await capture.seal("complete")
    with Recording(recorder.path, KEY) as recording:
        for track in (1, 2):
            assert [(each.t_first, each.fresh) for each in recording.clusters(track)] == [(0, True), (800, True)]
            assert recording.gaps(track) == [400]


async def test_clusters_last_at_most_a_second_and_begin_at_every_key_frame(recorder):
    capture = recorder.start()
    camera = capture.track("c", person_id="p", source="camera", codec="vp8")
    for at in range(0, 4000, 50):
        assert camera.write(KEY_FRAME if at % 1500 == 0 else DELTA_FRAME, at, at % 1500 == 0)
        recorder.clock.advance(0.05)
        if at % 1000 == 950:
            capture.flush()
            await recorder.until_durable(recorder.clock.boottime())
    await capture.seal("complete")
    with Recording(recorder.path, KEY) as recording:
        clusters = recording.clusters(1)
    assert [each.t_first for each in clusters if each.key] == [0, 1500, 3000]
    assert all(each.t_last - each.t_first < 1000 for each in clusters)
    assert [each.t_first for each in clusters if each.fresh] == [0]


async def test_silence_that_was_not_sent_is_filled_and_an_absence_is_not(recorder, tmp_path):
    capture = recorder.start()
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    for at in (0, 20, 420, 820, 1220, 5000, 5020):
        assert microphone.write(SPEECH, at, True)
        await recorder.second(capture)
    await capture.seal("complete")
    with Recording(recorder.path, KEY) as recording:
        times = [at for at, _, _ in frames_of(recording, 1, tmp_path / "a.webm")]
        fresh = [each.t_first for each in recording.clusters(1) if each.fresh]
    steps = {later - earlier for earlier, later in itertools.pairwise(times)}
    assert steps == {20, 5000 - 1220}
    assert fresh == [0, 5000]


@pytest.mark.parametrize(("first", "ms", "filler"), [
    (0x48, 20, 0x48), (0x58, 60, 0x48), (0x5B, 120, 0x48), (0x7C, 20, 0x7C), (0xEC, 5, 0xFC), (0xFD, 40, 0xFC),
])
def test_a_filler_keeps_mode_bandwidth_and_channels_and_lasts_20_ms(first, ms, filler):
    packet = bytes((first, 2)) + b"x"
    assert webm.opus_ms(packet) == ms
    assert webm.opus_filler(packet) == bytes((filler,))
    assert webm.opus_ms(bytes((filler,))) == 20


def test_longer_packets_leave_no_hole_to_fill():
    packets = [Block(at, bytes((0x58,)) + b"x", True) for at in (0, 60, 120, 180)]
    assert list(webm.without_holes(packets, None)) == packets


async def test_packets_that_overtook_each_other_are_put_in_order(recorder, tmp_path):
    capture = recorder.start()
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    for at in (0, 40, 20, 60, 60):
        assert microphone.write(SPEECH, at, True)
    await recorder.second(capture)
    assert not microphone.write(SPEECH, 30, True), "too late to be put in order, so not forwarded either"
    await capture.seal("complete")
    with Recording(recorder.path, KEY) as recording:
        assert [at for at, _, _ in frames_of(recording, 1, tmp_path / "a.webm")] == [0, 20, 40, 60, 61]


async def test_a_track_is_the_same_for_the_same_id_and_never_another_source(recorder):
    capture = recorder.start()
    track = capture.track("t", person_id="p", source="camera", codec="vp8")
    assert capture.track("t", person_id="p", source="camera", codec="vp8") is track
    with pytest.raises(ValueError):
        capture.track("t", person_id="q", source="camera", codec="vp8")
    await capture.seal("complete")


async def test_sealing_ends_it_once(recorder):
    capture = recorder.start()
    track = capture.track("m", person_id="p", source="microphone", codec="opus")
    assert track.write(SPEECH, 0, True)
    first, second = await asyncio.gather(capture.seal("complete"), capture.seal("incomplete", "too late"))
    assert first is second
    assert first.outcome == "complete"
    assert not track.write(SPEECH, 20, True)
    assert not capture.note("chat", 20, {"text": "late"})
    assert verify(recorder.path, public=recorder.keys.public).is_sound
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("recorder-recordin")]


async def test_a_recorder_never_writes_over_an_earlier_one(recorder):
    capture = recorder.start()
    await capture.seal("complete")
    before = recorder.path.read_bytes()
    again = recorder.start()
    assert await recorder.until_fault() == "the disk gave an error"
    assert not again.healthy
    await again.seal("complete")
    assert recorder.path.read_bytes() == before


async def test_a_file_cut_anywhere_still_plays_everything_before_the_cut(recorder, tmp_path):
    capture = recorder.start()
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    for second in range(3):
        for at in range(second * 1000, second * 1000 + 1000, 200):
            assert microphone.write(SPEECH, at, True)
        await recorder.second(capture)
    await capture.seal("complete")
    whole = recorder.path.read_bytes()
    with PartFile(recorder.path) as part:
        ends = [chunk.offset + CHUNK_HEADER.size + chunk.length for chunk, _ in part.walk()]
        clusters = [end for end, (chunk, _) in zip(ends, part.walk(), strict=True) if chunk.kind == Kind.CLUSTER]
        start = len(part.preamble)
    torn = tmp_path / "torn"
    for cut in range(start, len(whole)):
        torn.write_bytes(whole[:cut])
        verdict = verify(torn, key=KEY)
        assert verdict.chunks == 1 + sum(end <= cut for end in ends)
        assert not verdict.sealed
        with Recording(torn, KEY) as recording:
            playable = [recording.cluster(1, n) for n in range(len(recording.clusters(1)))] if recording.tracks else []
        assert len(playable) == sum(end <= cut for end in clusters)
