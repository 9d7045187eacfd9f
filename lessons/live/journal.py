"""The journal of one lesson's room on its way into the database: in order, in short transactions, until it is durable."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.adults import took_part
from lessons.attention import commands as attention
from lessons.attention.rules import OVER_WHEN_AN_ADULT_COMES, OVER_WHEN_OPEN, Reason
from lessons.breakouts.family import ids_of
from lessons.live.facts import LessonEnded, LessonStopped, RoomJournalled, RoomOpened
from lessons.tables import JournalEntry, Lesson
from service.foundation.bus import publish
from service.foundation.db import Database
from service.foundation.events import Actor, Event
from service.safeguarding import commands as safeguarding
from service.safeguarding.rules import About

log = structlog.get_logger(__name__)
BATCH = 8
"""Entries in one transaction: the school's other writers wait for it."""
PATIENCE = 0.5
ABOUT = {"seen": About.SAW}
NOTICED_BY_PEOPLE = frozenset({"flag", "stopped"})
CALLS = frozenset({Reason.NOT_ARRIVED, Reason.AWAY, Reason.STOPPED})
"""The alerts that those on duty are called for as well."""


@dataclass(frozen=True)
class Entry:
    """`durable` is called once it is. An `alert` goes to the safeguarding team instead of the journal, with `words`; what
    `calls` goes to those on duty."""

    kind: str
    at: datetime
    person: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    words: str = ""
    alert: bool = False
    calls: bool = False
    in_the_room: frozenset[str] = frozenset()
    durable: Callable[[], None] | None = None


class Journal:
    """One writer a lesson. `run` it as a task that outlives the room: what it said last is written too. `write` never waits."""

    def __init__(self, database: Database, actor: Actor, lesson_id: str, place: str):
        self._database, self._actor, self._lesson_id, self._place = database, actor, lesson_id, place
        self._flags: dict[tuple[str, str], str] = {}
        """The alert of each flag, by who raised it and its number."""
        self._waiting: asyncio.Queue[Entry] = asyncio.Queue()

    def write(self, entry: Entry) -> None:
        self._waiting.put_nowait(entry)

    async def run(self) -> None:
        """Write what waits; what the database does not take is tried again, so nothing is lost while this process lives."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            written = await self._written(batch)
            while not written:
                await asyncio.sleep(PATIENCE)
                written = await self._written(batch)
            for entry in batch:
                self._is_durable(entry)
                self._waiting.task_done()

    def _is_durable(self, entry: Entry) -> None:
        """What breaks in the room has shut the room; what it said before is written all the same."""
        try:
            if entry.durable:
                entry.durable()
        except Exception:
            log.exception("journal.not_told", lesson_id=self._lesson_id)

    async def drained(self) -> None:
        await self._waiting.join()

    async def _written(self, batch: list[Entry]) -> bool:
        flags = dict(self._flags)
        try:
            async with self._database.writing() as session:
                for entry in batch:
                    await self._write(session, entry)
        except Exception:
            log.exception("journal.failed", lesson_id=self._lesson_id)
            self._flags = flags  # their alerts were rolled back
            return False
        return True

    async def _write(self, session: AsyncSession, entry: Entry) -> None:
        facts = json.dumps(dict(entry.facts), sort_keys=True)
        if entry.calls or (entry.alert and entry.kind in CALLS):
            await attention.call(session, self._actor_of(entry), lesson_id=self._lesson_id, reason=Reason(entry.kind),
                                 why=str(entry.facts.get("why", "")), now=entry.at)
        if entry.calls:
            return
        if entry.alert:
            await self._alert(session, entry)
            return
        await self._call_off(session, entry)
        if entry.kind == "joined" and entry.facts.get("role") != "pupil":
            for lesson_id in (await session.exec(ids_of(self._lesson_id))).all():
                await safeguarding.bar(session, school_id=self._actor.school_id, lesson_id=lesson_id, person_id=entry.person)
        last = (await session.exec(select(func.max(JournalEntry.seq)).where(JournalEntry.lesson_id == self._lesson_id))).one()
        session.add(JournalEntry(
            school_id=self._actor.school_id, lesson_id=self._lesson_id, seq=(last or 0) + 1, at=entry.at, kind=entry.kind,
            person_id=entry.person, body=facts,
        ))
        await self._mark_lesson(session, entry)
        await publish(session, self._event(entry, facts), self._actor_of(entry))

    async def _call_off(self, session: AsyncSession, entry: Entry) -> None:
        """Whom the lesson waited for has come, or it is open again, or over. A guest is nobody's adult (policy: AC7)."""
        settle = partial(attention.over, session, self._actor, lesson_id=self._lesson_id, now=entry.at)
        if entry.kind == "opened":
            await settle(reasons=OVER_WHEN_OPEN)
        elif entry.kind == "ended":
            await settle()
        elif entry.kind == "joined" and entry.facts.get("role") not in ("pupil", "guest"):
            await settle(reasons=OVER_WHEN_AN_ADULT_COMES)
            await settle(reasons=(Reason.INVITED,), person_id=entry.person)

    async def _alert(self, session: AsyncSession, entry: Entry) -> None:
        """An adult of the lesson never learns of it (policy: RC4); a later note joins the flag it is about.

        Whatever a page sends, nothing here may be refused: the journal would wait for it, and every later alert with it.
        """
        if entry.kind == Reason.ADDRESS and await self._is_known(session, entry):
            return
        actor = self._actor_of(entry) if entry.kind in NOTICED_BY_PEOPLE else self._actor
        about = ABOUT.get(str(entry.facts.get("about", "")), str(entry.facts.get("about", "")))
        flag = (actor.person_id, str(entry.facts.get("flag", "")))
        if flag in self._flags and entry.facts.get("more"):
            if about or entry.words.strip():
                await safeguarding.add_words(
                    session, actor, alert_id=self._flags[flag], about=about, words=entry.words, now=entry.at
                )
            return
        alert_id = await safeguarding.raise_alert(
            session, actor, kind=entry.kind, now=entry.at, lesson_id=self._lesson_id, place=self._place,
            present=entry.in_the_room | await took_part(session, self._lesson_id), about=about, words=entry.words,
        )
        if flag[1]:
            self._flags[flag] = alert_id
        if entry.kind == Reason.ADDRESS:
            await attention.call_about_address(
                session, actor, lesson_id=self._lesson_id, child_id=entry.person, adult_id=str(entry.facts.get("other", "")),
                alert_id=alert_id, now=entry.at,
            )

    async def _is_known(self, session: AsyncSession, entry: Entry) -> bool:
        """A host that began again sees the same two again; what a leader cleared for this lesson stays cleared."""
        return await attention.is_known(session, lesson_id=self._lesson_id, child_id=entry.person,
                                        adult_id=str(entry.facts.get("other", "")))

    def _actor_of(self, entry: Entry) -> Actor:
        who = str(entry.facts.get("by", "")) or entry.person
        return Actor(who, self._actor.school_id, frozenset()) if who else self._actor

    def _event(self, entry: Entry, facts: str) -> Event:
        match entry.kind:
            case "opened":
                return RoomOpened(self._lesson_id, _int(entry.facts["opening"]), " ".join(_ids(entry.facts["people"])))
            case "ended":
                return LessonEnded(self._lesson_id, str(entry.facts["reason"]))
            case "stopped":
                return LessonStopped(self._lesson_id, entry.person)
            case _:
                return RoomJournalled(self._lesson_id, entry.kind, entry.person, facts)

    async def _mark_lesson(self, session: AsyncSession, entry: Entry) -> None:
        """When it really began and ended, on the lesson itself."""
        if entry.kind not in ("opened", "ended"):
            return
        lesson = await session.get_one(Lesson, self._lesson_id)
        if entry.kind == "opened":
            lesson.started_at = lesson.started_at or entry.at
        else:
            lesson.ended_at, lesson.end_reason = lesson.ended_at or entry.at, str(entry.facts["reason"])
        session.add(lesson)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _ids(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
