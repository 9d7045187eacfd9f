"""Writing answers down. Answers are only ever added; a mistake is struck out by another line (policy: CO2)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import family, queries, rules, standing
from consent.documents import queries as documents
from consent.documents import rules as document_rules
from consent.documents.queries import Kept
from consent.documents.tables import ConsentDocument
from consent.events import (
    ConsentCorrected,
    ConsentRecorded,
    ConsentWithdrawn,
    ObjectionDecided,
    ObjectionReceived,
    RefusalKept,
)
from consent.rules import Purpose, Route
from consent.tables import ConsentResponse, RecordingObjection
from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import STAFF, Actor, Role
from service.people import contacts
from service.people import queries as people

MAY_DECIDE_OBJECTIONS = frozenset({Role.HEADTEACHER})
DECLARED_NONE = ("They say that they have no parental responsibility, or are not sure. Only a No can be kept. Check the record "
                 "of the family, and ask them again.")
NOT_KEPT = Kept("", 0, date.min, False, {})
"""The words of a form that is older than the texts here: nothing tells what they were, and any version that ends old answers
ends a yes to them."""


@dataclass(frozen=True)
class Answered:
    """What became of an answer. `counts_from` is set where a yes rests before it counts."""

    id: str
    answer: rules.Answer
    recorded_at: datetime
    counts_from: datetime | None


@dataclass(frozen=True)
class Beside:
    """The answer that somebody saw beside a question, by when it was recorded; None where they saw none."""

    answered_at: datetime | None


async def answer(
    session: AsyncSession, actor: Actor, *, child_id: str, purpose: Purpose, says_yes: bool, document_id: str, language: str,
    route: Route, reason: str = "", listened: bool = False, declared_relationship: str = "", declared_responsibility: str = "",
    counts_from: datetime | None = None, phone_id: str = "", client_id: str = "", now: datetime,
    beside: Beside | None = None,
) -> Answered:
    """What somebody answers themself, to the text they read: a parent, or a pupil who is asked (policy: CO2, CO3).

    Sent again with the same `client_id` it is the same answer. A yes is only ever to the words shown now; a no is taken to any,
    and at once. `beside`: the answer that they saw there. Raises NotFound for who has no such child, as for a parent who must
    not know of it; MayNotAnswer for who does not decide; WordsChanged where a newer text is there; AnsweredSince; Invalid.
    """
    if found := await _sent_before(session, actor, child_id, purpose, says_yes, client_id):
        return found
    words = await family.own_word(session, actor, child_id)
    rules.check_own(words, route, declared_responsibility, says_yes=says_yes)
    document, text_hash = await _document(session, actor.school_id, purpose, document_id, language, says_yes=says_yes)
    earlier = _last(await _own(session, actor.school_id, child_id, actor.person_id)).get(purpose)
    if beside is not None:
        rules.check_still_last(beside.answered_at, earlier.recorded_at if earlier else None, says_yes=says_yes)
    line = ConsentResponse(
        id=new_id(), school_id=actor.school_id, child_id=child_id, purpose=purpose, respondent_id=actor.person_id,
        answer=standing.answer_for(says_yes, earlier), relationship=await family.relationship(session, actor, child_id),
        document_id=document.id, document_version=document.version, text_hash=text_hash, language=language,
        filled=json.dumps(await documents.fillings(session, actor.school_id, language), ensure_ascii=False, sort_keys=True),
        listened=listened, declared_relationship=declared_relationship.strip()[:40],
        declared_responsibility=declared_responsibility, counts_from=counts_from if says_yes else None, phone_id=phone_id[:32],
        client_id=client_id or None, route=route, signed_on=now.date(), reason="" if says_yes else reason.strip()[:500],
        recorded_by=actor.person_id, recorded_at=now,
    )
    session.add(line)
    await _tell(session, actor, line, now)
    return _answered(line)


async def _sent_before(session: AsyncSession, actor: Actor, child_id: str, purpose: Purpose, says_yes: bool,
                       client_id: str) -> Answered | None:
    """The line that the phone has sent already; another answer under the same id is refused, whoever sends it."""
    if not client_id:
        return None
    row = (await session.exec(select(ConsentResponse).where(
        ConsentResponse.school_id == actor.school_id, ConsentResponse.client_id == client_id))).first()
    if row is None:
        return None
    same = (row.respondent_id, row.child_id, row.purpose, row.answer == rules.Answer.GIVEN)
    if same != (actor.person_id, child_id, purpose, says_yes):
        raise Conflict("This answer has been sent before, and said something else.")
    return _answered(row)


def _answered(row: ConsentResponse) -> Answered:
    return Answered(row.id, rules.Answer(row.answer), row.recorded_at, row.counts_from)


async def _document(session: AsyncSession, school_id: str, purpose: Purpose, document_id: str, language: str, *,
                    says_yes: bool) -> tuple[ConsentDocument, str]:
    """The text that was answered, with its hash. Raises NotFound, WordsChanged, Invalid."""
    row = await session.get(ConsentDocument, document_id)
    if row is None or row.school_id != school_id or row.purpose != purpose:
        raise NotFound()
    newest = (await documents.shown(session, school_id)).get(purpose)
    if says_yes and (newest is None or newest.document_id != document_id):
        raise document_rules.WordsChanged()
    text_hash = (await documents.hashes(session, document_id)).get(language)
    if text_hash is None:
        raise Invalid("There is a problem", fields={"language": "These words are not there in this language yet"})
    return row, text_hash


async def record_response(
    session: AsyncSession, actor: Actor, *, child_id: str, answers: Mapping[Purpose, bool], respondent_id: str, route: Route,
    signed_on: date, now: datetime, versions: Mapping[Purpose, int] | None = None, language: str = "en",
    declared_responsibility: str = "", second_listener: str = "", reason: str = "",
) -> list[str]:
    """Write down one form or call: a Yes or No for each purpose that was answered. Returns the ids of the lines.

    `versions` of the texts that were answered; of a purpose that is not in it, the one of the day, but for a yes on paper that
    may have been printed before words that ended old answers: it has to be there (docs/decisions: 231).
    `language`: of the form, or in which it was read out. A call has a `second_listener`, and its yes rests after a change of
    contact details. Raises Invalid for an impossible day or an empty form, and for a yes to words that nobody can have read on
    that day; MayNotAnswer when this adult may not decide for this child, or says so themself. Invalid as well for a yes of a day
    on which this adult said no themself, or before it: it would look as if it undid that.
    """
    child = await queries.child(session, actor.school_id, child_id)
    await family.not_of_the_family(session, actor, child.id)
    rules.check_day(signed_on, now.date())
    if not answers:
        raise Invalid("There is a problem", fields={"answers": "Choose yes or no for at least one question"})
    words = (await queries.responsibility(session, actor.school_id, [child.id]))[child.id]
    await _check_listener(session, actor, route, second_listener, {respondent_id, *words})
    responsible = words.get(respondent_id, "no")
    for said_yes in answers.values():
        rules.check_respondent(responsible, says_yes=said_yes)
    rules.check_declared(declared_responsibility, says_yes=any(answers.values()), refusal=DECLARED_NONE)
    own = await _own(session, actor.school_id, child.id, respondent_id)
    _check_not_undone(answers, own, signed_on)
    earlier = _last(own)
    on_paper = route is Route.PAPER
    texts = _texts(await documents.kept(session, actor.school_id), answers, signed_on, versions or {}, language,
                   on_paper=on_paper, hour_known=not on_paper and signed_on == now.date())
    rests = rules.counts_from(route, await contacts.changed_at(session, respondent_id), now)
    relationship = next((r.relationship for r in await queries.respondents(session, actor.school_id, child.id)
                         if r.id == respondent_id), "")
    lines = [
        ConsentResponse(
            id=new_id(), school_id=actor.school_id, child_id=child.id, purpose=purpose, respondent_id=respondent_id,
            answer=standing.answer_for(said_yes, earlier.get(purpose)), relationship=relationship, route=route,
            document_id=texts[purpose].document_id, document_version=texts[purpose].version,
            text_hash=texts[purpose].hash_on(language, signed_on), language=language,
            declared_responsibility=declared_responsibility,
            reason="" if said_yes else reason.strip()[:500], second_listener=second_listener if route is Route.TELEPHONE else "",
            counts_from=rests if said_yes else None, signed_on=signed_on, recorded_by=actor.person_id, recorded_at=now,
        )
        for purpose, said_yes in answers.items()
    ]
    session.add_all(lines)
    for line in lines:
        await _tell(session, actor, line, now)
    return [line.id for line in lines]


def _texts(kept: Mapping[Purpose, Mapping[int, Kept]], answers: Mapping[Purpose, bool], signed_on: date,
           versions: Mapping[Purpose, int], language: str, *, on_paper: bool, hour_known: bool) -> dict[Purpose, Kept]:
    """What each answer is to: the version that was named, or that of the day. A no is taken to any words, and none."""
    found: dict[Purpose, Kept] = {}
    wrong: dict[str, str] = {}
    for purpose, says_yes in answers.items():
        there = kept.get(purpose, {})
        of_day = document_rules.on_form({n: one.published_on for n, one in there.items()}, signed_on, hour_known=hour_known)
        one = there.get(versions.get(purpose) or of_day, NOT_KEPT)
        ended_on = {n: one.published_on for n, one in there.items() if one.ends_answers}
        if says_yes and on_paper and not versions.get(purpose) and document_rules.may_be_older(ended_on, of_day, signed_on):
            wrong[f"version-{purpose}"] = "Choose the version that is printed on the form: the words changed before it was signed"
        if one.published_on > signed_on or (one is NOT_KEPT and versions.get(purpose)):
            one = there.get(of_day, NOT_KEPT)
            wrong |= {f"version-{purpose}": "This version came after the day on the form"} if says_yes else {}
        elif says_yes and one is not NOT_KEPT and not one.hash_on(language, signed_on):
            wrong[f"{purpose}-yes"] = "These words were not there in this language on that day"
        found[purpose] = one
    if wrong:
        raise Invalid("There is a problem", fields=wrong)
    return found


async def _check_listener(session: AsyncSession, actor: Actor, route: Route, listener: str, family_ids: set[str]) -> None:
    """Two members of staff hear a call, neither of the family: nobody alone can say what a parent said."""
    if route is not Route.TELEPHONE:
        return
    found = (await people.people(session, actor.school_id, [listener], here_on=session.info["clock"].now().date())).get(listener)
    if found is None or not found.roles & STAFF or listener in {actor.person_id, *family_ids}:
        raise Invalid("There is a problem", fields={"second_listener": "Choose the colleague who heard the call too"})


def _check_not_undone(answers: Mapping[Purpose, bool], own: list[standing.Response], signed_on: date) -> None:
    said_no = {purpose: standing.undone_by(signed_on, [r for r in own if r.purpose is purpose])
               for purpose, said_yes in answers.items() if said_yes}
    wrong = {f"{purpose}-yes": f"They said no to this themself on {no.signed_on:%-d %B %Y}. A yes of that day or before does not "
                               "undo it. Choose “Not answered”, and ask them to answer in the app. If they say yes on a later "
                               "day, write that down."
             for purpose, no in said_no.items() if no}
    if wrong:
        raise Invalid("There is a problem", fields=wrong)


async def _own(session: AsyncSession, school_id: str, child_id: str, respondent_id: str) -> list[standing.Response]:
    """What somebody said about a child and did not say by mistake, in its order, whether it counts already or not."""
    rows = (await session.exec(select(ConsentResponse).where(
        ConsentResponse.school_id == school_id, ConsentResponse.child_id == child_id,
    ))).all()
    own = [r for r in standing.standing(queries.response_of(row) for row in rows) if r.respondent_id == respondent_id]
    return sorted(own, key=standing.order)


def _last(own: list[standing.Response]) -> dict[Purpose, standing.Response]:
    return {response.purpose: response for response in own}


async def _tell(session: AsyncSession, actor: Actor, line: ConsentResponse, now: datetime) -> None:
    """What an answer brings about. A no to what is the school's public task ends nothing by itself: it is an objection, and the
    one that already waits for the headteacher is enough."""
    task = queries.is_public_task(await people.profile(session, actor.school_id))
    if not (task and line.purpose == Purpose.BE_RECORDED and line.answer != rules.Answer.GIVEN):
        return await publish(session, _event_of(line), actor)
    await publish(session, RefusalKept(line.child_id, line.id, line.purpose, line.respondent_id, line.route), actor)
    waits = await session.exec(select(RecordingObjection.id).where(
        RecordingObjection.child_id == line.child_id, RecordingObjection.objector_id == line.respondent_id,
        col(RecordingObjection.decided_at).is_(None)))
    if waits.first() is None:
        why = f"They said no to recording: {line.reason}" if line.reason else "They said no to recording, and not why."
        await _object(session, actor, line.child_id, line.respondent_id, why, now)


def _event_of(line: ConsentResponse) -> ConsentRecorded | ConsentWithdrawn:
    if line.answer == rules.Answer.WITHDRAWN:
        return ConsentWithdrawn(line.child_id, line.id, line.purpose, line.respondent_id, line.route)
    return ConsentRecorded(line.child_id, line.id, line.purpose, line.answer, line.respondent_id, line.route)


async def correctable(session: AsyncSession, actor: Actor, response_id: str) -> ConsentResponse:
    """A line that the office of this school wrote, and could strike out: what somebody answered themself only they change, by
    answering again. Raises NotFound."""
    row = await session.get(ConsentResponse, response_id)
    if (row is None or row.school_id != actor.school_id or row.answer == rules.Answer.ENTERED_IN_ERROR
            or row.route not in rules.OFFICE_ROUTES):
        raise NotFound()
    await family.not_of_the_family(session, actor, row.child_id)
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
        document_id=row.document_id, document_version=row.document_version, text_hash=row.text_hash, language=row.language,
        reason=note.strip()[:500], corrects_id=row.id, recorded_by=actor.person_id, recorded_at=now,
    )
    session.add(line)
    await publish(session, ConsentCorrected(row.child_id, line.id, row.id, row.purpose, row.respondent_id, row.route), actor)
    return row.child_id


async def receive_objection(
    session: AsyncSession, actor: Actor, *, child_id: str, objector_id: str, words: str, now: datetime,
) -> str:
    """Keep an objection to being recorded until a named person decides it."""
    child = await queries.child(session, actor.school_id, child_id)
    await family.not_of_the_family(session, actor, child.id)
    if objector_id not in {r.id for r in await queries.respondents(session, actor.school_id, child.id)}:
        raise rules.MayNotAnswer()
    if not words.strip():
        raise Invalid("There is a problem", fields={"words": "Write down why they object, in their words"})
    return await _object(session, actor, child.id, objector_id, words, now)


async def _object(session: AsyncSession, actor: Actor, child_id: str, objector_id: str, words: str, now: datetime) -> str:
    row = RecordingObjection(school_id=actor.school_id, child_id=child_id, objector_id=objector_id, words=words.strip()[:1000],
                             received_at=now, recorded_by=actor.person_id)
    session.add(row)
    await session.flush()
    await publish(session, ObjectionReceived(child_id, row.id), actor)
    deciders = {one.id for one in await people.holders(session, actor.school_id, MAY_DECIDE_OBJECTIONS)}
    await mail.queue(session, school_id=actor.school_id, people=deciders - await queries.adults(session, child_id), text="S2",
                     about=row.id, now=now, zone=(await people.school(session, actor.school_id)).zone)
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
    await family.not_of_the_family(session, actor, row.child_id)
    if row.decided_at is not None:
        raise Conflict("This objection has been decided.")
    if not reason.strip():
        raise Invalid("There is a problem", fields={"reason": "Give a reason"})
    row.upheld, row.reason, row.decided_by, row.decided_at = upheld, reason.strip()[:1000], actor.person_id, now
    await mail.call_off(session, about=row.id, now=now)
    await publish(session, ObjectionDecided(row.child_id, row.id, upheld), actor)
    return row.child_id
