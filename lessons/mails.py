"""Who gets a mail about a lesson: those on duty, those who decide, whoever asked, and families (policy: RL1, CM1)."""

from collections.abc import Iterable

from sqlmodel.ext.asyncio.session import AsyncSession

from consent.events import ConsentWithdrawn
from consent.rules import TO_JOIN
from lessons import roster as rosters
from lessons.attention import queries as needs
from lessons.attention.events import AttentionOver, AttentionTaken, LessonNeedsAttention
from lessons.attention.rules import Reason
from lessons.attention.tables import LessonAttention
from lessons.attention.withdrawals import on_with
from lessons.events import CoverArranged, LessonApproved, LessonCancelled, LessonMoved, LessonRefused
from lessons.guests import events as guests
from lessons.guests import queries as passes
from lessons.live.facts import LessonStopped
from lessons.tables import Lesson
from service.foundation import mail
from service.foundation.events import Actor
from service.people import events as school
from service.people import queries as people
from service.people.tables import ProfileChange, RoleRequest
from service.safeguarding.approvals import events as approvals
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals.rules import Kind


async def call(session: AsyncSession, event: LessonNeedsAttention, actor: Actor) -> None:
    """N3: whoever a lesson calls. Of a shared address the safeguarding team has its mail already."""
    if event.reason == Reason.ADDRESS:
        return
    row = await session.get_one(LessonAttention, event.attention_id)
    called = await needs.who_is_called(session, row, session.info["clock"].now())
    await _write(session, actor, called, "N3", event.attention_id)


async def call_off(session: AsyncSession, event: AttentionTaken | AttentionOver, actor: Actor) -> None:
    await mail.call_off(session, about=event.attention_id, now=session.info["clock"].now())


async def ask_to_decide(session: AsyncSession, event: approvals.OneToOneAsked, actor: Actor) -> None:
    """S2: whoever may decide. What is asked for from inside a lesson calls them as N3, so that it is one mail."""
    if event.request_kind == Kind.NOW:
        return
    request = await approved.request(session, actor.school_id, event.request_id)
    await _write(session, actor, await needs.deciders(session, actor.school_id, request), "S2", event.request_id)


async def decided(session: AsyncSession, event: approvals.OneToOneRequestChanged, actor: Actor) -> None:
    """Nobody has to decide any more."""
    await mail.call_off(session, about=event.request_id, now=session.info["clock"].now())


async def answer(session: AsyncSession, event: approvals.OneToOneRefused | approvals.OneToOneQuestioned, actor: Actor) -> None:
    """S3: whoever asked. A question and a decision are two answers."""
    await mail.call_off(session, about=event.request_id, now=session.info["clock"].now())
    request = await approved.request(session, actor.school_id, event.request_id)
    occasion = f"{event.kind} {len(request.notes)}" if isinstance(event, approvals.OneToOneQuestioned) else event.kind
    await _write(session, actor, {request.parties.requester}, "S3", event.request_id, occasion)


async def approve(session: AsyncSession, event: approvals.OneToOneApproved, actor: Actor) -> None:
    """S3 to whoever asked, N2 to the family, once for a series: unless the DSL marked that telling them is unsafe."""
    await mail.call_off(session, about=event.request_id, now=session.info["clock"].now())
    request = await approved.request(session, actor.school_id, event.request_id)
    await _write(session, actor, {request.parties.requester}, "S3", event.request_id, "approved")
    await _write(session, actor, await _families(session, actor, [event.child_id]), "N2", event.request_id)


async def news(session: AsyncSession, event: LessonStopped | CoverArranged | LessonMoved | LessonCancelled, actor: Actor) -> None:
    """N5: the families of a lesson that was stopped, moved or cancelled, or that another adult runs."""
    roster = await rosters.roster(session, event.lesson_id)
    told = await _families(session, actor, [pupil.id for pupil in roster.expected])
    occasion = f"{event.kind} {getattr(event, 'person_id', '') or getattr(event, 'starts_at', '')}"
    await _write(session, actor, told, "N5", event.lesson_id, occasion)


async def place_ended(session: AsyncSession, event: ConsentWithdrawn, actor: Actor) -> None:
    """N7: a permission that was taken back ended a place in a lesson that is on. Only whoever took it back is told, once a
    lesson: to anybody else it would say what one parent answered."""
    if event.purpose in TO_JOIN:
        told = await _families(session, actor, [event.child_id]) & {event.respondent_id}
        for lesson in await on_with(session, actor.school_id, event.child_id):
            await _write(session, actor, told, "N7", event.child_id, lesson.id)


Answered = (
    guests.GuestApproved | guests.GuestRefused | LessonApproved | LessonRefused | school.RoleAgreed | school.RoleRefused
    | school.ProfileChanged | school.ProfileChangeRefused
)


async def tell_asker(session: AsyncSession, event: Answered, actor: Actor) -> None:
    """S3: whoever asked for a guest, an exception in a plan, a role or other rules; not who took their own request back."""
    about, asker = await _asked(session, event, actor.school_id)
    if asker not in ("", actor.person_id):
        await _write(session, actor, {asker}, "S3", about, event.kind)


async def _asked(session: AsyncSession, event: Answered, school_id: str) -> tuple[str, str]:
    """(what was asked for, by whom; nobody for a one-to-one's lesson, because its request is what was asked for)"""
    match event:
        case guests.GuestApproved() | guests.GuestRefused():
            return event.pass_id, (await passes.one_pass(session, school_id, event.pass_id)).sponsor_id
        case LessonApproved() | LessonRefused():
            row = await session.get_one(Lesson, event.lesson_id)
            return row.id, "" if row.pupil_id else row.planned_by
        case school.RoleAgreed() | school.RoleRefused():
            return event.request_id, (await session.get_one(RoleRequest, event.request_id)).asked_by
        case _:
            return event.change_id, (await session.get_one(ProfileChange, event.change_id)).asked_by


async def _families(session: AsyncSession, actor: Actor, children: Iterable[str]) -> frozenset[str]:
    """Each adult who may be told of one of these children, none of whom is marked."""
    children = set(children)
    unsafe = await approved.not_to_be_told(session, actor.school_id, children)
    never = await people.families_to_tell(session, actor.school_id, unsafe)
    return await people.families_to_tell(session, actor.school_id, children - unsafe) - never


async def _write(session: AsyncSession, actor: Actor, whom: Iterable[str], text: mail.Text, about: str,
                 occasion: str = "") -> None:
    await mail.queue(session, school_id=actor.school_id, people=whom, text=text, about=about, occasion=occasion,
                     now=session.info["clock"].now(), zone=(await people.school(session, actor.school_id)).zone)
