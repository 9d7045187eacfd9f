"""A lesson with real media end to end: WebRTC peers, the application's socket, plane, gate and recorder, in real time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from sqlmodel import select

from lessons.live.host import Host
from lessons.live.supervision import MEDIA_PROOF
from recordings.tables import Recording
from service.foundation.clock import SystemClock
from tests.media.peers import Grey, Tone, _connection
from tests.room.pages import Lesson, Page
from tests.school import running


class Attendee:
    """A page with both its peer connections and its heartbeat. `heard`: when each frame of whom arrived, by the machine's
    clock."""

    def __init__(self, page: Page, *tracks: Any):
        self.page, self.tracks = page, tracks
        self.up: RTCPeerConnection | None = None
        self.down: RTCPeerConnection | None = None
        self.heard: dict[tuple[str, str], list[float]] = {}
        self.news = asyncio.Event()
        self.streams: dict[str, tuple[str, str]] = {}
        self._read = 0
        self._tasks = [asyncio.create_task(self._beat()), asyncio.create_task(self._signal())]

    async def _beat(self) -> None:
        n = 0
        while True:
            self.page.say("heartbeat", n=n, visible=True)
            n += 1
            await asyncio.sleep(1)

    async def _signal(self) -> None:
        self.up = _connection()
        for track in self.tracks:
            self.up.addTransceiver(track, direction="sendonly")
        await self.up.setLocalDescription(await self.up.createOffer())
        self.page.say("publish", sdp=self.up.localDescription.sdp)
        while True:
            await self.page.until(lambda: len(self.page.told) > self._read, 600)
            message = self.page.told[self._read]
            self._read += 1
            if message["type"] == "published":
                await self.up.setRemoteDescription(RTCSessionDescription(message["sdp"], "answer"))
            elif message["type"] == "subscribe":
                await self._subscribe(message)

    async def _subscribe(self, message: dict[str, Any]) -> None:
        if self.down is None:
            self.down = _connection()
            self.down.on("track", lambda track: self._tasks.append(asyncio.create_task(self._consume(track))))
        self.streams = {stream["mid"]: (stream["person"], stream["source"]) for stream in message["streams"]}
        await self.down.setRemoteDescription(RTCSessionDescription(message["sdp"], "offer"))
        await self.down.setLocalDescription(await self.down.createAnswer())
        self.page.say("subscribed", version=message["version"], sdp=self.down.localDescription.sdp)

    async def _consume(self, track: Any) -> None:
        assert self.down is not None
        mid = next(t.mid for t in self.down.getTransceivers() if t.receiver.track is track)
        with contextlib.suppress(MediaStreamError):
            while True:
                await track.recv()
                if mid in self.streams:
                    self.heard.setdefault(self.streams[mid], []).append(time.monotonic())
                    self.news.set()

    async def hears(self, whom: str, source: str, frames: int) -> None:
        before = len(self.heard.get((whom, source), []))
        async with asyncio.timeout(15):
            while len(self.heard.get((whom, source), [])) < before + frames:
                self.news.clear()
                await self.news.wait()

    def die(self) -> None:
        """As by SIGKILL: nothing more is sent, nothing is said."""
        for task in self._tasks:
            task.cancel()
        for pc in (self.up, self.down):
            for transport in {sender.transport for sender in pc.getSenders()} if pc else ():
                for protocol in transport.transport._connection._protocols:
                    protocol.transport.abort()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for pc in (self.up, self.down):
            if pc is not None:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(pc.close(), 2)


@pytest.fixture
async def lesson(tmp_path: Path) -> AsyncIterator[Lesson]:
    async with running(tmp_path / "data", clock=SystemClock()) as school:  # type: ignore[arg-type]
        lesson = Lesson(school, played=False)
        yield lesson
        await lesson.end()


async def test_nothing_is_heard_two_and_a_half_seconds_after_the_second_pupil_s_browser_is_killed(lesson: Lesson) -> None:
    teacher = Attendee(await lesson.teacher(), Tone(440), Grey(200))
    ali, bea = Attendee(await lesson.pupil(0), Tone(0)), Attendee(await lesson.pupil(1), Tone(0))
    try:
        for each in (teacher, ali, bea):
            await each.page.until(lambda each=each: each.page.last("state") and each.page.state["room"] == "open", 20)
        teacher.page.say("microphone", on=True)
        teacher.page.say("camera", on=True)
        await ali.hears(teacher.page.person, "microphone", 25)
        await ali.hears(teacher.page.person, "camera", 5)
        host, media = lesson.host, lesson.host.media
        assert media is not None
        sent = _deliveries_to(ali, host)
        bea.die()
        killed = lesson.school.clock.boottime()
        await ali.page.until(lambda: ali.page.state["room"] == "held", 10)
        assert ali.page.state["hold"] == ["lone-adult"]
        assert lesson.school.clock.boottime() - media.last_media(bea.page.person) >= 1.9, "not before it had to"
        before = len(sent)
        await asyncio.sleep(1.5)
        assert media.last_media(bea.page.person) <= killed
        assert sent[-1] <= media.last_media(bea.page.person) + MEDIA_PROOF, "the gate's own number, however late anybody noticed"
        assert len(sent) == before > 0
        again = Attendee(await lesson.pupil(1), Tone(0))
        await ali.page.until(lambda: ali.page.state["room"] == "open", 10)
        await ali.hears(teacher.page.person, "microphone", 25)
        await again.close()
        teacher.page.say("end")
        await teacher.page.closed(4410)
        await asyncio.wait([lesson.school.app.state.rooms._tasks[lesson.id]], timeout=10)
        async with lesson.school.database.reading() as session:
            recording = (await session.exec(select(Recording).where(Recording.lesson_id == lesson.id))).one()
        assert (recording.outcome, recording.reason) == ("complete", "")
        assert host.gate.until == float("-inf")
    finally:
        await asyncio.gather(*(each.close() for each in (teacher, ali, bea)))


def _deliveries_to(one: Attendee, host: Host) -> list[float]:
    """When each frame is handed to the socket for them (CLOCK_BOOTTIME), from here on. What a busy machine does with it later is
    not the gate's; packets on the wire are watched in the browser tests and the bench."""
    sent, watch = [], host.monitor.media

    def seen(who: str, kind: str, to: frozenset[str], viewers: tuple[str, ...], size: int, at: float) -> None:
        if one.page.person in viewers:
            sent.append(at)
        watch(who, kind, to, viewers, size, at)

    host.monitor.media = seen  # type: ignore[method-assign]
    return sent
