"""Recordings that somebody is watching: opened once, and closed, their keys forgotten, when nobody looks any more."""

import asyncio
from dataclasses import dataclass

from recordings.reader import Recording
from recordings.storage import Place

IDLE_SECONDS = 60.0


@dataclass
class _Opened:
    recording: Recording
    closing: asyncio.TimerHandle


class Shelf:
    """Open parts by where they belong. Belongs to the event loop; reading and decrypting is done in threads by the caller."""

    def __init__(self) -> None:
        self._opened: dict[Place, _Opened] = {}

    async def get(self, place: Place, key: bytes) -> Recording:
        opened = self._opened.get(place)
        if opened is None:
            recording = await asyncio.to_thread(_opened, place, key)
            opened = self._opened.get(place)
            if opened is None:
                opened = self._opened[place] = _Opened(recording, self._close_later(place))
                return recording
            recording.close()
        opened.closing.cancel()
        opened.closing = self._close_later(place)
        return opened.recording

    def _close_later(self, place: Place) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(IDLE_SECONDS, self._forget, place)

    def _forget(self, place: Place) -> None:
        opened = self._opened.pop(place, None)
        if opened:
            opened.closing.cancel()
            # Closed when the last reader of it is done: the file closes itself then.
            del opened.recording

    def close(self) -> None:
        for place in list(self._opened):
            self._forget(place)


def _opened(place: Place, key: bytes) -> Recording:
    """Everything that a page asks for without a thread of its own has been read, also from a store far away."""
    recording = Recording(place, key)
    recording.notes()
    return recording
