"""What the school says of its SIP trunk, checked once at the start, in words for a technician."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from service.calls.number import Number
from service.foundation.errors import Invalid
from service.foundation.settings import Settings

TRANSPORTS = ("udp", "tcp", "tls")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z0-9+._-]{0,64}")
_OFFICE = re.compile(r"sips?:[A-Za-z0-9+._-]{1,64}@[A-Za-z0-9.-]{1,253}(:\d{1,5})?(;transport=(udp|tcp|tls))?")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


class TrunkInvalid(Invalid):
    """The settings of the telephone trunk cannot be used."""

    code = "trunk-invalid"


@dataclass(frozen=True)
class Trunk:
    """host, port, transport: where it listens. user, password: digest authentication (RFC 8760), where it asks for it.

    number              the school's own, in E.164: the only one that anybody is shown
    office              SIP address that rings for calls to that number; empty: such calls find nobody
    ca_file             the certificates (PEM) that a TLS trunk must show one of; empty: those that the machine trusts
    srtp                the sound is encrypted too (RFC 4568), or there is no call
    asserted            whoever withholds the number still names it to the network in P-Asserted-Identity (RFC 3325)
    address             our address towards the trunk, for SIP and sound; public_address: what a router makes of it (1:1 NAT)
    sip_port, sound_ports, browser_ports   what a firewall lets in: SIP; sound from the trunk; sound from browsers, all UDP
    browser_address     our address towards browsers, where it is another; public_browser_address: what a router makes of it
    """

    host: str
    address: str
    number: Number
    port: int = 5060
    transport: str = "udp"
    user: str = ""
    password: str = field(default="", repr=False)
    office: str = ""
    ca_file: Path | None = None
    srtp: bool = False
    asserted: bool = False
    public_address: str = ""
    sip_port: int = 5060
    sound_ports: tuple[int, int] = (42000, 42199)
    browser_ports: tuple[int, int] = (43000, 43199)
    browser_address: str = ""
    public_browser_address: str = ""

    @property
    def announced(self) -> str:
        return self.public_address or self.address


def trunk_of(settings: Settings) -> Trunk | None:
    """The school's trunk; none where no host is set. Raises TrunkInvalid with every fault at once, and no secret."""
    if not settings.trunk_host:
        return None
    faults: list[str] = []
    password = ""
    if settings.trunk_password_file:
        try:
            password = settings.trunk_password_file.read_text().strip()
        except OSError:
            faults.append("CHAPERONE_TRUNK_PASSWORD_FILE cannot be read.")
    trunk = Trunk(
        host=settings.trunk_host, port=settings.trunk_port, transport=settings.trunk_transport, user=settings.trunk_user,
        password=password, number=Number(settings.trunk_number), office=settings.trunk_office, ca_file=settings.trunk_ca_file,
        srtp=settings.trunk_srtp, asserted=settings.trunk_asserted, address=settings.trunk_address,
        public_address=settings.trunk_public_address, sip_port=settings.trunk_sip_port,
        sound_ports=_ports(settings.trunk_sound_ports), browser_ports=_ports(settings.trunk_browser_ports),
        browser_address=_first(settings.media_addresses), public_browser_address=_first(settings.media_public_addresses))
    faults += faults_of(trunk)
    if faults:
        raise TrunkInvalid(" ".join(faults))
    return trunk


def faults_of(trunk: Trunk) -> list[str]:
    """What cannot be right. What passes here has no letter that means anything in a configuration file."""
    fits = {
        "HOST must be a name or an address.": _HOST.fullmatch(trunk.host),
        "PORT must be from 1 to 65535.": 0 < trunk.port < 65536,
        f"TRANSPORT must be one of {', '.join(TRANSPORTS)}.": trunk.transport in TRANSPORTS,
        "USER may have letters, digits and . _ - + only.": _USER.fullmatch(trunk.user),
        "USER needs a password file, and a password file a user.": bool(trunk.user) == bool(trunk.password),
        "NUMBER must be the school's number with its plus sign, such as +441632960001.": _E164.fullmatch(trunk.number.e164),
        "OFFICE must be a SIP address, such as sip:office@pbx.school.example.":
            not trunk.office or _OFFICE.fullmatch(trunk.office),
        "CA_FILE cannot be read.": trunk.ca_file is None or trunk.ca_file.is_file(),
        "CA_FILE must not have a space or a quotation mark in its path.":
            not re.search(r"[\s\"']", str(trunk.ca_file or "")),
        "SRTP needs TRANSPORT=tls: its keys travel in the signalling.": not trunk.srtp or trunk.transport == "tls",
        "ADDRESS must be this server's address towards the trunk (IPv4).": _is_address(trunk.address),
        "PUBLIC_ADDRESS must be an IPv4 address.": not trunk.public_address or _is_address(trunk.public_address),
        "BROWSER_PORTS and SOUND_PORTS must not overlap.":
            trunk.browser_ports[1] < trunk.sound_ports[0] or trunk.sound_ports[1] < trunk.browser_ports[0],
        "SIP_PORT must be from 1 to 65535.": 0 < trunk.sip_port < 65536,
        "SOUND_PORTS must be a range with two ports for each call, such as 42000-42199.": _is_range(trunk.sound_ports),
        "BROWSER_PORTS must be a range with two ports for each call, such as 43000-43199.": _is_range(trunk.browser_ports),
    }
    return [f"CHAPERONE_TRUNK_{words}" for words, fit in fits.items() if not fit]


def _ports(words: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", words)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _first(addresses: str) -> str:
    return addresses.split(",")[0].strip()


def _is_range(ports: tuple[int, int]) -> bool:
    return 1023 < ports[0] < ports[1] < 65536


def _is_address(words: str) -> bool:
    try:
        return not ipaddress.IPv4Address(words).is_unspecified
    except ValueError:
        return False
