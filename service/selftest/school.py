"""The self-test's own school: synthetic people with synthetic lessons, apart from every real school by the tenant on every row.

It is made through the ordinary commands, in short transactions beside the running service, and closed again: everybody in it
has left, their sign-ins are over, the keys of its recordings are destroyed. Signing its people in takes the database and the
keys that whoever runs this command holds anyway; no page, route or setting does it (docs/decisions/0074).
"""

import asyncio
import secrets
import string
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.agreements.commands import record_signature
from consent.agreements.rules import Audience
from consent.agreements.tables import Agreement
from consent.commands import record_response
from consent.rules import Purpose, Route
from lessons import commands as lessons
from lessons.proposals import Wanted
from recordings.ending import destruction
from recordings.tables import Recording, RecordingKey, RecordingPart
from recordings.vault import Vault
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.events import Actor, Role
from service.people import commands, sessions
from service.people.profile import Profile
from service.people.rules import PersonFields
from service.people.tables import DutySlot, Guardianship, Person, ProfileVersion, School, TeachingGroup, TermDate

NAME = "Self-test"
ROUTE = "selftest"
SIGNED_IN = timedelta(minutes=2)
EVERYTHING = (Purpose.ATTEND, Purpose.BE_RECORDED, Purpose.MICROPHONE, Purpose.CHAT)
PUPILS: dict[str, tuple[Purpose, ...]] = {
    "Ash": EVERYTHING, "Birch": EVERYTHING, "Cedar": EVERYTHING,
    "Elm": (Purpose.ATTEND, Purpose.BE_RECORDED, Purpose.CHAT),  # and not the microphone
    "Fir": EVERYTHING,  # taken back during the lesson
    "Gorse": (),  # nobody has answered
    "Hazel": EVERYTHING,  # in no class
}
IN_CLASS = ("Ash", "Birch", "Cedar", "Elm")
KEY_STAGE, YEAR = 3, "8"
MINUTES = 10
TOGETHER = 4
"""People who leave in one transaction: the writers of real lessons wait for it."""


@dataclass
class Class:
    """One question's class, with its teacher and its lesson that is on now. `pupils`: id by first name."""

    lesson_id: str
    teacher_id: str
    pupils: dict[str, str]


@dataclass
class SyntheticSchool:
    """`marker`: letters of this run that are in every name and title: whoever sees them has seen what is not theirs."""

    database: Database
    clock: Clock
    vault: Vault
    actor: Actor
    marker: str
    guardian_id: str = ""
    elsewhere: dict[str, str] = field(default_factory=dict)
    classes: list[Class] = field(default_factory=list)
    people: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.actor.school_id

    # -- making it

    async def open(self) -> None:
        """Who is there for every lesson: a parent who answers, somebody on duty, and a pupil who is in none."""
        async with self.database.writing() as session:
            duty = await self._add_staff(session, "Duty", Role.DSL)
            session.add_all(DutySlot(school_id=self.id, person_id=duty, weekday=day, starts_at="00:00", ends_at="23:59")
                            for day in range(7))
            self.guardian_id = await self._add(session, PersonFields("adult", "Parent", self.marker, "Ms"), Role.PARENT)
            self.elsewhere["Hazel"] = await self._pupil(session, "Hazel", PUPILS["Hazel"])

    async def lesson(self, question: str, more: tuple[str, ...] = ()) -> Class:
        """A class with a teacher and pupils of its own, because nobody is in two lessons at once, and a lesson that is on now."""
        pupils: dict[str, str] = {}
        for name in (*IN_CLASS, *more):
            async with self.database.writing() as session:
                pupils[name] = await self._pupil(session, name, PUPILS[name])
        now = self.clock.now()
        async with self.database.writing() as session:
            teacher = await self._add_staff(session, question.title(), Role.TEACHER)
            group = await commands.add_group(session, self.actor, f"Class {question} {self.marker}", KEY_STAGE)
            await commands.change_group(session, self.actor, group, name=f"Class {question} {self.marker}", key_stage=KEY_STAGE,
                                        pupil_ids=pupils.values(), teacher_ids=[teacher])
            school = await session.get_one(School, self.id)
            wanted = Wanted(group, f"Lesson {question} {self.marker}", (_began(now, school.zone),), MINUTES, (teacher,))
            made = await lessons.plan(session, await self._acting(session, teacher), wanted, now)
        self.classes.append(Class(made.lesson_ids[0], teacher, pupils))
        return self.classes[-1]

    async def _acting(self, session: AsyncSession, person_id: str) -> Actor:
        found = await sessions.queries.actor(session, person_id)
        assert found is not None
        return found

    async def _add(self, session: AsyncSession, fields: PersonFields, role: Role) -> str:
        person = await commands.write_person(session, self.actor, fields, frozenset({role}))
        await session.flush()
        self.people.append(person)
        return person

    async def _add_staff(self, session: AsyncSession, name: str, role: Role) -> str:
        """An adult who is cleared: a check on record and the agreement signed (policy: AC8, CO1)."""
        person, now = await self._add(session, PersonFields("adult", name, self.marker, "Mx"), role), self.clock.now()
        await commands.record_dbs(session, self.actor, person, number="000000000000", checked_on=now.date(),
                                  recheck_on=now.date() + timedelta(days=30), now=now)
        await self._sign(session, person)
        return person

    async def _pupil(self, session: AsyncSession, name: str, purposes: tuple[Purpose, ...]) -> str:
        born = self.clock.now().date() - timedelta(days=13 * 366)
        fields = PersonFields("child", name, self.marker, born_on=born, year_group=YEAR)
        person = await self._add(session, fields, Role.PUPIL)
        # As the office's own import writes it.
        session.add(Guardianship(school_id=self.id, guardian_id=self.guardian_id, child_id=person, relationship="mother",
                                 parental_responsibility="yes", court_order="no", lives_with=True))
        await session.flush()
        if purposes:
            await self._answer(session, person, dict.fromkeys(purposes, True))
        await self._sign(session, person)
        return person

    async def _sign(self, session: AsyncSession, person: str) -> None:
        now = self.clock.now()
        await record_signature(session, self.actor, person_id=person, route=Route.PAPER, signed_on=now.date(), now=now)

    async def _answer(self, session: AsyncSession, child_id: str, answers: dict[Purpose, bool]) -> None:
        now = self.clock.now()
        await record_response(session, self.actor, child_id=child_id, answers=answers, respondent_id=self.guardian_id,
                              route=Route.PAPER, signed_on=now.date(), now=now)

    async def answer(self, child_id: str, answers: dict[Purpose, bool]) -> None:
        """What the family answers, as the office writes it down."""
        async with self.database.writing() as session:
            await self._answer(session, child_id, answers)

    async def sign_in(self, person_id: str) -> str:
        """A browser's cookie for one of these people, for two minutes."""
        now = self.clock.now()
        async with self.database.writing() as session:
            person = await session.get_one(Person, person_id)
            assert person.school_id == self.id, "only people of the self-test's own school are signed in here"
            return await sessions.start(session, person_id=person_id, school_id=self.id, route=ROUTE, now=now,
                                        until=now + SIGNED_IN)

    # -- closing it

    async def close(self) -> None:
        """Everybody leaves; nobody can read what was recorded any more. What cannot be done is tried in the next run."""
        for at in range(0, len(self.people), TOGETHER):
            async with self.database.writing() as session:
                for person in self.people[at:at + TOGETHER]:
                    await commands.leave(session, self.actor, person, self.clock.now())
        await self._destroy()

    async def _destroy(self) -> None:
        async with self.database.reading() as session:
            ended = (await session.exec(select(Recording.id).where(
                Recording.school_id == self.id, Recording.outcome != ""))).all()
            destroyed = await _destroyed(session, self.id)
        async with self.database.writing() as session:
            for recording in set(ended) - destroyed:
                await destruction.begin(session, self.actor, recording_id=recording, why="self-test", now=self.clock.now())
        await destruction.finish(self.database, self.vault, self.clock, self.id)


async def _destroyed(session: AsyncSession, school_id: str) -> set[str]:
    rows = await session.exec(select(RecordingPart.recording_id).join(RecordingKey, col(RecordingKey.part_id) == RecordingPart.id)
                              .where(RecordingPart.school_id == school_id, col(RecordingKey.destroyed_at).is_not(None)))
    return set(rows.all())


async def synthetic_school(database: Database, clock: Clock, vault: Vault) -> SyntheticSchool:
    """This installation's self-test school, made at the first run and used by every later one; without anybody in it."""
    now = clock.now()
    marker = "".join(secrets.choice(string.ascii_lowercase) for _ in range(8))
    async with database.writing() as session:
        school = (await session.exec(select(School).where(School.is_self_test))).first()
        if school is None:
            school = School(name=NAME, office=NAME, is_self_test=True, opens_at="00:00", closes_at="23:59", teaches_on="0123456")
            session.add(school)
            await session.flush()
            session.add(ProfileVersion(
                school_id=school.id, version=1, profile=Profile().to_json(), reason=NAME, decided_by="system",
                review_on=now.date() + timedelta(days=365), in_force_at=now - timedelta(days=1),
            ))
        await _agreements(session, school.id, now)
        school.zone = _zone(now)
        await _teach_today(session, school, now)
        actor = Actor("selftest", school.id, frozenset({Role.OFFICE, Role.HEADTEACHER}), NAME)
    made = SyntheticSchool(database, clock, vault, actor, marker)
    await _clear(made)
    return made


async def _agreements(session: AsyncSession, school_id: str, now: datetime) -> None:
    """What everybody in it signs; a school that an earlier release made had one for staff only."""
    there = set((await session.exec(select(Agreement.audience).where(Agreement.school_id == school_id))).all())
    session.add_all(Agreement(school_id=school_id, audience=part, version=1, text=NAME, in_force_at=now - timedelta(days=1))
                    for part in (Audience.STAFF, Audience.PUPILS) if part not in there)
    await session.flush()


async def _clear(school: SyntheticSchool) -> None:
    """What a run that was torn off left: everybody leaves, and what it recorded is destroyed."""
    async with school.database.reading() as session:
        left = (await session.exec(select(Person.id).where(Person.school_id == school.id, col(Person.left_on).is_(None)))).all()
        groups = (await session.exec(select(TeachingGroup.id).where(
            TeachingGroup.school_id == school.id, col(TeachingGroup.archived_on).is_(None)))).all()
    school.people = list(left)
    await school.close()
    school.people = []
    async with school.database.writing() as session:
        for group in groups:
            (await session.get_one(TeachingGroup, group)).archived_on = school.clock.now().date()
        for slot in (await session.exec(select(DutySlot).where(DutySlot.school_id == school.id))).all():
            await session.delete(slot)


async def _teach_today(session: AsyncSession, school: School, now: datetime) -> None:
    today = now.astimezone(ZoneInfo(school.zone)).date()
    terms = (await session.exec(select(TermDate).where(TermDate.school_id == school.id))).all()
    if not any(term.starts_on <= today <= term.ends_on for term in terms):
        session.add(TermDate(school_id=school.id, name=NAME, starts_on=today, ends_on=today + timedelta(days=365)))


def _zone(now: datetime) -> str:
    """A lesson lies in one school day: near midnight the self-test's school is elsewhere."""
    return "UTC" if 0 < now.astimezone(UTC).hour < 23 else "Etc/GMT+6"


def _began(now: datetime, zone: str) -> datetime:
    return now.astimezone(ZoneInfo(zone)).replace(second=0, microsecond=0).astimezone(UTC) - timedelta(minutes=1)


async def lesson_is_over(database: Database, lesson_id: str) -> None:
    """Wait until the lesson's recording has been sealed as a whole. Another process seals it: look ten times a second."""
    while True:
        async with database.reading() as session:
            outcome = (await session.exec(select(Recording.outcome).where(Recording.lesson_id == lesson_id))).first()
        if outcome:
            return
        await asyncio.sleep(0.1)
