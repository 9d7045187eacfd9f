"""What a parent reads of permissions, from the consent core: their own answers, and what holds in careful words."""

from datetime import datetime
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from consent import queries as consents
from consent.family import FamilyChild, Outcome, Question
from consent.rules import TO_JOIN, Purpose
from mobile_api import schemas
from service.foundation.errors import NotFound
from service.foundation.events import Actor
from service.foundation.web import say_moment
from service.people import queries as people
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
SEVERAL = "If two people who are asked answer differently, it is no, and the office will be in touch."
"""Said to everybody who answered, whoever else is asked and whatever they said."""
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
    children = await consents.for_family(session, actor)
    alone = await approvals.told_of_some(session, actor.school_id, [child.id for child in children], now)
    return sum(_needs_answer(question, child.id in alone) for child in children for question in child.questions)


async def consent(session: AsyncSession, actor: Actor, child: FamilyChild, now: datetime) -> schemas.Consent:
    is_alone = child.id in await approvals.told_of_some(session, actor.school_id, [child.id], now)
    zone = (await people.school(session, actor.school_id)).zone
    return _consent(child, await declared(session, actor, child.id), now, is_alone, zone)


def _needs_answer(question: Question, is_alone: bool) -> bool:
    """`is_alone`: a one-to-one of this child is approved, and the family is told."""
    return bool(question.asks) and (question.purpose in ASKED or is_alone)


def _consent(child: FamilyChild, declared: schemas.YesNoUnsure | None, now: datetime, is_alone: bool,
             zone: str) -> schemas.Consent:
    return schemas.Consent(
        child=schemas.OwnChild(id=child.id, name=child.name), may_answer=child.may_decide, may_refuse=child.may_refuse,
        responsibility=declared, outcome=_outcome(child, zone),
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


def _outcome(child: FamilyChild, zone: str) -> list[schemas.Follows]:
    """“Live lessons: you said yes. Ali can join.” Of what others said there is nothing in it but whether the child joins, which
    every lesson shows; so no answer of this parent, and no change of it, tells anything else (docs/decisions: 232)."""
    answered = [question for question in child.questions if question.purpose in ASKED and question.own is not None]
    said = [one for question in child.questions if question.purpose in ASKED for one in _says(child.name, question)]
    said += _joins(child) + _starts([question for question in answered if not question.by_public_task], zone)
    if any(not question.by_public_task for question in answered):
        said.append(schemas.Follows(code="several-asked", words=SEVERAL))
    return said


def _joins(child: FamilyChild) -> list[schemas.Follows]:
    """Whether the child joins; where not, by this parent's own no, or by what the school cannot say. Where their yes rests, that
    is said beside it (`_starts`)."""
    outcomes = {question.outcome for question in child.questions if question.purpose in TO_JOIN}
    if child.may_join:
        return [schemas.Follows(code="can-join", words=f"{child.name} can join.")]
    if child.may_join is None or child.rests_until:
        return []
    if Outcome.NO in outcomes:
        return [schemas.Follows(code="cannot-join", words=f"{child.name} cannot join live lessons.")]
    return [schemas.Follows(code="not-all-answers", words="We do not have all the answers we need. The office will be in touch.")]


def _starts(answered: list[Question], zone: str) -> list[schemas.Follows]:
    """From when what this parent agreed to counts, where it rests: the last of it."""
    rests = [(own.counts_from, own.has_earlier) for question in answered if (own := question.own) and own.counts_from]
    return [_later(max(at for at, _ in rests), all(earlier for _, earlier in rests), zone)] if rests else []


def _later(at: datetime, has_earlier: bool, zone: str, purpose: Purpose | None = None) -> schemas.Follows:
    until = "Until then your earlier answer counts." if has_earlier else "Until then nothing changes."
    return schemas.Follows(code="counts-later" if has_earlier else "starts-later", purpose=purpose.value if purpose else None,
                           at=at, words=f"Your yes starts {say_moment(at, zone)}. {until}")


def _says(name: str, question: Question) -> list[schemas.Follows]:
    """What this parent said to a question; of recording as the public task, what is done."""
    purpose = question.purpose
    if not question.by_public_task:
        if question.own is None:
            return []
        word: Literal["yes", "no"] = "yes" if question.own.says_yes else "no"
        return [schemas.Follows(code=word, purpose=purpose.value, words=f"{NAMES[purpose]}: you said {word}.")]
    if question.outcome is Outcome.YES:
        return [schemas.Follows(code="public-task", purpose=purpose.value,
                                words=f"{name} is recorded in lessons. The school does not need permission for this.")]
    if question.outcome is Outcome.NO:
        return [schemas.Follows(code="not-recorded", purpose=purpose.value, words=f"Nothing new of {name} is recorded.")]
    return []


def follows(child: FamilyChild, purpose: Purpose, *, says_yes: bool, counts_from: datetime | None,
            was_in_lesson: bool, zone: str) -> list[schemas.Follows]:
    """What one answer did, of a child as it stands after it."""
    name = child.name
    question = next((each for each in child.questions if each.purpose is purpose), None)
    if question is not None and question.by_public_task:
        if says_yes or question.outcome is not Outcome.YES:
            return _says(name, question)
        return [schemas.Follows(code="objected", purpose=purpose.value,
                                words=f"You object. The headteacher decides. Until then {name} is recorded.")]
    if says_yes and counts_from is not None:
        has_earlier = question is not None and question.own is not None and question.own.has_earlier
        return [_later(counts_from, has_earlier, zone, purpose)]
    if says_yes:
        return [schemas.Follows(code="yes", purpose=purpose.value, words=f"{NAMES[purpose]}: you said yes.")]
    if was_in_lesson and purpose in (Purpose.ATTEND, Purpose.BE_RECORDED):
        return [schemas.Follows(code="left-lesson", purpose=purpose.value, words=f"{name} has left the lesson that is on.")]
    if purpose in STOPS:
        return [schemas.Follows(code="off-now", purpose=purpose.value, words=STOPS[purpose].format(name=name))]
    return [schemas.Follows(code="no", purpose=purpose.value, words=f"{NAMES[purpose]}: you said no.")]
