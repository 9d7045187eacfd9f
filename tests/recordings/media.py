"""Coded frames to record: synthetic ones for speed, real VP8 and Opus where a browser must play them."""

import array
import functools
import math
import struct
from datetime import UTC, datetime
from fractions import Fraction

from recordings.format import Header

KEY = bytes(range(32))
HEADER = Header("school-1", "recording-1", "lesson-1", 1, datetime(2026, 11, 24, 9, 0, tzinfo=UTC))

KEY_FRAME = b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", 640, 360) + b"key" * 20
DELTA_FRAME = b"\x11\x02\x00" + b"delta" * 10
# SILK wideband, 20 ms, one frame.
SPEECH = bytes((9 << 3,)) + b"speech" * 10


@functools.cache
def real_vp8(seconds: int, rate: int = 15, key_every: int = 30) -> list[tuple[int, bytes, bool]]:
    """(milliseconds, frame, key) of a picture whose brightness rises with time, coded as a browser would."""
    import av  # only here: a child that is to be killed should start at once

    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = 320, 180, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, rate), Fraction(rate, 1)
    codec.gop_size = key_every
    codec.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}
    frames = []
    for n in range(seconds * rate):
        picture = av.VideoFrame(320, 180, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes((n * 200 // (seconds * rate) + 20,)) * plane.buffer_size)
        picture.pts = n
        frames += [(packet.pts, bytes(packet), packet.is_keyframe) for packet in codec.encode(picture)]
    frames += [(packet.pts, bytes(packet), packet.is_keyframe) for packet in codec.encode(None)]
    return [(pts * 1000 // rate, frame, key) for pts, frame, key in frames]


@functools.cache
def real_opus(seconds: int, hertz: float = 440.0) -> list[tuple[int, bytes, bool]]:
    """(milliseconds, packet, True) of a tone in packets of 20 ms."""
    import av

    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 48000, "mono", "s16"
    codec.options = {"frame_duration": "20", "application": "voip"}
    packets = []
    for n in range(seconds * 50):
        sound = av.AudioFrame("s16", "mono", 960)
        wave = (math.sin(2 * math.pi * hertz * (n * 960 + k) / 48000) for k in range(960))
        sound.planes[0].update(array.array("h", (int(8000 * height) for height in wave)).tobytes())
        sound.sample_rate, sound.pts = 48000, n * 960
        packets += [bytes(packet) for packet in codec.encode(sound)]
    return [(n * 20, packet, True) for n, packet in enumerate(packets)]


@functools.cache
def real_speech(seconds: int, pitch: float = 180.0) -> list[tuple[int, bytes, bool]]:
    """(milliseconds, packet, True) of a made-up voice in packets of 20 ms."""
    import av

    from service.seed_voice import RATE, speech

    samples = speech(seconds, pitch)
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = RATE, "mono", "s16"
    codec.options = {"frame_duration": "20", "application": "voip"}
    each = RATE // 50
    packets = []
    for n in range(seconds * 50):
        sound = av.AudioFrame("s16", "mono", each)
        sound.planes[0].update(samples[n * each : (n + 1) * each].tobytes())
        sound.sample_rate, sound.pts = RATE, n * each
        packets += [bytes(packet) for packet in codec.encode(sound)]
    return [(n * 20, packet, True) for n, packet in enumerate(packets[: seconds * 50])]
