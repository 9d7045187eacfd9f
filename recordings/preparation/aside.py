"""The file beside a part that holds what was made of it, encrypted like the part (`docs/recording-format.md`).

Its key is derived from the part's, so that it goes with it: a part whose key was destroyed has nothing readable beside it.
"""

import json
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recordings.durable import sync_folder
from recordings.format import HEADER, LONGEST_CHUNK, VERSION, Chain, ChunkDamaged, ChunkHeader, Header, as_json, decrypt
from recordings.secret import Key, usable, wipe
from recordings.timeline import Span
from service.foundation.errors import Conflict

MAGIC = b"CHAPSIDE"
CONTEXT = b"chaperone-recording-aside/1"
SALT_BYTES = 16
LONGEST_PREAMBLE = 4096


class AsideKind(IntEnum):
    SPEECH = 16  # JSON: when the person of this track spoke
    PICTURE = 17  # a small WebP of the moment in the header
    END = 18  # JSON: how many chunks came before; without it the file is not whole


class NotAnAside(Conflict):
    """What was prepared for this recording cannot be read. The recording itself is not touched by it."""

    code = "not-an-aside"


def path_of(part: Path) -> Path:
    """Where what was made of a part lies: `1.rec` has `1.aside`."""
    return part.with_suffix(".aside")


def remove(part: Path) -> None:
    """Remove what lies beside a part, finished or not. Safe to repeat."""
    for path in (path_of(part), _unfinished(part)):
        path.unlink(missing_ok=True)
    with suppress(FileNotFoundError):  # the folder may go with the recording just now
        sync_folder(part.parent)


def _unfinished(part: Path) -> Path:
    return part.with_suffix(".aside.new")


def _derive(key: Key, salt: bytes) -> bytearray:
    # A salt for each attempt, because sequence numbers are nonces and begin again with every attempt.
    derived = bytearray(32)
    HKDF(SHA256(), 32, salt, CONTEXT).derive_into(usable(key), derived)
    return derived


class Writing:
    """Makes the file aside and gives it its name when all of it is on the disk; a context that leaves nothing when it fails."""

    def __init__(self, part: Path, key: Key, header: Header):
        salt = secrets.token_bytes(SALT_BYTES)
        body = rfc8785.dumps({
            "format": VERSION, "lesson": header.lesson_id, "part": header.part, "recording": header.recording_id,
            "salt": salt.hex(), "school": header.school_id,
        })
        first = MAGIC + struct.pack("!I", len(body)) + body
        derived = _derive(key, salt)
        self._part, self._chain = part, Chain(derived, first)
        wipe(derived)  # the chain has it
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the part itself may have moved to the store
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(_unfinished(part), flags, 0o600)
        self._write(first)

    def __enter__(self) -> "Writing":
        return self

    def __exit__(self, failed: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._fd)
        self.forget()
        if failed:
            _unfinished(self._part).unlink(missing_ok=True)

    def forget(self) -> None:
        """Overwrite the key: from here on nothing is written but `KeyForgotten` raised."""
        self._chain.forget()

    def speech(self, track: int, spans: list[Span]) -> None:
        body = as_json({"spans": [[span.start_ms, span.end_ms] for span in spans]})
        self._write(self._chain.chunk(AsideKind.SPEECH, body, track=track))

    def picture(self, track: int, at_ms: int, image: bytes) -> None:
        self._write(self._chain.chunk(AsideKind.PICTURE, image, track=track, span=(at_ms, at_ms)))

    def finish(self) -> None:
        """All of it is durable under its name after this."""
        self._write(self._chain.chunk(AsideKind.END, as_json({"chunks": self._chain.tree.size})))
        os.fsync(self._fd)
        os.rename(_unfinished(self._part), path_of(self._part))
        sync_folder(self._part.parent)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]


class Aside:
    """What was made of one part. Pictures are decrypted one at a time."""

    _fd = -1
    _key = bytearray()

    def __init__(self, part: Path, key: Key, header: Header):
        """`header`: whose file it has to be. `NotAnAside` where it is another's, cut or damaged."""
        self._fd = os.open(path_of(part), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._first, salt = self._beginning(header)
            self._key = _derive(key, salt)
            self.speech: dict[int, list[Span]] = {}
            self._pictures: dict[int, dict[int, int]] = {}
            self._read()
        except (ValueError, KeyError, TypeError, ChunkDamaged) as error:
            raise NotAnAside() from error

    def __del__(self) -> None:
        self.forget()
        if self._fd >= 0:
            os.close(self._fd)

    def forget(self) -> None:
        """Overwrite the key: from here on a picture is `KeyForgotten`."""
        wipe(self._key)

    def pictures(self, track: int) -> list[int]:
        """The moments of a track of which there is a picture."""
        return sorted(self._pictures.get(track, ()))

    def picture(self, track: int, at_ms: int) -> bytes | None:
        """The WebP of one of those moments; `ChunkDamaged` when it is not what was written."""
        offset = self._pictures.get(track, {}).get(at_ms)
        return None if offset is None else self._decrypt(offset)

    def _beginning(self, header: Header) -> tuple[bytes, bytes]:
        start = os.pread(self._fd, LONGEST_PREAMBLE, 0)
        first = start[: 12 + int.from_bytes(start[8:12], "big")]
        if start[:8] != MAGIC:
            raise NotAnAside()
        words: dict[str, Any] = json.loads(first[12:])
        whose = (words["school"], words["recording"], words["lesson"], words["part"], words["format"])
        if whose != (header.school_id, header.recording_id, header.lesson_id, header.part, VERSION):
            raise NotAnAside()
        return first, bytes.fromhex(words["salt"])

    def _read(self) -> None:
        count = 1
        for offset, chunk in self._walk():
            if chunk.sequence != count:
                raise NotAnAside()
            if chunk.kind == AsideKind.SPEECH:
                spans = json.loads(self._decrypt(offset))["spans"]
                self.speech[chunk.track] = [Span(start, end) for start, end in spans]
            elif chunk.kind == AsideKind.PICTURE:
                self._pictures.setdefault(chunk.track, {})[chunk.t_first] = offset
            elif chunk.kind == AsideKind.END and json.loads(self._decrypt(offset))["chunks"] == count:
                return
            count += 1
        raise NotAnAside()

    def _walk(self) -> Iterator[tuple[int, ChunkHeader]]:
        offset, size = len(self._first), os.fstat(self._fd).st_size
        while offset + HEADER.size <= size:
            chunk = ChunkHeader(*HEADER.unpack(os.pread(self._fd, HEADER.size, offset)))
            if chunk.length > LONGEST_CHUNK or offset + HEADER.size + chunk.length > size:
                return
            yield offset, chunk
            offset += HEADER.size + chunk.length

    def _decrypt(self, offset: int) -> bytes:
        length = int.from_bytes(os.pread(self._fd, 4, offset), "big")
        return decrypt(self._key, self._first, os.pread(self._fd, HEADER.size + length, offset))
