"""What the step-up fields ask for in the background: a challenge for one action, answered by one of the person's passkeys."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse, Response

from service.foundation.errors import Invalid
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading
from service.people import passkeys, step_up
from service.people.rules import PROVERS

router = APIRouter()
Prover = Annotated[Actor, Depends(Audience(PROVERS))]


@router.post("/step-up/challenge")
async def challenge(request: Request, actor: Prover, session: Reading, now: Now, action: Annotated[str, Form()]) -> Response:
    if not re.fullmatch(r"[0-9a-f]{64}", action):
        raise Invalid()
    usable = [row for row in await passkeys.of(session, actor.person_id) if row.rests_until <= now]
    return JSONResponse(step_up.options(request.app.state, actor, action, usable))
