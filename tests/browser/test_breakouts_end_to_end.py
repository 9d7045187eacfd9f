"""Breakout rooms in real browsers: two adults, four pupils, two rooms; who hears whom, what a death of one adult stops, and
everybody back (policy: RL1, RL4, RL7)."""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.browser.lesson_day import Day, axe_finds_nothing, school_day
from tests.browser.programs import Chromium, Person

pytestmark = pytest.mark.browser
TEACHER, ASSISTANT = 1, 2
PUPILS = (3, 4, 5, 6)
LATEST = 2.5
"""Seconds after a browser dies in which the last packet may still be on its way to anybody of its room."""


async def test_each_room_hears_its_own_and_the_death_of_one_adult_silences_that_room_alone(tmp_path: Path) -> None:
    async with school_day(tmp_path) as day:
        _, teacher = await day.teacher(TEACHER)
        assistant_browser, assistant = await the_assistant(day, teacher)
        pupils = [(await day.pupil(n, code))[1] for n, code in enumerate(PUPILS)]
        codes = dict(zip([teacher.id, assistant.id, *(p.id for p in pupils)], (TEACHER, ASSISTANT, *PUPILS), strict=True))
        for person in (teacher, assistant, *pupils):
            await person.sees("open")

        await teacher.press("More")
        await teacher.page.locator("#more-menu").get_by_role("button", name="Breakout rooms").click()
        await axe_finds_nothing(teacher)
        await picture(teacher, "real-arrange")
        await teacher.press("Open the rooms")
        places = await who_is_where(day, teacher, expected=[3, 3])
        rooms = list(dict.fromkeys(places[person.id] for person in (teacher, assistant)))
        together = {room: [p for p in (teacher, assistant, *pupils) if places[p.id] == room] for room in rooms}
        for person in (teacher, assistant, *pupils):
            await person.sees("open")
            await person.turn_on("Microphone")
        for people in together.values():
            for person in people:
                await day.until_hears(person, {other.id: codes[other.id] for other in people if other is not person})
        await picture(teacher, "real-rooms")

        first, second = together[places[teacher.id]], together[places[assistant.id]]
        await that_room_is_silent_and_the_other_is_not(day, assistant_browser, assistant, first, second)
        await teacher.page.locator("[data-rooms]").get_by_text("Paused: no adult").wait_for()
        await picture(teacher, "real-one-paused")
        others = {other.id: codes[other.id] for other in first if other is not teacher}
        await day.until_hears(teacher, others)

        await teacher.press("Bring everybody back")
        for person in (teacher, *pupils):
            await person.page.locator(f'main[data-lesson="{day.lesson["id"]}"][data-room="open"]').wait_for(state="attached")
        await day.until_hears(teacher, {pupil.id: codes[pupil.id] for pupil in pupils})
        await teacher.page.set_viewport_size({"width": 320, "height": 640})
        await picture(teacher, "real-back-320")
        for person in (teacher, *pupils):
            assert person.troubles == []


async def the_assistant(day: Day, teacher: Person) -> tuple[Chromium, Person]:
    """A second member of staff, added while the lesson is on, who comes in."""
    for known in [p for p in day.service.made["people"] if p["role"] == "teacher" and p["id"] != teacher.id]:
        added = await teacher.page.request.post(
            f"{day.lesson_url}/second", form={"second": known["id"]}, headers={"origin": day.service.url}
        )
        if added.ok:
            browser = await day.browser(ASSISTANT)
            person = await day.signed_in(browser, known["id"])
            await person.enter(day.lesson_url, "Join the lesson")
            day.people.append(person)
            return browser, person
    raise AssertionError("nobody of the staff is free")


async def who_is_where(day: Day, teacher: Person, expected: list[int]) -> dict[str, str]:
    """Wait until everybody is in a breakout room, by what their own pages say: person to room."""
    async with asyncio.timeout(60):
        while True:
            people = [person for person in day.people if isinstance(person, Person)]
            places = {p.id: str(await p.page.locator("main").get_attribute("data-lesson")) for p in people}
            if day.lesson["id"] not in places.values() and sorted(Counter(places.values()).values()) == expected:
                return places
            await asyncio.sleep(0.2)


async def that_room_is_silent_and_the_other_is_not(
    day: Day, browser: Chromium, dying: Person, first: list[Person], second: list[Person]
) -> None:
    """On the wire itself: nothing goes to anybody of the dead adult's room any more, while the other room's sound goes on."""
    await asyncio.sleep(2)
    died = day.strike(browser, dying)
    left = [person for person in second if person is not dying]
    for person in left:
        await person.sees("held", "no-adult", seconds=LATEST + 4)
    await asyncio.sleep(max(0.0, died + LATEST + 4 - time.time()))
    for person in first:
        await person.sees("open", seconds=1)
    if day.wire is not None:
        before = {packet.port for packet in day.wire.after(died - 1.5) if packet.at < died}
        async with asyncio.timeout(20):  # on a busy machine somebody of it may have to come back first, to another port
            while len(going_on := {packet.port for packet in day.wire.after(time.time() - 2)}) != len(first):
                await asyncio.sleep(0.2)
        late = {packet.port for packet in day.wire.after(died + LATEST)}
        assert len(before - late) >= len(second), "that room's people had been sent something"
        assert len(going_on) == len(first), "the other room's sound goes on, and nobody else is sent anything"
    assert [sound for person in left for sound in (await person.sounds()).values() if sound is not None] == []


async def picture(person: Person, name: str) -> None:
    """Kept where `PICTURES` says, to be looked at."""
    if folder := os.environ.get("PICTURES"):
        await person.page.screenshot(path=Path(folder) / f"{name}.png")
