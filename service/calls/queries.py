"""Reading what decides a call, and what pages show of calls: SQL in, frozen dataclasses out, never a number (policy: CM5)."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import and_, col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.agreements import queries as agreements
from service.calls import numbers, rules
from service.calls.grants import Grant
from service.calls.numbers import FAMILY, OWN, SCHOOL
from service.calls.progress import Why
from service.calls.rules import Contact, Facts
from service.calls.tables import Call, Calling, EmergencyUse, PersonalPhone
from service.foundation.errors import NotFound
from service.foundation.events import Actor, Role
from service.foundation.kept import kept
from service.people import queries as people
from service.people import registers, school_days
from service.people import rules as people_rules
from service.people.hashing import Pepper
from service.people.tables import DbsCheck, Guardianship, Person, SignIn
from service.safeguarding.reopening import queries as reopening

Teaches = Callable[[AsyncSession, str, str], Awaitable[bool]]
"""Whether an adult has a lesson with a child: lessons are a storey above (`app.state.has_lessons_with`)."""


@dataclass(frozen=True)
class Wanted:
    """A call as the rule is asked about it. `call_id` is empty while it is only a form."""

    school_id: str
    caller_id: str
    session_id: str
    child_id: str
    adult_id: str
    purpose: str
    by_telephone: bool = False
    call_id: str = ""


# -- what decides -------------------------------------------------------------------------------------------------------------


async def contacts(session: AsyncSession, pepper: Pepper, school_id: str, child_id: str) -> list[Contact]:
    """The adults of a child, in the order in which they are called."""
    today = await _today(session, school_id)
    rows = (await session.exec(select(Guardianship, Person).join(Person, col(Person.id) == Guardianship.guardian_id).where(
        Guardianship.school_id == school_id, Guardianship.child_id == child_id))).all()
    known = await numbers.known(session, pepper, school_id, [person.id for _, person in rows], FAMILY)
    found = {person.id: Contact(
        person.id, people.view_of(person, frozenset()).name, link.relationship, link.contact_order, link.parental_responsibility,
        link.court_order, link.do_not_contact, known[person.id].fit if person.id in known else None,
        known[person.id].language if person.id in known else "",
        is_here=person.kind == "adult" and people.is_here(person, today),
    ) for link, person in rows}
    barred = {known[one.adult_id].hash for one in found.values() if one.is_barred and one.adult_id in known}
    return rules.in_order(
        replace(one, shares=not one.is_barred and one.adult_id in known and known[one.adult_id].hash in barred)
        for one in found.values())


async def _today(session: AsyncSession, school_id: str) -> date:
    """The day on the school's wall: whoever leaves is here until it ends there."""
    now: datetime = session.info["clock"].now()
    return now.astimezone(ZoneInfo((await people.school(session, school_id)).zone)).date()


async def facts(session: AsyncSession, pepper: Pepper, wanted: Wanted, has_lessons_with: Teaches, *,
                is_placed: bool = False) -> Facts:
    """Everything that `rules.decide` asks, in one view of the database.

    `is_placed`: the look of each second. What protects the child (flags, roles, sign-in, grant) is read anew each time; what
    changes by a decision of ours alone is believed until there was one (`kept`); and who else calls was asked at dialling.
    """
    now: datetime = session.info["clock"].now()
    school = await people.school(session, wanted.school_id)
    local = now.astimezone(ZoneInfo(school.zone))
    caller = await people.actor(session, wanted.caller_id)
    adults = await contacts(session, pepper, wanted.school_id, wanted.child_id)
    placed = Facts(
        caller=wanted.caller_id, roles=caller.roles if caller and caller.school_id == wanted.school_id else frozenset(),
        is_signed_in=await _is_signed_in(session, wanted, now),
        contact=next((one for one in adults if one.adult_id == wanted.adult_id), None), purpose=wanted.purpose,
        is_demo=school.is_demo, is_closed=await reopening.is_closed(session, wanted.school_id), zone=school.zone,
        caller_is_busy=False, callee_is_busy=False, by_telephone=wanted.by_telephone,
        is_family=bool({wanted.child_id, wanted.adult_id} & await registers.own_family(
            session, wanted.school_id, wanted.caller_id)),
        **asdict(await _standing(session, pepper, wanted, caller, local.date(), has_lessons_with)),
    )
    if wanted.by_telephone:
        own = await numbers.known(session, pepper, wanted.school_id, [wanted.caller_id], OWN)
        grant = await standing_grant(session, wanted.school_id, wanted.caller_id)
        theirs = await numbers.hashes(session, wanted.school_id, [one.adult_id for one in adults], FAMILY)
        is_own = wanted.caller_id in own and own[wanted.caller_id].hash not in theirs.values()  # not one that he would answer
        placed = replace(placed, grant=grant, own_number=own[wanted.caller_id].fit if is_own else None)
    if is_placed:
        return placed
    about, family = await _placed_before(session, wanted, [one.adult_id for one in adults], local)
    return replace(placed, about_child=about, to_family=family,
                   caller_is_busy=await _is_busy(session, wanted, Call.caller_id == wanted.caller_id),
                   callee_is_busy=await _is_busy(session, wanted, Call.adult_id == wanted.adult_id))


@dataclass(frozen=True)
class _Standing:
    """What of a call's facts changes by a decision of this service alone."""

    is_cleared: bool
    teaches: bool
    is_child: bool
    is_school_day: bool
    has_shown: bool


async def _standing(session: AsyncSession, pepper: Pepper, wanted: Wanted, caller: Actor | None, today: date,
                    has_lessons_with: Teaches) -> _Standing:
    async def read() -> _Standing:
        child = (await people.people(session, wanted.school_id, [wanted.child_id], here_on=today)).get(wanted.child_id)
        return _Standing(
            await _is_cleared(session, caller, today),
            await _teaches(session, wanted.caller_id, wanted.child_id, has_lessons_with), child is not None and child.is_child,
            (await school_days.school_days(session, wanted.school_id)).has(today),
            bool(await numbers.known(session, pepper, wanted.school_id, [wanted.school_id], SCHOOL)))

    return await kept(session, ("call", wanted.school_id, wanted.caller_id, wanted.child_id, today), read)


async def _is_signed_in(session: AsyncSession, wanted: Wanted, now: datetime) -> bool:
    return (await session.exec(select(SignIn.id).where(
        SignIn.id == wanted.session_id, SignIn.person_id == wanted.caller_id, col(SignIn.ended_at).is_(None),
        SignIn.ends_at > now))).first() is not None


async def _is_cleared(session: AsyncSession, caller: Actor | None, today: date) -> bool:
    """A valid DBS check and a signed agreement (policy: AC8, CO1)."""
    if caller is None:
        return False
    checks = (await session.exec(select(DbsCheck).where(
        DbsCheck.school_id == caller.school_id, DbsCheck.person_id == caller.person_id,
        col(DbsCheck.withdrawn_at).is_(None)))).all()
    valid = any(people_rules.is_current(check.checked_on, check.recheck_on, today) for check in checks)
    return valid and (await agreements.standing(session, caller)).may_enter


async def _placed_before(session: AsyncSession, wanted: Wanted, adults: list[str], local: datetime) -> tuple[int, int]:
    """Calls placed today about this child, and within the hour to any of its adults; neither this nor one that rang nobody."""
    midnight = datetime.combine(local.date(), datetime.min.time(), local.tzinfo).astimezone(UTC)
    counted = select(func.count()).select_from(Call).where(
        Call.school_id == wanted.school_id, Call.id != wanted.call_id, Call.ended_why != Why.NOT_PLACED)
    about = await session.exec(counted.where(Call.child_id == wanted.child_id, col(Call.placed_at) >= midnight))
    family = await session.exec(counted.where(
        col(Call.adult_id).in_(adults), col(Call.placed_at) > local.astimezone(UTC) - timedelta(hours=1)))
    return about.one(), family.one()


async def _is_busy(session: AsyncSession, wanted: Wanted, who: Any) -> bool:
    return (await session.exec(select(Call.id).where(
        who, Call.id != wanted.call_id, col(Call.placed_at).is_not(None), col(Call.ended_at).is_(None)))).first() is not None


# -- grants --------------------------------------------------------------------------------------------------------------------


async def standing_grant(session: AsyncSession, school_id: str, person_id: str) -> Grant | None:
    """The grant by which somebody may use their own telephone now, the longest of them."""
    now = session.info["clock"].now()
    found = [one for one in await grants(session, school_id, person_id) if one.stands(person_id, now)]
    return max(found, key=lambda one: one.until, default=None)


async def grants(session: AsyncSession, school_id: str, person_id: str = "", *, ids: Iterable[str] | None = None) -> list[Grant]:
    """Requests for personal telephones, the newest first, with the roles that whoever decided holds now."""
    wanted = select(PersonalPhone).where(PersonalPhone.school_id == school_id).order_by(col(PersonalPhone.asked_at).desc())
    if person_id:
        wanted = wanted.where(PersonalPhone.person_id == person_id)
    if ids is not None:
        wanted = wanted.where(col(PersonalPhone.id).in_(list(ids)))
    rows = (await session.exec(wanted)).all()
    held = {}
    for decider in {row.decided_by for row in rows if row.decided_by}:
        actor = await people.actor(session, decider)
        held[decider] = actor.roles if actor and actor.school_id == school_id else frozenset[Role]()
    now = await numbers.hashes(session, school_id, {row.person_id for row in rows}, OWN)
    return [Grant(row.id, row.person_id, row.why, row.until, row.asked_at, row.decided_by, row.approved, row.revoked_at,
                  held.get(row.decided_by, frozenset()), row.number_hash, now.get(row.person_id, ""), row.reason) for row in rows]


async def grant(session: AsyncSession, school_id: str, request_id: str) -> Grant:
    found = await grants(session, school_id, ids=[request_id])
    if not found:
        raise NotFound()
    return found[0]


# -- what pages show -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CallView:
    """One call as a page shows it: names and words."""

    id: str
    child_id: str
    child: str
    adult: str
    relationship: str
    caller_id: str
    caller: str
    lesson_id: str
    purpose: str
    by_telephone: bool
    asked_at: datetime
    placed_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    why: str
    message_left: bool
    outcome: str
    agreed: str
    next_step: str
    next_on: Any
    recorded_at: datetime | None
    in_app: bool

    @property
    def is_on(self) -> bool:
        return self.placed_at is not None and self.ended_at is None

    @property
    def seconds(self) -> int:
        """How long the two heard each other."""
        return int((self.ended_at - self.connected_at).total_seconds()) if self.ended_at and self.connected_at else 0

    @property
    def length(self) -> str:
        minutes, seconds = divmod(self.seconds, 60)
        return f"{minutes:02}:{seconds:02}"

    @property
    def is_due(self) -> bool:
        """Whether its caller still has to say what came of it."""
        return self.ended_at is not None and self.placed_at is not None and self.recorded_at is None


async def views(session: AsyncSession, school_id: str, *where: Any, limit: int = 500) -> list[CallView]:
    """The calls that were placed, the newest first."""
    rows = (await session.exec(select(Call).where(Call.school_id == school_id, col(Call.placed_at).is_not(None), *where).order_by(
        col(Call.placed_at).desc(), col(Call.id).desc()).limit(limit))).all()
    return await _views(session, school_id, rows)


async def _views(session: AsyncSession, school_id: str, rows: Iterable[Call]) -> list[CallView]:
    found = list(rows)
    named = await people.people(session, school_id, {who for row in found for who in (row.child_id, row.adult_id, row.caller_id)})
    links = {(link.child_id, link.guardian_id): link.relationship for link in (await session.exec(select(Guardianship).where(
        Guardianship.school_id == school_id, col(Guardianship.child_id).in_([row.child_id for row in found])))).all()}

    def name(person_id: str, *, full: bool = False) -> str:
        one = named.get(person_id)
        return "Somebody who left" if one is None else one.full_name if full else one.name

    return [CallView(
        row.id, row.child_id, name(row.child_id, full=True), name(row.adult_id), links.get((row.child_id, row.adult_id), ""),
        row.caller_id, name(row.caller_id), row.lesson_id, row.purpose, row.by_telephone, row.asked_at, row.placed_at,
        row.connected_at, row.ended_at, row.ended_why, row.message_left, row.outcome, row.what_agreed, row.next_step, row.next_on,
        row.recorded_at, row.in_app,
    ) for row in found]


async def _not_of_own(session: AsyncSession, actor: Actor) -> Any:
    """Leaves out others' calls about the actor's own family: they may be about the one who reads (policy: CM1)."""
    own = list(await registers.own_family(session, actor.school_id, actor.person_id))
    return or_(Call.caller_id == actor.person_id, and_(col(Call.child_id).not_in(own), col(Call.adult_id).not_in(own)))


async def call(session: AsyncSession, actor: Actor, call_id: str) -> CallView:
    """One call: for whoever placed it, leaders, the safeguarding team and the office; for others there is none."""
    row = (await session.exec(select(Call).where(
        Call.id == call_id, Call.school_id == actor.school_id, await _not_of_own(session, actor)))).first()
    if row is None or not (row.caller_id == actor.person_id or actor.is_any(rules.ANYBODYS)):
        raise NotFound()
    return (await _views(session, actor.school_id, [row]))[0]


async def to_record(session: AsyncSession, actor: Actor) -> list[CallView]:
    """The actor's calls of which nobody said yet what came of them."""
    return await views(session, actor.school_id, Call.caller_id == actor.person_id, col(Call.ended_at).is_not(None),
                       col(Call.recorded_at).is_(None))


async def register(session: AsyncSession, actor: Actor, *where: Any, limit: int = 500) -> list[CallView]:
    """The calls that the actor reads of, the newest first."""
    return await views(session, actor.school_id, await _not_of_own(session, actor), *where, limit=limit)


async def in_progress(session: AsyncSession, actor: Actor) -> list[CallView]:
    return await register(session, actor, col(Call.ended_at).is_(None))


async def about(session: AsyncSession, actor: Actor, child_id: str, limit: int = 20) -> list[CallView]:
    """The calls about a child, as the actor may know of them."""
    return await register(session, actor, Call.child_id == child_id, *_not_of_the_team(actor), limit=limit)


def _not_of_the_team(actor: Actor) -> list[Any]:
    """Whoever does not read the register reads of no call of the safeguarding team: that there was one tells that there is a
    concern, and it may be about them (policy: CM1)."""
    return [] if actor.is_any(rules.ANYBODYS) else [or_(Call.caller_id == actor.person_id, col(Call.by_team).is_(False))]


async def of_family(session: AsyncSession, actor: Actor, child_ids: Iterable[str], after: tuple[datetime, str] | None = None,
                    limit: int = 20) -> list[CallView]:
    """The calls that are over about these children, as a parent may know of them: theirs, and the school's to other adults. Not
    what the safeguarding team said to another adult: it may be about the one who looks (policy: CM1). `after`: when the last one
    was placed that is known, and its id."""
    return await views(session, actor.school_id, col(Call.child_id).in_(list(child_ids)), col(Call.ended_at).is_not(None),
                       (col(Call.adult_id) == actor.person_id) | col(Call.by_team).is_(False),
                       *([or_(col(Call.placed_at) < after[0], (col(Call.placed_at) == after[0]) & (col(Call.id) < after[1]))]
                         if after else []), limit=limit)


async def last_reached(session: AsyncSession, school_id: str, child_ids: Iterable[str],
                       reader: Actor | None = None) -> dict[str, datetime]:
    """When each child's family was last spoken to: whoever was connected to nobody spoke to nobody, whatever they recorded.
    `reader`: who is shown it; none, where it decides."""
    rows = await session.exec(select(Call.child_id, func.max(Call.placed_at)).where(
        Call.school_id == school_id, col(Call.child_id).in_(list(child_ids)), Call.outcome == "spoke",
        col(Call.connected_at).is_not(None), *(_not_of_the_team(reader) if reader else ()),
    ).group_by(col(Call.child_id)))
    return {child: at for child, at in rows.all() if at is not None}


async def is_withheld(session: AsyncSession, school_id: str) -> bool:
    row = await session.get(Calling, school_id)
    return row is not None and row.withheld


async def child_to_call_about(session: AsyncSession, actor: Actor, child_id: str, has_lessons_with: Teaches) -> people.PersonView:
    """A child about whom this person may call somebody. Raises NotFound for every other, Refused for one of their own family."""
    child = await child_of(session, actor, child_id, has_lessons_with)
    if child.id in await registers.own_family(session, actor.school_id, actor.person_id):
        raise rules.Refused(rules.OWN_FAMILY.words, code=rules.OWN_FAMILY.code)
    return child


async def child_of(session: AsyncSession, actor: Actor, child_id: str, has_lessons_with: Teaches) -> people.PersonView:
    """A child with whom this person has to do at work. Raises NotFound for every other."""
    today = await _today(session, actor.school_id)
    child = (await people.people(session, actor.school_id, [child_id], here_on=today)).get(child_id)
    if child is None or not child.is_child:
        raise NotFound()
    if not actor.is_any(rules.ANYBODYS) and not await _teaches(session, actor.person_id, child_id, has_lessons_with):
        raise NotFound()
    return child


async def _teaches(session: AsyncSession, adult_id: str, child_id: str, has_lessons_with: Teaches) -> bool:
    return await people.teaches(session, adult_id, child_id) or await has_lessons_with(session, adult_id, child_id)


async def adult_of_families(session: AsyncSession, actor: Actor, person_id: str) -> people.PersonView:
    """An adult in some child's life. Raises NotFound for everybody else, Refused for one of the actor's own family."""
    person = await people.person(session, actor.school_id, person_id)
    if person.is_child or not await registers.guardians(session, actor.school_id, guardian_id=person_id):
        raise NotFound()
    if person.id in await registers.own_family(session, actor.school_id, actor.person_id):
        raise rules.Refused(rules.OWN_FAMILY.words, code=rules.OWN_FAMILY.code)
    return person


@dataclass(frozen=True)
class EmergencyView:
    """That somebody used their own telephone in an emergency."""

    caller: str
    child: str
    happened_at: datetime
    words: str
    told_at: datetime


async def emergencies(session: AsyncSession, actor: Actor, limit: int = 20) -> list[EmergencyView]:
    school_id, own = actor.school_id, list(await registers.own_family(session, actor.school_id, actor.person_id))
    rows = (await session.exec(select(EmergencyUse).where(
        EmergencyUse.school_id == school_id,
        or_(EmergencyUse.person_id == actor.person_id, col(EmergencyUse.child_id).not_in(own))).order_by(
        col(EmergencyUse.happened_at).desc()).limit(limit))).all()
    named = await people.people(session, school_id, {who for row in rows for who in (row.person_id, row.child_id)})
    return [EmergencyView(named[row.person_id].name, named[row.child_id].full_name, row.happened_at, row.words, row.told_at)
            for row in rows]
