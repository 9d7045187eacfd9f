"""Keys that lay in the database, as before there was a key store, move into it once; old back-ups open nothing (policy: RE2)."""

import secrets
import sqlite3
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from alembic import command
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recordings.keystore import KeyMissing
from recordings.vault import Vault, key_id
from service.foundation.db import Database
from service.migrations import upgrade

pytestmark = pytest.mark.sqlite  # no other database is old enough
IDS = {name: character * 32 for name, character in (("school", "a"), ("recording", "b"), ("part", "c"))}
OLD = b"\x00".join((b"chaperone-recording-key/1", IDS["school"].encode(), IDS["recording"].encode(), b"1"))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database of the revision before, with one recording whose key lies in it."""
    found = Database(f"sqlite+aiosqlite:///{tmp_path / 'old.sqlite3'}", {})
    async with found.engine.connect() as connection:
        await connection.run_sync(lambda sync: command.upgrade(upgrade.configuration(sync), "0006"))
        await connection.commit()
    yield found
    await found.close()


def insert(file: Path, table: str, **given: object) -> None:
    """One row; columns that are not given get something empty."""
    with sqlite3.connect(file) as connection:
        columns = {row[1]: row for row in connection.execute(f"PRAGMA table_info({table})")}
        empty = {name: ("2026-11-24" if row[2] in ("DATE",) else "2026-11-24 10:00:00" if "DATETIME" in row[2] else 0
                        if row[2] in ("INTEGER", "BOOLEAN") else "")
                 for name, row in columns.items() if row[3] and row[4] is None}
        row = {**empty, **given}
        connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def old_key(tmp_path: Path) -> tuple[bytes, bytes]:
    """(the part's key, what the database kept of it), with the wrapping key as it lay in the folder."""
    wrapping, key, nonce = secrets.token_bytes(32), secrets.token_bytes(32), secrets.token_bytes(12)
    folder = tmp_path / "keys" / IDS["school"]
    folder.mkdir(parents=True)
    (folder / "recordings.wrap").write_bytes(wrapping)
    (folder / "recordings.wrap").chmod(0o600)
    wrapped = nonce + AESGCM(wrapping).encrypt(nonce, key, OLD)
    file = tmp_path / "old.sqlite3"
    insert(file, "school", id=IDS["school"], name="School")
    insert(file, "recording", id=IDS["recording"], school_id=IDS["school"], lesson_id="d" * 32, kept_until="2026-12-24")
    insert(file, "recording_part", id=IDS["part"], school_id=IDS["school"], recording_id=IDS["recording"], part=1)
    insert(file, "recording_key", part_id=IDS["part"], school_id=IDS["school"], wrapped=wrapped.hex())
    return key, wrapped


async def test_they_move_into_the_key_store_and_the_old_wrapping_key_is_erased(database: Database, tmp_path: Path) -> None:
    key, wrapped = old_key(tmp_path)
    await upgrade.to_newest(database, tmp_path / "keys")
    vault = Vault(tmp_path)
    assert vault.open(IDS["school"], IDS["recording"], 1, date(2026, 12, 24)) == key
    with sqlite3.connect(tmp_path / "old.sqlite3") as connection:
        assert connection.execute("SELECT name FROM recording_key").fetchall() == [(key_id(key),)]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert wrapped.hex().encode() not in (tmp_path / "old.sqlite3").read_bytes()
    old = (tmp_path / "keys" / IDS["school"] / "recordings.wrap").read_bytes()
    vault.forget_old()
    assert not (tmp_path / "keys" / IDS["school"] / "recordings.wrap").exists()
    kept = b"".join(file.read_bytes() for file in (tmp_path / "keys").rglob("*") if file.is_file())
    assert old not in kept, "what old back-ups of the database hold opens nothing"
    with pytest.raises(KeyMissing):
        vault.open(IDS["school"], IDS["recording"], 2, date(2026, 12, 24))


async def test_without_the_folder_of_keys_nothing_is_dropped(database: Database, tmp_path: Path) -> None:
    _, wrapped = old_key(tmp_path)
    with pytest.raises(RuntimeError, match="Say where the keys are"):
        await upgrade.to_newest(database)
    with sqlite3.connect(tmp_path / "old.sqlite3") as connection:
        assert connection.execute("SELECT wrapped FROM recording_key").fetchall() == [(wrapped.hex(),)]
