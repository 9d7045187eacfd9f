"""One finished lesson of the demo school: its journal, and a recording that plays drawn pictures and made-up voices.

It goes the way of every recording: a key wrapped outside the database, encrypted clusters, a seal.
"""

import asyncio
import functools
import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from functools import partial
from itertools import groupby
from typing import Any

import av
from sqlmodel import col, select

from lessons.tables import JournalEntry, Lesson, LessonAdult
from recordings import commands as recordings
from recordings.capture import Capture
from recordings.commands import LessonFacts
from recordings.vault import Vault
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.errors import Unavailable
from service.foundation.events import system
from service.people.tables import GroupMember, School, TeachingGroup
from service.seed_voice import RATE as RATE_OF_VOICE
from service.seed_voice import speech

SECONDS = 180
LOOP_SECONDS = 6
VOICE_SECONDS = 2
RATE = 5
WIDTH, HEIGHT = 320, 180
PAUSE = (70, 95)
FLAG = 120
CHAT = ((30, 1, "Is it three quarters?"), (42, 0, "Yes. Well done."), (110, 2, "I am back"))


async def finished_lesson(database: Database, vault: Vault, clock: Clock) -> None:
    """Record the demo school's earlier lesson, once. It opened on time, paused once, and its teacher flagged a moment."""
    found = await _earlier(database, clock.now())
    if found is None:
        return
    lesson, class_name, people = found
    times = _PastClock(lesson.starts_at, clock)
    facts = LessonFacts(lesson.id, lesson.title, class_name, lesson.starts_at, lesson.ends_at)
    actor = system(lesson.school_id)
    async with database.writing() as session:
        begun = await recordings.begin(session, actor, facts, vault=vault, clock=times)
        for position, person in enumerate(people):
            await recordings.admit(session, actor, recording_id=begun.header.recording_id, person_id=person,
                                   role="pupil" if position else "teacher", now=lesson.starts_at)
    proof = _Proof()
    capture = Capture.start(
        begun.path, header=begun.header, key=begun.key, signer=begun.signer, lesson_clock_start=begun.lesson_clock_start,
        clock=times, on_durable=proof.until, on_fault=proof.broke,
    )
    for _, writes in groupby(sorted(_writes(capture, people), key=_when), lambda write: write[0] // 1000):
        for at_ms, write in writes:
            times.seconds = at_ms / 1000
            write()
        capture.flush()
        await proof.reaches(times.boottime())
    manifest = await capture.seal("complete")
    async with database.writing() as session:
        await recordings.seal_part(session, actor, manifest, now=times.now())
        await recordings.end(session, actor, recording_id=begun.header.recording_id, now=times.now())
        session.add_all(_journal(lesson, people))
        kept = await session.get_one(Lesson, lesson.id)
        kept.started_at, kept.ended_at, kept.end_reason = lesson.starts_at, times.now(), "ended-by-staff"
        session.add(kept)


class _PastClock:
    """Both clocks as they were in the lesson, `seconds` after it began: three minutes are written in a moment."""

    def __init__(self, start: datetime, clock: Clock):
        self.seconds, self._start, self._boottime = 0.0, start, clock.boottime()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.seconds)

    def boottime(self) -> float:
        return self._boottime + self.seconds


class _Proof:
    """Until when everything is on the disk: the lesson's clock moves on only then."""

    def __init__(self) -> None:
        self._at, self._fault, self._told = -math.inf, "", asyncio.Event()

    def until(self, boottime: float) -> None:
        self._at = boottime
        self._told.set()

    def broke(self, fault: str) -> None:
        self._fault = fault
        self._told.set()

    async def reaches(self, boottime: float) -> None:
        while self._at < boottime:
            if self._fault:
                raise Unavailable(f"The demo recording could not be written: {self._fault}.")
            self._told.clear()
            await self._told.wait()


async def _earlier(database: Database, now: datetime) -> tuple[Lesson, str, list[str]] | None:
    """The lesson that is over and was not recorded yet, its class, and who was in it: the teacher, then three pupils."""
    async with database.reading() as session:
        lesson = (await session.exec(select(Lesson).join(School).where(
            School.is_demo, col(Lesson.ended_at) < now, col(Lesson.id).not_in(select(JournalEntry.lesson_id)),
        ))).first()
        if lesson is None:
            return None
        group = await session.get_one(TeachingGroup, lesson.group_id)
        adults = (await session.exec(select(LessonAdult.person_id).where(LessonAdult.lesson_id == lesson.id))).all()
        pupils = (await session.exec(select(GroupMember.person_id).where(
            GroupMember.group_id == lesson.group_id, GroupMember.part == "pupil"
        ).order_by(col(GroupMember.person_id)))).all()
        return lesson, group.name, [adults[0], *pupils[:3]]


Write = tuple[int, Callable[[], object]]


def _when(write: Write) -> int:
    return write[0]


def _writes(capture: Capture, people: list[str]) -> Iterator[Write]:
    """Everything the recorder is given, with its moment in milliseconds."""
    for at_ms, kind, facts in _notes(people):
        yield at_ms, partial(capture.note, kind, at_ms, facts)
    for position, person in enumerate(people[:3]):
        picture = capture.track(f"{person}.camera", person_id=person, source="camera", codec="vp8")
        sound = capture.track(f"{person}.microphone", person_id=person, source="microphone", codec="opus")
        for at_ms, frame, key in _repeated(_picture(position), LOOP_SECONDS):
            yield at_ms, partial(picture.write, frame, at_ms, key)
        for at_ms, packet, key in _repeated(_voice(100.0 + 40 * position), VOICE_SECONDS):
            if at_ms // 1000 % 12 // 4 == position:  # they take turns, four seconds each
                yield at_ms, partial(sound.write, packet, at_ms, key)
        yield PAUSE[0] * 1000, picture.pause
        yield PAUSE[0] * 1000, sound.pause


def _notes(people: list[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for person in people:
        yield 0, "presence", {"person": person, "event": "in", "role": "teacher" if person == people[0] else "pupil"}
    yield 1000, "open", {}
    for person in people[2:]:
        yield PAUSE[0] * 1000 - 100, "presence", {"person": person, "event": "out"}
        yield PAUSE[1] * 1000 - 400, "presence", {"person": person, "event": "in", "role": "pupil"}
    yield PAUSE[0] * 1000, "hold", {"reasons": ["lone-adult"], "opening": 1}
    yield PAUSE[1] * 1000, "open", {}
    for at, position, text in CHAT:
        yield at * 1000, "chat", {"person": people[position], "text": text, "outcome": "delivered"}
    yield FLAG * 1000, "flag", {"person": people[0], "flag": "1", "about": "heard", "note": "A voice at home was loud."}
    yield SECONDS * 1000, "end", {"reason": "over"}


def _repeated(loop: list[tuple[int, bytes, bool]], seconds: int) -> Iterator[tuple[int, bytes, bool]]:
    """`loop` over and over for the whole lesson, silent while the room is waiting or paused."""
    for start in range(0, SECONDS * 1000, seconds * 1000):
        for at_ms, frame, key in loop:
            at = (start + at_ms) / 1000
            if 1 <= at < PAUSE[0] or at >= PAUSE[1]:
                yield start + at_ms, frame, key


@functools.cache
def _picture(position: int) -> list[tuple[int, bytes, bool]]:
    """(milliseconds, VP8 frame, key): a bar that crosses a shade of its own, in a loop that begins with a key frame."""
    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.time_base, codec.framerate, codec.gop_size = Fraction(1, RATE), Fraction(RATE, 1), RATE * LOOP_SECONDS
    codec.options = {"deadline": "realtime", "cpu-used": "16", "lag-in-frames": "0", "auto-alt-ref": "0"}
    codec.thread_count = 1
    frames: list[Any] = []
    for number in range(RATE * LOOP_SECONDS):
        picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        bar = number * WIDTH // (RATE * LOOP_SECONDS)
        shades = ([90, 60, 130][position], [130, 150, 110][position], [110, 120, 150][position])
        for plane, shade in zip(picture.planes, shades, strict=True):
            line = bytearray([shade]) * plane.line_size
            if plane is picture.planes[0]:
                line[bar : bar + 24] = bytes([210]) * len(line[bar : bar + 24])
            plane.update(bytes(line) * (plane.buffer_size // plane.line_size))
        picture.pts = number
        frames += codec.encode(picture)
    return [(packet.pts * 1000 // RATE, bytes(packet), packet.is_keyframe) for packet in [*frames, *codec.encode(None)]]


@functools.cache
def _voice(pitch: float) -> list[tuple[int, bytes, bool]]:
    """(milliseconds, Opus packet, True): a loop of a made-up voice in packets of 20 ms."""
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = RATE_OF_VOICE, "mono", "s16"
    codec.options = {"frame_duration": "20", "application": "voip"}
    samples, each = speech(VOICE_SECONDS, pitch), RATE_OF_VOICE // 50
    packets: list[bytes] = []
    for number in range(VOICE_SECONDS * 50):
        sound = av.AudioFrame("s16", "mono", each)
        sound.planes[0].update(samples[number * each : (number + 1) * each].tobytes())
        sound.sample_rate, sound.pts = RATE_OF_VOICE, number * each
        packets += [bytes(packet) for packet in codec.encode(sound)]
    return [(number * 20, packet, True) for number, packet in enumerate(packets)]


def _journal(lesson: Lesson, people: list[str]) -> list[JournalEntry]:
    """What the room would have written, at the same moments as the recording's notes."""
    told: list[tuple[float, str, str, dict[str, Any]]] = [
        *((0.0, "joined", person, {"role": "pupil" if person != people[0] else "teacher"}) for person in people),
        (1.0, "opened", "", {"opening": 1, "people": people}),
        *((PAUSE[0] - 0.1, "left", person, {"reason": "silent"}) for person in people[2:]),
        (PAUSE[0], "held", "", {"reasons": ["lone-adult"], "opening": 1}),
        *((PAUSE[1] - 0.4, "joined", person, {"role": "pupil"}) for person in people[2:]),
        (PAUSE[1], "opened", "", {"opening": 2, "people": people}),
        (FLAG, "flag", people[0], {"flag": "1"}),
        (SECONDS, "ended", "", {"reason": "ended-by-staff"}),
    ]
    return [
        JournalEntry(school_id=lesson.school_id, lesson_id=lesson.id, seq=number, at=lesson.starts_at + timedelta(seconds=at),
                     kind=kind, person_id=person, body=json.dumps(facts))
        for number, (at, kind, person, facts) in enumerate(told, start=1)
    ]
