"""Reading about recordings: SQL in, frozen dataclasses out, always within one school."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from recordings.ending.tables import Destruction
from recordings.format import Header
from recordings.practice.tables import PracticeView
from recordings.reader import read_manifest
from recordings.rules import Kind, View
from recordings.tables import Recording, RecordingKey, RecordingPart, RecordingParticipant, RecordingView
from service.foundation.errors import NotFound
from service.people.rules import sort_key

A_PAGE = 50


@dataclass(frozen=True)
class PartView:
    part: int
    started_at: datetime
    outcome: str
    reason: str
    manifest: str
    destroyed_at: datetime | None
    """Since when nobody may open it: its destruction has begun, and cannot be taken back."""

    @property
    def has_nothing(self) -> bool:
        """Sealed without a single byte on the disk: there is no file."""
        words = read_manifest(self.manifest.encode()) if self.manifest else None
        return words is not None and not words.chunks


@dataclass(frozen=True)
class RecordingDetails:
    """One lesson's recording. `participants`: ids of everybody who was admitted, to this room or another of the lesson:
    who was in a lesson reviews none of its rooms. `rooms`: (lesson, title) of its other recordings, the main room first."""

    id: str
    school_id: str
    lesson_id: str
    title: str
    class_name: str
    starts_at: datetime
    ends_at: datetime
    started_at: datetime
    outcome: str
    reason: str
    kept_until: date
    parts: tuple[PartView, ...]
    participants: frozenset[str]
    main_id: str = ""
    rooms: tuple[tuple[str, str], ...] = ()
    kind: str = "lesson"

    @property
    def is_for_practice(self) -> bool:
        """Whether it is there for teaching practice, and for nothing else."""
        return self.kind == Kind.TEACHING_PRACTICE

    @property
    def is_destroyed(self) -> bool:
        return bool(self.parts) and all(part.destroyed_at for part in self.parts)

    @property
    def can_be_watched(self) -> bool:
        return bool(self.outcome) and not self.is_destroyed


@dataclass(frozen=True)
class Listed:
    """A line of the list. `took_part`: the reader was in it, so somebody else reviews it. How often it was watched is said where
    somebody may watch it, and not here: who was in it, or whom it is about, would learn that somebody looks (policy: IN4)."""

    lesson_id: str
    title: str
    class_name: str
    starts_at: datetime
    outcome: str
    reason: str
    kept_until: date
    took_part: bool


@dataclass(frozen=True)
class Watched:
    """An earlier view."""

    person_id: str
    why: str
    granted_at: datetime


@dataclass(frozen=True)
class OpenPart:
    """A part that has no seal yet, or whose file may lack the one that is kept."""

    header: Header
    kept_until: date
    manifest: str


@dataclass(frozen=True)
class Sought:
    """What somebody looks for in the list: lessons that began on a day of the school's zone, and of one class."""

    on: date | None = None
    class_name: str = ""


async def listing(session: AsyncSession, school_id: str, person_id: str, zone: str, sought: Sought, page: int = 1,
                  ) -> list[Listed]:
    """A page of recordings, the newest first, as `person_id` may see them; one line more where there is a next page."""
    wanted = select(Recording).where(*_in_the_list(school_id))
    if sought.on is not None:
        midnight = datetime.combine(sought.on, time(), ZoneInfo(zone))  # the next is by the clock on the wall, 23 to 25 hours on
        wanted = wanted.where(col(Recording.starts_at) >= midnight, col(Recording.starts_at) < midnight + timedelta(days=1))
    if sought.class_name:
        wanted = wanted.where(Recording.class_name == sought.class_name)
    rows = (await session.exec(
        wanted.order_by(col(Recording.starts_at).desc(), col(Recording.id)).offset((page - 1) * A_PAGE).limit(A_PAGE + 1))).all()
    took_part = select(Recording.lesson_id, Recording.main_id).join(
        RecordingParticipant, col(RecordingParticipant.recording_id) == Recording.id
    ).where(RecordingParticipant.person_id == person_id)
    mine = {main_id or lesson_id for lesson_id, main_id in (await session.exec(took_part)).all()}
    return [
        Listed(row.lesson_id, row.title, row.class_name, row.starts_at, row.outcome, row.reason, row.kept_until,
               row.lesson_id in mine)
        for row in rows
    ]


async def classes(session: AsyncSession, school_id: str) -> list[str]:
    """The names of the classes that have recordings in the list."""
    found = await session.exec(select(Recording.class_name).where(*_in_the_list(school_id)).distinct())
    return sorted(found.all(), key=sort_key)


def _in_the_list(school_id: str) -> tuple[ColumnElement[bool], ...]:
    """A lesson's other rooms are beside its main one, and what is for teaching practice is not reviewed."""
    return (col(Recording.school_id) == school_id, col(Recording.main_id) == "",
            col(Recording.kind) != Kind.TEACHING_PRACTICE)


async def recording(session: AsyncSession, school_id: str, lesson_id: str) -> RecordingDetails:
    """The recording of a lesson; `NotFound` for another school's, as for one that does not exist."""
    row = (await session.exec(
        select(Recording).where(Recording.school_id == school_id, Recording.lesson_id == lesson_id)
    )).first()
    if row is None:
        raise NotFound()
    parts = (await session.exec(
        select(RecordingPart, RecordingKey, Destruction).join(RecordingKey, col(RecordingKey.part_id) == RecordingPart.id)
        .join(Destruction, col(Destruction.recording_id) == RecordingPart.recording_id, isouter=True)
        .where(RecordingPart.recording_id == row.id).order_by(col(RecordingPart.part))
    )).all()
    whole = (await session.exec(_of_one_lesson(school_id, row.main_id or row.lesson_id))).all()
    people = (await session.exec(
        select(RecordingParticipant.person_id).where(col(RecordingParticipant.recording_id).in_({each.id for each in whole}))
    )).all()
    return RecordingDetails(
        row.id, row.school_id, row.lesson_id, row.title, row.class_name, row.starts_at, row.ends_at, row.started_at,
        row.outcome, row.reason, row.kept_until,
        tuple(
            PartView(part.part, part.started_at, part.outcome, part.reason, part.manifest,
                     key.destroyed_at or (gone.begun_at if gone else None))
            for part, key, gone in parts
        ),
        frozenset(people), row.main_id,
        tuple((each.lesson_id, each.title) for each in whole if each.id != row.id), row.kind,
    )


def _of_one_lesson(school_id: str, main_id: str) -> "SelectOfScalar[Recording]":
    """A lesson's recording and those of its breakout rooms, its own first."""
    return select(Recording).where(
        Recording.school_id == school_id, or_(col(Recording.lesson_id) == main_id, col(Recording.main_id) == main_id)
    ).order_by(col(Recording.main_id), col(Recording.starts_at), col(Recording.title))


async def views(session: AsyncSession, recording_id: str) -> list[Watched]:
    """Who watched before, latest first."""
    rows = (await session.exec(
        select(RecordingView).where(RecordingView.recording_id == recording_id)
        .order_by(col(RecordingView.granted_at).desc())
    )).all()
    return [Watched(row.person_id, row.why, row.granted_at) for row in rows]


async def view(session: AsyncSession, school_id: str, view_id: str) -> View | None:
    """One view, of a lesson's recording or of one for teaching practice."""
    row = await session.get(RecordingView, view_id)
    if row is None:
        practice = await session.get(PracticeView, view_id)
        return _of_practice(practice) if practice and practice.school_id == school_id else None
    if row.school_id != school_id:
        return None
    return View(row.recording_id, row.person_id, row.session_id, row.granted_at, row.expires_at, row.grant_id)


def _of_practice(row: PracticeView) -> View:
    return View(row.plan_id, row.person_id, row.session_id, row.granted_at, row.expires_at)


async def unsealed(session: AsyncSession) -> list[OpenPart]:
    """Parts, of every school, that the start has to seal."""
    rows = await session.exec(
        select(Recording, RecordingPart, RecordingKey)
        .join(RecordingPart, col(RecordingPart.recording_id) == Recording.id)
        .join(RecordingKey, col(RecordingKey.part_id) == RecordingPart.id)
        .where(col(RecordingPart.outcome) != "complete", col(RecordingKey.destroyed_at).is_(None))
    )
    return [
        OpenPart(
            Header(whole.school_id, whole.id, whole.lesson_id, part.part, part.started_at), whole.kept_until, part.manifest,
        )
        for whole, part, key in rows.all()
    ]


async def running(session: AsyncSession) -> list[tuple[str, str]]:
    """(recording, school) of what has not ended."""
    rows = await session.exec(select(Recording.id, Recording.school_id).where(Recording.outcome == ""))
    return [(recording_id, school_id) for recording_id, school_id in rows.all()]


async def sealed(session: AsyncSession, recording_id: str, part: int) -> str:
    """The manifest of a part that is sealed and whose key lives; empty for any other."""
    found = (await session.exec(
        select(RecordingPart.manifest).join(RecordingKey, col(RecordingKey.part_id) == RecordingPart.id)
        .where(RecordingPart.recording_id == recording_id, RecordingPart.part == part, col(RecordingKey.destroyed_at).is_(None))
    )).first()
    return found or ""
