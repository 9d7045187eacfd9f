"""What calls somebody now, on every page they have open, without a reload (policy: RC1).

A page waits here for an answer that differs from what it shows, for twenty seconds at most, and asks again. One tab of a
browser asks for all of them (static/banners.js), because a browser keeps six connections to a site and no more. Features say
what calls whom (`app.state.banners`); whoever changes that rings the bell.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import Conflict, NotSignedIn
from service.foundation.events import STAFF, Actor, Role
from service.foundation.web import Audience, token_hash

router = APIRouter()
WAITS = 20.0
"""Seconds for which a page is kept waiting: less than any proxy waits, and the longest that a call by the clock comes late."""
PER_SIGN_IN, IN_ALL = 3, 400
"""How many may wait at once; who comes after is answered at once and asks again later."""
LATER = 5
CALLED = STAFF | {Role.CHAIR}
Called = Annotated[Actor, Depends(Audience(CALLED, before_signing=True))]
"""Who still has to sign is called as well: what calls them names nobody, and signing takes a minute."""


@dataclass(frozen=True)
class Banner:
    """One line at the top of a page that others may see: no name, no kind, no child. `label` is what screen readers call it."""

    label: str
    words: str
    href: str
    action: str = "Open"


Source = Callable[[AsyncSession, Actor, datetime], Awaitable[list[Banner]]]


class NotYours(Conflict):
    """Somebody else is signed in here now."""

    code = "not-yours"


class Bell:
    """Rung by whatever may call somebody, or stop calling them. `waiting`: pages that wait, by sign-in."""

    def __init__(self) -> None:
        self.waiting: dict[str, int] = {}
        self.is_closed = False
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    def close(self) -> None:
        """The process ends: nobody waits any longer."""
        self.is_closed = True
        self.ring()

    def listen(self) -> asyncio.Event:
        """Take this before looking, so that nothing that happens in between is missed."""
        return self._rung

    def has_room(self, sign_in: str) -> bool:
        return not self.is_closed and self.waiting.get(sign_in, 0) < PER_SIGN_IN and sum(self.waiting.values()) < IN_ALL

    def come(self, sign_in: str) -> None:
        self.waiting[sign_in] = self.waiting.get(sign_in, 0) + 1

    def go(self, sign_in: str) -> None:
        self.waiting[sign_in] -= 1
        if not self.waiting[sign_in]:
            del self.waiting[sign_in]


async def ring(state: Any, _event: Any) -> None:
    """Reaction to what may call somebody, after its commit."""
    state.bell.ring()


def fingerprint(banners: Sequence[Banner]) -> str:
    return hashlib.sha256(json.dumps([asdict(each) for each in banners]).encode()).hexdigest()[:16] if banners else ""


def key(actor: Actor) -> str:
    """What the tabs of one sign-in have in common, and those of the next on the same browser do not."""
    return token_hash(f"banners {actor.session_id}")[:16]


async def waiting(state: Any, actor: Actor) -> list[Banner]:
    """Everything that calls this person now."""
    async with state.database.glance() as session:
        return await _calling(session, state, actor)


async def _calling(session: AsyncSession, state: Any, actor: Actor) -> list[Banner]:
    return [banner for source in state.banners for banner in await source(session, actor, state.clock.now())]


async def on_page(session: AsyncSession, request: Request, actor: Actor | None) -> dict[str, Any]:
    """The frame's part: the banners at the moment of loading, which is all that a page without scripts shows."""
    if actor is None or not actor.is_any(CALLED):
        return {}
    found = await _calling(session, request.app.state, actor)
    return {"banners": found, "banners_shown": fingerprint(found), "banners_key": key(actor)}


@router.get("/banners")
async def banners(request: Request, actor: Called, of: str = "", shown: str = "", wait: bool = True) -> dict[str, Any]:
    """What a page shows, as soon as it is not what it shows already.

    of      whose page it is (`key`); another sign-in on the same browser is refused
    shown   the fingerprint of what it shows
    wait    False: answer at once
    """
    state = request.app.state
    if of and of != key(actor):
        raise NotYours()
    bell: Bell = state.bell
    if not wait or not bell.has_room(actor.session_id):
        return _answer(await waiting(state, actor), LATER)
    request.state.waits = True
    bell.come(actor.session_id)
    gone = asyncio.create_task(_gone(request))
    try:
        return _answer(await _news(request, actor, shown, gone), 0)
    finally:
        bell.go(actor.session_id)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)


async def _news(request: Request, actor: Actor, shown: str, gone: asyncio.Task[None]) -> list[Banner]:
    """What calls `actor`, once it differs from what is shown, or the time is over, or nobody waits for it any longer."""
    state, loop = request.app.state, asyncio.get_running_loop()
    until = loop.time() + WAITS
    while True:
        rung = state.bell.listen()
        found = await waiting(state, actor)
        left = until - loop.time()
        if fingerprint(found) != shown or left <= 0 or gone.done() or state.bell.is_closed:
            return found
        ringing = asyncio.create_task(rung.wait())
        await asyncio.wait((ringing, gone), timeout=left, return_when=asyncio.FIRST_COMPLETED)
        ringing.cancel()
        actor = await _again(request)


async def _gone(request: Request) -> None:
    """Until the page has gone: who turns pages quickly leaves nothing behind that waits."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _again(request: Request) -> Actor:
    """Who waits is looked at again each time: a sign-in that ended learns nothing more (policy: AC1)."""
    found = await request.app.state.authenticate(request)
    if found is None or not found.is_any(CALLED):
        raise NotSignedIn()
    actor: Actor = found
    return actor


def _answer(found: list[Banner], again: int) -> dict[str, Any]:
    return {"banners": [asdict(each) for each in found], "shown": fingerprint(found), "again": again}
