"""Whoever reviews recordings finds each of them by pages, by its day and by its class (policy: RE1)."""

import html
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from sqlmodel import col, select

from recordings.tables import Recording
from service.foundation.db import new_id
from service.people.tables import School
from tests.school import Running

DAY = timedelta(days=1)


async def many(school: Running, starts: Iterable[datetime], class_name: str = "5 Oak") -> list[str]:
    """Recordings that began then. Returns their lessons."""
    async with school.database.writing() as session:
        school_id = (await session.exec(select(School.id).where(~col(School.is_self_test)))).one()
        rows = [Recording(school_id=school_id, lesson_id=new_id(), title="Maths", class_name=class_name, starts_at=at, ends_at=at,
                          started_at=at, ended_at=at, outcome="complete", kept_until=date(2027, 1, 1)) for at in starts]
        session.add_all(rows)
    return [row.lesson_id for row in rows]


def lessons_in(page: str) -> list[str]:
    return re.findall(r'href="/recordings/([0-9a-f]{32})"', page)


async def test_the_oldest_of_250_recordings_is_found_and_opened_by_pages_alone(school: Running) -> None:
    made = await many(school, (school.clock.now() - timedelta(hours=n) for n in range(1, 251)))
    async with await school.signed_in("dsl") as dsl:
        at = (await dsl.get("/recordings")).text
        found = lessons_in(at)
        while following := re.search(r'href="([^"]+)" rel="next"', at):
            at = (await dsl.get(html.unescape(following[1]))).text
            found += lessons_in(at)
        assert found == made
        assert (await dsl.get(f"/recordings/{found[-1]}")).status_code == 200
        assert re.search(r'href="([^"]+)" rel="prev"', at)
        assert "There are no more." in (await dsl.get("/recordings?page=99")).text


async def test_a_lesson_is_found_by_its_day_where_the_school_is_and_by_its_class(school: Running) -> None:
    late_in_june = datetime(2026, 6, 30, 23, 30, tzinfo=UTC)
    [june, july], [other] = await many(school, [late_in_june - DAY, late_in_june]), await many(school, [late_in_june], "6 <Ash>")
    await many(school, (school.clock.now() - timedelta(minutes=n) for n in range(60)))
    async with await school.signed_in("dsl") as dsl:
        async def found(query: str) -> list[str]:
            return lessons_in((await dsl.get(f"/recordings?{query}")).text)

        assert set(await found("day=1%2F7%2F2026")) == {july, other}
        assert await found("day=30.06.2026&class=") == [june]
        assert await found("day=2026-07-01&class=6+%3CAsh%3E") == [other]
        assert await found("class=6+%3CAsh%3E") == [other]
        second = html.unescape(re.search(r'href="([^"]+)" rel="next"', (await dsl.get("/recordings?class=5+Oak")).text)[1])
        assert len(await found(second.partition("?")[2])) == 12, "the class stays asked for on the next page"
        assert "Nothing found." in (await dsl.get("/recordings?day=2/7/2026")).text
        for no_day in ("yesterday", "31/12/9999"):
            wrong = await dsl.get("/recordings", params={"day": no_day})
            assert (wrong.status_code, lessons_in(wrong.text)) == (422, [])
            assert "Enter a day, like 12/11/2026" in wrong.text
