"""Whether every recording still is what was sealed, checked offline (`chaperone verify`); policy: RE5."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import reader
from recordings import verify as check
from recordings.ending import certificate
from recordings.ending.tables import Destruction
from recordings.format import Manifest
from recordings.keystore import Part
from recordings.seal import is_signed
from recordings.secret import wipe
from recordings.tables import Recording, RecordingKey, RecordingPart
from recordings.vault import EvidenceIsolated, KeyMissing, Vault
from service.foundation.stores import StoreSilent


async def verify(session: AsyncSession, vault: Vault) -> list[str]:
    """Everything wrong with the recordings, in plain words with opaque ids; empty when all of them prove themselves.

    What is destroyed proves itself by its seal and its certificate; nothing may be left of it.
    """
    rows = await session.exec(
        select(Recording, RecordingPart, RecordingKey, Destruction)
        .join(RecordingPart, col(RecordingPart.recording_id) == Recording.id)
        .join(RecordingKey, col(RecordingKey.part_id) == RecordingPart.id)
        .join(Destruction, col(Destruction.recording_id) == Recording.id, isouter=True)
        .order_by(col(Recording.started_at), col(RecordingPart.part))
    )
    return [fault for row in rows.all() if (fault := _fault(*row, vault))]


def _fault(recording: Recording, part: RecordingPart, key: RecordingKey, gone: Destruction | None, vault: Vault) -> str:
    which = f"recording {recording.id}, part {part.part}"
    kept = reader.read_manifest(part.manifest.encode()) if part.manifest else None
    keys = vault.keys(recording.school_id)
    if gone is not None and gone.destroyed_at is not None:
        return _gone(which, recording, part, gone, kept, vault)
    if gone is not None and key.destroyed_at is not None:
        return ""  # what is left of it is being removed, and certified then
    if kept is not None and not kept.chunks:
        return ""
    opened: bytearray | None = None
    if key.destroyed_at is None:
        try:
            opened = vault.open(recording.school_id, recording.id, part.part, recording.kept_until)
        except EvidenceIsolated:
            opened = None  # its hashes and its seal are all that anybody may check
        except KeyMissing:
            return f"{which}: its key cannot be read"
    try:
        found = check.verify(vault.place(recording.id, part.part), key=opened, public=keys.public, manifest=kept)
    except StoreSilent:
        return f"{which}: its store does not answer, so it was not checked"
    finally:
        wipe(*([opened] if opened else ()))
    if found.is_sound:
        return ""
    where = "" if found.first_bad is None else f", first at chunk {found.first_bad}"
    return f"{which}: {found.problem}{where}"


def _gone(which: str, recording: Recording, part: RecordingPart, gone: Destruction, kept: Manifest | None, vault: Vault) -> str:
    """What is wrong with the tombstone of a part: its seal, its certificate, or that something of it is still there."""
    public = vault.keys(recording.school_id).public
    if kept is not None and not is_signed(kept, public):
        return f"{which}: the school did not sign the seal of what was destroyed"
    if not certificate.proves(gone.certificate, public, recording.id, part.part, kept.root if kept else ""):
        return f"{which}: the certificate of its destruction is not the school's, or is about something else"
    if vault.key_store(recording.school_id).has(Part(recording.id, part.part, recording.kept_until)):
        return f"{which}: it was destroyed, and its key is still there"
    try:
        vault.place(recording.id, part.part).open().close()
    except FileNotFoundError:
        return ""
    except StoreSilent:
        return f"{which}: its store does not answer, so it was not checked"
    return f"{which}: it was destroyed, and its data is still there"
