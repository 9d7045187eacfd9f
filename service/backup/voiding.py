"""What a back-up must not bring back: who was signed in, what was confirmed, approved, let in. Once, before anything is served.

A back-up knows nothing of what was ended after it was made. So all of it ends here, and lessons stay closed until a person has
said that what was withdrawn since is entered again (policy: CO3, RL1, AC2).
"""

from datetime import datetime

from sqlmodel import col, delete, select, update

from lessons.guests import commands as guests
from lessons.tables import CalendarFeed
from recordings.ending import recovery
from recordings.erasure import commands as erasure
from recordings.grants import commands as grants
from recordings.practice import commands as practice
from service.calls import personal
from service.foundation.bus import publish
from service.foundation.db import Database
from service.foundation.events import system
from service.people import power, profile_changes
from service.people.phones.tables import PhoneInvitation
from service.people.tables import PasswordReset, School, SignIn, StepUpGrant
from service.safeguarding.approvals import revocation
from service.safeguarding.reopening.events import SystemRestored

BECAUSE = "Ended because the system was restored from a back-up"


async def void(database: Database, state_id: str, made_at: datetime, now: datetime) -> None:
    """In one transaction: end it all, and close every school's lessons."""
    async with database.writing() as session:
        await session.exec(update(SignIn).where(col(SignIn.ended_at).is_(None)).values(ended_at=now))
        await session.exec(update(StepUpGrant).where(col(StepUpGrant.used_at).is_(None)).values(used_at=now))
        await session.exec(delete(PasswordReset).where(col(PasswordReset.used_at).is_(None)))
        await session.exec(update(PhoneInvitation).where(col(PhoneInvitation.ended_at).is_(None)).values(
            ended_at=now, ended_why="revoked"))
        await session.exec(update(CalendarFeed).where(col(CalendarFeed.revoked_at).is_(None)).values(revoked_at=now))
        for school_id in (await session.exec(select(School.id))).all():
            actor = system(school_id)
            approvals = await revocation.end_all(session, actor, BECAUSE, now)
            passes = await guests.end_all(session, actor, BECAUSE, now)
            await grants.end_all(session, actor, now)
            await practice.end_all(session, actor, now)
            await personal.end_all(session, actor, BECAUSE, now)
            await erasure.end_all(session, actor, BECAUSE, now)
            for requests in (power, profile_changes, recovery):
                await requests.end_all(session, actor, now)
            await publish(session, SystemRestored(state_id, made_at.isoformat(), now.isoformat(), approvals, passes), actor)
