"""The thread between a lesson and its disk: encrypt, append, fdatasync, say so. Plain media never reaches a file.

It owns the file alone. It stops at the first error and never tries again, because after a failed fdatasync nobody
knows what is on the disk.
"""

import errno
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from recordings import disk, webm
from recordings.durable import sync_folder
from recordings.format import INDEX_ENTRY, Chain, Flag, Header, Kind, as_json, preamble
from recordings.secret import Key
from recordings.webm import Block, Codec

DISK_FULL = "the disk is full"
DISK_ERROR = "the disk gave an error"
DISK_ROOM = "the disk has no room for the rest of the lesson"
STALLED = "the disk stopped answering"
DIED = "the recorder stopped"
GONE = "the recording's file was moved or removed"

QUEUED_BATCHES = 4


@dataclass(frozen=True)
class TrackHeader:
    """What a track number means: one source of one person; of one that is sent in two sizes, one `layer`, `l` or `h`."""

    number: int
    id: str
    person_id: str
    source: str
    codec: Codec
    layer: str = ""


@dataclass(frozen=True)
class Run:
    """Blocks of one track that belong together; `gap_ms` is when the track stopped being let through, if it did."""

    track: TrackHeader
    blocks: list[Block]
    gap_ms: int | None = None


@dataclass(frozen=True)
class Batch:
    """Everything accepted before `at` (CLOCK_BOOTTIME), with `rest` seconds of the lesson still to come."""

    at: float
    at_ms: int
    runs: list[Run]
    notes: list[dict[str, object]]
    rest: float = 0.0


@dataclass(frozen=True)
class Durable:
    """What is on the disk for certain: so many chunks under this root, in so many bytes."""

    at: float
    chunks: int
    root: bytes
    previous: bytes
    size: int
    last_ms: int


class _NoRoom(Exception):
    """Every claim on the disk together is more than it has."""


class _Gone(Exception):
    """What is written is in a file that nobody will find: it is not where it belongs any more."""


@dataclass
class _TrackState:
    last: Block | None = None
    announced: bool = False


@dataclass(frozen=True)
class _End:
    """Ask the writer to write the index and stop."""

    at: float
    done: Callable[[Durable, int], None]


@dataclass
class Index:
    entries: bytearray = field(default_factory=bytearray)

    def add(self, offset: int, record: bytes) -> None:
        length, kind, flags, track = int.from_bytes(record[:4], "big"), record[4], record[5], record[6:8]
        t_first, t_last = record[16:20], record[20:24]
        self.entries += INDEX_ENTRY.pack(
            offset, length, kind, flags, int.from_bytes(track, "big"),
            int.from_bytes(t_first, "big"), int.from_bytes(t_last, "big"),
        )


class Writer(threading.Thread):
    """`durable` and `failed` are called on this thread; they hand over to the event loop themselves."""

    def __init__(
        self, path: Path, header: Header, key: Key, *, durable: Callable[[Durable], None], failed: Callable[[str], None]
    ):
        super().__init__(name=f"recorder-{header.recording_id[:8]}", daemon=True)
        self._path = path
        self._preamble = preamble(header)
        self._chain = Chain(key, self._preamble)
        self._durable, self._failed = durable, failed
        self.failure = ""
        self._abandoned = False
        self._queue: queue.Queue[Batch | _End] = queue.Queue(QUEUED_BATCHES)
        self._tracks: dict[int, _TrackState] = {}
        self._index = Index()
        self._rate = disk.Rate()
        self._records: list[bytes] = []
        self._size = 0
        self._last_ms = 0
        self._fd = -1

    def put(self, batch: Batch) -> bool:
        """Hand over what was accepted; False when the writer is too far behind."""
        return self._put(batch)

    def end(self, at: float, done: Callable[[Durable, int], None]) -> bool:
        """Write the index and stop; then `done(what is durable, offset of the index)`, on this thread."""
        return self._put(_End(at, done))

    def abandon(self) -> None:
        """Write nothing more, whatever is still waiting."""
        self._abandoned = True
        self._put(_End(0.0, lambda durable, index: None))

    def _put(self, item: Batch | _End) -> bool:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            return False
        return True

    def run(self) -> None:
        try:
            self._open()
            while not isinstance(item := self._queue.get(), _End) and not self._abandoned:
                self._write(item)
            if isinstance(item, _End) and not self._abandoned:
                item.done(*self._finish(item))
        except _NoRoom:
            self._fail(DISK_ROOM)
        except _Gone:
            self._fail(GONE)
        except OSError as error:
            self._fail(DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else DISK_ERROR)
        except BaseException:
            self._fail(DIED)
            raise
        finally:
            self._chain.forget()
            disk.release(id(self))
            if self._fd >= 0:
                os.close(self._fd)

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._failed(reason)

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        self._append(self._preamble)
        for folder in (self._path.parent, self._path.parent.parent):
            sync_folder(folder)

    def _write(self, batch: Batch) -> None:
        for run in batch.runs:
            self._media(run)
        if batch.notes:
            self._chunk(Kind.NOTES, as_json(list(batch.notes)), span=(batch.at_ms, batch.at_ms))
        self._chunk(Kind.BEAT, b"", span=(batch.at_ms, batch.at_ms))
        written = self._sync()
        self._check_place()
        self._rate.wrote(written, batch.at)
        self._durable(self._standing(batch.at))
        if batch.rest and not disk.has_room(self._fd, id(self), batch.rest * self._rate.busiest):
            raise _NoRoom

    def _media(self, run: Run) -> None:
        track = run.track
        state = self._tracks.setdefault(track.number, _TrackState())
        blocks = list(webm.without_holes(run.blocks, state.last)) if track.codec == "opus" else run.blocks
        for blocks_of_cluster in webm.clusters(blocks, track.codec):
            self._cluster(track, state, blocks_of_cluster)
        if run.gap_ms is not None and state.last is not None:
            gap_ms = max(run.gap_ms, state.last.at_ms)
            state.last = None
            self._chunk(Kind.GAP, b"", track=track.number, span=(gap_ms, gap_ms))

    def _cluster(self, track: TrackHeader, state: _TrackState, blocks: list[Block]) -> None:
        if not state.announced:
            self._announce(track, blocks[0])
            state.announced = True
        flags = Flag.KEY if blocks[0].key else Flag(0)
        if state.last is None or webm.is_gap(track.codec, state.last, blocks[0]):
            flags |= Flag.FRESH
        state.last = blocks[-1]
        self._chunk(
            Kind.CLUSTER, webm.cluster(blocks), track=track.number, span=(blocks[0].at_ms, blocks[-1].at_ms), flags=flags
        )

    def _announce(self, track: TrackHeader, first: Block) -> None:
        words: dict[str, object] = {
            "track": track.number, "id": track.id, "person": track.person_id, "source": track.source, "codec": track.codec,
        }
        if track.layer:
            words["layer"] = track.layer
        if track.codec == "vp8":
            words["width"], words["height"] = webm.vp8_size(first.frame)
        self._chunk(Kind.TRACK, as_json(words), track=track.number, span=(first.at_ms, first.at_ms))

    def _chunk(self, kind: Kind, plain: bytes, *, track: int = 0, span: tuple[int, int] = (0, 0), flags: int = 0) -> None:
        record = self._chain.chunk(kind, plain, track=track, span=span, flags=flags)
        if kind is not Kind.BEAT:
            self._index.add(self._size + sum(map(len, self._records)), record)
        self._records.append(record)
        self._last_ms = max(self._last_ms, span[1])

    def _sync(self) -> int:
        written = self._append(b"".join(self._records))
        self._records.clear()
        return written

    def _append(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        os.fdatasync(self._fd)
        self._size += len(data)
        return len(data)

    def _check_place(self) -> None:
        """A disk takes writes to a file that somebody moved or removed as well, and says nothing (policy: RL4)."""
        mine = os.fstat(self._fd)
        try:
            found = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError as error:
            raise _Gone from error
        if (found.st_dev, found.st_ino) != (mine.st_dev, mine.st_ino):
            raise _Gone

    def _standing(self, at: float) -> Durable:
        tree = self._chain.tree
        return Durable(at, tree.size, tree.root(), self._chain.previous, self._size, self._last_ms)

    def _finish(self, end: _End) -> tuple[Durable, int]:
        index = self._size
        self._chunk(Kind.INDEX, bytes(self._index.entries), span=(self._last_ms, self._last_ms))
        self._sync()
        return self._standing(end.at), index
