"""T8: a modified page sends one picture to the reviewers and another to a child. A camera is sent in two sizes; a page that
somebody changed can put anything on either. Whatever of either reaches anybody is found in the decrypted recording."""

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from lessons.media import rtp, vp8
from lessons.media.quality import Level
from lessons.media.record import Record
from recordings import queries, review
from recordings.tables import Recording
from recordings.verify import verify
from service.foundation.clock import SystemClock
from tests.media.raw import VIDEO, Camera, Microphone, RawPeer, answer, offer
from tests.room.pages import Lesson, Page
from tests.school import running

SMALL, LARGE = 300, 400
"""Bytes in each packet, so that the two pictures are never the same bytes."""


class Modified:
    """A page whose packets are made by hand, so that its camera's two sizes are two pictures."""

    def __init__(self, page: Page) -> None:
        self.page, self.up, self.down = page, RawPeer(), RawPeer()
        self._tasks = [asyncio.create_task(each) for each in (self._beat(), self._send(), self._receive())]

    async def _beat(self) -> None:
        for n in itertools.count():
            self.page.say("heartbeat", n=n, visible=True)
            await asyncio.sleep(1)

    async def _send(self) -> None:
        self.page.say("publish", sdp=offer(self.up.certificate))
        await self.page.until(lambda: self.page.last("published") is not None, 20)
        await self.up.connect(self.page.all("published")[0]["sdp"])
        microphone = Microphone(self.up)
        while True:
            microphone.frame()
            await asyncio.sleep(0.1)

    async def _receive(self) -> None:
        for n in itertools.count():
            await self.page.until(lambda n=n: len(self.page.all("subscribe")) > n, 600)  # type: ignore[misc]
            told = self.page.all("subscribe")[n]
            self.page.say("subscribed", version=told["version"], sdp=answer(self.down.certificate, told["sdp"]))
            if n == 0:
                await self.down.connect(told["sdp"])

    async def film(self, enough: Callable[[], bool]) -> None:
        """Send both pictures until it is enough."""
        low = Camera(self.up, rid="l", ssrc=0x1111, start=100, timestamp=5_000, picture=300)
        high = Camera(self.up, rid="h", ssrc=0x3333, start=60_000, timestamp=900_000, picture=5_000)
        async with asyncio.timeout(20):
            for n in itertools.count():
                low.frame(key=n % 15 == 0, size=SMALL)
                high.frame(key=n % 15 == 0, size=LARGE)
                await asyncio.sleep(0.05)
                if enough():
                    return

    def shown(self) -> set[bytes]:
        """The whole pictures that arrived here, as a decoder gets them."""
        found: dict[int, list[tuple[int, bool, bytes]]] = defaultdict(list)
        for packet in map(rtp.parse, self.down.rtp):
            descriptor = vp8.parse(packet.payload) if packet is not None and packet.payload_type == VIDEO else None
            if packet is not None and descriptor is not None:
                found[packet.timestamp].append((packet.sequence, packet.marker, packet.payload[descriptor.size:]))
        whole = (sorted(parts) for parts in found.values() if any(marker for _, marker, _ in parts))
        return {b"".join(content for _, _, content in parts) for parts in whole}

    def saw(self, size: int) -> int:
        return sum(len(picture) // 3 in range(size, size + 10) for picture in self.shown())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.up.close()
        self.down.close()


@pytest.fixture
async def lesson(tmp_path: Path) -> AsyncIterator[Lesson]:
    async with running(tmp_path / "data", clock=SystemClock()) as school:  # type: ignore[arg-type]
        lesson = Lesson(school, played=False)
        yield lesson
        await lesson.end()


def take_the_large_ones_word_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was: the small picture passes for the large one's sake, and is not kept."""
    take = Record.take

    def trusting(self: Record, *of: Any) -> bool:
        return True if self.rid == "l" else take(self, *of)

    monkeypatch.setattr(Record, "take", trusting)


async def kept(lesson: Lesson) -> list[bytes]:
    """Every piece of a picture that a reviewer's player can fetch; the recording verifies."""
    state = lesson.school.app.state
    async with lesson.school.database.reading() as session:
        row = (await session.exec(select(Recording).where(Recording.lesson_id == lesson.id))).one()
        details = await queries.recording(session, row.school_id, lesson.id)
    keys = state.vault.keys(details.school_id)
    for part in details.parts:
        key = keys.unwrap(part.wrapped, recording_id=details.id, part=part.part)
        assert verify(state.vault.path(details.id, part.part), key=key, public=keys.public).is_sound
    watched = await review.open_review(details, state.vault, state.shelf)
    return [review.clusters(watched, track.part, track.track, n, 1)
            for track in watched.tracks if track.codec == "vp8" and track.spans
            for n in range(len(watched.files[track.part].clusters(track.track)))]


@pytest.mark.parametrize("guarded", [False, True], ids=["trusting the large picture", "each size on its own"])
async def test_whatever_a_child_was_shown_on_either_size_is_in_the_recording(
    lesson: Lesson, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not guarded:
        take_the_large_ones_word_for_it(monkeypatch)
    everybody = teacher, ali, bea = [Modified(page) for page in (
        await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1))]
    try:
        for each in everybody:
            await each.page.until(lambda each=each: each.page.last("state") and each.page.state["room"] == "open", 20)  # type: ignore[misc]
        teacher.page.say("camera", on=True)
        media: Any = lesson.host.media
        media._downlinks[ali.page.person].quality.ceiling = Level.SMALL         # a phone far from the router
        await teacher.film(lambda: ali.saw(SMALL) > 30 and bea.saw(LARGE) > 30)
        teacher.page.say("end")
        await teacher.page.closed(4410)
        await asyncio.wait([lesson.school.app.state.rooms._tasks[lesson.id]], timeout=10)
    finally:
        for each in everybody:
            await each.close()
    pieces = await kept(lesson)
    unkept = [picture for picture in ali.shown() | bea.shown() if not any(picture in piece for piece in pieces)]
    assert (not unkept) is guarded, f"{len(unkept)} pictures were shown and not kept"
