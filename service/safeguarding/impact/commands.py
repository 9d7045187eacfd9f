"""Recording what the Data Protection Officer says, and refusing real pupils until it is an approval (policy: AC5)."""

import json
from collections.abc import Mapping
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict
from service.foundation.events import Actor
from service.people import step_up
from service.people.events import PeopleStaged, PersonAdded, PersonReturned
from service.people.step_up import Proof
from service.people.tables import Person
from service.safeguarding.impact import queries, rules
from service.safeguarding.impact.events import ImpactReviewed
from service.safeguarding.impact.tables import ImpactReview


async def review(session: AsyncSession, actor: Actor, *, shown: str, answers: Mapping[str, str], notes: Mapping[str, str],
                 proof: Proof, now: datetime) -> None:
    """Keep what is said of exactly the document that was `shown` (its hash). One No is no approval, and blocks real pupils.

    Raises Conflict when the document has changed meanwhile, Invalid for answers that are missing, NotConfirmed.
    """
    rules.check_reviewer(actor)
    document = (await queries.assessment(session, actor.school_id)).document
    if document.hash != shown:
        raise Conflict("The impact assessment has changed since you opened it. Read it again.")
    approved = rules.check_answers(document, answers, notes)
    grant = await step_up.confirmed(session, actor, rules.review_action(document, answers, notes), proof, now)
    said = {section.key: (answers[section.key], notes.get(section.key, "").strip()) for section in document.sections}
    row = ImpactReview(
        id=new_id(), school_id=actor.school_id, document=document.text, document_hash=document.hash, answers=json.dumps(said),
        approved=approved, reviewed_by=actor.person_id, reviewed_at=now, confirmed_by=grant)
    session.add(row)
    await publish(session, ImpactReviewed(row.id, document.hash, approved, grant), actor)


async def refuse_real_pupils(session: AsyncSession, event: PersonAdded | PersonReturned | PeopleStaged, actor: Actor) -> None:
    """A child who is added, imported or comes back is not let in before the approval; what was written is rolled back."""
    ids = event.person_ids if isinstance(event, PeopleStaged) else (event.person_id,)
    if not await _has_child(session, ids):
        return
    if await queries.are_blocked(session, actor.school_id):
        raise rules.RealPupilsBlocked()


async def _has_child(session: AsyncSession, person_ids: tuple[str, ...]) -> bool:
    await session.flush()
    found = select(Person.id).where(col(Person.id).in_(person_ids), Person.kind == "child").limit(1)
    return (await session.exec(found)).first() is not None
