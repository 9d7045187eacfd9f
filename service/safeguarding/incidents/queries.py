"""Reading incidents, each only by those for whom it exists: the scope is applied here, once (policy: IN1, IN4, AC3)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select, SelectOfScalar

from service.foundation.errors import NotFound
from service.foundation.events import Actor, Role
from service.people import queries as people
from service.people.rules import sort_key
from service.safeguarding.approvals import queries as approved
from service.safeguarding.chronology import Entry, Kind
from service.safeguarding.concerns import queries as concerns
from service.safeguarding.concerns.queries import EntryView, entry_of
from service.safeguarding.incidents import rules
from service.safeguarding.incidents.tables import Incident, IncidentBarred, IncidentEntry
from service.safeguarding.rules import Viewer


@dataclass(frozen=True)
class Listed:
    """A line of the register. `children`: (name, part, sanctions) for those who may read it."""

    number: str
    happened_on: date
    recorded_on: date
    categories: tuple[str, ...]
    children: tuple[tuple[str, str, tuple[str, ...]], ...]
    state: str
    escalated_to: tuple[Role, ...]
    families: tuple[int, int]
    is_late: bool


@dataclass(frozen=True)
class IncidentView:
    """One incident with its chronology, as somebody for whom it exists reads it."""

    id: str
    number: str
    recorded_by: str
    recorded_at: datetime
    happened_on: date
    happened_at: str
    place: str
    routed_to: Role
    about_staff: bool
    about: str
    entries: tuple[EntryView, ...]
    standing: rules.Standing
    names: dict[str, str]
    concern: str
    is_late: bool
    oversees: bool
    may_tell: bool


def visible(actor: Actor) -> "SelectOfScalar[str]":
    """The ids of the incidents that exist for this person: `rules.may_open`, as a query."""
    queues = [role for role in (Role.DSL, Role.HEADTEACHER, Role.CHAIR) if actor.roles & rules.readers_of(role)]
    kept_from = select(IncidentBarred.incident_id).where(IncidentBarred.person_id == actor.person_id)
    own = (col(Incident.recorded_by) == actor.person_id) & ~col(Incident.about_staff)
    return select(Incident.id).where(
        Incident.school_id == actor.school_id, col(Incident.id).not_in(kept_from),
        or_(col(Incident.routed_to).in_(queues), own))


async def row_for(session: AsyncSession, actor: Actor, number: str) -> Incident:
    """The row; NotFound when it does not exist for this person, whatever the reason."""
    row = (await session.exec(select(Incident).where(
        Incident.number == number.strip().upper(), col(Incident.id).in_(visible(actor))))).first()
    if row is None:
        raise NotFound()
    return row


async def entries_of(session: AsyncSession, ids: Collection[str]) -> dict[str, list[Entry]]:
    """The chronologies of these incidents, in the order in which they were written."""
    found: dict[str, list[Entry]] = {each: [] for each in ids}
    for row in (await session.exec(select(IncidentEntry).where(
            col(IncidentEntry.incident_id).in_(found)).order_by(col(IncidentEntry.seq)))).all():
        found[row.incident_id].append(entry_of(row))
    return found


async def is_open_about(session: AsyncSession, school_id: str, lesson_ids: Collection[str]) -> bool:
    """Whether an incident of one of these lessons is open, whoever may read it."""
    ids = (await session.exec(select(Incident.id).where(
        Incident.school_id == school_id, col(Incident.lesson_id).in_(lesson_ids)))).all()
    return any(not rules.stands(entries).is_closed for entries in (await entries_of(session, ids)).values())


async def listing(session: AsyncSession, actor: Actor, today: date, *, state: str = "", category: str = "",
                  words: str = "") -> list[Listed]:
    """The incidents that exist for this person, the newest first. `state`: one of `rules.STATE_WORDS`, or `late`."""
    rows = (await session.exec(select(Incident).where(col(Incident.id).in_(visible(actor))).order_by(
        col(Incident.recorded_at).desc()))).all()
    entries = await entries_of(session, [row.id for row in rows])
    names = await people.people(session, actor.school_id, {one.child_id for found in entries.values() for one in found})
    days = (await people.profile(session, actor.school_id)).incident_days
    wanted = sort_key(words).split()
    lines = [_line(row, entries[row.id], {each: one.full_name for each, one in names.items()}, today, days) for row in rows]
    return [
        line for line in lines
        if state in ("", line.state, "late" if line.is_late else "") and category in ("", *line.categories)
        and all(word in sort_key(" ".join((line.number, *(name for name, _, _ in line.children)))) for word in wanted)
    ]


def _line(row: Incident, entries: list[Entry], names: dict[str, str], today: date, days: int) -> Listed:
    now = rules.stands(entries)
    involved = [child for child, part in now.children.items() if part in rules.INVOLVED]
    return Listed(
        row.number, row.happened_on, row.recorded_at.date(), now.categories,
        tuple((names.get(child, ""), part, tuple(one.reference for one in now.sanctions.get(child, ())))
              for child, part in now.children.items()),
        now.state, tuple(sorted(now.escalated_to)), (sum(child in now.families for child in involved), len(involved)),
        _is_late(row, entries, today, days),
    )


async def incident(session: AsyncSession, actor: Actor, number: str, today: date) -> IncidentView:
    """One incident with everything in it; NotFound when it does not exist for this person.

    That a concern was made of it stands there for those for whom the concern exists, and for who made it.
    """
    row = await row_for(session, actor, number)
    entries = (await entries_of(session, [row.id]))[row.id]
    now = rules.stands(entries)
    concern = await concerns.number_for(session, actor, now.concern_id)
    shown = [one for one in entries if one.kind is not Kind.CONCERN or concern or one.by == actor.person_id]
    who = {each for one in entries for each in (one.by, one.person_id, one.child_id)} | {row.recorded_by, row.about_id}
    names = {found.id: found.full_name for found in (await people.people(session, actor.school_id, who)).values()}
    days, routed_to = (await people.profile(session, actor.school_id)).incident_days, Role(row.routed_to)
    return IncidentView(
        row.id, row.number, names.get(row.recorded_by, ""), row.recorded_at, row.happened_on, row.happened_at, row.place,
        routed_to, row.about_staff, names.get(row.about_id, ""),
        tuple(EntryView(one, *(names.get(each, "") for each in (one.by, one.person_id, one.child_id))) for one in shown),
        now, names, concern,
        _is_late(row, entries, today, days),
        actor.is_any(rules.readers_of(routed_to)), rules.may_tell(now, actor.roles, routed_to),
    )


async def barred(session: AsyncSession, incident_id: str) -> frozenset[str]:
    """For whom it does not exist."""
    return frozenset((await session.exec(
        select(IncidentBarred.person_id).where(IncidentBarred.incident_id == incident_id))).all())


async def readers(session: AsyncSession, row: Incident) -> list[people.PersonView]:
    """Everybody who may read it, by name: who something to do can be given to."""
    known = rules.Incident(Role(row.routed_to), row.recorded_by, row.about_staff, await barred(session, row.id))
    return [one for one in await people.holders(session, row.school_id, rules.RECORDERS)
            if rules.may_open(known, Viewer(one.id, one.roles))]


async def children(session: AsyncSession, actor: Actor) -> list[people.PersonView]:
    """The pupils that this person may choose from: all for those who oversee, else those whom they teach (policy: AC3)."""
    return await concerns.children(session, actor, rules.OVERSEE | {Role.CHAIR})


async def adults_to_tell(session: AsyncSession, school_id: str, child_id: str) -> frozenset[str]:
    """Who may be told of this child in the app: nobody, where telling was marked as unsafe (policy: CM1)."""
    if await approved.not_to_be_told(session, school_id, [child_id]):
        return frozenset()
    return await people.families_to_tell(session, school_id, [child_id])


async def reminded(session: AsyncSession, school_id: str, today: date) -> frozenset[str]:
    """Who is reminded that an incident is open for longer than the school allows: whoever it was escalated to, or else the
    headteacher, who keeps the log up to date; and who recorded it (policy: IN1)."""
    days = (await people.profile(session, school_id)).incident_days
    rows = (await session.exec(select(Incident).where(Incident.school_id == school_id))).all()
    entries = await entries_of(session, [row.id for row in rows])
    found: set[str] = set()
    for row in rows:
        if _is_late(row, entries[row.id], today, days):
            found.update(_reminded(row, rules.stands(entries[row.id]), await readers(session, row)))
    return frozenset(found)


def _is_late(row: Incident, entries: list[Entry], today: date, days: int) -> bool:
    opened_on = rules.opened_on(row.recorded_at.date(), entries)
    return rules.is_late(opened_on, today, days, is_closed=rules.stands(entries).is_closed)


def _reminded(row: Incident, now: rules.Standing, known: Iterable[people.PersonView]) -> Iterable[str]:
    keepers = now.escalated_to or {Role.HEADTEACHER}
    of_it = rules.readers_of(Role(row.routed_to)) if row.about_staff else keepers
    return (one.id for one in known if one.roles & of_it or one.id == row.recorded_by)


async def subjects(session: AsyncSession, school_id: str, lesson_ids: Collection[str], participants: Collection[str],
                   ) -> frozenset[str]:
    """Whom an incident about a member of staff is about that touches these rooms of one lesson, as a concern would (policy: IN4,
    RE1; decision 140): the adult it names; while it names none, everybody it is kept from."""
    rows = await session.exec(_about_staff(school_id).where(or_(
        col(Incident.lesson_id).in_(lesson_ids),
        (col(Incident.lesson_id) == "") & col(IncidentBarred.person_id).in_(participants))))
    return frozenset(person_id for _, person_id in rows.all())


async def lessons_about(session: AsyncSession, school_id: str, person_id: str) -> frozenset[str]:
    """The same the other way round, as of concerns: the lessons named by incidents that this person is a subject of."""
    rows = await session.exec(_about_staff(school_id).where(IncidentBarred.person_id == person_id))
    return frozenset(lesson_id for lesson_id, _ in rows.all() if lesson_id)


def _about_staff(school_id: str) -> Select[str, str]:
    """(lesson, whom it is about) of incidents about a member of staff."""
    return select(Incident.lesson_id, IncidentBarred.person_id).join(
        IncidentBarred, col(IncidentBarred.incident_id) == Incident.id).where(
        Incident.school_id == school_id, col(Incident.about_staff),
        or_(Incident.about_id == "", col(Incident.about_id) == IncidentBarred.person_id))
