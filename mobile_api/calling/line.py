"""The socket of an app that is open (docs/mobile-api.md): a token with a proof first, then one small typed message after another.

An address is in logs, so nothing that opens anything is in it. Other sites' pages are refused before anything is read (`Shield`).
"""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.datastructures import Headers
from starlette.websockets import WebSocketDisconnect

from lessons.media.sdp import BadOffer
from mobile_api.calling.way import AppWay
from service.calls.line import BAD_MESSAGE, MOST, REFUSED, TOO_MANY, SocketLine, attend
from service.foundation.errors import Unavailable
from service.people.phones import bearer
from service.people.phones.bearer import Held
from service.people.phones.proofs import NotProven
from service.people.sign_in import network

router = APIRouter()
HELLO_SECONDS = 10.0
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Hello(BaseModel):
    """`proof`: DPoP (RFC 9449) for GET of this address, with the nonce that we just gave."""

    type: Literal["hello"]
    token: str = Field(max_length=2_000)
    proof: str = Field(max_length=2_000, pattern=r"^[!-~]+$")


class Ringing(BaseModel):
    type: Literal["ringing"]
    call: Id


class Answer(BaseModel):
    """`sdp`: the app's own offer, complete. Ours comes back in `answer`."""

    type: Literal["answer"]
    call: Id
    sdp: str = Field(min_length=10, max_length=MOST, pattern=r"^v=0")


class No(BaseModel):
    """`cannot`: there is no microphone for it, and the telephone may ring."""

    type: Literal["no"]
    call: Id
    why: Literal["declined", "busy", "cannot"]


class HangUp(BaseModel):
    type: Literal["hang-up"]
    call: Id


Said = Annotated[Ringing | Answer | No | HangUp, Field(discriminator="type")]
MESSAGE: TypeAdapter[Said] = TypeAdapter(Said)


class OpenApp(SocketLine):
    """One app, as `mobile_api.calling.call.AppLine`."""

    def __init__(self, socket: WebSocket, held: Held):
        super().__init__(socket)
        self._state, self._held = socket.app.state, held
        self.person_id, self.session_id = held.actor.person_id, held.actor.session_id

    def close(self) -> None:
        self.closes_with = REFUSED
        self.is_over.set()

    async def may_ring(self) -> bool:
        held = await bearer.still(self._state, self._held.access)
        return held is not None and may_be_called(held, self._state)


def may_be_called(held: Held, state: Any) -> bool:
    """A phone that rests may be a stranger's: nobody speaks about a child there before its day is over."""
    rests = held.phone.rests_until
    return held.standing.may_enter and (rests is None or rests <= state.clock.now())


@router.websocket("/api/v1/line")
async def app_line(socket: WebSocket) -> None:
    way: AppWay = socket.app.state.app_way
    where = network(socket.client.host if socket.client else "")
    if not way.knocks(where):
        await socket.close(TOO_MANY)  # before it is accepted: nothing of it is held open
        return
    try:
        await socket.accept()
        held = await _entered(socket)
    except (WebSocketDisconnect, KeyError):
        return
    finally:
        way.shown(where)
    if held is None or not held.standing.may_enter:
        await socket.close(REFUSED)
        return
    app = OpenApp(socket, held)
    if not way.opened(app):
        await socket.close(TOO_MANY)
        return
    app.send({"type": "open"})

    async def heed(text: str) -> int:
        try:
            await _heed(way, app, MESSAGE.validate_json(text))
        except BadOffer:
            return BAD_MESSAGE
        return 0

    try:
        await attend(socket, app, heed)
    finally:
        way.closed(app)


async def _entered(socket: WebSocket) -> Held | None:
    """Who this is, or nobody. The proof answers a nonce of this moment, so none has to be asked for twice."""
    state = socket.app.state
    await socket.send_json({"type": "nonce", "nonce": state.proofs.nonce()})
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            hello = Hello.model_validate_json(await socket.receive_text())
            access = state.access_tokens.read(hello.token, state.clock.now())
            proof = state.proofs.check(Headers({"dpop": hello.proof}), "GET", bearer.address(socket), hello.token)
            return await bearer.holder(state, access, proof)
    except (TimeoutError, ValidationError, NotProven, Unavailable):
        return None


async def _heed(way: AppWay, app: OpenApp, said: Said) -> None:
    match said:
        case Ringing():
            way.rings(app, said.call)
        case Answer():
            await way.take(app, said.call, said.sdp)
        case No():
            way.decline(app, said.call, said.why)
        case HangUp():
            way.family_hangs_up(app, said.call)
