"""The room's WebSocket (docs/room-protocol.md): origin, sign-in and ticket first, then one typed message after another.

Whatever one page sends, however malformed or fast, is refused or ends its own line and harms nobody else.
"""

import asyncio

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from lessons.live import protocol
from lessons.live.host import Connected, Host
from lessons.live.messages import Hello, Refused
from lessons.live.pace import Pace
from lessons.live.protocol import Malformed
from lessons.live.registry import Registry
from lessons.live.tickets import TicketRefused
from service.foundation.errors import NotSignedIn, SignFirst
from service.foundation.events import Actor
from service.foundation.web import clock_of, enter, may_still_enter

router = APIRouter()
MOST_WAITING = 512
"""Messages that a page has not read; then it is not reading, and its line ends."""
MESSAGES, MESSAGES_SECONDS = 200, 10.0
GOODBYE = 2.0


class SocketLine:
    """A line whose sending never waits. After `close` nothing more is sent."""

    def __init__(self, socket: WebSocket):
        self._socket = socket
        self._waiting: asyncio.Queue[str | int] = asyncio.Queue()
        self.closed = asyncio.Event()

    def send(self, text: str) -> None:
        if self.closed.is_set():
            return
        if self._waiting.qsize() >= MOST_WAITING:
            self.close(protocol.TOO_SLOW)
        else:
            self._waiting.put_nowait(text)

    def close(self, code: int) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self._waiting.put_nowait(code)

    async def run(self) -> None:
        """Send what waits, until a code is next; then close with it."""
        while True:
            item = await self._waiting.get()
            if isinstance(item, int):
                await self._socket.close(item)
                return
            await self._socket.send_text(item)


@router.websocket("/lessons/{lesson_id}/socket")
async def room_socket(socket: WebSocket, lesson_id: str) -> None:
    """One person's line into one room."""
    actor = await _signed_in(socket)
    if protocol.SUBPROTOCOL not in socket.scope["subprotocols"]:
        await socket.close(protocol.BAD_MESSAGE)
        return
    await socket.accept(subprotocol=protocol.SUBPROTOCOL)
    if actor is None:
        await socket.close(protocol.TICKET_REFUSED)
        return
    line = SocketLine(socket)
    sending = asyncio.create_task(line.run())
    try:
        await _serve(socket, lesson_id, actor, line)
    finally:
        line.close(1000)
        await asyncio.wait([sending], timeout=GOODBYE)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _serve(socket: WebSocket, lesson_id: str, actor: Actor, line: SocketLine) -> None:
    admitted = await _admit(socket, lesson_id, actor, line)
    if admitted is None:
        return
    host, connected = admitted
    reading = asyncio.create_task(_read(socket, host, connected, actor.session_id))
    closed = asyncio.create_task(line.closed.wait())
    try:
        await asyncio.wait([reading, closed], return_when=asyncio.FIRST_COMPLETED)
    finally:
        host.lost(connected)
        for task in (reading, closed):
            task.cancel()
        await asyncio.gather(reading, closed, return_exceptions=True)


async def _admit(socket: WebSocket, lesson_id: str, actor: Actor, line: SocketLine) -> tuple[Host, Connected] | None:
    """The first message is a hello with a ticket for this person, this sign-in and this lesson, good once."""
    rooms: Registry = socket.app.state.rooms
    try:
        async with asyncio.timeout(protocol.HELLO_SECONDS):
            hello = protocol.parse(await _text(socket))
    except TimeoutError:
        line.close(protocol.TOO_SLOW)
        return None
    except (Malformed, WebSocketDisconnect):
        line.close(protocol.BAD_MESSAGE)
        return None
    if not isinstance(hello, Hello):
        line.close(protocol.BAD_MESSAGE)
        return None
    if not await is_still_signed_in(socket):
        line.close(protocol.TICKET_REFUSED)
        return None
    try:
        ticket = rooms.tickets.redeem(hello.ticket, lesson=lesson_id, person=actor.person_id, session=actor.session_id)
    except TicketRefused:
        line.close(protocol.TICKET_REFUSED)
        return None
    host = rooms.live(lesson_id)
    if host is None:
        line.close(protocol.RESTARTING)
        return None
    local = socket.client is not None and socket.client.host in ("127.0.0.1", "::1", "localhost", "testclient")
    return host, rooms.admit(host, ticket, line, loopback=local)


async def _signed_in(socket: WebSocket) -> Actor | None:
    """Who is signed in and has signed the agreement: the same door as every page's (policy: CO1)."""
    try:
        return await enter(socket)
    except (NotSignedIn, SignFirst):
        return None


async def is_still_signed_in(socket: WebSocket) -> bool:
    """Asked again at the hello: a socket may have waited with its ticket while the sign-in was ended (threat T13)."""
    return await may_still_enter(socket)


async def _read(socket: WebSocket, host: Host, connected: Connected, session_id: str) -> None:
    """What one page says. Being in a room is doing something: nobody is signed out in the middle of a lesson (policy: AC2)."""
    clock = clock_of(socket)
    malformed = Pace(clock, protocol.MALFORMED_ALLOWED, protocol.MALFORMED_SECONDS)
    all_of_them = Pace(clock, MESSAGES, MESSAGES_SECONDS)
    while True:
        try:
            text = await _text(socket)
            socket.app.state.seen[session_id] = clock.now()
            if all_of_them.is_over():
                connected.line.close(protocol.BAD_MESSAGE)
                return
            waits = host.receive(connected, protocol.parse(text))
        except WebSocketDisconnect:
            return
        except Malformed as refused:
            connected.line.send(protocol.encode(Refused(refused.type_refused, "bad-message", str(refused))))
            if malformed.is_over():
                connected.line.close(protocol.BAD_MESSAGE)
                return
            continue
        if waits is not None:
            await waits


async def _text(socket: WebSocket) -> str:
    if socket.client_state is WebSocketState.DISCONNECTED:
        raise WebSocketDisconnect(1006)
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    text = message.get("text")
    if text is None:
        raise Malformed("Only text is understood here.")
    return str(text)
