"""Signing in and out, and a person's own account."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from service.foundation.errors import NotFound
from service.foundation.events import EVERYBODY, Actor
from service.foundation.web import COOKIE, Audience, Now, Public, Reading, Writing, actor_of, render, see_other
from service.people import queries, sessions
from service.people.rules import start_page

router = APIRouter()
Anybody = Annotated[Actor, Depends(Audience(EVERYBODY))]


@router.get("/", dependencies=[Public])
async def home(request: Request) -> Response:
    actor = await actor_of(request)
    return see_other(start_page(actor) if actor else "/sign-in")


@router.get("/sign-in", dependencies=[Public])
async def sign_in(request: Request) -> Response:
    return await render(request, "people/sign_in.html", title="Sign in")


@router.post("/sign-out")
async def sign_out(request: Request, actor: Anybody, session: Writing, now: Now) -> Response:
    await sessions.end(session, actor, why="asked", now=now)
    answer = see_other("/sign-in")
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/dev/sign-in/{token}", dependencies=[Public])
async def dev_sign_in(request: Request, token: str, session: Writing, now: Now) -> Response:
    """A sign-in link of the demo school. The links exist only in the memory of a running `chaperone dev`."""
    person_id = getattr(request.app.state, "dev_links", {}).get(token)
    if person_id is None:
        raise NotFound()
    actor = await queries.actor(session, person_id)
    if actor is None:
        raise NotFound()
    cookie = await sessions.start(session, person_id=person_id, school_id=actor.school_id, route="dev", now=now)
    answer = see_other(start_page(actor))
    sessions.give_cookie(answer, cookie, secure=request.url.scheme == "https")
    return answer


@router.get("/account")
async def account(request: Request, actor: Anybody, session: Reading) -> Response:
    person = await queries.person(session, actor.school_id, actor.person_id)
    return await render(request, "people/account.html", title="Your account", person=person)
