"""The states in one place: written last, read first, and everything that no state names any more removed."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

import pyrage
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from service.backup import box as boxes
from service.backup import rules
from service.backup.box import BackupDamaged, Box
from service.backup.rules import File, State
from service.backup.target import Target

SIGNED = b"chaperone-backup-state/1\x00"
SIGNATURE = 64


class NoBackup(boxes.Invalid):
    """There is no back-up here. Look again where it was made to go."""

    code = "no-backup"


def names(target: Target) -> list[str]:
    """The ids of all states, the earliest first."""
    return sorted(name for name, _ in target.names("states") if rules.made_at(name) is not None)


def keep(target: Target, box: Box, state: State, recipients: list[str], key: Ed25519PrivateKey) -> None:
    """From this moment there is one more back-up: its pieces are all there."""
    words = state.to_json()
    signed = key.sign(SIGNED + words) + words
    target.put(f"states/{state.id}", boxes.lock(_bound(target, state.id), signed, recipients, box=box))


def read(target: Target, name: str, box: Box | None = None,
         identities: Iterable[pyrage.x25519.Identity] = ()) -> tuple[Box, State]:
    """One state, checked: sealed under its own name, whole, signed by whom it names. Raises `BackupDamaged`, `WrongKey`."""
    box, signed = boxes.unlock(_bound(target, name), target.get(f"states/{name}"), box, list(identities))
    words = signed[SIGNATURE:]
    try:
        state = rules.from_json(words)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(state.signer)).verify(signed[:SIGNATURE], SIGNED + words)
    except (ValueError, KeyError, TypeError, InvalidSignature) as error:
        raise BackupDamaged() from error
    if (state.id, state.part) != (name, target.part):
        raise BackupDamaged()
    return box, state


def _bound(target: Target, name: str) -> str:
    return f"{target.part}/states/{name}"


def new_id(now: datetime) -> str:
    return rules.state_id(now, secrets.token_hex(8))


def tidy(target: Target, box: Box, now: datetime, kept: timedelta, *, all_must_be_read: bool) -> int:
    """Remove states that are too old, then the pieces that no state names. Returns how many states were removed.

    `all_must_be_read`: where a state cannot be read, its pieces stay; else whatever nobody can read goes.
    """
    old = rules.outdated(names(target), now, kept)
    for name in old:
        target.delete(f"states/{name}")
    named: set[str] = set()
    for name in names(target):
        try:
            named |= read(target, name, box)[1].pieces
        except BackupDamaged:
            if all_must_be_read:
                return len(old)
    for piece, _ in list(target.names("pieces")):
        if piece not in named:
            target.delete(f"pieces/{piece}")
    return len(old)


def fetch(target: Target, box: Box, file: File) -> Iterable[bytes]:
    """A file's pieces in order. Raises `BackupDamaged` for one that is missing or changed."""
    for piece in file.pieces:
        try:
            yield box.open_piece(piece, target.get(f"pieces/{piece}"))
        except FileNotFoundError as error:
            raise BackupDamaged() from error
