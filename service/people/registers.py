"""What lists and pages show of a school's people: the directory, guardians, classes, the DBS register (policy: AC3, AC8, CM1)."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, STAFF, Actor, Role
from service.people import rules
from service.people.credentials import PIN_TRIES
from service.people.queries import PersonView, flags_of, members, name_of, people, person, roles, view_of
from service.people.tables import (
    Badge,
    DbsCheck,
    GroupMember,
    Guardianship,
    GuardianshipChange,
    Password,
    Person,
    PersonRole,
    TeachingGroup,
)


@dataclass(frozen=True)
class Row:
    """A person in a list."""

    id: str
    name: str
    kind: str
    roles: frozenset[Role]
    groups: tuple[str, ...]
    year_group: str
    has_left: bool


SEES_EVERYBODY = frozenset({Role.OFFICE}) | LEADERS | SAFEGUARDING


def sees(actor: Actor, kind: str, held: frozenset[Role]) -> bool:
    """Whether these pages show a person to the actor: technicians see colleagues and no families (policy: AC3)."""
    return actor.is_any(SEES_EVERYBODY) or (kind == "adult" and bool(held & STAFF))


async def search(session: AsyncSession, actor: Actor, *, words: str = "", kind: str = "", group_id: str = "",
                 left: bool = False) -> list[Row]:
    """Everybody the actor may see whose name has every one of `words`, by name; accents and capitals do not matter."""
    rows = (await session.exec(select(
        Person.id, Person.kind, Person.title, Person.given_name, Person.preferred_name, Person.family_name, Person.year_group,
        Person.left_on,
    ).where(Person.school_id == actor.school_id))).all()  # type: ignore[call-overload]
    today = session.info["clock"].now().date()
    held = await _all_roles(session, actor.school_id)
    groups = await _groups_of(session, actor.school_id)
    wanted = rules.sort_key(words).split()
    found = []
    for person_id, its_kind, title, given, preferred, family, year, left_on in rows:
        its_roles = held.get(person_id, frozenset())
        name = f"{preferred or given} {family}".strip()
        searched = rules.sort_key(f"{title} {given} {name}")
        gone = left_on is not None and left_on <= today
        if (gone == left and left_on != rules.NOT_YET
                and sees(actor, its_kind, its_roles) and all(word in searched for word in wanted)
                and (not kind or kind == _list_of(its_kind, its_roles))
                and (not group_id or group_id in {group for group, _ in groups.get(person_id, ())})):
            names = tuple(name for _, name in groups.get(person_id, ()))
            found.append(Row(person_id, name, its_kind, its_roles, names, year, gone))
    return sorted(found, key=lambda row: rules.sort_key(row.name))


def _list_of(kind: str, held: frozenset[Role]) -> str:
    """`pupils`, `families` or `staff` (governors included)."""
    return "pupils" if kind == "child" else "families" if held <= {Role.PARENT} else "staff"


async def _all_roles(session: AsyncSession, school_id: str) -> dict[str, frozenset[Role]]:
    found: dict[str, set[Role]] = {}
    for person_id, role in (await session.exec(
            select(PersonRole.person_id, PersonRole.role).where(PersonRole.school_id == school_id))).all():
        found.setdefault(person_id, set()).add(Role(role))
    return {person_id: frozenset(held) for person_id, held in found.items()}


async def class_names(session: AsyncSession, school_id: str) -> dict[str, list[str]]:
    """The names of each person's classes."""
    return {person_id: [name for _, name in its] for person_id, its in (await _groups_of(session, school_id)).items()}


async def _groups_of(session: AsyncSession, school_id: str) -> dict[str, list[tuple[str, str]]]:
    """Each person's classes, as (id, name)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for person_id, group_id, name in (await session.exec(
            select(GroupMember.person_id, TeachingGroup.id, TeachingGroup.name)
            .join(TeachingGroup, col(TeachingGroup.id) == GroupMember.group_id)
            .where(GroupMember.school_id == school_id).order_by(TeachingGroup.name))).all():
        found.setdefault(person_id, []).append((group_id, name))
    return found


@dataclass(frozen=True)
class GuardianView:
    """One adult's place in one child's life, seen from either end: `id` and `name` are the other person's."""

    link_id: str
    id: str
    name: str
    relationship: str
    contact_order: int
    parental_responsibility: str
    court_order: str
    lives_with: bool | None
    do_not_contact: bool
    waiting: bool


@dataclass(frozen=True)
class DbsView:
    id: str
    person_id: str
    name: str
    number: str
    checked_on: date
    recheck_on: date
    recorded_by: str
    withdrawn_at: datetime | None

    def is_valid(self, on: date) -> bool:
        return self.withdrawn_at is None and rules.is_current(self.checked_on, self.recheck_on, on)


@dataclass(frozen=True)
class PersonPage:
    """Everything that the office's page about one person shows. Never a number or an address."""

    person: PersonView
    fields: rules.PersonFields
    version: int
    left_on: date | None
    groups: tuple[tuple[str, str], ...]
    guardians: tuple[GuardianView, ...]
    children: tuple[GuardianView, ...]
    dbs: tuple[DbsView, ...]
    has_email: bool
    password_set_at: datetime | None
    badge_issued_at: datetime | None
    badge_locked: bool


def fields_of(row: Person) -> rules.PersonFields:
    return rules.PersonFields(**{name: getattr(row, name) for name in rules.PersonFields.__dataclass_fields__})


async def person_page(session: AsyncSession, actor: Actor, person_id: str) -> PersonPage:
    row = await session.get(Person, person_id)
    held = (await roles(session, [person_id])).get(person_id, frozenset())
    if row is None or row.school_id != actor.school_id or not sees(actor, row.kind, held):
        raise NotFound()
    kept = await session.get(Password, person_id)
    badge = (await session.exec(select(Badge).where(Badge.person_id == person_id, col(Badge.revoked_at).is_(None)))).first()
    everybody = actor.is_any(SEES_EVERYBODY)
    return PersonPage(
        view_of(row, held), fields_of(row), row.version, row.left_on,
        tuple((await _groups_of(session, actor.school_id)).get(person_id, ())),
        await guardians(session, actor.school_id, child_id=person_id) if everybody else (),
        await guardians(session, actor.school_id, guardian_id=person_id) if everybody else (),
        tuple(check for check in await dbs_register(session, actor.school_id) if check.person_id == person_id and everybody),
        bool(row.email), kept.set_at if kept else None, badge.issued_at if badge else None,
        badge is not None and badge.failures >= PIN_TRIES,
    )


async def own_family(session: AsyncSession, school_id: str, person_id: str) -> frozenset[str]:
    """The children of whom somebody is an adult, however they stand to them, and every adult of these children, themself among
    them. Nobody for who is of no family. What is about these, a colleague does (policy: CM1)."""
    children = (await session.exec(select(Guardianship.child_id).where(
        Guardianship.school_id == school_id, Guardianship.guardian_id == person_id))).all()
    adults = (await session.exec(select(Guardianship.guardian_id).where(
        Guardianship.school_id == school_id, col(Guardianship.child_id).in_(children)))).all() if children else ()
    return frozenset(children) | frozenset(adults)


async def guardians(session: AsyncSession, school_id: str, *, child_id: str = "",
                    guardian_id: str = "") -> tuple[GuardianView, ...]:
    """The adults of a child, or the children of an adult, in the order in which they are asked."""
    own = Guardianship.child_id == child_id if child_id else Guardianship.guardian_id == guardian_id
    other = Guardianship.guardian_id if child_id else Guardianship.child_id
    rows = (await session.exec(
        select(Guardianship, Person).join(Person, col(Person.id) == other).where(Guardianship.school_id == school_id, own)
        .order_by(col(Guardianship.contact_order)))).all()
    waiting = set((await session.exec(select(GuardianshipChange.guardianship_id).where(
        GuardianshipChange.school_id == school_id, col(GuardianshipChange.decided_at).is_(None)))).all())
    return tuple(
        GuardianView(link.id, row.id, view_of(row, frozenset()).full_name, link.relationship, link.contact_order,
                     link.parental_responsibility, link.court_order, link.lives_with, link.do_not_contact, link.id in waiting)
        for link, row in rows)


async def dbs_register(session: AsyncSession, school_id: str) -> list[DbsView]:
    """Every entry of the central record, by name, the newest check of a person first (policy: AC8)."""
    rows = (await session.exec(
        select(DbsCheck, Person).join(Person, col(Person.id) == DbsCheck.person_id).where(DbsCheck.school_id == school_id)
        .order_by(col(DbsCheck.checked_on).desc()))).all()
    recorders = await people(session, school_id, {check.recorded_by for check, _ in rows})
    views = [DbsView(check.id, row.id, view_of(row, frozenset()).full_name, check.certificate_number, check.checked_on,
                     check.recheck_on, recorders[check.recorded_by].name if check.recorded_by in recorders else "Chaperone",
                     check.withdrawn_at)
             for check, row in rows]
    return sorted(views, key=lambda view: rules.sort_key(view.name))


@dataclass(frozen=True)
class GroupRow:
    id: str
    name: str
    key_stage: int
    pupils: int
    teachers: tuple[str, ...]


async def groups(session: AsyncSession, school_id: str) -> list[GroupRow]:
    """Every class that is not archived, by name, with how many pupils and which teachers it has today."""
    rows = (await session.exec(select(TeachingGroup).where(
        TeachingGroup.school_id == school_id, col(TeachingGroup.archived_on).is_(None)).order_by(TeachingGroup.name))).all()
    today = session.info["clock"].now().date()
    members = (await session.exec(
        select(GroupMember.group_id, GroupMember.part, Person).join(Person, col(Person.id) == GroupMember.person_id)
        .where(GroupMember.school_id == school_id, col(Person.left_on).is_(None) | (col(Person.left_on) > today)))).all()
    return [GroupRow(row.id, row.name, row.key_stage,
                     sum(group_id == row.id and part == "pupil" for group_id, part, _ in members),
                     tuple(name_of(person) for group_id, part, person in members if group_id == row.id and part == "teacher"))
            for row in rows]


@dataclass(frozen=True)
class WaitingChange:
    """A change to a child's protection that waits for a second person."""

    id: str
    child: str
    guardian: str
    before: rules.Flags
    after: rules.Flags
    reason: str
    asked_by_id: str
    asked_by: str
    asked_at: datetime


async def waiting_changes(session: AsyncSession, school_id: str) -> list[WaitingChange]:
    rows = (await session.exec(
        select(GuardianshipChange, Guardianship).join(Guardianship, col(Guardianship.id) == GuardianshipChange.guardianship_id)
        .where(GuardianshipChange.school_id == school_id, col(GuardianshipChange.decided_at).is_(None))
        .order_by(col(GuardianshipChange.asked_at)))).all()
    named = await people(session, school_id, {person_id for change, link in rows
                                              for person_id in (link.child_id, link.guardian_id, change.asked_by)})
    return [WaitingChange(
        change.id, named[link.child_id].full_name, named[link.guardian_id].full_name, flags_of(link), flags_of(change),
        change.reason, change.asked_by, named[change.asked_by].full_name, change.asked_at) for change, link in rows]


@dataclass(frozen=True)
class LinkView:
    child: PersonView
    guardian: GuardianView


async def guardianship(session: AsyncSession, school_id: str, link_id: str) -> LinkView:
    link = await session.get(Guardianship, link_id)
    if link is None or link.school_id != school_id:
        raise NotFound()
    found = await guardians(session, school_id, child_id=link.child_id)
    return LinkView(await person(session, school_id, link.child_id), next(view for view in found if view.link_id == link_id))


async def dbs_check(session: AsyncSession, school_id: str, check_id: str) -> DbsView:
    found = next((check for check in await dbs_register(session, school_id) if check.id == check_id), None)
    if found is None:
        raise NotFound()
    return found


async def without_badges(session: AsyncSession, school_id: str, group_id: str) -> tuple[list[PersonView], list[PersonView]]:
    """The pupils of a class who have no badge, and all of them."""
    pupils = await members(session, school_id, group_id, "pupil", session.info["clock"].now().date())
    having = set((await session.exec(select(Badge.person_id).where(
        Badge.school_id == school_id, col(Badge.revoked_at).is_(None)))).all())
    return [pupil for pupil in pupils if pupil.id not in having], pupils
