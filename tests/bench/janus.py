"""Debian's Janus as the peer: how it is started, and the few requests of its videoroom that a lesson needs."""

import asyncio
import json
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

ROOM = 1
WIDEST = 20_000_000  # bit/s: no cap of its own, as ours has none on what arrives

_CONFIGURATION = """
general: {{ configs_folder = "{folder}", debug_level = 3, admin_secret = "{secret}", event_loops = 1 }}
certificates: {{ }}
media: {{ rtp_port_range = "42000-46000" }}
nat: {{ nice_debug = false, ice_lite = false }}
plugins: {{ disable = "{other_plugins}" }}
transports: {{ disable = "{other_transports}" }}
events: {{ broadcast = false }}
loggers: {{ }}
"""
_WEBSOCKETS = """
general: {{ json = "compact", ws = true, ws_port = {port}, ws_ip = "127.0.0.1", wss = false }}
admin: {{ admin_ws = false, admin_wss = false }}
"""


def installed() -> str | None:
    """Where Janus is, if it is here."""
    return shutil.which("janus")


def command(folder: Path, port: int) -> list[str]:
    """Write a configuration with one event loop and nothing but what is measured, and say how to start it."""
    folder.mkdir(parents=True, exist_ok=True)
    text = _CONFIGURATION.format(
        folder=folder, secret=secrets.token_urlsafe(24), other_plugins=_others("plugins", "libjanus_videoroom.so"),
        other_transports=_others("transports", "libjanus_websockets.so"))
    (folder / "janus.jcfg").write_text(text)
    (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=port))
    return ["janus", "--config", str(folder / "janus.jcfg"), "--configs-folder", str(folder)]


def _others(kind: str, wanted: str) -> str:
    found = {path.name for path in Path("/usr/lib").glob(f"*/janus/{kind}/*.so")}
    return ",".join(sorted(found - {wanted}))


class Videoroom:
    """One session with one room. `rec_dir` records every publisher, in clear, as Janus does."""

    def __init__(self, port: int, rec_dir: str) -> None:
        self.port, self.rec_dir = port, rec_dir
        self.feeds: list[int] = []
        self._session = 0
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        self._socket: ClientConnection = await connect(
            f"ws://127.0.0.1:{self.port}", subprotocols=[Subprotocol("janus-protocol")], max_size=None, compression=None)
        self._tasks = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._keep_alive())]
        self._session = (await self._ask({"janus": "create"}))["data"]["id"]
        room = {"request": "create", "room": ROOM, "publishers": 30, "bitrate": WIDEST, "fir_freq": 0,
                "audiocodec": "opus", "videocodec": "vp8", "record": bool(self.rec_dir)}
        if self.rec_dir:
            room["rec_dir"] = self.rec_dir
        await self.say(await self.attach(), room)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._socket.close()

    async def attach(self) -> int:
        return int((await self._ask({"janus": "attach", "plugin": "janus.plugin.videoroom"}))["data"]["id"])

    async def say(self, handle: int, body: dict[str, Any], jsep: dict[str, str] | None = None) -> dict[str, Any]:
        """One request to the videoroom and its last answer."""
        asked = {"janus": "message", "handle_id": handle, "body": body}
        answer = await self._ask(asked | ({"jsep": jsep} if jsep else {}))
        data = answer.get("plugindata", {}).get("data", {})
        if "error" in data or answer["janus"] == "error":
            raise RuntimeError(f"Janus refuses {body['request']}: {data or answer}")
        return answer

    async def publish(self, sdp: str) -> str:
        """Join as a publisher with this offer; the answer."""
        handle = await self.attach()
        joined = await self.say(handle, {"request": "join", "ptype": "publisher", "room": ROOM})
        self.feeds.append(joined["plugindata"]["data"]["id"])
        answer = await self.say(handle, {"request": "publish", "bitrate": WIDEST}, {"type": "offer", "sdp": sdp})
        return str(answer["jsep"]["sdp"])

    async def subscribe(self, feeds: list[int]) -> tuple[int, str]:
        """Ask to receive these publishers; the handle to answer on, and the offer."""
        handle = await self.attach()
        streams = [{"feed": feed} for feed in feeds]
        offered = await self.say(handle, {"request": "join", "ptype": "subscriber", "room": ROOM, "streams": streams})
        return handle, str(offered["jsep"]["sdp"])

    async def start(self, handle: int, sdp: str) -> None:
        await self.say(handle, {"request": "start"}, {"type": "answer", "sdp": sdp})

    async def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = secrets.token_hex(8)
        answered = self._waiting[name] = asyncio.get_running_loop().create_future()
        known = {"session_id": self._session} if self._session else {}
        await self._socket.send(json.dumps({"transaction": name, **known, **asked}))
        return await asyncio.wait_for(answered, 15)

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message)
            waiting = self._waiting.get(said.get("transaction", ""))
            if waiting is not None and not waiting.done() and said["janus"] != "ack":
                waiting.set_result(said)

    async def _keep_alive(self) -> None:
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(20)
                beat = {"janus": "keepalive", "session_id": self._session, "transaction": "beat"}
                await self._socket.send(json.dumps(beat))
