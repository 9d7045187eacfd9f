"""Where the provider says what became of a text, and what somebody wrote back. Believed by its signature alone, and once."""

from fastapi import APIRouter, Request, Response

from service.calls.rest.signature import LONGEST_TEXT
from service.calls.texts import commands
from service.foundation.errors import NotAllowed, NotFound
from service.foundation.web import Public

router = APIRouter()
NOTHING = "<Response/>"
"""To whoever wrote to us nothing is said by a machine."""


@router.post("/calls/provider/texts/{key}/status", dependencies=[Public])
async def text_status(request: Request, key: str) -> Response:
    """How far a text is. `key` is a secret between the provider and us, new for each text."""
    said = await _believed(request)
    if said is None:
        return Response(status_code=403)
    state = request.app.state
    async with state.database.writing() as session:
        is_new = await commands.hear(session, key, said.get("MessageStatus", ""), state.clock.now())
    return Response(status_code=204 if is_new else 403)


@router.post("/calls/provider/texts/replies/new", dependencies=[Public])
async def text_reply(request: Request) -> Response:
    """Somebody wrote to the school's number. It goes to the office."""
    said = await _believed(request)
    state = request.app.state
    if said is None or not (said_id := said.get("MessageSid", "")) or len(said_id) > 64:
        return Response(status_code=403)
    async with state.database.writing() as session:
        is_new = await commands.take_reply(session, state.pepper, said_id, said.get("From", ""), said.get("Body", ""),
                                           state.clock.now())
    return Response(NOTHING, 200 if is_new else 403, media_type="text/xml")


async def _believed(request: Request) -> dict[str, str] | None:
    way, body = request.app.state.way, b""
    if way is None:
        raise NotFound
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_TEXT:
            return None
    try:
        found: dict[str, str] = way.heard_text(request.url.path, body, request.headers.get("x-twilio-signature", ""))
    except NotAllowed:
        return None
    return found
