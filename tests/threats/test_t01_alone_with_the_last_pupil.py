"""T1: an adult stays with the last pupil after the others went (policy: RL1). Their devices die and nobody says so: no more than
two seconds after the last proof of the second child nothing reaches the first, nor comes from them."""

import asyncio
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from lessons.live.events import Sent
from lessons.live.messages import Chat
from lessons.live.recorder import Recorder
from lessons.media.gate import Gate
from tests.room.pages import Lesson
from tests.threats.attack import Guard, guarded_by, harm
from tests.threats.modified import Modified
from tests.threats.side_by_side import Beside, in_each, lessons

FULL = os.environ.get("CHAPERONE_PROOF") == "full"
RUNS = 1000 if FULL else 5
LESSONS, REAL_RUNS = (10, 100) if FULL else (1, 1)
"""A thousand runs on the wire: a hundred deaths in each of ten lessons."""
GATE = Guard("the gate at every delivery", lambda patch: patch.setattr(Gate, "permits", lambda gate, now: True))
UNDER_WAY = 0.05
"""Seconds for what the server had sent in time to reach the kernel here, whose stamp counts: not when we got round to read."""
AFTERWARDS = 0.5
"""Seconds for which nothing more may come."""


@pytest.mark.proof
@guarded_by(GATE)
async def test_nothing_reaches_the_last_pupil_once_the_others_are_unheard(played: Lesson, attempt) -> None:  # type: ignore[no-untyped-def]
    """The server's own timers do not run: the lease ends by itself."""
    teacher, ali, bea = await played.teacher(), await played.pupil(0), await played.pupil(1)
    await played.opened()
    draw, clock = random.Random(1), played.school.clock
    teacher.say("microphone", on=True)
    await ali.until(lambda: any(person["microphone"] for person in ali.state["people"]))
    with attempt:
        for _ in range(RUNS):
            await played.settle(draw.choice((0.25, 0.5, 1.0)))
            await played.opened()
            clock.advance(draw.random() * 0.2)
            last, delivered = played.media.heard[bea.person], 0
            while clock.boottime() < last + 4.0:
                clock.advance(0.02)
                reached = ali.person in played.media.delivers(teacher.person)
                harm(reached and clock.boottime() - last >= 2.0, "heard by the last pupil after two seconds")
                delivered += reached
            assert delivered, "a gate that never opened proves nothing"


@guarded_by(GATE)
async def test_nor_does_a_word_though_nothing_noticed_that_they_are_gone(
    played: Lesson, attempt: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The room is open as far as it knows; what is written is asked about when it would be sent."""
    monkeypatch.setattr(Recorder, "note", lambda *_: True)  # its own clock would refuse it too
    teacher, ali, _ = await played.teacher(), await played.pupil(0), await played.pupil(1)
    await played.opened()
    [connection] = [each for each in played.host.connections.values() if each.person == teacher.person]
    with attempt:
        played.school.clock.advance(2.0)
        played.host.handle(Sent(connection.id, Chat("late", "are you there?")))
        await teacher.until(lambda: teacher.last("chat") or teacher.last("chat_refused"))
        harm(ali.all("chat"), "written to after two seconds")


@pytest.mark.proof
@guarded_by(GATE)
async def test_on_the_wire_nothing_follows_either_way_when_a_pupil_s_computer_dies(tmp_path: Path, attempt) -> None:  # type: ignore[no-untyped-def]
    async with lessons(tmp_path / "data", LESSONS) as made:
        with attempt:
            await in_each(made, _again_and_again)


async def _again_and_again(lesson: Beside) -> None:
    teacher, ali = Modified(await lesson.teacher()), Modified(await lesson.pupil(0))
    teacher.speaks = ali.speaks = True
    try:
        for _ in range(REAL_RUNS):
            bea = Modified(await lesson.pupil(1))
            try:
                await _one_dies(lesson, teacher, ali, bea)
            finally:
                await bea.close()
    finally:
        await asyncio.gather(teacher.close(), ali.close())


async def _one_dies(lesson: Lesson, teacher: Modified, ali: Modified, bea: Modified) -> None:
    for each in (teacher, ali, bea):
        await each.page.until(lambda each=each: each.page.last("state") and each.page.state["room"] == "open", 60)  # type: ignore[misc]
    for each, other in ((teacher, ali), (ali, teacher)):
        each.page.say("microphone", on=True)
        other.forget()
        await other.down.until(lambda other=other: len(other.down.rtp) > 3)  # type: ignore[misc]
    media, clock = lesson.host.media, lesson.school.clock
    assert media is not None
    await bea.die()
    last = media.last_media(bea.page.person) + 2.0 + UNDER_WAY
    await asyncio.sleep(last - clock.boottime())
    heard = {each: len(each.page.all("chat")) for each in (teacher, ali)}
    for each in (teacher, ali):
        each.page.say("chat", own="late", text="are you there?")
    await asyncio.sleep(AFTERWARDS)
    late = [at for each in (teacher, ali) for at in each.down.arrived if at - time.time() + clock.boottime() > last]
    harm(late, "packets after two seconds")
    harm([each.page.person for each in (teacher, ali) if len(each.page.all("chat")) > heard[each]], "messages after two seconds")
