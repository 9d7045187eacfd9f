"""Recordings that somebody is watching: opened once, and closed, their keys forgotten, when nobody looks any more."""

import asyncio
from dataclasses import dataclass

from recordings.reader import Recording
from recordings.secret import Key, KeyForgotten
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
        self._gone: set[str] = set()

    async def get(self, place: Place, key: Key) -> Recording:
        """An open part, with a copy of `key` of its own. Raises `KeyForgotten` once its keys are destroyed."""
        if self.is_gone(place.recording_id):
            raise KeyForgotten()
        opened = self._opened.get(place)
        if opened is None:
            recording = await asyncio.to_thread(_opened, place, key)
            if self.is_gone(place.recording_id):  # while a thread was opening it
                recording.close()
                raise KeyForgotten()
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
            opened.recording.forget()
            # Closed when the last reader of it is done: the file closes itself then.
            del opened.recording

    @property
    def held(self) -> set[str]:
        """The recordings of which something is open."""
        return {place.recording_id for place in self._opened}

    def is_gone(self, recording_id: str) -> bool:
        return recording_id in self._gone

    def forget(self, recording_id: str, *, is_gone: bool) -> list[Recording]:
        """Overwrite the keys of every open part of a recording, now. Returns those parts. `is_gone`: it is never opened again."""
        if is_gone:
            self._gone.add(recording_id)
        found = [(place, each.recording) for place, each in self._opened.items() if place.recording_id == recording_id]
        for place, _ in found:
            self._forget(place)
        return [recording for _, recording in found]

    def close(self) -> None:
        for place in list(self._opened):
            self._forget(place)


def _opened(place: Place, key: Key) -> Recording:
    """Everything that a page asks for without a thread of its own has been read, also from a store far away."""
    recording = Recording(place, key)
    recording.notes()
    return recording
