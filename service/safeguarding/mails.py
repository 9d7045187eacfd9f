"""Who gets a mail about an alert, and when: as it calls them on their pages, and never whoever must not know (policy: RC1)."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import mail
from service.foundation.events import Actor
from service.people import queries as people
from service.safeguarding import queries, rules
from service.safeguarding.events import (
    AlertClosed,
    AlertHandedOver,
    AlertMoved,
    AlertPassedOn,
    AlertRaised,
    AlertReleased,
    AlertReopened,
    AlertTaken,
)
from service.safeguarding.tables import Alert


async def write(session: AsyncSession, event: AlertRaised | AlertMoved | AlertReopened | AlertReleased, actor: Actor) -> None:
    """S1: the DSL at once, deputies after five minutes, the next queue after fifteen, unless somebody takes it before.

    All of them lie in the database from now on, so that a restart in between loses none.
    """
    row = await session.get_one(Alert, event.alert_id)
    if row.kind in rules.QUIET:
        return
    if isinstance(event, AlertMoved):
        await mail.call_off(session, about=event.alert_id, now=row.called_at)
    for person, after in (await first_calls(session, row)).items():
        await _queue(session, row, {person}, _occasion(event, row), row.called_at, after)


def _occasion(event: AlertRaised | AlertMoved | AlertReopened | AlertReleased, row: Alert) -> str:
    """What makes it another mail than the one before."""
    match event:
        case AlertReopened():
            return event.note_id
        case AlertMoved():
            return f"{event.moved_to} {row.called_at:%d%H%M%S%f}"
        case AlertReleased():
            return f"released {row.called_at:%d%H%M%S%f}"
    return ""


async def first_calls(session: AsyncSession, row: Alert) -> dict[str, timedelta]:
    """How long after it began to call an alert that nobody takes first calls each person."""
    barred = await queries.barred(session, row.id)
    holders = await queries.holders(session, row.school_id)
    duty = await queries.team_on_duty(session, row.school_id, session.info["clock"].now()) - barred
    minutes = (await people.profile(session, row.school_id)).alert_minutes
    return rules.call_times(queries.known(row, barred, holders), holders, duty, minutes)


async def pass_on(session: AsyncSession, event: AlertPassedOn, actor: Actor) -> None:
    """Whoever is called now and has no mail of it yet: they may have come to the role since it was raised."""
    row = await session.get_one(Alert, event.alert_id)
    had = set((await session.exec(select(mail.Mail.person_id).where(
        mail.Mail.about == row.id, col(mail.Mail.made_at) >= row.called_at))).all())
    await _queue(session, row, set(event.people.split()) - had, f"step {event.step}", session.info["clock"].now())


async def hand_over(session: AsyncSession, event: AlertHandedOver, actor: Actor) -> None:
    """S1 to the colleague who is asked to take it over."""
    row = await session.get_one(Alert, event.alert_id)
    await _queue(session, row, {event.to_id}, event.note_id, session.info["clock"].now())


async def _queue(session: AsyncSession, row: Alert, whom: Collection[str], occasion: str, now: datetime,
                 after: timedelta = timedelta()) -> None:
    zone = (await people.school(session, row.school_id)).zone
    await mail.queue(session, school_id=row.school_id, people=whom, text="S1", about=row.id, occasion=occasion, now=now,
                     zone=zone, after=after)


async def call_off(session: AsyncSession, event: AlertTaken | AlertClosed, actor: Actor) -> None:
    """Somebody has got it."""
    await mail.call_off(session, about=event.alert_id, now=session.info["clock"].now())
