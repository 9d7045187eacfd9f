"""The school itself: founding it, its hours, terms, closures and duty rota, and opening it for real pupils.

A school does not go live before two people could approve an exception and somebody is on duty at every hour it is open.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from govuk_bank_holidays.bank_holidays import BankHolidays
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role, system
from service.people import commands, queries, rules
from service.people.events import PersonAdded, RolesChanged, SchoolChanged, SchoolFounded, SchoolOpened
from service.people.profile import Profile
from service.people.tables import Closure, DutySlot, Person, PersonRole, ProfileVersion, School, TermDate

COUNTRIES = {
    "england-and-wales": BankHolidays.ENGLAND_AND_WALES, "scotland": BankHolidays.SCOTLAND,
    "northern-ireland": BankHolidays.NORTHERN_IRELAND,
}
ON_DUTY = LEADERS | SAFEGUARDING
FOUNDERS = (  # who is named when a school is founded: (field, role, has to be there)
    ("headteacher", Role.HEADTEACHER, True), ("dsl", Role.DSL, True), ("deputy", Role.DEPUTY_DSL, False),
    ("deputy2", Role.DEPUTY_DSL, False), ("chair", Role.CHAIR, False), ("office", Role.OFFICE, True),
    ("technician", Role.TECHNICIAN, False), ("dpo", Role.DPO, False),
)


@dataclass(frozen=True)
class Named:
    """Somebody named at founding."""

    title: str
    given_name: str
    family_name: str
    email: str

    @property
    def is_empty(self) -> bool:
        return not (self.given_name or self.family_name or self.email)


@dataclass(frozen=True)
class Founding:
    name: str
    office: str
    country: str
    opens_at: str
    closes_at: str
    people: dict[str, Named]


@dataclass(frozen=True)
class Founded:
    """The new school, and for each person named the token of a one-time link, shown once."""

    school_id: str
    links: tuple[tuple[str, Role, str], ...]


async def found(session: AsyncSession, given: Founding, now: datetime) -> Founded:
    """The first school of an installation, with the default rules and the bank holidays of the next years."""
    if await queries.has_school(session):
        raise NotFound()
    _checked(given)
    school = School(name=given.name, office=given.office, opens_at=given.opens_at, closes_at=given.closes_at)
    session.add(school)
    await session.flush()
    actor = system(school.id)
    session.add(ProfileVersion(
        school_id=school.id, version=1, profile=Profile().to_json(), reason="The default profile", decided_by="system",
        review_on=rules.years_on(now.date(), 1), in_force_at=now,
    ))
    session.add_all(Closure(school_id=school.id, closed_on=day, name=name)
                    for day, name in bank_holidays(given.country, now.date()))
    await publish(session, SchoolFounded(school.id), actor)
    people = [await _named(session, actor, role, given.people[field]) for field, role, _ in FOUNDERS
              if not given.people[field].is_empty]
    await session.flush()
    links = [(queries.name_of(person), role, await commands.first_link(session, actor, person.id, now))
             for person, role in people]
    return Founded(school.id, tuple(links))


def _checked(given: Founding) -> None:
    wrong = {**_wrong_hours(given.opens_at, given.closes_at)}
    if not 2 <= len(given.name) <= 120:
        wrong["name"] = "Enter the school's name"
    if not 2 <= len(given.office) <= 80:
        wrong["office"] = "Enter what families call the office and how to reach it"
    if given.country not in COUNTRIES:
        wrong["country"] = "Choose where the school is"
    emails: set[str] = set()
    for field, _, needed in FOUNDERS:
        wrong |= _wrong_person(field, given.people[field], needed, emails)
    if wrong:
        raise Invalid(fields=wrong)


def _wrong_person(field: str, person: Named, needed: bool, emails: set[str]) -> dict[str, str]:
    """Words for one person's boxes. Each person has an address of their own: nobody shares a sign-in (policy: AC1)."""
    if person.is_empty and not needed:
        return {}
    fields = rules.PersonFields("adult", person.given_name, person.family_name, person.title, email=person.email or None)
    wrong = {f"{field}_{name}": words for name, words in rules.person_problems(fields).items()}
    if not person.email:
        wrong[f"{field}_email"] = "Enter an e-mail address"
    if person.email in emails:
        wrong[f"{field}_email"] = "Each person needs an address of their own"
    emails.add(person.email)
    return wrong


async def _named(session: AsyncSession, actor: Actor, role: Role, named: Named) -> tuple[Person, Role]:
    person = Person(school_id=actor.school_id, kind="adult", title=named.title, given_name=named.given_name,
                    family_name=named.family_name, email=named.email)
    session.add(person)
    session.add(PersonRole(person_id=person.id, role=role, school_id=actor.school_id))
    await publish(session, PersonAdded(person.id, "adult"), actor)
    await publish(session, RolesChanged(person.id, (role,), ()), actor)
    return person, role


def bank_holidays(country: str, today: date) -> list[tuple[date, str]]:
    """The bank holidays still to come that are known without asking anybody: (day, name)."""
    known = BankHolidays(use_cached_holidays=True).get_holidays(division=COUNTRIES[country])
    return sorted({holiday["date"]: holiday["title"] for holiday in known if holiday["date"] >= today}.items())


# -- hours, terms and closures ----------------------------------------------------------------------------------------


def _wrong_hours(opens_at: str, closes_at: str) -> dict[str, str]:
    wrong = {field: "Enter a time like 08:30" for field, time in (("opens_at", opens_at), ("closes_at", closes_at))
             if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", time)}
    return wrong or ({} if opens_at < closes_at else {"closes_at": "Choose a time after the school opens"})


async def change_hours(session: AsyncSession, actor: Actor, *, name: str, office: str, opens_at: str, closes_at: str) -> None:
    wrong = _wrong_hours(opens_at, closes_at)
    if not 2 <= len(name) <= 120:
        wrong["name"] = "Enter the school's name"
    if not 2 <= len(office) <= 80:
        wrong["office"] = "Enter what families call the office and how to reach it"
    if wrong:
        raise Invalid(fields=wrong)
    school = await session.get_one(School, actor.school_id)
    school.name, school.office, school.opens_at, school.closes_at = name, office, opens_at, closes_at
    await publish(session, SchoolChanged(actor.school_id, "hours"), actor)


async def add_term(session: AsyncSession, actor: Actor, *, name: str, starts_on: date | None, ends_on: date | None) -> None:
    """A run of days on which the school teaches. Half-terms are two runs."""
    wrong = {} if 1 <= len(name) <= 60 else {"name": "Give it a name, such as Spring 1"}
    for field, day in (("starts_on", starts_on), ("ends_on", ends_on)):
        if day is None:
            wrong[field] = "Enter a date like 5/1/2027"
    if wrong or starts_on is None or ends_on is None:
        raise Invalid(fields=wrong)
    if not starts_on <= ends_on <= starts_on + timedelta(days=200):
        raise Invalid(fields={"ends_on": "Choose a last day after the first, within 200 days"})
    others = (await session.exec(select(TermDate).where(TermDate.school_id == actor.school_id))).all()
    if any(term.starts_on <= ends_on and starts_on <= term.ends_on for term in others):
        raise Invalid(fields={"starts_on": "These days overlap with a term that is there already"})
    session.add(TermDate(school_id=actor.school_id, name=name, starts_on=starts_on, ends_on=ends_on))
    await publish(session, SchoolChanged(actor.school_id, "terms"), actor)


async def add_closure(session: AsyncSession, actor: Actor, *, day: date | None, name: str) -> None:
    wrong = {} if 1 <= len(name) <= 80 else {"closure_name": "Say why, such as INSET day"}
    if day is None:
        wrong["day"] = "Enter a date like 5/1/2027"
    if wrong or day is None:
        raise Invalid(fields=wrong)
    if (await session.exec(select(Closure.id).where(Closure.school_id == actor.school_id, Closure.closed_on == day))).first():
        raise Invalid(fields={"day": "This day is on the list already"})
    session.add(Closure(school_id=actor.school_id, closed_on=day, name=name))
    await publish(session, SchoolChanged(actor.school_id, "closures"), actor)


async def remove(session: AsyncSession, actor: Actor, what: str, row_id: str) -> None:
    """Take a term, a closure or a duty slot off the list."""
    tables: dict[str, type[TermDate | Closure | DutySlot]] = {"terms": TermDate, "closures": Closure, "rota": DutySlot}
    table = tables.get(what)
    if table is None:
        raise NotFound()
    gone = await session.exec(delete(table).where(col(table.id) == row_id, col(table.school_id) == actor.school_id))
    if not gone.rowcount:
        raise NotFound()
    await publish(session, SchoolChanged(actor.school_id, what), actor)


# -- the rota, and going live -----------------------------------------------------------------------------------------


async def add_duty(session: AsyncSession, actor: Actor, *, person_id: str, weekdays: tuple[int, ...], starts_at: str,
                   ends_at: str) -> None:
    """Put a leader or one of the safeguarding team on duty: who answers an alert at that hour."""
    wrong = {}
    holders = {person.id for person in await queries.holders(session, actor.school_id, ON_DUTY)}
    if person_id not in holders:
        wrong["person_id"] = "Choose a leader or one of the safeguarding team"
    if not weekdays or not set(weekdays) <= set(range(7)):
        wrong["weekday"] = "Choose a day"
    hours = _wrong_hours(starts_at, ends_at)
    wrong |= {"starts_at" if field == "opens_at" else "ends_at": words.replace("the school opens", "the start")
              for field, words in hours.items()}
    if wrong:
        raise Invalid(fields=wrong)
    session.add_all(DutySlot(school_id=actor.school_id, person_id=person_id, weekday=day, starts_at=starts_at, ends_at=ends_at)
                    for day in weekdays)
    await publish(session, SchoolChanged(actor.school_id, "rota"), actor)


class NotReady(Conflict):
    """The school cannot go live yet."""

    code = "school-not-ready"


async def go_live(session: AsyncSession, actor: Actor, now: datetime) -> None:
    """Open the school for real pupils. Refused while anything that keeps them safe is missing."""
    school = await session.get_one(School, actor.school_id)
    if school.live_at is not None:
        return
    missing = [one.words for one in await queries.readiness(session, actor.school_id) if not one.is_done]
    if missing:
        raise NotReady("Not yet. Still missing: " + "; ".join(missing) + ".")
    school.live_at = now
    await publish(session, SchoolOpened(actor.school_id), actor)
