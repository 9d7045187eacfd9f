"""Mails about permissions. They say that something waits, and nothing else."""

from sqlmodel.ext.asyncio.session import AsyncSession

from consent.events import ConsentCorrected, ConsentRecorded, ConsentWithdrawn, RefusalKept
from consent.rules import OFFICE_ROUTES
from service.foundation import mail
from service.foundation.events import Actor
from service.people import queries as people


async def tell_respondent(session: AsyncSession, event: ConsentRecorded | ConsentWithdrawn | RefusalKept | ConsentCorrected,
                          actor: Actor) -> None:
    """N5: an answer was written down in somebody's name by the office, or struck out. They alone are told, and only where that
    is safe.

    One form is one mail, however many questions it answers.
    """
    if event.route not in OFFICE_ROUTES or event.respondent_id == actor.person_id:
        return
    told = await people.families_to_tell(session, actor.school_id, [event.child_id])
    now, zone = session.info["clock"].now(), (await people.school(session, actor.school_id)).zone
    await mail.queue(session, school_id=actor.school_id, people=told & {event.respondent_id}, text="N5", about=event.child_id,
                     occasion=f"recorded {now:%Y-%m-%d %H:%M}", now=now, zone=zone)
