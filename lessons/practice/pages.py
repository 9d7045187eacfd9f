"""The page of a planned lesson on which its teacher, or a leader, asks that it is kept for teaching practice."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import roster as rosters
from recordings.practice import commands, queries, rules
from recordings.practice.rules import Lesson
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import LEADERS, Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people.pages.forms import saved, words

router = APIRouter()
ASKERS = LEADERS | {Role.TEACHER}
Asker = Annotated[Actor, Depends(Audience(ASKERS))]


async def lesson_of(session: AsyncSession, actor: Actor, lesson_id: str) -> Lesson:
    """The lesson as it stands, for somebody who may ask; else NotFound."""
    roster = await rosters.roster(session, lesson_id)
    if roster.school_id != actor.school_id or roster.is_breakout or roster.status != "planned":
        raise NotFound()
    children = frozenset(pupil.id for pupil in roster.pupils)
    found = Lesson(
        roster.lesson_id, roster.title, roster.group.name, roster.starts_at,
        tuple(adult.id for adult in roster.adults if adult.part in ("teacher", "cover")),
        frozenset(adult.id for adult in roster.adults if not adult.is_guest), children,
        await queries.allowed(session, actor.school_id, children), any(adult.is_guest for adult in roster.adults),
        roster.is_one_to_one, roster.started_at is not None,
    )
    rules.check_may_ask(actor, found)
    return found


@router.get("/lessons/{lesson_id}/practice")
async def ask_form(request: Request, actor: Asker, session: Reading, lesson_id: str) -> Response:
    return await _page(request, actor, session, lesson_id)


@router.post("/lessons/{lesson_id}/practice")
async def ask(request: Request, actor: Asker, session: Reading, now: Now, lesson_id: str,
              mentor: Annotated[str, Form()] = "") -> Response:
    async def write(writing: AsyncSession) -> str:
        return await commands.ask(writing, actor, await lesson_of(writing, actor, lesson_id), mentor, now)

    try:
        return see_other(f"/practice/{await saved(request, write)}")
    except (Invalid, Conflict, NotAllowed) as refusal:
        return await _page(request, actor, session, lesson_id, mentor, refusal)


async def _page(request: Request, actor: Actor, session: AsyncSession, lesson_id: str, mentor: str = "",
                refusal: Invalid | Conflict | NotAllowed | None = None) -> Response:
    lesson = await lesson_of(session, actor, lesson_id)
    standing = await queries.of_lesson(session, actor.school_id, lesson_id)
    if standing is not None and refusal is None:
        return see_other(f"/practice/{standing.id}")
    staff = await people.holders(session, actor.school_id, rules.MENTORS)
    return await render(
        request, "lessons/practice/ask.html", 422 if request.method == "POST" else 200, title="Keep for teaching practice",
        lesson=lesson, errors=words(refusal) if refusal else {}, mentor=mentor, closed=_closed(lesson), pauses=rules.PAUSES,
        colleagues=[(one.id, one.name) for one in staff if one.id not in lesson.teachers],
    )


def _closed(lesson: Lesson) -> str:
    """Why this lesson cannot be kept, in words; empty where it can."""
    try:
        rules.check_can_be_kept(lesson)
    except Conflict as closed:
        return closed.message
    return ""
