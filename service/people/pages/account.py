"""A person's own account, and how long they may go on doing nothing."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from service.foundation.events import EVERYBODY, Actor
from service.foundation.web import COOKIE, Audience, Closing, Now, Reading, render, see_other
from service.people import queries, sessions, step_up
from service.people.rules import PROVERS

router = APIRouter()
Anybody = Annotated[Actor, Depends(Audience(EVERYBODY))]
SignedIn = Annotated[Actor, Depends(Audience(EVERYBODY, before_signing=True))]


SAVED = {
    "password": "Your password is saved. You are signed out everywhere else.",
    "passkey": "Your passkey is added.",
    "codes": "Your one-time codes are on. From now on you need one whenever you sign in with your password.",
    "removed": "It is removed.",
}


@router.get("/account")
async def account(request: Request, actor: Anybody, session: Reading, now: Now, saved: str = "") -> Response:
    person = await queries.person(session, actor.school_id, actor.person_id)
    where = await queries.open_sessions(session, actor)
    own = await queries.account(session, actor.person_id)
    has = await step_up.held(session, actor.person_id, now) if actor.is_any(PROVERS) else None
    return await render(request, "people/account.html", title="Your account", person=person, where=where, own=own, has=has,
                        saved=SAVED.get(saved, ""))


@router.post("/account/sign-out-everywhere")
async def everywhere(request: Request, actor: SignedIn, session: Closing, now: Now) -> Response:
    await sessions.end_all(session, actor, person_id=actor.person_id, why="asked", now=now)
    answer = see_other("/signed-out")
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/session")
async def session_left(request: Request, actor: SignedIn) -> Response:
    """How many seconds are left before the person is signed out. Asked with `Chaperone-Background`, it changes nothing."""
    idle = request.state.idle_in.total_seconds()
    return JSONResponse({"seconds_left": int(request.state.seconds_left), "idle_minutes": int(idle // 60)})
