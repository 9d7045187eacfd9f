"""Opening lessons again, by a named person who proves who they are."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.errors import NotFound
from service.foundation.events import Actor
from service.people import step_up
from service.people.step_up import Proof
from service.safeguarding.reopening import queries, rules
from service.safeguarding.reopening.events import LessonsReopened


async def reopen(session: AsyncSession, actor: Actor, entered: Collection[str], proof: Proof, now: datetime) -> None:
    """Everything that closes something was entered again: the school's lessons open when their own rules say so."""
    if not actor.is_any(rules.MAY_REOPEN):
        raise NotFound()
    restoration = await queries.restoration(session, actor.school_id)
    if restoration is None:
        raise rules.OpenAlready()
    rules.check_all_entered(entered)
    grant = await step_up.confirmed(session, actor, rules.reopen_action(restoration), proof, now)
    await publish(session, LessonsReopened(restoration.id, tuple(sorted(entered)), grant), actor)
