"""The published test vectors of recordings: `python -m tests.recordings.vectors` writes `docs/recording-vectors.json` anew."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recordings import seal
from recordings.format import INDEX_ENTRY, Chain, Header, Kind, Manifest, as_json, leaf, preamble, seal_record
from recordings.preparation import aside
from recordings.timeline import Span
from recordings.vault import SchoolKeys
from recordings.writer import Durable
from tests.recordings import verifier

PLACE = Path(__file__).parents[2] / "docs/recording-vectors.json"
KEY, SEED, OTHER_SEED, SALT = (bytes(range(first, first + 32)) for first in (0, 32, 64, 96))
STARTED, SEALED = datetime(2026, 11, 24, 9, tzinfo=UTC), datetime(2026, 11, 24, 9, 45, 3, tzinfo=UTC)
HEADER = Header("0f1e2d3c4b5a69788796a5b4c3d2e1f0", "a1a2a3a4a5a6a7a8a9aaabacadaeafb0", "b1b2b3b4b5b6b7b8b9babbbcbdbebfc0", 1,
                STARTED)
OTHER = replace(HEADER, recording_id="c1c2c3c4c5c6c7c8c9cacbcccdcecfc0", lesson_id="d1d2d3d4d5d6d7d8d9dadbdcdddedfd0")
CHUNKS: tuple[tuple[Kind, bytes, dict[str, Any]], ...] = (
    (Kind.BEAT, b"", {}),
    (Kind.NOTES, as_json([{"kind": "open", "at_ms": 0, "body": {}}]), {}),
    (Kind.TRACK, as_json({"track": 1, "id": "t1", "person": "p1", "source": "microphone", "codec": "opus"}), {"track": 1}),
    (Kind.CLUSTER, bytes.fromhex("1f43b6759be78100a38a810000804868656c6c6fa38a81001480487468657265"),
     {"track": 1, "span": (0, 20), "flags": 3}),
    (Kind.GAP, b"", {"track": 1, "span": (500, 500)}),
    (Kind.NOTES, as_json([{"kind": "hold", "at_ms": 500, "body": {"reasons": ["lone-adult"]}}]), {"span": (1000, 1000)}),
    (Kind.BEAT, b"", {"span": (1000, 1000)}),
)


def school(seed: bytes) -> SchoolKeys:
    return SchoolKeys(HEADER.school_id, Ed25519PrivateKey.from_private_bytes(seed))


class Part:
    """A small sealed part, taken apart."""

    def __init__(self, header: Header = HEADER, *, seed: bytes = SEED, chunks: int = len(CHUNKS)):
        self.first = preamble(header)
        chain = Chain(KEY, self.first)
        self.records = [chain.chunk(kind, plain, **more) for kind, plain, more in CHUNKS[:chunks]]
        at, index = len(self.first), b""
        for record, (kind, plain, more) in zip(self.records, CHUNKS, strict=False):
            if kind is not Kind.BEAT:
                index += INDEX_ENTRY.pack(at, len(plain) + 16, kind, more.get("flags", 0), more.get("track", 0),
                                          *more.get("span", (0, 0)))
            at += len(record)
        self.records.append(chain.chunk(Kind.INDEX, index, span=(1000, 1000)))
        self.manifest = seal.manifest(
            header, Durable(0.0, chain.tree.size, chain.tree.root(), chain.previous, at + len(self.records[-1]), 1000),
            sealed_at=SEALED, outcome="complete", reason="", index=at, signer=school(seed))
        self.seal = seal_record(self.manifest, chain.previous)

    def file(self, *, records: list[bytes] | None = None, seal: bytes | None = None) -> bytes:
        return self.first + b"".join(self.records if records is None else records) + (self.seal if seal is None else seal)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1:]


def with_record(part: Part, number: int, change: Callable[[bytes], bytes]) -> bytes:
    """`number` counts from 1, as the document does."""
    return part.file(records=[change(each) if n == number else each for n, each in enumerate(part.records, start=1)])


def resealed(part: Part, **changes: Any) -> bytes:
    """The seal with other words, signed by nobody anew."""
    words: Manifest = replace(part.manifest, **changes)
    return seal_record(words, leaf(part.records[-1]))


def cases() -> list[tuple[str, bytes, bool]]:
    """(what it is, the file, whether the verifier is given the manifest that the school's database keeps)."""
    part, records = Part(), Part().records
    seven = [*records[:3], *records[4:]]
    swapped = [*records[:4], records[5], records[4], *records[6:]]
    torn = replace(part.manifest, torn=5)
    return [
        ("as it was sealed", part.file(), False),
        ("as it was sealed, compared with the copy of its manifest", part.file(), True),
        ("one bit of the sound in chunk 4 edited", with_record(part, 4, lambda each: flipped(each, 60)), False),
        ("one bit of the time in the header of chunk 4 edited", with_record(part, 4, lambda each: flipped(each, 19)), False),
        ("one bit of the last chunk edited", with_record(part, len(records), lambda each: flipped(each, 60)), False),
        ("one bit of the lesson's id in the preamble edited", flipped(part.file(), part.first.index(b"b1b2")), False),
        ("chunk 4 deleted", part.file(records=seven), False),
        ("chunk 4 deleted, compared with the copy of its manifest", part.file(records=seven), True),
        ("chunk 4 deleted, and the place of the seal rewritten to fit",
         part.file(records=seven, seal=resealed(part, size=part.manifest.size - len(records[3]))), False),
        ("chunks 5 and 6 exchanged", part.file(records=swapped), False),
        ("chunk 7 twice", part.file(records=[*records[:7], records[6], *records[7:]]), False),
        ("cut off in the middle of chunk 6", part.file()[:len(part.first) + sum(map(len, records[:5])) + 70], False),
        ("the same, compared with the copy of its manifest",
         part.file()[:len(part.first) + sum(map(len, records[:5])) + 70], True),
        ("cut off before the seal", part.file(seal=b""), False),
        ("cut off before the seal, compared with the copy of its manifest", part.file(seal=b""), True),
        ("chunk 8 left out under the seal", part.file(records=records[:7]), False),
        ("sealed by another school's key", Part(seed=OTHER_SEED).file(), False),
        ("the seal of another recording", part.file(seal=Part(OTHER).seal), False),
        ("made again without the sound, and sealed by another school's key, compared with the copy of its manifest",
         Part(seed=OTHER_SEED, chunks=3).file(), True),
        ("another outcome written into the seal", part.file(seal=resealed(part, outcome="incomplete")), False),
        ("another root written into the seal", part.file(seal=resealed(part, root="00" * 32)), False),
        ("five torn bytes that the seal does not count", part.file(seal=b"\0" * 5 + part.seal), False),
        ("five torn bytes written into the seal, which nobody signed",
         part.file(seal=b"\0" * 5 + seal_record(torn, leaf(records[-1]))), False),
        ("one bit of the lesson's id in the preamble edited, and cut off before the seal, compared with the copy of its manifest",
         flipped(part.file(seal=b""), part.first.index(b"b1b2")), True),
        ("no recording", b"CHAPREC\x02" + part.file()[8:], False),
    ]


def beside() -> list[tuple[str, bytes]]:
    with TemporaryDirectory() as folder, patch.object(aside.secrets, "token_bytes", lambda count: SALT[:count]):
        made = {}
        for name, header in (("own", HEADER), ("other", OTHER)):
            path = Path(folder) / name / "1.rec"
            with aside.Writing(path, KEY, header) as writing:
                writing.speech(1, [Span(0, 400), Span(1300, 2100)])
                writing.picture(2, 0, b"RIFF\x10\0\0\0WEBP, a picture")
                writing.finish()
            made[name] = aside.path_of(path).read_bytes()
    own = made["own"]
    begins = 12 + int.from_bytes(own[8:12], "big")
    speech, _picture, _end = verifier.walk(own, begins, len(own))
    return [("as it was made", own), ("one bit of the speech edited", flipped(own, begins + 60)),
            ("one bit of the picture edited", flipped(own, begins + len(speech) + 60)),
            ("cut off before its end", own[:-72]), ("that of another recording", made["other"])]


def made() -> dict[str, Any]:
    """The document's vectors; each answer by the verifier that knows nothing of the product."""
    part, public = Part(), school(SEED).public
    kept = json.loads(part.manifest.to_json())
    return {
        "key": KEY.hex(), "public": public.hex(), "signing": SEED.hex(), "manifest": kept,
        "contents": verifier.contents(part.file(), KEY),
        "recordings": [{
            "is": words, "with_manifest": has_copy, "file": file.hex(),
            "with_key": verifier.verify(file, public, KEY, kept if has_copy else None),
            "without_key": verifier.verify(file, public, None, kept if has_copy else None),
        } for words, file, has_copy in cases()],
        "asides": [{"is": words, "file": file.hex(), "answer": verifier.aside(file, part.file(), KEY)}
                   for words, file in beside()],
    }


if __name__ == "__main__":
    PLACE.write_text(json.dumps(made(), indent=1) + "\n")
