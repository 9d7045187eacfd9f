"""Writing signatures down. They are only ever added (policy: CO1, CO5)."""

from datetime import date, datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from consent import queries as families
from consent import rules as consents
from consent.agreements import queries
from consent.agreements.events import AgreementSigned
from consent.agreements.tables import AgreementSignature
from consent.rules import Route
from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor
from service.people import queries as people


async def record_signature(
    session: AsyncSession, actor: Actor, *, person_id: str, route: Route, signed_on: date, signed_by: str = "", now: datetime,
) -> None:
    """Keep that a person signed the agreement now in force for them, on paper or in the app (policy: CO1, CO5).

    `signed_by`: the parent who signed for one of the youngest pupils; empty when the person signed.
    """
    consents.check_day(signed_on, now.date())
    line = next(iter(await queries.register(session, actor.school_id, [person_id], now.date())), None)
    if line is None:
        raise NotFound()
    agreement = (await queries.current_agreements(session, actor.school_id)).get(line.audience)
    if agreement is None:
        raise Conflict("The school has no agreement for this person yet. Add one first.")
    if signed_on < agreement.in_force_at.date():
        raise Invalid("There is a problem", fields={"signed_on": "This form is older than the agreement now in force"})
    if line.by_parent:
        await _check_parent(session, actor.school_id, child_id=person_id, parent_id=signed_by)
    days = (await people.profile(session, actor.school_id)).agreement_days
    session.add(AgreementSignature(
        school_id=actor.school_id, agreement_id=agreement.id, person_id=person_id, route=route,
        signed_by=signed_by if line.by_parent else "", signed_at=now, renew_on=signed_on + timedelta(days=days),
        recorded_by=actor.person_id,
    ))
    await publish(session, AgreementSigned(person_id, agreement.id, signed_by if line.by_parent else person_id, route), actor)


async def _check_parent(session: AsyncSession, school_id: str, *, child_id: str, parent_id: str) -> None:
    if not parent_id:
        raise Invalid("There is a problem", fields={"signed_by": "A parent signs for a pupil this young. Say who signed"})
    responsible = (await families.responsibility(session, school_id, [child_id]))[child_id].get(parent_id, "no")
    consents.check_respondent(responsible, says_yes=True)
