"""Where back-ups go: a folder or an s3:// address, behind the same library. Every put is whole or not there."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore

from recordings.durable import make_folder, sync_folder
from service.foundation.errors import Invalid, Unavailable
from service.foundation.stores import is_s3, s3


class TargetSilent(Unavailable):
    """The place of the back-ups does not answer or takes nothing more. The back-ups that were there before are as they were."""

    code = "target-silent"


class NoPlace(Invalid):
    """There is no such place."""


class Target:
    """One place. `part`: `data` or `keys`, which may lie in two places and never mix.

    It is opened when it is first used: `NoPlace`, or `Invalid` for access to a store, where it cannot be.
    """

    def __init__(self, address: str, part: str, access: Path | None, *, create: bool = True):
        self.part = part
        self._address, self._access, self._create = address, access, create
        self._folder = None if is_s3(address) else Path(address).absolute()

    @cached_property
    def _store(self) -> ObjectStore:
        if self._folder is None:
            return s3(self._address, self._access)
        try:
            if self._create:
                make_folder(self._folder)
        except OSError as error:
            raise NoPlace(f"The folder {self._address} cannot be made: {error.strerror}. Is its disk there? Else make the "
                          "folder, for the user of the service.") from error
        if not self._folder.is_dir():
            raise NoPlace(f"There is no folder {self._address}.")
        return LocalStore(self._folder)

    def put(self, name: str, data: bytes) -> None:
        """Durable when it returns."""
        try:
            obstore.put(self._store, f"{self.part}/{name}", data, use_multipart=False)
            if self._folder is not None:
                _settle(self._folder / self.part / name, self._folder)
        except (BaseError, OSError) as error:
            raise TargetSilent() from error

    def get(self, name: str) -> bytes:
        """Raises FileNotFoundError for what is not there."""
        try:
            return bytes(obstore.get(self._store, f"{self.part}/{name}").bytes())
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise TargetSilent() from error

    def names(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Every name in `folder`, without it, and when it was written."""
        prefix = f"{self.part}/{folder}/"
        try:
            for page in obstore.list(self._store, prefix):
                for each in page:
                    yield each["path"].removeprefix(prefix), each["last_modified"]
        except (BaseError, OSError) as error:
            raise TargetSilent() from error

    def delete(self, name: str) -> None:
        try:
            with suppress(FileNotFoundError):
                obstore.delete(self._store, f"{self.part}/{name}")
        except (BaseError, OSError) as error:
            raise TargetSilent() from error


def _settle(path: Path, top: Path) -> None:
    """The library renames whole files into place and leaves it to us that a power cut does not take them."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    folder = path.parent
    while folder.is_relative_to(top):
        sync_folder(folder)
        folder = folder.parent
