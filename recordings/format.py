"""The recording file: a preamble, then encrypted chunks, each bound to the one before; `docs/recording-format.md`.

A chunk that was cut, changed, moved, dropped or taken from another lesson does not decrypt, and the chain of hashes
says which was the first, even to somebody without the key.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import IntEnum, IntFlag
from typing import Any, Literal, NamedTuple, Protocol

import rfc8785
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recordings.secret import Key, KeyForgotten, usable
from service.foundation.audit import Frontier
from service.foundation.errors import Conflict

VERSION = 1
MAGIC = b"CHAPREC\x01"
CONTEXT = b"chaperone-recording/1"
SEAL_CONTEXT = b"chaperone-recording-seal/1\x00"
TRAILER_MAGIC = b"CHAPSEAL"
HEADER = struct.Struct("!IBBHQII32s")
INDEX_ENTRY = struct.Struct("!QIBBHII")
TRAILER = struct.Struct("!Q8s")
TAG_BYTES = 16
LONGEST_CHUNK = 64 * 1024 * 1024

Outcome = Literal["complete", "incomplete"]


class Kind(IntEnum):
    BEAT = 1  # empty: the recorder lives
    TRACK = 2  # JSON: what a track number means
    CLUSTER = 3  # a WebM cluster of one track
    GAP = 4  # empty: from here on nothing of this track was let through
    NOTES = 5  # JSON: what happened, what was said in chat
    INDEX = 6  # where every chunk is, the last one of a file that ended in order
    SEAL = 7  # plain: manifest and signature


class Flag(IntFlag):
    KEY = 1  # the first picture stands alone: seeking may start here
    FRESH = 2  # nothing of this track directly before


class ChunkDamaged(Conflict):
    """This part does not match its seal. Do not rely on it. Tell the technician."""

    code = "chunk-damaged"


class NotARecording(Conflict):
    """This file is not a recording, or its beginning was never written."""

    code = "not-a-recording"


@dataclass(frozen=True)
class Header:
    """What one part of a recording belongs to: opaque ids only. `part` counts from 1."""

    school_id: str
    recording_id: str
    lesson_id: str
    part: int
    started_at: datetime


@dataclass(frozen=True)
class Manifest:
    """How a part ended and what it holds; the signed words of the seal.

    `chunks` counts the preamble as the first; they end at `size`. `torn` bytes that belong to none follow, then the
    seal. `index` is where the index chunk begins, 0 where there is none.
    """

    school_id: str
    recording_id: str
    lesson_id: str
    part: int
    started_at: str
    sealed_at: str
    outcome: Outcome
    reason: str
    chunks: int
    root: str
    size: int
    index: int
    last_ms: int
    torn: int = 0
    format: int = VERSION
    signed_by: str = ""
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """What the signature is over (Ed25519): a context, then the manifest without its signature as RFC 8785 JSON."""
        words = {name: value for name, value in asdict(self).items() if name != "signature"}
        return SEAL_CONTEXT + rfc8785.dumps(words)

    def to_json(self) -> bytes:
        return rfc8785.dumps(asdict(self))


class Signer(Protocol):
    """The school's signature."""

    @property
    def public(self) -> bytes:
        """The raw Ed25519 key of 32 bytes that checks it."""
        ...

    def sign(self, message: bytes) -> bytes: ...


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def preamble(header: Header) -> bytes:
    """The first bytes of a file, in clear: which recording this is."""
    words: dict[str, Any] = {
        "format": VERSION, "lesson": header.lesson_id, "part": header.part, "recording": header.recording_id,
        "school": header.school_id, "started_at": stamp(header.started_at),
    }
    body = rfc8785.dumps(words)
    return MAGIC + struct.pack("!I", len(body)) + body


def leaf(record: bytes) -> bytes:
    """RFC 6962 section 2.1: the hash of one record."""
    return hashlib.sha256(b"\x00" + record).digest()


class ChunkHeader(NamedTuple):
    """The clear 56 bytes before a chunk's body; authenticated with it."""

    length: int
    kind: int
    flags: int
    track: int
    sequence: int
    t_first: int
    t_last: int
    previous: bytes

    def pack(self) -> bytes:
        return HEADER.pack(*self)


def _nonce(sequence: int) -> bytes:
    # Never twice under one key: the key is fresh for each part, the sequence only rises, recovery encrypts nothing.
    return struct.pack("!4xQ", sequence)


class Chain:
    """Encrypts chunks in order, each bound to the preamble and to the chunk before."""

    def __init__(self, key: Key, first: bytes):
        """`key`: 32 fresh random bytes, for this part alone. `first`: the preamble. Raises `KeyForgotten` for a wiped key."""
        if len(key) != 32:
            raise ValueError("a recording's key has 32 bytes")
        self.tree = Frontier()
        self._aead: AESGCM | None = AESGCM(usable(key))
        self.previous = leaf(first)
        self._context = CONTEXT + self.previous
        self.tree.add(self.previous)

    def chunk(self, kind: int, plain: bytes, *, track: int = 0, span: tuple[int, int] = (0, 0), flags: int = 0) -> bytes:
        """The next record of the file. `span`: first and last time in it, in milliseconds."""
        if self._aead is None:
            raise KeyForgotten()
        sequence = self.tree.size
        header = ChunkHeader(len(plain) + TAG_BYTES, kind, flags, track, sequence, *span, self.previous).pack()
        record = header + self._aead.encrypt(_nonce(sequence), plain, self._context + header)
        self.previous = leaf(record)
        self.tree.add(self.previous)
        return record

    def forget(self) -> None:
        """Let go of the cipher, which overwrites its key: nothing more is encrypted."""
        self._aead = None


def decrypt(key: Key, first: bytes, record: bytes) -> bytes:
    """The plain bytes of one record (header and body) of the file that begins with the preamble `first`.

    `ChunkDamaged` for anything but what was written; `KeyForgotten` where the key was wiped.
    """
    header, body = record[: HEADER.size], record[HEADER.size :]
    cipher = AESGCM(usable(key))
    try:
        return cipher.decrypt(_nonce(HEADER.unpack(header)[4]), body, CONTEXT + leaf(first) + header)
    except Exception as damage:
        usable(key)
        raise ChunkDamaged() from damage


def seal_record(manifest: Manifest, previous: bytes) -> bytes:
    """The plain end of a file: the manifest, and a trailer that finds it from the end."""
    body = manifest.to_json()
    header = ChunkHeader(len(body), Kind.SEAL, 0, 0, manifest.chunks, manifest.last_ms, manifest.last_ms, previous)
    return header.pack() + body + TRAILER.pack(manifest.size + manifest.torn, TRAILER_MAGIC)


def as_json(words: Mapping[str, Any] | list[Any]) -> bytes:
    """RFC 8785, so that the same words are always the same bytes."""
    return rfc8785.dumps(dict(words) if isinstance(words, Mapping) else words)
