"""The end of a recording's part: a signed manifest, once, whether the lesson ended in order or the service died."""

import hashlib
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recordings.format import Header, Manifest, Outcome, Signer, seal_record, stamp
from recordings.writer import Durable


def key_name(public: bytes) -> str:
    """The short name under which a manifest says who signed it."""
    return hashlib.sha256(public).hexdigest()[:32]


def manifest(
    header: Header, durable: Durable, *, sealed_at: datetime, outcome: Outcome, reason: str, index: int = 0, torn: int = 0,
    signer: Signer | None = None,
) -> Manifest:
    words = Manifest(
        school_id=header.school_id, recording_id=header.recording_id, lesson_id=header.lesson_id, part=header.part,
        started_at=stamp(header.started_at), sealed_at=stamp(sealed_at), outcome=outcome, reason=reason,
        chunks=durable.chunks, root=durable.root.hex(), size=durable.size, index=index, last_ms=durable.last_ms, torn=torn,
        signed_by=key_name(signer.public) if signer else "",
    )
    return replace(words, signature=signer.sign(words.signed_bytes()).hex()) if signer else words


def is_signed(words: Manifest, public: bytes) -> bool:
    """Whether the school's key (raw Ed25519) signed exactly this manifest."""
    if words.signed_by != key_name(public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(words.signature), words.signed_bytes())
    except (InvalidSignature, ValueError):
        return False
    return True


def append(path: Path, words: Manifest, previous: bytes) -> None:
    """Put the seal behind what the manifest counts; what a failed write left beyond that was never promised."""
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        offset = words.size + words.torn
        os.ftruncate(fd, offset)
        os.fsync(fd)  # never a seal over chunks that a power cut can still take
        record = memoryview(seal_record(words, previous))
        while record:
            written = os.pwrite(fd, record, offset)
            record, offset = record[written:], offset + written
        os.fsync(fd)
    finally:
        os.close(fd)
