"""Reading about the end of recordings: SQL in, frozen dataclasses out, always within one school."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression
from sqlalchemy.orm import aliased
from sqlmodel import case, col, func, not_, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.ending import rules
from recordings.ending.rules import Involved, Item, Standing, Step, Taken
from recordings.ending.tables import Destruction, HoldStep, HousekeepingReview, RecoveryRecipient
from recordings.grants import queries as granted
from recordings.rules import Kind
from recordings.tables import Recording, RecordingKey, RecordingPart, RecordingParticipant
from service.foundation.errors import NotFound
from service.foundation.events import STAFF, Actor, Role
from service.people import queries as people
from service.people.tables import Person, PersonRole, SignIn
from service.safeguarding.approvals.tables import Approval

A_PAGE = 100


@dataclass(frozen=True)
class Ending:
    """One recording on its way to its end, as somebody may see it. `kept` is None to people outside the circle."""

    recording_id: str
    lesson_id: str
    title: str
    class_name: str
    starts_at: datetime
    kind: str
    kept_until: date
    is_late: bool
    kept: Standing | None
    is_to_review: bool
    begun_at: datetime | None
    destroyed_at: datetime | None
    has_certificate: bool


@dataclass(frozen=True)
class Endings:
    """`first`: what is past its day and not destroyed, or kept; all of it, so that no number of others hides it. `due` and
    `destroyed`: one page of each, and whether there is a next one."""

    first: list[Ending]
    due: list[Ending]
    destroyed: list[Ending]
    has_more_due: bool
    has_more_destroyed: bool


@dataclass(frozen=True)
class StepView:
    """A step as its page shows it."""

    step: Step
    words: str
    reference: str
    review_on: date | None
    by: str
    at: datetime


@dataclass(frozen=True)
class Hold:
    """A recording, who is in it, how it is kept, and every step that was taken."""

    recording: Recording
    involved: Involved
    standing: Standing
    steps: tuple[StepView, ...]
    destruction: Destruction | None


async def hold(session: AsyncSession, actor: Actor, lesson_id: str, now: datetime, *, lock: bool = False) -> Hold:
    """How one recording is kept, for whoever may know; to others it does not exist. `lock`: nobody else decides meanwhile."""
    asked = select(Recording).where(Recording.school_id == actor.school_id, Recording.lesson_id == lesson_id)
    row = (await session.exec(asked.with_for_update() if lock else asked)).first()
    if row is None or row.kind == Kind.TEACHING_PRACTICE:  # that ends when one family says so, and is no evidence
        raise NotFound()
    found = await involved(session, row)
    rules.check_in_circle(actor, found)
    mine = await _steps(session, row.id)
    views = tuple(StepView(Step(each.step), each.words, each.reference, each.review_on, each.taken_by, each.taken_at)
                  for each in mine)
    return Hold(row, found, rules.standing([_taken(each) for each in mine], now), views,
                await session.get(Destruction, row.id))


async def involved(session: AsyncSession, row: Recording) -> Involved:
    """Everybody who was in a lesson or in another room of it, whom it is about, and who the headteachers are."""
    main_id = row.main_id or row.lesson_id
    whole = (Recording.school_id == row.school_id, or_(col(Recording.lesson_id) == main_id, col(Recording.main_id) == main_id))
    shown = (await session.exec(select(RecordingParticipant.person_id).join(
        Recording, col(Recording.id) == RecordingParticipant.recording_id).where(*whole))).all()
    rooms = (await session.exec(select(Recording.lesson_id).where(*whole))).all()
    heads = await people.holders(session, row.school_id, frozenset({Role.HEADTEACHER}))
    about = await granted.subjects_of(session, row.school_id, rooms, shown)
    return Involved(frozenset(shown), frozenset(head.id for head in heads), about)


async def _steps(session: AsyncSession, recording_id: str) -> Sequence[HoldStep]:
    return (await session.exec(
        select(HoldStep).where(HoldStep.recording_id == recording_id).order_by(col(HoldStep.number)))).all()


def _taken(row: HoldStep) -> Taken:
    return Taken(Step(row.step), row.taken_by, row.taken_at, row.words, row.review_on, row.hold_id)


async def steps_of(session: AsyncSession, school_id: str) -> dict[str, list[Taken]]:
    """The steps of every recording of a school about which there are any."""
    rows = await session.exec(select(HoldStep).where(HoldStep.school_id == school_id).order_by(col(HoldStep.number)))
    found: dict[str, list[Taken]] = {}
    for row in rows.all():
        found.setdefault(row.recording_id, []).append(_taken(row))
    return found


async def steps_of_one(session: AsyncSession, recording_id: str) -> list[Taken]:
    return [_taken(row) for row in await _steps(session, recording_id)]


# -- destroyed and due --------------------------------------------------------------------------------------------------


async def endings(session: AsyncSession, actor: Actor, now: datetime, zone: str, *, due: int = 1, destroyed: int = 1) -> Endings:
    """What is late, kept, due and destroyed, as `actor` may see it. `due`, `destroyed`: which page of each."""
    today, away = rules.today(now, zone), await _away(session, actor)
    steps = await steps_of(session, actor.school_id)
    in_force = [each for each, taken in steps.items() if rules.in_force(taken, now)] if actor.is_any(rules.READERS) else []
    is_over = col(Recording.kept_until) < today
    is_first, is_gone = or_(is_over, col(Recording.id).in_(in_force) & not_(away)), col(Destruction.destroyed_at).is_not(None)

    async def rows(*wanted: ColumnElement[bool], by: Sequence[SQLColumnExpression[Any]], page: int = 0) -> list[Ending]:
        found = select(Recording, Destruction, away).join(
            Destruction, col(Destruction.recording_id) == Recording.id, isouter=True).where(
            Recording.school_id == actor.school_id, _listed(away, today), *wanted).order_by(*by, col(Recording.id))
        shown = found.offset((page - 1) * A_PAGE).limit(A_PAGE + 1) if page else found
        return [_ending(actor, row, gone, steps.get(row.id, []), is_away, now, zone)
                for row, gone, is_away in (await session.exec(shown)).all()]

    by_day = col(Recording.kept_until), col(Recording.starts_at)
    first = await rows(not_(is_gone), is_first, by=by_day)
    next_due = await rows(not_(is_gone), not_(is_first), by=by_day, page=due)
    gone = await rows(is_gone, by=(col(Destruction.destroyed_at).desc(),), page=destroyed)
    return Endings(sorted(first, key=lambda each: not each.is_late), next_due[:A_PAGE], gone[:A_PAGE], len(next_due) > A_PAGE,
                   len(gone) > A_PAGE)


async def _away(session: AsyncSession, actor: Actor) -> ColumnElement[bool]:
    """Whether a recording is of a lesson that this person was in, or that something says is about them: as `Involved.away`, for
    every row of a list at once."""
    room = aliased(Recording)
    rooms = select(_main(room)).where(room.school_id == actor.school_id)
    shown = rooms.join(RecordingParticipant, col(RecordingParticipant.recording_id) == room.id).where(
        RecordingParticipant.person_id == actor.person_id)
    named = await granted.lessons_about(session, actor.school_id, actor.person_id)
    return or_(_main(Recording).in_(shown), _main(Recording).in_(rooms.where(col(room.lesson_id).in_(named))))


def _main(of: type[Recording]) -> ColumnElement[str]:
    """The lesson that a room is of."""
    return case((col(of.main_id) == "", col(of.lesson_id)), else_=col(of.main_id))


def _listed(away: ColumnElement[bool], today: date) -> ColumnElement[bool]:
    """Whether somebody may still see a recording in a list. Who was in a lesson, or whom it is about, sees it until its day, and
    then not at all, held or not: so nobody can tell from a list whether a lesson of theirs is held (policy: IN4)."""
    return or_(col(Recording.kept_until) >= today, not_(away))


def _ending(actor: Actor, row: Recording, gone: Destruction | None, steps: list[Taken], is_away: bool, now: datetime,
            zone: str) -> Ending:
    knows = actor.is_any(rules.READERS) and not is_away
    kept, done = rules.standing(steps, now), gone is not None and gone.destroyed_at is not None
    return Ending(
        row.id, row.lesson_id, row.title, row.class_name, row.starts_at, row.kind, row.kept_until,
        not done and not kept.in_force and rules.is_late(row.kept_until, now, zone),
        kept if knows and kept.in_force else None, knows and rules.is_to_review(kept, rules.today(now, zone)),
        gone.begun_at if gone else None, gone.destroyed_at if gone else None, bool(gone and gone.certificate),
    )


async def late(session: AsyncSession, school_id: str, now: datetime, zone: str) -> int:
    """How many recordings should have been destroyed by now: neither held nor gone."""
    rows = (await session.exec(
        select(Recording).join(Destruction, col(Destruction.recording_id) == Recording.id, isouter=True)
        .where(Recording.school_id == school_id, Recording.kept_until < rules.today(now, zone),
               col(Destruction.destroyed_at).is_(None))
    )).all()
    steps = await steps_of(session, school_id)
    return sum(rules.is_late(row.kept_until, now, zone) and not rules.in_force(steps.get(row.id, []), now) for row in rows)


@dataclass(frozen=True)
class Waiting:
    """A decision that waits for a second person, or (`Step.REVIEWED`) a hold that somebody has to look at again."""

    lesson_id: str
    title: str
    starts_at: datetime
    step: Step


async def waiting(session: AsyncSession, actor: Actor, now: datetime) -> list[Waiting]:
    """What waits for this person: their own second word, or that the team looks again."""
    today, found = rules.today(now, (await people.school(session, actor.school_id)).zone), []
    for recording_id, steps in (await steps_of(session, actor.school_id)).items():
        stands = rules.standing(steps, now)
        if stands.waits_for is None and not rules.is_to_review(stands, today):
            continue
        row = await session.get_one(Recording, recording_id)
        asker = await people.actor(session, stands.asked_by)
        step = rules.waits_for(actor, stands, asker.roles if asker else frozenset(), await involved(session, row), today)
        if step is not None:
            found.append(Waiting(row.lesson_id, row.title, row.starts_at, step))
    return sorted(found, key=lambda each: each.starts_at)


@dataclass(frozen=True)
class ToReview:
    """A hold whose day of review has come, and who may review it."""

    recording_id: str
    review_on: date
    people: frozenset[str]


async def to_review(session: AsyncSession, school_id: str, now: datetime, today: date) -> list[ToReview]:
    team, found = {one.id for one in await people.holders(session, school_id, rules.CIRCLE)}, []
    for recording_id, steps in (await steps_of(session, school_id)).items():
        stands = rules.standing(steps, now)
        if stands.review_on is not None and rules.is_to_review(stands, today):
            away = (await involved(session, await session.get_one(Recording, recording_id))).away
            found.append(ToReview(recording_id, stands.review_on, frozenset(team - away)))
    return found


async def certificate(session: AsyncSession, actor: Actor, lesson_id: str, now: datetime) -> str:
    """The signed text that proves a destruction, for whoever sees the recording in the list: one that is missing would tell the
    others that it is held (policy: IN4)."""
    today = rules.today(now, (await people.school(session, actor.school_id)).zone)
    text = (await session.exec(
        select(Destruction.certificate).join(Recording, col(Destruction.recording_id) == Recording.id)
        .where(Recording.school_id == actor.school_id, Recording.lesson_id == lesson_id,
               _listed(await _away(session, actor), today))
    )).first()
    if not text:
        raise NotFound()
    return text


# -- the yearly list -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """One part of the yearly list: how much there is to look at, and who looked when. `kinds`: what was destroyed, by kind."""

    item: Item
    count: int | None
    kinds: dict[str, int]
    done_by: str
    done_at: datetime | None


async def tasks(session: AsyncSession, actor: Actor, now: datetime, zone: str) -> list[Task]:
    school_id = actor.school_id
    year = rules.school_year(rules.today(now, zone))
    done = {row.item: row for row in (await session.exec(
        select(HousekeepingReview).where(HousekeepingReview.school_id == school_id, HousekeepingReview.year == year))).all()}
    counted, kinds = await counts(session, actor, now), await destroyed_by_kind(session, actor, now, zone)
    return [Task(item, counted[item], kinds if item is Item.DESTROYED else {},
                 done[item].done_by if item in done else "", done[item].done_at if item in done else None) for item in Item]


async def destroyed_by_kind(session: AsyncSession, actor: Actor, now: datetime, zone: str) -> dict[str, int]:
    """How many recordings of each kind were destroyed since somebody last looked in an earlier school year; all, if nobody did.
    What has left the reader's list is in no number that they read either."""
    today = rules.today(now, zone)
    since = (await session.exec(select(func.max(HousekeepingReview.done_at)).where(
        HousekeepingReview.school_id == actor.school_id, HousekeepingReview.item == Item.DESTROYED,
        HousekeepingReview.year < rules.school_year(today)))).one()
    rows = await session.exec(
        select(Recording.kind, func.count()).join(Destruction, col(Destruction.recording_id) == Recording.id)
        .where(Recording.school_id == actor.school_id, col(Destruction.destroyed_at).is_not(None),
               _listed(await _away(session, actor), today), *([col(Destruction.destroyed_at) > since] if since else []))
        .group_by(Recording.kind))
    return dict(rows.all())


async def counts(session: AsyncSession, actor: Actor, now: datetime) -> dict[Item, int | None]:
    """How much of each part there is. Links are kept a storey above; their own page counts them. A hold of a recording that shows
    the reader, or that is about them, is in no number that they read (policy: IN4)."""
    school_id = actor.school_id
    kept = [each for each, steps in (await steps_of(session, school_id)).items() if rules.in_force(steps, now)]
    holds = (await session.exec(select(func.count()).select_from(Recording).where(
        col(Recording.id).in_(kept), not_(await _away(session, actor))))).one()
    zone = (await people.school(session, school_id)).zone
    destroyed = sum((await destroyed_by_kind(session, actor, now, zone)).values())
    year_ago = now.replace(year=now.year - 1) if (now.month, now.day) != (2, 29) else now.replace(year=now.year - 1, day=28)
    recent = select(SignIn.person_id).where(SignIn.school_id == school_id, SignIn.started_at > year_ago)
    old = (await session.exec(
        select(func.count(func.distinct(Person.id))).join(PersonRole, col(PersonRole.person_id) == Person.id)
        .where(Person.school_id == school_id, col(Person.left_on).is_(None), col(PersonRole.role).in_(list(STAFF)),
               col(Person.id).not_in(recent))
    )).one()
    used = select(Recording.lesson_id).where(Recording.school_id == school_id)
    unused = (await session.exec(
        select(func.count()).select_from(Approval).where(
            Approval.school_id == school_id, Approval.ends_at < now, Approval.ends_at > year_ago,
            col(Approval.lesson_id).not_in(used))
    )).one()
    return {Item.HOLDS: holds, Item.DESTROYED: destroyed, Item.ROLES: old, Item.APPROVALS: unused, Item.LINKS: None}


# -- for the job ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Begun:
    """A recording whose destruction has begun, with what its certificate will say."""

    recording: Recording
    destruction: Destruction
    parts: tuple[tuple[RecordingPart, RecordingKey], ...]


async def schools(session: AsyncSession) -> list[str]:
    return list((await session.exec(select(Recording.school_id).distinct())).all())


async def begun(session: AsyncSession, school_id: str) -> list[Begun]:
    """Destructions of a school that are not finished."""
    rows = (await session.exec(
        select(Recording, Destruction).join(Destruction, col(Destruction.recording_id) == Recording.id)
        .where(Destruction.school_id == school_id, col(Destruction.destroyed_at).is_(None))
    )).all()
    found = []
    for row, gone in rows:
        parts = (await session.exec(
            select(RecordingPart, RecordingKey).join(RecordingKey, col(RecordingKey.part_id) == RecordingPart.id)
            .where(RecordingPart.recording_id == row.id).order_by(col(RecordingPart.part))
        )).all()
        found.append(Begun(row, gone, tuple((part, key) for part, key in parts)))
    return found


async def begun_of(session: AsyncSession, recording_ids: Iterable[str]) -> set[str]:
    """Which of these are destroyed, or about to be."""
    found = await session.exec(select(Destruction.recording_id).where(col(Destruction.recording_id).in_(recording_ids)))
    return set(found.all())


async def undestroyed(session: AsyncSession, school_id: str) -> dict[str, date]:
    """Every recording of a school whose destruction has not begun, with its last day."""
    rows = (await session.exec(
        select(col(Recording.id), col(Recording.kept_until))
        .join(Destruction, col(Destruction.recording_id) == Recording.id, isouter=True)
        .where(Recording.school_id == school_id, col(Destruction.recording_id).is_(None))
    )).all()
    return dict(rows)


# -- recovery keys --------------------------------------------------------------------------------------------------------


async def recipients(session: AsyncSession, school_id: str) -> list[RecoveryRecipient]:
    return list((await session.exec(
        select(RecoveryRecipient).where(RecoveryRecipient.school_id == school_id, col(RecoveryRecipient.ended_at).is_(None))
        .order_by(col(RecoveryRecipient.asked_at))
    )).all())


async def recovery_keys(session: AsyncSession, school_id: str) -> tuple[str, ...]:
    """The public keys to which a new record is encrypted: those that two people agreed."""
    return tuple(row.public_key for row in await recipients(session, school_id) if row.agreed)
