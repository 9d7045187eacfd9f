"""Where one installation's recordings and their keys lie, and each school's key that signs.

A back-up of the database opens nothing, and a copy of the recordings folder opens nothing: the keys are in the key store alone
(`recordings.keystore`). Destroying a part's key destroys the part (policy: RE2, RE3); the school's signature and the hashes
stay checkable.
"""

import os
import secrets
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from recordings.durable import erase, remove_folder, sync_folder
from recordings.keystore import NONCE_BYTES, EvidenceIsolated, KeyMissing, KeyStore, Part, key_id
from recordings.secret import KEY_BYTES, new_key, wipe
from recordings.storage import Place, Storage

__all__ = ["EvidenceIsolated", "KeyMissing", "SchoolKeys", "Vault", "key_id", "new_key"]

SIGNING, OLD_WRAPPING = "recordings.sign", "recordings.wrap"


@dataclass(frozen=True)
class SchoolKeys:
    """The key with which one school signs. `public` is the raw Ed25519 key that checks seals."""

    school_id: str
    _signing: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def of(cls, folder: Path, school_id: str) -> "SchoolKeys":
        """The key of a school from the folder of keys, made at first use."""
        return cls(school_id, Ed25519PrivateKey.from_private_bytes(_secret(folder / school_id / SIGNING)))

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


def keep_old(keys: Path, school_id: str, recording_id: str, part: int, kept_until: date, wrapped: bytes) -> str:
    """Move a key that the database kept, as it did before there was a key store. Returns the key's name, empty if it is lost.

    Repeating it is fine, and so is an old database beside a store that has the key already.
    """
    which, store = Part(recording_id, part, kept_until), KeyStore(keys / school_id, school_id)
    context = b"\x00".join((b"chaperone-recording-key/1", school_id.encode(), recording_id.encode(), str(part).encode()))
    try:
        if not store.has(which):
            old = _read(keys / school_id / OLD_WRAPPING)
            store.put(which, AESGCM(old).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context))
        key = store.open(which)
        name = key_id(key)
        wipe(key)
        return name
    except (InvalidTag, FileNotFoundError, KeyMissing):
        return ""


class Vault:
    """Where one installation's recordings and their keys lie: `data`/recordings (and the store behind it), and `keys`."""

    def __init__(self, data: Path, storage: Storage | None = None, keys: Path | None = None):
        self.storage, self.folder_of_keys = storage or Storage(data / "recordings"), keys or data / "keys"
        self._schools: dict[str, SchoolKeys] = {}

    def keys(self, school_id: str) -> SchoolKeys:
        if school_id not in self._schools:
            self._schools[school_id] = SchoolKeys.of(self.folder_of_keys, school_id)
        return self._schools[school_id]

    def has_keys(self, school_id: str) -> bool:
        """Whether the school's key that signs is here: asked before anything would make another one."""
        return (self.folder_of_keys / school_id / SIGNING).exists()

    def forget_old(self) -> None:
        """Erase what wrapped the keys that lay in the database: they are all in the store."""
        for path in self.folder_of_keys.glob(f"*/{OLD_WRAPPING}"):
            erase(path)

    def key_store(self, school_id: str) -> KeyStore:
        """A school's key store. It remembers nothing: what is destroyed is gone at once."""
        return KeyStore(self.folder_of_keys / school_id, school_id)

    def open(self, school_id: str, recording_id: str, part: int, kept_until: date) -> bytearray:
        """The key of one part, for whoever serves or checks it, and wipes it then.

        Raises `KeyMissing`, and `EvidenceIsolated` (policy: RE5).
        """
        return self.key_store(school_id).open(Part(recording_id, part, kept_until))

    def is_isolated(self, school_id: str, recording_id: str) -> bool:
        """Whether it is set apart as evidence: nobody may open it, and nothing is made of it (policy: RE5)."""
        return self.key_store(school_id).is_isolated(recording_id)

    def remove_folder(self, recording_id: str) -> None:
        """Remove what is left in a recording's folder, and the folder, for good."""
        remove_folder(self.storage.folder / recording_id)

    def abandon(self, school_id: str, recording_id: str) -> None:
        """Remove the keys, then the files, of what was begun and never became a recording."""
        self.key_store(school_id).abandon(recording_id)
        self.remove_folder(recording_id)

    def path(self, recording_id: str, part: int) -> Path:
        """The file that one part is recorded into."""
        return self.storage.path(recording_id, part)

    def place(self, recording_id: str, part: int) -> Place:
        """One part where it is now, for reading."""
        return self.storage.place(recording_id, part)
