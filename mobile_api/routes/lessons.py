"""Lessons as families may see them: the timetable and what is on now, attendance, data used, who watched, one-to-ones."""

from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Query, Request

from lessons import queries as lessons
from lessons.attendance.queries import LessonRecord
from lessons.attendance.rules import whole_minutes
from lessons.family import commands, rules
from lessons.family import queries as family_news
from lessons.family.queries import Use
from lessons.live import family as live
from mobile_api import cursors, schemas
from mobile_api.once import Once
from mobile_api.route import NOT_CHANGED, Family, IfMatch, Parent, check_seen, router_of
from recordings.told import queries as told
from recordings.told.queries import ToldView
from service.foundation.events import Role
from service.foundation.web import Now, Reading
from service.people import queries as people

router = router_of("Lessons")
of_a_child = router_of("Lessons", "/children/{child_id}")
EARLIEST, LATEST = date(2000, 1, 1), date(2200, 1, 1)


@router.get("/timetable", operation_id="timetable", summary="The lessons of a pupil, or of a parent's children",
            responses=NOT_CHANGED)
async def timetable(
    request: Request, actor: Family, session: Reading, now: Now,
    first: Annotated[date | None, Query(ge=EARLIEST, lt=LATEST, description="The first day; today when left out.")] = None,
    days: Annotated[int, Query(ge=1, le=31)] = 7,
) -> schemas.Timetable:
    zone = (await people.school(session, actor.school_id)).zone
    day = first or now.astimezone(ZoneInfo(zone)).date()
    if Role.PUPIL in actor.roles:
        own = lessons.ChildDays(actor.person_id, actor.name, await lessons.pupil_day(session, actor, day, days))
        children: tuple[lessons.ChildDays, ...] = (own,)
    else:
        children = await lessons.family(session, actor, day, days)
    rooms = request.app.state.rooms
    return schemas.Timetable(zone=zone, first=day, days=days, children=[
        schemas.Child(id=child.child_id, name=child.name, lessons=[
            _lesson(card, live.of_child(rooms, card.lesson.id, child.child_id, zone)) for card in child.lessons])
        for child in children])


def _lesson(card: lessons.PupilCard, now_on: live.LiveView | None) -> schemas.Lesson:
    plan, alone = card.lesson, card.alone
    return schemas.Lesson(
        id=plan.id, title=plan.title, class_name=plan.group, teacher=plan.teacher, starts_at=plan.starts_at,
        ends_at=plan.ends_at, status=plan.stage.name.lower(), may_join=card.may_join, joined_at=card.joined_at,
        moved_from=plan.moved_from,
        live=schemas.Live(
            state=now_on.state, reason=now_on.reason, words=now_on.words, is_here=now_on.is_here) if now_on else None,
        alone=schemas.Alone(adult=alone.adult, approver=alone.approver, why=alone.why) if alone else None,
    )


@of_a_child.get("/attendance", operation_id="attendance", summary="Lessons that are over, newest first", responses=NOT_CHANGED)
async def attendance(
    request: Request, actor: Parent, session: Reading, now: Now, child_id: str, cursor: cursors.Cursor = None,
    limit: cursors.Limit = 20,
) -> schemas.Attendance:
    pepper, of = request.app.state.pepper, f"attendance {child_id}"
    rows = await family_news.attended(session, actor, child_id, cursors.after(pepper, actor, of, cursor), limit, now)
    shown, following = cursors.page(pepper, actor, of, rows, limit, lambda row: (row.window.starts_at, row.id))
    return schemas.Attendance(entries=[_attended(row) for row in shown], next=following)


def _attended(record: LessonRecord) -> schemas.Attended:
    line = next(iter(record.pupils), None)
    stands = line.stands if line else None
    return schemas.Attended(
        lesson_id=record.id, title=record.title, starts_at=record.window.starts_at, ends_at=record.window.ends_at,
        joined_at=stands.joined_at if stands else None, left_at=stands.left_at if stands else None,
        minutes=whole_minutes(stands.seconds) if stands else 0, was_corrected=bool(line and line.is_corrected))


@of_a_child.get("/data", operation_id="data", summary="What this month's lessons used", responses=NOT_CHANGED)
async def data(actor: Parent, session: Reading, now: Now, child_id: str) -> schemas.DataUse:
    return _use(await family_news.use(session, actor, child_id, now))


@of_a_child.put("/data", operation_id="set_data_limit", summary="Set the monthly limit")
async def set_limit(actor: Parent, session: Once, now: Now, child_id: str, given: schemas.DataLimit,
                    if_match: IfMatch = None) -> schemas.DataUse:
    check_seen(if_match, _use(await family_news.use(session, actor, child_id, now)))
    await commands.set_limit(session, actor, child_id, given.limit_mb, now)
    return _use(await family_news.use(session, actor, child_id, now))


def _use(found: Use) -> schemas.DataUse:
    return schemas.DataUse(month=found.month, used_mb=found.used_mb, limit_mb=found.limit_mb, choices_mb=list(rules.CHOICES_MB))


@of_a_child.get("/views", operation_id="views", summary="Who watched a recording of this child", responses=NOT_CHANGED)
async def views(request: Request, actor: Parent, session: Reading, child_id: str, cursor: cursors.Cursor = None,
                limit: cursors.Limit = 20) -> schemas.Views:
    pepper, of = request.app.state.pepper, f"views {child_id}"
    zone = ZoneInfo((await people.school(session, actor.school_id)).zone)
    rows = await told.of_child(session, actor, child_id, cursors.after(pepper, actor, of, cursor), limit)
    shown, following = cursors.page(pepper, actor, of, rows, limit, lambda row: (row.at, row.id))
    return schemas.Views(entries=[_viewed(row, zone) for row in shown], next=following)


def _viewed(row: ToldView, zone: ZoneInfo) -> schemas.Viewed:
    role = "a safeguarding lead" if row.by_lead else "a member of staff"
    return schemas.Viewed(id=row.id, on=row.at.astimezone(zone).date(), role=role, minutes=row.minutes, reason=row.why)
