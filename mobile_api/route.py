"""What every route of the API has in common: tags on what is read, answers kept of what is written, and a limit on how often."""

import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobile_api import once
from service.foundation.errors import NotSeen, Stale, TooMany
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, actor_of
from service.people.phones.proofs import Proofs
from service.people.sign_in import network

API = "/api/v1/"
WRONG = {
    401: "Nobody is signed in", 403: "This person may not do this", 404: "It does not exist, or is not for this person to know",
    409: "It does not fit what is there", 412: "It was changed since it was read", 422: "It could not be read",
    428: "If-Match is missing", 429: "Too many requests", 503: "Not available just now",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }} for status, words in WRONG.items()
}
NOT_CHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "It is what If-None-Match says."}}
Family = Annotated[Actor, Depends(Audience(Role.PARENT, Role.PUPIL))]
Parent = Annotated[Actor, Depends(Audience(Role.PARENT))]
Known = Annotated[Actor, Depends(Audience(Role.PARENT, Role.PUPIL, before_signing=True))]
Unsigned = Annotated[Actor, Depends(Audience(Role.PARENT, before_signing=True))]
"""For what does not wait for the agreement: signing it, one's phones, signing out, and a worry (policy: CO1, IN4)."""


def router_of(tag: str, under: str = "", *also: Any, is_limited: bool = True) -> APIRouter:
    """A router of the API. `also`: what every route of it depends on, beside the limit. `is_limited`: False where its routes
    count by themselves."""
    return APIRouter(prefix=f"/api/v1{under}", route_class=PhoneRoute, responses=PROBLEMS,
                     dependencies=[*also, *([Depends(limited)] if is_limited else [])], tags=[tag])


class PhoneRoute(APIRoute):
    """A read is tagged with what it says; a write that is asked for again answers what it answered."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except once.Replayed as known:
                return known.response
            if request.method != "GET":
                once.remember(request, response)
                return response
            return _tagged(request, response)

        return answer


def _tagged(request: Request, response: Response) -> Response:
    tag = f'"{_hash(json.loads(bytes(response.body)))}"'
    seen = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in seen or "*" in seen:
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return response


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]


IfMatch = Annotated[str | None, Header(alias="If-Match", description="The ETag of what was read.")]


def check_seen(if_match: str | None, now: BaseModel) -> None:
    """A change of something that others change too says what it read. Raises NotSeen, Stale."""
    if if_match is None:
        raise NotSeen()
    tag = f'"{_hash(now.model_dump(mode="json", by_alias=True))}"'
    if tag not in [each.strip() for each in if_match.split(",")]:
        raise Stale()


class Limits:
    """How often one person may ask, and one network whose person nobody knows."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self.reads, self.writes, self.unknown = (RateLimitItemPerMinute(most) for most in (240, 60, 60))

    def hit(self, who: str, *, is_known: bool, writes: bool) -> None:
        item = self.unknown if not is_known else self.writes if writes else self.reads
        if not self._limiter.hit(item, who, str(writes)):
            raise TooMany()

    def renews(self, key: str, address: str) -> None:
        """A renewal by a phone that proved its key. Of a network only what was refused counts: nobody signs out whoever is behind
        the same address. Raises TooMany."""
        if not self._limiter.test(self.unknown, network(address), "refused") or not self._limiter.hit(self.writes, key, "renews"):
            raise TooMany()

    def refused(self, address: str) -> None:
        self._limiter.hit(self.unknown, network(address), "refused")


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


async def limited(request: Request) -> None:
    """Raises TooMany."""
    actor = await actor_of(request)
    who = actor.person_id if actor else network(address_of(request))
    request.app.state.limits.hit(who, is_known=actor is not None, writes=request.method != "GET")


class Headers:
    """On every answer of the API a nonce for the next proof, and on a 401 why (RFC 9449, sections 7.1 and 8)."""

    def __init__(self, app: ASGIApp, proofs: Proofs):
        self.app, self.proofs = app, proofs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(API):
            return await self.app(scope, receive, send)

        async def send_with_nonce(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["DPoP-Nonce"] = self.proofs.nonce()
                if message["status"] == 401:
                    why = scope.get("state", {}).get("refused_because", "")
                    headers["WWW-Authenticate"] = 'DPoP algs="ES256"' + (f', error="{why}"' if why else "")
            await send(message)

        await self.app(scope, receive, send_with_nonce)
