"""Frames leave whole, in order and once, whatever the network does; the lesson's clock never goes back."""

import random

from hypothesis import given
from hypothesis import strategies as st

from lessons.media.frames import Frame, OpusFrames, Piece, Vp8Frames
from lessons.media.quality import Level, Quality
from lessons.media.timeline import SenderClock, Timeline

DESCRIPTOR = b"\x90\x80\x01"
KEY, DELTA = b"\x10", b"\x11"


def video(frames: list[tuple[bool, int]], first: int = 100) -> list[list[Piece]]:
    """Frames of (key, packets)."""
    out, number = [], first
    for i, (key, packets) in enumerate(frames):
        pieces = []
        for j in range(packets):
            head = (b"\x90\x80\x01" + (KEY if key else DELTA)) if j == 0 else b"\x80\x80\x01"
            pieces.append(Piece(number, i * 3000, j == packets - 1, head + bytes([i, j])))
            number += 1
        out.append(pieces)
    return out


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_any_small_reordering_gives_the_same_frames(shape: list[tuple[bool, int]], chance: random.Random) -> None:
    pieces = [piece for frame in video([(True, 2), *shape]) for piece in frame]
    keyed = sorted(range(len(pieces)), key=lambda i: i + chance.uniform(0, 4))
    straight, mixed = Vp8Frames(), Vp8Frames()
    expected = [f.content for piece in pieces for f in straight.push(piece, 0.0)]
    got = [f.content for i in keyed for f in mixed.push(pieces[i], 0.0)]
    assert len(expected) == len(shape) + 1
    # Reordering may make the very first packets come before their key frame began: what comes is a suffix, in order.
    assert got == expected[len(expected) - len(got):]
    if keyed[0] == 0:
        assert got == expected


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), min_size=2, max_size=30), st.sets(st.integers(0, 80)))
def test_after_a_loss_that_stays_the_next_frame_is_a_key_frame(shape: list[tuple[bool, int]], lost: set[int]) -> None:
    order, frames = Vp8Frames(), list[Frame]()
    clock, sent = 0.0, video([(True, 2), *shape])
    for pieces in sent:
        for piece in pieces:
            clock += 0.3
            if piece.number - 100 not in lost:
                frames += order.push(piece, clock)
    whole = [b"".join(p.payload[3:] for p in pieces) for pieces in sent]
    at = [whole.index(f.content) for f in frames]
    assert at == sorted(set(at)), "in order, once, and only whole ones"
    for before, after, frame in zip([-2, *at], at, frames, strict=False):
        assert after == before + 1 or frame.key


def test_nothing_comes_before_the_first_key_frame() -> None:
    order = Vp8Frames()
    assert order.wants_key
    pieces = [p for frame in video([(False, 1), (False, 2), (True, 1)]) for p in frame]
    assert [f.key for p in pieces for f in order.push(p, 0.0)] == [True]
    assert not order.wants_key
    order.reset()
    assert order.wants_key


def test_padding_fills_its_place_and_makes_no_frame() -> None:
    order = Vp8Frames()
    order.push(Piece(1, 0, True, DESCRIPTOR + KEY), 0.0)
    assert order.push(Piece(3, 3000, True, DESCRIPTOR + DELTA), 0.0) == []
    assert len(order.push(Piece(2, 0, False, b""), 0.0)) == 1


def test_a_frame_without_a_marker_ends_where_the_next_begins() -> None:
    order = Vp8Frames()
    order.push(Piece(1, 0, False, DESCRIPTOR + KEY), 0.0)
    assert len(order.push(Piece(2, 3000, True, DESCRIPTOR + DELTA), 0.0)) == 2


def test_a_key_frame_behind_a_gap_is_taken_after_a_moment() -> None:
    order = Vp8Frames()
    order.push(Piece(1, 0, True, DESCRIPTOR + KEY), 0.0)
    assert order.push(Piece(3, 3000, True, DESCRIPTOR + DELTA), 0.0) == []
    assert order.push(Piece(4, 6000, True, DESCRIPTOR + KEY), 0.1) == []
    assert [f.timestamp for f in order.due(0.25)] == [6000]


def test_sound_waits_for_a_repair_and_no_longer() -> None:
    order = OpusFrames(repaired=True)
    assert len(order.push(Piece(1, 0, False, b"a"), 0.0)) == 1
    assert order.push(Piece(3, 1920, False, b"c"), 0.02) == []
    assert [f.content for f in order.push(Piece(2, 960, False, b"b"), 0.05)] == [b"b", b"c"]
    assert order.push(Piece(5, 3840, False, b"e"), 0.1) == []
    assert order.due(0.15) == []
    assert [f.content for f in order.due(0.19)] == [b"e"]
    assert order.push(Piece(4, 2880, False, b"d"), 0.2) == [], "too late"


@given(st.lists(st.tuples(st.integers(-2000, 5000), st.floats(0, 0.2)), max_size=60))
def test_the_lessons_clock_never_goes_back(steps: list[tuple[int, float]]) -> None:
    line, timestamp, received, last = Timeline(48_000, 0.0), 0, 10.0, -1
    for step, seconds in steps:
        timestamp, received = (timestamp + step) & 0xFFFFFFFF, received + seconds
        at = line.at_ms(timestamp, received)
        assert at > last
        last = at


def test_sound_and_picture_of_one_person_come_together_by_their_reports() -> None:
    clock, sound, picture = SenderClock(), Timeline(48_000, 100.0), Timeline(90_000, 100.0)
    # The picture's first frame took 200 ms longer to get here than the sound of the same moment.
    sound.at_ms(0, 101.0)
    picture.at_ms(0, 101.2)
    clock.report(5000.0, 101.0)
    sound.report(clock, 5000.0, 0)
    picture.report(clock, 5000.0, 0)
    for i in range(1, 501):
        heard, seen = sound.at_ms(i * 960, 101.0 + i * 0.02), picture.at_ms(i * 1800, 101.2 + i * 0.02)
    assert abs(heard - seen) <= 3
    assert abs(heard - (1000 + 500 * 20)) <= 3


def test_a_restarted_timestamp_is_placed_by_its_arrival() -> None:
    line = Timeline(90_000, 0.0)
    assert line.at_ms(5, 1.0) == 1000
    line.restart()
    assert line.at_ms(4_000_000_000, 31.0) == 31_000
    assert line.at_ms(4_000_009_000, 31.1) == 31_100
    assert line.at_ms(77, 32.0) == 32_000           # and without notice


def test_a_viewer_steps_down_on_loss_and_up_again_on_trial() -> None:
    quality, now = Quality(), 0.0

    def seconds(count: int, **said: object) -> None:
        nonlocal now
        for _ in range(count):
            now += 1
            quality.report(now, **{"lost": 0, "round_trip": 0.05, "estimate": None, "sending": 5e5, **said})  # type: ignore[arg-type]

    seconds(3)
    assert quality.level is Level.LARGE
    seconds(1, lost=60)
    assert quality.level is Level.LARGE, "one bad report is chance"
    seconds(2, lost=60)
    assert quality.level is Level.SMALL
    seconds(9)
    assert quality.level is Level.LARGE, "a trial"
    seconds(2, lost=60)
    assert quality.level is Level.SMALL
    seconds(9)
    assert quality.level is Level.SMALL, "the next trial comes later"
    seconds(10)
    assert quality.level is Level.LARGE
    seconds(3, estimate=3e5)
    assert quality.level is Level.SMALL
    quality.ceiling = Level.SOUND
    assert quality.level is Level.SOUND


def test_an_estimate_that_still_grows_is_not_congestion() -> None:
    quality = Quality()
    for i in range(1, 6):
        quality.report(float(i), lost=0, round_trip=None, estimate=1e5 + i * 1e4, sending=5e5)
    assert quality.level is Level.LARGE


def test_two_late_pictures_over_tcp_step_down() -> None:
    quality = Quality()
    quality.dropped(1.0)
    quality.dropped(20.0)
    assert quality.level is Level.LARGE
    quality.dropped(25.0)
    assert quality.level is Level.SMALL
