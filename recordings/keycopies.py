"""Copies of the keys, for back-ups: what to copy, how to put it back, and what has to happen before anything is served.

A copy brings back what is destroyed after it was made, so no copy is kept for longer than `KEPT` (policy: RE2, AC6). The shred
lists alone may be kept for ever, and belong into every back-up: the newest is replayed over whatever copy is put back.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from recordings import durable, shredlist
from recordings.keystore import KeyStore
from recordings.vault import SchoolKeys

KEPT = timedelta(days=7)
"""The longest that a copy of the key store may exist anywhere (goal G21)."""
ID = re.compile("[0-9a-z-]{1,32}")
NOT_COPIED = frozenset({"lock"})


def copy(keys: Path) -> dict[str, bytes]:
    """Every file of the folder of keys, by its name relative to it: pepper, signing keys, key stores, shred lists.

    Each school's is taken as it stands between two changes. Encrypt it before it is written anywhere.
    """
    found = {file.name: file.read_bytes() for file in sorted(keys.glob("*")) if file.is_file()}
    for school_id in schools(keys):
        store = KeyStore(keys / school_id, school_id)
        with store.alone():
            found |= {str(file.relative_to(keys)): file.read_bytes() for file in sorted(store.folder.rglob("*"))
                      if file.is_file() and file.name not in NOT_COPIED}
    return found


def shred_lists(keys: Path) -> dict[str, bytes]:
    """Each school's shred list, by school. It holds no key."""
    return {school_id: path.read_bytes() for school_id in schools(keys)
            if (path := keys / school_id / shredlist.NAME).exists()}


def put_back(keys: Path, files: Mapping[str, bytes], lists: Iterable[Mapping[str, bytes]] = ()) -> None:
    """Write a copy into `keys`, which has to be empty, with the newest of the shred `lists` that are known; then replay it.

    Raises `ListChanged` for a list that this school did not sign, or that tells another story than the copy's.
    """
    if any(each.name != "lost+found" for each in keys.glob("*")):
        raise FileExistsError(f"{keys} is not empty. Keys are put back into an empty folder.")
    for name, data in files.items():
        path = keys / name
        if not path.resolve().is_relative_to(keys.resolve()):
            raise ValueError("A name in this copy leads out of the folder of keys.")
        durable.write(path, data)
    for school_id in schools(keys):
        found = [given[school_id] for given in lists if school_id in given]
        path = keys / school_id / shredlist.NAME
        own = [path.read_bytes()] if path.exists() else []
        if newest := shredlist.newest([*own, *found], school_id, SchoolKeys.of(keys, school_id).public):
            durable.write(path, newest)
    replay(keys)


def replay(keys: Path) -> None:
    """Before anything is served: what was destroyed stays destroyed, what is held stays held. Safe to repeat."""
    for school_id in schools(keys):
        shredlist.replay(KeyStore(keys / school_id, school_id), SchoolKeys.of(keys, school_id).public)


def schools(keys: Path) -> list[str]:
    """The schools that have keys here. A volume of its own has other folders, such as lost+found, which nobody looks into."""
    return sorted(folder.name for folder in keys.glob("*") if ID.fullmatch(folder.name) and folder.is_dir())
