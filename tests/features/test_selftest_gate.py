"""No lesson starts while the last self-test had a wrong answer; those that run go on under the rule."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from service.foundation import audit
from service.selftest import report
from service.selftest.report import Outcome
from tests.room.family import Family
from tests.school import Running


async def found(school: Running, *outcomes: Outcome, minutes: int = 0) -> Path:
    """A signed report with these answers, where the service looks for it."""
    data, at = school.app.state.settings.data, school.clock.now() + timedelta(minutes=minutes)
    answers = tuple(report.Answer(f"q{n}", "Can it be?", "No.", outcome, ("Tried.",), {}, "RL1")
                    for n, outcome in enumerate(outcomes))
    made = report.Report(at, 9.0, "https://lessons.school.example", True, answers)
    return report.keep(data, report.signed(made, audit.signing_key(school.app.state.keys)), at)[0]


@pytest.fixture
async def lesson(school: Running) -> AsyncIterator[Family]:
    lesson = Family(school)
    yield lesson
    await lesson.end()


async def door(lesson: Family, person: str = "") -> tuple[int, str]:
    answer = await lesson.at_the_door(person or lesson.teacher_id, lesson.id)
    return answer.status_code, answer.json().get("code", "")


async def test_no_lesson_starts_after_a_wrong_answer_until_one_report_passes(school: Running, lesson: Family) -> None:
    await found(school, Outcome.SHOWN, Outcome.WRONG)
    assert await door(lesson) == (503, "self-test-fails")
    assert school.app.state.rooms.hosts() == []
    await found(school, Outcome.SHOWN, Outcome.NOT_SHOWN, minutes=1)  # it shows nothing better
    assert await door(lesson) == (503, "self-test-fails")
    await found(school, Outcome.SHOWN, Outcome.SHOWN, minutes=2)
    assert (await door(lesson))[0] == 200


@pytest.mark.parametrize("outcomes", [(), (Outcome.SHOWN,), (Outcome.NOT_SHOWN,)])
async def test_without_a_wrong_answer_lessons_start(school: Running, lesson: Family, outcomes: tuple[Outcome, ...]) -> None:
    if outcomes:
        await found(school, *outcomes)
    assert (await door(lesson))[0] == 200


async def test_a_report_that_was_changed_is_no_passed_one(school: Running, lesson: Family) -> None:
    path = await found(school, Outcome.WRONG)
    path.write_text(path.read_text().replace('"wrong"', '"shown"').replace('"passed": false', '"passed": true'))
    assert await door(lesson) == (503, "self-test-fails")


async def test_the_words_at_the_door_blame_no_child(school: Running, lesson: Family) -> None:
    await found(school, Outcome.WRONG)
    answer = await lesson.at_the_door(lesson.pupil_ids[0], lesson.id)
    assert "No lesson can start now" in answer.json()["detail"]
    assert "You have not done anything wrong" in answer.json()["detail"]


async def test_a_waiting_room_that_nobody_left_yet_does_not_open_and_its_people_are_told_at_the_door(
    school: Running, lesson: Family,
) -> None:
    pages = [await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)]
    await found(school, Outcome.WRONG)
    host = lesson.host
    async with asyncio.timeout(20):
        while not host.finished.is_set():
            await lesson.settle(0.25)
    assert not host.room.is_open
    assert host.gate.until == float("-inf")
    for page in pages:
        await page.closed(1012)  # it comes back by itself
    assert await door(lesson) == (503, "self-test-fails")


async def test_a_waiting_room_takes_nobody_more(school: Running, lesson: Family) -> None:
    await lesson.teacher()
    await found(school, Outcome.WRONG)
    assert await door(lesson, lesson.pupil_ids[0]) == (503, "self-test-fails")


async def test_a_lesson_that_runs_goes_on_with_its_breakout_rooms(school: Running, lesson: Family) -> None:
    await lesson.begin()
    await found(school, Outcome.WRONG)
    lesson.pupil_pages[0].vanish()
    await lesson.settle(1)
    back = await lesson.pupil(0)
    await lesson.opened()
    assert back.code is None
    lesson.pupil_pages[0] = back
    first, second = await lesson.separated()
    assert [page.code for page in (*first, *second)] == [None] * 6


async def test_the_self_test_s_own_lessons_start_all_the_same(
    school: Running, lesson: Family, monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def it_is(session: object, school_id: str) -> bool:
        return True

    await found(school, Outcome.WRONG)
    monkeypatch.setattr("lessons.live.registry.is_self_test", it_is)
    assert (await door(lesson))[0] == 200
