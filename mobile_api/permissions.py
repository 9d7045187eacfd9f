"""What a parent reads of permissions, from the consent core: their own answers, and what holds in careful words (screens 6.5)."""

from datetime import datetime
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from consent import queries as consents
from consent.family import FamilyChild, Outcome, Question
from consent.rules import Purpose
from mobile_api import schemas
from service.foundation.errors import NotFound
from service.foundation.events import Actor
from service.safeguarding.approvals import queries as approvals

ASKED = tuple(purpose for purpose in Purpose if purpose is not Purpose.ONE_TO_ONE)
"""Of everybody. A one-to-one is asked about while one is approved; once it was answered, it can be answered otherwise."""
NAMES = {
    Purpose.ATTEND: "Live lessons", Purpose.BE_RECORDED: "Recording", Purpose.CAMERA: "Camera", Purpose.MICROPHONE: "Microphone",
    Purpose.CHAT: "Chat", Purpose.ONE_TO_ONE: "One-to-one lessons", Purpose.PHOTOGRAPHS: "Photographs",
    Purpose.PUBLICATION: "Publication", Purpose.TEACHING_PRACTICE: "Teaching practice",
}
STOPS = {
    Purpose.CAMERA: "{name}’s camera is off from now.", Purpose.MICROPHONE: "{name}’s microphone is off from now.",
    Purpose.CHAT: "{name} cannot type in chat from now.", Purpose.BE_RECORDED: "Nothing new of {name} is recorded.",
    Purpose.ONE_TO_ONE: "The one-to-one lesson does not happen.",
}
DECLARED: dict[schemas.YesNoUnsure | None, str] = {"yes": "yes", "no": "no", "unsure": "not_sure", None: ""}
"""Nobody who was not asked has declared anything."""


async def of_child(session: AsyncSession, actor: Actor, child_id: str) -> FamilyChild:
    """Raises NotFound for a child of whom this parent must not know, after the same looks."""
    found = next((child for child in await consents.for_family(session, actor) if child.id == child_id), None)
    if found is None:
        raise NotFound()
    return found


async def declared(session: AsyncSession, actor: Actor, child_id: str) -> schemas.YesNoUnsure | None:
    """What this person said last of their responsibility, with an answer."""
    found = await consents.declared(session, actor, child_id)
    return next((word for word, kept in DECLARED.items() if kept == found), None)


async def questions(session: AsyncSession, actor: Actor, now: datetime) -> int:
    """How many questions of all children wait for this parent."""
    children = [child for child in await consents.for_family(session, actor) if child.may_decide]
    alone = await approvals.told_of_some(session, actor.school_id, [child.id for child in children], now)
    return sum(_needs_answer(question, child.id in alone) for child in children for question in child.questions)


async def consent(session: AsyncSession, actor: Actor, child: FamilyChild, now: datetime) -> schemas.Consent:
    is_alone = child.id in await approvals.told_of_some(session, actor.school_id, [child.id], now)
    return _consent(child, await declared(session, actor, child.id), now, is_alone)


def _needs_answer(question: Question, is_alone: bool) -> bool:
    """`is_alone`: a one-to-one of this child is approved, and the family is told."""
    return bool(question.asks) and (question.purpose in ASKED or is_alone)


def _consent(child: FamilyChild, declared: schemas.YesNoUnsure | None, now: datetime, is_alone: bool) -> schemas.Consent:
    return schemas.Consent(
        child=schemas.OwnChild(id=child.id, name=child.name), may_answer=child.may_decide, responsibility=declared,
        outcome=_outcome(child),
        permissions=[_permission(question, now, _needs_answer(question, is_alone)) for question in child.questions
                     if question.purpose in ASKED or is_alone or question.own is not None])


def _permission(question: Question, now: datetime, needs_answer: bool) -> schemas.Permission:
    own = question.own
    return schemas.Permission(
        purpose=question.purpose.value, document_id=question.document_id, version=question.version,
        languages=list(question.languages), answer=answer_of(question), needs_answer=needs_answer,
        answered_at=own.recorded_at if own else None, stands_until=own.stands_until if own else None,
        rests_until=own.counts_from if own and own.counts_from and now < own.counts_from else None,
        by_public_task=question.by_public_task, objection=question.objection.value if question.objection else None)


def answer_of(question: Question) -> schemas.YesNo | None:
    return None if question.own is None else "yes" if question.own.says_yes else "no"


def _outcome(child: FamilyChild) -> list[schemas.Follows]:
    """“Live lessons: yes. Camera: no. Ali can join.” Where answers differ, only that the school does not have them all: of which
    question it has no joint answer would be what the other parent said."""
    if any(question.outcome is Outcome.NOT_YET for question in child.questions if question.purpose in ASKED):
        joins = [schemas.Follows(code="can-join", words=f"{child.name} can join.")] if child.may_join else []
        return [*joins, schemas.Follows(
            code="not-all-answers", words="We do not have all the answers we need. The office will be in touch.")]
    said = [_says(child.name, question) for question in child.questions
            if question.purpose in ASKED and question.outcome in (Outcome.YES, Outcome.NO)]
    if child.may_join:
        said.append(schemas.Follows(code="can-join", words=f"{child.name} can join."))
    elif child.may_join is False:
        said.append(schemas.Follows(code="cannot-join", words=f"{child.name} cannot join live lessons."))
    return said


def _says(name: str, question: Question) -> schemas.Follows:
    purpose, yes = question.purpose, question.outcome is Outcome.YES
    if not question.by_public_task:
        word: Literal["yes", "no"] = "yes" if yes else "no"
        return schemas.Follows(code=word, purpose=purpose.value, words=f"{NAMES[purpose]}: {word}.")
    if yes:
        return schemas.Follows(code="public-task", purpose=purpose.value,
                               words=f"{name} is recorded in lessons. The school does not need permission for this.")
    return schemas.Follows(code="not-recorded", purpose=purpose.value, words=f"Nothing new of {name} is recorded.")


def follows(child: FamilyChild, purpose: Purpose, *, says_yes: bool, counts_from: datetime | None,
            was_in_lesson: bool, starts: str) -> list[schemas.Follows]:
    """What one answer did, of a child as it stands after it. `starts`: when a yes that rests counts, as people say it."""
    name = child.name
    question = next((each for each in child.questions if each.purpose is purpose), None)
    if question is not None and question.by_public_task:
        if says_yes or question.outcome is not Outcome.YES:
            return [_says(name, question)] if question.outcome in (Outcome.YES, Outcome.NO) else []
        return [schemas.Follows(code="objected", purpose=purpose.value,
                                words=f"You object. The headteacher decides. Until then {name} is recorded.")]
    if says_yes and counts_from is not None:
        return [schemas.Follows(code="counts-later", purpose=purpose.value, at=counts_from, words=f"Saying yes starts {starts}.")]
    if says_yes:
        return [schemas.Follows(code="yes", purpose=purpose.value, words=f"{NAMES[purpose]}: yes.")]
    if was_in_lesson and purpose in (Purpose.ATTEND, Purpose.BE_RECORDED):
        return [schemas.Follows(code="left-lesson", purpose=purpose.value, words=f"{name} has left the lesson that is on.")]
    if purpose in STOPS:
        return [schemas.Follows(code="off-now", purpose=purpose.value, words=STOPS[purpose].format(name=name))]
    return [schemas.Follows(code="no", purpose=purpose.value, words=f"{NAMES[purpose]}: no.")]
