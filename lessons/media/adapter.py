"""The only file that touches private names of aiortc and pylibsrtp: DTLS-SRTP (RFC 5764) and libsrtp on raw memory.

aiortc's `RTCDtlsTransport` does the handshake over a duck-typed ICE transport; afterwards its libsrtp contexts are used
directly, on memory that the sockets read into and write from, because one Python object per packet costs more than the
cipher. `assert_contract` names everything borrowed, is called when a plane starts, and is what a version bump must pass.
"""

import asyncio
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiortc import rtcdtlstransport as dtls
from pylibsrtp import Session
from pylibsrtp._binding import ffi, lib

Role = Literal["client", "server"]
FINGERPRINT_ALGORITHMS = frozenset(dtls.X509_DIGEST_ALGORITHMS)
PROFILES = (dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_SHA1_80)
"""In order of preference (RFC 7714, RFC 5764); the DTLS server's order decides."""

srtp_protect: Callable[[Any, Any, Any], int] = lib.srtp_protect
srtp_unprotect: Callable[[Any, Any, Any], int] = lib.srtp_unprotect
srtp_protect_rtcp: Callable[[Any, Any, Any], int] = lib.srtp_protect_rtcp
srtp_unprotect_rtcp: Callable[[Any, Any, Any], int] = lib.srtp_unprotect_rtcp


class ContractBroken(RuntimeError):
    """The installed aiortc or pylibsrtp is not the one this adapter was written for."""


@functools.cache
def assert_contract() -> None:
    """Check every borrowed name, once a process; raises `ContractBroken` before any port is opened."""
    transport = dtls.RTCDtlsTransport(_IceTransport(lambda datagram: None), [certificate()])  # type: ignore[arg-type]
    borrowed = {
        "RTCDtlsTransport": (transport, ("_set_role", "_rx_srtp", "_tx_srtp", "_srtp_profiles", "_ssl", "_transport",
                                         "start", "stop")),
        "rtcdtlstransport": (dtls, ("X509_DIGEST_ALGORITHMS", "SRTP_AEAD_AES_256_GCM", "SRTP_AES128_CM_SHA1_80")),
        "Session": (Session(), ("_srtp",)),
        "pylibsrtp._binding.lib": (lib, ("srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp")),
        "pylibsrtp._binding.ffi": (ffi, ("new", "cast", "buffer")),
    }
    missing = [f"{name}.{attribute}" for name, (thing, attributes) in borrowed.items()
               for attribute in attributes if not hasattr(thing, attribute)]
    source = inspect.getsource(dtls.RTCDtlsTransport)
    missing += [name for name in ("self.transport._recv()", "self.transport._send(data)") if name not in source]
    if missing:
        raise ContractBroken("aiortc 1.16 and pylibsrtp 1.0 are needed; missing: " + ", ".join(missing))


def certificate() -> dtls.RTCCertificate:
    """A fresh self-signed certificate (ECDSA P-256). One for the life of a plane."""
    return dtls.RTCCertificate.generateCertificate()


def fingerprint(certificate: dtls.RTCCertificate) -> str:
    """The certificate's SHA-256 fingerprint, as SDP writes it (RFC 8122)."""
    return next(str(f.value) for f in certificate.getFingerprints() if f.algorithm == "sha-256")


def pointer(address: int) -> Any:
    """A `char *` for libsrtp from an address in memory that somebody else allocated and keeps."""
    return ffi.cast("char *", address)


def length_cell() -> Any:
    """An `int *` that libsrtp reads a packet's length from and writes the new length to."""
    return ffi.new("int *")


@dataclass(frozen=True)
class Keys:
    """libsrtp contexts of one connection. `owners` keeps them alive; the contexts go when it goes."""

    receive: Any
    send: Any
    profile: str
    owners: tuple[Any, ...]


class _IceTransport:
    """What `RTCDtlsTransport` asks of an ICE transport: datagrams in, datagrams out."""

    role = "controlled"
    state = "completed"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._out = send
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue(64)

    async def _recv(self) -> bytes:
        datagram = await self.inbox.get()
        if datagram is None:
            raise ConnectionError
        return datagram

    async def _send(self, datagram: bytes) -> None:
        self._out(datagram)


class Dtls:
    """One DTLS association. `send` puts a datagram on the current path; `on_close` runs once when the other side ends it."""

    def __init__(self, certificate: dtls.RTCCertificate, send: Callable[[bytes], None],
                 on_close: Callable[[], None]) -> None:
        self._ice = _IceTransport(send)
        self._dtls = dtls.RTCDtlsTransport(self._ice, [certificate])  # type: ignore[arg-type]
        self._dtls._srtp_profiles = list(PROFILES)
        self._on_close = on_close
        self._dtls.on("statechange", self._changed)
        self._connected = False

    def feed(self, datagram: bytes) -> None:
        """Take one received DTLS datagram; a flood beyond the queue is dropped (DTLS sends again)."""
        if not self._ice.inbox.full():
            self._ice.inbox.put_nowait(datagram)

    async def handshake(self, fingerprints: Sequence[tuple[str, str]], role: Role) -> Keys:
        """Shake hands and check that the peer holds a certificate that every one of `fingerprints` names.

        Raises ConnectionError when the handshake or the check fails.
        """
        self._dtls._set_role(role)
        expected = [dtls.RTCDtlsFingerprint(algorithm=algorithm, value=value) for algorithm, value in fingerprints]
        await self._dtls.start(dtls.RTCDtlsParameters(fingerprints=expected, role=role))
        if self._dtls.state != "connected":
            raise ConnectionError(f"DTLS {self._dtls.state}")
        self._connected = True
        receive, send = self._dtls._rx_srtp, self._dtls._tx_srtp
        assert self._dtls._ssl is not None
        profile = self._dtls._ssl.get_selected_srtp_profile().decode()
        return Keys(receive._srtp[0], send._srtp[0], profile, (receive, send))

    async def close(self) -> None:
        """Tell the other side (close_notify) and stop."""
        self._connected = False
        await self._dtls.stop()

    def _changed(self) -> None:
        if self._connected and self._dtls.state in ("closed", "failed"):
            self._connected = False
            self._on_close()
