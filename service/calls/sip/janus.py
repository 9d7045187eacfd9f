"""A client of Janus: one session over its WebSocket API, one handle of its SIP plugin a call.

What Janus says of a handle goes to whoever attached it, in order. When the connection or an answer is lost, so is every call:
Janus ends what a closed session held, and we say so at once.
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from service.foundation.errors import Unavailable

PLUGIN = "janus.plugin.sip"
ANSWER_SECONDS = 4.0
KEEP_ALIVE_SECONDS = 10.0

Message = dict[str, Any]


class JanusLost(Unavailable):
    """The telephone gateway does not answer. Nobody was called. Try again in a minute."""

    code = "janus-lost"


class JanusRefuses(Unavailable):
    """The telephone gateway refused. Nobody was called."""

    code = "janus-refuses"


class Janus:
    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost
        self._secret = ""
        self._socket: ClientConnection | None = None
        self._session = 0
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._heard: dict[int, Callable[[Message], None]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def up(self) -> bool:
        return self._session != 0

    async def open(self, port: int, secret: str) -> None:
        """Raises JanusLost."""
        try:
            self._socket = await connect(f"ws://127.0.0.1:{port}", subprotocols=[Subprotocol("janus-protocol")], proxy=None,
                                         compression=None, open_timeout=ANSWER_SECONDS)
        except (OSError, TimeoutError, WebSocketException) as failed:
            raise JanusLost from failed
        self._secret = secret
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._keep_alive())]
        self._session = int((await self._ask({"janus": "create"}))["data"]["id"])

    async def close(self) -> None:
        """Let go of it: Janus ends what the session held."""
        self._session = 0
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def attach(self, heard: Callable[[Message], None]) -> int:
        """A handle for one call; `heard` gets what Janus says of it. Raises JanusLost."""
        handle = int((await self._ask({"janus": "attach", "plugin": PLUGIN}))["data"]["id"])
        self._heard[handle] = heard
        return handle

    async def detach(self, handle: int) -> None:
        """Forget a handle; a call that it still had ends. Never raises."""
        self._heard.pop(handle, None)
        with suppress(Unavailable):  # it is gone with its session
            await self._ask({"janus": "detach", "handle_id": handle})

    async def say(self, handle: int, body: Message, offer: str = "") -> None:
        """A request to the plugin; what comes of it is heard later. Raises JanusLost, JanusRefuses."""
        jsep = {"jsep": {"type": "offer", "sdp": offer}} if offer else {}
        await self._ask({"janus": "message", "handle_id": handle, "body": body, **jsep})

    async def _ask(self, asked: Message) -> Message:
        if self._socket is None:
            raise JanusLost
        name = secrets.token_hex(8)
        answered = self._waiting[name] = asyncio.get_running_loop().create_future()
        known = {"session_id": self._session} if self._session else {}
        try:
            await self._socket.send(json.dumps({"transaction": name, "apisecret": self._secret, **known, **asked}))
            said = await asyncio.wait_for(answered, ANSWER_SECONDS)
        except (TimeoutError, WebSocketException) as failed:
            raise JanusLost from failed
        finally:
            self._waiting.pop(name, None)
        if said["janus"] == "error":
            raise JanusRefuses
        return said

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for message in self._socket:
                said = json.loads(message)
                waiting = self._waiting.get(said.get("transaction", ""))
                if waiting is not None and not waiting.done() and said["janus"] in ("ack", "success", "error"):
                    waiting.set_result(said)
                elif (heard := self._heard.get(said.get("sender", 0))) is not None:
                    heard(said)
        except WebSocketException:
            pass
        finally:
            self._gone()

    async def _keep_alive(self) -> None:
        try:
            while True:
                await asyncio.sleep(KEEP_ALIVE_SECONDS)
                await self._ask({"janus": "keepalive"})
        except Unavailable:
            self._gone()

    def _gone(self) -> None:
        if self._session:
            self._session = 0
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(JanusLost())
            self._lost()
