"""Janus and kamailio as our children: configured, started, watched and ended by us, and heard by nobody but us.

What they print goes nowhere: both can print numbers. That one has died is told by its exit.
"""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from service.calls.sip import farewell
from service.calls.sip.edge import Door, configuration
from service.calls.sip.trunk import Trunk
from service.foundation.errors import Unavailable

READY_SECONDS = 8.0
_HEIR = 'read -r _; "$0" -IS "$1" "$2"; shift 2; sleep 3; for group; do kill -- "-$group"; done 2>/dev/null'
"""Outlives a service that is killed: everybody is hung up on, by Janus when its connection breaks and by the edge, and then both
programs end."""
_JANUS = """
general: {{
  configs_folder = "{folder}"
  api_secret = "{api}"
  admin_secret = "{admin}"
  session_timeout = 30
  debug_level = 0
  server_name = "calls"
  hide_dependencies = true
}}
certificates: {{ }}
media: {{ ipv6 = false, rtp_port_range = "{low}-{high}" }}
nat: {{ nice_debug = false, full_trickle = false, ice_lite = true, ice_enforce_list = "{address}"{mapping} }}
plugins: {{ disable = "{other_plugins}" }}
transports: {{ disable = "{other_transports}" }}
events: {{ broadcast = false, disable = "{events}" }}
loggers: {{ disable = "{loggers}" }}
"""
_WEBSOCKETS = """
general: {{ json = "compact", ws = true, ws_port = {port}, ws_ip = "127.0.0.1", wss = false }}
admin: {{ admin_ws = false, admin_wss = false }}
"""
_SIP = """
general: {{ local_ip = "127.0.0.1", local_media_ip = "127.0.0.1", sdp_ip = "127.0.0.1", keepalive_interval = 0, behind_nat = false
  rtp_port_range = "{low}-{high}", user_agent = "calls", events = false, sip_timer_t1x64 = 32000 }}
"""


class NotInstalled(Unavailable):
    """Calls through a trunk need Debian's packages janus, kamailio, kamailio-extra-modules and kamailio-tls-modules."""

    code = "not-installed"


class NotStarted(Unavailable):
    """The telephone gateway did not start. The page Health says which part."""

    code = "gateway-not-started"


@dataclass
class Gateway:
    """Both programs. `port`, `secret`: Janus's WebSocket and its API secret, new at every start."""

    trunk: Trunk
    died: Callable[[str], None]
    strips: bool = True
    port: int = 0
    secret: str = field(default="", repr=False)
    door: Door | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _commands: dict[str, list[str]] = field(default_factory=dict)
    _running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _heir: asyncio.subprocess.Process | None = None
    _watching: list[asyncio.Task[None]] = field(default_factory=list)

    def pid(self, name: str) -> int:
        return self._running[name].pid

    async def start(self, service: int) -> Door:
        """Start both, and return when both listen. `service`: where the edge tells us. Raises NotInstalled, NotStarted."""
        if missing := absent():
            raise NotInstalled(f"Calls through a trunk need {', '.join(missing)}. On Debian: apt install janus kamailio "
                               "kamailio-extra-modules kamailio-tls-modules.")
        if not _is_free(self.trunk):
            raise NotStarted(f"Another program has port {self.trunk.sip_port} of {self.trunk.address}. Debian's kamailio?")
        self._folder = tempfile.TemporaryDirectory(prefix="chaperone-calls-")
        folder = Path(self._folder.name)
        self.port, self.secret = _free(socket.SOCK_STREAM), secrets.token_urlsafe(24)
        self.door = Door(folder, _free(socket.SOCK_DGRAM), service)
        configuration(self.trunk, self.door, strips=self.strips)
        janus_configuration(self.trunk, folder, self.port, self.secret)
        self._commands = {
            "kamailio": ["kamailio", "-DD", "-E", "-f", str(folder / "kamailio.cfg"), "-Y", str(folder), "-m", "64", "-M", "8"],
            "janus": ["janus", "--config", str(folder / "janus.jcfg"), "--configs-folder", str(folder)]}
        await asyncio.gather(*(self._run(name) for name in self._commands))
        await self._name_heir()
        return self.door

    async def start_again(self, name: str) -> None:
        """Start one of them, as configured; return when it listens. Raises NotStarted."""
        await self._run(name)
        await self._name_heir()

    async def _run(self, name: str) -> None:
        assert self.door is not None
        environment = {"PATH": os.environ.get("PATH", ""), "CHAPERONE_TRUNK_PASSWORD": self.trunk.password}
        if name == "kamailio":
            (self.door.folder / "edge").unlink(missing_ok=True)
            checked = await _spawn([name, "-c", *self._commands[name][3:]], environment)
            if await checked.wait() != 0:
                raise NotStarted("kamailio does not accept its configuration.")
        process = self._running[name] = await _spawn(self._commands[name], environment)
        self._watching.append(asyncio.create_task(self._watch(name, process)))
        loop = asyncio.get_running_loop()
        until = loop.time() + READY_SECONDS
        while not self._listens(name):
            if loop.time() > until or process.returncode is not None:
                raise NotStarted(f"{name} did not start.")
            await asyncio.sleep(0.02)

    def end(self, name: str) -> None:
        """Kill one of them, if it still runs; that it has died is then told as always."""
        process = self._running.get(name)
        if process is not None and process.returncode is None:
            process.kill()

    async def stop(self) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self._watching = []
        if self._heir is not None:
            self._heir.kill()
            await self._heir.wait()
            self._heir = None
        await asyncio.gather(*(_end(process) for process in self._running.values()))
        self._running = {}
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _name_heir(self) -> None:
        if self._heir is not None:
            self._heir.kill()
        pids = [str(process.pid) for process in self._running.values() if process.returncode is None]
        assert self.door is not None
        farewells = [sys.executable, farewell.__file__, str(self.door.folder)]
        self._heir = await _spawn(["sh", "-c", _HEIR, *farewells, *pids], {"PATH": os.environ.get("PATH", "")}, subprocess.PIPE)

    async def _watch(self, name: str, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        _end_group(process)
        self.died(name)

    def _listens(self, name: str) -> bool:
        assert self.door is not None
        return _listens(self.port) if name == "janus" else (self.door.folder / "edge").exists()


def absent() -> list[str]:
    """The programs that are not here."""
    return [name for name in ("janus", "kamailio") if not shutil.which(name)]


def janus_configuration(trunk: Trunk, folder: Path, port: int, secret: str) -> None:
    """Nothing but WebSockets on loopback and the SIP plugin; no admin interface, and no secret that anybody could know."""
    public = trunk.public_browser_address or ("" if trunk.browser_address else trunk.public_address)
    mapping = f', nat_1_1_mapping = "{public}"' if public else ""
    low, high = trunk.browser_ports
    texts = {
        "janus.jcfg": _JANUS.format(
            folder=folder, api=secret, admin=secrets.token_urlsafe(24), low=low, high=high,
            address=trunk.browser_address or trunk.address, mapping=mapping,
            other_plugins=_others("plugins", "libjanus_sip.so"), other_transports=_others("transports", "libjanus_websockets.so"),
            events=_others("events"), loggers=_others("loggers")),
        "janus.transport.websockets.jcfg": _WEBSOCKETS.format(port=port),
        "janus.plugin.sip.jcfg": _SIP.format(low=20000, high=29999),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)


def _others(kind: str, wanted: str = "") -> str:
    return ",".join(sorted({path.name for path in Path("/usr/lib").glob(f"*/janus/{kind}/*.so")} - {wanted}))


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _is_free(trunk: Trunk) -> bool:
    """kamailio itself would share the port with whoever has it, and get every other message."""
    kind = socket.SOCK_DGRAM if trunk.transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as tried:
        if kind == socket.SOCK_STREAM:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what is left of an ended connection is nobody
        try:
            tried.bind((trunk.address, trunk.sip_port))
        except OSError:
            return False
    return True


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.settimeout(0.2)
        return tried.connect_ex(("127.0.0.1", port)) == 0


async def _spawn(command: list[str], environment: dict[str, str], stdin: int = subprocess.DEVNULL) -> asyncio.subprocess.Process:
    """In a session of its own, so that a terminal's Ctrl-C ends the service first, and calls in order."""
    quiet = subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=quiet, stderr=quiet, env=environment,
                                                start_new_session=True)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 3)
    _end_group(process)
    await process.wait()


def _end_group(process: asyncio.subprocess.Process) -> None:
    """kamailio's workers outlive their parent where that was killed, and keep its port."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
