"""Whether every recording still is what was sealed, checked offline (`chaperone verify`); policy: RE5."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import reader
from recordings import verify as check
from recordings.tables import Recording, RecordingKey, RecordingPart
from recordings.vault import EvidenceIsolated, KeyMissing, Vault
from service.foundation.stores import StoreSilent


async def verify(session: AsyncSession, vault: Vault) -> list[str]:
    """Everything wrong with the recordings, in plain words with opaque ids; empty when all of them prove themselves.

    A part whose key was destroyed is checked by its hashes and signature alone.
    """
    rows = await session.exec(
        select(Recording, RecordingPart, RecordingKey)
        .join(RecordingPart, col(RecordingPart.recording_id) == Recording.id)
        .join(RecordingKey, col(RecordingKey.part_id) == RecordingPart.id)
        .order_by(col(Recording.started_at), col(RecordingPart.part))
    )
    return [fault for recording, part, key in rows.all() if (fault := _fault(recording, part, key, vault))]


def _fault(recording: Recording, part: RecordingPart, key: RecordingKey, vault: Vault) -> str:
    which = f"recording {recording.id}, part {part.part}"
    kept = reader.read_manifest(part.manifest.encode()) if part.manifest else None
    if kept is not None and not kept.chunks:
        return ""
    keys = vault.keys(recording.school_id)
    opened: bytes | None = None
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
    if found.is_sound:
        return ""
    where = "" if found.first_bad is None else f", first at chunk {found.first_bad}"
    return f"{which}: {found.problem}{where}"
