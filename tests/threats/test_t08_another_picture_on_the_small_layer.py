"""T8: a modified page sends one picture to the reviewers and another to a child. A camera is sent in two sizes; a page that
somebody changed can put anything on either. Whatever of either reaches anybody is found in the decrypted recording."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from lessons.media.quality import Level
from lessons.media.record import Record
from recordings import queries, review
from recordings.tables import Recording
from recordings.verify import verify
from service.foundation.clock import SystemClock
from tests.room.pages import Lesson
from tests.school import running
from tests.threats.modified import LARGE, SMALL, Modified


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
        key = state.vault.open(details.school_id, details.id, part.part, details.kept_until)
        assert verify(state.vault.path(details.id, part.part), key=key, public=keys.public).is_sound
    watched = await review.open_review(details, state.vault, state.shelf)
    return [next(review.pieces(watched, [review.Wanted(track.part, track.track, n)], 0, 0))[review.PIECE.size :]
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
