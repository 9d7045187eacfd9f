"""`python -m tests.browser.take_pictures`: the README's pictures, taken from the running product with people who are drawn.
With names (`lesson`, which brings `review`; `phone`) only those."""

import asyncio
import base64
import re
import sys
import tempfile
from pathlib import Path

from tests.architecture.files import ROOT
from tests.browser import signals
from tests.browser.home import handed_over
from tests.browser.lesson_day import Day, school_day
from tests.browser.programs import Person
from tests.pwa.phone import phone

FOLDER = ROOT / "docs" / "pictures"


async def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with school_day(Path(folder)) as day:
            day.camera = signals.portrait_file
            wanted = sys.argv[1:] or ["lesson", "phone"]
            if "phone" in wanted:
                await _phone(day)
            if "lesson" in wanted:
                await _lesson(day)
                await _review(day)


async def _phone(day: Day) -> None:
    """Three screens of a parent's phone beside each other."""
    home = await day.browser(6)
    pictures = []
    async with phone(home.browser, day.service.url, is_mobile=True, has_touch=True) as mine:
        child = day.lesson["pupil_ids"][0]
        await mine.join(await handed_over(day, mine, child))
        await mine.sees("Hello")
        pictures.append(await mine.page.screenshot())
        await mine.goto(f"/m/permissions/{child}/camera")
        await mine.choose("Yes")
        await mine.press("Continue")
        await mine.sees("Camera")
        pictures.append(await mine.page.screenshot())
        await mine.choose("No, I do not agree")
        await mine.press("Save")
        await mine.sees("Sent")
        await mine.page.get_by_text(re.compile("camera is off from now")).wait_for()
        pictures.append(await mine.page.screenshot())
        side = await mine.context.new_page()
        await side.set_viewport_size({"width": 1200, "height": 800})
        await side.set_content("<body style='margin:0;padding:30px;display:flex;gap:30px;background:#e4f0f0'>" + "".join(
            f"<img alt='' style='width:360px;border-radius:18px;border:1px solid #8ac0c3' "
            f"src='data:image/png;base64,{base64.b64encode(picture).decode()}'>" for picture in pictures))
        await side.screenshot(path=FOLDER / "phone.png")


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
