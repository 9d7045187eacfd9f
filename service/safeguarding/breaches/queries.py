"""Reading the log of breaches, always within one school."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import NotFound
from service.people import queries as people
from service.safeguarding.breaches import rules
from service.safeguarding.breaches.tables import DataBreach, DataBreachStep


@dataclass(frozen=True)
class StepView:
    kind: rules.Step
    words: str
    added_by: str
    added_at: datetime


@dataclass(frozen=True)
class BreachView:
    """A breach with what was done about it, the first step first."""

    id: str
    number: int
    what: str
    whose: str
    noticed_at: datetime
    recorded_by: str
    recorded_at: datetime
    clock: rules.Clock
    steps: tuple[StepView, ...] = ()

    @property
    def is_closed(self) -> bool:
        return any(step.kind is rules.Step.CLOSED for step in self.steps)


async def breaches(session: AsyncSession, school_id: str, breach_id: str = "") -> list[BreachView]:
    """All of them, the newest first, or one."""
    only = [DataBreach.id == breach_id] if breach_id else []
    rows = (await session.exec(select(DataBreach).where(DataBreach.school_id == school_id, *only).order_by(
        col(DataBreach.number).desc()))).all()
    steps = (await session.exec(select(DataBreachStep).where(
        col(DataBreachStep.breach_id).in_([row.id for row in rows])).order_by(col(DataBreachStep.added_at)))).all()
    names = await people.people(session, school_id, {one.recorded_by for one in rows} | {one.added_by for one in steps})
    now: datetime = session.info["clock"].now()

    def done(row: DataBreach) -> tuple[StepView, ...]:
        return tuple(StepView(rules.Step(one.kind), one.words, names[one.added_by].name, one.added_at)
                     for one in steps if one.breach_id == row.id)

    return [BreachView(row.id, row.number, row.what, row.whose, row.noticed_at, names[row.recorded_by].name, row.recorded_at,
                       rules.clock(row.noticed_at, [step.kind for step in done(row)], now), done(row)) for row in rows]


async def breach(session: AsyncSession, school_id: str, breach_id: str) -> BreachView:
    found = await breaches(session, school_id, breach_id)
    if not found or not breach_id:
        raise NotFound()
    return found[0]
