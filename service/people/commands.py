"""What the office, leaders and technicians do with people: add, change, give roles, let go; badges and one-time links.

Each loads, asks `rules`, writes and publishes in the caller's transaction; none commits.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor, Role
from service.foundation.web import token_hash
from service.people import contacts, credentials, factors, power, queries, registers, rules, sessions, step_up
from service.people.events import (
    BadgeIssued,
    BadgeUnlocked,
    DbsRecorded,
    DbsWithdrawn,
    GroupAdded,
    GroupChanged,
    PasswordResetMade,
    PersonAdded,
    PersonChanged,
    PersonLeft,
    PersonReturned,
    RolesChanged,
)
from service.people.hashing import Pepper
from service.people.step_up import Proof
from service.people.tables import (
    Badge,
    DbsCheck,
    GroupMember,
    PasswordReset,
    Person,
    PersonRole,
    School,
    SignIn,
    TeachingGroup,
)

NOTHING = Proof()


class IsTheirTeacher(Conflict):
    """An adult who teaches a pupil cannot make their badge or PIN. Ask somebody who does not teach them."""

    code = "is-their-teacher"


async def find(session: AsyncSession, actor: Actor, person_id: str) -> Person:
    """The row of a person of the actor's school, or NotFound."""
    row = await session.get(Person, person_id)
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    return row


async def note_roster(session: AsyncSession, school_id: str) -> None:
    """People changed: an import that was checked against what was there before is out of date."""
    await session.exec(update(School).where(col(School.id) == school_id).values(roster_version=School.roster_version + 1))


# -- people -----------------------------------------------------------------------------------------------------------


async def add_person(session: AsyncSession, actor: Actor, given: rules.PersonFields, roles: frozenset[Role],
                     proof: Proof = NOTHING) -> str:
    """A new person with their roles. Returns the id. One with power is confirmed, as giving it is: else a leader's open
    screen would be enough for a second leader, who approves what the first may not (threat T5). Raises NotConfirmed.

    What takes two people waits for a second person (`power`).
    """
    now: datetime = session.info["clock"].now()
    rules.checked_roles(actor, "", given.kind, frozenset(), roles, has_head=await queries.has_head(session, actor.school_id))
    person_id = await write_person(session, actor, given, roles - rules.BY_TWO)
    if rules.asks_who_adds(roles):
        await step_up.confirmed(session, actor, rules.adding_action(given, roles), proof, now)
    await power.ask(session, actor, person_id, roles & rules.BY_TWO, now)
    return person_id


async def write_person(session: AsyncSession, actor: Actor, given: rules.PersonFields, roles: frozenset[Role]) -> str:
    """A new person, whoever they are: for `add_person`, and for the school that the self-test makes for itself."""
    person_id = new_id()
    rules.checked_person(given)
    rules.checked_roles(actor, person_id, given.kind, frozenset(), roles)
    await _unused(session, actor.school_id, given, person_id)
    session.add(Person(id=person_id, school_id=actor.school_id, **given.columns()))
    session.add_all(PersonRole(person_id=person_id, role=role, school_id=actor.school_id) for role in roles)
    await note_roster(session, actor.school_id)
    await publish(session, PersonAdded(person_id, given.kind), actor)
    if roles:
        await publish(session, RolesChanged(person_id, tuple(sorted(roles)), ()), actor)
    return person_id


async def change_person(session: AsyncSession, actor: Actor, person_id: str, given: rules.PersonFields, version: int) -> None:
    """Correct what is known of a person. A child stays a child: that is not a field that a form changes. Whose e-mail address
    is replaced is warned at the one before (`contacts`)."""
    row = await find(session, actor, person_id)
    if row.version != version:
        raise Conflict()
    rules.checked_person(given)
    if given.kind != row.kind:
        raise Invalid(fields={"kind": "Whether somebody is a child cannot be changed. Add them again"})
    await _unused(session, actor.school_id, given, person_id)
    changed = tuple(name for name, value in given.columns().items() if getattr(row, name) != value)
    if not changed:
        return
    earlier = row.email
    for name in changed:
        setattr(row, name, given.columns()[name])
    row.version += 1
    if earlier and "email" in changed:
        await contacts.changed(session, actor.school_id, {person_id: earlier}, about=person_id, now=session.info["clock"].now())
    await note_roster(session, actor.school_id)
    await publish(session, PersonChanged(person_id, changed), actor)


async def _unused(session: AsyncSession, school_id: str, given: rules.PersonFields, person_id: str) -> None:
    """Two people never share a sign-in name or an id of the school's system (policy: AC1)."""
    for field, column, value in (("email", Person.email, given.email), ("external_id", Person.external_id, given.external_id)):
        if value and (await session.exec(
            select(Person.id).where(Person.school_id == school_id, col(column) == value, Person.id != person_id)
        )).first():
            raise Invalid(fields={field: "Somebody else has this already"})


async def change_roles(session: AsyncSession, actor: Actor, person_id: str, after: frozenset[Role], proof: Proof,
                       now: datetime) -> None:
    """Give and take roles, confirmed for exactly this. Losing one signs the person out everywhere; gaining one does not.

    What takes two people is not given here: it waits for a second person (`power`). Taking it away takes one.
    """
    row = await find(session, actor, person_id)
    before = (await queries.roles(session, [person_id])).get(person_id, frozenset())
    rules.checked_roles(actor, person_id, row.kind, before, after, has_head=await queries.has_head(session, actor.school_id))
    given, taken = after - before, before - after
    if not given and not taken:
        return
    await step_up.confirmed(session, actor, rules.role_action(person_id, "", before, after), proof, now)
    await power.ask(session, actor, person_id, given & rules.BY_TWO, now)
    await _write_roles(session, actor, person_id, given - rules.BY_TWO, taken)
    if taken:
        await sessions.end_all(session, actor, person_id=person_id, why="roles", now=now)


async def _write_roles(session: AsyncSession, actor: Actor, person_id: str, given: frozenset[Role],
                       taken: frozenset[Role]) -> None:
    if not given and not taken:
        return
    await session.exec(delete(PersonRole).where(col(PersonRole.person_id) == person_id, col(PersonRole.role).in_(taken)))
    session.add_all(PersonRole(person_id=person_id, role=role, school_id=actor.school_id) for role in given)
    await note_roster(session, actor.school_id)
    await publish(session, RolesChanged(person_id, tuple(sorted(given)), tuple(sorted(taken))), actor)


async def leave(session: AsyncSession, actor: Actor, person_id: str, now: datetime) -> None:
    """Somebody has left: access ends at once, badge and sessions included. What they did stays known."""
    row = await find(session, actor, person_id)
    if person_id == actor.person_id:
        raise Conflict("You cannot mark yourself as having left. Ask a senior leader.")
    if row.left_on is not None and row.left_on <= now.date():
        return
    row.left_on = now.date()
    row.version += 1
    await session.exec(
        update(Badge).where(col(Badge.person_id) == person_id, col(Badge.revoked_at).is_(None)).values(revoked_at=now))
    await note_roster(session, actor.school_id)
    await publish(session, PersonLeft(person_id), actor)
    await sessions.end_all(session, actor, person_id=person_id, why="left", now=now)


async def come_back(session: AsyncSession, actor: Actor, person_id: str, proof: Proof = NOTHING) -> None:
    """Somebody who left is here again. Power comes back only by two people, as it is given: it is confirmed, and then waits for
    the second. A badge has to be made anew."""
    row = await find(session, actor, person_id)
    if row.left_on is None:
        return
    roles = (await queries.roles(session, [person_id])).get(person_id, frozenset())
    rules.checked_return(actor, person_id, roles, has_head=await queries.has_head(session, actor.school_id))
    now: datetime = session.info["clock"].now()
    if rules.asks_who_adds(roles):
        await step_up.confirmed(session, actor, rules.return_action(person_id, "", roles), proof, now)
    await _write_roles(session, actor, person_id, frozenset(), roles & rules.BY_TWO)
    await power.ask(session, actor, person_id, roles & rules.BY_TWO, now)
    row.left_on = None
    row.version += 1
    await factors.came_back(session, actor, [person_id])
    await note_roster(session, actor.school_id)
    await publish(session, PersonReturned(person_id), actor)


# -- passwords and badges ---------------------------------------------------------------------------------------------


async def make_reset(session: AsyncSession, actor: Actor, person_id: str, now: datetime) -> str:
    """A one-time link's token, to hand over now; only its hash is kept, and links made before stop (policy: AC9)."""
    row = await find(session, actor, person_id)
    target = await queries.actor(session, person_id)
    if target is not None and not registers.sees(actor, row.kind, target.roles):
        raise NotFound()  # a link is a way to sign in as them: for nobody whom the actor does not even see
    if target is None or row.kind == "child" or not row.email:
        raise Invalid("Only adults with an e-mail address have a password. Add the address first.")
    rules.checked_reset(actor, person_id, target.roles)
    await factors.refuse_who_reset(session, actor, person_id, now)
    await factors.refuse_who_cleared(session, actor, person_id)
    return await first_link(session, actor, person_id, now)


async def first_link(session: AsyncSession, actor: Actor, person_id: str, now: datetime) -> str:
    """A one-time link for a person, whoever they are: for the founding of a school, and for `make_reset`."""
    await session.exec(delete(PasswordReset).where(
        col(PasswordReset.person_id) == person_id, col(PasswordReset.used_at).is_(None)))
    token = secrets.token_urlsafe(24)
    session.add(PasswordReset(
        school_id=actor.school_id, person_id=person_id, token_hash=token_hash(token), made_by=actor.person_id,
        expires_at=now + credentials.RESET_LASTS,
    ))
    await publish(session, PasswordResetMade(person_id), actor)
    return token


@dataclass(frozen=True)
class NewBadge:
    """What is printed, once: the code in the square, the animal, and the PIN for a separate slip."""

    person_id: str
    name: str
    code: str
    animal: str
    pin_kind: str
    pin: str


async def issue_badge(session: AsyncSession, actor: Actor, person_id: str, pepper: Pepper, now: datetime) -> NewBadge:
    """A new badge and PIN for a pupil. The old badge stops, and whoever used it is signed out.

    An adult who teaches the pupil is refused: with the badge they could be the second child in a room (threat T3).
    """
    row = await find(session, actor, person_id)
    if row.kind != "child" or (row.left_on is not None and row.left_on <= now.date()):
        raise NotFound()
    if await queries.teaches(session, actor.person_id, person_id):
        raise IsTheirTeacher()
    await session.exec(
        update(Badge).where(col(Badge.person_id) == person_id, col(Badge.revoked_at).is_(None)).values(revoked_at=now))
    kind = credentials.pin_kind(row.born_on, row.year_group, now.date())
    code, pin, badge_id = credentials.new_code(), credentials.new_pin(kind), new_id()
    animal = secrets.choice(sorted(set(credentials.ANIMALS) - await queries.animals_beside(session, person_id))
                            or credentials.ANIMALS)
    session.add(Badge(
        id=badge_id, school_id=actor.school_id, person_id=person_id, secret_hash=pepper.code(credentials.normal_code(code)),
        animal=animal, pin_kind=kind, pin_hash=pepper.pin(badge_id, pin), issued_at=now, issued_by=actor.person_id,
    ))
    await publish(session, BadgeIssued(person_id, badge_id), actor)
    if (await session.exec(select(SignIn.id).where(SignIn.person_id == person_id, col(SignIn.ended_at).is_(None)))).first():
        await sessions.end_all(session, actor, person_id=person_id, why="badge", now=now)
    return NewBadge(person_id, queries.name_of(row), code, animal, kind, pin)


async def unlock_badge(session: AsyncSession, actor: Actor, person_id: str) -> None:
    """Give a pupil five new tries, after somebody spoke to them."""
    await find(session, actor, person_id)
    if await queries.teaches(session, actor.person_id, person_id):
        raise IsTheirTeacher()
    badge = (await session.exec(select(Badge).where(Badge.person_id == person_id, col(Badge.revoked_at).is_(None)))).first()
    if badge is None or not badge.failures:
        return
    badge.failures = 0
    await publish(session, BadgeUnlocked(person_id, badge.id), actor)


# -- classes ----------------------------------------------------------------------------------------------------------


async def add_group(session: AsyncSession, actor: Actor, name: str, key_stage: int, year_group: str = "") -> str:
    group_id = new_id()
    name = await _group_name(session, actor, name, group_id)
    session.add(TeachingGroup(id=group_id, school_id=actor.school_id, name=name, key_stage=key_stage, year_group=year_group))
    await note_roster(session, actor.school_id)
    await publish(session, GroupAdded(group_id), actor)
    return group_id


async def _group_name(session: AsyncSession, actor: Actor, name: str, group_id: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 60:
        raise Invalid(fields={"name": "Give the class a name of up to 60 letters"})
    if (await session.exec(select(TeachingGroup.id).where(
        TeachingGroup.school_id == actor.school_id, TeachingGroup.name == name, TeachingGroup.id != group_id
    ))).first():
        raise Invalid(fields={"name": "There is a class with this name already"})
    return name


async def change_group(session: AsyncSession, actor: Actor, group_id: str, *, name: str, key_stage: int,
                       pupil_ids: Iterable[str], teacher_ids: Iterable[str]) -> None:
    """A class's name, stage, pupils and teachers, as they should be from now on."""
    group = await session.get(TeachingGroup, group_id)
    if group is None or group.school_id != actor.school_id:
        raise NotFound()
    name = await _group_name(session, actor, name, group_id)
    fields = [field for field, value in (("name", name), ("key_stage", key_stage)) if getattr(group, field) != value]
    group.name, group.key_stage = name, key_stage
    for part, wanted, kind in (("pupil", set(pupil_ids), "child"), ("teacher", set(teacher_ids), "adult")):
        if await _set_members(session, actor, group_id, part, wanted, kind):
            fields.append(f"{part}s")
    if fields:
        await note_roster(session, actor.school_id)
        await publish(session, GroupChanged(group_id, tuple(fields)), actor)


async def join_group(session: AsyncSession, actor: Actor, group_id: str, person_id: str) -> None:
    """Put one more pupil into a class."""
    group = await session.get(TeachingGroup, group_id)
    if group is None or group.school_id != actor.school_id:
        raise NotFound()
    session.add(GroupMember(group_id=group_id, person_id=person_id, school_id=actor.school_id, part="pupil"))
    await publish(session, GroupChanged(group_id, ("pupils",)), actor)


async def _set_members(session: AsyncSession, actor: Actor, group_id: str, part: str, wanted: set[str], kind: str) -> bool:
    known = set((await session.exec(select(Person.id).where(
        Person.school_id == actor.school_id, col(Person.id).in_(wanted), Person.kind == kind))).all())
    if known != wanted:
        raise NotFound()
    now_in = set((await session.exec(select(GroupMember.person_id).where(
        GroupMember.group_id == group_id, GroupMember.part == part))).all())
    await session.exec(delete(GroupMember).where(
        col(GroupMember.group_id) == group_id, col(GroupMember.person_id).in_(now_in - wanted)))
    session.add_all(GroupMember(group_id=group_id, person_id=person_id, school_id=actor.school_id, part=part)
                    for person_id in wanted - now_in)
    return now_in != wanted


# -- the DBS register (policy: AC8) -----------------------------------------------------------------------------------


async def record_dbs(session: AsyncSession, actor: Actor, person_id: str, *, number: str, checked_on: date | None,
                     recheck_on: date | None, now: datetime) -> None:
    """Enter a DBS check that somebody has seen. Nobody enters their own; the certificate itself is never kept."""
    row = await find(session, actor, person_id)
    if row.kind != "adult":
        raise NotFound()
    checked = rules.checked_dbs(actor, person_id, number, checked_on, recheck_on, now.date())
    await factors.refuse_who_let_in(session, actor, person_id)
    check = DbsCheck(school_id=actor.school_id, person_id=person_id, certificate_number=checked.number,
                     checked_on=checked.checked_on, recheck_on=checked.recheck_on, recorded_by=actor.person_id)
    session.add(check)
    await publish(session, DbsRecorded(person_id, check.id), actor)


async def withdraw_dbs(session: AsyncSession, actor: Actor, check_id: str, *, reason: str, now: datetime) -> None:
    """An entry is no longer to be relied on. It stays in the register; the person is out of lessons at once."""
    check = await session.get(DbsCheck, check_id)
    if check is None or check.school_id != actor.school_id:
        raise NotFound()
    if not reason.strip():
        raise Invalid(fields={"reason": "Say why this check is no longer valid"})
    if check.withdrawn_at is None:
        check.withdrawn_at = now
        await publish(session, DbsWithdrawn(check.person_id, check.id, reason.strip()[:500]), actor)
