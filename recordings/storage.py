"""Where the parts of recordings lie. Every part is written into the data folder; sealed, it moves to the store, if there is one.

Where a part is now is never written down: it is in the folder until the store gives back exactly what was sealed, and from
then on in the store. So a process that dies at any moment leaves nothing to repair.
"""

import asyncio
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import obstore
from obstore.store import ObjectStore

from recordings.durable import sync_folder
from service.foundation.errors import Conflict
from service.foundation.settings import Settings
from service.foundation.stores import answering, is_s3, s3

BLOCK = 1 << 20
BLOCKS_KEPT = 8
AT_ONCE = 16
T = TypeVar("T")
UPLOAD_PIECE = 8 << 20
"""A part is so many bytes an object in the store: an upload that broke off goes on with the first one that is not there."""


class StoredOtherwise(Conflict):
    """The store holds something else under this recording's name. The recording stays in the data folder. Tell the technician."""

    code = "stored-otherwise"


class Bytes(Protocol):
    """The bytes of one part, wherever they lie. Reads block: call them in a thread."""

    size: int

    def read(self, offset: int, count: int) -> bytes: ...

    def read_all(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (offset, count) at once."""
        ...

    def close(self) -> None: ...


class LocalBytes:
    """A file of the data folder. It can be read to its end although its name goes meanwhile."""

    _fd = -1

    def __init__(self, path: Path):
        self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self._fd, count, offset)

    def read_all(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.read(*span) for span in spans]

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    __del__ = close


class StoredBytes:
    """A part in the store, read by ranges; the last few blocks are kept, because readers come back to where they were."""

    def __init__(self, store: ObjectStore, name: str):
        self._store = store
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._objects = _objects(store, name)
        self.size = sum(self._objects.values())

    def read(self, offset: int, count: int) -> bytes:
        end = min(offset + count, self.size)
        if offset >= end:
            return b""
        numbers = range(offset // BLOCK, (end - 1) // BLOCK + 1)
        first = numbers[0] * BLOCK
        return b"".join(self._block(number) for number in numbers)[offset - first:end - first]

    def _block(self, number: int) -> bytes:
        with self._lock:
            found = self._blocks.pop(number, None)
            if found is not None:
                self._blocks[number] = found
                return found
        [got] = self.read_all([(number * BLOCK, BLOCK)])
        with self._lock:
            self._blocks[number] = got
            while len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return got

    def read_all(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        found, wanted, begins = [b""] * len(spans), list[tuple[str, list[tuple[int, int, int]]]](), 0
        for name, size in self._objects.items():
            ends = begins + size
            here = [(number, max(offset, begins) - begins, min(offset + count, ends) - begins)
                    for number, (offset, count) in enumerate(spans) if count and offset < ends and offset + count > begins]
            wanted += [(name, here)] if here else []
            begins = ends
        for (_, here), got in zip(wanted, _together(self._ranges, wanted), strict=True):
            for (number, *_), data in zip(here, got, strict=True):
                found[number] += data
        return found

    def _ranges(self, name: str, here: list[tuple[int, int, int]]) -> list[bytes]:
        with answering():
            got = obstore.get_ranges(self._store, name, starts=[start for _, start, _ in here], ends=[end for _, _, end in here])
            return [bytes(each) for each in got]

    def close(self) -> None:
        self._blocks.clear()


def _together(ask: Callable[..., T], of: Sequence[tuple[Any, ...]]) -> Iterator[T]:
    """Several questions to a store far away, whose answers each take their time."""
    if len(of) == 1:
        return iter([ask(*of[0])])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return pool.map(ask, *zip(*of, strict=True))


def _objects(store: ObjectStore, name: str) -> dict[str, int]:
    """The objects that a part is, in order, and their sizes. Raises FileNotFoundError where there is none.

    Earlier versions stored a part as one object of its name.
    """
    with answering():
        return _pieces(store, name) or {name: int(obstore.head(store, name)["size"])}


def _pieces(store: ObjectStore, name: str) -> dict[str, int]:
    return dict(sorted((each["path"], int(each["size"])) for page in obstore.list(store, f"{name}/") for each in page))


def _piece(name: str, offset: int) -> str:
    return f"{name}/{offset:012x}"


@dataclass(frozen=True)
class Place:
    """One part, to be opened where it is at that moment."""

    path: Path
    name: str
    store: ObjectStore | None = field(default=None, compare=False, repr=False)

    def open(self) -> Bytes:
        """Raises FileNotFoundError where it is nowhere, `StoreSilent` where nobody can tell."""
        try:
            return LocalBytes(self.path)
        except FileNotFoundError:
            if self.store is None:
                raise
            return StoredBytes(self.store, self.name)

    @property
    def recording_id(self) -> str:
        return self.path.parent.name

    @property
    def is_local(self) -> bool:
        return self.path.exists()

    @property
    def in_store(self) -> "Place":
        """The same part in the store only, as nobody but whoever moved it there looks at it."""
        return Place(self.path.with_name(f"{self.path.name}.moved"), self.name, self.store)


class Storage:
    """The folder of one installation's recordings, and the store behind it."""

    def __init__(self, folder: Path, store: ObjectStore | None = None):
        self.folder, self.store = folder, store
        self._turn = asyncio.Lock()

    def path(self, recording_id: str, part: int) -> Path:
        """The file that a part is written into. Named by opaque ids only (policy: CO4)."""
        return self.folder / recording_id / f"{part}.rec"

    def place(self, recording_id: str, part: int) -> Place:
        return Place(self.path(recording_id, part), f"{recording_id}/{part}.rec", self.store)

    def waiting(self) -> Iterator[tuple[str, int]]:
        """(recording, part) of every file of the folder: what has not moved."""
        for path in sorted(self.folder.glob("*/*.rec")):
            if path.stem.isdigit():
                yield path.parent.name, int(path.stem)

    async def upload(self, recording_id: str, part: int, is_sound: Callable[[Place], bool]) -> bool:
        """Have the store hold a sealed part, and prove it: `is_sound` reads back all that the store holds (in a thread).

        Returns whether there was one in the folder to move. The file stays until `release`. What an earlier upload brought there
        before its connection was lost is not sent again.
        """
        place = self.place(recording_id, part)
        async with self._turn:
            if self.store is None or not place.is_local:
                return False
            await _send(self.store, place)
            if not await asyncio.to_thread(is_sound, place.in_store):
                raise StoredOtherwise()
        return True

    async def release(self, recording_id: str, part: int) -> None:
        """The store holds it: take the file out of the folder."""
        async with self._turn:
            await asyncio.to_thread(_remove, self.path(recording_id, part))

    async def delete(self, recording_id: str, part: int) -> None:
        """Remove a part's bytes wherever they are. Safe to repeat; `StoreSilent` where the store has to be asked again later.

        Never beside a move of the same part, or what was deleted would come back.
        """
        place = self.place(recording_id, part)
        async with self._turn:
            await asyncio.to_thread(_remove, place.path)
            if self.store is not None:
                with answering(), suppress(FileNotFoundError):
                    for name in await asyncio.to_thread(_objects, self.store, place.name):
                        await obstore.delete_async(self.store, name)


async def _send(store: ObjectStore, place: Place) -> None:
    """Bring to the store what it has not got of a part. What lies there under a name is not believed, but proved later."""
    try:
        there = await asyncio.to_thread(_objects, store, place.name)
    except FileNotFoundError:
        there = {}
    if place.name in there:
        return
    file = await asyncio.to_thread(LocalBytes, place.path)
    try:
        for offset in range(0, file.size, UPLOAD_PIECE):
            name, length = _piece(place.name, offset), min(UPLOAD_PIECE, file.size - offset)
            if there.get(name) != length:
                piece = await asyncio.to_thread(file.read, offset, length)
                with answering():
                    await obstore.put_async(store, name, piece, use_multipart=False)
    finally:
        file.close()


def _remove(path: Path) -> None:
    """Its folder stays: a next part of the same recording may be about to begin in it."""
    path.unlink(missing_ok=True)
    if path.parent.exists():
        sync_folder(path.parent)


def storage_of(settings: Settings) -> Storage:
    """The storage that the settings name: the data folder, and an S3-compatible store behind it if they say so."""
    store = s3(settings.recordings, settings.s3_access_file) if is_s3(settings.recordings) else None
    return Storage(settings.data / "recordings", store)
