"""The certificate of a destruction: what was destroyed, when and how, signed by the school (policy: RE2, RE3).

It proves with the audit's entry of the same hash that the segments which the seals name are gone, and says nothing of anybody.
"""

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recordings.ending.queries import Begun
from recordings.ending.rules import METHOD
from recordings.format import Signer, stamp
from recordings.reader import read_manifest
from recordings.seal import key_name

FORMAT = "chaperone-destruction/1"


def written(begun: Begun, key_destroyed_at: datetime, now: datetime, signer: Signer) -> str:
    """The signed text. `key_destroyed_at`: from when nobody could read it; `now`: when its data was gone too."""
    row, gone = begun.recording, begun.destruction
    words: dict[str, Any] = {
        "format": FORMAT, "school": row.school_id, "recording": row.id, "lesson": row.lesson_id, "kind": row.kind,
        "recorded_at": stamp(row.started_at), "kept_until": row.kept_until.isoformat(), "why": gone.why, "method": METHOD,
        "key_destroyed_at": stamp(key_destroyed_at), "data_removed_at": stamp(now),
        "parts": [part(each.part, key.name, each.manifest) for each, key in begun.parts],
        "signed_by": key_name(signer.public),
    }
    return rfc8785.dumps({**words, "signature": signer.sign(rfc8785.dumps({**words})).hex()}).decode()


def part(number: int, key: str, manifest: str) -> dict[str, str | int]:
    seal = read_manifest(manifest.encode()) if manifest else None
    return {"part": number, "key": key, "root": seal.root if seal else "", "chunks": seal.chunks if seal else 0}


def digest(text: str) -> str:
    """What the audit keeps of a certificate."""
    return sha256(text.encode()).hexdigest()


def is_genuine(text: str, public: bytes) -> bool:
    """Whether the school's key signed exactly this."""
    try:
        words = json.loads(text)
        signature = bytes.fromhex(words.pop("signature"))
        Ed25519PublicKey.from_public_bytes(public).verify(signature, rfc8785.dumps(words))
    except (InvalidSignature, ValueError, KeyError, AttributeError):
        return False
    return bool(words.get("format") == FORMAT and words.get("signed_by") == key_name(public))


def proves(text: str, public: bytes, recording_id: str, number: int, root: str) -> bool:
    """Whether a certificate is genuine and about this part, whose seal names `root`."""
    if not is_genuine(text, public):
        return False
    words = json.loads(text)
    return words["recording"] == recording_id and any(
        (each["part"], each["root"]) == (number, root) for each in words["parts"])
