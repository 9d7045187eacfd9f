"""The WebSocket of the page that calls (docs/calling.md): who is signed in first, then one small typed message after another.

Other sites' pages are refused before anything is read (`Shield`). A page that goes takes its call with it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnect

from service.calls import queries
from service.calls.desk import Cut, Desk, Line, Live
from service.calls.progress import STATE_WORDS, Stage, Why
from service.calls.queries import CallView
from service.foundation.errors import NotFound, NotSignedIn, SafeguardError, SignFirst
from service.foundation.events import Actor
from service.foundation.web import clock_of, enter, may_still_enter

router = APIRouter()
MOST = 64_000
"""Characters of one message: an offer has a few thousand."""
MESSAGES, SECONDS = 60, 10.0
BAD_MESSAGE, REFUSED, TOO_MANY = 4400, 4403, 4429


class Offer(BaseModel):
    type: Literal["offer"]
    sdp: str = Field(min_length=10, max_length=MOST, pattern=r"^v=0")


class HangUp(BaseModel):
    type: Literal["hang-up"]


class Press(BaseModel):
    type: Literal["press"]
    digits: str = Field(pattern=r"^[0-9*#]{1,16}$")


class Hold(BaseModel):
    type: Literal["hold"]
    held: bool


class LeaveMessage(BaseModel):
    type: Literal["leave-message"]


Said = Annotated[Offer | HangUp | Press | Hold | LeaveMessage, Field(discriminator="type")]
MESSAGE: TypeAdapter[Said] = TypeAdapter(Said)


class SocketLine:
    """A line whose sending never waits; a page that reads nothing loses it."""

    def __init__(self, socket: WebSocket):
        self._socket = socket
        self._waiting: asyncio.Queue[dict[str, str]] = asyncio.Queue(maxsize=64)
        self.is_over = asyncio.Event()
        self.closes_with = 1000

    def send(self, message: dict[str, str]) -> None:
        if self._waiting.full():
            self.is_over.set()
        else:
            self._waiting.put_nowait(message)

    async def run(self) -> None:
        """Send what waits; after the last word there is no more."""
        while True:
            message = await self._waiting.get()
            await self._socket.send_text(json.dumps(message))
            if message.get("state") == "ended":
                self.is_over.set()
                return


Heed = Callable[[str], Awaitable[int]]
"""What is done about one message; a code to close with, or 0. Raises ValidationError for what is not understood."""


async def attend(socket: WebSocket, line: SocketLine, heed: Heed) -> None:
    """Send and read until the page or the line is over, then close."""
    sending = asyncio.create_task(line.run())
    reading = asyncio.create_task(_read(socket, heed))
    over = asyncio.create_task(line.is_over.wait())
    try:
        await asyncio.wait([reading, over], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, reading, over):
            task.cancel()
        _, said, _ = await asyncio.gather(sending, reading, over, return_exceptions=True)
    if socket.client_state.name == "CONNECTED" and socket.application_state.name == "CONNECTED":
        await socket.close(said if isinstance(said, int) else line.closes_with)


@router.websocket("/calls/{call_id}/line")
async def call_line(socket: WebSocket, call_id: str) -> None:
    """One page's line to its own call."""
    found = await _caller(socket, call_id)
    await socket.accept()
    if found is None:
        await socket.close(REFUSED)
        return
    actor, view = found
    line, desk = SocketLine(socket), socket.app.state.desk

    async def heed(text: str) -> int:
        said = MESSAGE.validate_json(text)
        return 0 if await _heed(socket, desk, actor, call_id, line, said) else REFUSED

    try:
        _attach(desk, view, line)
        await attend(socket, line, heed)
    finally:
        _page_closed(desk.live(call_id), line, desk)


async def _caller(socket: WebSocket, call_id: str) -> tuple[Actor, CallView] | None:
    """Who placed the call: the same door as every page's, and nobody else's line."""
    try:
        actor = await enter(socket)
        async with socket.app.state.database.glance() as session:
            view = await queries.call(session, actor, call_id)
    except (NotSignedIn, SignFirst, NotFound):
        return None
    return (actor, view) if view.caller_id == actor.person_id else None


def _attach(desk: Desk, view: CallView, line: Line) -> None:
    """A call by telephone is on already: its page shows how far it is, also when it was over before the page came."""
    live = desk.live(view.id)
    if not view.by_telephone:
        return
    if live is not None:
        live.line = line
    line.send(live.state() if live is not None else {"type": "state", "state": "ended", "words": STATE_WORDS[Stage.ENDED]})


def _page_closed(live: Live | None, line: SocketLine, desk: Desk) -> None:
    if live is not None and live.line is line:
        live.line = None
        if not live.wanted.by_telephone:
            desk.cut(live, Cut(Why.PAGE_CLOSED))


async def _read(socket: WebSocket, heed: Heed) -> int:
    """What the page says, until it says nothing more. Returns the code to close with."""
    clock, times = clock_of(socket), list[float]()
    while True:
        try:
            text = await socket.receive_text()
        except (WebSocketDisconnect, KeyError):
            return 1000
        times = [at for at in times if at > clock.boottime() - SECONDS] + [clock.boottime()]
        if len(times) > MESSAGES:
            return TOO_MANY
        try:
            code = await heed(text if len(text) <= MOST else "")
        except ValidationError:
            return BAD_MESSAGE
        if code:
            return code


async def _heed(socket: WebSocket, desk: Desk, actor: Actor, call_id: str, line: SocketLine, said: Said) -> bool:
    live = desk.live(call_id)
    if isinstance(said, Offer):
        if (live is not None and live.line is line) or not await may_still_enter(socket):
            return False
        try:
            await desk.place(actor, call_id, offer=said.sdp, line=line)
        except SafeguardError as refusal:
            line.send({"type": "state", "state": "ended", "words": refusal.message})
        return True
    if live is None:
        return True
    match said:
        case HangUp():
            desk.hang_up(live)
        case Press():
            await desk.press(live, said.digits)
        case Hold():
            await desk.hold(live, said.held)
        case LeaveMessage():
            await desk.leave_message(live)
    return True
