"""Whoever was in a lesson cannot tell whether its recording is held or gone, on any page (policy: IN4; decision 81)."""

from dataclasses import replace

import httpx
import pytest
from sqlmodel import update

from recordings.ending import destruction
from recordings.tables import Recording
from service.foundation.web import COOKIE
from tests.features.test_concerns import everything
from tests.features.test_subjects_of_concerns import raised
from tests.recordings.ends import Kept, agree, ask, ask_release, recordings
from tests.school import Running

DAY = 86_400.0
TOTALS = {"/governors", "/keys"}
"""Exact numbers of the whole school, which are about nobody (decision 216): here one recording is all of them."""


async def of_a_lesson(school: Running, participant: str) -> Kept:
    """The recording of a lesson that has a record, with one day to go."""
    [made] = await recordings(school, 1, days_left=1, participant=participant)
    lesson_id = school.lesson()["id"]
    async with school.database.writing() as session:
        await session.exec(update(Recording).where(Recording.id == made.id).values(lesson_id=lesson_id))
    return replace(made, lesson_id=lesson_id)


async def look(school: Running, cookies: list[str], kept: Kept) -> tuple[dict[str, tuple[int, str]], bool]:
    """Every page of the first; and, for the control, whether the second reads a certificate."""
    first, second = cookies
    async with school.client(first) as client:
        client.cookies.set(COOKIE, first)
        pages = await everything(school, client, {"any": [kept.lesson_id]})
    async with school.client(second) as client:
        return pages, (await client.get(f"/endings/{kept.lesson_id}/certificate")).status_code == 200


async def turn(school: Running) -> int:
    state = school.app.state
    return await destruction.reconcile(state.database, state.vault, state.clock)


@pytest.mark.parametrize(("role", "keeper", "second"), [
    ("teacher", "dsl", "headteacher"), ("dsl", "deputy_dsl", "headteacher"), ("headteacher", "dsl", "chair"),
])
async def test_whom_a_concern_is_about_cannot_tell_whether_their_recording_is_held_or_gone(
    school: Running, role: str, keeper: str, second: str,
) -> None:
    kept = await of_a_lesson(school, school.person(role))
    await raised(school, school.person(role), lesson_id=kept.lesson_id, by=second)
    await ask(school, kept, keeper)
    await agree(school, kept, second)
    school.clock.advance(10 * DAY)
    assert await turn(school) == 0, "it is held"
    at, [*cookies, _] = school.clock.now(), [await school.cookie(school.person(each)) for each in (role, keeper, second)]
    held, is_certified = await look(school, cookies, kept)
    await ask_release(school, kept, keeper)
    await agree(school, kept, second)
    assert await turn(school) == 1, "it is gone"
    school.clock.set(at)  # pages say what time it is
    assert not is_certified
    gone, is_certified = await look(school, cookies, kept)
    assert {path for path in gone if gone[path] != held[path]} <= TOTALS
    assert is_certified, "the control: whose it is does see it"


async def test_a_lessons_record_says_the_same_of_what_is_held_and_what_is_gone(school: Running) -> None:
    kept = await of_a_lesson(school, school.person("teacher"))
    page = f"/lessons/{kept.lesson_id}/attendance"

    async def read() -> str:
        async with await school.signed_in("teacher") as hall:
            answer: httpx.Response = await hall.get(page)
        return answer.text

    before = await read()
    assert "Kept until Wednesday 25 November" in before
    assert "Ask to watch" in before, "negative control: until its day"
    await ask(school, kept)
    await agree(school, kept)
    school.clock.advance(10 * DAY)
    after = await read()
    assert "Its last day was Wednesday 25 November." in after
    assert "Ask to watch" not in after
    assert "Kept until" not in after
