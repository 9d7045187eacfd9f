"""Whose home an address is in, for the same-address alert (threat T3)."""

from ipaddress import IPv6Address, IPv6Network, ip_address

HOME = 64
"""Bits of an IPv6 address that the devices of one home have in common; each makes up the rest, and a new one every day."""


def home_of(address: str) -> str:
    """What two devices behind one router have in common: an IPv4 address, or the first half of an IPv6 address."""
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Network((int(found), HOME), strict=False))
    return str(found)
