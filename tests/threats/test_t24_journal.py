"""T24: an adult of a lesson who would silence its alerts by sending what the journal cannot write."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlmodel import select

from lessons.live.protocol import Malformed, parse
from service.safeguarding.tables import Alert, AlertNote
from tests.room.pages import Lesson
from tests.school import Running


@pytest.fixture
async def lesson(school: Running) -> AsyncIterator[Lesson]:
    lesson = Lesson(school)
    yield lesson
    await lesson.end()


async def alerts(lesson: Lesson) -> list[tuple[str, list[str]]]:
    async with lesson.school.database.reading() as session:
        found = (await session.exec(select(Alert).where(Alert.lesson_id == lesson.id, Alert.kind == "flag"))).all()
        notes = (await session.exec(select(AlertNote))).all()
    return sorted((alert.raised_by, [note.words for note in notes if note.alert_id == alert.id]) for alert in found)


async def test_no_flag_that_an_adult_sends_keeps_later_alerts_from_the_safeguarding_team(lesson: Lesson) -> None:
    teacher = await lesson.teacher()
    leader = await (await lesson.page(lesson.school.person("headteacher"))).enter()
    teacher.say("flag", note="mine")
    await teacher.until(lambda: teacher.last("flagged") is not None)
    number = teacher.last("flagged")["flag"]
    teacher.say("flag", flag=number)
    teacher.say("flag", flag=number, note=" ")
    teacher.say("flag", flag=number, note="more of mine")
    leader.say("flag", flag=number, note="not theirs to add to")
    await leader.until(lambda: leader.last("flagged") is not None)
    async with asyncio.timeout(5):
        await lesson.host.journal.drained()
    assert await alerts(lesson) == sorted([
        (teacher.person, ["mine", "more of mine"]), (leader.person, ["not theirs to add to"]),
    ])


def test_text_that_some_database_would_not_take_is_refused_at_the_door() -> None:
    assert parse('{"type": "flag", "note": "plain"}')
    with pytest.raises(Malformed):
        parse('{"type": "flag", "note": "a\\u0000b"}')
