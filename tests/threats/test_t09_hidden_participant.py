"""T9: somebody listens whom nobody sees. Who receives bytes, who is shown to everybody and who is in the audit are the same, ten
times a second; at full size for an hour."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from lessons.live import view
from lessons.live.journal import Journal
from lessons.tables import JournalEntry
from tests.room.pages import Lesson
from tests.threats.attack import Guard, guarded_by, harm
from tests.threats.modified import Modified
from tests.threats.side_by_side import lessons

EVERY = 0.1
SOAK = float(os.environ.get("CHAPERONE_SOAK", "3600" if os.environ.get("CHAPERONE_PROOF") == "full" else "1.5"))
"""Seconds for which it is looked at, ten times each."""


def hide_leaders(patch: pytest.MonkeyPatch) -> None:
    """A roster with a word for who need not be shown."""
    state = view.state

    def hiding(*, here: Any, **rest: Any) -> Any:
        return state(here=[seat for seat in here if seat.person.role != "leader"], **rest)

    patch.setattr(view, "state", hiding)


def write_nobody_down(patch: pytest.MonkeyPatch) -> None:
    write = Journal.write
    patch.setattr(Journal, "write", lambda journal, entry: None if entry.kind == "joined" else write(journal, entry))


async def audited(lesson: Lesson) -> set[str]:
    """Who came and has not left, by the journal."""
    await lesson.host.journal.drained()
    async with lesson.school.database.reading() as session:
        rows = (await session.exec(select(JournalEntry).where(JournalEntry.lesson_id == lesson.id))).all()
    inside: set[str] = set()
    for row in sorted(rows, key=lambda row: row.seq):
        if row.kind == "joined":
            inside.add(row.person_id)
        elif row.kind == "left":
            inside.discard(row.person_id)
    return inside


@pytest.mark.proof
@guarded_by(Guard("everybody in the room is shown", hide_leaders),
            Guard("everybody who comes is written down", write_nobody_down))
async def test_who_receives_who_is_shown_and_who_is_written_down_are_the_same(tmp_path: Path, attempt: Any) -> None:
    async with lessons(tmp_path / "data", 1, minutes=round(SOAK / 60) + 10) as [lesson]:
        with attempt:
            pages = [await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)]
            pages.append(await (await lesson.page(lesson.school.person("headteacher"))).enter())
            everybody = [Modified(page) for page in pages]
            try:
                await _look(lesson, everybody)
            finally:
                await asyncio.gather(*(each.close() for each in everybody))


async def _look(lesson: Lesson, everybody: list[Modified]) -> None:
    for each in everybody[:2]:
        await each.page.until(lambda each=each: each.page.last("state") and each.page.state["room"] == "open", 30)  # type: ignore[misc]
        each.speaks = True
        each.page.say("microphone", on=True)
    for each in everybody:
        await each.down.until(lambda each=each: len(each.down.rtp) > 3)  # type: ignore[misc]
    for sample in range(round(SOAK / EVERY)):
        for each in everybody:
            each.forget()
        await asyncio.sleep(EVERY)
        receiving = {each.page.person for each in everybody if each.down.rtp}
        for each in everybody:
            shown = {person["person"] for person in each.page.state["people"]}
            harm(receiving - shown, "receives and is shown to nobody")
        if sample % 50 == 0:
            written = await audited(lesson)
            harm(receiving - written, "receives and is written down nowhere")
            assert written == {each.page.person for each in everybody}
