"""Where requests enter: one transaction a request, a declared audience on every route, one table from errors to answers.

The commit happens before the response leaves (`scope="function"`): nobody is told of a change that could still vanish.
A route without an `Audience` or `Public` fails a test; closed is the only safe default (policy: AC3).
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import BytecodeCache, ChoiceLoader, Environment, FileSystemLoader, PackageLoader, PrefixLoader, StrictUndefined
from jinja2.bccache import Bucket
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.foundation import errors
from service.foundation.clock import Clock
from service.foundation.events import Actor, Role

log = structlog.get_logger(__name__)
COOKIE = "chaperone"

STATUS = {
    errors.NotSignedIn: 401, errors.NotAllowed: 403, errors.NotFound: 404, errors.Conflict: 409, errors.Stale: 412,
    errors.Invalid: 422, errors.NotSeen: 428, errors.TooMany: 429, errors.Unavailable: 503,
}
TITLES = {
    401: "Sign in", 403: "You cannot do this", 404: "Page not found", 409: "This has changed", 412: "This has changed",
    413: "That is too big", 422: "There is a problem", 428: "Read it first", 429: "Too many tries", 503: "Not available just now",
}
CSP = "; ".join((
    "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "style-src 'self'", "img-src 'self' data: blob:",
    "font-src 'self'", "connect-src 'self'", "media-src 'self' blob:", "worker-src 'self'", "manifest-src 'self'",
    "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'",
))
HEADERS = {
    "Content-Security-Policy": CSP,
    "Strict-Transport-Security": "max-age=31536000",  # browsers ignore it over HTTP, as `dev` serves
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send `Origin: null` from our own forms too
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=(), usb=()",
}

Authenticate = Callable[[HTTPConnection], Awaitable[Actor | None]]


@dataclass(frozen=True)
class Standing:
    """How somebody stands with the agreement: whether they may use the service, and whether it ends within the month. What finds
    it out is put into the application (`app.state.standing_of`): the floor knows of no agreements."""

    may_enter: bool
    ends_soon: bool = False


# -- the session and the actor of a request -----------------------------------------------------------------------


async def _reading(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.database.reading() as session:
        request.state.view = session
        try:
            yield session
        finally:
            request.state.view = None


@asynccontextmanager
async def glance(request: Request) -> AsyncIterator[AsyncSession]:
    """The view that the page reads already, else a short look-up of its own: also where something may have been written since."""
    view: AsyncSession | None = getattr(request.state, "view", None)
    if view is not None and request.method == "GET":
        yield view
        return
    async with request.app.state.database.glance() as session:
        yield session


async def _writing(request: Request) -> AsyncIterator[AsyncSession]:
    request.state.writing = True
    async with request.app.state.database.writing() as session:
        yield session


async def _closing(request: Request) -> AsyncIterator[AsyncSession]:
    request.state.writing = True
    async with request.app.state.database.writing(closes=True) as session:
        yield session


Reading = Annotated[AsyncSession, Depends(_reading, scope="function")]
Writing = Annotated[AsyncSession, Depends(_writing, scope="function")]
Closing = Annotated[AsyncSession, Depends(_closing, scope="function")]
"""`Writing` for a route that does nothing but end access or stop a lesson: it goes before other writers."""


def clock_of(connection: HTTPConnection) -> Clock:
    clock: Clock = connection.app.state.clock
    return clock


def _now(request: Request) -> datetime:
    return clock_of(request).now()


Now = Annotated[datetime, Depends(_now)]


async def actor_of(connection: HTTPConnection) -> Actor | None:
    """Who is signed in on this request or socket; looked up once."""
    if not hasattr(connection.state, "actor"):
        authenticate: Authenticate = connection.app.state.authenticate
        connection.state.actor = await authenticate(connection)
    actor: Actor | None = connection.state.actor
    return actor


async def enter(connection: HTTPConnection) -> Actor:
    """Who is signed in and may use the service: for every route and for the room's socket (policy: CO1).

    Raises NotSignedIn, or SignFirst for whoever has not signed the agreement in force.
    """
    actor = await actor_of(connection)
    if actor is None:
        raise errors.NotSignedIn()
    if not connection.state.standing.may_enter:
        raise errors.SignFirst()
    return actor


async def may_still_enter(connection: HTTPConnection) -> bool:
    """The same, asked anew of a connection that has waited."""
    authenticate: Authenticate = connection.app.state.authenticate
    return await authenticate(connection) is not None and bool(connection.state.standing.may_enter)


class Audience:
    """Who a route is for: a dependency that gives the actor, and refuses everybody else.

    People of the wrong role are told the same as for a page that does not exist; who has not signed the agreement is told
    nothing of any page. `before_signing`: the few routes that do not wait for it, such as the agreement itself and signing out.
    """

    def __init__(self, *roles: Role | frozenset[Role], before_signing: bool = False):
        self.roles = frozenset[Role]().union(*({role} if isinstance(role, Role) else role for role in roles))
        self.before_signing = before_signing

    async def __call__(self, request: Request) -> Actor:
        actor = await actor_of(request) if self.before_signing else await enter(request)
        if actor is None:
            raise errors.NotSignedIn()
        if not actor.is_any(self.roles):
            raise errors.NotFound()
        return actor


async def public() -> None:
    """Marks a route as open to everybody, signed in or not."""


Public = Depends(public)


def declared_audience(route: APIRoute) -> Audience | bool | None:
    """The route's `Audience`, None when it is `Public`, False when nobody said (which a test refuses)."""
    calls = [dependant.call for dependant in _flatten(route.dependant)]
    found = [call for call in calls if isinstance(call, Audience)]
    return found[0] if found else None if public in calls else False


def _flatten(dependant: Any) -> list[Any]:
    return [dependant, *(inner for outer in dependant.dependencies for inner in _flatten(outer))]


# -- pages ----------------------------------------------------------------------------------------------------------


class Compiled(BytecodeCache):
    """Templates that this process has compiled, for every environment in it: the self-test's and each test's are others. Whether
    text is escaped and where files are (service/files.py) is compiled in."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self._kept.get(_as(bucket)):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[_as(bucket)] = bucket.bytecode_to_string()


def _as(bucket: Bucket) -> tuple[object, ...]:
    return bucket.key, bucket.environment.autoescape, getattr(bucket.environment, "edition", None)


COMPILED = Compiled()


def templates(packages: dict[str, str]) -> Environment:
    """The template environment: one prefix a package (`people/…`), GOV.UK components, everything escaped."""
    environment = Environment(
        loader=ChoiceLoader([
            PrefixLoader({
                "govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja"),
                **{prefix: PackageLoader(package) for prefix, package in packages.items()},
            }),
            FileSystemLoader(Path(__file__).parent.parent / "templates"),
        ]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, bytecode_cache=COMPILED,
    )
    environment.filters.update(day=say_day, clock=say_time, moment=say_moment, exactly=say_exactly, count=say_count)
    return environment


def say_day(value: date | datetime, zone: str = "Europe/London") -> str:
    """“Tuesday 3 March”"""
    local = value.astimezone(ZoneInfo(zone)) if isinstance(value, datetime) else value
    return f"{local:%A} {local.day} {local:%B}"


def say_time(value: datetime | time, zone: str = "Europe/London") -> str:
    """“10:15am”, “11am”"""
    local = value.astimezone(ZoneInfo(zone)) if isinstance(value, datetime) else value
    minutes = f":{local.minute:02}" if local.minute else ""
    return f"{(local.hour - 1) % 12 + 1}{minutes}{'am' if local.hour < 12 else 'pm'}"


def say_exactly(value: datetime, zone: str = "Europe/London") -> str:
    """“10:12:04am”"""
    local = value.astimezone(ZoneInfo(zone))
    return f"{(local.hour - 1) % 12 + 1}:{local.minute:02}:{local.second:02}{'am' if local.hour < 12 else 'pm'}"


def say_moment(value: datetime, zone: str = "Europe/London") -> str:
    """“Tuesday 3 March, 10:15am”"""
    return f"{say_day(value, zone)}, {say_time(value, zone)}"


def say_count(number: int, one: str, many: str = "") -> str:
    """“1 pupil”, “24 pupils”"""
    return f"{number} {one if number == 1 else many or one + 's'}"


async def render(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """One page. Every template has `actor`, `school`, `now`, `path` and `navigation` beside its own context."""
    state = request.app.state
    actor = await actor_of(request)
    frame = await state.frame(request, actor) if hasattr(state, "frame") else {}
    page = state.templates.get_template(template)
    own = {"request": request, "path": request.url.path, "actor": actor, "now": state.clock.now(), "Role": Role}
    body = page.render(own | frame | context)
    return HTMLResponse(body, status)


def see_other(path: str) -> RedirectResponse:
    """After a form that did something: show the next page by GET."""
    return RedirectResponse(path, 303)


def local_path(given: str) -> str:
    """`given` when it is a path on this service, else the start page: no open redirects."""
    parts = urlsplit(given)
    safe = given.startswith("/") and not given.startswith("//") and not parts.netloc and "\\" not in given
    return given if safe else "/"


# -- errors -----------------------------------------------------------------------------------------------------------


def problem(status: int, detail: str, code: str, fields: dict[str, str] | None = None) -> JSONResponse:
    """RFC 9457 problem+json."""
    body: dict[str, Any] = {"type": "about:blank", "title": TITLES.get(status, "Something went wrong"), "status": status,
                            "detail": detail, "code": code}
    if fields:
        body["errors"] = fields
    return JSONResponse(body, status, media_type="application/problem+json")


def wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    sent = request.headers.get("content-type", "")
    return request.url.path.startswith("/api/") or "application/json" in (accept, sent.split(";")[0])


async def _answer(request: Request, status: int, message: str, code: str, fields: dict[str, str] | None = None) -> Response:
    if wants_json(request):
        return problem(status, message, code, fields)
    if status == 401:
        return see_other(f"/sign-in?next={request.url.path}" if request.method == "GET" else "/sign-in")
    return await render(request, "error.html", status, title=TITLES.get(status, "Something went wrong"), message=message)


def status_of(error: errors.SafeguardError) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


async def on_safeguard_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.SafeguardError)
    if isinstance(error, errors.SignFirst) and not wants_json(request):
        return _to_sign(request)
    answer = await _answer(request, status_of(error), error.message, error.code, error.fields)
    if error.retry_after:
        answer.headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, errors.Unavailable) and request.method == "GET":  # browsers heed `Retry-After` of no page
            answer.headers["Refresh"] = str(error.retry_after)
    return answer


def _to_sign(request: Request) -> Response:
    """To the agreement, from where people go on to what they wanted; 307 takes along what they had filled in."""
    path = quote(request.url.path)
    if request.method == "GET":
        return see_other(f"/agreement?next={path}")
    is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return RedirectResponse(f"/agreement/kept?to={path}", 307) if is_form else see_other("/agreement")


async def on_malformed(request: Request, error: Exception) -> Response:
    return await _answer(request, 422, "The request could not be read. Go back and try again.", "malformed")


async def on_http_error(request: Request, error: Any) -> Response:
    if error.status_code == 400:  # FastAPI's word for a body that is no text at all
        return await on_malformed(request, error)
    message = str(errors.NotFound()) if error.status_code in (404, 405) else str(error.detail)
    answer = await _answer(request, error.status_code, message, "http")
    answer.headers.update(error.headers or {})
    return answer


async def on_crash(request: Request, error: Exception) -> Response:
    reference = secrets.token_hex(4)
    log.exception("request.crashed", reference=reference, route=getattr(request.scope.get("route"), "path", ""))
    words = f"Something went wrong. Nothing has been saved. Try again. Reference {reference}."
    if wants_json(request):
        return problem(500, words, "crash")
    title = TITLES.get(500, "Something went wrong")
    page = f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1><p>{words}</p>'
    return HTMLResponse(page, 500, headers=HEADERS)


def install_errors(app: FastAPI) -> None:
    from starlette.exceptions import HTTPException  # Starlette's own, which FastAPI's extends

    app.add_exception_handler(errors.SafeguardError, on_safeguard_error)
    app.add_exception_handler(RequestValidationError, on_malformed)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_crash)


# -- what wraps every request ---------------------------------------------------------------------------------------


class Shield:
    """Security headers on every response, and no state change from another site's page (CSRF, CSWSH; ASVS V3.5, V4.4.2).

    Browsers say where a request comes from (`Sec-Fetch-Site`, `Origin`); a cross-site write or socket is refused before
    anything reads it. Bodies are bounded.
    """

    def __init__(self, app: ASGIApp, *, body_limit: int = 5_000_000):
        self.app = app
        self.body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        writes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS")
        if writes and not same_site(headers):
            return await _refuse(scope, send, 403)
        if int(headers.get("content-length") or 0) > self.body_limit:
            return await _refuse(scope, send, 413)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    if name not in out:
                        out[name] = value
            await send(message)

        await self.app(scope, _bounded(receive, self.body_limit), send_guarded)


def _bounded(receive: Receive, limit: int) -> Receive:
    """A body sent in pieces, without a length, is bounded as well."""
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body") or b"") if message["type"] == "http.request" else 0
        if taken > limit:
            raise errors.Invalid("That is too big. Send a smaller file.", code="too-big")
        return message

    return receive_bounded


def same_site(headers: Headers) -> bool:
    """Whether the browser says that the request comes from our own pages (or from no page at all)."""
    origin = headers.get("origin")
    if origin is not None:
        return origin != "null" and urlsplit(origin).netloc == headers.get("host")
    return headers.get("sec-fetch-site", "none") in ("same-origin", "none")


async def _refuse(scope: Scope, send: Send, status: int) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403})
        return
    if scope["path"].startswith("/api/"):
        return await problem(status, TITLES[status], "refused")(scope, _nothing, send)
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": TITLES[status].encode()})


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def token_hash(token: str) -> str:
    """What is stored of a secret that is itself random: its SHA-256."""
    return hashlib.sha256(token.encode()).hexdigest()
