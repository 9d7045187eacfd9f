"""Who gets a mail about an alert, and when: as it calls them on their pages, and never whoever must not know (policy: RC1)."""

from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import mail
from service.foundation.events import Actor, Role
from service.people import queries as people
from service.safeguarding import queries, rules
from service.safeguarding.events import AlertClosed, AlertMoved, AlertRaised, AlertReopened, AlertTaken
from service.safeguarding.tables import Alert


async def write(session: AsyncSession, event: AlertRaised | AlertMoved | AlertReopened, actor: Actor) -> None:
    """S1: the DSL at once, deputies after five minutes, the headteacher after fifteen, unless somebody takes it before."""
    now = session.info["clock"].now()
    occasion = event.note_id if isinstance(event, AlertReopened) else getattr(event, "moved_to", "")
    if isinstance(event, AlertMoved):
        await mail.call_off(session, about=event.alert_id, now=now)
    row = await session.get_one(Alert, event.alert_id)
    barred = await queries.barred(session, row.id)
    holders = {one.id: one.roles for one in await people.holders(session, row.school_id, rules.INBOX)}
    alert = rules.Alert(Role(row.routed_to), now, barred=barred)
    duty = await queries.team_on_duty(session, row.school_id, now) - barred
    minutes = (await people.profile(session, row.school_id)).alert_minutes
    zone = (await people.school(session, row.school_id)).zone
    for person, after in rules.call_times(alert, holders, duty, minutes).items():
        await mail.queue(session, school_id=row.school_id, people=[person], text="S1", about=row.id, occasion=occasion, now=now,
                         zone=zone, after=after)


async def call_off(session: AsyncSession, event: AlertTaken | AlertClosed, actor: Actor) -> None:
    """Somebody has got it."""
    await mail.call_off(session, about=event.alert_id, now=session.info["clock"].now())
