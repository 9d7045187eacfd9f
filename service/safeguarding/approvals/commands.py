"""Asking for a one-to-one, deciding, ending it. Each is the last check before the row is written; the database checks again.

Who decides proves who they are for exactly what is decided, which is built from what was loaded (docs/step-up.md, threat T5).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.people import step_up
from service.people.actions import REST, Action
from service.people.step_up import Proof
from service.safeguarding.approvals import queries, rules
from service.safeguarding.approvals.events import (
    OneToOneAnswered,
    OneToOneApproved,
    OneToOneAsked,
    OneToOneNotNeeded,
    OneToOneQuestioned,
    OneToOneRefused,
    OneToOneWithdrawn,
    SpokeToDsl,
)
from service.safeguarding.approvals.queries import Request
from service.safeguarding.approvals.rules import Kind, Status
from service.safeguarding.approvals.tables import Approval, ApprovalNote, ApprovalRequest, RequestedLesson


class Decided(Conflict):
    """This was decided already."""

    code = "decided"


class TooLate(Conflict):
    """Time has passed. It was not approved."""

    code = "too-late"


class Changed(Conflict):
    """This request has changed. Read it again."""

    code = "request-changed"


class MayNotDecide(NotAllowed):
    """You cannot decide this."""

    code = "may-not-decide"


class TalkFirst(NotAllowed):
    """Talk to the DSL first, and save what you agreed."""

    code = "talk-first"


@dataclass(frozen=True)
class NewRequest:
    """What somebody asks for. `lessons`: id, from and until of each, earliest first."""

    kind: Kind
    adult_id: str
    child_id: str
    lessons: tuple[tuple[str, datetime, datetime], ...]
    why: str
    tried: tuple[str, ...] = ()
    safeguards: str = ""
    parent_present: str = "unknown"
    camera_on: bool = False


@dataclass(frozen=True)
class Verdict:
    """What somebody decides, with what they read: `digest` and the `versions` of the lessons as they stand."""

    request_id: str
    digest: str
    reason: str
    conditions: str = ""
    expires_on: date | None = None
    versions: Mapping[str, int] = field(default_factory=dict)


# Asking


async def ask(session: AsyncSession, actor: Actor, wanted: NewRequest, now: datetime) -> str:
    """Keep a request and tell those who decide. Returns its id."""
    row = ApprovalRequest(
        school_id=actor.school_id, kind=wanted.kind, adult_id=wanted.adult_id, child_id=wanted.child_id,
        requested_by=actor.person_id, requested_at=now, why=wanted.why, tried=" ".join(wanted.tried),
        safeguards=wanted.safeguards, parent_present=wanted.parent_present, camera_on=wanted.camera_on,
    )
    session.add(row)
    await session.flush()
    session.add_all(
        RequestedLesson(request_id=row.id, lesson_id=lesson, school_id=actor.school_id, starts_at=start, ends_at=end)
        for lesson, start, end in wanted.lessons
    )
    await session.flush()
    asked = OneToOneAsked(row.id, wanted.kind, wanted.adult_id, wanted.child_id, len(wanted.lessons))
    await publish(session, asked, actor)
    return row.id


async def answer(session: AsyncSession, actor: Actor, request_id: str, words: str, now: datetime) -> None:
    """Whoever asked says more; whoever decides reads it again."""
    row, found = await _open(session, actor, request_id, now)
    if actor.person_id not in (found.parties.requester, found.parties.adult):
        raise NotFound()
    await _add_note(session, actor, row, "answer", words, now, Status.WAITING)
    await publish(session, OneToOneAnswered(request_id), actor)


async def withdraw(session: AsyncSession, actor: Actor, request_id: str, now: datetime) -> Request:
    row, found = await _open(session, actor, request_id, now)
    if actor.person_id not in (found.parties.requester, found.parties.adult):
        raise NotFound()
    _close(row, actor, Status.WITHDRAWN, "", now)
    await publish(session, OneToOneWithdrawn(request_id), actor)
    return found


# Deciding


async def question(session: AsyncSession, actor: Actor, verdict: Verdict, now: datetime) -> None:
    """“Ask for more”: nothing is decided."""
    row, _ = await to_decide(session, actor, verdict, now)
    await _add_note(session, actor, row, "question", verdict.reason, now, Status.QUESTIONED)
    await publish(session, OneToOneQuestioned(verdict.request_id), actor)


async def note_spoken(session: AsyncSession, actor: Actor, request_id: str, words: str, now: datetime) -> None:
    """“I have spoken to the DSL”, and what was agreed: read by those who decide and the safeguarding team, never the teacher."""
    row, found = await _open(session, actor, request_id, now)
    await refuse_if_barred(session, actor, found)
    await _add_note(session, actor, row, "spoke-to-dsl", words, now, None)
    await publish(session, SpokeToDsl(request_id), actor)


async def refuse(session: AsyncSession, actor: Actor, verdict: Verdict, proof: Proof, now: datetime) -> Request:
    row, found = await to_decide(session, actor, verdict, now)
    grant = await step_up.confirmed(session, actor, decision(found, verdict, "refuse"), proof, now)
    _close(row, actor, Status.REFUSED, verdict.reason, now)
    await publish(session, OneToOneRefused(verdict.request_id, grant), actor)
    return found


async def approve(session: AsyncSession, actor: Actor, verdict: Verdict, proof: Proof, now: datetime) -> tuple[str, ...]:
    """Approve exactly what was asked, one row a lesson. Returns the lessons it holds for: none after `expires_on`."""
    row, found = await to_decide(session, actor, verdict, now)
    lessons = await to_approve(session, actor, found, verdict)
    grant = await step_up.confirmed(session, actor, decision(found, verdict, "approve"), proof, now)
    _close(row, actor, Status.APPROVED, verdict.reason, now)
    for one in lessons:
        await _give(session, actor, found, one, verdict, grant, now)
    return tuple(one.lesson_id for one in lessons)


async def _give(session: AsyncSession, actor: Actor, found: Request, lesson: rules.AskedLesson, verdict: Verdict, grant: str,
                now: datetime) -> None:
    starts_at = max(lesson.starts_at, now) if found.asked.kind == Kind.NOW else lesson.starts_at
    given = Approval(
        school_id=actor.school_id, request_id=found.id, lesson_id=lesson.lesson_id, adult_id=found.parties.adult,
        child_id=found.parties.child, requested_by=found.parties.requester, approved_by=actor.person_id, starts_at=starts_at,
        ends_at=lesson.ends_at, camera_on=found.asked.camera_on, conditions=verdict.conditions, reason=verdict.reason,
        expires_on=verdict.expires_on, confirmed_by=grant, approved_at=now,
    )
    session.add(given)
    await session.flush()
    await publish(session, OneToOneApproved(
        given.id, found.id, lesson.lesson_id, given.adult_id, given.child_id, starts_at.isoformat(), lesson.ends_at.isoformat(),
        grant,
    ), actor)


def decision(found: Request, verdict: Verdict, what: str) -> Action:
    """Exactly what is decided: what a proof of identity is bound to (threat T5)."""
    asked = found.asked
    words = {"approve": "approve this one-to-one lesson", "refuse": "refuse this one-to-one lesson"}[what]
    if len(asked.lessons) > 1:
        words = words.replace("this one-to-one lesson", f"these {len(asked.lessons)} one-to-one lessons")
    return Action(f"{what}-one-to-one", words, {
        "request_id": found.id, "digest": asked.digest, "adult": asked.adult, "child": asked.child,
        "lessons": [f"{one.lesson_id} {one.starts_at.isoformat()} {one.ends_at.isoformat()}" for one in asked.lessons],
        "reason": verdict.reason, "conditions": verdict.conditions,
        "expires_on": verdict.expires_on.isoformat() if verdict.expires_on else "",
    })


async def close_as_not_needed(session: AsyncSession, actor: Actor, request_id: str, second_id: str, now: datetime) -> Request:
    """A second adult joins all of its lessons instead."""
    row, found = await _open(session, actor, request_id, now)
    await refuse_if_barred(session, actor, found)
    _close(row, actor, Status.NOT_NEEDED, "", now)
    await publish(session, OneToOneNotNeeded(request_id, second_id), actor)
    return found


# Checks


async def _open(session: AsyncSession, actor: Actor, request_id: str, now: datetime,
                versions: Mapping[str, int] | None = None) -> tuple[ApprovalRequest, Request]:
    """A request that nobody has decided, held until this transaction ends."""
    row = await session.get(ApprovalRequest, request_id, with_for_update=True)
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    found = await queries.request(session, actor.school_id, request_id, versions)
    if found.status not in rules.OPEN:
        raise Decided()
    if found.is_late(now):
        raise TooLate()
    return row, found


async def to_decide(session: AsyncSession, actor: Actor, verdict: Verdict, now: datetime) -> tuple[ApprovalRequest, Request]:
    row, found = await _open(session, actor, verdict.request_id, now, verdict.versions)
    await refuse_if_barred(session, actor, found)
    if verdict.digest != found.asked.digest:
        raise Changed()
    if not verdict.reason.strip():
        raise Invalid("There is a problem", fields={"reason": "Give a reason"})
    return row, found


async def refuse_if_barred(session: AsyncSession, actor: Actor, found: Request) -> None:
    held = await queries.roles_of(session, actor.school_id, [actor.person_id])  # as they are now, not as at sign-in
    why = rules.bar(actor.person_id, held[actor.person_id], found.parties, await people.profile(session, actor.school_id))
    if why is not None:
        raise MayNotDecide(why.value)


async def to_approve(session: AsyncSession, actor: Actor, found: Request, verdict: Verdict) -> list[rules.AskedLesson]:
    """The lessons that an approval with this expiry holds for; refused while the DSL is to be talked to first."""
    await _refuse_untalked(session, actor, found)
    await _refuse_just_made(session, actor, found)
    zone = (await people.school(session, actor.school_id)).zone
    lessons = [one for one in found.asked.lessons
               if verdict.expires_on is None or one.starts_at.astimezone(ZoneInfo(zone)).date() <= verdict.expires_on]
    if not lessons:
        raise Invalid("There is a problem", fields={"expires": "Choose a day that is not before the first lesson"})
    return lessons


async def _refuse_just_made(session: AsyncSession, actor: Actor, found: Request) -> None:
    """Nobody approves for whoever gave them a role less than a day ago: time for others to see who was made what (threat T5)."""
    now: datetime = session.info["clock"].now()
    if await queries.gave_roles(session, actor, (found.parties.adult, found.parties.requester), since=now - REST):
        raise MayNotDecide(rules.JUST_MADE)


async def _refuse_untalked(session: AsyncSession, actor: Actor, found: Request) -> None:
    tags = await queries.talk_first(session, actor.school_id, (found.parties.adult, found.parties.child, found.parties.requester))
    spoken = [note.at for note in found.notes if note.kind == "spoke-to-dsl" and note.by == actor.person_id]
    if not rules.spoken_to_dsl(tags, spoken):
        raise TalkFirst()


async def _add_note(session: AsyncSession, actor: Actor, row: ApprovalRequest, kind: str, words: str, now: datetime,
                    status: Status | None) -> None:
    if not words.strip():
        raise Invalid("There is a problem", fields={"words": "Say more", "reason": "Give a reason"} if status else
                      {"spoken": "Say what you agreed"})
    session.add(ApprovalNote(school_id=row.school_id, request_id=row.id, kind=kind, words=words.strip(),
                             added_by=actor.person_id, added_at=now))
    if status is not None:
        row.status, row.version = status, row.version + 1
    await session.flush()


def _close(row: ApprovalRequest, actor: Actor, status: Status, reason: str, now: datetime) -> None:
    row.status, row.decided_by, row.decided_at, row.reason = status, actor.person_id, now, reason.strip()
    row.version += 1
