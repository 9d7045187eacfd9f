"""What people are told again while it is so: a decision waits (S2), something technical needs attention (S4),
something of theirs needs renewing (S5), a question waits for a family (N2; policy: CO2, CO5, AC8), a recording that is kept
has to be looked at again (S2, once for that day; policy: RE3).

Worked out each hour from what is true at that moment, never from what was done before; a mail is a row that can exist only
once for its person, day and matter, so that a restart repeats nothing. What is no longer so is not said again.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import queries as consents
from consent import resolutions
from consent.agreements import queries as agreements
from consent.agreements.queries import SignerView
from consent.agreements.rules import Audience
from consent.commands import MAY_DECIDE_OBJECTIONS
from consent.requests import queries as requests
from consent.resolutions import RESOLVERS
from lessons.attention.queries import deciders
from lessons.guests import queries as guests
from lessons.guests.rules import DECIDE
from lessons.guests.rules import State as Visit
from lessons.tables import Lesson, LessonAdult
from recordings.ending import queries as endings
from recordings.grants import queries as watching
from recordings.rules import Kind
from recordings.tables import Recording
from service.calls import queries as calls
from service.calls.grants import State as Phone
from service.foundation import mail
from service.foundation.events import LEADERS, SAFEGUARDING, Role
from service.people import power, profile_history, queries, registers, rules
from service.people.tables import School
from service.safeguarding.approvals import queries as approved
from service.safeguarding.impact import queries as impact
from service.safeguarding.impact.rules import REVIEW
from service.safeguarding.incidents import queries as incidents

FROM = time(8)
"""Reminders come in the morning: nobody starts a day at midnight."""
AHEAD = (7, 30)
"""Days before something ends on which its owner is told, the nearest first."""
DISK_LEFT = 0.2
FAULT_IS_NEWS = timedelta(days=2)
STAFF_AUDIENCES = frozenset({Audience.STAFF, Audience.GOVERNORS})


@dataclass(frozen=True)
class Notice:
    """One mail for each of `people`; `about` and `occasion` say which, so that it exists once."""

    people: frozenset[str]
    text: mail.Text
    about: str
    occasion: str


@dataclass(frozen=True)
class Machine:
    """What a school's own rows do not say: how much of the disk is free (0 to 1), and what the self-test said."""

    disk_left: float = 1.0
    self_test_fails: bool = False


async def remind(state: Any) -> None:
    """Once an hour, for every school but the self-test's. What fails for one school keeps no other waiting for long."""
    if not state.post.is_on:
        return
    usage, now = shutil.disk_usage(state.settings.data), state.clock.now()
    machine = Machine(usage.free / usage.total, state.rooms.self_test_fails())
    async with state.database.reading() as session:
        schools = (await session.exec(select(School.id, School.zone).where(~col(School.is_self_test)))).all()
    for school_id, zone in schools:
        async with state.database.reading() as session:
            due = await notices(session, school_id, now.astimezone(ZoneInfo(zone)), machine)
        async with state.database.writing() as session:
            for one in due:
                await mail.queue(session, school_id=school_id, people=one.people, text=one.text, about=one.about,
                                 occasion=one.occasion, now=now, zone=zone)


async def notices(session: AsyncSession, school_id: str, local: datetime, machine: Machine) -> list[Notice]:
    """Everything that somebody of this school is told today. `local`: now, in the school's zone."""
    today = local.date()
    found = await _technical(session, school_id, today, machine)
    if local.time() >= FROM:
        waits = await waiting_for(session, school_id, local)
        found += [Notice(frozenset({person}), "S2", person, f"daily {today}") for person in sorted(waits)]
        found += await _renewals(session, school_id, today)
        found += [Notice(one.people, "N2", one.about, one.occasion) for one in await requests.due(session, school_id, today)]
        found += [Notice(one.people, "S2", one.recording_id, f"review {one.review_on}")
                  for one in await endings.to_review(session, school_id, local, today)]
    return found


# -- S2: a decision is waiting ----------------------------------------------------------------------------------------


async def waiting_for(session: AsyncSession, school_id: str, now: datetime) -> frozenset[str]:
    """Everybody whose decision, or whose agreement as the second person, something has waited for, an incident
    that is open for too long among them. One-to-ones asked for today have had their own mail."""
    found: set[str] = set()
    for request in await approved.open_requests(session, school_id):
        if request.is_open(now) and request.requested_at.astimezone(now.tzinfo).date() < now.date():
            found |= await deciders(session, school_id, request)
    for rule, persons in [*await _lessons(session, school_id, now), *await _guests(session, school_id, now),
                          *await _second_persons(session, school_id), *await _objections(session, school_id),
                          *await phones(session, school_id, now)]:
        found |= {one.id for one in await queries.holders(session, school_id, rule)} - persons
    found |= await watching.reminded(session, school_id)
    found |= await incidents.reminded(session, school_id, now.date())
    if await impact.is_due(session, school_id):
        found |= {one.id for one in await queries.holders(session, school_id, REVIEW)}
    return frozenset(found)


Waiting = list[tuple[frozenset[Role], frozenset[str]]]
"""For each thing that waits: the roles that may decide it, and the persons who may not."""


async def _lessons(session: AsyncSession, school_id: str, now: datetime) -> Waiting:
    rows = (await session.exec(select(Lesson).where(
        Lesson.school_id == school_id, Lesson.status == "waiting", Lesson.ends_at > now, col(Lesson.pupil_id).is_(None)))).all()
    adults = (await session.exec(select(LessonAdult).where(col(LessonAdult.lesson_id).in_([row.id for row in rows])))).all()
    return [(LEADERS, frozenset({row.planned_by} | {one.person_id for one in adults if one.lesson_id == row.id})) for row in rows]


async def _guests(session: AsyncSession, school_id: str, now: datetime) -> Waiting:
    return [(DECIDE, frozenset({one.sponsor_id, one.guest_id}))
            for one in await guests.passes(session, school_id) if one.state(now) is Visit.WAITING]


async def _objections(session: AsyncSession, school_id: str) -> Waiting:
    return [(MAY_DECIDE_OBJECTIONS, one.adults) for one in await consents.objections_waiting(session, school_id)]


async def _second_persons(session: AsyncSession, school_id: str) -> Waiting:
    roles = [(rules.POWERFUL, frozenset({one.asked_by_id, one.person_id})) for one in await power.waiting(session, school_id)]
    profile = [(rules.AGREE_TO_RULES, frozenset({one.asked_by_id}))
               for one in await profile_history.requests(session, school_id) if not one.is_stale]
    families = [(LEADERS | SAFEGUARDING, frozenset({one.asked_by_id}))
                for one in await registers.waiting_changes(session, school_id)]
    orders = [(RESOLVERS, one.not_by) for one in await resolutions.waiting(session, school_id)]
    return [*roles, *profile, *families, *orders]


async def phones(session: AsyncSession, school_id: str, now: datetime) -> Waiting:
    return [(LEADERS, frozenset({one.person_id}))
            for one in await calls.grants(session, school_id) if one.state(now) is Phone.WAITING]


# -- S4: technical attention ------------------------------------------------------------------------------------------


async def _technical(session: AsyncSession, school_id: str, today: date, machine: Machine) -> list[Notice]:
    """A fault of a recording once, what goes on each day until it is mended."""
    technicians = frozenset(one.id for one in await queries.holders(session, school_id, frozenset({Role.TECHNICIAN})))
    faults = (await session.exec(select(Recording.id).where(
        Recording.school_id == school_id, Recording.outcome == "incomplete", Recording.kind != Kind.TEACHING_PRACTICE,
        col(Recording.ended_at) > session.info["clock"].now() - FAULT_IS_NEWS))).all()
    found = [Notice(technicians, "S4", recording, "recording") for recording in faults]
    lasting = {"disk": machine.disk_left < DISK_LEFT, "self-test": machine.self_test_fails}
    return found + [Notice(technicians, "S4", what, f"daily {today}") for what, is_so in lasting.items() if is_so]


# -- S5: something needs renewing -------------------------------------------------------------------------------------


async def _renewals(session: AsyncSession, school_id: str, today: date) -> list[Notice]:
    """30 and 7 days before an agreement or a DBS check ends, to its owner alone."""
    signers = await agreements.register(session, school_id, None, today)
    ends = [(one.id, "agreement", one.renew_on) for one in signers if one.audience in STAFF_AUDIENCES and one.renew_on]
    families = await _families(session, school_id, today, signers)
    staff = {one.id for one in await queries.holders(session, school_id, rules.PROVERS)}
    ends += [(person, "dbs", day) for person, day in _latest(await registers.dbs_register(session, school_id)).items()]
    return families + [Notice(frozenset({person}), "S5", person, f"{what} {day} {days}")
                       for person, what, day in ends if person in staff and (days := _told(day, today))]


async def _families(session: AsyncSession, school_id: str, today: date, signers: list[SignerView]) -> list[Notice]:
    """N2 for a parent's own agreement, and for that of a child for whom parents sign; only to who may be told (policy: CM1)."""
    due = [(one, days) for one in signers if one.renew_on and (days := _told(one.renew_on, today))]
    parents = {one.id: (one.renew_on, days) for one, days in due if one.audience is Audience.PARENTS}
    told = await agreements.told_parents(session, school_id, parents) if parents else frozenset()
    found = [Notice(frozenset({person}), "N2", person, f"agreement {parents[person][0]} {parents[person][1]}")
             for person in sorted(told)]
    for one, days in due:
        if one.by_parent:
            told = await queries.families_to_tell(session, school_id, [one.id])
            found.append(Notice(told, "N2", one.id, f"agreement {one.renew_on} {days}"))
    return found


def _latest(checks: Iterable[registers.DbsView]) -> dict[str, date]:
    """Until when each person's checks last, by the latest that stands."""
    found: dict[str, date] = {}
    for check in checks:
        if check.withdrawn_at is None:
            found[check.person_id] = max(check.recheck_on, found.get(check.person_id, date.min))
    return found


def _told(ends_on: date, today: date) -> int:
    """Which of the days before it has been reached; 0 while none has, or once it is over."""
    left = (ends_on - today).days
    return next((days for days in AHEAD if 0 < left <= days), 0)
