"""Reading requests, approvals and marks: SQL in, frozen dataclasses out, within one school."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.audit import AuditLeaf
from service.foundation.errors import NotFound
from service.foundation.events import Actor, Role
from service.people import queries as people
from service.people.events import RoleAsked, RolesChanged
from service.people.tables import Person
from service.safeguarding.approvals import rules
from service.safeguarding.approvals.rules import Asked, AskedLesson, Parties, Status
from service.safeguarding.approvals.tables import Approval, ApprovalNote, ApprovalRequest, RequestedLesson, SafeguardingMark


@dataclass(frozen=True)
class Given:
    """An approval as it was given, with the roles its approver holds now, and everything else that was written down."""

    approval: rules.Approval
    approver_roles: frozenset[Role]
    request_id: str
    reason: str
    approved_at: datetime
    expires_on: date | None
    revoked_by: str
    revoked_because: str


@dataclass(frozen=True)
class NoteView:
    kind: str
    words: str
    by: str
    at: datetime


@dataclass(frozen=True)
class Request:
    """A request with its state; `asked` is what a decision is about."""

    asked: Asked
    parties: Parties
    status: Status
    requested_at: datetime
    decided_by: str
    decided_at: datetime | None
    reason: str
    notes: tuple[NoteView, ...] = ()

    @property
    def id(self) -> str:
        return self.asked.request_id

    @property
    def first(self) -> datetime:
        return self.asked.lessons[0].starts_at

    @property
    def decide_by(self) -> datetime:
        """When it is too late: the first lesson begins; what is asked for now, when the lesson ends."""
        return self.asked.lessons[-1].ends_at if self.asked.kind == rules.Kind.NOW else self.first

    def is_open(self, now: datetime) -> bool:
        return self.status in rules.OPEN and now < self.decide_by

    def is_late(self, now: datetime) -> bool:
        """“Time has passed. It was not approved.”"""
        return self.status in rules.OPEN and now >= self.decide_by


async def roles_of(session: AsyncSession, school_id: str, ids: Iterable[str]) -> dict[str, frozenset[Role]]:
    """The roles that each of `ids` holds now; those who left, or are of another school, hold none."""
    wanted = list(ids)
    today = session.info["clock"].now().date()
    here = (await session.exec(select(Person.id).where(
        Person.school_id == school_id, col(Person.id).in_(wanted), col(Person.left_on).is_(None) | (col(Person.left_on) > today),
    ))).all()
    held = await people.roles(session, here)
    return {person: held.get(person, frozenset()) for person in wanted}


async def parties(session: AsyncSession, school_id: str, row: ApprovalRequest) -> Parties:
    held = await roles_of(session, school_id, {row.adult_id, row.requested_by})
    return Parties(row.adult_id, row.child_id, row.requested_by, rules.involves_headteacher(*held.values()))


# Approvals


async def of_lessons(session: AsyncSession, school_id: str, lesson_ids: Collection[str]) -> list[Given]:
    """Every approval ever given for these lessons, standing or not."""
    rows = await session.exec(select(Approval).where(
        Approval.school_id == school_id, col(Approval.lesson_id).in_(lesson_ids)
    ).order_by(col(Approval.starts_at)))
    return await _given(session, school_id, rows.all())


async def all_given(session: AsyncSession, school_id: str, *, ending_after: datetime | None = None) -> list[Given]:
    """Every approval of a school, the latest first; with `ending_after`, those whose time is not over then."""
    query = select(Approval).where(Approval.school_id == school_id)
    if ending_after is not None:
        query = query.where(Approval.ends_at > ending_after)
    return await _given(session, school_id, (await session.exec(query.order_by(col(Approval.starts_at).desc()))).all())


async def one_given(session: AsyncSession, school_id: str, approval_id: str) -> Given:
    row = await session.get(Approval, approval_id)
    if row is None or row.school_id != school_id:
        raise NotFound()
    return (await _given(session, school_id, [row]))[0]


async def _given(session: AsyncSession, school_id: str, rows: Iterable[Approval]) -> list[Given]:
    found = list(rows)
    if not found:
        return []
    held = await roles_of(session, school_id, {p for row in found for p in (row.adult_id, row.requested_by, row.approved_by)})
    return [
        Given(
            rules.Approval(
                row.id, row.lesson_id,
                Parties(row.adult_id, row.child_id, row.requested_by,
                        rules.involves_headteacher(held[row.adult_id], held[row.requested_by])),
                row.approved_by, row.starts_at, row.ends_at, row.camera_on, row.conditions, row.revoked_at,
            ),
            held[row.approved_by], row.request_id, row.reason, row.approved_at, row.expires_on, row.revoked_by,
            row.revoked_because,
        )
        for row in found
    ]


async def gave_roles(session: AsyncSession, to: Actor, by: Collection[str], *, since: datetime) -> bool:
    """Whether one of these people asked for somebody's role, or changed their roles, since a moment, as the audit has it."""
    rows = await session.exec(select(AuditLeaf.at).where(
        AuditLeaf.school_id == to.school_id, col(AuditLeaf.kind).in_((RolesChanged.__name__, RoleAsked.__name__)),
        AuditLeaf.subject_id == to.person_id,
        col(AuditLeaf.actor_id).in_(by),
    ))
    return any(datetime.fromisoformat(at) > since for at in rows.all())


# Requests


async def request(session: AsyncSession, school_id: str, request_id: str, versions: Mapping[str, int] | None = None) -> Request:
    """One request. `versions`: of its lessons as they stand now, which a decision is bound to."""
    row = await session.get(ApprovalRequest, request_id)
    if row is None or row.school_id != school_id:
        raise NotFound()
    return (await _requests(session, school_id, [row], versions or {}))[0]


async def open_requests(session: AsyncSession, school_id: str) -> list[Request]:
    """Every request that nobody has decided, the earliest lesson first; some may be too late."""
    rows = (await session.exec(select(ApprovalRequest).where(
        ApprovalRequest.school_id == school_id, col(ApprovalRequest.status).in_(rules.OPEN)
    ))).all()
    return sorted(await _requests(session, school_id, rows, {}), key=lambda one: one.decide_by)


async def requests_by(session: AsyncSession, actor: Actor, since: datetime) -> list[Request]:
    """What this person asked for, or would teach, since a moment; the newest first."""
    rows = (await session.exec(select(ApprovalRequest).where(
        ApprovalRequest.school_id == actor.school_id, ApprovalRequest.requested_at >= since,
        (col(ApprovalRequest.requested_by) == actor.person_id) | (col(ApprovalRequest.adult_id) == actor.person_id),
    ).order_by(col(ApprovalRequest.requested_at).desc()))).all()
    return await _requests(session, actor.school_id, rows, {})


async def whys(session: AsyncSession, request_ids: Collection[str]) -> dict[str, str]:
    """Why each of these requests was made, in the words of whoever asked."""
    rows = await session.exec(select(ApprovalRequest.id, ApprovalRequest.why).where(col(ApprovalRequest.id).in_(request_ids)))
    return dict(rows.all())


async def _requests(
    session: AsyncSession, school_id: str, rows: Iterable[ApprovalRequest], versions: Mapping[str, int],
) -> list[Request]:
    found = list(rows)
    ids = [row.id for row in found]
    lessons: dict[str, list[AskedLesson]] = {}
    for lesson in (await session.exec(select(RequestedLesson).where(
        col(RequestedLesson.request_id).in_(ids)
    ).order_by(col(RequestedLesson.starts_at)))).all():
        lessons.setdefault(lesson.request_id, []).append(
            AskedLesson(lesson.lesson_id, versions.get(lesson.lesson_id, 0), lesson.starts_at, lesson.ends_at))
    notes: dict[str, list[NoteView]] = {}
    for note in (await session.exec(select(ApprovalNote).where(
        col(ApprovalNote.request_id).in_(ids)
    ).order_by(col(ApprovalNote.added_at)))).all():
        notes.setdefault(note.request_id, []).append(NoteView(note.kind, note.words, note.added_by, note.added_at))
    return [
        Request(
            Asked(row.id, row.version, row.kind, row.adult_id, row.child_id, row.requested_by, row.why,
                  tuple(row.tried.split()), row.safeguards, row.parent_present, row.camera_on, tuple(lessons[row.id])),
            await parties(session, school_id, row), Status(row.status), row.requested_at, row.decided_by, row.decided_at,
            row.reason, tuple(notes.get(row.id, ())),
        )
        for row in found
    ]


# The marks of the safeguarding team


@dataclass(frozen=True)
class MarkView:
    """A mark with its reason: for the safeguarding team alone."""

    id: str
    person_id: str
    mark: str
    reason: str
    set_by: str
    set_at: datetime
    lifted_at: datetime | None
    lifted_by: str
    lifted_because: str


async def marks(session: AsyncSession, actor: Actor) -> list[MarkView]:
    """Every mark, in force first; never one about the person who looks (policy: IN4)."""
    rows = (await session.exec(select(SafeguardingMark).where(
        SafeguardingMark.school_id == actor.school_id, SafeguardingMark.person_id != actor.person_id
    ).order_by(col(SafeguardingMark.set_at).desc()))).all()
    views = [MarkView(row.id, row.person_id, row.mark, row.reason, row.set_by, row.set_at, row.lifted_at, row.lifted_by,
                      row.lifted_because) for row in rows]
    return sorted(views, key=lambda view: view.lifted_at is not None)


async def talk_first(session: AsyncSession, school_id: str, ids: Iterable[str]) -> list[datetime]:
    """When “Talk to the DSL first” was set for any of these people. Why, and for whom, is not told."""
    return list((await session.exec(select(SafeguardingMark.set_at).where(
        SafeguardingMark.school_id == school_id, col(SafeguardingMark.person_id).in_(list(ids)),
        SafeguardingMark.mark == "talk-first", col(SafeguardingMark.lifted_at).is_(None),
    ))).all())


async def told_of_some(session: AsyncSession, school_id: str, child_ids: Collection[str], now: datetime) -> frozenset[str]:
    """The children with an approval that stands or is to come, of which their families are told."""
    if not child_ids:
        return frozenset()
    found = (await session.exec(select(Approval.child_id).where(
        Approval.school_id == school_id, col(Approval.child_id).in_(child_ids), col(Approval.revoked_at).is_(None),
        Approval.ends_at > now,
    ))).all()
    return frozenset(found) - await not_to_be_told(session, school_id, found)


async def untold_lessons(session: AsyncSession, school_id: str, child_id: str) -> frozenset[str]:
    """The one-to-ones of a child of which the family is not told; none where it is told of all."""
    if not await not_to_be_told(session, school_id, [child_id]):
        return frozenset()
    return frozenset((await session.exec(select(RequestedLesson.lesson_id).join(
        ApprovalRequest, col(ApprovalRequest.id) == RequestedLesson.request_id).where(
        ApprovalRequest.school_id == school_id, ApprovalRequest.child_id == child_id, ApprovalRequest.kind == "planned"))).all())


async def not_to_be_told(session: AsyncSession, school_id: str, child_ids: Iterable[str]) -> frozenset[str]:
    """The children whose families are not told of one-to-ones, because the DSL marked that it is unsafe."""
    return frozenset((await session.exec(select(SafeguardingMark.person_id).where(
        SafeguardingMark.school_id == school_id, col(SafeguardingMark.person_id).in_(list(child_ids)),
        SafeguardingMark.mark == "do-not-tell", col(SafeguardingMark.lifted_at).is_(None),
    ))).all())
