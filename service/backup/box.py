"""What is put into a back-up: pieces under keyed names, encrypted, each bound to its name, and found again by what they hold.

Somebody who sees the place of the back-ups learns how much there is and when it came, and nothing else: a piece's name is a
keyed hash of its words, so that nobody can even ask whether a given text is among them.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.foundation.errors import Conflict, Invalid

NONCE = 12
MAGIC = b"CHAPBACK\x01"
CONTEXT = b"chaperone-backup/1"


class BackupDamaged(Conflict):
    """This back-up was changed or is not whole. Nothing was restored from it. Choose an earlier one."""

    code = "backup-damaged"


class WrongKey(Invalid):
    """This key opens none of these back-ups. Nothing was restored. Use the private key whose public half they were made for."""

    code = "wrong-backup-key"


@dataclass(frozen=True)
class Box:
    """Everything under one secret of 32 bytes."""

    secret: bytes = field(repr=False)

    def name(self, plain: bytes) -> str:
        return hmac.new(self._key(b"name"), plain, hashlib.sha256).hexdigest()

    def seal(self, name: str, plain: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE)
        return nonce + AESGCM(self._key(b"seal")).encrypt(nonce, plain, CONTEXT + name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """Raises `BackupDamaged` for anything but what was sealed under exactly this name."""
        try:
            return AESGCM(self._key(b"seal")).decrypt(sealed[:NONCE], sealed[NONCE:], CONTEXT + name.encode())
        except (InvalidTag, ValueError) as error:
            raise BackupDamaged() from error

    def open_piece(self, name: str, sealed: bytes) -> bytes:
        """A piece, whose name is that of its words."""
        plain = self.open(name, sealed)
        if self.name(plain) != name:
            raise BackupDamaged()
        return plain

    def _key(self, use: bytes) -> bytes:
        return hmac.new(self.secret, CONTEXT + use, hashlib.sha256).digest()


def lock(name: str, words: bytes, recipients: list[str], *, box: Box) -> bytes:
    """A state's file: the box's secret encrypted to every recipient (age), then the words sealed in the box."""
    to = [_recipient(each) for each in recipients]
    header = pyrage.encrypt(box.secret, to)
    return MAGIC + len(header).to_bytes(4, "big") + header + box.seal(name, words)


def _recipient(words: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(words)
    except pyrage.RecipientError as error:
        raise Invalid(f"“{words[:12]}…” in CHAPERONE_BACKUP_RECIPIENTS is not a public age key (age1…).") from error


def unlock(name: str, data: bytes, box: Box | None, identities: list[pyrage.x25519.Identity]) -> tuple[Box, bytes]:
    """(box, words) of a state's file, by the box itself or by a recipient's private key."""
    start = len(MAGIC) + 4
    length = int.from_bytes(data[len(MAGIC):start], "big")
    if data[:len(MAGIC)] != MAGIC or len(data) < start + length:
        raise BackupDamaged()
    if box is None:
        try:
            box = Box(pyrage.decrypt(data[start:start + length], identities))
        except pyrage.DecryptError as error:
            raise (WrongKey if "No matching" in str(error) else BackupDamaged)() from error
    return box, box.open(name, data[start + length:])
