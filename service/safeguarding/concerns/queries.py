"""Reading concerns, each only by those for whom it exists: the scope is applied here, once (policy: IN4, AC3)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select, SelectOfScalar

from service.foundation.errors import Invalid, NotFound
from service.foundation.events import STAFF, Actor, Role
from service.people import queries as people
from service.people.rules import sort_key
from service.people.tables import GroupMember
from service.safeguarding.chronology import Entry, Kind, Standing, standing
from service.safeguarding.concerns import rules
from service.safeguarding.concerns.tables import (
    Concern,
    ConcernBarred,
    ConcernEntry,
    ConcernExport,
    EntryColumns,
    LocalAuthorityOfficer,
)
from service.safeguarding.rules import INBOX, Viewer, circle
from service.safeguarding.tables import Alert


@dataclass(frozen=True)
class Listed:
    """A line of the list. `children`: names, for the circle alone."""

    number: str
    happened_on: date
    categories: tuple[str, ...]
    children: tuple[str, ...]
    to_do: int
    is_overdue: bool
    is_closed: bool
    case_number: str


@dataclass(frozen=True)
class EntryView:
    """An entry with names. `author`: who wrote it; `person`, `child`: whom it names."""

    entry: Entry
    author: str
    person: str
    child: str


@dataclass(frozen=True)
class ExportView:
    id: str
    receiver: str
    organisation: str
    key: str
    entries: int
    asked_by: str
    asked_at: datetime
    agreed_by: str
    agreed_at: datetime | None
    mine: bool
    may_agree: bool
    is_over: bool


@dataclass(frozen=True)
class Officer:
    name: str
    telephone: str


@dataclass(frozen=True)
class ConcernView:
    """One concern with its chronology, as somebody of its circle reads it."""

    id: str
    number: str
    raised_by: str
    raised_at: datetime
    happened_on: date
    happened_at: str
    place: str
    lesson_id: str
    alert_id: str
    routed_to: Role
    about_staff: bool
    about: str
    entries: tuple[EntryView, ...]
    standing: Standing
    names: dict[str, str]
    exports: tuple[ExportView, ...]

    def of(self, *kinds: Kind) -> list[EntryView]:
        return [one for one in self.entries if one.entry.kind in kinds]


def visible(actor: Actor) -> "SelectOfScalar[str]":
    """The ids of the concerns that exist for this person, as a query: the one scope of every list, count and search."""
    queues = [role for role in (Role.DSL, Role.HEADTEACHER, Role.CHAIR) if actor.roles & circle(role)]
    kept_from = select(ConcernBarred.concern_id).where(ConcernBarred.person_id == actor.person_id)
    took = select(Alert.concern_id).where(Alert.taken_by == actor.person_id, Alert.concern_id != "")
    return select(Concern.id).where(
        Concern.school_id == actor.school_id, col(Concern.id).not_in(kept_from),
        or_(col(Concern.routed_to).in_(queues), col(Concern.id).in_(took)),
    )


async def concern_exists_for(session: AsyncSession, actor: Actor, number: str) -> bool:
    """Whether this person may give the number as their reason: it is one of a concern that exists for them (policy: RE1)."""
    found = await session.exec(visible(actor).where(Concern.number == number.strip().upper()))
    return found.first() is not None


async def check_number(session: AsyncSession, actor: Actor, number: str) -> None:
    """Refuse a number of the school's own shape that is of no concern this person can open (policy: RE1). What another system
    numbered otherwise is kept as it was written."""
    if rules.is_number(number) and not await concern_exists_for(session, actor, number):
        raise Invalid(fields={"concern": "You have no concern with this number. Check it, or leave it empty"})


async def number_for(session: AsyncSession, actor: Actor, concern_id: str) -> str:
    """The number of a concern, for whom it exists; else empty."""
    found = await session.exec(select(Concern.number).where(
        Concern.id == concern_id, col(Concern.id).in_(visible(actor)))) if concern_id else None
    return (found.first() or "") if found else ""


async def row_for(session: AsyncSession, actor: Actor, number: str) -> Concern:
    """The row; NotFound when it does not exist for this person, whatever the reason."""
    row = (await session.exec(select(Concern).where(
        Concern.number == number.strip().upper(), col(Concern.id).in_(visible(actor))))).first()
    if row is None:
        raise NotFound()
    return row


async def listing(session: AsyncSession, actor: Actor, today: date, *, words: str = "", closed: bool = False) -> list[Listed]:
    """The concerns that exist for this person, the newest first. `words`: of a child's name, or of a number."""
    rows = (await session.exec(select(Concern).where(col(Concern.id).in_(visible(actor))).order_by(
        col(Concern.raised_at).desc()))).all()
    entries = await entries_of(session, [row.id for row in rows])
    children = {one.child_id for found in entries.values() for one in found if one.child_id}
    names = await people.people(session, actor.school_id, children)
    found = []
    for row in rows:
        now = standing(entries[row.id])
        its = tuple(names[child].full_name for child in now.children if child in names)
        searched = sort_key(" ".join((row.number, now.case_number, *its)))
        if now.is_closed == closed and all(word in searched for word in sort_key(words).split()):
            late = any(one.on is not None and one.on < today for one in now.to_do)
            found.append(Listed(row.number, row.happened_on, now.categories, its, len(now.to_do), late, now.is_closed,
                                now.case_number))
    return found


async def entries_of(session: AsyncSession, ids: Collection[str]) -> dict[str, list[Entry]]:
    """The chronologies of these concerns, in the order in which they were written."""
    found: dict[str, list[Entry]] = {each: [] for each in ids}
    for row in (await session.exec(select(ConcernEntry).where(
            col(ConcernEntry.concern_id).in_(found)).order_by(col(ConcernEntry.seq)))).all():
        found[row.concern_id].append(entry_of(row))
    return found


def entry_of(row: EntryColumns) -> Entry:
    return Entry(Kind(row.kind), row.words, row.child_id, row.part, row.person_id, row.on_day, row.agency, row.reference,
                 row.of_entry, row.id, row.added_by, row.added_at)


async def concern(session: AsyncSession, actor: Actor, number: str) -> ConcernView:
    """One concern with everything in it; NotFound when it does not exist for this person."""
    row = await row_for(session, actor, number)
    entries = (await entries_of(session, [row.id]))[row.id]
    exports = await exports_of(session, row.id)
    who = {each for one in entries for each in (one.by, one.person_id, one.child_id)} | {row.raised_by, row.about_id}
    who |= {each for one in exports for each in (one.asked_by, one.agreed_by)}
    names = {found.id: found.full_name for found in (await people.people(session, actor.school_id, who)).values()}
    others = frozenset(one.id for one in await readers(session, row))
    return ConcernView(
        row.id, row.number, names.get(row.raised_by, ""), row.raised_at, row.happened_on, row.happened_at, row.place,
        row.lesson_id, row.alert_id, Role(row.routed_to), row.about_staff, names.get(row.about_id, ""),
        tuple(EntryView(one, *(names.get(each, "") for each in (one.by, one.person_id, one.child_id))) for one in entries),
        standing(entries), names,
        tuple(_export_view(one, names, actor, others, session.info["clock"].now()) for one in exports),
    )


async def exports_of(session: AsyncSession, concern_id: str) -> Sequence[ConcernExport]:
    return (await session.exec(select(ConcernExport).where(
        ConcernExport.concern_id == concern_id).order_by(col(ConcernExport.asked_at).desc()))).all()


def _export_view(row: ConcernExport, names: dict[str, str], actor: Actor, others: frozenset[str], now: datetime) -> ExportView:
    return ExportView(
        row.id, row.receiver, row.organisation, row.key, row.entries, names.get(row.asked_by, ""), row.asked_at,
        names.get(row.agreed_by, ""), row.agreed_at, row.asked_by == actor.person_id,
        row.asked_by != actor.person_id or not others - {actor.person_id},
        row.agreed_at is not None and now >= row.agreed_at + rules.EXPORT_LASTS,
    )


async def barred(session: AsyncSession, concern_id: str) -> frozenset[str]:
    """For whom it does not exist."""
    return frozenset((await session.exec(select(ConcernBarred.person_id).where(ConcernBarred.concern_id == concern_id))).all())


async def its_alerts(session: AsyncSession, row: Concern) -> Sequence[str]:
    """The alerts that tell of it, and the one it was raised from, closed ones too."""
    return (await session.exec(select(Alert.id).where(
        Alert.school_id == row.school_id, or_(Alert.concern_id == row.id, Alert.id == row.alert_id)))).all()


async def readers(session: AsyncSession, row: Concern) -> list[people.PersonView]:
    """Everybody who may read it, by name: who an action can be given to, and who can take a second look."""
    took = frozenset((await session.exec(select(Alert.taken_by).where(
        Alert.concern_id == row.id, Alert.taken_by != ""))).all())
    known = rules.Concern(Role(row.routed_to), await barred(session, row.id), took)
    return [one for one in await people.holders(session, row.school_id, INBOX)
            if rules.may_open(known, Viewer(one.id, one.roles))]


async def watchers(session: AsyncSession, row: Concern) -> list[people.PersonView]:
    """Who can be named to watch the recording: nobody it is kept from, nor whoever raised it."""
    left_out = await barred(session, row.id) | {row.raised_by}
    return [one for one in await people.holders(session, row.school_id, rules.WATCH) if one.id not in left_out]


async def adults(session: AsyncSession, actor: Actor) -> list[people.PersonView]:
    """Everybody who works at the school, by name: who a concern can be about."""
    return await people.holders(session, actor.school_id, STAFF)


async def children(session: AsyncSession, actor: Actor, everybody: frozenset[Role] = INBOX) -> list[people.PersonView]:
    """The pupils that this person may choose from: all for the roles of `everybody`, else those whom they teach (policy: AC3)."""
    found = await people.holders(session, actor.school_id, frozenset({Role.PUPIL}))
    if actor.is_any(everybody):
        return found
    theirs = select(GroupMember.group_id).where(GroupMember.person_id == actor.person_id, GroupMember.part == "teacher")
    taught = set((await session.exec(select(GroupMember.person_id).where(
        col(GroupMember.group_id).in_(theirs), GroupMember.part == "pupil"))).all())
    return [one for one in found if one.id in taught]


async def officer(session: AsyncSession, school_id: str) -> Officer | None:
    """The local authority's officer for concerns about adults, as the school last wrote it down."""
    row = (await session.exec(select(LocalAuthorityOfficer).where(LocalAuthorityOfficer.school_id == school_id).order_by(
        col(LocalAuthorityOfficer.changed_at).desc()).limit(1))).first()
    return Officer(row.name, row.telephone) if row else None


async def is_open_about(session: AsyncSession, school_id: str, lesson_ids: Collection[str], participants: Collection[str],
                        ) -> bool:
    """Whether a concern is open, whoever may read it, that names one of these lessons, or none and one of the adults in it."""
    ids = (await session.exec(select(Concern.id).where(Concern.school_id == school_id, or_(
        col(Concern.lesson_id).in_(lesson_ids),
        col(Concern.about_staff) & (Concern.lesson_id == "") & col(Concern.about_id).in_(participants))))).all()
    return any(not standing(entries).is_closed for entries in (await entries_of(session, ids)).values())


async def subjects(session: AsyncSession, school_id: str, lesson_ids: Collection[str], participants: Collection[str],
                   ) -> frozenset[str]:
    """Whom a concern about a member of staff is about that touches these rooms of one lesson, open or closed (policy: IN4).

    A concern that names a lesson touches that one: the adult it names; while it names none, everybody it is kept from. One that
    names an adult and no lesson touches every lesson the adult took part in.
    """
    named, unnamed = _about_staff(school_id)
    touching = named.where(
        or_(col(Concern.lesson_id).in_(lesson_ids), (col(Concern.lesson_id) == "") & col(Concern.about_id).in_(participants)))
    found = (*(await session.exec(touching)).all(),
             *(await session.exec(unnamed.where(col(Concern.lesson_id).in_(lesson_ids)))).all())
    return frozenset(person_id for _, person_id in found)


async def lessons_about(session: AsyncSession, school_id: str, person_id: str) -> frozenset[str]:
    """The same the other way round: the lessons named by concerns that this person is a subject of. Lessons that they took part
    in, which a concern without a lesson touches, are not among them."""
    named, unnamed = _about_staff(school_id)
    found = (*(await session.exec(named.where(Concern.about_id == person_id))).all(),
             *(await session.exec(unnamed.where(ConcernBarred.person_id == person_id))).all())
    return frozenset(lesson_id for lesson_id, _ in found if lesson_id)


def _about_staff(school_id: str) -> tuple[Select[str, str], Select[str, str]]:
    """(lesson, whom it is about) of concerns that name somebody, and of those that do not yet."""
    named = select(Concern.lesson_id, Concern.about_id).where(
        Concern.school_id == school_id, col(Concern.about_staff), Concern.about_id != "")
    unnamed = select(Concern.lesson_id, ConcernBarred.person_id).join(
        ConcernBarred, col(ConcernBarred.concern_id) == Concern.id).where(
        Concern.school_id == school_id, col(Concern.about_staff), Concern.about_id == "")
    return named, unnamed
