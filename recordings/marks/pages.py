"""Notes and clips, written on the player's page within a view that is in force."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import lines
from recordings.marks import commands, rules
from recordings.pages import VIEW, Reviewer, Whole, show_player
from recordings.review import Review
from service.foundation.errors import Invalid
from service.foundation.events import Actor
from service.foundation.web import Now, Reading, see_other, wants_json
from service.people import queries as people

router = APIRouter()


@router.post(VIEW + "/notes")
async def note(
    request: Request, actor: Reviewer, session: Reading, watched: Whole, now: Now, view_id: str,
    at: Annotated[str, Form()] = "", text: Annotated[str, Form()] = "", concern: Annotated[str, Form()] = "",
) -> Response:
    zone = (await people.school(session, actor.school_id)).zone

    async def write(writing: AsyncSession) -> dict[str, object]:
        row = await commands.note(writing, actor, watched.details, view_id=view_id, at_ms=_ms(watched, at, zone), text=text,
                                  concern=concern, now=now)
        return {"at_ms": row.at_ms, "clock": lines.seconds(watched.moment(row.at_ms), zone), "words": row.text,
                "concern": row.concern, "who": actor.name}

    given = {"note_at": at, "text": text, "note_concern": concern}
    return await _written(request, actor, session, watched, view_id, "note", write, given)


@router.post(VIEW + "/clips")
async def clip(
    request: Request, actor: Reviewer, session: Reading, watched: Whole, now: Now, view_id: str,
    start: Annotated[str, Form(alias="from")] = "", end: Annotated[str, Form(alias="to")] = "",
    reason: Annotated[str, Form()] = "", concern: Annotated[str, Form()] = "",
) -> Response:
    zone = (await people.school(session, actor.school_id)).zone

    async def write(writing: AsyncSession) -> dict[str, object]:
        row = await commands.clip(writing, actor, watched.details, view_id=view_id, from_ms=_ms(watched, start, zone),
                                  to_ms=_ms(watched, end, zone), reason=reason, concern=concern, now=now)
        return {"number": row.number, "from_ms": row.from_ms, "to_ms": row.to_ms, "words": row.reason, "concern": row.concern,
                "clock": lines.seconds(watched.moment(row.from_ms), zone),
                "until": lines.seconds(watched.moment(row.to_ms), zone), "who": actor.name}

    given = {"from": start, "to": end, "reason": reason, "clip_concern": concern}
    return await _written(request, actor, session, watched, view_id, "clip", write, given)


def _ms(watched: Review, clock: str, zone: str) -> int | None:
    return rules.moment(clock, watched.details.started_at, watched.facts.end_ms, zone)


async def _written(
    request: Request, actor: Actor, session: Reading, watched: Review, view_id: str, form: str,
    write: Callable[[AsyncSession], Awaitable[dict[str, object]]], given: dict[str, str],
) -> Response:
    """To the player's script the new row, so that it plays on; to a form the page again, with what is wrong or what is new."""
    try:
        async with request.app.state.database.writing() as writing:
            row = await write(writing)
    except Invalid as error:
        if wants_json(request):
            raise
        wrong = {field if field in given else f"{form}_{field}": words for field, words in error.fields.items()}
        return await show_player(request, actor, session, watched, wrong=wrong, given=given)
    if wants_json(request):
        return JSONResponse(row, 201)
    return see_other(f"/recordings/{watched.details.lesson_id}/views/{view_id}#{form}s")
