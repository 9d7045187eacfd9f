"""Which views of their child's recordings a parent is told of, and which are still hidden, for the safeguarding team."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.ending import queries as endings
from recordings.ending.tables import HoldStep
from recordings.grants.tables import RecordingGrant
from recordings.practice.tables import PracticeView
from recordings.tables import Recording, RecordingParticipant, RecordingView
from recordings.told import rules
from recordings.told.tables import ViewRelease
from service.foundation.events import Actor, Role
from service.people import family
from service.people import queries as people
from service.safeguarding.approvals import queries as approvals
from service.safeguarding.concerns.tables import Concern
from service.safeguarding.incidents.tables import Incident


@dataclass(frozen=True)
class ToldView:
    """One view as families read it: by a role, never by a name. `minutes`: how many somebody was allowed to see."""

    id: str
    at: datetime
    by_lead: bool
    minutes: int | None
    why: str


@dataclass(frozen=True)
class HiddenView:
    """A view that families are not told of yet, for who may release it."""

    id: str
    lesson_id: str
    title: str
    starts_at: datetime
    who: str
    why: str
    at: datetime


async def of_child(session: AsyncSession, actor: Actor, child_id: str, after: tuple[datetime, str] | None,
                   limit: int) -> list[ToldView]:
    """The newest first, one more than `limit`, and none of a one-to-one of which the family is not told. Raises NotFound for a
    child of whom this adult must not be told (CM1)."""
    await family.child(session, actor, child_id)
    mine = select(RecordingParticipant.recording_id).where(RecordingParticipant.person_id == child_id)
    untold = await approvals.untold_lessons(session, actor.school_id, child_id)
    wanted: list[Any] = [col(RecordingView.recording_id).in_(mine), col(Recording.lesson_id).not_in(untold)]
    if after is not None:
        wanted.append(or_(col(RecordingView.granted_at) < after[0], (col(RecordingView.granted_at) == after[0]) & (
            col(RecordingView.id) < after[1])))
    told = [ToldView(view.id, view.granted_at, not view.grant_id, _minutes(granted), view.why)
            for view, _, granted, judged in await _views(session, actor.school_id, *wanted) if rules.is_told(judged)]
    told += await _for_practice(session, child_id, after)
    return sorted(told, key=lambda one: (one.at, one.id), reverse=True)[:limit + 1]


async def _for_practice(session: AsyncSession, child_id: str, after: tuple[datetime, str] | None) -> list[ToldView]:
    """Views of recordings for teaching practice: a family allowed each of them, so each is told."""
    mine = select(RecordingParticipant.recording_id).where(RecordingParticipant.person_id == child_id)
    rows = (await session.exec(select(PracticeView).where(col(PracticeView.plan_id).in_(mine)))).all()
    return [ToldView(row.id, row.granted_at, False, None, rules.PRACTICE) for row in rows
            if after is None or (row.granted_at, row.id) < after]


def _minutes(granted: RecordingGrant | None) -> int | None:
    return round((granted.ends_at - granted.starts_at).total_seconds() / 60) if granted is not None else None


async def told_between(session: AsyncSession, school_id: str, since: datetime, until: datetime) -> list[
        tuple[str, str, datetime]]:
    """(recording, child, when) for each child in a recording and each view of it that families were first told of then."""
    views = await _views(session, school_id, col(RecordingView.granted_at) < until, or_(
        col(RecordingView.granted_at) >= since, col(RecordingView.id).in_(
            select(ViewRelease.view_id).where(ViewRelease.school_id == school_id, ViewRelease.released_at >= since))))
    at = {view.id: view.granted_at for view, _, _, judged in views if rules.is_told(judged)}
    at |= {row.view_id: row.released_at for row in (await session.exec(select(ViewRelease).where(
        col(ViewRelease.view_id).in_(list(at))))).all()}
    children = (await session.exec(select(RecordingParticipant.recording_id, RecordingParticipant.person_id).where(
        col(RecordingParticipant.recording_id).in_({view.recording_id for view, *_ in views}),
        RecordingParticipant.role == Role.PUPIL))).all()
    return [(recording, child, at[view.id]) for view, *_ in views if since <= at.get(view.id, until) < until
            for recording, child in children if recording == view.recording_id]


async def hidden(session: AsyncSession, actor: Actor, limit: int = 100) -> list[HiddenView]:
    """What families are not told of, the newest first, as far as the reader may decide about it."""
    found = (await _for(session, actor))[:limit]
    names = await people.people(session, actor.school_id, {view.person_id for view, _ in found})
    return [HiddenView(view.id, recording.lesson_id, recording.title, recording.starts_at,
                       names[view.person_id].full_name if view.person_id in names else "Somebody who has left", view.why,
                       view.granted_at) for view, recording in found]


async def one_hidden(session: AsyncSession, actor: Actor, view_id: str) -> tuple[RecordingView, Recording] | None:
    """One of them; None for any other."""
    return next(iter(await _for(session, actor, RecordingView.id == view_id)), None)


async def _for(session: AsyncSession, actor: Actor, *wanted: Any) -> list[tuple[RecordingView, Recording]]:
    """Hidden views that are for this person to judge: not their own, and none of a lesson that shows them or that a concern says
    is about them, who would learn from it that somebody looks (policy: IN4; docs/decisions: 140)."""
    found = [(view, recording) for view, recording, _, judged in await _views(session, actor.school_id, *wanted)
             if not rules.is_told(judged) and view.person_id != actor.person_id]
    recordings = {recording.id: recording for _, recording in found}
    closed = {each for each, recording in recordings.items() if await _concerns(session, actor, recording)}
    return [(view, recording) for view, recording in found if recording.id not in closed]


async def _concerns(session: AsyncSession, actor: Actor, recording: Recording) -> bool:
    involved = await endings.involved(session, recording)
    return actor.person_id in involved.away


async def _views(session: AsyncSession, school_id: str, *wanted: Any) -> list[
        tuple[RecordingView, Recording, RecordingGrant | None, rules.View]]:
    """Views with what decides about them, always the same three looks."""
    rows = (await session.exec(
        select(RecordingView, Recording, RecordingGrant).join(Recording, col(Recording.id) == RecordingView.recording_id)
        .join(RecordingGrant, col(RecordingGrant.id) == RecordingView.grant_id, isouter=True)
        .where(RecordingView.school_id == school_id, *wanted)
        .order_by(col(RecordingView.granted_at).desc(), col(RecordingView.id).desc()))).all()
    held = set((await session.exec(select(HoldStep.recording_id).where(HoldStep.school_id == school_id).distinct())).all())
    concerned = set((await session.exec(select(Concern.lesson_id).where(
        Concern.school_id == school_id, Concern.lesson_id != "").distinct())).all())
    concerned |= set((await session.exec(select(Incident.lesson_id).where(
        Incident.school_id == school_id, col(Incident.about_staff), Incident.lesson_id != "").distinct())).all())
    released = set((await session.exec(select(ViewRelease.view_id).where(ViewRelease.school_id == school_id))).all())
    return [
        (view, recording, granted, rules.View(
            view.why, view.concern, recording.id in held, bool({recording.lesson_id, recording.main_id} & concerned),
            view.id in released))
        for view, recording, granted in rows
    ]
