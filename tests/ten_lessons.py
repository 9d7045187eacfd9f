"""Builder: the largest school that this is measured with, 1,500 pupils or more, and ten of its fifty classes in lessons now.

The pupils come by the office's own import; consents, teachers and lessons are written beside them as paper would be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.agreements.tables import Agreement, AgreementSignature
from consent.tables import ConsentResponse
from lessons.tables import Lesson, LessonAdult
from service.foundation.events import Actor, Role
from service.people import imports, queries
from service.people.tables import DbsCheck, GroupMember, Guardianship, Person, PersonRole, TeachingGroup
from tests.school import Running

CLASSES, PURPOSES = 50, ("attend", "be_recorded", "camera", "microphone", "chat")
HEAD = "ID,First name,Last name,Date of birth,Year,Classes," + ",".join(
    f"Guardian {n} {name}" for n in (1, 2) for name in ("ID", "first name", "last name", "email", "parental responsibility"))


@dataclass(frozen=True)
class Taught:
    """One lesson that is on now. `pupil_ids` in no particular order."""

    lesson_id: str
    teacher_id: str
    pupil_ids: tuple[str, ...]


def roster_file(pupils: int, *, known_as: str = "Given") -> bytes:
    """A roster with two adults for each pupil, spread over fifty classes. Another `known_as` changes every pupil."""
    rows = (
        f"P{at},{known_as}{at},Family{at},1/9/2016,5,Class {at % CLASSES},"
        f"A{at},Ana{at},Family{at},a{at}@example.org,yes,B{at},Ben{at},Family{at},b{at}@example.org,yes"
        for at in range(pupils))
    return "\n".join((HEAD, *rows)).encode()


async def office(school: Running) -> Actor:
    async with school.database.reading() as session:
        found = await queries.actor(session, school.person("office"))
    assert found is not None
    return found


async def ten_lessons(school: Running, pupils: int = 1500, lessons: int = 10, minutes: int = 40) -> list[Taught]:
    """Import `pupils` and put the first classes in lessons that began five minutes ago and go on for `minutes`."""
    actor = await office(school)
    state = school.app.state
    await imports.save(state, actor, await imports.check(state, actor, roster_file(pupils), is_whole=False))
    return [await _taught(school, actor.school_id, f"Class {number}", minutes) for number in range(lessons)]


async def _taught(school: Running, school_id: str, name: str, minutes: int) -> Taught:
    """One transaction each, as short as an office's would be."""
    now = school.clock.now()
    async with school.database.writing() as session:
        group = (await session.exec(select(TeachingGroup).where(TeachingGroup.name == name))).one()
        pupil_ids = (await session.exec(select(GroupMember.person_id).where(GroupMember.group_id == group.id))).all()
        teacher = await add_teacher(session, school_id, name, now)
        lesson = Lesson(school_id=school_id, group_id=group.id, title=f"Maths with {name}", starts_at=now - timedelta(minutes=5),
                        ends_at=now + timedelta(minutes=minutes), planned_by=teacher.id, planned_at=now - timedelta(days=1))
        session.add(lesson)
        await session.flush()
        session.add(LessonAdult(lesson_id=lesson.id, person_id=teacher.id, school_id=school_id, part="teacher"))
        await give_consent(session, school_id, pupil_ids, PURPOSES, now)
    return Taught(lesson.id, teacher.id, tuple(pupil_ids))


async def add_teacher(session: AsyncSession, school_id: str, name: str, now: datetime) -> Person:
    """A cleared teacher who has signed the agreement."""
    agreement = (await session.exec(select(Agreement).where(Agreement.audience == "staff"))).one()
    teacher = Person(school_id=school_id, kind="adult", title="Ms", given_name="Toni", family_name=f"of {name}",
                     email=f"{name.replace(' ', '.').lower()}@example.org")
    session.add(teacher)
    await session.flush()
    session.add_all((
        PersonRole(person_id=teacher.id, role=Role.TEACHER, school_id=school_id),
        DbsCheck(school_id=school_id, person_id=teacher.id, certificate_number="000000000001", recorded_by="system",
                 checked_on=now.date() - timedelta(200), recheck_on=now.date() + timedelta(800)),
        AgreementSignature(school_id=school_id, agreement_id=agreement.id, person_id=teacher.id, route="app",
                           recorded_by=teacher.id, signed_at=now - timedelta(30), renew_on=now.date() + timedelta(335)),
    ))
    return teacher


async def give_consent(session: AsyncSession, school_id: str, pupil_ids: Sequence[str], purposes: Sequence[str],
                       now: datetime) -> None:
    """On paper, by the adult of each pupil who is called first."""
    links = (await session.exec(select(Guardianship).where(
        col(Guardianship.child_id).in_(pupil_ids), Guardianship.contact_order == 1))).all()
    session.add_all(
        ConsentResponse(school_id=school_id, child_id=link.child_id, purpose=purpose, answer="given",
                        respondent_id=link.guardian_id, relationship="mother", route="paper", recorded_by="system",
                        signed_on=now.date() - timedelta(20), recorded_at=now - timedelta(20))
        for link in links for purpose in purposes)
