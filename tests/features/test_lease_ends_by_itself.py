"""The gate is a lease: whatever stops, nothing is delivered afterwards on old proof, and nothing opens again by a clock."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from service.foundation.errors import Unavailable
from tests.room.pages import DOOR, Lesson, Page
from tests.school import running


async def speaking(lesson: Lesson) -> tuple[Page, Page, Page]:
    teacher, ali, bea = await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)
    await lesson.opened()
    teacher.say("microphone", on=True)
    await ali.until(lambda: any(person["microphone"] for person in ali.state["people"]))
    assert lesson.media.delivers(teacher.person) == {ali.person, bea.person}
    return teacher, ali, bea


async def test_a_machine_that_was_suspended_wakes_with_a_shut_gate(lesson: Lesson) -> None:
    """CLOCK_BOOTTIME ran on. The first packet after waking finds it shut, before any timer of ours has run."""
    teacher, ali, _ = await speaking(lesson)
    lesson.school.clock.advance(600)
    assert lesson.media.delivers(teacher.person) == frozenset()
    lesson.host.tick()
    assert not lesson.host.room.is_open
    assert ali.person not in lesson.media.delivers(teacher.person)


@pytest.mark.parametrize("stopped", ["loop", "recorder", "database"])
async def test_whatever_stops_ends_the_lease_without_anybody_noticing(lesson: Lesson, stopped: str) -> None:
    """Nothing of ours runs but the rest of what is asked for; delivery ends no later than three seconds on."""
    teacher, _, _ = await speaking(lesson)
    began = lesson.school.clock.boottime()
    while lesson.school.clock.boottime() < began + 3.0:
        if stopped == "loop":
            lesson.school.clock.advance(0.25)
        else:
            await lesson.settle(0.25, recorded=stopped != "recorder", current=stopped != "database")
    assert lesson.media.delivers(teacher.person) == frozenset()


async def test_a_plan_found_current_just_before_its_proof_runs_out_interrupts_nothing(lesson: Lesson) -> None:
    """The proof counts when it comes: it does not wait for a tick, which would be after the end of the one before."""
    teacher, ali, bea = await speaking(lesson)
    await lesson.host.confirm()
    lesson.host.tick()
    await lesson.settle(2.75, current=False)
    await lesson.host.confirm()
    await lesson.settle(0.25, current=False)
    assert lesson.media.delivers(teacher.person) == {ali.person, bea.person}


@pytest.mark.parametrize("hours", [-48, -1, 1, 48])
async def test_a_clock_that_is_set_reopens_nothing(lesson: Lesson, hours: int) -> None:
    """The lesson's time is over by whichever clock says so first; no setting of the wall clock takes that back."""
    teacher, _, _ = await speaking(lesson)
    room, clock = lesson.host.room, lesson.school.clock
    clock.set(room.plan.hard_end_at + timedelta(seconds=1))
    lesson.host.tick()
    assert lesson.media.delivers(teacher.person) == frozenset()
    clock.set(clock.now() + timedelta(hours=hours))
    for _ in range(8):
        clock.advance(0.25)
        now = clock.boottime()
        for person in lesson.media.heard:
            lesson.media.heard[person] = now
        assert lesson.media.delivers(teacher.person) == frozenset()
    assert room.has_ended


async def test_after_the_process_died_the_lesson_is_shut_and_its_tickets_are_void(tmp_path: Path, template: Path) -> None:
    data = tmp_path / "data"
    async with running(data, template=template) as school:
        before = Lesson(school)
        teacher, _, _ = await speaking(before)
        ticket, clock = (await teacher.door(**DOOR)).json()["ticket"], school.clock
        with pytest.raises(Unavailable):
            async with running(data, clock=clock):
                pass
    async with running(data, clock=clock) as school:
        again = Lesson(school)
        assert school.app.state.rooms.live(again.id) is None
        page = Page(again, teacher.person, teacher.cookie).connect()
        page.say("hello", ticket=ticket)
        await page.closed(4401)
        back = await again.teacher()
        assert not again.host.room.is_open
        assert again.media.delivers(back.person) == frozenset()
        await asyncio.gather(page.end(), again.end())
