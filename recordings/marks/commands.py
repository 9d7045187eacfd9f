"""Write a note, mark a clip. The view in which it happens was checked before, and is kept with it."""

import hashlib
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.marks import queries, rules
from recordings.marks.events import RecordingClipped, RecordingNoted
from recordings.marks.tables import RecordingClip, RecordingNote
from recordings.queries import RecordingDetails
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.events import Actor
from service.safeguarding.concerns import queries as concerns


async def note(
    session: AsyncSession, actor: Actor, recording: RecordingDetails, *, view_id: str, at_ms: int | None, text: str, concern: str,
    now: datetime,
) -> RecordingNote:
    """A note at a moment. It is never edited: what was wrong is put right by another."""
    await concerns.check_number(session, actor, concern)
    row = RecordingNote(
        id=new_id(), school_id=actor.school_id, recording_id=recording.id, view_id=view_id, person_id=actor.person_id,
        at_ms=rules.check_note(at_ms, text, concern), text=text.strip(), concern=concern.strip(), written_at=now,
    )
    session.add(row)
    await publish(session, RecordingNoted(
        recording_id=recording.id, lesson_id=recording.lesson_id, view_id=view_id, note_id=row.id, at_ms=row.at_ms,
        concern=row.concern, words=fingerprint(row.id, row.text),
    ), actor)
    return row


async def clip(
    session: AsyncSession, actor: Actor, recording: RecordingDetails, *, view_id: str, from_ms: int | None, to_ms: int | None,
    reason: str, concern: str, now: datetime,
) -> RecordingClip:
    """A range of this recording with the reason: a pointer, never a file (policy: RE4)."""
    start, end = rules.check_clip(from_ms, to_ms, reason, concern)
    await concerns.check_number(session, actor, concern)
    row = RecordingClip(
        id=new_id(), school_id=actor.school_id, recording_id=recording.id, view_id=view_id, person_id=actor.person_id,
        number=await queries.next_number(session, recording.id), from_ms=start, to_ms=end, reason=reason.strip(),
        concern=concern.strip(), made_at=now,
    )
    session.add(row)
    await publish(session, RecordingClipped(
        recording_id=recording.id, lesson_id=recording.lesson_id, view_id=view_id, clip_id=row.id, from_ms=start, to_ms=end,
        concern=row.concern, words=fingerprint(row.id, row.reason),
    ), actor)
    return row


def fingerprint(row_id: str, text: str) -> str:
    """What the audit keeps of somebody's words."""
    return hashlib.sha256(f"{row_id}\x00{text}".encode()).hexdigest()
