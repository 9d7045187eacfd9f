"""Hashing of what people prove themselves with: passwords slowly, beside the rooms; PINs and badge codes under a key.

A password is hashed by argon2id in a thread, a few at once, so that a lesson's media on the same machine never waits for
somebody signing in; when too many wait, the next one is told to come back instead of joining the pile.
"""

import asyncio
import hmac
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.foundation import keys
from service.foundation.errors import Unavailable

T = TypeVar("T")
PEPPER_BYTES = 32


class Busy(Unavailable):
    """Many people are signing in just now. Wait a few seconds and try again."""

    code = "busy"


class PepperDamaged(Unavailable):
    """The file “pepper” among the keys is not whole, so that PINs would be hashed under a key that others know. Put it back from
    the newest back-up."""

    code = "pepper-damaged"


class Passwords:
    """argon2id with OWASP's first parameters (46 MiB, one pass, one lane: 46 ms on the machine this was written on)."""

    def __init__(self, at_once: int = 0, waiting: int = 64):
        self._hasher = PasswordHasher(time_cost=1, memory_cost=47_104, parallelism=1)
        self._turn = asyncio.Semaphore(at_once or os.cpu_count() or 1)
        self._waiting = waiting
        self._inside = 0

    async def hash(self, password: str) -> str:
        return await self._work(self._hasher.hash, password)

    async def fits(self, kept: str | None, password: str) -> bool:
        """Whether `password` is the one behind `kept`. Without one it takes as long, and the answer is no."""
        return await self._work(self._verify, kept, password)

    async def _work(self, what: Callable[..., T], *given: object) -> T:
        if self._inside >= self._waiting:
            raise Busy()
        self._inside += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(what, *given)
        finally:
            self._inside -= 1

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash(secrets.token_hex(16))

    def _verify(self, kept: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(kept or self._nobody, password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


class Pepper:
    """Keyed hashes of short secrets. The key lives beside the database, never in it: a copied database guesses nothing."""

    def __init__(self, key: bytes):
        self._key = key

    def code(self, code: str) -> str:
        """What is kept of a badge's secret: found again by the secret itself."""
        return self._of("badge-code", code)

    def pin(self, badge_id: str, pin: str) -> str:
        return self._of("badge-pin", badge_id, pin)

    def name(self, email: str) -> str:
        """A name for counting wrong tries, from which the address cannot be read."""
        return self._of("sign-in-name", email)

    def ticket(self, badge_id: str, until: int) -> str:
        """Between scanning a badge and choosing a PIN: which badge, until when, signed."""
        return f"{badge_id}.{until}.{self._of('badge-ticket', badge_id, str(until))}"

    def badge_of(self, ticket: str, now: int) -> str | None:
        """The badge a ticket is for; None when it is forged or over."""
        badge_id, _, rest = ticket.partition(".")
        until, _, _mac = rest.partition(".")
        good = until.isascii() and until.isdigit() and hmac.compare_digest(
            self.ticket(badge_id, int(until)).encode(), ticket.encode())
        return badge_id if good and now < int(until) else None

    def challenge(self, purpose: str, bound_to: tuple[str, ...], nonce: str, until: int) -> str:
        """Between asking for a passkey and its answer: a nonce and until when, signed together with what it is for."""
        return f"{nonce}.{until}.{self._of('challenge', purpose, nonce, str(until), *bound_to)}"

    def secret(self, purpose: str, *parts: str) -> str:
        """A keyed hash of a short secret, or a secret made from another one that nobody else can make."""
        return self._of(purpose, *parts)

    def seal(self, purpose: str, owner_id: str, secret: str) -> str:
        """A secret that has to be read again, encrypted for its owner's row (AES-256-GCM under a key of its own purpose)."""
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(self._key_for(purpose)).encrypt(nonce, secret.encode(), owner_id.encode())
        return urlsafe_b64encode(nonce + sealed).decode()

    def unseal(self, purpose: str, owner_id: str, sealed: str) -> str:
        """What `seal` was given. Raises `cryptography.exceptions.InvalidTag` when it was moved or changed."""
        raw = urlsafe_b64decode(sealed)
        return AESGCM(self._key_for(purpose)).decrypt(raw[:12], raw[12:], owner_id.encode()).decode()

    def _key_for(self, purpose: str) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"chaperone {purpose}".encode()).derive(self._key)

    def _of(self, purpose: str, *parts: str) -> str:
        return hmac.new(self._key, "\0".join((purpose, *parts)).encode(), sha256).hexdigest()


def pepper(folder: Path) -> Pepper:
    """The installation's pepper, made at first use, readable by its owner only. Raises `PepperDamaged`."""
    path = folder / "pepper"
    if not path.exists():
        keys.keep(path, secrets.token_bytes(PEPPER_BYTES))
    pepper = path.read_bytes()
    if len(pepper) != PEPPER_BYTES:
        raise PepperDamaged()
    return Pepper(pepper)
