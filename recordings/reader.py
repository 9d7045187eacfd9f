"""Read a recording's part again: find every chunk, and decrypt one at a time.

A part that ended in order is found from its index; one that was torn off is scanned, and its torn tail is left out.
"""

import json
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, overload

from recordings import webm
from recordings.format import (
    HEADER,
    INDEX_ENTRY,
    LONGEST_CHUNK,
    MAGIC,
    TAG_BYTES,
    TRAILER,
    TRAILER_MAGIC,
    VERSION,
    ChunkDamaged,
    ChunkHeader,
    Flag,
    Header,
    Kind,
    Manifest,
    NotARecording,
    decrypt,
    preamble,
    seal_record,
)
from recordings.secret import Key, usable, wipe
from recordings.storage import LocalBytes, Place
from recordings.webm import Codec

LONGEST_PREAMBLE = 4096
# Plain numbers: an hour of thirty people has 150,000 chunks, and enumerations are slow to compare.
KEY, FRESH, CLUSTER, GAP = int(Flag.KEY), int(Flag.FRESH), int(Kind.CLUSTER), int(Kind.GAP)


class Chunk(NamedTuple):
    """Where a chunk is and what the clear part of it says; one of a track is a playable piece of it."""

    offset: int
    length: int
    kind: int
    flags: int
    track: int
    t_first: int
    t_last: int

    @property
    def key(self) -> bool:
        """Whether seeking may start here."""
        return bool(self.flags & KEY)

    @property
    def fresh(self) -> bool:
        """Whether nothing of the track is directly before."""
        return bool(self.flags & FRESH)

    @property
    def size(self) -> int:
        """Bytes of what it holds, in clear."""
        return self.length - TAG_BYTES


class Pieces(Sequence[Chunk]):
    """The pieces of a track in order of time. Each is read from the index when it is asked for: an hour of thirty people has
    120,000, and a second went into making objects of all of them."""

    def __init__(self, index: bytes, places: Sequence[int] = ()):
        self._index, self._places = index, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Chunk: ...
    @overload
    def __getitem__(self, at: slice) -> list[Chunk]: ...
    def __getitem__(self, at: int | slice) -> Chunk | list[Chunk]:
        if isinstance(at, slice):
            return [self._piece(place) for place in self._places[at]]
        return self._piece(self._places[at])

    def within(self, start_ms: int, end_ms: int) -> "Pieces":
        """Those that begin between two moments."""
        first, after = (bisect_left(self, at_ms, key=lambda piece: piece.t_first) for at_ms in (start_ms, end_ms))
        return Pieces(self._index, self._places[first:after])

    def _piece(self, place: int) -> Chunk:
        return Chunk(*INDEX_ENTRY.unpack_from(self._index, place))


@dataclass(frozen=True)
class TrackInfo:
    """What was said of a track when its first cluster was written."""

    number: int
    id: str
    person_id: str
    source: str
    codec: Codec
    width: int = 0
    height: int = 0
    layer: str = ""


@dataclass(frozen=True)
class Note:
    kind: str
    at_ms: int
    body: dict[str, Any]


class PartFile:
    """The bytes of one part, read where they lie. Close it, or use it as a context."""

    def __init__(self, place: Path | Place):
        self._bytes = place.open() if isinstance(place, Place) else LocalBytes(place)
        self.size = self._bytes.size
        try:
            self.preamble, self.header = self._beginning()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "PartFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._bytes.close()

    def read(self, offset: int, count: int) -> bytes:
        return self._bytes.read(offset, count)

    def _beginning(self) -> tuple[bytes, Header]:
        start = self.read(0, LONGEST_PREAMBLE)
        length = int.from_bytes(start[8:12], "big")
        first = start[: 12 + length]
        if start[:8] != MAGIC or len(first) < 12 + length:
            raise NotARecording()
        try:
            words = json.loads(first[12:])
            header = Header(
                words["school"], words["recording"], words["lesson"], words["part"],
                datetime.fromisoformat(words["started_at"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise NotARecording() from error
        if words.get("format") != VERSION or preamble(header) != first:
            raise NotARecording()
        return first, header

    def chunk_header(self, offset: int) -> ChunkHeader | None:
        """The header at `offset`, None where no whole chunk can begin."""
        if offset > self.size:
            return None
        raw = self.read(offset, HEADER.size)
        if len(raw) < HEADER.size:
            return None
        header = ChunkHeader(*HEADER.unpack(raw))
        if header.length > LONGEST_CHUNK or offset + HEADER.size + header.length > self.size:
            return None
        return header

    def walk(self, until: int | None = None) -> Iterator[tuple[Chunk, ChunkHeader]]:
        """Every whole chunk in order, by its clear header alone. `until`: the size that a manifest gives."""
        offset, end = len(self.preamble), self.size if until is None else min(until, self.size)
        while offset < end and (header := self.chunk_header(offset)) and header.kind != Kind.SEAL:
            yield _chunk(offset, header), header
            offset += HEADER.size + header.length

    def record(self, chunk: Chunk) -> bytes:
        return self.read(chunk.offset, HEADER.size + chunk.length)

    def records(self, chunks: Sequence[Chunk]) -> list[bytes]:
        return self._bytes.read_all([(chunk.offset, HEADER.size + chunk.length) for chunk in chunks])

    def manifest(self) -> tuple[Manifest, bytes] | None:
        """The seal at the end and the hash it names as the last chunk's; None for a part that has none."""
        tail = self.read(max(0, self.size - TRAILER.size), TRAILER.size)
        if len(tail) < TRAILER.size:
            return None
        offset, magic = TRAILER.unpack(tail)
        header = self.chunk_header(offset) if magic == TRAILER_MAGIC else None
        if header is None or header.kind != Kind.SEAL:
            return None
        words = read_manifest(self.read(offset + HEADER.size, header.length))
        if words is None or self.read(offset, self.size - offset) != seal_record(words, header.previous):
            return None
        return (words, header.previous) if words.size + words.torn == offset else None


def read_manifest(body: bytes) -> Manifest | None:
    """A manifest from its JSON; None for anything else."""
    try:
        words = json.loads(body)
        if set(words) != {each.name for each in fields(Manifest)}:
            return None
        return Manifest(**words)
    except (ValueError, TypeError):
        return None


class Recording:
    """One part, opened with its key."""

    _key = bytearray()

    def __init__(self, place: Path | Place, key: Key):
        self._file = PartFile(place)
        self._key = bytearray(usable(key))  # its own, so that it can be overwritten
        self.header = self._file.header
        sealed = self._file.manifest()
        self.manifest = sealed[0] if sealed else None
        self._index = self._indexed() or self._scanned()
        self._pieces: dict[int, array[int]] = defaultdict(lambda: array("Q"))
        self._gaps: dict[int, list[int]] = defaultdict(list)
        self._others: list[Chunk] = []
        self.last_ms = self._sort()
        self.tracks = {info.number: info for info in self._read_tracks()}

    def _sort(self) -> int:
        """Where the pieces of each track are in the index, its gaps, and whatever else there is. Returns the last moment."""
        last_ms = 0
        for number, entry in enumerate(INDEX_ENTRY.iter_unpack(self._index)):
            _, _, kind, _, track, t_first, t_last = entry
            last_ms = max(last_ms, t_last)
            if kind == CLUSTER:
                self._pieces[track].append(number * INDEX_ENTRY.size)
            elif kind == GAP:
                self._gaps[track].append(t_first)
            else:
                self._others.append(Chunk(*entry))
        return last_ms

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        wipe(self._key)

    def close(self) -> None:
        self._file.close()
        self.forget()

    @property
    def is_forgotten(self) -> bool:
        return not any(self._key)

    def forget(self) -> None:
        """Overwrite the key and let go of what was read with it: from here on whoever still holds this gets `KeyForgotten`."""
        wipe(self._key)
        self.__dict__.pop("_notes", None)

    def clusters(self, track: int) -> Pieces:
        """The pieces of a track in order of time."""
        return Pieces(self._index, self._pieces.get(track, ()))

    def gaps(self, track: int) -> list[int]:
        """When the track stopped being let through, in milliseconds."""
        return self._gaps.get(track, [])

    def init_segment(self, track: int) -> bytes:
        info = self.tracks[track]
        return webm.init_segment(info.codec, info.width or 640, info.height or 360)

    def cluster(self, track: int, number: int) -> bytes:
        """The plain WebM cluster; `ChunkDamaged` when it is not what was written."""
        return self._decrypt(self.clusters(track)[number])

    def notes(self) -> list[Note]:
        """What happened and what was said, in order of time; what is damaged is left out (`verify` reports it)."""
        usable(self._key)
        return list(self._notes)

    @cached_property
    def _notes(self) -> tuple[Note, ...]:
        records = self._file.records(self._of(Kind.NOTES))
        found = [
            Note(str(each["kind"]), int(each["at_ms"]), dict(each["body"]))
            for record in records for each in self._json(record, [])
        ]
        return tuple(sorted(found, key=lambda note: note.at_ms))

    def _of(self, kind: Kind) -> list[Chunk]:
        return [chunk for chunk in self._others if chunk.kind == kind]

    def _decrypt(self, chunk: Chunk) -> bytes:
        return decrypt(self._key, self._file.preamble, self._file.record(chunk))

    def _json(self, record: bytes, damaged: Any) -> Any:
        try:
            return json.loads(decrypt(self._key, self._file.preamble, record))
        except ChunkDamaged:
            return damaged

    def _indexed(self) -> bytes:
        if self.manifest is None or not self.manifest.index:
            return b""
        header = self._file.chunk_header(self.manifest.index)
        if header is None or header.kind != Kind.INDEX:
            return b""
        try:
            return self._decrypt(_chunk(self.manifest.index, header))
        except ChunkDamaged:
            return b""

    def _scanned(self) -> bytes:
        """The index that a part which was torn off could not be given."""
        chunks = self._file.walk(self.manifest.size if self.manifest else None)
        return b"".join(INDEX_ENTRY.pack(*chunk) for chunk, _ in chunks)

    def _read_tracks(self) -> Iterator[TrackInfo]:
        for record in self._file.records(self._of(Kind.TRACK)):
            words = self._json(record, None)
            if words:
                yield TrackInfo(
                    words["track"], words["id"], words["person"], words["source"], words["codec"], words.get("width", 0),
                    words.get("height", 0), words.get("layer", ""),
                )


def _chunk(offset: int, header: ChunkHeader) -> Chunk:
    return Chunk(offset, header.length, header.kind, header.flags, header.track, header.t_first, header.t_last)
