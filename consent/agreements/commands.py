"""Adding versions and writing signatures down. Both are only ever added (policy: CO1, CO5)."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from consent import queries as families
from consent import rules as consents
from consent.agreements import queries, rules
from consent.agreements.events import AgreementAdded, AgreementSigned, SignersReminded
from consent.agreements.tables import Agreement, AgreementSignature
from consent.agreements.texts import DEFAULTS
from consent.rules import Route
from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotFound, SignFirst
from service.foundation.events import Actor, system
from service.people import queries as people
from service.people.events import SchoolFounded


async def record_signature(
    session: AsyncSession, actor: Actor, *, person_id: str, route: Route, signed_on: date, signed_by: str = "", now: datetime,
    seen: str | None = None,
) -> None:
    """Keep that a person signed the agreement now in force for them, on paper or in the app (policy: CO1, CO5).

    `signed_by`: the parent who signed for one of the youngest pupils; empty when the person signed. `seen`: the hash of the words
    that were shown to whoever signs here; None for paper.
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
    if seen is not None:
        rules.check_seen(seen, agreement.text)
    if line.by_parent:
        await _check_parent(session, actor.school_id, child_id=person_id, parent_id=signed_by)
    days = (await people.profile(session, actor.school_id)).agreement_days
    hashed = rules.text_hash(agreement.text)
    session.add(AgreementSignature(
        school_id=actor.school_id, agreement_id=agreement.id, person_id=person_id, route=route, text_hash=hashed,
        signed_by=signed_by if line.by_parent else "", signed_at=now, renew_on=signed_on + timedelta(days=days),
        recorded_by=actor.person_id,
    ))
    signer = signed_by if line.by_parent else person_id
    await publish(session, AgreementSigned(person_id, agreement.id, signer, route, hashed), actor)


async def _check_parent(session: AsyncSession, school_id: str, *, child_id: str, parent_id: str) -> None:
    if not parent_id:
        raise Invalid("There is a problem", fields={"signed_by": "A parent signs for a pupil this young. Say who signed"})
    responsible = (await families.responsibility(session, school_id, [child_id]))[child_id].get(parent_id, "no")
    consents.check_respondent(responsible, says_yes=True)


# -- versions ---------------------------------------------------------------------------------------------------------


async def check_writer(session: AsyncSession, actor: Actor) -> None:
    """Who adds versions has signed themselves, like everybody; only where there is nothing to sign do they come in without it,
    because somebody has to write the first (decision 110). Raises SignFirst."""
    part = rules.audience(actor.roles)
    if (await queries.own_signing(session, actor)) is not rules.Signing.NOT_SIGNED:
        return
    if part in await queries.current_agreements(session, actor.school_id):
        raise SignFirst()


async def add_version(session: AsyncSession, actor: Actor, part: rules.Audience, draft: rules.Draft, now: datetime) -> str:
    """A new version for one audience, which has to be signed by everybody of it from the day it is in force. Returns its id."""
    if not actor.is_any(rules.WRITES):
        raise NotFound()
    newest = await queries.newest(session, actor.school_id, part)
    zone = ZoneInfo((await people.school(session, actor.school_id)).zone)
    today = now.astimezone(zone).date()
    rules.check_draft(draft, newest.text if newest else None,
                      newest.in_force_at.astimezone(zone).date() if newest else None, today)
    assert draft.in_force_on is not None
    begins = datetime.combine(draft.in_force_on, time(), zone).astimezone(now.tzinfo)
    return await _add(session, actor, part, draft, newest.version + 1 if newest else 1, max(begins, now), now)


async def _add(session: AsyncSession, actor: Actor, part: rules.Audience, draft: rules.Draft, version: int, begins: datetime,
               now: datetime) -> str:
    row = Agreement(school_id=actor.school_id, audience=part, version=version, text=draft.text.strip(),
                    what_changed=draft.what_changed.strip(), in_force_at=begins, added_by=actor.person_id, added_at=now)
    session.add(row)
    await session.flush()
    added = AgreementAdded(row.id, part, version, begins.isoformat(), rules.text_hash(row.text))
    await publish(session, added, actor)
    return row.id


async def begin(session: AsyncSession, event: SchoolFounded, _actor: Actor) -> None:
    """A school that is founded has an agreement for everybody from its first moment: nobody is let in for want of one."""
    now: datetime = session.info["clock"].now()
    for part, text in DEFAULTS.items():
        await _add(session, system(event.school_id), part, rules.Draft(text, "", now.date()), 1, now, now)

# -- reminding --------------------------------------------------------------------------------------------------------


async def remind(session: AsyncSession, actor: Actor, part: rules.Audience, now: datetime) -> int:
    """Write to everybody of one audience who has to sign, every three days at the most. Returns how many get a mail."""
    found = await queries.reminding(session, actor.school_id, part, now.date())
    if not rules.may_remind(found.last, now):
        raise Conflict("They have been reminded in the last three days.")
    zone = (await people.school(session, actor.school_id)).zone
    await mail.queue(session, school_id=actor.school_id, people=found.people, text=found.text, about=queries.reminded(part),
                     occasion=f"{actor.school_id} {now.date()}", now=now, zone=zone)
    await publish(session, SignersReminded(part, len(found.people)), actor)
    return len(found.people)
