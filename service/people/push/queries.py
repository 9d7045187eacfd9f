"""Whether a phone gets notices. Never where they are sent."""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.events import Actor
from service.people.push.tables import PushSubscription


async def is_on(session: AsyncSession, actor: Actor, phone_id: str) -> bool:
    """Whether this phone, signed in as this person, gets notices."""
    found = (await session.exec(select(PushSubscription.id).where(
        PushSubscription.school_id == actor.school_id, PushSubscription.person_id == actor.person_id,
        PushSubscription.phone_id == phone_id))).first()
    return found is not None
