"""Writing answers down. Answers are only ever added; a mistake is struck out by another line (policy: CO2)."""

from collections.abc import Mapping
from datetime import date, datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import queries, rules
from consent.events import (
    ConsentCorrected,
    ConsentRecorded,
    ConsentWithdrawn,
    ObjectionDecided,
    ObjectionReceived,
)
from consent.rules import Purpose, Route
from consent.tables import ConsentResponse, RecordingObjection
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import Actor, Role

MAY_DECIDE_OBJECTIONS = frozenset({Role.HEADTEACHER})


async def record_response(
    session: AsyncSession, actor: Actor, *, child_id: str, answers: Mapping[Purpose, bool], respondent_id: str, route: Route,
    signed_on: date, now: datetime,
) -> list[str]:
    """Write down one form: a Yes or No for each purpose that was answered. Returns the ids of the lines.

    Raises Invalid for an impossible day or an empty form, MayNotAnswer when this adult may not decide for this child.
    """
    child = await queries.child(session, actor.school_id, child_id)
    rules.check_day(signed_on, now.date())
    if not answers:
        raise Invalid("There is a problem", fields={"answers": "Choose yes or no for at least one question"})
    responsible = (await queries.responsibility(session, actor.school_id, [child.id]))[child.id].get(respondent_id, "no")
    for said_yes in answers.values():
        rules.check_respondent(responsible, says_yes=said_yes)
    earlier = await _earlier(session, actor.school_id, child.id, respondent_id)
    relationship = next((r.relationship for r in await queries.respondents(session, actor.school_id, child.id)
                         if r.id == respondent_id), "")
    lines = [
        ConsentResponse(
            id=new_id(), school_id=actor.school_id, child_id=child.id, purpose=purpose, respondent_id=respondent_id,
            answer=rules.answer_for(said_yes, earlier.get(purpose)), relationship=relationship, route=route,
            signed_on=signed_on, recorded_by=actor.person_id, recorded_at=now,
        )
        for purpose, said_yes in answers.items()
    ]
    session.add_all(lines)
    for line in lines:
        await publish(session, _event_of(line), actor)
    return [line.id for line in lines]


async def _earlier(session: AsyncSession, school_id: str, child_id: str, respondent_id: str) -> dict[Purpose, rules.Response]:
    rows = (await session.exec(select(ConsentResponse).where(
        ConsentResponse.school_id == school_id, ConsentResponse.child_id == child_id,
    ))).all()
    own = [queries.response_of(row) for row in rows]
    found = {purpose: rules.latest(r for r in own if r.purpose is purpose).get(respondent_id) for purpose in rules.PURPOSES}
    return {purpose: response for purpose, response in found.items() if response is not None}


def _event_of(line: ConsentResponse) -> ConsentRecorded | ConsentWithdrawn:
    if line.answer == rules.Answer.WITHDRAWN:
        return ConsentWithdrawn(line.child_id, line.id, line.purpose, line.respondent_id, line.route)
    return ConsentRecorded(line.child_id, line.id, line.purpose, line.answer, line.respondent_id, line.route)


async def correctable(session: AsyncSession, actor: Actor, response_id: str) -> ConsentResponse:
    """A line of the actor's school that could be struck out. Raises NotFound."""
    row = await session.get(ConsentResponse, response_id)
    if row is None or row.school_id != actor.school_id or row.answer == rules.Answer.ENTERED_IN_ERROR:
        raise NotFound()
    return row


async def correct(session: AsyncSession, actor: Actor, *, response_id: str, note: str, now: datetime) -> str:
    """Strike out a line that was entered by mistake. Returns the child it is about. The line stays to be read."""
    row = await correctable(session, actor, response_id)
    if not note.strip():
        raise Invalid("There is a problem", fields={"note": "Say what was wrong with it"})
    already = await session.exec(select(ConsentResponse.id).where(ConsentResponse.corrects_id == row.id))
    if already.first():
        raise Conflict("This answer has already been marked as entered by mistake.")
    line = ConsentResponse(
        id=new_id(), school_id=row.school_id, child_id=row.child_id, purpose=row.purpose, respondent_id=row.respondent_id,
        answer=rules.Answer.ENTERED_IN_ERROR, relationship=row.relationship, route=row.route, signed_on=row.signed_on,
        reason=note.strip()[:500], corrects_id=row.id, recorded_by=actor.person_id, recorded_at=now,
    )
    session.add(line)
    await publish(session, ConsentCorrected(row.child_id, line.id, row.id, row.purpose), actor)
    return row.child_id


async def receive_objection(
    session: AsyncSession, actor: Actor, *, child_id: str, objector_id: str, words: str, now: datetime,
) -> str:
    """Keep an objection to being recorded until a named person decides it."""
    child = await queries.child(session, actor.school_id, child_id)
    if objector_id not in {r.id for r in await queries.respondents(session, actor.school_id, child.id)}:
        raise rules.MayNotAnswer()
    row = RecordingObjection(school_id=actor.school_id, child_id=child.id, objector_id=objector_id, words=words.strip()[:1000],
                             received_at=now, recorded_by=actor.person_id)
    session.add(row)
    await publish(session, ObjectionReceived(child.id, row.id), actor)
    return row.id


async def decide_objection(
    session: AsyncSession, actor: Actor, *, objection_id: str, upheld: bool, reason: str, now: datetime,
) -> str:
    """The headteacher upholds or declines an objection, with a reason that is kept. Returns the child it is about."""
    if not actor.is_any(MAY_DECIDE_OBJECTIONS):
        raise NotAllowed("Only the headteacher decides an objection.")
    row = await session.get(RecordingObjection, objection_id)
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    if row.decided_at is not None:
        raise Conflict("This objection has been decided.")
    if not reason.strip():
        raise Invalid("There is a problem", fields={"reason": "Give a reason"})
    row.upheld, row.reason, row.decided_by, row.decided_at = upheld, reason.strip()[:1000], actor.person_id, now
    await publish(session, ObjectionDecided(row.child_id, row.id, upheld), actor)
    return row.child_id
