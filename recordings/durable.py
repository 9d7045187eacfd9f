"""Small secrets on a disk: written so that a power cut leaves the old or the new, and overwritten before they are removed.

What this cannot promise is in `docs/what-can-be-got.md`: an SSD may keep the cells that were overwritten, and a snapshot or a
file system that never writes in place keeps the old block.
"""

import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from recordings.secret import KEY_BYTES, new_key, wipe

MARK = b"CHAPKEY1"


class NoKey(Exception):
    """There is no whole key here, or others could have read it."""


def sync_folder(folder: Path) -> None:
    """Make a name in `folder`, or its removal, survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """A folder for the service alone, with its parents, durable."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def write(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a whole file or nothing; what was there before is overwritten. `sync=False`: the caller syncs many at once."""
    make_folder(path.parent)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    before = _open_old(path)
    try:
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(fd)
            os.replace(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        if sync:
            sync_folder(path.parent)
        if before >= 0:
            _overwrite(before, sync=sync)
    finally:
        if before >= 0:
            os.close(before)


def _open_old(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def _overwrite(fd: int, *, sync: bool = True) -> None:
    os.pwrite(fd, bytes(os.fstat(fd).st_size), 0)
    if sync:
        os.fsync(fd)


def erase(path: Path) -> None:
    """Overwrite a file, then remove its name; each is on the disk before the next. Repeating it, or nothing there, is fine."""
    fd = _open_old(path)
    if fd < 0:
        return
    try:
        _overwrite(fd)
    finally:
        os.close(fd)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder with its files, durably. Nothing there is fine."""
    if not folder.is_dir():
        return
    for file in folder.iterdir():
        file.unlink(missing_ok=True)
    folder.rmdir()
    sync_folder(folder.parent)


def create_key(path: Path) -> bytearray:
    """32 random bytes that only the service's user may read, durable before anybody relies on them. The first one wins."""
    make_folder(path.parent)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    key = new_key()
    words = bytearray(MARK + bytes(KEY_BYTES) + sha256(key).digest()[:8])
    words[len(MARK):len(MARK) + KEY_BYTES] = key
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb", buffering=0) as file:
            file.write(words)
            os.fsync(fd)
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        os.unlink(aside)
        wipe(key, words)
    sync_folder(path.parent)
    return read_key(path)


def read_key(path: Path) -> bytearray:
    """A key that `create_key` made, for the caller to wipe. Raises `NoKey` for one that is damaged, half erased or readable by
    others."""
    data = bytearray(len(MARK) + KEY_BYTES + 9)
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "rb", buffering=0) as file:
        size, mode = file.readinto(data) or 0, os.fstat(fd).st_mode
    key, end = data[len(MARK):len(MARK) + KEY_BYTES], len(MARK) + KEY_BYTES
    is_whole = size == end + 8 and data[:len(MARK)] == MARK and data[end:size] == sha256(key).digest()[:8]
    wipe(data)
    if not is_whole or mode & 0o077:
        wipe(key)
        raise NoKey(f"The key file {path.name} is damaged or readable by others. Tell the technician.")
    return key
