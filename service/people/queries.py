"""Reading people: SQL in, frozen dataclasses out, always within one school."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import NotFound
from service.foundation.events import Actor, Role
from service.people import rules
from service.people.tables import GroupMember, Person, PersonRole, ProfileVersion, School, TeachingGroup


@dataclass(frozen=True)
class SchoolView:
    id: str
    name: str
    zone: str
    office: str
    is_demo: bool
    is_live: bool


@dataclass(frozen=True)
class PersonView:
    """A person as others may see them. `name` is what pages show; `full_name` is for staff lists."""

    id: str
    kind: str
    name: str
    full_name: str
    roles: frozenset[Role]
    year_group: str = ""

    @property
    def is_child(self) -> bool:
        return self.kind == "child"


@dataclass(frozen=True)
class GroupView:
    id: str
    name: str
    key_stage: int


async def school(session: AsyncSession, school_id: str) -> SchoolView:
    row = await session.get_one(School, school_id)
    return SchoolView(row.id, row.name, row.zone, row.office, row.is_demo, row.live_at is not None)


async def profile(session: AsyncSession, school_id: str) -> rules.Profile:
    """The policy profile in force."""
    newest = (await session.exec(
        select(ProfileVersion).where(
            ProfileVersion.school_id == school_id, col(ProfileVersion.in_force_at) <= session.info["clock"].now()
        ).order_by(col(ProfileVersion.version).desc()).limit(1)
    )).first()
    return rules.profile_from(newest.profile) if newest else rules.Profile()


async def actor(session: AsyncSession, person_id: str, *, session_id: str = "") -> Actor | None:
    """The person as one who acts, with the roles they hold now; None once they have left."""
    row = await session.get(Person, person_id)
    if row is None or (row.left_on is not None and row.left_on <= session.info["clock"].now().date()):
        return None
    roles = await _roles(session, [person_id])
    return Actor(row.id, row.school_id, roles.get(row.id, frozenset()), name_of(row), session_id)


async def people(session: AsyncSession, school_id: str, ids: Iterable[str]) -> dict[str, PersonView]:
    """Those of `ids` that are people of this school, by id."""
    wanted = list(ids)
    rows = (await session.exec(select(Person).where(Person.school_id == school_id, col(Person.id).in_(wanted)))).all()
    roles = await _roles(session, wanted)
    return {row.id: view_of(row, roles.get(row.id, frozenset())) for row in rows}


async def person(session: AsyncSession, school_id: str, person_id: str) -> PersonView:
    found = (await people(session, school_id, [person_id])).get(person_id)
    if found is None:
        raise NotFound()
    return found


async def holders(session: AsyncSession, school_id: str, wanted: frozenset[Role]) -> list[PersonView]:
    """Everybody of this school who holds one of `wanted` and has not left, by name."""
    ids = (await session.exec(
        select(PersonRole.person_id).where(PersonRole.school_id == school_id, col(PersonRole.role).in_(wanted)).distinct()
    )).all()
    today = session.info["clock"].now().date()
    rows = (await session.exec(select(Person).where(col(Person.id).in_(ids)))).all()
    roles = await _roles(session, ids)
    here = [view_of(row, roles[row.id]) for row in rows if row.left_on is None or row.left_on > today]
    return sorted(here, key=lambda person: rules.sort_key(person.full_name))


async def group(session: AsyncSession, school_id: str, group_id: str) -> GroupView:
    row = await session.get(TeachingGroup, group_id)
    if row is None or row.school_id != school_id:
        raise NotFound()
    return GroupView(row.id, row.name, row.key_stage)


async def members(session: AsyncSession, school_id: str, group_id: str, part: str, on: date) -> list[PersonView]:
    """The pupils, or the teachers, of a class on one day, by name."""
    ids = (await session.exec(select(GroupMember.person_id).where(
        GroupMember.school_id == school_id, GroupMember.group_id == group_id, GroupMember.part == part
    ))).all()
    rows = (await session.exec(select(Person).where(col(Person.id).in_(ids)))).all()
    roles = await _roles(session, ids)
    here = [view_of(row, roles.get(row.id, frozenset())) for row in rows if row.left_on is None or row.left_on > on]
    return sorted(here, key=lambda person: rules.sort_key(person.full_name))


def name_of(row: Person) -> str:
    return rules.shown_name(
        kind=row.kind, title=row.title, given=row.given_name, preferred=row.preferred_name, family=row.family_name
    )


def view_of(row: Person, roles: frozenset[Role]) -> PersonView:
    full = f"{row.preferred_name or row.given_name} {row.family_name}".strip()
    return PersonView(row.id, row.kind, name_of(row), full, roles, row.year_group)


async def _roles(session: AsyncSession, ids: Iterable[str]) -> dict[str, frozenset[Role]]:
    rows = (await session.exec(select(PersonRole).where(col(PersonRole.person_id).in_(list(ids))))).all()
    found: dict[str, set[Role]] = {}
    for row in rows:
        found.setdefault(row.person_id, set()).add(Role(row.role))
    return {person_id: frozenset(roles) for person_id, roles in found.items()}


async def only_school(session: AsyncSession) -> SchoolView | None:
    """The school of an installation that has one: what a page may name before anybody signed in."""
    ids = (await session.exec(select(School.id).limit(2))).all()
    return await school(session, ids[0]) if len(ids) == 1 else None
