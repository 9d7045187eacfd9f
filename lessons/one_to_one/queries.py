"""What those who ask, decide and keep children safe see of one-to-ones. No concern is ever shown here, only that the DSL asks
to be talked to (policy: RL1, RC1)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

import consent.queries as consents
from consent.rules import Purpose, Status
from lessons import proposals
from lessons import roster as rosters
from lessons.one_to_one import commands, rules
from lessons.one_to_one.registers import name_of, states
from lessons.rules import Rule
from lessons.tables import Lesson, LessonAdult
from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.people import queries as people
from service.people.tables import GroupMember, Person
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals import rules as approving
from service.safeguarding.approvals.queries import Given, Request
from service.safeguarding.approvals.rules import Kind

CONSENT_WORDS = {
    Status.GIVEN: "Yes", Status.NO_RESPONSE: "No answer yet. Nothing can start until the family says yes.",
    Status.EXPIRED: "A yes that ran out. Nothing can start until the family says yes again.",
    Status.RESTS: "Yes, and it starts later. Nothing can start before.",
    Status.CONFLICT: "Not all the answers we need. Nothing can start yet.",
    Status.REFUSED: "No. Nothing can start.", Status.WITHDRAWN: "No. Nothing can start.",
}
COLLEAGUES = 8


@dataclass(frozen=True)
class Row:
    """One request in a list."""

    request: Request
    asked_by: str
    adult: str
    child: str
    state: str


@dataclass(frozen=True)
class Check:
    words: str
    holds: bool


@dataclass(frozen=True)
class Pattern:
    """Earlier one-to-ones of this half term, drawn and written. `bars`: whose, and how many."""

    words: str
    bars: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class RequestPage:
    """Everything that somebody needs to decide. What only those who decide may see is empty for everybody else."""

    request: Request
    group: str
    names: dict[str, str]
    state: str
    is_party: bool
    bar: str
    may_decide: bool
    checks: tuple[Check, ...] = ()
    consent: str = ""
    pattern: Pattern | None = None
    talk_first: bool = False
    has_talked: bool = False
    alternatives: tuple[tuple[str, str], ...] = ()
    approvals: tuple[tuple[Given, str], ...] = ()


# Asking


async def pupils(session: AsyncSession, actor: Actor) -> list[tuple[str, str]]:
    """The pupils this person may ask for, as (id, “Ali Rahman, 5 Oak”): of their own classes; for a leader, of every class."""
    groups = {group.id: group.name for group in await proposals.groups(session, actor)}
    today = session.info["clock"].now().date()
    rows = (await session.exec(
        select(Person, GroupMember.group_id).join(GroupMember, col(GroupMember.person_id) == Person.id).where(
            GroupMember.part == "pupil", col(GroupMember.group_id).in_(list(groups)),
            col(Person.left_on).is_(None) | (col(Person.left_on) > today),
        )
    )).all()
    found: dict[str, tuple[str, list[str]]] = {}
    for row, group in rows:
        found.setdefault(row.id, (people.view_of(row, frozenset()).full_name, []))[1].append(groups[group])
    named = [(person, f"{name}, {' and '.join(sorted(classes))}") for person, (name, classes) in found.items()]
    return sorted(named, key=lambda pair: people.rules.sort_key(pair[1]))


# Lists


async def waiting(session: AsyncSession, actor: Actor, now: datetime) -> list[Row]:
    """The requests that this person may decide now, the most urgent first."""
    held = (await approved.roles_of(session, actor.school_id, [actor.person_id]))[actor.person_id]
    profile = await people.profile(session, actor.school_id)
    mine = [one for one in await approved.open_requests(session, actor.school_id)
            if one.is_open(now) and approving.bar(actor.person_id, held, one.parties, profile) is None]
    return await _rows(session, actor.school_id, mine, now)


async def asked(session: AsyncSession, actor: Actor, now: datetime) -> list[Row]:
    """What this person asked for or would teach, the newest first."""
    hours = await proposals.school_hours(session, actor.school_id)
    since = rules.run_of_days(now, hours) or now
    return await _rows(session, actor.school_id, await approved.requests_by(session, actor, since), now)


async def _rows(session: AsyncSession, school_id: str, found: Collection[Request], now: datetime) -> list[Row]:
    ids = {p for one in found for p in (one.parties.adult, one.parties.child, one.parties.requester)}
    names = await people.people(session, school_id, ids)
    return [Row(one, name_of(names, one.parties.requester), name_of(names, one.parties.adult), name_of(names, one.parties.child),
                say_status(one, now)) for one in found]


def say_status(one: Request, now: datetime) -> str:
    if one.is_late(now):
        return "Time has passed"
    return {
        "waiting": "Waiting for approval", "questioned": "More is asked", "approved": "Approved", "refused": "Not approved",
        "withdrawn": "Taken back", "not-needed": "Second adult instead",
    }[one.status]


# One request


async def page(session: AsyncSession, actor: Actor, request_id: str, now: datetime) -> RequestPage:
    """One request for whoever has business with it: those who ask or teach, decide, or keep children safe. Else NotFound."""
    found = await approved.request(session, actor.school_id, request_id)
    found = await approved.request(session, actor.school_id, request_id, await commands.versions_of(session, found))
    held = (await approved.roles_of(session, actor.school_id, [actor.person_id]))[actor.person_id]
    profile = await people.profile(session, actor.school_id)
    bar = approving.bar(actor.person_id, held, found.parties, profile)
    is_party = actor.person_id in (found.parties.requester, found.parties.adult)
    decides = bar is None
    if not (is_party or decides or held & (SAFEGUARDING | LEADERS | {Role.CHAIR})):
        raise NotFound()
    rows = await commands.lessons_of(session, found)
    group = (await people.group(session, actor.school_id, rows[0].group_id)).name
    names = await _names(session, actor.school_id, found)
    given = [one for one in await approved.of_lessons(session, actor.school_id, [row.id for row in rows])
             if one.request_id == request_id]
    judged = tuple(zip(given, await states(session, given, now), strict=True))
    shown: dict[str, Any] = {
        "request": found, "group": group, "names": names, "state": say_status(found, now), "is_party": is_party,
        "bar": bar.value if bar else "", "may_decide": decides and found.is_open(now), "approvals": judged,
    }
    if is_party:
        return RequestPage(**shown)
    return RequestPage(**shown, **await _to_decide_with(session, actor, found, rows, names, now))


async def _to_decide_with(session: AsyncSession, actor: Actor, found: Request, rows: list[Lesson], names: dict[str, str],
                          now: datetime) -> dict[str, Any]:
    """What the adult in it is not shown: how it is checked, the pattern, the DSL's word, who else is free."""
    parties, school_id = found.parties, actor.school_id
    answers = (await consents.statuses(session, school_id, [parties.child]))[parties.child]
    tags = await approved.talk_first(session, school_id, (parties.adult, parties.child, parties.requester))
    spoken = [note.at for note in found.notes if note.kind == "spoke-to-dsl" and note.by == actor.person_id]
    return {
        "checks": await _checks(session, found, rows, names, now), "consent": CONSENT_WORDS[answers[Purpose.ONE_TO_ONE]],
        "pattern": await _pattern(session, school_id, found, names), "talk_first": bool(tags),
        "has_talked": approving.spoken_to_dsl(tags, spoken), "alternatives": await _free(session, school_id, found, rows, now),
    }


async def _names(session: AsyncSession, school_id: str, found: Request) -> dict[str, str]:
    parties = found.parties
    ids = {parties.adult, parties.child, parties.requester, found.decided_by, *(note.by for note in found.notes)}
    return {person.id: person.name for person in (await people.people(session, school_id, ids)).values()}


async def _checks(session: AsyncSession, found: Request, rows: list[Lesson], names: dict[str, str],
                  now: datetime) -> tuple[Check, ...]:
    """Each in words, and whether it holds now, on every date."""
    adult = names[found.parties.adult]
    [known] = await rosters.adults_of(session, rows[0].school_id, {found.parties.adult: "teacher"}, now.date()) or [None]
    checks = [
        Check(f"{adult} has a valid DBS check", known is not None and known.has_dbs),
        Check(f"{adult} has signed the agreement", known is not None and known.has_signed),
        Check("The lesson is recorded; unrecorded, nothing passes", True),
    ]
    if found.asked.kind == Kind.NOW:
        return tuple(checks)
    broken = {refusal.rule for row in rows for one in await commands.measure(session, row, now) for refusal in one.refusals}
    return (*checks, Check("Within school hours and term", Rule.HOURS not in broken),
            Check("Within the limit for this age", Rule.LENGTH not in broken),
            Check("Nothing else at that time", Rule.CLASH not in broken),
            Check("Somebody is on duty for safeguarding", Rule.NOBODY_ON_DUTY not in broken))


async def _pattern(session: AsyncSession, school_id: str, found: Request, names: dict[str, str]) -> Pattern:
    """Other one-to-ones of this half term, held or to come."""
    hours = await proposals.school_hours(session, school_id)
    since = rules.run_of_days(found.first, hours) or found.first
    others = [
        one.approval for one in await approved.all_given(session, school_id, ending_after=since)
        if one.request_id != found.id and (one.approval.revoked_at is None or one.approval.revoked_at > one.approval.starts_at)
    ]
    staff = await people.holders(session, school_id, proposals.TEACHING)
    of_each = {person.id: sum(one.parties.adult == person.id for one in others) for person in staff}
    adult, child = found.parties.adult, found.parties.child
    of_adult = sum(one.parties.adult == adult for one in others)
    both = sum((one.parties.adult, one.parties.child) == (adult, child) for one in others)
    words = rules.say_pattern(names[adult], names[child], of_adult, both, rules.say_usual(list(of_each.values())))
    return Pattern(words, (
        (f"{names[adult]}, with anybody", of_adult), (f"{names[adult]} with {names[child]}", both),
        (f"{names[child]}, with anybody", sum(one.parties.child == child for one in others)),
    ))


async def _free(session: AsyncSession, school_id: str, found: Request, rows: list[Lesson],
                now: datetime) -> tuple[tuple[str, str], ...]:
    """Cleared colleagues who have no lesson at any of its times: with one of them nobody is alone."""
    if found.asked.kind == Kind.NOW or not found.is_open(now):
        return ()
    staff = {p.id: "second" for p in await people.holders(session, school_id, proposals.TEACHING) if p.id != found.parties.adult}
    first, last = min(row.starts_at for row in rows), max(row.ends_at for row in rows)
    taken = (await session.exec(
        select(LessonAdult.person_id, Lesson.starts_at, Lesson.ends_at).join(Lesson, col(Lesson.id) == LessonAdult.lesson_id)
        .where(Lesson.school_id == school_id, Lesson.starts_at < last, Lesson.ends_at > first,
               col(Lesson.status).in_(("planned", "waiting")), col(Lesson.ended_at).is_(None))
    )).all()
    busy = {person for person, start, end in taken if any(start < row.ends_at and row.starts_at < end for row in rows)}
    adults = await rosters.adults_of(session, school_id, staff, now.date())
    return tuple((one.id, one.name) for one in adults if one.is_cleared and not one.is_guest and one.id not in busy)[:COLLEAGUES]


async def mark_choices(session: AsyncSession, actor: Actor) -> list[tuple[str, str]]:
    """Everybody whom a mark may be about, but the one who marks: staff and pupils, by name."""
    today = session.info["clock"].now().date()
    rows = (await session.exec(select(Person).where(
        Person.school_id == actor.school_id, Person.id != actor.person_id,
        col(Person.left_on).is_(None) | (col(Person.left_on) > today),
    ))).all()
    held = await people.roles(session, [row.id for row in rows])
    named = [
        (row.id, f"{people.view_of(row, frozenset()).full_name}, {'pupil' if row.kind == 'child' else 'staff'}") for row in rows
        if row.kind == "child" or held.get(row.id, frozenset()) & (proposals.TEACHING | {Role.GUEST, Role.CHAIR})
    ]
    return sorted(named, key=lambda pair: people.rules.sort_key(pair[1]))
