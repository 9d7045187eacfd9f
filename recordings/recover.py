"""What the service does at its start with a part that never ended: seal what was written, leave the torn tail out.

The tail stays in the file behind the chunks, uncounted: what looks torn may have been changed, and is kept either way.
"""

from datetime import datetime
from pathlib import Path

from recordings import seal
from recordings.format import Header, Manifest, NotARecording, Signer
from recordings.reader import PartFile
from recordings.secret import Key
from recordings.verify import sound_chunks
from recordings.writer import Durable
from service.foundation.audit import Frontier

STOPPED = "the service stopped"


def seal_torn(
    path: Path, header: Header, *, key: Key | None, signer: Signer, sealed_at: datetime, reason: str = STOPPED,
    kept: Manifest | None = None,
) -> Manifest:
    """Seal a part as incomplete, with the reason. Nothing is encrypted again, so no nonce can be used twice.

    A part whose first bytes never reached the disk gets a manifest of no chunks, and no file is made for it. Safe to
    repeat: a part that has its seal keeps it. `kept` is the manifest of a part whose disk would not take it at the time.
    Without the `key` only the chain of hashes says where the part ends.
    """
    if kept and not kept.chunks:
        return kept
    try:
        part = PartFile(path)
    except (FileNotFoundError, NotARecording):
        nothing = Durable(0.0, 0, Frontier().root(), b"", 0, 0)
        return seal.manifest(header, nothing, sealed_at=sealed_at, outcome="incomplete", reason=reason, signer=signer)
    with part:
        if (sealed := part.manifest()) and seal.is_signed(sealed[0], signer.public):
            return sealed[0]
        standing, _ = sound_chunks(part, key, kept.size if kept else None)
        torn = part.size - standing.size
    words = kept or seal.manifest(
        header, standing, sealed_at=sealed_at, outcome="incomplete", reason=reason, torn=torn, signer=signer
    )
    seal.append(path, words, standing.previous)
    return words
