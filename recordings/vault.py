"""Keys of recordings: each part's own, wrapped by its school's, which lives in a folder outside the database.

A back-up of the database opens nothing, and a copy of the recordings folder opens nothing. Destroying a part's wrapped
key destroys the part (policy: RE2, RE3); the school's signature and the hashes stay checkable.
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from recordings.storage import Place, Storage
from recordings.writer import sync_folder
from service.foundation.errors import Unavailable

KEY_BYTES = 32
NONCE_BYTES = 12
WRAP_CONTEXT = b"chaperone-recording-key/1"


class KeyMissing(Unavailable):
    """The key of this recording cannot be read. Tell the technician."""

    code = "key-missing"


def new_key() -> bytes:
    """A key for one part of one recording."""
    return secrets.token_bytes(KEY_BYTES)


@dataclass(frozen=True)
class SchoolKeys:
    """One school's two keys: one wraps, one signs. `public` is the raw Ed25519 key that checks seals."""

    school_id: str
    _wrapping: bytes = field(repr=False)
    _signing: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def of(cls, folder: Path, school_id: str) -> "SchoolKeys":
        """The keys of a school from the folder of keys, made at first use."""
        return cls(
            school_id,
            _secret(folder / school_id / "recordings.wrap"),
            Ed25519PrivateKey.from_private_bytes(_secret(folder / school_id / "recordings.sign")),
        )

    def wrap(self, key: bytes, *, recording_id: str, part: int) -> bytes:
        """The key of one part, for the database: AES-256-GCM, bound to this school, recording and part."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._wrapping).encrypt(nonce, key, self._context(recording_id, part))

    def unwrap(self, wrapped: bytes, *, recording_id: str, part: int) -> bytes:
        """`KeyMissing` where it is another school's, another part's, destroyed or damaged."""
        nonce, body = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return AESGCM(self._wrapping).decrypt(nonce, body, self._context(recording_id, part))
        except (InvalidTag, ValueError) as error:
            raise KeyMissing() from error

    def _context(self, recording_id: str, part: int) -> bytes:
        return b"\x00".join((WRAP_CONTEXT, self.school_id.encode(), recording_id.encode(), str(part).encode()))

    @property
    def public(self) -> bytes:
        return self._signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        return self._signing.sign(message)


def _secret(path: Path) -> bytes:
    """32 random bytes that only the service's user may read, durable before anybody relies on them."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _read(path)
    except FileNotFoundError:
        return _create(path)


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        secret, mode = file.read(KEY_BYTES + 1), os.fstat(fd).st_mode
    if len(secret) != KEY_BYTES or mode & 0o077:
        raise KeyMissing(f"The key file {path.name} is damaged or readable by others. Tell the technician.")
    return secret


def _create(path: Path) -> bytes:
    # Written aside and linked, so that a torn or half-written key never has the key's name, and the first one wins.
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(fd)
        try:
            os.link(aside, path)
        except FileExistsError:
            return _read(path)
    finally:
        os.unlink(aside)
    sync_folder(path.parent)
    sync_folder(path.parent.parent)
    return _read(path)


class Vault:
    """Where one installation's recordings and their keys lie: `data`/recordings (and the store behind it) and `data`/keys."""

    def __init__(self, data: Path, storage: Storage | None = None):
        self.storage, self._keys = storage or Storage(data / "recordings"), data / "keys"
        self._schools: dict[str, SchoolKeys] = {}

    def keys(self, school_id: str) -> SchoolKeys:
        if school_id not in self._schools:
            self._schools[school_id] = SchoolKeys.of(self._keys, school_id)
        return self._schools[school_id]

    def path(self, recording_id: str, part: int) -> Path:
        """The file that one part is recorded into."""
        return self.storage.path(recording_id, part)

    def place(self, recording_id: str, part: int) -> Place:
        """One part where it is now, for reading."""
        return self.storage.place(recording_id, part)
