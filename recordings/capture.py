"""The recorder of one part of one lesson: takes coded frames, proves each second that they are on the disk.

Nothing is forwarded that this did not take (policy: RL4), so it answers at once, never blocks and never raises: True
means accepted, and `on_durable` soon says it is safe. Everything here belongs to the event loop; the disk belongs to
`writer`.
"""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from recordings import seal as sealing
from recordings import webm
from recordings.format import Header, Manifest, Outcome, Signer, as_json
from recordings.secret import Key
from recordings.webm import Block, Codec
from recordings.writer import DIED, STALLED, Batch, Durable, Run, TrackHeader, Writer
from service.foundation.audit import Frontier
from service.foundation.clock import Clock

__all__ = ["Capture", "Header", "Manifest", "Track"]

Source = Literal["microphone", "camera", "screen"]

FLUSH_SECONDS = 1.0
LONGEST_UNWRITTEN = 3.0
MOST_UNWRITTEN_BYTES = 64 * 1024 * 1024
LARGEST_FRAME = 4 * 1024 * 1024
LARGEST_NOTE = 64 * 1024
MOST_NOTES = 1000
MOST_TRACKS = 0xFFFF
# Two pictures a few milliseconds out of order are the sender's rounding; more is another clock.
NUDGE_MS = 500
SEAL_SECONDS = 10.0
STUCK_SECONDS = 0.5


class _Pending(NamedTuple):
    """What the writer has and has not yet said is safe: since when the oldest of it, and the whole, waits."""

    oldest: float
    handed_at: float
    size: int


class Track:
    """One source of one person, of a camera in two sizes one of them: never muxed with another."""

    def __init__(self, capture: "Capture", header: TrackHeader):
        self.header = header
        self.of = (header.person_id, header.source, header.codec, header.layer)
        self._capture = capture
        self._blocks: list[Block] = []
        self._latest = -1
        self._closed_to = -1
        self._waits_for_key = header.codec == "vp8"
        self._is_picture = header.codec == "vp8"

    def write(self, frame: bytes, at_ms: int, key: bool) -> bool:
        """Take one Opus packet or one whole VP8 frame, `at_ms` on the lesson's clock.

        False, and nothing kept: after a fault, while the oldest byte not yet on disk is older than 3 s, for a picture
        before its first key frame, and for what comes too late to be put in order.
        """
        if not 0 < len(frame) <= LARGEST_FRAME:
            return False
        if self._is_picture:
            key = key and webm.vp8_is_key(frame)
            if self._waits_for_key and not key:
                return False
            if at_ms <= self._latest:
                if at_ms <= self._latest - NUDGE_MS:
                    return False
                at_ms = self._latest + 1
        elif at_ms <= self._closed_to or at_ms < 0:
            return False
        if not self._capture.accepts(len(frame)):
            return False
        self._waits_for_key = False
        self._latest = max(self._latest, at_ms)
        self._blocks.append(Block(at_ms, frame, key))
        return True

    def pause(self) -> None:
        """What comes next is not let through (held, muted, camera off): the gap is real, and a picture needs a key frame."""
        self._waits_for_key = self._is_picture
        if self._latest >= 0 and self._capture.is_open:
            self._capture.add_run(self._run(self._capture.at_ms()))

    def take(self) -> Run | None:
        """Close what is open, for the writer."""
        return self._run(None) if self._blocks else None

    def _run(self, gap_ms: int | None) -> Run:
        blocks, self._blocks = self._blocks, []
        if not self._is_picture:
            blocks = _in_order(blocks)
        self._closed_to = self._latest = max(self._latest, blocks[-1].at_ms if blocks else -1)
        return Run(self.header, blocks, gap_ms)


class Capture:
    """One part of a lesson's recording; see `start`."""

    def __init__(
        self, path: Path, *, header: Header, key: Key, lesson_clock_start: float, clock: Clock,
        on_durable: Callable[[float], None], on_fault: Callable[[str], None], signer: Signer | None = None,
        ends_at_ms: int | None = None,
    ):
        self.path = path
        self.header = header
        self.healthy = True
        self.fault = ""
        self.ends_at_ms = ends_at_ms
        self._loop = asyncio.get_running_loop()
        self._clock, self._zero = clock, lesson_clock_start
        self._on_durable, self._on_fault, self._signer = on_durable, on_fault, signer
        self._tracks: dict[str, Track] = {}
        self._runs: list[Run] = []
        self._notes: list[dict[str, object]] = []
        self._oldest = math.inf
        self._open_since = math.inf
        self._open_bytes = 0
        self._unwritten = 0
        self._pending: deque[_Pending] = deque()
        self._durable = Durable(0.0, 0, Frontier().root(), b"", 0, 0)
        self._ended = False
        self._faulted = asyncio.Event()
        self._manifest: asyncio.Task[Manifest] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writer = Writer(path, header, key, durable=self._from_writer, failed=self._writer_failed)

    @classmethod
    def start(
        cls, path: Path, *, header: Header, key: Key, lesson_clock_start: float, clock: Clock,
        on_durable: Callable[[float], None], on_fault: Callable[[str], None], signer: Signer | None = None,
        ends_at_ms: int | None = None,
    ) -> "Capture":
        """Begin a part in the new file `path`, whose name must be an opaque id, under a fresh `key` of 32 bytes,
        which the caller may wipe when this returns.

        `lesson_clock_start`: CLOCK_BOOTTIME of the lesson's zero. `on_durable(instant)`: everything accepted before that
        CLOCK_BOOTTIME is on disk. `on_fault(reason)`: once, after which this part takes nothing more; seal it and start
        another. `ends_at_ms`: the latest the lesson may end; the disk must have room until then. Both run on the loop.
        """
        capture = cls(
            path, header=header, key=key, lesson_clock_start=lesson_clock_start, clock=clock, on_durable=on_durable,
            on_fault=on_fault, signer=signer, ends_at_ms=ends_at_ms,
        )
        capture._writer.start()
        capture._tick()
        return capture

    @property
    def is_open(self) -> bool:
        return self.healthy and not self._ended

    def at_ms(self) -> int:
        """Now, on the lesson's clock."""
        return max(0, round((self._clock.boottime() - self._zero) * 1000))

    def track(self, track_id: str, *, person_id: str, source: Source, codec: Codec, layer: str = "") -> Track:
        """The track of this id, made at first use. `layer`: `l` or `h` of a source that is sent in two sizes."""
        track = self._tracks.get(track_id)
        if track is None:
            if len(self._tracks) >= MOST_TRACKS:
                raise ValueError("too many tracks in one part")
            header = TrackHeader(len(self._tracks) + 1, track_id, person_id, source, codec, layer)
            track = self._tracks[track_id] = Track(self, header)
        elif track.of != (person_id, source, codec, layer):
            raise ValueError("one track id, two sources")
        return track

    def note(self, kind: str, at_ms: int, body: dict[str, Any]) -> bool:
        """Keep what happened or was said beside the pictures; the same rule of acceptance. `body` is plain JSON."""
        note: dict[str, object] = {"kind": kind, "at_ms": at_ms, "body": body}
        size = len(as_json(note))
        if size > LARGEST_NOTE or len(self._notes) >= MOST_NOTES or not self.accepts(size):
            return False
        self._notes.append(note)
        return True

    def accepts(self, count: int) -> bool:
        """Whether `count` bytes more may be taken now; takes them into account."""
        now = self._clock.boottime()
        if not self.healthy or self._ended or now - self._oldest > LONGEST_UNWRITTEN:
            return False
        if self._unwritten + count > MOST_UNWRITTEN_BYTES:
            return False
        self._unwritten += count
        self._open_bytes += count
        if self._open_since == math.inf:
            self._open_since = now
            self._oldest = min(self._oldest, now)
        return True

    def add_run(self, run: Run) -> None:
        if run.blocks or run.gap_ms is not None:
            self._runs.append(run)

    def flush(self) -> None:
        """Close what is open and hand it to the writer, with an empty block that proves the recorder. Each second."""
        if not self.is_open:
            return
        now = self._clock.boottime()
        # Counted from when the writer got it: after a suspend, or a loop that stood still, the disk is not to blame.
        if self._pending and now - self._pending[0].handed_at > LONGEST_UNWRITTEN:
            self._fail(STALLED)
        elif not self._writer.is_alive():
            self._fail(self._writer.failure or DIED)
        elif not self._writer.put(self._batch(now)):
            self._fail(STALLED)

    def _batch(self, now: float) -> Batch:
        for track in self._tracks.values():
            if run := track.take():
                self._runs.append(run)
        at_ms = self.at_ms()
        rest = 0.0 if self.ends_at_ms is None else max(0, self.ends_at_ms - at_ms) / 1000
        batch = Batch(now, at_ms, self._runs, self._notes, rest)
        self._pending.append(_Pending(min(self._open_since, now), now, self._open_bytes))
        self._oldest = min(self._oldest, now)
        self._runs, self._notes, self._open_since, self._open_bytes = [], [], math.inf, 0
        return batch

    def _tick(self) -> None:
        self.flush()
        if self.is_open:
            self._timer = self._loop.call_later(FLUSH_SECONDS, self._tick)

    def _from_writer(self, durable: Durable) -> None:
        self._on_loop(self._became_durable, durable)

    def _writer_failed(self, reason: str) -> None:
        self._on_loop(self._fail, reason)

    def _on_loop(self, call: Callable[..., None], *args: object) -> None:
        # A loop that has closed has nobody left to tell, and its leases have ended.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *args)

    def _became_durable(self, durable: Durable) -> None:
        self._durable = durable
        if self._pending:
            self._unwritten -= self._pending.popleft().size
        self._oldest = self._pending[0].oldest if self._pending else self._open_since
        if self.healthy:
            self._on_durable(durable.at)

    def _fail(self, reason: str) -> None:
        if self.healthy:
            self.healthy, self.fault = False, reason
            self._faulted.set()
            self._on_fault(reason)

    async def seal(self, outcome: Outcome, reason: str = "") -> Manifest:
        """End the part: everything accepted, an index, the root over all of it and the school's signature. Once.

        After a fault the part is incomplete whatever was asked, and what was durable is what is sealed. If the disk will
        not even take the seal, the manifest returned is the proof, and the file is sealed at the next start.
        """
        if self._manifest is None:
            self._manifest = self._loop.create_task(self._seal(outcome, reason))
        return await asyncio.shield(self._manifest)

    async def _seal(self, outcome: Outcome, reason: str) -> Manifest:
        if self._timer:
            self._timer.cancel()
        self.flush()
        self._ended = True
        index = await self._end_writer() if self.healthy else 0
        if not self.healthy:
            outcome, reason = "incomplete", self.fault if not reason else f"{reason}; {self.fault}"
            self._writer.abandon()
            await asyncio.to_thread(self._writer.join, STUCK_SECONDS)
        durable = self._durable
        words = sealing.manifest(
            self.header, durable, sealed_at=self._clock.now(), outcome=outcome, reason=reason, index=index,
            signer=self._signer,
        )
        if durable.chunks and not self._writer.is_alive():
            await self._append(words, durable.previous)
        return words

    async def _end_writer(self) -> int:
        ended: asyncio.Future[tuple[Durable, int]] = self._loop.create_future()

        def done(durable: Durable, index: int) -> None:
            self._on_loop(lambda: None if ended.done() else ended.set_result((durable, index)))

        if not self._writer.end(self._clock.boottime(), done):
            self._fail(STALLED)
            return 0
        failed = asyncio.create_task(self._faulted.wait())
        try:
            waiting: list[asyncio.Future[Any]] = [ended, failed]
            await asyncio.wait(waiting, timeout=SEAL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            failed.cancel()
        if not ended.done():
            self._fail(STALLED)
            return 0
        self._durable, index = ended.result()
        await asyncio.to_thread(self._writer.join, SEAL_SECONDS)
        return index

    async def _append(self, words: Manifest, previous: bytes) -> None:
        try:
            await asyncio.to_thread(sealing.append, self.path, words, previous)
        except OSError:
            self._fail("the seal could not be written")


def _in_order(blocks: list[Block]) -> list[Block]:
    """Sound in order of time, no two blocks at one instant: packets overtake each other on the way."""
    if all(earlier.at_ms < later.at_ms for earlier, later in itertools.pairwise(blocks)):
        return blocks
    ordered: list[Block] = []
    for block in sorted(blocks, key=lambda each: each.at_ms):
        at_ms = max(block.at_ms, ordered[-1].at_ms + 1) if ordered else block.at_ms
        ordered.append(Block(at_ms, block.frame, block.key))
    return ordered
