"""The numbers of a governor's report, each worked out from the rows themselves: nobody enters one (policy: IN3).

What is to leave no trace with somebody (an alert or an incident that is kept from them, everything about an adult who works here)
is in no number that they read (policy: RC4, IN4).
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import queries as consents
from consent.rules import PURPOSES, Purpose, Status
from lessons.live.now import REASONS
from lessons.tables import JournalEntry, Lesson
from recordings.ending import queries as endings
from recordings.ending.rules import is_late
from recordings.ending.tables import Destruction, HoldStep
from recordings.practice.tables import PracticeView
from recordings.tables import Recording, RecordingView
from service.foundation.events import Actor, Role
from service.governance.rules import Line, Period, Table, in_a_hundred, periods
from service.people import queries as people
from service.people.tables import Person, ProfileVersion, TermDate
from service.safeguarding.approvals.rules import Status as Asked
from service.safeguarding.approvals.tables import Approval, ApprovalRequest
from service.safeguarding.chronology import Kind
from service.safeguarding.incidents.rules import CATEGORIES, SANCTIONS
from service.safeguarding.incidents.tables import Incident, IncidentBarred, IncidentEntry
from service.safeguarding.pages import TITLES
from service.safeguarding.tables import Alert, AlertBarred

TOGETHER = 50
"""Children whose answers are worked out at once; then whoever waits has the processor."""


PAUSES = {key: words for key, words in REASONS.items() if key not in ("starting", "outside-window")} | {
    "lone-adult": "an adult would have been alone with one pupil"}
"""The end of its time and its beginning are no pause of a lesson."""


@dataclass(frozen=True)
class Span:
    """Whose report it is, and of which instants."""

    actor: Actor
    zone: str
    now: datetime
    start: datetime
    end: datetime

    @property
    def school_id(self) -> str:
        return self.actor.school_id

    def has(self, at: Any) -> Any:
        """That a column of times lies within."""
        return col(at).between(self.start, self.end - timedelta(microseconds=1))


@dataclass(frozen=True)
class Report:
    """`permissions`: the share of pupils whose families allow each thing now, as it is said; empty where they are too few."""

    period: Period
    tables: tuple[Table, ...]
    permissions: dict[Purpose, str]


async def known(session: AsyncSession, school_id: str) -> tuple[Period, ...]:
    """What a report can be about."""
    zone = (await people.school(session, school_id)).zone
    rows = (await session.exec(select(TermDate).where(TermDate.school_id == school_id))).all()
    today = session.info["clock"].now().astimezone(ZoneInfo(zone)).date()
    return periods((Period(row.name, row.starts_on, row.ends_on) for row in rows), today)


async def report(session: AsyncSession, actor: Actor, period: Period) -> Report:
    zone = (await people.school(session, actor.school_id)).zone
    span = Span(actor, zone, session.info["clock"].now(), *period.instants(zone))
    return Report(period, (
        await _lessons(session, span), await _pauses(session, span), await _one_to_ones(session, span),
        await _alerts(session, span), *await _incidents(session, span), await _views(session, span),
        await _endings(session, span),
    ), await _permissions(session, actor.school_id))


async def _lessons(session: AsyncSession, span: Span) -> Table:
    rows = (await session.exec(select(Lesson.started_at, Lesson.ended_at, Lesson.pupil_id).where(
        Lesson.school_id == span.school_id, col(Lesson.breakout_of).is_(None), span.has(Lesson.started_at)))).all()
    minutes = sum((ended - started).total_seconds() / 60 for started, ended, _ in rows if started and ended)
    outcomes = Counter((await session.exec(select(Recording.outcome).where(
        Recording.school_id == span.school_id, Recording.kind != "teaching-practice", span.has(Recording.started_at)))).all())
    return Table("Lessons", (
        Line("Lessons for a class", sum(pupil is None for *_, pupil in rows), of_people=False),
        Line("Minutes of all lessons", round(minutes), of_people=False),
        Line("Recordings that are complete", outcomes["complete"], of_people=False),
        Line("Recordings with a part missing", outcomes["incomplete"], of_people=False),
    ), is_drawn=False)


async def _pauses(session: AsyncSession, span: Span) -> Table:
    rows = (await session.exec(
        select(JournalEntry.lesson_id, JournalEntry.kind, JournalEntry.body).where(
            JournalEntry.school_id == span.school_id, span.has(JournalEntry.at),
            col(JournalEntry.kind).in_(("opened", "held", "ended")))
        .order_by(JournalEntry.lesson_id, col(JournalEntry.seq)))).all()
    why = Counter(_reasons(rows))
    return Table(
        "Pauses by reason", tuple(Line(words.capitalize(), why[key], of_people=False) for key, words in PAUSES.items()),
        note="While a lesson is paused nobody sees or hears anybody.")


def _reasons(journals: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Of each pause of an open room the first reason. `journals`: lesson, kind and body, each lesson's in order."""
    open_in = ""
    for lesson_id, kind, body in journals:
        if kind == "held" and open_in == lesson_id:
            yield json.loads(body)["reasons"][0]
        open_in = lesson_id if kind == "opened" else ""


async def _one_to_ones(session: AsyncSession, span: Span) -> Table:
    mine = ApprovalRequest.school_id == span.school_id
    asked = Counter((await session.exec(
        select(ApprovalRequest.status).where(mine, span.has(ApprovalRequest.requested_at)))).all())
    held = (await session.exec(select(func.count()).select_from(Lesson).where(
        Lesson.school_id == span.school_id, col(Lesson.pupil_id).is_not(None), span.has(Lesson.started_at)))).one()
    ended = (await session.exec(select(func.count()).select_from(Approval).where(
        Approval.school_id == span.school_id, span.has(Approval.revoked_at)))).one()
    return Table("One-to-ones", (
        Line("Asked for", asked.total()), Line("Approved", asked[Asked.APPROVED]), Line("Refused", asked[Asked.REFUSED]),
        Line("Took place", held), Line("Approvals ended early", ended),
    ), note="An adult is alone with a pupil only with a senior leader’s approval, for one lesson.")


async def _alerts(session: AsyncSession, span: Span) -> Table:
    kept = select(AlertBarred.alert_id).where(AlertBarred.person_id == span.actor.person_id)
    rows = (await session.exec(select(Alert.kind, Alert.raised_at, Alert.taken_at).where(
        Alert.school_id == span.school_id, Alert.routed_to == Role.DSL, col(Alert.id).not_in(kept),
        span.has(Alert.raised_at)))).all()
    waits: dict[str, list[float]] = {}
    for kind, raised, taken in rows:
        waits.setdefault(kind, []).extend([(taken - raised).total_seconds() / 60] if taken else [])
    count = Counter(kind for kind, *_ in rows)
    return Table("What was flagged to the safeguarding team", tuple(
        Line(TITLES.get(kind, kind), count[kind], _how_soon(waits[kind]))
        for kind in TITLES if count[kind]), more="How soon somebody opened them")


def _how_soon(minutes: list[float]) -> str:
    return f"half within {round(median(minutes))} min" if minutes else "nobody yet"


async def _incidents(session: AsyncSession, span: Span) -> tuple[Table, Table]:
    kept = select(IncidentBarred.incident_id).where(IncidentBarred.person_id == span.actor.person_id)
    said = IncidentEntry
    rows = (await session.exec(
        select(said).join(Incident, col(Incident.id) == said.incident_id)
        .where(Incident.school_id == span.school_id, ~col(Incident.about_staff), Incident.routed_to == Role.DSL,
               col(Incident.id).not_in(kept), span.has(Incident.recorded_at),
               col(said.kind).in_((Kind.CATEGORY, Kind.SANCTION))))).all()
    kinds = Counter(words for _, words in {(one.incident_id, one.words) for one in rows if one.kind == Kind.CATEGORY})
    given = Counter(reference for *_, reference in {
        (one.incident_id, one.child_id, one.reference) for one in rows if one.kind == Kind.SANCTION})
    return (
        Table("Incidents by kind", tuple(Line(words, kinds[key]) for key, words in CATEGORIES.items() if kinds[key])),
        Table("Sanctions", tuple(Line(one.words, given[key]) for key, one in SANCTIONS.items() if given[key])),
    )


async def _views(session: AsyncSession, span: Span) -> Table:
    by_grant = Counter(bool(grant) for grant in (await session.exec(select(RecordingView.grant_id).where(
        RecordingView.school_id == span.school_id, span.has(RecordingView.granted_at)))).all())
    practice = (await session.exec(select(func.count()).select_from(PracticeView).where(
        PracticeView.school_id == span.school_id, span.has(PracticeView.granted_at)))).one()
    return Table("Recordings that were opened", (
        Line("By the safeguarding team", by_grant[False]), Line("By somebody whom two people let watch", by_grant[True]),
        Line("For teaching practice, by its teacher or their colleague", practice),
    ), note="Each has a reason, and is in the audit before the first picture.")


async def _endings(session: AsyncSession, span: Span) -> Table:
    mine = Destruction.school_id == span.school_id
    rows = (await session.exec(select(Recording, Destruction).join(
        Destruction, col(Destruction.recording_id) == Recording.id).where(mine, span.has(Destruction.destroyed_at)))).all()
    held = set((await session.exec(select(HoldStep.recording_id).where(HoldStep.school_id == span.school_id))).all())
    late = sum(is_late(row.kept_until, gone.destroyed_at, span.zone) for row, gone in rows
               if gone.destroyed_at and row.id not in held)
    changed = (await session.exec(select(func.count()).select_from(ProfileVersion).where(
        ProfileVersion.school_id == span.school_id, ProfileVersion.version > 1, span.has(ProfileVersion.in_force_at)))).one()
    return Table("Recordings destroyed, and rules changed", (
        Line("Recordings destroyed", len(rows), of_people=False), Line("Destroyed late", late, of_people=False),
        Line("Late now", await endings.late(session, span.school_id, span.now, span.zone), of_people=False),
        Line("Changes of the school’s rules", changed, of_people=False),
    ), is_drawn=False)


async def _permissions(session: AsyncSession, school_id: str) -> dict[Purpose, str]:
    today = session.info["clock"].now().date()
    children = (await session.exec(select(Person.id).where(
        Person.school_id == school_id, Person.kind == "child",
        col(Person.left_on).is_(None) | (col(Person.left_on) > today)))).all()
    given: Counter[Purpose] = Counter()
    for at in range(0, len(children), TOGETHER):
        found = await consents.statuses(session, school_id, children[at:at + TOGETHER])
        given.update(purpose for said in found.values() for purpose in PURPOSES if said[purpose] is Status.GIVEN)
        await asyncio.sleep(0)
    return {purpose: in_a_hundred(given[purpose], len(children)) for purpose in PURPOSES}
