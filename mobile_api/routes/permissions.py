"""Permissions: what is asked, in whose words, and a parent's own answers, which are only ever added (policy: CO2, CO3)."""

import hashlib
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import commands
from consent.documents import queries as documents
from consent.rules import RESTS, Purpose, Route
from lessons import queries as lessons
from lessons.family import commands as said
from lessons.family import queries as heard
from lessons.live import family as live
from mobile_api import permissions, schemas
from mobile_api.once import IdempotencyKey, Once
from mobile_api.route import NOT_CHANGED, Parent, router_of
from service.foundation.errors import NotFound
from service.foundation.events import Actor
from service.foundation.web import Now, Reading
from service.people import family
from service.people import queries as people

router = router_of("Permissions")
of_a_child = router_of("Permissions", "/children/{child_id}")
WEEKS_AHEAD = 8


@router.get("/documents/{document_id}", operation_id="document", summary="The words of one question", responses=NOT_CHANGED)
async def document(
    actor: Parent, session: Reading, document_id: str,
    language: Annotated[str, Query(max_length=12, pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,8})?$")] = "en",
    child_id: Annotated[str, Query(max_length=32, description="Whose name is filled in.")] = "",
) -> schemas.Document:
    name = (await family.child(session, actor, child_id)).name if child_id else "Your child"
    found = await documents.words(session, actor.school_id, document_id, language, name=name)
    return schemas.Document(
        id=found.document_id, purpose=found.purpose.value, version=found.version, language=found.language,
        languages=sorted(await documents.hashes(session, document_id)), title=found.text.title,
        sections=[schemas.Section(heading=each.heading, words=each.words) for each in found.text.sections],
        sha256=found.text_hash, what_changed=found.changed)


@of_a_child.get("/consent", operation_id="consent", summary="What one said, and what holds", responses=NOT_CHANGED)
async def consent(actor: Parent, session: Reading, now: Now, child_id: str) -> schemas.Consent:
    child = await permissions.of_child(session, actor, child_id)
    return await permissions.consent(session, actor, child, now)


@of_a_child.post("/consent", operation_id="answer", summary="Answer, or answer otherwise")
async def answer(request: Request, actor: Parent, session: Once, now: Now, child_id: str, key: IdempotencyKey,
                 given: schemas.Answer) -> schemas.Answered:
    was_here = _is_in_a_lesson(request, actor, child_id)
    counts_from = await _answer(request, session, actor, child_id, Purpose(given.purpose), given, key, now, reason=given.reason,
                                relationship=given.relationship)
    child = await permissions.of_child(session, actor, child_id)
    zone = (await people.school(session, actor.school_id)).zone
    return schemas.Answered(
        consent=await permissions.consent(session, actor, child, now),
        follows=permissions.follows(child, Purpose(given.purpose), says_yes=given.says_yes, counts_from=counts_from,
                                    was_in_lesson=was_here, zone=zone))


async def _answer(request: Request, session: AsyncSession, actor: Actor, child_id: str, purpose: Purpose,
                  given: schemas.Answer | schemas.OneToOneAnswer, key: str, now: datetime, reason: str = "",
                  relationship: str = "") -> datetime | None:
    """Keep an answer. A yes from a new phone rests, as does one from a browser, whose owner nobody can tell (threat T19).
    Returns from when it counts, when that is later."""
    phone = getattr(request.state, "phone", None)
    rests = phone.rests_until if phone is not None else now + RESTS
    kept = await commands.answer(
        session, actor, child_id=child_id, purpose=purpose, says_yes=given.says_yes, document_id=given.document_id,
        language=given.language, route=Route.APP if phone is not None else Route.WEB, reason=reason, listened=given.listened,
        declared_relationship=relationship, declared_responsibility=permissions.DECLARED[given.responsibility],
        counts_from=rests if rests is not None and now < rests else None, phone_id=phone.id if phone is not None else "",
        client_id=hashlib.sha256(f"{actor.person_id} {key}".encode()).hexdigest(), now=now,
        beside=commands.Beside(given.answered_at) if "answered_at" in given.model_fields_set else None)
    await session.flush()
    return kept.counts_from if given.says_yes else None


def _is_in_a_lesson(request: Request, actor: Actor, child_id: str) -> bool:
    rooms = request.app.state.rooms
    return any(live.is_here(host, child_id) for host in rooms.hosts() if host.room.plan.school_id == actor.school_id)


@of_a_child.get("/one-to-ones", operation_id="one_to_ones", summary="Approved one-to-ones to come", responses=NOT_CHANGED)
async def one_to_ones(actor: Parent, session: Reading, now: Now, child_id: str) -> schemas.OneToOnes:
    return await _one_to_ones(session, actor, child_id, now)


@of_a_child.post("/one-to-ones/{lesson_id}", operation_id="answer_one_to_one", summary="Answer about one, or say who is there")
async def answer_one_to_one(request: Request, actor: Parent, session: Once, now: Now, child_id: str, lesson_id: str,
                            key: IdempotencyKey, given: schemas.OneToOneAnswer) -> schemas.OneToOnes:
    found = await _one_to_ones(session, actor, child_id, now)
    if lesson_id not in {one.lesson_id for one in found.one_to_ones}:
        raise NotFound()
    await _answer(request, session, actor, child_id, Purpose.ONE_TO_ONE, given, key, now)
    if given.will_be_there is not None:
        await said.say_presence(session, actor, child_id, lesson_id, given.will_be_there, now)
        await session.flush()
    return await _one_to_ones(session, actor, child_id, now)


async def _one_to_ones(session: AsyncSession, actor: Actor, child_id: str, now: datetime) -> schemas.OneToOnes:
    child = await permissions.of_child(session, actor, child_id)
    zone = (await people.school(session, actor.school_id)).zone
    days = await lessons.family(session, actor, lessons.local_day(now, zone), days=7 * WEEKS_AHEAD)
    asked = next((each for each in child.questions if each.purpose is Purpose.ONE_TO_ONE), None)
    cards = [card for each in days if each.child_id == child_id for card in each.lessons if card.alone is not None]
    there = await heard.presence(session, actor, [card.lesson.id for card in cards])
    return schemas.OneToOnes(one_to_ones=[
        schemas.OneToOne(
            lesson_id=card.lesson.id, alone=schemas.Alone(adult=alone.adult, approver=alone.approver, why=alone.why),
            starts_at=card.lesson.starts_at, ends_at=card.lesson.ends_at, status=card.lesson.stage.name.lower(),
            answer=permissions.answer_of(asked), will_be_there=there.get(card.lesson.id), document_id=asked.document_id)
        for card in cards if (alone := card.alone) is not None and asked is not None])
