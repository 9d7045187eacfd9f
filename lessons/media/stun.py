"""STUN binding for an ICE-lite agent: requests in, success responses out (RFC 8489, RFC 8445)."""

import hashlib
import hmac
import ipaddress
import struct
import zlib
from dataclasses import dataclass

COOKIE = 0x2112A442
REQUEST, SUCCESS = 0x0001, 0x0101
USERNAME, INTEGRITY, XOR_MAPPED_ADDRESS, USE_CANDIDATE, FINGERPRINT = 0x0006, 0x0008, 0x0020, 0x0025, 0x8028
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")


@dataclass(frozen=True)
class BindingRequest:
    """A connectivity check. `username` is `local ufrag:remote ufrag`; nothing in it is true before `verified`."""

    transaction: bytes
    username: bytes
    nominated: bool
    _signed: bytes
    _integrity: bytes

    @property
    def local_ufrag(self) -> bytes:
        return self.username.partition(b":")[0]

    def verified(self, password: bytes) -> bool:
        """Whether the sender knows our password (MESSAGE-INTEGRITY, RFC 8489 14.5)."""
        return hmac.compare_digest(hmac.new(password, self._signed, hashlib.sha1).digest(), self._integrity)


def parse(datagram: bytes) -> BindingRequest | None:
    """The binding request in a datagram, or None for anything else or anything malformed."""
    if len(datagram) < 44 or len(datagram) > 1500:
        return None
    kind, length, cookie, transaction = _HEADER.unpack_from(datagram)
    if kind != REQUEST or cookie != COOKIE or length != len(datagram) - 20 or length % 4:
        return None
    username, nominated, at = None, False, 20
    while at + 4 <= len(datagram):
        attribute, size = _ATTRIBUTE.unpack_from(datagram, at)
        value = datagram[at + 4:at + 4 + size]
        if len(value) != size:
            return None
        if attribute == INTEGRITY:                       # only what comes before it is protected
            if username is None or size != 20:
                return None
            signed = datagram[:2] + struct.pack("!H", at + 4) + datagram[4:at]
            return BindingRequest(transaction, username, nominated, signed, value)
        if attribute == USERNAME:
            username = value
        elif attribute == USE_CANDIDATE:
            nominated = True
        at += 4 + size + (-size & 3)
    return None


def success(request: BindingRequest, password: bytes, address: tuple[str, int]) -> bytes:
    """The response: XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT."""
    packed = ipaddress.ip_address(address[0].partition("%")[0]).packed
    mask = struct.pack("!I", COOKIE) + request.transaction
    mapped = struct.pack("!BBH", 0, 1 if len(packed) == 4 else 2, address[1] ^ (COOKIE >> 16))
    mapped += bytes(a ^ b for a, b in zip(packed, mask, strict=False))
    body = _ATTRIBUTE.pack(XOR_MAPPED_ADDRESS, len(mapped)) + mapped
    signed = _HEADER.pack(SUCCESS, len(body) + 24, COOKIE, request.transaction) + body
    body += _ATTRIBUTE.pack(INTEGRITY, 20) + hmac.new(password, signed, hashlib.sha1).digest()
    message = _HEADER.pack(SUCCESS, len(body) + 8, COOKIE, request.transaction) + body
    return message + struct.pack("!HHI", FINGERPRINT, 4, (zlib.crc32(message) ^ 0x5354554E) & 0xFFFFFFFF)
