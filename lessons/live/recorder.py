"""The recording of one live lesson, over as many parts as faults make of it (policy: RL4).

It prevents a lesson that goes on while its recorder is broken: between the parts nothing is taken, so nothing is delivered.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog

from lessons.media.keys import Codec, SourceKey
from recordings import commands
from recordings.capture import Capture, Track
from recordings.commands import Begun, LessonFacts
from recordings.secret import wipe
from recordings.vault import Vault
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.events import Actor

log = structlog.get_logger(__name__)
AGAIN = (1.0, 2.0, 4.0, 8.0)
"""Seconds before the next part is tried, after one fault and the next; the last goes on."""


class Recorder:
    """`on_durable(boottime)` proves that it writes; `on_fault(reason)` says that a part broke. Both run on the loop."""

    def __init__(self, database: Database, vault: Vault, clock: Clock, actor: Actor, facts: LessonFacts, *,
                 ends_at: datetime, on_durable: Callable[[float], None], on_fault: Callable[[str], None]):
        self._database, self._vault, self._clock, self._actor, self._facts = database, vault, clock, actor, facts
        self._ends_at, self._on_durable, self._on_fault = ends_at, on_durable, on_fault
        self._capture: Capture | None = None
        self._ended = False
        self._faults = 0
        self._repair: asyncio.Task[None] | None = None
        self._sealing: asyncio.Task[None] | None = None
        self.recording_id = ""
        self.zero = 0.0

    async def begin(self) -> None:
        """Start the first part of this process. The key's row is durable before the first byte."""
        begun = await self._begin()
        self.recording_id, self.zero = begun.header.recording_id, begun.lesson_clock_start
        self._start(begun)

    async def _begin(self) -> Begun:
        async with self._database.writing() as session:
            return await commands.begin(session, self._actor, self._facts, vault=self._vault, clock=self._clock)

    def _start(self, begun: Begun) -> None:
        rest = (self._ends_at - self._clock.now()).total_seconds() + self._clock.boottime() - self.zero
        self._capture = Capture.start(
            begun.path, header=begun.header, key=begun.key, signer=begun.signer, lesson_clock_start=self.zero, clock=self._clock,
            on_durable=self._on_durable, on_fault=self._faulted, ends_at_ms=max(0, round(rest * 1000)),
        )
        wipe(begun.key)
        facts = self._facts
        self.note("start", {"title": facts.title, "class_name": facts.class_name, "starts_at": facts.starts_at.isoformat(),
                            "ends_at": facts.ends_at.isoformat()})

    # While it runs

    def tape(self, key: SourceKey, codec: Codec, layer: str | None) -> "Tape":
        """The record of one layer of a source, whatever part is being written."""
        return Tape(self, key, codec, layer)

    def track(self, key: SourceKey, codec: Codec, layer: str | None) -> Track | None:
        """The track of a layer in the part that is being written; None while there is no part."""
        if self._capture is None or not self._capture.is_open:
            return None
        name = f"{key.peer}.{key.kind}" + (f".{layer}" if layer else "")
        return self._capture.track(name, person_id=key.peer, source=key.kind, codec=codec, layer=layer or "")

    def note(self, kind: str, body: Mapping[str, Any]) -> bool:
        """Keep what happened or was said; False when the recording did not take it."""
        return self._capture is not None and self._capture.note(kind, self._capture.at_ms(), dict(body))

    # Faults and the end

    def _faulted(self, reason: str) -> None:
        broken, self._capture = self._capture, None
        self._on_fault(reason)
        if broken is not None and not self._ended:
            self._sealing = asyncio.create_task(self._seal(broken, reason))
            self._repair = asyncio.create_task(self._go_on(self._sealing))

    async def _go_on(self, sealing: asyncio.Task[None]) -> None:
        """What was durable is sealed as incomplete; then try again. The room is held until another part is durable."""
        await asyncio.wait([sealing])
        while not self._ended:
            await asyncio.sleep(AGAIN[min(self._faults, len(AGAIN) - 1)])
            self._faults += 1
            try:
                self._start(await self._begin())
                return
            except Exception:
                log.exception("recorder.cannot_go_on", lesson_id=self._facts.lesson_id)

    async def _seal(self, capture: Capture, reason: str) -> None:
        manifest = await capture.seal("incomplete" if reason else "complete", reason)
        async with self._database.writing() as session:
            await commands.seal_part(session, self._actor, manifest, now=self._clock.now())

    async def end(self, reason: str = "", *, lesson_is_over: bool = True) -> None:
        """Seal the last part; `reason` makes it incomplete. The whole recording ends with the lesson."""
        self._ended = True
        if self._repair is not None and self._sealing is not None:
            self._repair.cancel()
            await asyncio.gather(self._repair, self._sealing, return_exceptions=True)
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.note("end", capture.at_ms(), {"reason": reason or "over"})
            await self._seal(capture, reason)
        if lesson_is_over and self.recording_id:
            async with self._database.writing() as session:
                await commands.end(session, self._actor, recording_id=self.recording_id, now=self._clock.now())


class Tape:
    """A `FrameSink` of `lessons.media`."""

    __slots__ = ("_codec", "_key", "_layer", "_recorder")

    def __init__(self, recorder: Recorder, key: SourceKey, codec: Codec, layer: str | None):
        self._recorder, self._key, self._codec, self._layer = recorder, key, codec, layer

    def write(self, frame: bytes, at_ms: int, key: bool) -> bool:
        track = self._recorder.track(self._key, self._codec, self._layer)
        return track is not None and track.write(frame, at_ms, key)

    def pause(self) -> None:
        """What comes next of this layer is not let through."""
        track = self._recorder.track(self._key, self._codec, self._layer)
        if track is not None:
            track.pause()
