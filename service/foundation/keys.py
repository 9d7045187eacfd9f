"""The installation's own keys: made at its first start, outside the database, readable by their owner only.

Whole and on the disk before anybody relies on them, and never a second time: what was hashed, signed or sealed with the first
ones would count for nothing, and a school could be served with keys that are not its own (decision 210).
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.pool import NullPool

from service.foundation.errors import Unavailable


class KeysAway(Unavailable):
    """The school's keys are not where they should be. Nothing was started and nothing was changed."""

    code = "keys-away"


def check_there(folder: Path) -> None:
    """Raise where the school's keys are not in `folder`: other ones would be made there, and would be the wrong ones."""
    if not (folder / "signing.pem").exists():
        raise KeysAway(f"The school's signing key is not in {folder}. Set CHAPERONE_KEYS_FOLDER to where its keys are, "
                       "and open the volume that they lie on. Nothing was changed.")


def check_new_or_there(folder: Path, url: str) -> None:
    """Keys may be made at the first start alone, before there is a database. Raises `KeysAway`."""
    if not (folder / "signing.pem").exists() and _is_begun(url):
        check_there(folder)


def _is_begun(url: str) -> bool:
    """Whether an earlier start made something of the database."""
    if url.startswith("sqlite"):
        path = Path(make_url(url).database or "")
        return path.is_file() and path.stat().st_size > 0
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    return inspect(engine).has_table("alembic_version")


def ed25519(folder: Path, name: str) -> Ed25519PrivateKey:
    """The key `name` of this installation. Raises ValueError where the file holds something else."""
    path = folder / f"{name}.pem"
    if not path.exists():
        keep(path, Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path.name} is not an Ed25519 key")
    return key


def keep(path: Path, key: bytes) -> None:
    """Written aside and linked: a power cut or a full disk leaves a whole key or none, and the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
