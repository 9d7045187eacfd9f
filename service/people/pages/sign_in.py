"""Signing in by password and code, passkey, badge and one-time link, and signing out."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse, Response

from service.foundation.crowd import Stage, in_turn
from service.foundation.errors import Invalid, NotAllowed, NotFound, Unavailable
from service.foundation.events import EVERYBODY, Actor
from service.foundation.web import (
    COOKIE,
    Audience,
    Closing,
    Now,
    Public,
    Reading,
    Writing,
    actor_of,
    local_path,
    render,
    see_other,
    status_of,
)
from service.people import credentials, frame, one_time_codes, queries, sessions, sign_in
from service.people.actions import ENROLMENT_LASTS
from service.people.pages.forms import words

router = APIRouter()
Anybody = Annotated[Actor, Depends(Audience(EVERYBODY))]
SignedIn = Annotated[Actor, Depends(Audience(EVERYBODY, before_signing=True))]
Text = Annotated[str, Form()]
BROWSER = "chaperone-passkey"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def _entered(request: Request, entered: sign_in.Entered | sign_in.Wanted, next_page: str) -> Response:
    """The cookie, and the page that was asked for before (only ever one of ours) or the start page; or what else is wanted."""
    if isinstance(entered, sign_in.Wanted):
        return await _code_form(request, entered.ticket, next_page)
    page = local_path(next_page) if next_page else "/"
    answer = see_other(page if page != "/" else frame.landing(request.app, entered.actor))
    sessions.give_cookie(answer, entered.token, secure=_is_secure(request))
    return answer


def _is_secure(request: Request) -> bool:
    """A proxy that forgets X-Forwarded-Proto must not cost a cookie its protection."""
    return request.url.scheme == "https" or bool(request.app.state.settings.origin.startswith("https://"))


@router.get("/", dependencies=[Public])
async def home(request: Request, session: Reading) -> Response:
    actor = await actor_of(request)
    if actor is not None:
        return see_other(frame.landing(request.app, actor))
    return see_other("/sign-in" if await queries.has_school(session) else "/setup")


# -- password ---------------------------------------------------------------------------------------------------------


@router.get("/sign-in", dependencies=[Public])
async def show(request: Request, session: Reading, next: str = "") -> Response:
    was_idle = await sessions.was_idle(request)
    return await _password_form(request, ask=await queries.whom_to_ask(session), next=next, was_idle=was_idle)


async def _password_form(request: Request, status: int = 200, *, ask: str, next: str, email: str = "",
                         was_idle: bool = False, errors: dict[str, str] | None = None) -> Response:
    return await render(request, "people/sign_in/password.html", status, title="Sign in", next=local_path(next) if next else "",
                        email=email, ask=ask, was_idle=was_idle, errors=errors)


@router.post("/sign-in", dependencies=[Public])
async def enter(request: Request, session: Reading, email: Text = "", password: Text = "", next: Text = "") -> Response:
    ask = await queries.whom_to_ask(session)
    await session.close()  # nothing is held while a password is hashed
    try:
        entered = await sign_in.by_password(
            request.app.state, email=email, password=password, address=_address(request),
            replaces=request.cookies.get(COOKIE, ""),
        )
    except sign_in.TooManyTries:
        wrong = {"email": f"Too many tries. Wait 15 minutes or ask {ask}."}
        return await _password_form(request, 429, ask=ask, next=next, email=email, errors=wrong)
    except sign_in.NotProved as refusal:
        return await _password_form(request, 422, ask=ask, next=next, email=email, errors={"email": refusal.message})
    except Unavailable as busy:
        return await _password_form(request, 503, ask=ask, next=next, email=email, errors={"email": busy.message})
    return await _entered(request, entered, next)


# -- second factor and passkey ----------------------------------------------------------------------------------------


async def _code_form(request: Request, ticket: str, next: str, status: int = 200,
                     errors: dict[str, str] | None = None) -> Response:
    async with request.app.state.database.glance() as session:
        ask = await queries.whom_to_ask(session)
        demo = await one_time_codes.demo(session, request.app.state, ticket.partition(".")[0], request.app.state.clock.now())
    title = "Enter your one-time code" if ticket else "Use your passkey"
    return await render(request, "people/sign_in/code.html", status, title=title, ticket=ticket, ask=ask, demo=demo,
                        next=local_path(next) if next else "", errors=errors)


@router.post("/sign-in/code", dependencies=[Public])
async def enter_code(request: Request, ticket: Text = "", code: Text = "", next: Text = "") -> Response:
    try:
        entered = await sign_in.by_one_time_code(
            request.app.state, ticket=ticket, code=code, address=_address(request), replaces=request.cookies.get(COOKIE, ""))
    except sign_in.CodeRefused as refusal:
        return await _code_form(request, ticket, next, 422, {"code": refusal.message})
    except (sign_in.NotProved, sign_in.TooManyTries) as refusal:
        return await _again(request, next, refusal)
    return await _entered(request, entered, next)


async def _again(request: Request, next: str, refusal: Invalid | sign_in.TooManyTries) -> Response:
    async with request.app.state.database.glance() as session:
        ask = await queries.whom_to_ask(session)
    wrong = f"Too many tries. Wait 15 minutes or ask {ask}." if isinstance(refusal, sign_in.TooManyTries) else refusal.message
    return await _password_form(request, status_of(refusal), ask=ask, next=next, errors={"": wrong})


@router.post("/sign-in/passkey/challenge", dependencies=[Public])
async def passkey_challenge(request: Request) -> Response:
    """A challenge that only this browser can have answered."""
    browser = secrets.token_urlsafe(18)
    answer = JSONResponse(sign_in.passkey_challenge(request.app.state, browser))
    answer.set_cookie(BROWSER, browser, httponly=True, secure=_is_secure(request), samesite="strict", path="/sign-in/passkey",
                      max_age=int(ENROLMENT_LASTS.total_seconds()))
    return answer


@router.post("/sign-in/passkey", dependencies=[Public])
async def enter_passkey(request: Request, passkey: Text = "", next: Text = "") -> Response:
    try:
        entered = await sign_in.by_passkey(
            request.app.state, answer=passkey, browser=request.cookies.get(BROWSER, ""), address=_address(request),
            replaces=request.cookies.get(COOKIE, ""))
    except (sign_in.NotProved, sign_in.TooManyTries) as refusal:
        return await _again(request, next, refusal)
    answer = await _entered(request, entered, next)
    answer.delete_cookie(BROWSER, path="/sign-in/passkey")
    return answer


# -- one-time links ---------------------------------------------------------------------------------------------------


@router.get("/reset/{token}", dependencies=[Public])
async def reset_form(request: Request, token: str, session: Reading) -> Response:
    await sign_in.reset_for(session, token)
    return await _choose(request, "Choose a new password")


@router.post("/reset/{token}", dependencies=[Public])
async def reset(request: Request, token: str, password: Text = "") -> Response:
    try:
        entered = await sign_in.by_reset(request.app.state, token=token, password=password)
    except Invalid as refusal:
        return await _choose(request, "Choose a new password", refusal)
    return await _entered(request, entered, "")


async def _choose(request: Request, title: str, refusal: Invalid | None = None, *, asks_old: bool = False) -> Response:
    errors = words(refusal) if refusal else None
    return await render(request, "people/sign_in/choose_password.html", 422 if errors else 200, title=title, errors=errors,
                        asks_old=asks_old)


@router.get("/account/password")
async def own_password_form(request: Request, actor: Anybody) -> Response:
    return await _choose(request, "Change your password", asks_old=True)


@router.post("/account/password")
async def own_password(request: Request, actor: Anybody, old: Text = "", password: Text = "") -> Response:
    try:
        entered = await sign_in.change_password(request.app.state, actor, old=old, new=password)
    except Invalid as refusal:
        return await _choose(request, "Change your password", refusal, asks_old=True)
    return await _entered(request, entered, "/account?saved=password")


# -- badge ------------------------------------------------------------------------------------------------------------


@router.get("/sign-in/badge", dependencies=[in_turn(Stage.START), Public])
async def badge_form(request: Request, next: str = "") -> Response:
    return await _badge_form(request, next=next)


async def _badge_form(request: Request, status: int = 200, *, next: str, errors: dict[str, str] | None = None) -> Response:
    return await render(request, "people/sign_in/badge.html", status, title="Scan your badge", **await _unnamed(request),
                        next=local_path(next) if next else "", errors=errors)


async def _unnamed(request: Request) -> dict[str, Any]:
    """A badge that was found says nothing of its school; whoever is signed in already knows it, and needs whom to ask."""
    return {} if await actor_of(request) else {"school": None}


async def _stopped(request: Request, refusal: NotAllowed | sign_in.TooManyTries) -> Response:
    title = "Not now" if isinstance(refusal, sign_in.OutOfHours) else "Ask your grown-up"
    return await render(request, "people/sign_in/stopped.html", status_of(refusal), title=title, message=refusal.message,
                        **await _unnamed(request))


@router.post("/sign-in/badge", dependencies=[in_turn(Stage.BADGE), Public])
async def scan(request: Request, code: Text = "", next: Text = "") -> Response:
    try:
        scanned = await sign_in.by_code(request.app.state, code=code, address=_address(request))
    except sign_in.BadgeRefused as refusal:
        return await _badge_form(request, 422, next=next, errors={"code": refusal.message})
    except (NotAllowed, sign_in.TooManyTries) as refusal:
        return await _stopped(request, refusal)
    return await render(request, "people/sign_in/is_it_you.html", title=f"Are you {scanned.name}?", scanned=scanned, next=next,
                        **await _unnamed(request))


@router.post("/sign-in/pin", dependencies=[in_turn(Stage.PIN), Public])
async def ask_pin(request: Request, ticket: Text = "", next: Text = "") -> Response:
    try:
        return await _pin_form(request, ticket, next)
    except sign_in.BadgeRefused as refusal:
        return await _badge_form(request, 422, next=next, errors={"code": refusal.message})


async def _pin_form(request: Request, ticket: str, next: str, refusal: Invalid | None = None) -> Response:
    scanned = await sign_in.scanned(request.app.state, ticket)
    errors = {"pin": refusal.message} if refusal else None
    return await render(request, "people/sign_in/pin.html", 422 if errors else 200, title="Your secret PIN", scanned=scanned,
                        pictures=credentials.PICTURES, next=next, errors=errors, **await _unnamed(request))


@router.post("/sign-in/pin/check", dependencies=[in_turn(Stage.PIN), Public])
async def check_pin(request: Request, ticket: Text = "", pin1: Text = "", pin2: Text = "", pin3: Text = "",
                    next: Text = "") -> Response:
    try:
        entered = await sign_in.by_pin(request.app.state, ticket=ticket, pin=[pin1, pin2, pin3], address=_address(request),
                                       replaces=request.cookies.get(COOKIE, ""))
    except sign_in.BadgeRefused as refusal:
        if refusal.code == "ticket-over":
            return await _badge_form(request, 422, next=next, errors={"code": refusal.message})
        return await _pin_form(request, ticket, next, refusal)
    except (NotAllowed, sign_in.TooManyTries) as refusal:
        return await _stopped(request, refusal)
    return await _entered(request, entered, next)


# -- out --------------------------------------------------------------------------------------------------------------


@router.post("/sign-out")
async def sign_out(request: Request, actor: SignedIn, session: Closing, now: Now) -> Response:
    await sessions.end(session, actor, why="asked", now=now)
    answer = see_other("/signed-out")
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/signed-out", dependencies=[Public])
async def signed_out(request: Request, idle: int = 0) -> Response:
    title = "We signed you out" if idle else "You have signed out"
    return await render(request, "people/sign_in/signed_out.html", title=title, minutes=max(0, min(idle, 120)))


@router.get("/dev/sign-in/{token}", dependencies=[Public])
async def dev_sign_in(request: Request, token: str, session: Writing, now: Now) -> Response:
    """A sign-in link of the demo school. The links exist only in the memory of a running `chaperone dev`."""
    person_id = getattr(request.app.state, "dev_links", {}).get(token)
    actor = await queries.actor(session, person_id) if person_id else None
    if actor is None:
        raise NotFound()
    cookie = await sessions.start(session, person_id=actor.person_id, school_id=actor.school_id, route="dev", now=now)
    return await _entered(request, sign_in.Entered(cookie, actor), "")
