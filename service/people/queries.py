"""Reading people, always within one school: SQL in, frozen dataclasses out. Two give rows: `signed_in` the sign-in
itself, and `SchoolPage` holds the term dates and closures."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, Actor, Role, system
from service.foundation.kept import kept
from service.people import credentials, rules
from service.people.profile import Profile, profile_from
from service.people.tables import (
    Badge,
    Closure,
    DutySlot,
    GroupMember,
    Guardianship,
    GuardianshipChange,
    Password,
    PasswordReset,
    Person,
    PersonRole,
    ProfileVersion,
    School,
    SignIn,
    TeachingGroup,
    TermDate,
)

VISIBLE = (Guardianship.court_order == "no", col(Guardianship.do_not_contact).is_(False))
"""Of a child's adults, those who may see them here at all: the school knows of no court order against it, and contact is not
forbidden. Unknown is closed (policy: CM1)."""


@dataclass(frozen=True)
class SchoolView:
    id: str
    name: str
    zone: str
    office: str
    is_demo: bool
    is_live: bool
    opens_at: str = "08:00"
    closes_at: str = "17:00"


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
    async def read() -> SchoolView:
        return _school(await session.get_one(School, school_id))

    return await kept(session, ("school", school_id), read)


def _school(row: School) -> SchoolView:
    return SchoolView(row.id, row.name, row.zone, row.office, row.is_demo, row.live_at is not None, row.opens_at, row.closes_at)


_PROFILES = select(ProfileVersion.in_force_at, ProfileVersion.profile).where(
    ProfileVersion.school_id == bindparam("school")).order_by(col(ProfileVersion.version).desc())  # built once: every page asks


async def profile(session: AsyncSession, school_id: str, at: datetime | None = None) -> Profile:
    """The policy profile in force now, or at a moment: a lesson keeps to its end what was in force when it began."""
    async def read() -> tuple[tuple[datetime, str], ...]:
        rows = (await session.exec(_PROFILES, params={"school": school_id})).all()
        return tuple((in_force_at, text) for in_force_at, text in rows)

    at = at or session.info["clock"].now()
    versions = await kept(session, ("profiles", school_id), read)
    newest = next((text for in_force_at, text in versions if in_force_at <= at), None)
    return Profile() if newest is None else profile_from(newest)


async def actor(session: AsyncSession, person_id: str, *, session_id: str = "") -> Actor | None:
    """The person as one who acts, with the roles they hold now; None once they have left."""
    rows = (await session.exec(_ACTOR, params={"person": person_id})).all()
    return _actor(session, rows[0][0], [role for _, role in rows], session_id) if rows else None


async def signed_in(session: AsyncSession, hashed: str) -> tuple[SignIn | None, Actor | None]:
    """The sign-in with this token's hash and who it is, in one look: every request asks."""
    rows = (await session.exec(_SIGNED_IN, params={"hashed": hashed})).all()
    if not rows:
        return None, None
    found, person, _ = rows[0]
    return found, _actor(session, person, [role for *_, role in rows], found.id)


def _with_roles(wanted: Any) -> Any:
    return wanted.join(PersonRole, col(PersonRole.person_id) == Person.id, isouter=True)


_ACTOR = _with_roles(select(Person, PersonRole.role)).where(Person.id == bindparam("person"))
_SIGNED_IN = _with_roles(
    select(SignIn, Person, PersonRole.role).join(Person, col(Person.id) == SignIn.person_id)
).where(SignIn.token_hash == bindparam("hashed"))
_PEOPLE = select(Person).where(Person.school_id == bindparam("school"), col(Person.id).in_(bindparam("ids", expanding=True)))
_HOLDERS = select(PersonRole.person_id).where(
    PersonRole.school_id == bindparam("school"), col(PersonRole.role).in_(bindparam("roles", expanding=True))).distinct()
_ROLES = select(PersonRole.person_id, PersonRole.role).where(
    col(PersonRole.person_id).in_(bindparam("ids", expanding=True)))


def _actor(session: AsyncSession, row: Person, held: Iterable[str | None], session_id: str = "") -> Actor | None:
    if not is_here(row, session.info["clock"].now().date()):
        return None
    return Actor(row.id, row.school_id, frozenset(Role(role) for role in held if role), name_of(row), session_id)


async def people(session: AsyncSession, school_id: str, ids: Iterable[str],
                 here_on: date | None = None) -> dict[str, PersonView]:
    """Those of `ids` that are people of this school, by id. `here_on`: without those who have left by that day."""
    wanted = list(ids)
    rows = (await session.exec(_PEOPLE, params={"school": school_id, "ids": wanted})).all()
    held = await roles(session, wanted)
    return {row.id: view_of(row, held.get(row.id, frozenset())) for row in rows if here_on is None or is_here(row, here_on)}


def is_here(row: Person, on: date) -> bool:
    """Whether they have not left by that day."""
    return row.left_on is None or row.left_on > on


async def person(session: AsyncSession, school_id: str, person_id: str) -> PersonView:
    found = (await people(session, school_id, [person_id])).get(person_id)
    if found is None:
        raise NotFound()
    return found


async def holders(session: AsyncSession, school_id: str, wanted: frozenset[Role]) -> list[PersonView]:
    """Everybody of this school who holds one of `wanted` and has not left, by name."""
    today = session.info["clock"].now().date()

    async def read() -> tuple[PersonView, ...]:
        ids = (await session.exec(_HOLDERS, params={"school": school_id, "roles": list(wanted)})).all()
        found = await people(session, school_id, ids, here_on=today)
        return tuple(sorted(found.values(), key=lambda person: rules.sort_key(person.full_name)))

    return list(await kept(session, ("holders", school_id, wanted, today), read))


async def has_head(session: AsyncSession, school_id: str) -> bool:
    """Whether somebody here is the headteacher: without one, others may ask for the next (`rules.grantable`)."""
    return bool(await holders(session, school_id, frozenset({Role.HEADTEACHER})))


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
    held = await roles(session, ids)
    here = [view_of(row, held.get(row.id, frozenset())) for row in rows if is_here(row, on)]
    return sorted(here, key=lambda person: rules.sort_key(person.full_name))


def name_of(row: Person) -> str:
    return rules.shown_name(
        kind=row.kind, title=row.title, given=row.given_name, preferred=row.preferred_name, family=row.family_name
    )


def view_of(row: Person, roles: frozenset[Role]) -> PersonView:
    full = f"{row.preferred_name or row.given_name} {row.family_name}".strip()
    return PersonView(row.id, row.kind, name_of(row), full, roles, row.year_group)


async def roles(session: AsyncSession, ids: Iterable[str]) -> dict[str, frozenset[Role]]:
    """The roles of each of `ids` that has any."""
    rows = (await session.exec(_ROLES, params={"ids": list(ids)})).all()
    found: dict[str, set[Role]] = {}
    for person_id, role in rows:
        found.setdefault(person_id, set()).add(Role(role))
    return {person_id: frozenset(roles) for person_id, roles in found.items()}


async def has_school(session: AsyncSession) -> bool:
    """Whether anybody's school is here: the self-test's is nobody's."""
    return (await session.exec(select(School.id).where(~col(School.is_self_test)).limit(1))).first() is not None


async def is_self_test(session: AsyncSession, school_id: str) -> bool:
    """Whether this is nobody's school: the one of the self-test."""
    return (await session.get_one(School, school_id)).is_self_test


async def only_school(session: AsyncSession) -> SchoolView | None:
    """The school of an installation that has one: what a page may name before anybody signed in."""
    async def read() -> SchoolView | None:
        rows = (await session.exec(select(School).where(~col(School.is_self_test)).limit(2))).all()
        return _school(rows[0]) if len(rows) == 1 else None

    return await kept(session, ("only school",), read)


# -- one's own account ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnAccount:
    email: str
    password_set_at: datetime | None


@dataclass(frozen=True)
class OpenSession:
    started_at: datetime
    seen_at: datetime
    route: str
    is_here: bool


ROUTES = {
    "password": "Password", "passkey": "Passkey", "reset": "One-time link", "badge": "Badge", "dev": "Demo link",
    "guest": "Guest’s link", "phone": "App on a phone",
}


async def account(session: AsyncSession, person_id: str) -> OwnAccount:
    row = await session.get_one(Person, person_id)
    kept = await session.get(Password, person_id)
    return OwnAccount(row.email or "", kept.set_at if kept else None)


async def open_sessions(session: AsyncSession, actor: Actor) -> list[OpenSession]:
    """Where a person is signed in now, the newest first."""
    now = session.info["clock"].now()
    rows = (await session.exec(
        select(SignIn).where(SignIn.person_id == actor.person_id, col(SignIn.ended_at).is_(None), SignIn.ends_at > now)
        .order_by(col(SignIn.started_at).desc()).limit(20)
    )).all()
    return [OpenSession(row.started_at, row.seen_at, ROUTES.get(row.route, row.route), row.id == actor.session_id)
            for row in rows]


async def own_words(session: AsyncSession, person_id: str) -> tuple[str, ...]:
    """What somebody guessing this person's password would try first: their names and their school's."""
    row = await session.get_one(Person, person_id)
    its_school = await session.get_one(School, row.school_id)
    return row.given_name, row.family_name, row.preferred_name, (row.email or "").partition("@")[0], its_school.name


async def let_in(session: AsyncSession, school_id: str, ids: Iterable[str], on: date) -> dict[str, str]:
    """By whose link those of `ids` last chose their password who did so within the last days: whoever made it could be them."""
    since = datetime.combine(on, datetime.min.time(), UTC) + credentials.RESET_LASTS - rules.TWO_PEOPLE_FOR
    rows = await session.exec(select(PasswordReset.person_id, PasswordReset.made_by).where(
        PasswordReset.school_id == school_id, col(PasswordReset.person_id).in_(list(ids)),
        col(PasswordReset.used_at).is_not(None), col(PasswordReset.expires_at) > since,
        PasswordReset.made_by != system(school_id).person_id).order_by(col(PasswordReset.expires_at)))
    return dict(rows.all())


async def whom_to_ask(session: AsyncSession) -> str:
    """Who helps people that cannot sign in, as pages say it to somebody unknown."""
    found = await only_school(session)
    technicians = await holders(session, found.id, frozenset({Role.TECHNICIAN})) if found else []
    return technicians[0].name if technicians else found.office if found else "the office"


# -- for the office ---------------------------------------------------------------------------------------------------


async def teaches(session: AsyncSession, adult_id: str, child_id: str) -> bool:
    """Whether the adult teaches a class that the child is in."""
    theirs = select(GroupMember.group_id).where(GroupMember.person_id == child_id, GroupMember.part == "pupil")
    return (await session.exec(select(GroupMember.group_id).where(
        GroupMember.person_id == adult_id, GroupMember.part == "teacher", col(GroupMember.group_id).in_(theirs)
    ).limit(1))).first() is not None


# -- the school -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Duty:
    id: str
    name: str
    weekday: int
    starts_at: str
    ends_at: str


@dataclass(frozen=True)
class SchoolPage:
    """Everything on the page about the school."""

    school: SchoolView
    terms: tuple[TermDate, ...]
    closures: tuple[Closure, ...]
    rota: tuple[Duty, ...]
    gaps: tuple[rules.Slot, ...]
    readiness: tuple[rules.Readiness, ...]
    profile: Profile
    profile_version: int
    profile_review_on: date | None


async def school_page(session: AsyncSession, school_id: str) -> SchoolPage:
    its_school = await school(session, school_id)
    today = session.info["clock"].now().date()
    terms = (await session.exec(select(TermDate).where(TermDate.school_id == school_id, TermDate.ends_on >= today)
                                .order_by(col(TermDate.starts_on)))).all()
    closures = (await session.exec(select(Closure).where(Closure.school_id == school_id, Closure.closed_on >= today)
                                   .order_by(col(Closure.closed_on)))).all()
    version = (await session.exec(select(ProfileVersion).where(ProfileVersion.school_id == school_id)
                                  .order_by(col(ProfileVersion.version).desc()).limit(1))).first()
    rota = await duties(session, school_id)
    return SchoolPage(
        its_school, tuple(terms), tuple(closures), rota, gaps(rota, its_school), await readiness(session, school_id),
        await profile(session, school_id), version.version if version else 0, version.review_on if version else None,
    )


async def duties(session: AsyncSession, school_id: str) -> tuple[Duty, ...]:
    """The duty rota, by day and hour, without those who have left."""
    today = session.info["clock"].now().date()
    rows = (await session.exec(
        select(DutySlot, Person).join(Person, col(Person.id) == DutySlot.person_id)
        .where(DutySlot.school_id == school_id, col(Person.left_on).is_(None) | (col(Person.left_on) > today)))).all()
    found = [Duty(slot.id, name_of(person), slot.weekday, slot.starts_at, slot.ends_at) for slot, person in rows]
    return tuple(sorted(found, key=lambda duty: (duty.weekday, duty.starts_at, duty.name)))


def gaps(rota: Iterable[Duty], its_school: SchoolView) -> tuple[rules.Slot, ...]:
    slots = [rules.Slot(duty.weekday, duty.starts_at, duty.ends_at) for duty in rota]
    return tuple(rules.rota_gaps(slots, its_school.opens_at, its_school.closes_at))


async def readiness(session: AsyncSession, school_id: str) -> tuple[rules.Readiness, ...]:
    """What the school still needs before it goes live."""
    its_profile = await profile(session, school_id)
    people_with_power = {person.id: person.roles for person in await holders(session, school_id, LEADERS | {Role.CHAIR})}
    today = session.info["clock"].now().date()
    terms = (await session.exec(select(TermDate.id).where(TermDate.school_id == school_id, TermDate.ends_on >= today))).all()
    return rules.readiness(
        approvers=len(rules.approvers(people_with_power, its_profile)),
        has_dsl=bool(await holders(session, school_id, frozenset({Role.DSL}))),
        gaps=len(gaps(await duties(session, school_id), await school(session, school_id))), terms=len(terms),
    )


async def animals_beside(session: AsyncSession, child_id: str) -> set[str]:
    """The animals on the badges of this child's classmates: a class of twelve has one each."""
    theirs = select(GroupMember.group_id).where(GroupMember.person_id == child_id, GroupMember.part == "pupil")
    return set((await session.exec(
        select(Badge.animal).join(GroupMember, col(GroupMember.person_id) == Badge.person_id).where(
            col(Badge.revoked_at).is_(None), col(GroupMember.group_id).in_(theirs)))).all())


# -- whom to write to -------------------------------------------------------------------------------------------------


async def address(session: AsyncSession, person_id: str) -> str:
    """Where an adult who is still here gets e-mail; empty when nowhere."""
    row = await session.get(Person, person_id)
    if row is None or row.kind != "adult":
        return ""
    return (row.email or "") if is_here(row, session.info["clock"].now().date()) else ""


def flags_of(row: Guardianship | GuardianshipChange) -> rules.Flags:
    return rules.Flags(row.parental_responsibility, row.court_order, row.do_not_contact)


async def families_to_tell(session: AsyncSession, school_id: str, child_ids: Iterable[str]) -> frozenset[str]:
    """The adults who may get news of any of these children unasked (policy: CM1)."""
    rows = await session.exec(select(Guardianship).where(
        Guardianship.school_id == school_id, col(Guardianship.child_id).in_(list(child_ids))))
    return frozenset(row.guardian_id for row in rows.all() if rules.may_be_told(flags_of(row)))
