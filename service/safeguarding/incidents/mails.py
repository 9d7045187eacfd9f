"""Whoever an incident was escalated to is told that something waits for them (S2), and no more (policy: IN1)."""

from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import mail
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.people import queries as people
from service.safeguarding.incidents import queries
from service.safeguarding.incidents.events import IncidentEscalated
from service.safeguarding.incidents.tables import Incident


async def ask(session: AsyncSession, event: IncidentEscalated, actor: Actor) -> None:
    row = await session.get_one(Incident, event.incident_id)
    wanted = SAFEGUARDING if event.to == Role.DSL else frozenset({Role(event.to)})
    told = {one.id for one in await queries.readers(session, row) if one.roles & wanted} - {actor.person_id}
    await mail.queue(session, school_id=row.school_id, people=told, text="S2", about=event.entry_id,
                     now=session.info["clock"].now(), zone=(await people.school(session, row.school_id)).zone)
