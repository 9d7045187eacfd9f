"""Ask for, agree to, make, watch and end a recording for teaching practice. Each step is in the audit (policy: RE1, CO2)."""

import asyncio
from datetime import datetime

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.events import ConsentConflictClosed, ConsentCorrected, ConsentRecorded, ConsentWithdrawn
from consent.rules import Purpose
from recordings import queries as recordings
from recordings import rules as watched
from recordings.commands import seal_part
from recordings.ending import destruction
from recordings.ending import queries as endings
from recordings.format import Header, Manifest
from recordings.keystore import Part
from recordings.practice import queries, rules
from recordings.practice.copying import Copy, Copying, copy
from recordings.practice.events import PracticeAgreed, PracticeAsked, PracticeEnded, PracticeMade, PracticeViewed
from recordings.practice.rules import Lesson, Plan, Shown, State, Verdict
from recordings.practice.tables import PracticeAdult, PracticePlan, PracticeView
from recordings.queries import RecordingDetails
from recordings.review import part_key
from recordings.rules import VIEW_LASTS, Kind
from recordings.secret import new_key, wipe
from recordings.tables import Recording, RecordingKey, RecordingPart, RecordingParticipant
from recordings.vault import Vault, key_id
from service.foundation.bus import publish
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.errors import Conflict
from service.foundation.events import Actor, system
from service.people import queries as people
from service.people import step_up
from service.people.step_up import Proof

log = structlog.get_logger(__name__)
OVER = "it is not kept for teaching practice any more"
OfFamily = ConsentRecorded | ConsentWithdrawn | ConsentCorrected | ConsentConflictClosed


async def ask(session: AsyncSession, actor: Actor, lesson: Lesson, mentor_id: str, now: datetime) -> str:
    """Ask that a lesson is also kept for its teacher and one colleague. Who asks for their own lesson agrees. Returns its id."""
    rules.check_may_ask(actor, lesson)
    rules.check_can_be_kept(lesson)
    if await queries.of_lesson(session, actor.school_id, lesson.id):
        raise Conflict("Somebody has asked for this already.")
    teacher_id = actor.person_id if actor.person_id in lesson.teachers else lesson.teachers[0]
    if mentor_id:
        mentor = await people.person(session, actor.school_id, mentor_id)
        rules.check_mentor(mentor_id, mentor.roles, teacher_id)
    row = PracticePlan(
        school_id=actor.school_id, lesson_id=lesson.id, title=lesson.title, class_name=lesson.class_name,
        starts_at=lesson.starts_at, teacher_id=teacher_id, mentor_id=mentor_id, asked_by=actor.person_id, asked_at=now,
    )
    session.add(row)
    await session.flush()
    for adult in sorted(lesson.adults | {teacher_id}):
        mine = now if adult == actor.person_id else None
        session.add(PracticeAdult(plan_id=row.id, person_id=adult, school_id=actor.school_id, agreed_at=mine))
    await publish(session, PracticeAsked(row.id, lesson.id, teacher_id, mentor_id), actor)
    return row.id


async def agree(session: AsyncSession, actor: Actor, plan_id: str, now: datetime) -> None:
    """One adult says yes for themselves."""
    plan = await queries.plan(session, actor.school_id, plan_id)
    there = await queries.shown(session, plan)
    rules.check_sees(actor, plan, there)
    if not rules.may_agree(actor, plan, there):
        raise Conflict("This has ended, or you have answered already.")
    await session.merge(PracticeAdult(plan_id=plan.id, person_id=actor.person_id, school_id=actor.school_id, agreed_at=now))
    await publish(session, PracticeAgreed(plan.id, plan.lesson_id, actor.person_id), actor)


# -- the end ------------------------------------------------------------------------------------------------------------------


async def end(session: AsyncSession, actor: Actor, plan_id: str, now: datetime) -> None:
    """Anybody whom it has to do with ends it, at once and for ever, without a reason."""
    plan = await queries.plan(session, actor.school_id, plan_id)
    rules.check_sees(actor, plan, await queries.shown(session, plan))
    if plan.state is State.GONE:
        raise Conflict("It is gone already.")
    await _end(session, actor, plan, now)


async def _end(session: AsyncSession, actor: Actor, plan: Plan, now: datetime) -> None:
    row = await session.get_one(PracticePlan, plan.id)
    row.ended_at, row.ended_by = now, actor.person_id
    session.add(row)
    await publish(session, PracticeEnded(plan.id, plan.lesson_id), actor)
    if plan.is_made and not plan.is_gone:
        await destruction.begin(session, actor, recording_id=plan.id, why=OVER, now=now)


async def end_of_lesson(session: AsyncSession, actor: Actor, lesson_id: str, now: datetime) -> None:
    """The lesson's own recording is erased early: what was made of it is not there for longer."""
    if plan := await queries.of_lesson(session, actor.school_id, lesson_id):
        await _end(session, actor, plan, now)


async def end_all(session: AsyncSession, actor: Actor, now: datetime) -> int:
    """End every one of the school, such as after a restore: what families said since the back-up is not known."""
    plans = await queries.open_plans(session, actor.school_id)
    for plan in plans:
        await _end(session, actor, plan, now)
    return len(plans)


async def look_again(session: AsyncSession, event: OfFamily, actor: Actor) -> None:
    """Reaction to what a family says: one no ends what shows their child, in the same transaction (policy: CO2).

    For ever: a yes a minute later brings nothing back.
    """
    if event.purpose != Purpose.TEACHING_PRACTICE:
        return
    now = session.info["clock"].now()
    for plan in await queries.open_with(session, actor.school_id, event.child_id):
        if await queries.judged(session, plan, now) is Verdict.NO:
            await _end(session, system(actor.school_id), plan, now)


# -- making it -----------------------------------------------------------------------------------------------------------------


async def keep_up(database: Database, vault: Vault, clock: Clock, copying: Copying) -> int:
    """Each minute: end what may not stay, make what may be made. Returns how many were made. Safe to repeat."""
    async with copying.turn:
        if not copying.is_tidy:
            await _tidy(database, vault)
            copying.is_tidy = True
        async with database.reading() as session:
            plans = await queries.open_plans(session)
        return sum([await _try(database, vault, clock, copying, plan) for plan in plans])


async def _tidy(database: Database, vault: Vault) -> None:
    """A process may have died between a copy's keys and its row, and somebody said no before the next one began."""
    async with database.reading() as session:
        plans = await queries.unmade_plans(session)
    for plan in plans:
        await asyncio.to_thread(vault.abandon, plan.school_id, plan.id)


async def _try(database: Database, vault: Vault, clock: Clock, copying: Copying, plan: Plan) -> bool:
    try:
        async with database.reading() as session:
            found = await queries.judged(session, plan, clock.now())
        if found is Verdict.NO:
            await _end_if_so(database, clock, plan)
        return found is Verdict.YES and not plan.is_made and await _make(database, vault, clock, copying, plan)
    except Exception as error:
        # Without the traceback: its variables are keys and plain sound. The next minute tries again, for a week.
        log.error("practice.failed", plan=plan.id, error=type(error).__name__)
        copying.is_tidy = False
        return False


async def _end_if_so(database: Database, clock: Clock, plan: Plan) -> None:
    async with database.writing() as session:
        now_so = await queries.plan(session, plan.school_id, plan.id)
        if now_so.ended_at is None and await queries.judged(session, now_so, clock.now()) is Verdict.NO:
            await _end(session, system(plan.school_id), now_so, clock.now())


async def _make(database: Database, vault: Vault, clock: Clock, copying: Copying, plan: Plan) -> bool:
    """Copy the parts under new keys; keys and rows are written together, where everybody still says yes."""
    async with database.reading() as session:
        details = await recordings.recording(session, plan.school_id, plan.lesson_id)
        there = await queries.shown(session, plan)
    if not details.can_be_watched:
        return False
    copies, is_kept = _copies(plan, details, vault), False
    try:
        await asyncio.to_thread(vault.abandon, plan.school_id, plan.id)  # what a process that died left
        manifests = await asyncio.to_thread(_copy_all, vault, details, copies, there, clock.now(), copying)
        async with database.writing() as session:
            is_kept = await _keep(session, vault, plan, details, copies, manifests, clock.now())
    finally:
        copying.forget(details.id)
        wipe(*(each.key for each in copies.values()))
        if not is_kept:
            await asyncio.to_thread(vault.abandon, plan.school_id, plan.id)
    return is_kept


def _copies(plan: Plan, details: RecordingDetails, vault: Vault) -> dict[int, Copy]:
    return {
        part.part: Copy(vault.path(plan.id, part.part),
                        Header(details.school_id, plan.id, plan.id, part.part, part.started_at), new_key())
        for part in details.parts if not part.has_nothing
    }


def _copy_all(vault: Vault, details: RecordingDetails, copies: dict[int, Copy], there: Shown, now: datetime,
              copying: Copying) -> list[Manifest]:
    found = []
    for part in details.parts:
        if part.part not in copies:
            continue
        key = part_key(details, part, vault)
        copying.holds(details.id, key)
        found.append(copy(vault.place(details.id, part.part), key, copies[part.part], there.children | there.adults,
                          signer=vault.keys(details.school_id), now=now))
    return found


async def _keep(session: AsyncSession, vault: Vault, plan: Plan, details: RecordingDetails, copies: dict[int, Copy],
                manifests: list[Manifest], now: datetime) -> bool:
    """The rows of the new recording, and its keys under its own day; False where somebody said no meanwhile, or set it apart."""
    chaperone, store = system(plan.school_id), vault.key_store(plan.school_id)
    now_so = await queries.plan(session, plan.school_id, plan.id)
    original = await recordings.recording(session, plan.school_id, plan.lesson_id)
    is_apart = vault.is_isolated(plan.school_id, details.id)
    if await queries.judged(session, now_so, now) is not Verdict.YES or original.is_destroyed or is_apart:
        return False
    days = (await people.profile(session, plan.school_id)).retention_practice_days
    row = Recording(
        id=plan.id, school_id=plan.school_id, kind=Kind.TEACHING_PRACTICE, lesson_id=plan.id, title=details.title,
        class_name=details.class_name, starts_at=details.starts_at, ends_at=details.ends_at, started_at=details.started_at,
        ended_at=now, outcome=details.outcome, reason=details.reason,
        kept_until=min(original.kept_until, watched.kept_until(details.ends_at, days)),  # while the team has the lesson's own
    )
    session.add(row)
    await session.flush()
    there = await queries.shown(session, plan)
    for person in sorted(there.children | there.adults):
        session.add(RecordingParticipant(
            recording_id=row.id, person_id=person, school_id=plan.school_id, admitted_at=details.started_at,
            role="pupil" if person in there.children else "adult"))
    recipients = await endings.recovery_keys(session, plan.school_id)
    for manifest in manifests:
        made = copies[manifest.part]
        part = RecordingPart(school_id=plan.school_id, recording_id=row.id, part=manifest.part,
                             started_at=made.header.started_at)
        session.add(part)
        await session.flush()
        session.add(RecordingKey(part_id=part.id, school_id=plan.school_id, name=key_id(made.key)))
        await asyncio.to_thread(store.put, Part(row.id, part.part, row.kept_until), made.key, recipients)
        await seal_part(session, chaperone, manifest, now=now)
    await publish(session, PracticeMade(plan.id, plan.lesson_id), chaperone)
    return True


# -- watching ------------------------------------------------------------------------------------------------------------------


async def check_watches(session: AsyncSession, actor: Actor, plan_id: str, now: datetime) -> Plan:
    """Raise NotFound unless this person may have another byte, `Pauses` unless now: everything is asked again each time."""
    plan = await queries.plan(session, actor.school_id, plan_id)
    rules.check_watches(actor, plan, await queries.judged(session, plan, now))
    return plan


async def watch(session: AsyncSession, actor: Actor, plan_id: str, proof: Proof, now: datetime) -> str:
    """Open one view, for teaching practice and nothing else. Returns its id, which grants nothing by itself."""
    plan = await check_watches(session, actor, plan_id, now)
    await step_up.confirmed(session, actor, rules.watching(plan), proof, now)
    view = PracticeView(school_id=actor.school_id, plan_id=plan.id, person_id=actor.person_id, session_id=actor.session_id,
                        granted_at=now, expires_at=now + VIEW_LASTS)
    session.add(view)
    await session.flush()
    await publish(session, PracticeViewed(plan.id, plan.lesson_id, view.id), actor)
    return view.id
