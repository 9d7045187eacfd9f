"""A recorded lesson of the demo school: half a minute, a pause, a flag, chat, two cameras, three microphones."""

import asyncio
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from recordings import commands, rules
from recordings.capture import Capture
from recordings.commands import Begun, LessonFacts
from service.foundation.events import Actor, Role, system
from service.people import queries as people
from tests.recordings.media import real_opus, real_vp8
from tests.school import Running

SECONDS = 24
PAUSE = (10, 14)


@dataclass
class Recorded:
    """What was recorded, and who was in it."""

    lesson_id: str
    begun: Begun
    school_id: str
    teacher: str
    pupils: list[str]
    participants: list[str] = field(default_factory=list)
    kept_until: date = date.min

    @property
    def recording_id(self) -> str:
        return self.begun.header.recording_id

    @property
    def page(self) -> str:
        return f"/recordings/{self.lesson_id}"


async def begin(school: Running, participants: list[str], lesson: dict[str, Any] | None = None) -> Recorded:
    """The rows of a lesson's recording, as the host of a room makes them."""
    lesson = lesson or next(each for each in school.made["lessons"] if each["title"] == "Maths: fractions")
    async with school.database.writing() as session:
        teacher = await people.actor(session, lesson["adult_ids"][0])
        assert teacher
        facts = LessonFacts(
            lesson["id"], lesson["title"], "5 Oak", datetime.fromisoformat(lesson["starts_at"]),
            datetime.fromisoformat(lesson["ends_at"]),
        )
        begun = await commands.begin(session, teacher, facts, vault=school.app.state.vault, clock=school.clock)
        found = Recorded(lesson["id"], begun, teacher.school_id, teacher.person_id, lesson["pupil_ids"][:2])
        found.kept_until = rules.kept_until(facts.ends_at, 30)
        found.participants = [found.teacher, *found.pupils, *participants]
        for person in found.participants:
            await commands.admit(
                session, teacher, recording_id=found.recording_id, person_id=person, role="teacher",
                now=school.clock.now(),
            )
    return found


def start(school: Running, recorded: Recorded) -> Capture:
    begun = recorded.begun
    return Capture.start(
        begun.path, header=begun.header, key=begun.key, lesson_clock_start=begun.lesson_clock_start, clock=school.clock,
        on_durable=lambda instant: None, on_fault=lambda reason: None, signer=begun.signer,
    )


async def teach(school: Running, recorded: Recorded, capture: Capture) -> None:
    """The lesson itself: a camera and a microphone of the teacher, a microphone of the first pupil."""
    teacher, ali = recorded.teacher, recorded.pupils[0]
    pictures, speech, answer = real_vp8(SECONDS), real_opus(SECONDS, 440), real_opus(SECONDS, 880)
    camera = capture.track("t-camera", person_id=teacher, source="camera", codec="vp8")
    tracks = (
        (camera, pictures),
        (capture.track("t-mic", person_id=teacher, source="microphone", codec="opus"), speech),
        (capture.track("a-mic", person_id=ali, source="microphone", codec="opus"), answer),
    )
    capture.note("start", 0, {"title": "Maths"})
    for position, person in enumerate(recorded.participants):
        capture.note("presence", position * 100, {"person": person, "role": "teacher", "event": "in"})
    capture.note("open", 1000, {})
    for second in range(SECONDS):
        if second == PAUSE[0]:
            capture.note("hold", second * 1000, {"reasons": ["lone-adult"]})
            for track, _ in tracks:
                track.pause()
        if second == PAUSE[1]:
            capture.note("open", second * 1000, {})
        if second >= 1 and not PAUSE[0] <= second < PAUSE[1]:
            for track, frames in tracks:
                for at, frame, key in frames:
                    if at // 1000 == second:
                        track.write(frame, at, key)
        school.clock.advance(1.0)
        capture.flush()
        await until_durable(capture)
    capture.note("chat", 5000, {"id": "c1", "person": ali, "text": "Is it <b>half</b>?", "outcome": "delivered"})
    capture.note("chat", 6000, {"id": "c2", "person": ali, "text": "look at example.org", "outcome": "held"})
    capture.note("flag", 17_000, {"flag": "f1", "person": teacher, "about": "heard", "note": ""})
    capture.note("flag", 18_000, {"flag": "f1", "person": teacher, "note": "Shouting behind Ali"})


async def until_durable(capture: Capture) -> None:
    """Everything handed to the writer is on the disk."""
    done = asyncio.Event()
    capture._on_durable = lambda instant: None if capture._pending else done.set()
    async with asyncio.timeout(10):
        await done.wait()


async def finish(school: Running, recorded: Recorded, capture: Capture) -> None:
    manifest = await capture.seal("complete")
    async with school.database.writing() as session:
        chaperone = system(recorded.school_id)
        await commands.seal_part(session, chaperone, manifest, now=school.clock.now())
        await commands.end(session, chaperone, recording_id=recorded.recording_id, now=school.clock.now())


async def record_two_sizes(school: Running) -> Recorded:
    """A lesson of twelve seconds whose teacher's camera comes in two sizes. Both from 3 to 8 seconds, when a pupil with a slow
    network is there; the small one alone from 8 on. Large grows brighter, small is brightest first and grows darker."""
    recorded = await begin(school, [])
    capture = start(school, recorded)
    teacher, pictures, seconds = recorded.teacher, real_vp8(12, key_every=15), 12
    large = capture.track("t.h", person_id=teacher, source="camera", codec="vp8", layer="h")
    small = capture.track("t.l", person_id=teacher, source="camera", codec="vp8", layer="l")
    capture.note("presence", 0, {"person": teacher, "role": "teacher", "event": "in"})
    capture.note("open", 0, {})
    for second in range(seconds):
        if second == 8:
            large.pause()
        for at, frame, key in pictures:
            if at // 1000 == second and second < 8:
                large.write(frame, at, key)
            if at // 1000 == seconds - 1 - second and second >= 3:
                small.write(frame, second * 1000 + at % 1000, key)
        school.clock.advance(1.0)
        capture.flush()
        await until_durable(capture)
    await finish(school, recorded, capture)
    return recorded


async def record_lesson(school: Running, participants: list[str] | None = None) -> Recorded:
    """A whole lesson, sealed; `participants` were in it beside its teacher and two pupils."""
    recorded = await begin(school, participants or [])
    capture = start(school, recorded)
    await teach(school, recorded, capture)
    await finish(school, recorded, capture)
    return recorded


def actor(person_id: str, school_id: str, *roles: Role, session_id: str = "") -> Actor:
    return Actor(person_id, school_id, frozenset(roles), "", session_id)
