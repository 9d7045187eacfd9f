"""Read a recording's part again: find every chunk, and decrypt one at a time.

A part that ended in order is found from its index; one that was torn off is scanned, and its torn tail is left out.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

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
    """Where a chunk is and what the clear part of it says."""

    offset: int
    length: int
    kind: int
    flags: int
    track: int
    t_first: int
    t_last: int


class Cluster(NamedTuple):
    """One playable piece of a track. `key`: seeking may start here; `fresh`: nothing of the track directly before."""

    t_first: int
    t_last: int
    key: bool
    fresh: bool
    size: int
    chunk: Chunk


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
        self._chunks = self._indexed() or self._scanned()
        self.tracks = {info.number: info for info in self._read_tracks()}
        self._clusters: dict[int, list[Cluster]] = {number: [] for number in self.tracks}
        self._gaps: dict[int, list[int]] = {}
        for chunk in self._chunks:
            if chunk.kind == CLUSTER:
                self._clusters.setdefault(chunk.track, []).append(_cluster(chunk))
            elif chunk.kind == GAP:
                self._gaps.setdefault(chunk.track, []).append(chunk.t_first)
        self.last_ms = max((chunk.t_last for chunk in self._chunks), default=0)

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

    def clusters(self, track: int) -> list[Cluster]:
        """The pieces of a track in order of time."""
        return self._clusters.get(track, [])

    def gaps(self, track: int) -> list[int]:
        """When the track stopped being let through, in milliseconds."""
        return self._gaps.get(track, [])

    def init_segment(self, track: int) -> bytes:
        info = self.tracks[track]
        return webm.init_segment(info.codec, info.width or 640, info.height or 360)

    def cluster(self, track: int, number: int) -> bytes:
        """The plain WebM cluster; `ChunkDamaged` when it is not what was written."""
        return self._decrypt(self.clusters(track)[number].chunk)

    def notes(self) -> list[Note]:
        """What happened and what was said, in order of time; what is damaged is left out (`verify` reports it)."""
        usable(self._key)
        return list(self._notes)

    @cached_property
    def _notes(self) -> tuple[Note, ...]:
        records = self._file.records(list(self._of(Kind.NOTES)))
        found = [
            Note(str(each["kind"]), int(each["at_ms"]), dict(each["body"]))
            for record in records for each in self._json(record, [])
        ]
        return tuple(sorted(found, key=lambda note: note.at_ms))

    def _of(self, kind: Kind) -> Iterator[Chunk]:
        number = int(kind)
        return (chunk for chunk in self._chunks if chunk.kind == number)

    def _decrypt(self, chunk: Chunk) -> bytes:
        return decrypt(self._key, self._file.preamble, self._file.record(chunk))

    def _json(self, record: bytes, damaged: Any) -> Any:
        try:
            return json.loads(decrypt(self._key, self._file.preamble, record))
        except ChunkDamaged:
            return damaged

    def _indexed(self) -> list[Chunk]:
        if self.manifest is None or not self.manifest.index:
            return []
        header = self._file.chunk_header(self.manifest.index)
        if header is None or header.kind != Kind.INDEX:
            return []
        try:
            entries = self._decrypt(_chunk(self.manifest.index, header))
        except ChunkDamaged:
            return []
        return list(map(Chunk._make, INDEX_ENTRY.iter_unpack(entries)))

    def _scanned(self) -> list[Chunk]:
        return [chunk for chunk, _ in self._file.walk(self.manifest.size if self.manifest else None)]

    def _read_tracks(self) -> Iterator[TrackInfo]:
        for record in self._file.records(list(self._of(Kind.TRACK))):
            words = self._json(record, None)
            if words:
                yield TrackInfo(
                    words["track"], words["id"], words["person"], words["source"], words["codec"], words.get("width", 0),
                    words.get("height", 0), words.get("layer", ""),
                )


def _chunk(offset: int, header: ChunkHeader) -> Chunk:
    return Chunk(offset, header.length, header.kind, header.flags, header.track, header.t_first, header.t_last)


def _cluster(chunk: Chunk) -> Cluster:
    return Cluster(
        chunk.t_first, chunk.t_last, bool(chunk.flags & KEY), bool(chunk.flags & FRESH), chunk.length - TAG_BYTES,
        chunk,
    )
