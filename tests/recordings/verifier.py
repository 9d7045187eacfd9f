"""A verifier of recordings by somebody who has `docs/recording-format.md` and nothing else: it imports nothing of the product."""

import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = struct.Struct(">IBBHQII32s")
TRAILER = struct.Struct(">Q8s")
LONGEST = 64 << 20
SEAL = 7
FIELDS = {"format", "school_id", "recording_id", "lesson_id", "part", "started_at", "sealed_at", "outcome", "reason", "chunks",
          "root", "size", "torn", "index", "last_ms", "signed_by", "signature"}
NAMES = ("school", "recording", "lesson", "part")
Words = dict[str, Any]


def canonical(words: Words) -> bytes:
    """RFC 8785, as far as strings, whole numbers and ASCII names go."""
    return json.dumps(words, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def leaf(record: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + record).digest()


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(leaves[:half]) + root(leaves[half:])).digest()


def preamble(file: bytes, magic: bytes, more: str) -> tuple[bytes, Words] | None:
    length = int.from_bytes(file[8:12], "big")
    first = file[:12 + length]
    if file[:8] != magic or length > 4084 or len(first) < 12 + length:
        return None
    try:
        words = json.loads(first[12:])
    except ValueError:
        return None
    is_so = set(words) == {"format", *NAMES, more} and words["format"] == 1 and canonical(words) == first[12:]
    return (first, words) if is_so else None


def recording(file: bytes) -> tuple[bytes, Words] | None:
    return preamble(file, b"CHAPREC\x01", "started_at")


def walk(file: bytes, at: int, end: int) -> Iterator[bytes]:
    """Every whole record behind the preamble."""
    while at < end and at + CHUNK.size <= len(file):
        length, kind = struct.unpack_from(">IB", file, at)
        after = at + CHUNK.size + length
        if length > LONGEST or after > len(file) or kind == SEAL:
            return
        yield file[at:after]
        at = after


def opened(key: bytes, first: bytes, record: bytes) -> bytes | None:
    header, body = record[:CHUNK.size], record[CHUNK.size:]
    nonce = bytes(4) + header[8:16]
    try:
        return AESGCM(key).decrypt(nonce, body, b"chaperone-recording/1" + leaf(first) + header)
    except InvalidTag:
        return None


def found_seal(file: bytes) -> tuple[Words, bytes] | None:
    """(manifest, the hash it names of the last chunk)."""
    if len(file) < TRAILER.size:
        return None
    at, magic = TRAILER.unpack(file[-TRAILER.size:])
    if magic != b"CHAPSEAL" or at + CHUNK.size > len(file):
        return None
    length, kind, flags, track, sequence, t_first, t_last, previous = CHUNK.unpack_from(file, at)
    body = file[at + CHUNK.size:at + CHUNK.size + length]
    try:
        words = json.loads(body)
    except ValueError:
        return None
    if set(words) != FIELDS or canonical(words) != body or at + CHUNK.size + length + TRAILER.size != len(file):
        return None
    expected = (SEAL, 0, 0, words["chunks"], words["last_ms"], words["last_ms"])
    if (kind, flags, track, sequence, t_first, t_last) != expected or words["size"] + words["torn"] != at:
        return None
    return words, previous


def is_signed(words: Words, public: bytes) -> bool:
    if words["signed_by"] != hashlib.sha256(public).hexdigest()[:32]:
        return False
    signed = {name: value for name, value in words.items() if name != "signature"}
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            bytes.fromhex(words["signature"]), b"chaperone-recording-seal/1\x00" + canonical(signed))
    except (InvalidSignature, ValueError):
        return False
    return True


def verify(file: bytes, public: bytes, key: bytes | None = None, kept: Words | None = None) -> Words:
    """The answer, as the section “The answer” numbers it."""
    begun = recording(file)
    if begun is None:
        return {"answer": "no recording"}
    first, names = begun
    seal = found_seal(file)
    words = seal[0] if seal else kept
    leaves, size, is_wrong = [leaf(first)], len(first), False
    for record in walk(file, size, words["size"] if words else len(file)):
        *_, sequence, _, _, previous = CHUNK.unpack_from(record)
        is_wrong = (sequence, previous) != (len(leaves), leaves[-1]) or (bool(key) and opened(key or b"", first, record) is None)
        if is_wrong:
            break
        leaves.append(leaf(record))
        size += len(record)
    if words is None:
        return {"answer": "unsealed", "records": len(leaves)}
    if is_wrong:
        return damaged(len(leaves) if key else len(leaves) - 1)
    if seal is None:
        return damaged(len(leaves))
    if kept is not None and kept != words:
        return damaged(0)
    ids = [words[name] for name in ("school_id", "recording_id", "lesson_id", "part")]
    if ids != [names[name] for name in NAMES] or (
            words["chunks"], words["size"], words["root"], seal[1]) != (len(leaves), size, root(leaves).hex(), leaves[-1]):
        return damaged(min(len(leaves), words["chunks"] - 1))
    return {"answer": "sound", "records": len(leaves)} if is_signed(words, public) else damaged(0)


def damaged(first: int) -> Words:
    return {"answer": "damaged", "first": first}


def contents(file: bytes, key: bytes) -> list[Words]:
    """What every chunk of a sound file says."""
    first, _ = recording(file) or (b"", {})
    found = []
    for record in walk(file, len(first), len(file)):
        _, kind, flags, track, _, t_first, t_last, _ = CHUNK.unpack_from(record)
        found.append({"kind": kind, "flags": flags, "track": track, "first": t_first, "last": t_last,
                      "plain": (opened(key, first, record) or b"").hex()})
    return found


def aside(file: bytes, part: bytes, key: bytes) -> Words:
    """What lies beside a part: when each track spoke, and which pictures there are."""
    own, of = preamble(file, b"CHAPSIDE", "salt"), recording(part)
    if own is None or of is None or any(own[1][name] != of[1][name] for name in NAMES):
        return {"answer": "not used"}
    salt = bytes.fromhex(own[1]["salt"])
    derived = HKDF(SHA256(), 32, salt, b"chaperone-recording-aside/1").derive(key)
    speech: Words = {}
    pictures = []
    for count, record in enumerate(walk(file, len(own[0]), len(file)), start=1):
        _, kind, _, track, sequence, at_ms, _, _ = CHUNK.unpack_from(record)
        plain = opened(derived, own[0], record)
        if sequence != count or (plain is None and kind in (16, 18)):
            break
        if plain is None:
            continue  # it is left out
        if kind == 16:
            speech[str(track)] = json.loads(plain)["spans"]
        elif kind == 17:
            pictures.append([track, at_ms, hashlib.sha256(plain).hexdigest()])
        elif kind == 18 and json.loads(plain) == {"chunks": count}:
            return {"answer": "whole", "speech": speech, "pictures": pictures}
    return {"answer": "not used"}
