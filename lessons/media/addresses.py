"""Which addresses of this machine a browser may be offered, and how they are written as ICE candidates."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ifaddr

_VIRTUAL = ("docker", "br-", "veth", "virbr", "cni", "flannel", "podman")
LOOPBACK = ("127.0.0.1", "::1")


def of_this_machine() -> list[str]:
    """Every non-loopback IPv4 and global or unique-local IPv6 address; no link-local ones, no bridges."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        if str(adapter.name).startswith(_VIRTUAL):
            continue
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            if may_be_offered(text) and text not in found:
                found.append(text)
    return found


def may_be_offered(text: str) -> bool:
    """Whether a browser elsewhere could reach this address."""
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)


def is_loopback(text: str) -> bool:
    return ipaddress.ip_address(text).is_loopback


@dataclass(frozen=True)
class Announcement:
    """What one client is offered. Loopback only for a client whose HTTP request came over loopback."""

    addresses: Sequence[str]
    port: int

    def lines(self) -> str:
        """`a=candidate` lines: UDP first, then TCP passive on the same port number (RFC 8839, RFC 6544)."""
        return "".join(_candidates(self.addresses, self.port))


def _candidates(addresses: Iterable[str], port: int) -> Iterable[str]:
    for number, address in enumerate(addresses, 1):
        preference = 65535 - number
        udp, tcp = 126 << 24 | preference << 8 | 255, 90 << 24 | preference << 8 | 255
        yield f"a=candidate:{number} 1 udp {udp} {address} {port} typ host\r\n"
        yield f"a=candidate:{number + 100} 1 tcp {tcp} {address} {port} typ host tcptype passive\r\n"
