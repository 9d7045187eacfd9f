"""Letting families be told of a view that was hidden. policy: RE1"""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.told import queries
from recordings.told.events import ViewReleased
from recordings.told.tables import ViewRelease
from service.foundation.bus import publish
from service.foundation.errors import NotFound
from service.foundation.events import Actor


async def release(session: AsyncSession, actor: Actor, view_id: str, now: datetime) -> None:
    """From now on the families of the children in the recording read of this view. Raises NotFound for any but a hidden one."""
    found = await queries.one_hidden(session, actor, view_id)
    if found is None:
        raise NotFound()
    session.add(ViewRelease(view_id=view_id, school_id=actor.school_id, released_by=actor.person_id, released_at=now))
    await session.flush()
    await publish(session, ViewReleased(view_id, found[1].lesson_id), actor)
