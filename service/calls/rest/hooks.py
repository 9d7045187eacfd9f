"""Where the provider asks what a telephone is to do, and says how it is. Believed by its signature alone.

Whatever cannot be believed is refused; a telephone that gets no words from us is hung up on by the provider.
"""

from fastapi import APIRouter, Request, Response

from service.calls.rest.signature import LONGEST
from service.calls.rest.way import RestWay
from service.calls.rest.words import HANG_UP
from service.foundation.errors import NotAllowed, NotFound
from service.foundation.web import Public

router = APIRouter()


@router.post("/calls/provider/{key}/{what}", dependencies=[Public])
async def provider_says(request: Request, key: str, what: str) -> Response:
    """One telephone's news, or its question. `key` is a secret between the provider and us, new for each telephone."""
    way = request.app.state.way
    if not isinstance(way, RestWay):
        raise NotFound
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST:
            return Response(HANG_UP, 413, media_type="text/xml")
    try:
        said = way.hear(key, what, body, request.headers.get("x-twilio-signature", ""))
    except NotAllowed:
        return Response(HANG_UP, 403, media_type="text/xml")
    return Response(said, media_type="text/xml") if said else Response(status_code=204)
