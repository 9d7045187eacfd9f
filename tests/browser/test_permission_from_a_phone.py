"""A parent takes permissions back on a phone while the lesson is on, and the teacher's browser shows it (policy: CO2, CO3)."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from tests.browser.home import handed_over
from tests.browser.lesson_day import school_day
from tests.browser.programs import Person
from tests.pwa.phone import Phone, phone

pytestmark = pytest.mark.browser
TEACHER, ALI, MAYA, ZOFIA, HOME = 1, 2, 3, 4, 5


async def says_no(mine: Phone, title: str) -> None:
    await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
    await mine.follow(title)
    await mine.choose("No, I do not agree")
    await mine.press("Save")
    await mine.sees("Sent")


async def test_a_permission_that_is_taken_back_on_a_phone_ends_in_the_lesson_at_once(tmp_path: Path) -> None:
    async with school_day(tmp_path) as day:
        home = await day.browser(HOME)
        async with phone(home.browser, day.service.url) as mine:
            letter = await handed_over(day, mine, day.lesson["pupil_ids"][0])
            await mine.join(letter)
            await mine.sees("Hello")
            _, teacher = await day.teacher(TEACHER)
            ali, maya, _ = [(await day.pupil(number, code))[1] for number, code in enumerate((ALI, MAYA, ZOFIA))]
            for person in (ali, maya):
                await person.sees("open")
                await person.turn_on("Camera")
            await day.until_sees(teacher, {(ali.id, "camera"): ALI, (maya.id, "camera"): MAYA})
            await mine.goto("/m/")
            await expect(mine.page.get_by_text("Open", exact=True)).to_be_visible()

            await mine.page.get_by_role("link", name=re.compile("^Permissions")).click()
            await mine.follow("Camera")
            await mine.choose("Yes")  # they have parental responsibility: asked once
            await mine.press("Continue")
            await says_no(mine, "Camera")
            await expect(mine.page.get_by_text(f"{letter.child}'s camera is off from now.")).to_be_visible()
            ali.wants.clear()
            await day.until_sees(teacher, {(maya.id, "camera"): MAYA})
            await teacher.sees("open")
            assert await row_of(teacher, ali).count() == 1, "without a camera they are still in the lesson"

            await says_no(mine, "Live lessons")
            await expect(mine.page.get_by_text(f"{letter.child} has left the lesson that is on.")).to_be_visible()
            await expect(row_of(teacher, ali)).to_have_count(0)
            await ali.sees("held", "not-permitted")
            day.people.remove(ali)
            assert await row_of(teacher, maya).count() == 1
            await teacher.sees("open")
            await day.until_sees(teacher, {(maya.id, "camera"): MAYA})
            await teacher.press("End for everyone")
            await teacher.press("End now")
            await maya.sees("ended")
            day.people.clear()


def row_of(teacher: Person, who: Person) -> Locator:
    """Somebody's row among the people whom the teacher's page says are here."""
    return teacher.page.locator(f"[data-people] [data-for='{who.id}']")
