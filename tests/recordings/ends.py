"""Recordings on their way to their end, without media: rows, keys and files as a lesson leaves them."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlmodel import select

from recordings.ending import commands, queries
from recordings.ending.commands import Wanted
from recordings.keystore import Part, key_id
from recordings.tables import Recording, RecordingKey, RecordingPart, RecordingParticipant
from recordings.vault import new_key
from service.foundation.db import new_id
from service.foundation.events import Actor
from service.people import queries as people
from tests.proofs import proof, with_session
from tests.school import Running


@dataclass(frozen=True)
class Kept:
    """A recording that ended, with its key as nobody but a test keeps it."""

    lesson_id: str
    part: Part
    key: bytes
    path: Any

    @property
    def id(self) -> str:
        return self.part.recording_id


async def recordings(school: Running, count: int, *, days_left: int = 3, participant: str = "",
                     kind: str = "lesson") -> list[Kept]:
    """`count` recordings that ended, of one part each, whose last day is in `days_left` days."""
    state, now = school.app.state, school.clock.now()
    async with school.database.writing() as session:
        school_id = (await people.actor(session, school.person("dsl"))).school_id  # type: ignore[union-attr]
        made = [_rows(session, school_id, now, now.date() + timedelta(days=days_left), participant, kind) for _ in range(count)]
    store, found = state.vault.key_store(school_id), []
    for lesson_id, part in made:
        key = bytes(new_key())
        store.put(part, key)
        path = state.vault.path(part.recording_id, 1)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"encrypted")
        (path.parent / "1.preparation").write_bytes(b"encrypted too")
        found.append(Kept(lesson_id, part, key, path))
    async with school.database.writing() as session:
        for kept in found:
            key_row = (await session.exec(select(RecordingKey).join(RecordingPart, RecordingPart.id == RecordingKey.part_id)
                                          .where(RecordingPart.recording_id == kept.id))).one()
            key_row.name = key_id(kept.key)
    return found


def _rows(session: Any, school_id: str, now: Any, kept_until: date, participant: str, kind: str) -> tuple[str, Part]:
    row = Recording(school_id=school_id, lesson_id=new_id(), title="Maths", class_name="5 Oak", starts_at=now, ends_at=now,
                    started_at=now, ended_at=now, outcome="complete", kept_until=kept_until, kind=kind)
    part = RecordingPart(school_id=school_id, recording_id=row.id, part=1, started_at=now, sealed_at=now, outcome="complete")
    session.add_all([row, part, RecordingKey(part_id=part.id, school_id=school_id)])
    if participant:
        session.add(RecordingParticipant(recording_id=row.id, person_id=participant, school_id=school_id, role="teacher",
                                         admitted_at=now))
    return row.lesson_id, Part(row.id, 1, kept_until)


def wanted(school: Running, *, isolate: bool = False, days: int = 60) -> Wanted:
    return Wanted("A complaint about this lesson", "C-17", school.clock.now().date() + timedelta(days=days), isolate)


async def ask(school: Running, kept: Kept, role: str = "dsl", *, isolate: bool = False, actor: Actor | None = None) -> None:
    """Ask to keep a recording, as somebody who proved who they are."""
    given = wanted(school, isolate=isolate)
    who = actor or await with_session(school, role)
    async with school.database.reading() as session:
        action = commands.asking(await queries.hold(session, who, kept.lesson_id, school.clock.now()), given)
    proved = await proof(school, who, action)
    async with school.database.writing() as session:
        await commands.ask(session, who, kept.lesson_id, given, vault=school.app.state.vault, proof=proved,
                           now=school.clock.now())


async def agree(school: Running, kept: Kept, role: str = "headteacher") -> None:
    who = await with_session(school, role)
    async with school.database.reading() as session:
        action = commands.agreeing(await queries.hold(session, who, kept.lesson_id, school.clock.now()))
    school.clock.advance(31)  # a code works once
    proved = await proof(school, who, action)
    async with school.database.writing() as session:
        await commands.agree(session, who, kept.lesson_id, vault=school.app.state.vault, proof=proved, now=school.clock.now())


async def ask_release(school: Running, kept: Kept, role: str = "dsl") -> None:
    who, words = await with_session(school, role), "The case is closed"
    async with school.database.reading() as session:
        action = commands.releasing(await queries.hold(session, who, kept.lesson_id, school.clock.now()), words)
    school.clock.advance(31)
    proved = await proof(school, who, action)
    async with school.database.writing() as session:
        await commands.ask_release(session, who, kept.lesson_id, words=words, proof=proved, now=school.clock.now())
