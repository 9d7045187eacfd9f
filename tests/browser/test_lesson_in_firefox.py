"""A pupil in Firefox, beside others in Chromium: sees and hears, is seen and heard, and leaves in one press."""

from pathlib import Path

import pytest

from tests.browser.lesson_day import school_day
from tests.browser.signals import READ_PICTURES, pictures

pytestmark = pytest.mark.browser
TEACHER, ALI, MAYA = 1, 2, 4
ARRIVING = """() => [...document.querySelectorAll("audio[data-person]")].filter(a => !a.srcObject.getTracks()[0].muted)
  .map(a => a.dataset.person)"""  # a machine without speakers plays nothing; a track is unmuted by its first packet


async def test_a_pupil_in_firefox_takes_part(tmp_path: Path) -> None:
    async with school_day(tmp_path) as day:
        maya_id = day.lesson["pupil_ids"][1]
        _, teacher = await day.teacher(TEACHER)
        _, ali = await day.pupil(0, ALI)
        maya = await day.firefox(1, MAYA)
        await maya.sees("open")
        for person in (teacher, ali, maya):
            await person.turn_on("Microphone")
            await person.turn_on("Camera")

        await day.until_hears(teacher, {ali.id: ALI, maya_id: MAYA})
        await day.until_sees(teacher, {(ali.id, "camera"): ALI, (maya_id, "camera"): None})
        await maya.until(READ_PICTURES, lambda read: pictures(read) == {(teacher.id, "camera"): TEACHER})
        await maya.until(ARRIVING, lambda people: set(people) == {teacher.id, ali.id})

        await maya.press("Leave")
        await teacher.sees("held", "lone-adult")
        assert teacher.troubles == ali.troubles == []
