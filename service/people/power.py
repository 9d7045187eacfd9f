"""Who may approve: given by two people, so that nobody makes the approver of their own request (threat T5, policy: RL1, AC3).

One person asks, by giving such a role on a person's page; another who holds one agrees. Until then it is a request and
nothing else: no query of roles sees it. Only the founding of a school, before anybody has signed in, needs no second person.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor, Role, system
from service.people import queries, rules, step_up
from service.people.actions import Action
from service.people.events import RoleAgreed, RoleAsked, RoleRefused, RolesChanged
from service.people.step_up import Proof
from service.people.tables import Person, PersonRole, RoleRequest, School

CONSOLE = "console"


class Decided(Conflict):
    """Somebody has decided this already. Read it again."""

    code = "role-decided"


class AskedAlready(Conflict):
    """Somebody has asked for this role already. It waits for a second person."""

    code = "role-asked"


async def ask(session: AsyncSession, actor: Actor, person_id: str, roles: frozenset[Role], now: datetime) -> None:
    """Ask a second person for each of these roles. The caller has checked that `actor` may give them. Raises AskedAlready."""
    if roles & await waiting_for(session, person_id):
        raise AskedAlready()
    for role in sorted(roles):
        row = RoleRequest(school_id=actor.school_id, person_id=person_id, role=role, asked_by=actor.person_id, asked_at=now)
        session.add(row)
        await publish(session, RoleAsked(person_id, row.id, role), actor)


async def waiting_for(session: AsyncSession, person_id: str) -> frozenset[Role]:
    """The roles that somebody is to be given and does not hold."""
    return frozenset(Role(role) for role in (await session.exec(select(RoleRequest.role).where(
        RoleRequest.person_id == person_id, col(RoleRequest.decided_at).is_(None)))).all())


async def agreeing(session: AsyncSession, actor: Actor, request_id: str) -> Action:
    """What this person has to confirm to agree; raises what `agree` would, so that nobody proves themselves in vain."""
    row = await _waiting(session, actor, request_id)
    asker = await queries.actor(session, row.asked_by)
    rules.checked_role_second(actor, row.person_id, Role(row.role), row.asked_by, asker,
                              has_head=await queries.has_head(session, actor.school_id))
    person = await _here(session, row)
    name = queries.view_of(person, frozenset()).full_name
    return rules.second_action(row.id, row.person_id, Role(row.role), row.asked_by, name, person.email or "")


async def _waiting(session: AsyncSession, actor: Actor, request_id: str) -> RoleRequest:
    row = await session.get(RoleRequest, request_id)
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    if row.decided_at is not None:
        raise Decided()
    return row


async def _here(session: AsyncSession, row: RoleRequest) -> Person:
    person = await session.get_one(Person, row.person_id)
    if person.left_on is not None and person.left_on <= session.info["clock"].now().date():
        raise Conflict("This person has left. Take the request back.")
    return person


async def agree(session: AsyncSession, actor: Actor, request_id: str, *, proof: Proof, now: datetime) -> None:
    """The second person agrees, and the role counts from now on.

    Raises NotAllowed, Decided, and NotConfirmed without a proof that is for exactly this role and person.
    """
    action = await agreeing(session, actor, request_id)
    await step_up.confirmed(session, actor, action, proof, now)
    await _give(session, actor, await _waiting(session, actor, request_id), actor.person_id, now)


async def _give(session: AsyncSession, actor: Actor, row: RoleRequest, decided_by: str, now: datetime) -> None:
    row.decided_by, row.decided_at, row.agreed = decided_by, now, True
    await session.flush()  # the database lets such a role in only after what two people agreed
    await session.merge(PersonRole(person_id=row.person_id, role=row.role, school_id=row.school_id))
    school = await session.get_one(School, row.school_id)
    school.roster_version += 1  # a file that was compared with other roles is out of date
    await publish(session, RoleAgreed(row.person_id, row.id, row.role, row.asked_by), actor)
    await publish(session, RolesChanged(row.person_id, (Role(row.role),), ()), actor)


async def refuse(session: AsyncSession, actor: Actor, request_id: str, *, now: datetime) -> None:
    """Whoever may agree does not, or who asked takes it back. Saying no takes no second person and no proof."""
    row = await _waiting(session, actor, request_id)
    if not actor.roles & rules.POWERFUL and actor.person_id != row.asked_by:
        raise rules.SecondNeeded("A leader, the safeguarding team or the chair of governors decides this.")
    row.decided_by, row.decided_at, row.agreed = actor.person_id, now, False
    await publish(session, RoleRefused(row.person_id, row.id, row.role), actor)


async def end_all(session: AsyncSession, actor: Actor, now: datetime) -> None:
    """Refuse what waits for a second person, such as after a restore: whether it was taken back since is not known."""
    for row in (await session.exec(select(RoleRequest).where(
            RoleRequest.school_id == actor.school_id, col(RoleRequest.decided_at).is_(None)))).all():
        row.decided_by, row.decided_at, row.agreed = actor.person_id, now, False
        await publish(session, RoleRefused(row.person_id, row.id, row.role), actor)


# -- while a school has no headteacher ----------------------------------------------------------------------------------


async def asking_for_head(session: AsyncSession, actor: Actor, email: str) -> Action:
    """What the chair has to confirm to ask for the next headteacher, found by the address they sign in with.

    Raises NotAllowed while there is a headteacher, AskedAlready, and Invalid where nobody here has this address: a chair sees
    no list of people.
    """
    found = await _next_head(session, actor, email)
    return rules.head_action(found.id, queries.view_of(found, frozenset()).full_name, found.email or "")


async def ask_for_head(session: AsyncSession, actor: Actor, email: str, *, proof: Proof, now: datetime) -> None:
    """The chair asks for the next headteacher; another holder of power agrees, as to every such role."""
    await step_up.confirmed(session, actor, await asking_for_head(session, actor, email), proof, now)
    await ask(session, actor, (await _next_head(session, actor, email)).id, frozenset({Role.HEADTEACHER}), now)


async def _next_head(session: AsyncSession, actor: Actor, email: str) -> Person:
    rules.checked_next_head(actor, "", "adult", has_head=await queries.has_head(session, actor.school_id))
    found = await _by_email(session, actor.school_id, email)
    if found is None:
        raise Invalid(fields={"email": "Nobody here has this e-mail address. The office adds the person first"})
    rules.checked_next_head(actor, found.id, found.kind, has_head=False)
    if Role.HEADTEACHER in await waiting_for(session, found.id):
        raise AskedAlready()
    return found


async def _by_email(session: AsyncSession, school_id: str, email: str) -> Person | None:
    """Whoever works here with this address; None where nobody does, or who did has left."""
    found = (await session.exec(select(Person).where(
        Person.school_id == school_id, Person.email == email.strip().lower()))).first()
    return found if found and queries.is_here(found, session.info["clock"].now().date()) else None


# -- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RequestView:
    """A request as the page shows it. `may_agree`: how many other people could."""

    id: str
    person_id: str
    person: str
    email: str
    role: Role
    asked_by_id: str
    asked_by: str
    asked_at: datetime
    decided_by: str
    decided_at: datetime | None
    agreed: bool | None
    may_agree: int


async def request(session: AsyncSession, school_id: str, request_id: str) -> RequestView:
    row = await session.get(RoleRequest, request_id)
    if row is None or row.school_id != school_id:
        raise NotFound()
    return (await _views(session, school_id, [row]))[0]


async def waiting(session: AsyncSession, school_id: str) -> list[RequestView]:
    """Every request that nobody has decided, the oldest first."""
    rows = (await session.exec(select(RoleRequest).where(
        RoleRequest.school_id == school_id, col(RoleRequest.decided_at).is_(None)).order_by(col(RoleRequest.asked_at)))).all()
    return await _views(session, school_id, list(rows))


async def _views(session: AsyncSession, school_id: str, rows: list[RoleRequest]) -> list[RequestView]:
    named = await queries.people(session, school_id, {each for row in rows for each in (
        row.person_id, row.asked_by, row.decided_by)})
    holders = {one.id for one in await queries.holders(session, school_id, rules.POWERFUL)}
    emails = dict((await session.exec(select(Person.id, Person.email).where(
        col(Person.id).in_([row.person_id for row in rows])))).all())

    def name(person_id: str) -> str:
        return named[person_id].full_name if person_id in named else "The console of the service"

    return [RequestView(
        row.id, row.person_id, name(row.person_id), emails.get(row.person_id) or "", Role(row.role), row.asked_by,
        name(row.asked_by), row.asked_at, name(row.decided_by), row.decided_at, row.agreed,
        len(holders - {row.asked_by, row.person_id})) for row in rows]


# -- when one person is left ------------------------------------------------------------------------------------------


async def name_chair(session: AsyncSession, school_id: str, email: str, now: datetime) -> str:
    """Where the service runs: make an adult who is on record the chair, of a school in which nobody could agree to anything.

    Returns the person's id. Raises NotAllowed while two people with power are left, NotFound.
    """
    found = await _by_email(session, school_id, email)
    if found is None:
        raise NotFound("Nobody here has this e-mail address. The office adds the person as a governor first.")
    rules.may_be_named(len(await queries.holders(session, school_id, rules.POWERFUL)), found.kind)
    row = RoleRequest(school_id=school_id, person_id=found.id, role=Role.CHAIR, asked_by="system", asked_at=now)
    session.add(row)
    await publish(session, RoleAsked(found.id, row.id, Role.CHAIR), system(school_id))
    await session.flush()
    await _give(session, system(school_id), row, CONSOLE, now)
    return found.id
