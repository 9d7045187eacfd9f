"""A family at home beside a school day: the office hands a letter over, and a parent's phone begins with it."""

import sqlite3
from datetime import date
from urllib.parse import urlsplit

from tests.browser.lesson_day import Day
from tests.pwa.phone import Letter, Phone


def family_of(day: Day, child_id: str) -> tuple[str, date]:
    """Whom the school calls first for this child, and when the child was born."""
    with sqlite3.connect(f"file:{day.service.folder / 'data' / 'chaperone.sqlite3'}?mode=ro", uri=True) as database:
        (parent,) = database.execute("SELECT guardian_id FROM guardianship WHERE child_id = ? AND contact_order = 1",
                                     (child_id,)).fetchone()
        (born,) = database.execute("SELECT born_on FROM person WHERE id = ?", (child_id,)).fetchone()
    return parent, date.fromisoformat(born)


async def handed_over(day: Day, mine: Phone, child_id: str) -> Letter:
    """The office makes a letter and hands it to the parent, who is there."""
    parent, born = family_of(day, child_id)
    office = await mine.context.browser.new_context()  # type: ignore[union-attr]
    page = await office.new_page()
    await page.goto(day.service.first("office")["sign_in_url"])
    await page.goto(f"{day.service.url}/people/{parent}/phones")
    await page.get_by_label("I hand it to them now, and they showed me who they are").check()
    await page.get_by_role("button", name="Make a letter", exact=True).click()
    link = urlsplit(await page.locator(".x-once").inner_text())
    code = await page.locator(".govuk-summary-list__value").inner_text()
    await office.close()
    assert link.path == "/m/"
    return Letter(link.fragment.removeprefix("i="), code, born, day.service.person(child_id)["name"].split()[0])
