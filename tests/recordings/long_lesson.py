"""A long lesson of many people, written at once: a few seconds of real pictures and voices, over and over at later times."""

import functools
import math
import random
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import Any

import av

from recordings import commands, seal, webm
from recordings.commands import Begun
from recordings.format import Flag, Kind, as_json
from recordings.webm import Block, Codec
from recordings.writer import Writer, _End
from service.foundation.events import system
from tests.recordings.lesson import Recorded, begin
from tests.recordings.media import real_speech
from tests.school import Running

LOOP = 5  # seconds, and how often there is a key frame, as in every recording
RATE = 15


@dataclass
class Looped:
    """The second-long clusters of one loop: when each begins and ends in it, whether a seek may start there, its blocks."""

    codec: Codec
    clusters: list[tuple[int, int, bool, bytes]] = field(default_factory=list)


def looped(blocks: list[tuple[int, bytes, bool]], codec: Codec) -> Looped:
    found = Looped(codec)
    for _, second in groupby((Block(*each) for each in blocks), lambda block: block.at_ms // 1000):
        inside = list(second)
        whole = webm.cluster(inside)
        start = timestamp(inside[0].at_ms)
        found.clusters.append((inside[0].at_ms, inside[-1].at_ms, inside[0].key, whole[whole.index(start) + len(start) :]))
    return found


@functools.cache
def camera(width: int, height: int, bits: int, seed: int) -> Looped:
    """A face's worth of movement at about `bits` a second, coded as a browser does."""
    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base, codec.framerate, codec.gop_size, codec.bit_rate = Fraction(1, RATE), Fraction(RATE, 1), RATE * LOOP, bits
    codec.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}
    chance = random.Random(seed)
    grain = [bytes(chance.randrange(100, 156) for _ in range(4096)) for _ in range(8)]
    frames: list[Any] = []
    for number in range(LOOP * RATE):
        picture = av.VideoFrame(width, height, "yuv420p")
        for plane, shade in zip(picture.planes, (None, 90 + seed % 60, 150), strict=True):
            lines = bytearray()
            for y in range(plane.height):
                if shade is None:
                    shift = int(40 * math.sin(number / 12 + seed)) + y * 3
                    line = (grain[y % 8] * (plane.line_size // 4096 + 2))[shift % 4096 :][: plane.line_size]
                    lines += line if len(line) == plane.line_size else bytes(plane.line_size)
                else:
                    lines += bytes((shade,)) * plane.line_size
            plane.update(bytes(lines))
        picture.pts = number
        frames += codec.encode(picture)
    return looped([(p.pts * 1000 // RATE, bytes(p), p.is_keyframe) for p in [*frames, *codec.encode(None)]], "vp8")


@functools.cache
def voice(pitch: float) -> Looped:
    return looped(real_speech(LOOP, pitch), "opus")


def timestamp(at_ms: int) -> bytes:
    return webm.element(b"\xe7", at_ms.to_bytes(max(1, (at_ms.bit_length() + 7) // 8), "big"))


def retimed(inside: bytes, at_ms: int) -> bytes:
    """The same blocks in a cluster that begins at `at_ms`."""
    return webm.element(b"\x1f\x43\xb6\x75", timestamp(at_ms) + inside)


async def record_long(school: Running, *, minutes: int = 60, people: int = 30, bits: int = 100_000) -> Recorded:
    """Everybody's camera all the time, everybody's microphone, of whom three speak in turns of five seconds."""
    recorded = await begin(school, [])
    everybody = [recorded.teacher, *(each["id"] for each in school.made["people"] if each["role"] == "pupil")]
    everybody += [f"{number:032x}" for number in range(people - len(everybody))]
    begun: Begun = recorded.begun
    told: list[Any] = []
    writer = Writer(begun.path, begun.header, begun.key, durable=told.append, failed=told.append)
    writer._open()
    notes = [{"kind": "open", "at_ms": 0, "body": {}}] + [
        {"kind": "presence", "at_ms": 0, "body": {"person": person, "role": "pupil" if number else "teacher", "event": "in"}}
        for number, person in enumerate(everybody[:people])]
    notes += [{"kind": "flag", "at_ms": at * 60_000, "body": {"flag": str(at), "person": recorded.teacher, "about": "heard"}}
              for at in range(7, minutes, 11)]
    writer._chunk(Kind.NOTES, as_json(notes))
    tracks: list[Looped] = []
    for number, person in enumerate(everybody[:people]):
        size = (640, 360, 350_000) if number == 0 else (320, 180, bits)
        for source, track in (("camera", camera(*size, number % 6)), ("microphone", voice(100.0 + 15 * (number % 6)))):
            tracks.append(track)
            words: dict[str, Any] = {"track": len(tracks), "id": f"{number}{source}", "person": person, "source": source,
                                     "codec": track.codec}
            if track.codec == "vp8":
                words["width"], words["height"] = size[:2]
            writer._chunk(Kind.TRACK, as_json(words), track=len(tracks))
    for second in range(minutes * 60):
        for number, track in enumerate(tracks, start=1):
            if track.codec == "opus" and (second // 5 + (number // 2)) % 10:
                continue  # others speak
            first, last, key, inside = track.clusters[second % LOOP]
            base = second // LOOP * LOOP * 1000
            fresh = second == 0 or (track.codec == "opus" and second % LOOP == 0)
            flags = (Flag.KEY if key else Flag(0)) | (Flag.FRESH if fresh else Flag(0))
            span = base + first, base + last
            writer._chunk(Kind.CLUSTER, retimed(inside, span[0]), track=number, span=span, flags=flags)
        if second % 20 == 19:
            writer._sync()
    durable, index = writer._finish(_End(0.0, lambda *_: None))
    manifest = seal.manifest(begun.header, durable, sealed_at=school.clock.now(), outcome="complete", reason="", index=index,
                             signer=begun.signer)
    seal.append(begun.path, manifest, durable.previous)
    async with school.database.writing() as session:
        chaperone = system(recorded.school_id)
        await commands.seal_part(session, chaperone, manifest, now=school.clock.now())
        await commands.end(session, chaperone, recording_id=recorded.recording_id, now=school.clock.now())
    return recorded
