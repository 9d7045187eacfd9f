"""Check a recording's part: the chain, the root, the signature, and with the key every chunk. Says which is the first wrong.

Nothing here needs the database or the service; `docs/recording-format.md` is enough to write it again.
"""

from dataclasses import dataclass
from pathlib import Path

from recordings.format import ChunkDamaged, Header, Manifest, NotARecording, decrypt, leaf
from recordings.reader import PartFile
from recordings.seal import is_signed
from recordings.secret import Key
from recordings.storage import Place
from recordings.writer import Durable
from service.foundation.audit import Frontier


@dataclass(frozen=True)
class Verdict:
    """What checking a part found. `first_bad` counts chunks from 0, the preamble; None when none is wrong.

    `sealed`: it ended with a manifest; `signed`: by the school, None when no key was given to check with. `torn`: bytes
    behind the last whole chunk, which a crash leaves and nobody can read.
    """

    chunks: int
    first_bad: int | None
    problem: str
    sealed: bool
    signed: bool | None
    outcome: str
    reason: str
    torn: int

    @property
    def is_sound(self) -> bool:
        return self.first_bad is None and not self.problem and self.signed is not False


def sound_chunks(part: PartFile, key: Key | None, until: int | None = None) -> tuple[Durable, str]:
    """Follow the chain from the beginning as far as it holds; what stands there, and in words why it goes no further.

    With the key each chunk is decrypted as well; without it a change that also rewrote every later hash is found only by
    the seal's root.
    """
    tree = Frontier()
    previous = leaf(part.preamble)
    tree.add(previous)
    size, last_ms, problem = len(part.preamble), 0, ""
    for chunk, header in part.walk(until):
        record = part.record(chunk)
        if header.sequence != tree.size or header.previous != previous:
            problem = "a chunk is out of its place, or the one before it was changed"
        elif key is not None and not _decrypts(key, part.preamble, record):
            problem = "a chunk was changed"
        if problem:
            break
        previous = leaf(record)
        tree.add(previous)
        size, last_ms = size + len(record), max(last_ms, header.t_last)
    return Durable(0.0, tree.size, tree.root(), previous, size, last_ms), problem


def _decrypts(key: Key, first: bytes, record: bytes) -> bool:
    try:
        decrypt(key, first, record)
    except ChunkDamaged:
        return False
    return True


def verify(
    path: Path | Place, *, key: Key | None = None, public: bytes | None = None, manifest: Manifest | None = None
) -> Verdict:
    """Check one part: the chain, the seal's root and count, the signature (`public`), and with `key` every chunk.

    `manifest`: the one kept elsewhere, for a part whose disk would not take its seal, and to notice an exchanged seal.
    """
    try:
        part = PartFile(path)
    except (OSError, NotARecording) as error:
        return Verdict(0, 0, f"not a recording: {type(error).__name__}", False, None, "", "", 0)
    with part:
        return _verify(part, key, public, manifest)


def _verify(part: PartFile, key: Key | None, public: bytes | None, kept: Manifest | None) -> Verdict:
    sealed = part.manifest()
    words = sealed[0] if sealed else kept
    standing, problem = sound_chunks(part, key, words.size if words else None)
    # Without the key a changed chunk shows only in the next one's hash of it.
    first_bad = standing.chunks - (key is None) if problem else None
    torn = part.size - standing.size if words is None else words.torn
    if words is None:
        # Without a seal nobody can tell a torn tail from a changed one: it is left out, and said.
        return Verdict(standing.chunks, None, "", False, None, "", "", torn)
    signed = None if public is None else is_signed(words, public)
    if kept is not None and sealed is None:
        problem, first_bad = "the seal is missing or was changed", standing.chunks if first_bad is None else first_bad
    elif kept is not None and words != kept:
        problem, first_bad = "the seal is not the one that was kept", first_bad or 0
    elif not problem and not (sealed and _seals(words, sealed[1], part.header, standing)):
        problem, first_bad = "the chunks are not those that were sealed", min(standing.chunks, words.chunks - 1)
    elif signed is False and not problem:
        problem, first_bad = "the school did not sign this seal", 0
    return Verdict(standing.chunks, first_bad, problem, True, signed, words.outcome, words.reason, torn)


def _seals(words: Manifest, previous: bytes, header: Header, standing: Durable) -> bool:
    same_part = (words.school_id, words.recording_id, words.lesson_id, words.part) == (
        header.school_id, header.recording_id, header.lesson_id, header.part,
    )
    same_chunks = (words.chunks, words.root, words.size) == (standing.chunks, standing.root.hex(), standing.size)
    return same_part and same_chunks and previous == standing.previous
