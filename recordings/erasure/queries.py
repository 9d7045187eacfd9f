"""Reading requests to erase a recording early, always within one school."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.ending import queries as endings
from recordings.ending import rules as ending
from recordings.ending.rules import Involved
from recordings.ending.tables import Destruction
from recordings.erasure import rules
from recordings.erasure.rules import Asker, Request
from recordings.erasure.tables import RecordingErasure
from recordings.grants.tables import RecordingGrant
from recordings.rules import Kind
from recordings.tables import Recording
from service.foundation.errors import NotAllowed, NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.safeguarding import queries as safeguarding
from service.safeguarding.concerns import queries as concerns
from service.safeguarding.incidents import queries as incidents


@dataclass(frozen=True)
class Asked:
    """A recording, whom it shows, and every request to erase it, the newest first."""

    recording: Recording
    involved: Involved
    requests: tuple[Request, ...]
    destruction: Destruction | None

    @property
    def waiting(self) -> Request | None:
        return next((each for each in self.requests if each.waits), None)


async def asked(session: AsyncSession, actor: Actor, lesson_id: str, *, lock: bool = False) -> Asked:
    """For whoever may decide about it; to others it does not exist. `lock`: nobody else decides meanwhile."""
    wanted = select(Recording).where(Recording.school_id == actor.school_id, Recording.lesson_id == lesson_id,
                                     Recording.kind != Kind.TEACHING_PRACTICE)
    row = (await session.exec(wanted.with_for_update() if lock else wanted)).first()
    if row is None:
        raise NotFound()
    involved = await endings.involved(session, row)
    rules.check_may_decide(actor, involved)
    rows = (await session.exec(select(RecordingErasure).where(RecordingErasure.recording_id == row.id).order_by(
        col(RecordingErasure.decided_at).desc()))).all()
    return Asked(row, involved, tuple(map(_request, rows)), await session.get(Destruction, row.id))


def _request(row: RecordingErasure) -> Request:
    return Request(row.id, Asker(row.asker), row.words, row.erases, row.decided_by, row.decided_at, row.agreed, row.second_by,
                   row.second_at, row.second_words)


async def is_needed(session: AsyncSession, row: Recording, participants: Collection[str], now: datetime) -> bool:
    """Whether this recording, or that of another room of its lesson, is held or somebody may still watch it for an inquiry, or
    an alert, a concern or an incident is open, or a concern about an adult in it that names no lesson."""
    main_id = row.main_id or row.lesson_id
    rooms = (await session.exec(select(Recording.id, Recording.lesson_id).where(
        Recording.school_id == row.school_id,
        or_(col(Recording.lesson_id) == main_id, col(Recording.main_id) == main_id)))).all()
    steps = await endings.steps_of(session, row.school_id)
    if any(ending.in_force(steps.get(recording_id, []), now) for recording_id, _ in rooms):
        return True
    watched = select(RecordingGrant.id).where(
        col(RecordingGrant.recording_id).in_([recording_id for recording_id, _ in rooms]), col(RecordingGrant.ended_at).is_(None),
        or_(col(RecordingGrant.allowed).is_(None), col(RecordingGrant.allowed) & (col(RecordingGrant.expires_at) > now))).limit(1)
    if (await session.exec(watched)).first() is not None:
        return True
    return await is_open_about(session, row.school_id, [main_id, *(lesson_id for _, lesson_id in rooms)], participants)


async def is_open_about(session: AsyncSession, school_id: str, lesson_ids: Collection[str], participants: Collection[str],
                        ) -> bool:
    """Whether anything that is open touches these rooms of one lesson, or an adult in it, whoever may read of it."""
    return (await safeguarding.is_open_about(session, school_id, lesson_ids)
            or await incidents.is_open_about(session, school_id, lesson_ids)
            or await concerns.is_open_about(session, school_id, lesson_ids, participants))


@dataclass(frozen=True)
class Waiting:
    """A recording whose early end waits for a second person."""

    lesson_id: str
    title: str
    starts_at: datetime


async def waiting(session: AsyncSession, actor: Actor) -> Sequence[Waiting]:
    """What waits for this person's own second word."""
    if not actor.is_any(rules.DECIDERS):
        return []
    rows = (await session.exec(
        select(RecordingErasure, Recording).join(Recording, col(Recording.id) == RecordingErasure.recording_id)
        .join(Destruction, col(Destruction.recording_id) == Recording.id, isouter=True)
        .where(RecordingErasure.school_id == actor.school_id, col(RecordingErasure.erases),
               col(RecordingErasure.agreed).is_(None), col(Destruction.recording_id).is_(None))
        .order_by(col(Recording.starts_at))
    )).all()
    found = []
    for row, recording in rows:
        first = await people.actor(session, row.decided_by)
        try:
            rules.check_second(actor, _request(row), first.roles if first else frozenset(),
                               await endings.involved(session, recording))
        except (NotAllowed, NotFound):
            continue
        found.append(Waiting(recording.lesson_id, recording.title, recording.starts_at))
    return found
