"""Deciding to erase a recording before its day. Destroying it is what is done with every recording (policy: RE2, RE3)."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.ending import destruction
from recordings.ending.rules import HoldChanged, check_reason
from recordings.erasure import queries, rules
from recordings.erasure.events import ErasureAnswered, ErasureDecided
from recordings.erasure.queries import Asked
from recordings.erasure.rules import Request, Wish
from recordings.erasure.tables import RecordingErasure
from recordings.practice import commands as practice
from recordings.tables import Recording
from service.foundation.bus import publish
from service.foundation.events import Actor
from service.people import queries as people
from service.people import step_up
from service.people.step_up import Proof

WHY = "somebody asked for it, and two people decided it"


async def check_decide(session: AsyncSession, found: Asked, wish: Wish, now: datetime) -> Wish:
    """Everything that `decide` refuses, before anybody proves who they are in vain. A request is refused at any time."""
    rules.checked(wish, found.requests)
    if wish.erases:
        await _check_can_be_erased(session, found, now)
    return wish


async def _check_can_be_erased(session: AsyncSession, found: Asked, now: datetime) -> None:
    needed = await queries.is_needed(session, found.recording, found.involved.participants, now)
    is_running = not found.recording.outcome or now < found.recording.ends_at
    rules.check_can_be_erased(is_gone=found.destruction is not None, is_running=is_running, is_needed=needed)


async def decide(session: AsyncSession, actor: Actor, lesson_id: str, wish: Wish, *, proof: Proof, now: datetime) -> None:
    """Write down who asked and why, and what one person decides. A yes waits for the second."""
    found = await queries.asked(session, actor, lesson_id, lock=True)
    await check_decide(session, found, wish, now)
    erases = bool(wish.erases)
    grant = await step_up.confirmed(session, actor, rules.erasing(found.recording.id, wish), proof, now) if erases else ""
    row = RecordingErasure(
        school_id=actor.school_id, recording_id=found.recording.id, asker=wish.asker, words=wish.words.strip(), erases=erases,
        decided_by=actor.person_id, decided_at=now, grant_id=grant,
    )
    session.add(row)
    await session.flush()
    await publish(session, ErasureDecided(found.recording.id, lesson_id, row.id, row.asker, erases, grant), actor)


async def check_answer(session: AsyncSession, actor: Actor, found: Asked) -> Request:
    """The request that waits, for somebody who may be its second person."""
    if found.waiting is None:
        raise HoldChanged()
    first = await people.actor(session, found.waiting.decided_by)
    rules.check_second(actor, found.waiting, first.roles if first else frozenset(), found.involved)
    return found.waiting


async def agree(session: AsyncSession, actor: Actor, lesson_id: str, *, proof: Proof, now: datetime) -> None:
    """The second person agrees: the destruction has begun when this returns, and cannot be taken back."""
    found = await queries.asked(session, actor, lesson_id, lock=True)
    request = await check_answer(session, actor, found)
    await _check_can_be_erased(session, found, now)
    grant = await step_up.confirmed(session, actor, rules.agreeing(found.recording.id, request), proof, now)
    await _answer(session, actor, found, request, agreed=True, words="", grant=grant, now=now)
    await practice.end_of_lesson(session, actor, lesson_id, now)
    await destruction.begin(session, actor, recording_id=found.recording.id, why=WHY, now=now)


async def refuse(session: AsyncSession, actor: Actor, lesson_id: str, *, words: str, now: datetime) -> None:
    """Somebody who may decide does not agree, or who decided it takes it back, with a reason: it takes nothing away, and whoever
    could be the second person may have left."""
    found = await queries.asked(session, actor, lesson_id, lock=True)
    request = found.waiting
    if request is None:
        raise HoldChanged()
    await _answer(session, actor, found, request, agreed=False, words=check_reason(words, "why"), grant="", now=now)


async def _answer(session: AsyncSession, actor: Actor, found: Asked, request: Request, *, agreed: bool, words: str, grant: str,
                  now: datetime) -> None:
    row = await session.get_one(RecordingErasure, request.id)
    row.agreed, row.second_at, row.second_words, row.second_grant = agreed, now, words, grant
    row.second_by = actor.person_id if actor.person_id != request.decided_by else ""
    session.add(row)
    await publish(session, ErasureAnswered(found.recording.id, found.recording.lesson_id, row.id, agreed, grant), actor)


async def end_all(session: AsyncSession, actor: Actor, because: str, now: datetime) -> None:
    """Refuse every request that waits, such as after a restore: whether it was taken back since is not known."""
    waiting = (await session.exec(
        select(RecordingErasure, Recording.lesson_id).join(Recording, col(Recording.id) == RecordingErasure.recording_id)
        .where(RecordingErasure.school_id == actor.school_id, col(RecordingErasure.erases),
               col(RecordingErasure.agreed).is_(None)))).all()
    for row, lesson_id in waiting:
        row.agreed, row.second_at, row.second_words = False, now, because
        session.add(row)
        await publish(session, ErasureAnswered(row.recording_id, lesson_id, row.id, agreed=False, grant_id=""), actor)
