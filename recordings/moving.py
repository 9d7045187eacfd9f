"""Sealed parts move from the data folder to the store: worked out anew each time from what lies in the folder.

The order is what makes it safe to die at any moment: the store holds the part, the store has given back what was sealed,
the audit says so, and only then the file goes.
"""

import asyncio
from pathlib import Path

import structlog

from recordings import queries, reader
from recordings import verify as check
from recordings.events import RecordingStored
from recordings.format import Manifest, NotARecording
from recordings.storage import Place, StoredOtherwise
from recordings.vault import Vault
from service.foundation.bus import publish
from service.foundation.db import Database
from service.foundation.events import system
from service.foundation.stores import StoreSilent

log = structlog.get_logger(__name__)


class Mover:
    """What the service remembers of moving, for the page Health: whether the store answered, and what it cannot take."""

    def __init__(self, database: Database, vault: Vault):
        self._database, self._vault = database, vault
        self.is_silent = False
        self.refused: set[tuple[str, int]] = set()

    async def move_sealed(self) -> int:
        """Move everything that is sealed. Returns how many parts. A silent store is tried again at the next turn."""
        moved = 0
        if self._vault.storage.store is None:
            return moved
        try:
            for recording_id, part in await asyncio.to_thread(lambda: list(self._vault.storage.waiting())):
                moved += (recording_id, part) not in self.refused and await self._move(recording_id, part)
        except StoreSilent:
            if not self.is_silent:
                log.warning("recordings.store_silent")
            self.is_silent = True
        else:
            self.is_silent = False
        return moved

    async def _move(self, recording_id: str, part: int) -> bool:
        async with self._database.reading() as session:
            words = await queries.sealed(session, recording_id, part)
        manifest = reader.read_manifest(words.encode()) if words else None
        storage = self._vault.storage
        if manifest is None or not await asyncio.to_thread(_has_its_seal, storage.path(recording_id, part), manifest):
            return False
        public = self._vault.keys(manifest.school_id).public

        def is_sound(stored: Place) -> bool:
            return check.verify(stored, public=public, manifest=manifest).is_sound

        try:
            if not await storage.upload(recording_id, part, is_sound):
                return False
        except StoredOtherwise:
            self.refused.add((recording_id, part))
            log.error("recordings.stored_otherwise", recording=recording_id, part=part)
            return False
        async with self._database.writing() as session:
            stored = RecordingStored(recording_id=recording_id, lesson_id=manifest.lesson_id, part=part)
            await publish(session, stored, system(manifest.school_id))
        await storage.release(recording_id, part)
        return True


def _has_its_seal(path: Path, manifest: Manifest) -> bool:
    """A part whose disk would not take its seal stays, until the next start has sealed it."""
    try:
        with reader.PartFile(path) as file:
            sealed = file.manifest()
    except (FileNotFoundError, NotARecording):
        return False
    return sealed is not None and sealed[0] == manifest
