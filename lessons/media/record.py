"""The record of one layer of a source. What is forwarded of a layer was taken here, in the same turn, and nowhere else.

It prevents a small picture that shows something else than the large one from being seen and not kept (policy: RL4).
"""

from typing import TYPE_CHECKING

from lessons.media.frames import Frame
from lessons.media.keys import Codec, FrameSink, SourceKey
from lessons.media.layer import Layer
from lessons.media.timeline import SenderClock, Timeline

if TYPE_CHECKING:
    from lessons.media.plane import MediaRoom

REFUSED_PAUSE = 0.25
_NEVER = float("-inf")


class Record:
    """It outlives its sender's connections. `running`: frames are being taken, each needing the ones before it."""

    def __init__(self, room: "MediaRoom", key: SourceKey, codec: Codec, rid: str | None) -> None:
        self.rid = rid
        self.running = False
        self.taken_at = self.key_came = _NEVER
        self.sink: FrameSink | None = None
        self._room, self._key, self._codec = room, key, codec
        self._timeline = Timeline(90_000 if codec == "vp8" else 48_000, room.lesson_clock_start)
        self._asked_at = _NEVER

    def take(self, layer: Layer, frame: Frame, received: float, now: float) -> bool:
        """Whether the record has this frame now. False: it must not be forwarded, and pictures wait for a key frame."""
        if not self.running:
            if not frame.key:
                return False
            self._timeline.restart()
            self.reported(layer, self._room.sender_clock(self._key.peer))
        sink = self._open(now)
        if sink is None or not sink.write(frame.content, self._timeline.at_ms(frame.timestamp, received), frame.key):
            self._refused(now)
            return False
        self.running, self.taken_at = True, now
        if frame.key:
            self.key_came = now
        return True

    def reported(self, layer: Layer, clock: SenderClock) -> None:
        """The newest sender report of its layer says what time its timestamps mean."""
        if layer.report is not None:
            self._timeline.report(clock, layer.report.ntp, layer.report.rtp)

    def stop(self) -> None:
        """What comes next of this layer is not taken; so it is not forwarded either."""
        if self.running:
            self.running = False
            if self._codec == "vp8" and self.sink is not None:
                self.sink.pause()                   # or the last picture would be said to have stood on

    def _open(self, now: float) -> FrameSink | None:
        if self.sink is None and now - self._asked_at >= REFUSED_PAUSE:
            self._asked_at = now
            self.sink = self._room.sink(self._key, self._codec, self.rid)
        return self.sink

    def _refused(self, now: float) -> None:
        """There is a hole now. Another recorder may take over."""
        self.stop()
        if now - self._asked_at >= REFUSED_PAUSE:
            self.sink = None
