"""`python -m tests.browser.take_pictures`: the README's pictures, taken from the running product with people who are drawn."""

import asyncio
import tempfile
from pathlib import Path

from tests.architecture.files import ROOT
from tests.browser import signals
from tests.browser.lesson_day import Day, school_day
from tests.browser.programs import Person

FOLDER = ROOT / "docs" / "pictures"


async def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with school_day(Path(folder)) as day:
            day.camera = signals.portrait_file
            await _lesson(day)
            await _review(day)


async def _lesson(day: Day) -> None:
    _, teacher = await day.teacher(1)
    pupils = [(await day.pupil(number, number + 2))[1] for number in range(4)]
    for person in (teacher, *pupils):
        await person.sees("open")
        await person.turn_on("Camera")
    await pupils[1].press("Raise hand")
    await pupils[0].says("Is it three quarters?")
    await teacher.says("Yes, well done. Now question 4.")
    await _look(day, teacher, 4)
    await teacher.page.screenshot(path=FOLDER / "lesson.png")
    for _ in range(20):  # something to review
        await asyncio.sleep(0.5)
        await teacher.keep_on()
    await teacher.press("Flag this moment")
    await asyncio.sleep(3)
    await teacher.press("End for everyone")
    await teacher.press("End now")
    await teacher.sees("ended")
    day.people.clear()


async def _review(day: Day) -> None:
    lead = await day.signed_in(await day.browser(5), day.service.first("dsl")["id"])
    await lead.page.set_viewport_size({"width": 1366, "height": 1000})
    await lead.page.goto(f"{day.service.url}/recordings/{day.lesson['id']}")
    await lead.page.get_by_label("Why?").select_option("flag")
    await lead.press("Watch")
    await lead.confirm()
    await lead.page.locator("[data-review][data-ready=true]").wait_for()
    slider = lead.page.get_by_label("Position in the lesson")
    length = int(await slider.get_attribute("max") or 0)
    await slider.fill(str(max(0, length - 9000) // 1000 * 1000))
    await lead.press("Play")
    await asyncio.sleep(3)
    await lead.page.locator(".x-review").evaluate("review => review.scrollIntoView({block: 'start'})")
    await lead.page.screenshot(path=FOLDER / "review.png")


async def _look(day: Day, person: Person, pictures: int) -> None:
    """Wait until so many pictures are there."""
    while len(await person.pictures()) < pictures:
        for each in day.people:
            await each.keep_on()
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(main())
