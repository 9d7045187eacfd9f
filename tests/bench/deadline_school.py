"""The school that the deadlines are measured in: classes in lessons, and one-to-ones that a headteacher approved, all on now."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.tables import Lesson, LessonAdult
from service.foundation.clock import SystemClock
from service.people.tables import GroupMember, Passkey, TeachingGroup
from service.safeguarding.approvals.tables import Approval, ApprovalRequest, RequestedLesson
from tests.authenticator import Authenticator, text
from tests.school import Running, running
from tests.ten_lessons import CLASSES, PURPOSES, Taught, add_teacher, give_consent, office, ten_lessons

ORIGIN = "https://lessons.school.example"


@dataclass(frozen=True)
class Pair:
    """One approved one-to-one."""

    lesson_id: str
    teacher_id: str
    pupil_id: str
    approval_id: str


@dataclass
class Made:
    """`head`: whoever revokes, with `passkey`. `cookies`: everybody's who comes."""

    folder: Path
    classes: list[Taught] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)
    head: str = ""
    passkey: Authenticator = field(default_factory=lambda: Authenticator(origin=ORIGIN))


async def make(folder: Path, *, classes: int, each: int, pairs: int) -> Made:
    """`classes` lessons of `each` pupils, and one-to-ones with pupils of the other classes."""
    made = Made(folder)
    async with running(folder, clock=SystemClock()) as school:  # type: ignore[arg-type]
        made.classes = await ten_lessons(school, pupils=CLASSES * each, lessons=classes)
        made.head = school.person("headteacher")
        school_id = (await office(school)).school_id
        async with school.database.writing() as session:
            made.pairs = await _pairs(session, school, school_id, made.head, classes, pairs)
            await _add_passkey(session, school, school_id, made)
        here = [person for lesson in made.classes for person in (lesson.teacher_id, *lesson.pupil_ids)]
        for person in (made.head, *here, *(p for pair in made.pairs for p in (pair.teacher_id, pair.pupil_id))):
            made.cookies[person] = await school.cookie(person)
    return made


async def _pairs(session: AsyncSession, school: Running, school_id: str, head: str, first: int, count: int) -> list[Pair]:
    names = [f"Class {number}" for number in range(first, CLASSES)]
    found = (await session.exec(select(GroupMember.person_id, GroupMember.group_id).join(
        TeachingGroup, col(TeachingGroup.id) == GroupMember.group_id).where(
        col(TeachingGroup.name).in_(names), GroupMember.part == "pupil").limit(count))).all()
    await give_consent(session, school_id, [pupil for pupil, _ in found], (*PURPOSES, "one_to_one"), school.clock.now())
    return [await _pair(session, school, school_id, head, pupil, group, f"one {at}") for at, (pupil, group) in enumerate(found)]


async def _pair(session: AsyncSession, school: Running, school_id: str, head: str, pupil: str, group: str, name: str) -> Pair:
    """As asked and approved yesterday."""
    now = school.clock.now()
    window: dict[str, Any] = {"starts_at": now - timedelta(minutes=1), "ends_at": now + timedelta(minutes=29)}
    adult = (await add_teacher(session, school_id, name, now)).id
    lesson = Lesson(school_id=school_id, group_id=group, pupil_id=pupil, title="One-to-one", status="planned", planned_by=adult,
                    planned_at=now - timedelta(days=1), outside="one-to-one", decided_by=head, **window)
    request = ApprovalRequest(school_id=school_id, kind="planned", adult_id=adult, child_id=pupil, requested_by=adult,
                              requested_at=now - timedelta(days=1), why="Reads aloud.", status="approved", decided_by=head,
                              decided_at=now - timedelta(hours=20))
    session.add_all((lesson, request))
    await session.flush()
    session.add_all((
        LessonAdult(lesson_id=lesson.id, person_id=adult, school_id=school_id, part="teacher"),
        RequestedLesson(request_id=request.id, lesson_id=lesson.id, school_id=school_id, **window),
    ))
    await session.flush()
    approval = Approval(school_id=school_id, request_id=request.id, lesson_id=lesson.id, adult_id=adult, child_id=pupil,
                        requested_by=adult, approved_by=head, reason="Agreed.", confirmed_by="bench",
                        approved_at=now - timedelta(hours=20), **window)
    session.add(approval)
    await session.flush()
    return Pair(lesson.id, adult, pupil, approval.id)


async def _add_passkey(session: AsyncSession, school: Running, school_id: str, made: Made) -> None:
    """One that has confirmed things for long."""
    long_ago = school.clock.now() - timedelta(days=9)
    identity = 16 + 2 + len(made.passkey.credential)  # what attested credential data holds before the key (WebAuthn 6.5.1)
    session.add(Passkey(school_id=school_id, person_id=made.head, credential_id=text(made.passkey.credential), name="Bench",
                        public_key=text(made.passkey._attested()[identity:]), added_at=long_ago, rests_until=long_ago))
