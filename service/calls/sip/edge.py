"""The trunk's edge: kamailio's configuration from what the school says, and the words it has with us while it runs."""

import asyncio
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from service.calls.sip.farewell import WITHIN, ending, exchange
from service.calls.sip.sdp import Sound, is_near, sound_of
from service.calls.sip.trunk import Trunk

TEMPLATE = Path(__file__).with_name("kamailio.cfg")
_TLS = """[server:default]
method = TLSv1.2+
verify_certificate = no
require_certificate = no
certificate = {own}
private_key = {own}
[client:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
verify_depth = 5
ca_list = {ca}
server_name = {host}
"""
_MACHINE = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Door:
    """Where edge and service meet on loopback, new at every start. `inner`: SIP from Janus. `service`: the edge's words to us."""

    folder: Path
    inner: int
    service: int
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)


def configuration(trunk: Trunk, door: Door, *, strips: bool = True, debug: int = -1) -> str:
    """Write what kamailio reads into the door's folder; its main file as text.

    The trunk's password is not in it: kamailio reads it from its environment. `strips` is False in one test only, the control
    that shows what would leak. `debug` above -1 may write numbers into its log, and is for nobody but tests.
    """
    defines = {"WITH_TLS": trunk.transport == "tls", "WITH_TCP": trunk.transport != "udp", "WITH_ASSERTED": trunk.asserted,
               "WITH_OFFICE": bool(trunk.office), "WITHOUT_STRIPPING": not strips}
    default_port = 5061 if trunk.transport == "tls" else 5060
    words = {
        "DEBUG": str(debug), "INNER": str(door.inner), "SERVICE": str(door.service), "FOLDER": str(door.folder),
        "TOKEN": door.token, "MASK_KEY": secrets.token_hex(16),
        "OUTER": f"{trunk.transport}:{trunk.address}:{trunk.sip_port}",
        "ADVERTISE": f"advertise {trunk.public_address}:{trunk.sip_port}" if trunk.public_address else "",
        "MEDIA": trunk.announced, "NUMBER": trunk.number.e164, "DIGITS": trunk.number.e164.removeprefix("+"),
        "DOMAIN": trunk.host, "USER": trunk.user, "OFFICE": trunk.office,
        "TRUNK": f"sip:{trunk.host}{'' if trunk.port == default_port else f':{trunk.port}'};transport={trunk.transport}",
    }
    text = TEMPLATE.read_text().replace(
        "#!KAMAILIO\n", "#!KAMAILIO\n" + "".join(f"#!define {name}\n" for name, on in defines.items() if on), 1)
    text = re.sub(r"\{\{([A-Z_]+)\}\}", lambda found: words[found[1]], text)
    if trunk.transport == "tls":
        own = _own_certificate(door.folder, trunk.announced)
        (door.folder / "tls.cfg").write_text(_TLS.format(own=own, ca=trunk.ca_file or _MACHINE, host=trunk.host))
    path = door.folder / "kamailio.cfg"
    path.write_text(text)
    path.chmod(0o600)
    return text


def _own_certificate(folder: Path, name: str) -> Path:
    """kamailio listens for TLS with a certificate or not at all. Nobody needs to believe this one: a trunk knows us by digest."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
              .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
              .not_valid_after(now + timedelta(days=3650)).sign(key, hashes.SHA256()))
    path = folder / "own.pem"
    path.touch(0o600)
    path.write_bytes(signed.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


class Edge:
    """What a running edge tells us (who wants sound where), and what we ask of it."""

    def __init__(self, trunk: Trunk, heard: Callable[[str, str, Sound | None], None]) -> None:
        """`heard` gets the call's id, `caller` or `callee`, and where that end wants its sound. The caller is our own end."""
        self._heard = heard
        self._trunk_is_near = is_near(trunk.address) or is_near(trunk.host)
        self._token = ""
        self._folder = Path()
        self._ear: asyncio.DatagramTransport | None = None

    async def listen(self) -> int:
        """The port at which we are told."""
        loop = asyncio.get_running_loop()
        self._ear, _ = await loop.create_datagram_endpoint(lambda: _Ear(self._told), local_addr=("127.0.0.1", 0))
        return int(self._ear.get_extra_info("sockname")[1])

    def knows(self, door: Door) -> None:
        self._token, self._folder = door.token, door.folder

    def close(self) -> None:
        if self._ear is not None:
            self._ear.close()

    def _told(self, data: bytes) -> None:
        head, _, body = data.decode(errors="replace").partition("\n")
        token, _, rest = head.partition(" ")
        side, _, call_id = rest.partition(" ")
        if self._token and secrets.compare_digest(token, self._token) and side in ("caller", "callee"):
            self._heard(call_id.strip(), side, sound_of(body, may_be_near=side == "caller" or self._trunk_is_near))

    async def answers(self) -> bool:
        return await self._ask("core.version") is not None

    async def reaches(self, trunk: Trunk) -> int:
        """The trunk's answer to an OPTIONS (RFC 3261, 11), any of which shows that it is there; 0 for none within 8 s."""
        there = f"sip:{trunk.host}:{trunk.port};transport={trunk.transport}"
        headers = f"From: <sip:{trunk.number.e164}@{trunk.host}>\r\nTo: <{there}>\r\n"
        said = await self._ask("tm.t_uac_wait_block", "OPTIONS", there, ".",
                               f"{trunk.transport}:{trunk.address}:{trunk.sip_port}", headers, "", within=10)
        code = said.get("code", 0) if isinstance(said, dict) else 0
        return 0 if int(code) == 408 else int(code)

    async def end(self, call_id: str) -> None:
        """Hang up on both ends, or stop ringing, where Janus can no longer do it. Never raises."""
        listed = await self._ask("dlg.list") or []
        for dialog in listed:
            if dialog.get("call-id") == call_id:
                method, params = ending(dialog)
                await self._ask(method, *params)

    async def _ask(self, method: str, *params: Any, within: float = WITHIN) -> Any:
        """Its answer; None where there is none in time. The socket is a file, and blocks for a moment only."""
        return await asyncio.get_running_loop().run_in_executor(None, exchange, self._folder, method, list(params), within)


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, told: Callable[[bytes], None]) -> None:
        self._told = told

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._told(data)
