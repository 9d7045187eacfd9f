"""What one parent sees of the permissions of their children: their own answers, and never what anybody else said (policy: CO2).

A parent who must not know of a child gets exactly what somebody without children gets, after the same looks at the database:
nothing here depends on whether there is a child (threat T19).
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import rules, standing
from consent.documents import queries as documents
from consent.documents.queries import Shown
from consent.rules import Purpose
from consent.tables import ConsentResponse, RecordingObjection
from consent.told import Told, is_public_task, responsibility, terms, told
from service.foundation.errors import NotAllowed, NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.people import registers
from service.people.tables import Guardianship, Person

NOTICE = timedelta(days=30)
"""A yes that ends sooner than this is asked for again."""
ASKED = frozenset({standing.DECIDES, standing.PUPIL})
"""Whose words are asked for. Whoever can say no and not yes may do so, and is not asked to."""


class Outcome(StrEnum):
    """What the school goes by, in words that say nothing of anybody else: `YES`, it holds; `NO`, and this parent said so;
    `RESTS`, their yes starts later; `NOT_YET`, “We do not have all the answers we need. The office will be in touch.”;
    `UNANSWERED`, this parent has not said anything."""

    YES = "yes"
    NO = "no"
    RESTS = "rests"
    NOT_YET = "not_yet"
    UNANSWERED = "unanswered"


class Objection(StrEnum):
    """What became of this parent's own objection to recording: until it is `UPHELD` the child is recorded."""

    WAITS = "waits"
    UPHELD = "upheld"
    DECLINED = "declined"


@dataclass(frozen=True)
class OwnAnswer:
    """What this person said last. `stands_until`: of a yes, the day on which it ends. `counts_from`: before it, it rests, and
    where `has_earlier` what they said before counts until then."""

    id: str
    says_yes: bool
    answer: rules.Answer
    signed_on: date
    recorded_at: datetime
    route: rules.Route
    language: str
    version: int
    stands_until: date | None
    counts_from: datetime | None
    has_earlier: bool = False


@dataclass(frozen=True)
class Question:
    """One purpose as this parent may see it. `asks`: why they are asked (again), or empty (`standing.asks_again`).

    `by_public_task`: no question of permission; a parent can object to it (`objection`), and the headteacher decides.
    """

    purpose: Purpose
    document_id: str
    version: int
    changed: str
    languages: tuple[str, ...]
    own: OwnAnswer | None
    asks: str
    outcome: Outcome
    by_public_task: bool = False
    objection: Objection | None = None


@dataclass(frozen=True)
class FamilyChild:
    """A child of this parent. `may_decide`: whether their yes counts; `may_refuse`: whether their no is taken, as it is from
    whoever is not known to have no say; `may_join`: of the joint outcome, once they answered all that joining needs, and None
    before."""

    id: str
    name: str
    may_decide: bool
    may_refuse: bool
    questions: tuple[Question, ...]
    may_join: bool | None

    @property
    def rests_until(self) -> datetime | None:
        """From when all counts that joining needs and this parent agreed to; None where none of it rests, or not all is yes."""
        joins = [question for question in self.questions if question.purpose in rules.TO_JOIN]
        if any(one.outcome in (Outcome.NO, Outcome.UNANSWERED) or one.asks in ("words", "expired") for one in joins):
            return None
        rest = [one.own.counts_from for one in joins if one.outcome is Outcome.RESTS and one.own]
        return max((at for at in rest if at), default=None)


async def for_family(session: AsyncSession, actor: Actor) -> tuple[FamilyChild, ...]:
    """Every child whom this parent may see (or the pupil, from the age at which they are asked), with their own answers."""
    profile = await people.profile(session, actor.school_id)
    children = await _children(session, actor)
    said = await told(session, actor.school_id, list(children), profile)
    asked = await documents.shown(session, actor.school_id)
    own = await _own(session, actor, list(children))
    at, task = terms(session, profile), is_public_task(profile)
    objections = await _objections(session, actor.school_id, list(children)) if task else {}
    found = [
        _child(actor.person_id, child, name, said[child], asked, own, at, objections.get(child, []) if task else None)
        for child, name in children.items() if child in said and (child != actor.person_id or child in said[child].responsible)
    ]
    return tuple(sorted(found, key=lambda child: people.rules.sort_key(child.name)))


async def _children(session: AsyncSession, actor: Actor) -> dict[str, str]:
    """Whom they may see, by name; and themself. Unknown is closed, as is “do not contact” (policy: CM1).

    From the links to the children: asked for in one statement, SQLite looks at everybody of the school.
    """
    today = session.info["clock"].now().date()
    seen = (await session.exec(select(Guardianship.child_id).where(
        Guardianship.guardian_id == actor.person_id, *people.VISIBLE))).all()
    rows = (await session.exec(select(Person).where(
        Person.school_id == actor.school_id, Person.kind == "child", col(Person.id).in_([*seen, actor.person_id])))).all()
    return {person.id: people.name_of(person) for person in rows if people.is_here(person, today)}


async def not_of_the_family(session: AsyncSession, actor: Actor, child_id: str) -> None:
    """Staff who are themselves an adult of this child read and type in nothing about its permissions. Raises NotAllowed."""
    if child_id in await registers.own_family(session, actor.school_id, actor.person_id):
        raise NotAllowed("You are of this child’s family. A colleague has to do this.")


async def own_word(session: AsyncSession, actor: Actor, child_id: str) -> str:
    """What the actor's word is worth for a child that they may see. Raises NotFound."""
    if child_id not in await _children(session, actor):
        raise NotFound()
    words = (await responsibility(session, actor.school_id, [child_id]))[child_id]
    if child_id == actor.person_id and child_id not in words:
        raise NotFound()
    return words.get(actor.person_id, standing.NONE)


async def relationship(session: AsyncSession, actor: Actor, child_id: str) -> str:
    """How the school's record says that they are related."""
    found = (await session.exec(select(Guardianship.relationship).where(
        Guardianship.guardian_id == actor.person_id, Guardianship.child_id == child_id))).first()
    return found or ""


async def declared(session: AsyncSession, actor: Actor, child_id: str) -> str:
    """What the actor said of their responsibility with their last answer that was not entered by mistake; empty before."""
    wrong = select(ConsentResponse.corrects_id).where(
        ConsentResponse.child_id == child_id, col(ConsentResponse.corrects_id).is_not(None))
    found = (await session.exec(select(ConsentResponse.declared_responsibility).where(
        ConsentResponse.school_id == actor.school_id, ConsentResponse.respondent_id == actor.person_id,
        ConsentResponse.child_id == child_id, ConsentResponse.declared_responsibility != "",
        col(ConsentResponse.id).not_in(wrong),
    ).order_by(col(ConsentResponse.signed_on).desc(), col(ConsentResponse.recorded_at).desc()).limit(1))).first()
    return found or ""


async def _own(session: AsyncSession, actor: Actor, children: list[str]) -> dict[str, ConsentResponse]:
    rows = (await session.exec(select(ConsentResponse).where(
        ConsentResponse.school_id == actor.school_id, ConsentResponse.respondent_id == actor.person_id,
        col(ConsentResponse.child_id).in_(children),
    ))).all()
    return {row.id: row for row in rows}


async def _objections(session: AsyncSession, school_id: str, children: list[str]) -> dict[str, list[RecordingObjection]]:
    """Of each child, the oldest first."""
    found: dict[str, list[RecordingObjection]] = {}
    for row in (await session.exec(select(RecordingObjection).where(
            RecordingObjection.school_id == school_id, col(RecordingObjection.child_id).in_(children),
    ).order_by(col(RecordingObjection.received_at)))).all():
        found.setdefault(row.child_id, []).append(row)
    return found


def _child(person_id: str, child: str, name: str, said: Told, asked: dict[Purpose, Shown], own: dict[str, ConsentResponse],
           at: standing.Terms, objections: list[RecordingObjection] | None) -> FamilyChild:
    """`objections` to recording, where that is the school's public task; None where it is asked about."""
    task = objections is not None
    held = rules.held(standing.statuses(said.responses, said.responsible, at, said.closed), public_task=task,
                      objection_upheld=any(row.upheld for row in objections or ()))
    mine: dict[Purpose, standing.Response] = {}
    for response in sorted(standing.standing(said.responses), key=standing.order):
        if response.respondent_id == person_id:
            mine[response.purpose] = response
    counted = {purpose: standing.latest((r for r in said.responses if r.purpose is purpose), at.now) for purpose in mine}
    answers = {purpose: _answer(own[one.id], one, at, counted[purpose].get(person_id)) for purpose, one in mine.items()}
    word = said.responsible.get(person_id, standing.NONE)
    questions = tuple(
        _recording(shown, person_id, answers.get(purpose), purpose in held, objections)
        if objections is not None and purpose is Purpose.BE_RECORDED
        else _question(shown, answers.get(purpose), mine.get(purpose), purpose in held, at, word in ASKED)
        for purpose, shown in asked.items()
    )
    joins = [question for question in questions if question.purpose in rules.TO_JOIN]
    knows = len(joins) == len(rules.TO_JOIN) and all(question.outcome is not Outcome.UNANSWERED for question in joins)
    return FamilyChild(child, name, word == standing.DECIDES, word != standing.NONE, questions,
                       all(question.outcome is Outcome.YES for question in joins) if knows else None)


def _question(shown: Shown, answer: OwnAnswer | None, mine: standing.Response | None, holds: bool, at: standing.Terms,
              is_asked: bool) -> Question:
    asks = standing.asks_again(mine, at, NOTICE) if is_asked else ""
    if answer is None:
        outcome = Outcome.UNANSWERED
    elif holds:
        outcome = Outcome.YES
    elif answer.says_yes:
        outcome = Outcome.RESTS if answer.counts_from else Outcome.NOT_YET
    else:
        outcome = Outcome.NO
    return Question(shown.purpose, shown.document_id, shown.version, shown.changed, tuple(shown.languages), answer, asks, outcome)


def _recording(shown: Shown, person_id: str, answer: OwnAnswer | None, holds: bool,
               objections: list[RecordingObjection]) -> Question:
    """Recording as the school's public task: nobody is asked, and what they said before does not decide."""
    last = next((row for row in reversed(objections) if row.objector_id == person_id), None)
    objection = None if last is None else (
        Objection.WAITS if last.upheld is None else Objection.UPHELD if last.upheld else Objection.DECLINED)
    outcome = Outcome.YES if holds else Outcome.NO if objection is Objection.UPHELD else Outcome.NOT_YET
    return Question(shown.purpose, shown.document_id, shown.version, shown.changed, tuple(shown.languages),
                    answer, "", outcome, True, objection)


def _answer(row: ConsentResponse, mine: standing.Response, at: standing.Terms, counted: standing.Response | None) -> OwnAnswer:
    """`counted`: their answer that counts by now. A yes that is over does not."""
    has_earlier = counted is not None and (not counted.said_yes or at.stands(counted, at.now.date()))
    rests = mine.counts_from if mine.counts_from and mine.counts_from > at.now else None
    return OwnAnswer(row.id, mine.said_yes, mine.answer, mine.signed_on, mine.recorded_at, mine.route, row.language,
                     row.document_version, at.ends_on(mine) if mine.said_yes else None, rests, rests is not None and has_earlier)
