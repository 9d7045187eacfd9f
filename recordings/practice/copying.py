"""Making a recording for teaching practice out of a lesson's: the same pictures and sound under another key.

What is left out: chat, flags, and everything of anybody who is not among `people`. Plain media is in memory only, a piece at a
time. Nothing is promised before the seal: what breaks off is removed and made again.
"""

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from recordings import durable, seal
from recordings.format import Chain, Header, Kind, Manifest, NotARecording, Signer, as_json, decrypt, preamble
from recordings.reader import Chunk, PartFile
from recordings.secret import Key, wipe
from recordings.storage import Place
from recordings.writer import Durable, Index

NOTES = frozenset({"start", "presence", "open", "hold", "end"})
"""What a viewer has to know of the room: who was there, and when nothing was let through."""
TOGETHER, REST = 16, 0.001
"""So many pieces, then a moment in which lessons that are on have the processor."""


@dataclass
class Copying:
    """What this process copies, one at a time: the keys, so that a destruction overwrites them at once. `is_tidy`: nothing is
    left of what a process was making when it died."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_tidy: bool = False
    _keys: dict[str, list[bytearray]] = field(default_factory=dict, repr=False)

    @property
    def held(self) -> frozenset[str]:
        return frozenset(self._keys)

    def holds(self, recording_id: str, key: bytearray) -> None:
        self._keys.setdefault(recording_id, []).append(key)

    def forget(self, recording_id: str) -> None:
        wipe(*self._keys.pop(recording_id, ()))


@dataclass(frozen=True)
class Copy:
    """Where one part goes: its file, what it belongs to, and its own fresh key."""

    path: Path
    header: Header
    key: bytearray = field(repr=False)


def copy(source: Place, key: Key, to: Copy, people: frozenset[str], *, signer: Signer, now: datetime) -> Manifest:
    """Copy one sealed part and seal the copy. Raises `ChunkDamaged` where the part is not what was sealed, `KeyForgotten` where
    it was destroyed meanwhile, and `OSError`."""
    with PartFile(source) as file, _Out(to) as out:
        sealed = file.manifest()
        if sealed is None:
            raise NotARecording()
        hidden: set[int] = set()
        for number, (chunk, _) in enumerate(file.walk(sealed[0].size)):
            if chunk.kind in (Kind.BEAT, Kind.INDEX):
                continue
            if number % TOGETHER == 0:
                time.sleep(REST)
            if chunk.track in hidden:
                continue
            plain = _kept(chunk, decrypt(key, file.preamble, file.record(chunk)), people)
            if plain is not None:
                out.add(chunk, plain)
            elif chunk.kind == Kind.TRACK:
                hidden.add(chunk.track)
        index = out.finish()
    words = seal.manifest(to.header, out.standing, sealed_at=now, outcome=sealed[0].outcome, reason=sealed[0].reason,
                          index=index, signer=signer)
    seal.append(to.path, words, out.standing.previous)
    return words


def _kept(chunk: Chunk, plain: bytes, people: frozenset[str]) -> bytes | None:
    """What of a chunk goes into the copy; None for nothing."""
    if chunk.kind == Kind.TRACK:
        return plain if json.loads(plain)["person"] in people else None
    if chunk.kind == Kind.NOTES:
        notes = [note for note in json.loads(plain) if _is_kept(note, people)]
        return as_json(notes) if notes else None
    return plain


def _is_kept(note: dict[str, Any], people: frozenset[str]) -> bool:
    return note["kind"] in NOTES and note["body"].get("person") in (None, *people)


class _Out:
    """The file that is being written."""

    def __init__(self, to: Copy):
        durable.make_folder(to.path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(to.path, flags, 0o600), "wb")
        first = preamble(to.header)
        self._chain, self._index, self._last_ms = Chain(to.key, first), Index(), 0
        self._size = self._file.write(first)
        self._folder = to.path.parent
        self.standing = Durable(0.0, 0, b"", b"", 0, 0)

    def __enter__(self) -> "_Out":
        return self

    def __exit__(self, *_: object) -> None:
        self._chain.forget()
        self._file.close()

    def add(self, chunk: Chunk, plain: bytes) -> None:
        span = (chunk.t_first, chunk.t_last)
        record = self._chain.chunk(chunk.kind, plain, track=chunk.track, span=span, flags=chunk.flags)
        self._index.add(self._size, record)
        self._size += self._file.write(record)
        self._last_ms = max(self._last_ms, chunk.t_last)

    def finish(self) -> int:
        """Write the index; everything is on the disk when this returns. Where the index begins."""
        index = self._size
        span = (self._last_ms, self._last_ms)
        self._size += self._file.write(self._chain.chunk(Kind.INDEX, bytes(self._index.entries), span=span))
        self._file.flush()
        os.fsync(self._file.fileno())
        durable.sync_folder(self._folder)
        tree = self._chain.tree
        self.standing = Durable(0.0, tree.size, tree.root(), self._chain.previous, self._size, self._last_ms)
        return index
