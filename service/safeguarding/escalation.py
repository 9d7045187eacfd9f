"""Time passes an alert on: whom it calls is decided at each reading; that it came to that is written down here, once a step
(policy: RC1). A process that was down in between writes it when it is back."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.events import Role, system
from service.people import queries as people
from service.safeguarding import mails, queries, rules
from service.safeguarding.events import AlertHasNobodyElse, AlertPassedOn
from service.safeguarding.tables import Alert

EVERY = 2.0
"""Seconds between two looks: how late a step can come."""


async def pass_on(database: Database, clock: Clock) -> int:
    """Write down, tell and mail every step that is due. Returns how many were."""
    now = clock.now()
    async with database.reading() as session:
        due = [row.id for row in await _waiting(session) if await _step(session, row, now) > row.step]
    passed = 0
    for alert_id in due:
        async with database.writing() as session:
            passed += await _pass_on(session, alert_id, now)
    return passed


async def _waiting(session: AsyncSession) -> list[Alert]:
    return list((await session.exec(select(Alert).where(
        Alert.taken_by == "", col(Alert.closed_at).is_(None), Alert.step < rules.LAST_STEP,
        col(Alert.kind).not_in([str(kind) for kind in rules.QUIET]),
    ))).all())


async def _step(session: AsyncSession, row: Alert, now: datetime) -> int:
    minutes = (await people.profile(session, row.school_id)).alert_minutes
    readers = await queries.holders(session, row.school_id)
    return rules.steps_passed(queries.known(row, await queries.barred(session, row.id), readers), now, minutes)


async def _pass_on(session: AsyncSession, alert_id: str, now: datetime) -> int:
    """Asked again in the transaction that writes: somebody may have taken it in between."""
    row = await session.get_one(Alert, alert_id)
    step, before = await _step(session, row, now), row.step
    if row.closed_at is not None or step <= before:
        return 0
    row.step = step
    minutes = (await people.profile(session, row.school_id)).alert_minutes
    calls = await mails.first_calls(session, row)
    steps = [each for each in rules.steps_of(Role(row.routed_to)) if before < each <= step]
    for each in steps:
        called = sorted(person for person, after in calls.items() if after == rules.step_after(each, minutes))
        nobody = each == rules.LAST_STEP and not called
        event = AlertHasNobodyElse(row.id, len(calls)) if nobody else AlertPassedOn(row.id, each, " ".join(called))
        await publish(session, event, system(row.school_id))
    return len(steps)
