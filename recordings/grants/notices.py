"""Who answers for the school is told of each view, unless it is about them (screens 5.3, threat T25)."""

from datetime import datetime

from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.grants import queries
from recordings.grants.events import ViewsRead
from recordings.grants.tables import ViewNotice
from recordings.queries import RecordingDetails
from recordings.tables import RecordingView
from service.foundation.bus import publish
from service.foundation.events import Actor, Role
from service.people import queries as people


async def tell(session: AsyncSession, view: RecordingView, details: RecordingDetails, now: datetime) -> None:
    """The headteacher; where it is about the headteacher, or they watch themselves, the chair. Never whom it is about."""
    about = await queries.subjects(session, details)
    for role in (Role.HEADTEACHER, Role.CHAIR):
        told = {one.id for one in await people.holders(session, details.school_id, frozenset({role}))} - about - {view.person_id}
        if told:
            break
    session.add_all(ViewNotice(view_id=view.id, person_id=person, school_id=details.school_id, told_at=now)
                    for person in sorted(told))


async def read(session: AsyncSession, actor: Actor, now: datetime) -> None:
    """Somebody looked at what they are told."""
    waiting = await queries.untold(session, actor)
    await session.exec(update(ViewNotice).where(
        col(ViewNotice.school_id) == actor.school_id, col(ViewNotice.person_id) == actor.person_id,
        col(ViewNotice.seen_at).is_(None)).values(seen_at=now))
    await publish(session, ViewsRead(actor.person_id, waiting), actor)
