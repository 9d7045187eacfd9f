"""Reading requests to watch, views, and who is told of them, always within one school."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.ending.rules import is_due
from recordings.grants import rules
from recordings.grants.rules import Grant, State
from recordings.grants.tables import ComplaintSubject, RecordingGrant, ViewNotice
from recordings.queries import RecordingDetails, recording
from recordings.tables import Recording, RecordingParticipant, RecordingView
from service.foundation.errors import NotFound
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.people import queries as people
from service.safeguarding import queries as safeguarding
from service.safeguarding.concerns import queries as concerns
from service.safeguarding.incidents import queries as incidents


@dataclass(frozen=True)
class Listed:
    """A line of a list of requests."""

    grant: Grant
    state: State
    title: str
    person: str
    asked_by: str


@dataclass(frozen=True)
class Told:
    """A view that the headteacher is told of: who watched what, when and why."""

    who: str
    title: str
    class_name: str
    starts_at: datetime
    why: str
    at: datetime
    by_grant: bool
    is_new: bool


async def grant(session: AsyncSession, school_id: str, grant_id: str) -> Grant:
    found = await _grants(session, school_id, RecordingGrant.id == grant_id)
    if not found:
        raise NotFound()
    return found[0]


async def _grants(session: AsyncSession, school_id: str, *wanted: object) -> list[Grant]:
    rows = (await session.exec(
        select(RecordingGrant, Recording.lesson_id).join(Recording, col(Recording.id) == RecordingGrant.recording_id)
        .where(RecordingGrant.school_id == school_id, *wanted)  # type: ignore[arg-type]
        .order_by(col(RecordingGrant.asked_at).desc()).limit(200)
    )).all()
    counted = await session.exec(
        select(RecordingView.grant_id, func.count()).where(col(RecordingView.grant_id).in_([row.id for row, _ in rows]))
        .group_by(RecordingView.grant_id))
    used = dict(counted.all())
    return [
        Grant(row.id, row.recording_id, lesson_id, row.person_id, row.asked_by, row.why, row.words, row.starts_at, row.ends_at,
              row.asked_at, row.allowed, row.decided_by, row.decided_at, row.reason, row.views, used.get(row.id, 0),
              row.expires_at, row.ended_at, row.ended_by)
        for row, lesson_id in rows
    ]


@dataclass(frozen=True)
class Kept:
    """What a lesson's record says of its recording. `is_past`: its last day is over. Whether it was destroyed then or is held is
    not said (docs/decisions: 81). `may_ask`: whether this person may ask to watch some of it."""

    lesson_id: str
    minutes: int
    is_complete: bool
    is_destroyed: bool
    is_past: bool
    kept_until: date
    may_ask: bool


async def kept(session: AsyncSession, actor: Actor, lesson_id: str, now: datetime) -> Kept | None:
    """The recording of a lesson that has ended, for somebody who may read the lesson's record; None where there is none."""
    row = (await session.exec(select(Recording).where(
        Recording.school_id == actor.school_id, Recording.lesson_id == lesson_id))).first()
    if row is None or row.ended_at is None:
        return None
    details = await recording(session, actor.school_id, lesson_id)
    minutes = int((row.ended_at - row.started_at).total_seconds() // 60)
    is_past = is_due(row.kept_until, now, (await people.school(session, actor.school_id)).zone)
    may_ask = rules.may_ask(actor, details.participants) and not details.is_destroyed and not is_past
    return Kept(lesson_id, minutes, row.outcome == "complete", details.is_destroyed, is_past, row.kept_until, may_ask)


async def subjects(session: AsyncSession, details: RecordingDetails) -> frozenset[str]:
    """Whom a complaint, an alert, a concern or an incident about this lesson, or about another of its rooms, is about."""
    rooms = [details.lesson_id, *(lesson_id for lesson_id, _ in details.rooms)]
    return await subjects_of(session, details.school_id, rooms, details.participants)


async def subjects_of(session: AsyncSession, school_id: str, rooms: Sequence[str], participants: Collection[str],
                      ) -> frozenset[str]:
    """The same of a lesson by the ids of its rooms. They never watch it, decide about it, or learn of what is decided."""
    rows = await session.exec(select(ComplaintSubject.person_id).join(
        Recording, col(Recording.id) == ComplaintSubject.recording_id).where(
        ComplaintSubject.school_id == school_id, col(Recording.lesson_id).in_(rooms)))
    alerts = await safeguarding.subjects(session, school_id, rooms)
    told = await concerns.subjects(session, school_id, rooms, participants) | await incidents.subjects(
        session, school_id, rooms, participants)
    return frozenset(rows.all()) | alerts | told


async def lessons_about(session: AsyncSession, school_id: str, person_id: str) -> frozenset[str]:
    """The same the other way round: the lessons, each by one of its rooms, of which this person is a subject. Those that they
    were in are not all among them."""
    rows = await session.exec(select(Recording.lesson_id).join(
        ComplaintSubject, col(ComplaintSubject.recording_id) == Recording.id).where(
        ComplaintSubject.school_id == school_id, ComplaintSubject.person_id == person_id))
    return frozenset(rows.all()).union(*[await each.lessons_about(session, school_id, person_id)
                                         for each in (safeguarding, concerns, incidents)])


async def listed(session: AsyncSession, actor: Actor, now: datetime) -> list[Listed]:
    """Requests that this person made, that are for them, or that they may decide about; whose lesson they were in only their
    own. A subject of a complaint finds nobody else's."""
    own = or_(col(RecordingGrant.asked_by) == actor.person_id, col(RecordingGrant.person_id) == actor.person_id)
    everything = actor.is_any(rules.DECIDERS)
    found = await _grants(session, actor.school_id, *(() if everything else (own,)))
    kept = [one for one in found if actor.person_id in (one.asked_by, one.person_id) or await _is_theirs(session, actor, one)]
    names = await people.people(session, actor.school_id, {p for one in kept for p in (one.person_id, one.asked_by)})
    titles = await _titles(session, {one.recording_id for one in kept})
    return [Listed(one, one.state(now), titles[one.recording_id], names[one.person_id].name, names[one.asked_by].name)
            for one in kept]


async def deciders(session: AsyncSession, school_id: str, grant_id: str) -> frozenset[str]:
    """Who is asked to decide: of the safeguarding team whoever was not in the lesson, nor is asked for, nor asked; where that is
    nobody, the headteacher; then the chair, where the headteacher asked."""
    found = await grant(session, school_id, grant_id)
    details = await recording(session, school_id, found.lesson_id)
    away = details.participants | await subjects(session, details) | {found.person_id, found.asked_by}
    asker = (await people.roles(session, [found.asked_by])).get(found.asked_by, frozenset())
    for circle in rules.asked_in_turn(asker):
        if called := {one.id for one in await people.holders(session, school_id, circle)} - away:
            return frozenset(called)
    return frozenset()


async def reminded(session: AsyncSession, school_id: str) -> frozenset[str]:
    """Everybody for whose decision a request to watch waits, as long as its recording is there."""
    found: set[str] = set()
    for one in await _grants(session, school_id, col(RecordingGrant.allowed).is_(None)):
        try:
            found |= await deciders(session, school_id, one.id)
        except NotFound:  # its recording is destroyed: there is nothing to decide
            continue
    return frozenset(found)


async def _is_theirs(session: AsyncSession, actor: Actor, one: Grant) -> bool:
    details = await recording(session, actor.school_id, one.lesson_id)
    asker = (await people.roles(session, [one.asked_by])).get(one.asked_by, frozenset())
    mine = actor.is_any(SAFEGUARDING | {Role.HEADTEACHER}) or Role.HEADTEACHER in asker
    return mine and actor.person_id not in details.participants | await subjects(session, details)


async def _titles(session: AsyncSession, ids: Iterable[str]) -> dict[str, str]:
    rows = (await session.exec(select(Recording).where(col(Recording.id).in_(list(ids))))).all()
    return {row.id: f"{row.title}, {row.class_name}" for row in rows}


Notice = tuple[ViewNotice, RecordingView, Recording]
PASSED_ON_FOR = timedelta(days=30)
"""For how long after a view its notice goes to the chair as well when it turns out to be about who was told."""


async def told(session: AsyncSession, actor: Actor, limit: int = 200) -> list[Told]:
    """The views that this person is told of, the newest first. What was told stays, also once it is about them."""
    read = await _notices(session, actor.school_id, ViewNotice.person_id == actor.person_id,
                          col(ViewNotice.seen_at).is_not(None), limit=limit)
    rows = sorted([*read, *await unread(session, actor)], key=lambda row: row[1].granted_at, reverse=True)[:limit]
    names = await people.people(session, actor.school_id, {view.person_id for _, view, _ in rows})
    return [
        Told(names[view.person_id].name, whole.title, whole.class_name, whole.starts_at, view.why, view.granted_at,
             bool(view.grant_id), notice.person_id != actor.person_id or notice.seen_at is None)
        for notice, view, whole in rows
    ]


async def unread(session: AsyncSession, actor: Actor) -> list[Notice]:
    """The notices that wait for this person, the newest first; for a chair also what others were told that is about them by now.
    It stays theirs as well: that it went would tell them that somebody speaks of them (policy: IN4)."""
    mine = await _notices(session, actor.school_id, col(ViewNotice.seen_at).is_(None), ViewNotice.person_id == actor.person_id)
    if Role.CHAIR not in actor.roles:
        return mine
    return sorted([*mine, *await _passed_on(session, actor)], key=lambda row: row[1].granted_at, reverse=True)


async def _passed_on(session: AsyncSession, actor: Actor) -> list[Notice]:
    had = select(ViewNotice.view_id).where(ViewNotice.person_id == actor.person_id)
    since = session.info["clock"].now() - PASSED_ON_FOR
    rows = await _notices(session, actor.school_id, ViewNotice.person_id != actor.person_id,
                          col(ViewNotice.view_id).not_in(had), RecordingView.granted_at > since)
    about = await _subjects_of_all(session, actor, rows)
    passed = {row[1].id: row for row in rows if row[0].person_id in about[row[2].id]
              and actor.person_id not in about[row[2].id] | {row[1].person_id}}
    return list(passed.values())


async def _notices(session: AsyncSession, school_id: str, *wanted: object, limit: int | None = None) -> list[Notice]:
    return list((await session.exec(
        select(ViewNotice, RecordingView, Recording)
        .join(RecordingView, col(RecordingView.id) == ViewNotice.view_id)
        .join(Recording, col(Recording.id) == RecordingView.recording_id)
        .where(ViewNotice.school_id == school_id, *wanted)  # type: ignore[arg-type]
        .order_by(col(RecordingView.granted_at).desc()).limit(limit)
    )).all())


async def _subjects_of_all(session: AsyncSession, actor: Actor, rows: Sequence[Notice]) -> dict[str, frozenset[str]]:
    """`subjects` by recording; asked of each only where any of them is about the actor or a reader, which is rare."""
    if not rows:
        return {}
    school_id, found = actor.school_id, {whole.id: whole for _, _, whole in rows}
    readers = {notice.person_id for notice, _, _ in rows} | {actor.person_id}
    lessons = [whole.main_id or whole.lesson_id for whole in found.values()]
    rooms = (await session.exec(select(Recording.id, Recording.lesson_id).where(Recording.school_id == school_id, or_(
        col(Recording.lesson_id).in_(lessons), col(Recording.main_id).in_(lessons))))).all()
    participants = (await session.exec(select(RecordingParticipant.person_id).where(  # of whom nobody else can be found
        col(RecordingParticipant.recording_id).in_([room for room, _ in rooms]),
        col(RecordingParticipant.person_id).in_(readers)).distinct())).all()
    if not readers & await subjects_of(session, school_id, [lesson_id for _, lesson_id in rooms], participants):
        return dict.fromkeys(found, frozenset())
    return {each: await subjects(session, await recording(session, school_id, whole.lesson_id)) for each, whole in found.items()}
