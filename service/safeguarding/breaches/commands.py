"""Recording a breach and what is done about it. Lines are only ever added (policy: AC10)."""

from datetime import datetime

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.events import Actor
from service.safeguarding.breaches import queries, rules
from service.safeguarding.breaches.events import BreachRecorded, BreachStepAdded
from service.safeguarding.breaches.tables import DataBreach, DataBreachStep


async def record(session: AsyncSession, actor: Actor, *, what: str, whose: str, noticed_at: datetime | None,
                 now: datetime) -> str:
    """Begin the record of a breach. Returns its id."""
    rules.check_breach(what, whose, noticed_at, now)
    assert noticed_at is not None
    last = (await session.exec(select(func.max(DataBreach.number)).where(DataBreach.school_id == actor.school_id))).one()
    row = DataBreach(id=new_id(), school_id=actor.school_id, number=(last or 0) + 1, what=what.strip(), whose=whose.strip(),
                     noticed_at=noticed_at, recorded_by=actor.person_id, recorded_at=now)
    session.add(row)
    await publish(session, BreachRecorded(row.id), actor)
    return row.id


async def add_step(session: AsyncSession, actor: Actor, breach_id: str, *, kind: str, words: str, now: datetime) -> None:
    found = await queries.breach(session, actor.school_id, breach_id)
    step = rules.check_step(kind, words, [one.kind for one in found.steps])
    session.add(DataBreachStep(school_id=actor.school_id, breach_id=breach_id, kind=step, words=words.strip(),
                               added_by=actor.person_id, added_at=now))
    await publish(session, BreachStepAdded(breach_id, step), actor)
