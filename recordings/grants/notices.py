"""Who answers for the school is told of each view, unless it is about them (threat T25)."""

from datetime import datetime

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
    """Somebody looked at what they are told, which may have been somebody else's to be told before."""
    waiting = [notice for notice, _, _ in await queries.unread(session, actor)]
    for notice in waiting:
        if notice.person_id == actor.person_id:
            notice.seen_at = now
        else:
            session.add(ViewNotice(view_id=notice.view_id, person_id=actor.person_id, school_id=actor.school_id, told_at=now,
                                   seen_at=now))
    await publish(session, ViewsRead(actor.person_id, len(waiting)), actor)
