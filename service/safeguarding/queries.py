"""Reading alerts, each only by those for whom it exists: the scope is applied here, once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select, SelectOfScalar

from service.foundation.errors import NotFound
from service.foundation.events import Actor, Role
from service.people import queries as people
from service.people.tables import DutySlot
from service.safeguarding import rules
from service.safeguarding.tables import Alert, AlertBarred, AlertNote


@dataclass(frozen=True)
class NoteView:
    about: str
    words: str
    by: str
    at: datetime


@dataclass(frozen=True)
class AlertView:
    """An alert as somebody who may open it sees it. `calls`: it asks for this viewer's attention now. `late`: “New” or how
    late it is; empty once somebody has it. `handed_to`: who was asked to take it over. `took_part`: this viewer went into the
    lesson because of it, so somebody else says what it came to. `goes_on_to`: whom it calls when nobody takes it."""

    id: str
    kind: rules.Kind
    lesson_id: str
    place: str
    raised_at: datetime
    raised_by: str
    do_not_ring: bool
    owner: str
    mine: bool
    late: str
    calls: bool
    closed_at: datetime | None
    notes: list[NoteView] = field(default_factory=list)
    tab: rules.Tab = rules.Tab.NEW
    owner_id: str = ""
    handed_to: str = ""
    handed_to_me: bool = False
    waits_for: str = ""
    times: int = 1
    outcome: str = ""
    concern_id: str = ""
    took_part: bool = False
    routed_to: Role = Role.DSL
    goes_on_to: Role | None = None

    @property
    def severity(self) -> rules.Severity:
        return rules.SEVERITY[self.kind]


async def inbox(session: AsyncSession, actor: Actor, now: datetime) -> list[AlertView]:
    """Every alert that exists for this person and is not closed: the most serious first, then the newest."""
    rows = (await session.exec(select(Alert).where(Alert.school_id == actor.school_id, col(Alert.closed_at).is_(None)))).all()
    views = await _views(session, actor, list(rows), now)
    return sorted(views, key=lambda view: rules.rank(view.kind, view.raised_at))


async def closed(session: AsyncSession, actor: Actor, now: datetime, *, skip: int = 0, limit: int = 100) -> list[AlertView]:
    """The closed alerts that exist for this person, the latest closed first: of these `limit` after the first `skip`. What is
    closed was taken, so that `rules.may_open` is said in SQL: others' items fill nobody's page."""
    queues = [role for role in rules.ORDER if actor.roles & rules.circle(role)]
    rows = (await session.exec(select(Alert).where(
        Alert.school_id == actor.school_id, col(Alert.closed_at).is_not(None), col(Alert.id).not_in(_hidden_from(actor)),
        or_(col(Alert.routed_to).in_(queues), Alert.taken_by == actor.person_id),
    ).order_by(col(Alert.closed_at).desc(), col(Alert.id)).offset(skip).limit(limit))).all()
    return await _views(session, actor, list(rows), now)


def _hidden_from(actor: Actor) -> "SelectOfScalar[str]":
    return select(AlertBarred.alert_id).where(AlertBarred.person_id == actor.person_id, ~col(AlertBarred.keeps))


async def colleagues(session: AsyncSession, actor: Actor, alert_id: str) -> list[people.PersonView]:
    """Who may take this alert over: whoever shares its queue, and the headteacher; nobody it is kept from."""
    row = await session.get_one(Alert, alert_id)
    circle = rules.circle(Role(row.routed_to)) | ({Role.HEADTEACHER} if row.routed_to == Role.DSL else set())
    kept_from = (await session.exec(select(AlertBarred.person_id).where(AlertBarred.alert_id == alert_id))).all()
    return [one for one in await people.holders(session, actor.school_id, circle)
            if one.id != actor.person_id and one.id not in kept_from]


async def waiting(session: AsyncSession, actor: Actor, now: datetime) -> list[AlertView]:
    """The alerts that call this person now, oldest first."""
    if not actor.is_any(rules.INBOX):
        return []
    rows = (await session.exec(select(Alert).where(
        Alert.school_id == actor.school_id, col(Alert.closed_at).is_(None),
        or_(col(Alert.handed_to) == actor.person_id,
            (col(Alert.taken_by) == "") & col(Alert.kind).not_in([str(kind) for kind in rules.QUIET])),
    ).order_by(col(Alert.raised_at)))).all()
    return [view for view in await _views(session, actor, list(rows), now) if view.calls]


async def alert(session: AsyncSession, actor: Actor, alert_id: str, now: datetime) -> AlertView:
    """One alert with everything that was said of it; NotFound when it does not exist for this person."""
    row = await session.get(Alert, alert_id)
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    found = await _views(session, actor, [row], now)
    if not found:
        raise NotFound()
    return found[0]


@dataclass(frozen=True)
class FlagView:
    """That somebody flagged a moment of a lesson, and whether its alert exists for whoever asks."""

    raised_by: str
    raised_at: datetime
    may_open: bool


async def flags(session: AsyncSession, actor: Actor, lesson_id: str, now: datetime) -> list[FlagView]:
    """The flags of one room, for whatever else has their words: only whoever may open the alert reads them (policy: IN4)."""
    rows = (await session.exec(select(Alert).where(
        Alert.school_id == actor.school_id, Alert.lesson_id == lesson_id, Alert.kind == rules.Kind.FLAG))).all()
    minutes = (await people.profile(session, actor.school_id)).alert_minutes
    known, viewer = await _known(session, actor.school_id, list(rows)), rules.Viewer(actor.person_id, actor.roles)
    return [FlagView(row.raised_by, row.raised_at, rules.may_open(known[row.id], viewer, now, minutes)) for row in rows]


async def may_be_answered(session: AsyncSession, row: Alert) -> bool:
    """Whether a parent wrote it, and said last that they may be reached. Not known is no."""
    if row.kind != rules.Kind.PARENT:
        return False
    last = (await session.exec(select(AlertNote.words).where(
        AlertNote.alert_id == row.id, AlertNote.added_by == row.raised_by,
    ).order_by(col(AlertNote.added_at).desc()).limit(1))).first()
    return (last or "").rpartition("\n")[2] in (rules.REACH["phone"], rules.REACH["app"])


async def barred(session: AsyncSession, alert_id: str) -> frozenset[str]:
    """For whom it does not exist."""
    return frozenset((await session.exec(select(AlertBarred.person_id).where(
        AlertBarred.alert_id == alert_id, ~col(AlertBarred.keeps)))).all())


async def on_duty(session: AsyncSession, school_id: str, now: datetime) -> frozenset[str]:
    """Who the rota names at this moment, in the school's own time."""
    zone = (await people.school(session, school_id)).zone
    slots = (await session.exec(select(DutySlot).where(DutySlot.school_id == school_id))).all()
    rota = [(slot.person_id, slot.weekday, slot.starts_at, slot.ends_at) for slot in slots]
    return rules.on_duty(rota, now.astimezone(ZoneInfo(zone)))


async def team_on_duty(session: AsyncSession, school_id: str, now: datetime) -> frozenset[str]:
    """Who of the safeguarding team the rota names at this moment."""
    team = frozenset(person.id for person in await people.holders(session, school_id, rules.circle(Role.DSL)))
    return team & await on_duty(session, school_id, now)


async def _views(session: AsyncSession, actor: Actor, rows: list[Alert], now: datetime) -> list[AlertView]:
    known = await _known(session, actor.school_id, rows)
    minutes = (await people.profile(session, actor.school_id)).alert_minutes
    viewer = rules.Viewer(actor.person_id, actor.roles)
    seen = [row for row in rows if rules.may_open(known[row.id], viewer, now, minutes)]
    notes = await _notes(session, [row.id for row in seen])
    who = {note.added_by for found in notes.values() for note in found}
    who |= {person for row in seen for person in (row.raised_by, row.taken_by, row.handed_to)}
    names = await people.people(session, actor.school_id, who)
    duty = await team_on_duty(session, actor.school_id, now)
    keeps = set((await session.exec(select(AlertBarred.alert_id).where(
        AlertBarred.person_id == actor.person_id, col(AlertBarred.alert_id).in_([row.id for row in seen])))).all())
    return [
        AlertView(
            row.id, rules.Kind(row.kind), row.lesson_id, row.place, row.raised_at, _name(names, row.raised_by), row.do_not_ring,
            _name(names, row.taken_by) if row.taken_by else "", row.taken_by == actor.person_id,
            rules.say_late(rules.late_by(known[row.id], now, minutes)),
            rules.calls(known[row.id], viewer, duty - known[row.id].barred, now, minutes), row.closed_at,
            [NoteView(note.about, note.words, _name(names, note.added_by), note.added_at) for note in notes.get(row.id, [])],
            rules.tab(owner=row.taken_by, viewer=actor.person_id, is_closed=row.closed_at is not None, waits_for=row.waits_for,
                      handed_to=row.handed_to),
            row.taken_by, _name(names, row.handed_to) if row.handed_to else "", row.handed_to == actor.person_id,
            row.waits_for, row.times, row.outcome, row.concern_id, row.id in keeps, known[row.id].routed_to,
            known[row.id].goes_on_to,
        )
        for row in seen
    ]


async def barred_of(session: AsyncSession, ids: Collection[str]) -> dict[str, set[str]]:
    """For whom each of these alerts does not exist."""
    found: dict[str, set[str]] = {each: set() for each in ids}
    for row in (await session.exec(select(AlertBarred).where(
            col(AlertBarred.alert_id).in_(found), ~col(AlertBarred.keeps)))).all():
        found[row.alert_id].add(row.person_id)
    return found


async def _known(session: AsyncSession, school_id: str, rows: list[Alert]) -> dict[str, rules.Alert]:
    """What the rules need to know of each alert, by id."""
    left_out = await barred_of(session, [row.id for row in rows])
    readers = await holders(session, school_id) if rows else {}
    return {row.id: known(row, left_out[row.id], readers) for row in rows}


def known(row: Alert, left_out: Collection[str], readers: Mapping[str, frozenset[Role]]) -> rules.Alert:
    """What the rules need to know of one alert. `readers`: `holders`."""
    queue = Role(row.routed_to)
    return rules.Alert(queue, row.called_at, row.taken_by, frozenset(left_out), row.handed_to, row.kind in rules.QUIET,
                       rules.next_after(queue, readers, left_out))


async def holders(session: AsyncSession, school_id: str) -> dict[str, frozenset[Role]]:
    """Everybody who has a queue, with their roles."""
    return {person.id: person.roles for person in await people.holders(session, school_id, rules.INBOX)}


async def _notes(session: AsyncSession, ids: Collection[str]) -> dict[str, list[AlertNote]]:
    rows = (await session.exec(
        select(AlertNote).where(col(AlertNote.alert_id).in_(ids)).order_by(col(AlertNote.added_at))
    )).all()
    found: dict[str, list[AlertNote]] = {}
    for row in rows:
        found.setdefault(row.alert_id, []).append(row)
    return found


def _name(names: dict[str, people.PersonView], person_id: str) -> str:
    return names[person_id].full_name if person_id in names else "Chaperone"


async def is_open_about(session: AsyncSession, school_id: str, lesson_ids: Collection[str]) -> bool:
    """Whether an alert of one of these lessons is open, whoever may read it."""
    return (await session.exec(select(Alert.id).where(
        Alert.school_id == school_id, col(Alert.lesson_id).in_(lesson_ids), col(Alert.closed_at).is_(None)).limit(1),
    )).first() is not None


async def subjects(session: AsyncSession, school_id: str, lesson_ids: Collection[str]) -> frozenset[str]:
    """Who an alert of these lessons that is about a member of staff may be about: everybody of whom it is kept. They decide
    nothing about these lessons, and never watch them (policy: IN4)."""
    rows = await session.exec(_about_staff(school_id).where(col(Alert.lesson_id).in_(list(lesson_ids))))
    return frozenset(person_id for _, person_id in rows.all())


async def lessons_about(session: AsyncSession, school_id: str, person_id: str) -> frozenset[str]:
    """The same the other way round: the lessons with an alert that may be about this person."""
    rows = await session.exec(_about_staff(school_id).where(AlertBarred.person_id == person_id))
    return frozenset(lesson_id for lesson_id, _ in rows.all() if lesson_id)


def _about_staff(school_id: str) -> Select[str, str]:
    """(lesson, of whom it is kept) of alerts that are about a member of staff."""
    about_staff = select(AlertNote.alert_id).where(col(AlertNote.about).in_((rules.About.STAFF, rules.About.HEADTEACHER)))
    return select(Alert.lesson_id, AlertBarred.person_id).join(AlertBarred, col(AlertBarred.alert_id) == Alert.id).where(
        AlertBarred.school_id == school_id, col(Alert.id).in_(about_staff))
