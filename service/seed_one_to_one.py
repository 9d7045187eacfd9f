"""The demo school's one-to-ones: one that waits for the headteacher, one that was approved, and one that is over."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import rules
from lessons.tables import Lesson, LessonAdult
from service.people.tables import GroupMember, Person, School, TeachingGroup
from service.safeguarding.approvals.tables import Approval, ApprovalRequest, RequestedLesson

WHYS = (
    "Comes back after weeks away, and asked to catch up with nobody watching.",
    "Resits the paper that the others have passed. Nobody else is left to teach it with.",
    "Could not hear in the group lessons until the new hearing aids came.",
)


async def write(session: AsyncSession, school: School, staff: dict[str, Person], group: TeachingGroup, now: datetime) -> None:
    """Mrs Khan with three pupils of a class she teaches; Dr Marsh decides."""
    pupils = (await session.exec(select(GroupMember.person_id).join(Person, col(Person.id) == GroupMember.person_id).where(
        GroupMember.group_id == group.id, GroupMember.part == "pupil").order_by(col(Person.family_name)))).all()
    today = now.astimezone(ZoneInfo(school.zone)).date()
    for why, pupil, days in zip(WHYS, pupils, (6, 8, -6), strict=False):
        starts_at = rules.moment(today + timedelta(days=days), time(15, 30), school.zone)
        asked_at = min(now, starts_at) - timedelta(days=2)
        await _one(session, school, staff, group, pupil, why, starts_at, asked_at, is_approved=days != 6)


async def _one(session: AsyncSession, school: School, staff: dict[str, Person], group: TeachingGroup, pupil: str, why: str,
               starts_at: datetime, asked_at: datetime, *, is_approved: bool) -> None:
    adult, head, ends_at = staff["Khan"].id, staff["Marsh"].id, starts_at + timedelta(minutes=30)
    reason = "Agreed with the family, who are at home."
    lesson = Lesson(
        school_id=school.id, group_id=group.id, pupil_id=pupil, title="One-to-one", starts_at=starts_at, ends_at=ends_at,
        status="waiting", planned_by=adult, planned_at=asked_at, outside="one-to-one", asked_because=why,
    )
    request = ApprovalRequest(
        school_id=school.id, kind="planned", adult_id=adult, child_id=pupil, requested_by=adult, requested_at=asked_at, why=why,
        tried="group second-adult", safeguards="The door of my room is open, and the lesson is recorded.", parent_present="yes",
    )
    session.add_all((lesson, request))
    await session.flush()
    session.add_all((
        LessonAdult(lesson_id=lesson.id, person_id=adult, school_id=school.id, part="teacher"),
        RequestedLesson(request_id=request.id, lesson_id=lesson.id, school_id=school.id, starts_at=starts_at, ends_at=ends_at),
    ))
    await session.flush()
    if not is_approved:
        return
    decided_at = asked_at + timedelta(hours=3)
    request.status, request.decided_by, request.decided_at, request.reason = "approved", head, decided_at, reason
    lesson.status, lesson.decided_by, lesson.decision_reason, lesson.version = "planned", head, reason, 2
    session.add(Approval(
        school_id=school.id, request_id=request.id, lesson_id=lesson.id, adult_id=adult, child_id=pupil, requested_by=adult,
        approved_by=head, starts_at=starts_at, ends_at=ends_at, reason=reason, confirmed_by="demo", approved_at=decided_at,
    ))
    await session.flush()
