"""Recordings that somebody is watching: opened once, and closed, their keys forgotten, when nobody looks any more."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from recordings.reader import Recording

IDLE_SECONDS = 60.0


@dataclass
class _Opened:
    recording: Recording
    closing: asyncio.TimerHandle


class Shelf:
    """Open parts by file. Belongs to the event loop; reading and decrypting is done in threads by the caller."""

    def __init__(self) -> None:
        self._opened: dict[Path, _Opened] = {}

    async def get(self, path: Path, key: bytes) -> Recording:
        opened = self._opened.get(path)
        if opened is None:
            recording = await asyncio.to_thread(Recording, path, key)
            opened = self._opened.get(path)
            if opened is None:
                opened = self._opened[path] = _Opened(recording, self._close_later(path))
                return recording
            recording.close()
        opened.closing.cancel()
        opened.closing = self._close_later(path)
        return opened.recording

    def _close_later(self, path: Path) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(IDLE_SECONDS, self._forget, path)

    def _forget(self, path: Path) -> None:
        opened = self._opened.pop(path, None)
        if opened:
            opened.closing.cancel()
            # Closed when the last reader of it is done: the file closes itself then.
            del opened.recording

    def close(self) -> None:
        for path in list(self._opened):
            self._forget(path)
