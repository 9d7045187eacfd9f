"""The record of a lesson, of a pupil, the list of lessons, and a copy as CSV."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.attendance import chart, commands, export, queries, rules
from recordings.grants import queries as recordings
from service.calls import queries as calls
from service.calls.commands import OUTCOMES
from service.calls.rules import CALLERS, PURPOSE_WORDS
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import queries as people

router = APIRouter()
Staff = Annotated[Actor, Depends(Audience(queries.AUDIENCE))]


@router.get("/attendance")
async def lessons(request: Request, actor: Staff, session: Reading) -> Response:
    found = await queries.lessons(session, actor)
    return await render(request, "lessons/attendance/list.html", title="Attendance", lessons=found)


@router.get("/attendance/{pupil_id}")
async def pupil(request: Request, pupil_id: str, actor: Staff, session: Reading) -> Response:
    found = await queries.pupil_record(session, actor, pupil_id)
    return await render(
        request, "lessons/attendance/pupil.html", title=f"Attendance of {found.pupil.full_name}", record=found,
        may_call=actor.is_any(CALLERS), calls=await calls.about(session, actor, pupil_id), purposes=PURPOSE_WORDS,
        outcomes=OUTCOMES,
    )


@router.get("/lessons/{lesson_id}/attendance")
async def lesson(request: Request, lesson_id: str, actor: Staff, session: Reading, now: Now, saved: bool = False) -> Response:
    record = await queries.lesson_record(session, actor, lesson_id)
    named = [(line.person.full_name, line.stands) for line in (*record.adults, *record.pupils)]
    return await render(request, "lessons/attendance/lesson.html", title=f"Attendance: {record.title}", record=record,
                        drawing=chart.drawing(record.register, record.window, named), saved=saved,
                        opens=await queries.may_open(session, actor, [line.person.id for line in record.pupils]),
                        kept=await recordings.kept(session, actor, lesson_id, now))


@router.get("/lessons/{lesson_id}/attendance.csv")
async def lesson_csv(lesson_id: str, actor: Staff, session: Writing) -> Response:
    """A copy of one lesson's record; that it was taken is kept."""
    rows = queries.rows_of([await queries.lesson_record(session, actor, lesson_id)])
    await commands.exported(session, actor, lesson_id=lesson_id, rows=len(rows))
    zone = (await people.school(session, actor.school_id)).zone
    return Response(export.to_csv(rows, zone), media_type="text/csv; charset=utf-8",
                    headers={"content-disposition": 'attachment; filename="remote-lesson-minutes.csv"'})


@router.get("/lessons/{lesson_id}/attendance/{person_id}")
async def correction(request: Request, lesson_id: str, person_id: str, actor: Staff, session: Reading) -> Response:
    return await _form(request, actor, session, lesson_id, person_id, {"joined": "", "left": "", "absent": "", "reason": ""})


@router.post("/lessons/{lesson_id}/attendance/{person_id}")
async def correct(
    request: Request, lesson_id: str, person_id: str, actor: Staff, session: Writing, now: Now,
) -> Response:
    form = await request.form()
    given = {name: str(form.get(name, "")) for name in ("joined", "left", "absent", "reason")}
    record = await queries.lesson_record(session, actor, lesson_id)
    zone = (await people.school(session, actor.school_id)).zone
    try:
        joined, left = (None, None) if given["absent"] else (
            rules.moment_in(given["joined"], record.window, zone), rules.moment_in(given["left"], record.window, zone)
        )
        if not given["absent"] and joined is None and left is None:
            raise Invalid("There is a problem", fields={"joined": "Enter both times, or say that they were not there"})
        await commands.correct(session, actor, lesson_id=lesson_id, person_id=person_id, joined_at=joined, left_at=left,
                               reason=given["reason"], now=now)
    except Invalid as error:
        return await _form(request, actor, session, lesson_id, person_id, given, error.fields)
    return see_other(f"/lessons/{lesson_id}/attendance?saved=yes")


async def _form(
    request: Request, actor: Actor, session: AsyncSession, lesson_id: str, person_id: str, given: dict[str, str],
    errors: dict[str, str] | None = None,
) -> Response:
    record = await queries.lesson_record(session, actor, lesson_id)
    line = next((line for line in record.pupils if line.person.id == person_id), None)
    if line is None or not record.may_correct:
        raise NotFound()
    return await render(request, "lessons/attendance/correct.html", 422 if errors else 200, title="Add a correction",
                        record=record, line=line, given=given, errors=errors)
