"""Leaders see which lessons are on and how they are, and can stop one; they see nobody's name."""


import pytest
from sqlmodel import select

from service.safeguarding.tables import Alert, AlertNote
from tests.room.pages import Lesson
from tests.school import Running


async def test_an_open_lesson_is_a_row_of_numbers_without_names(school: Running, lesson: Lesson) -> None:
    await lesson.teacher()
    pupils = [await lesson.pupil(0), await lesson.pupil(1)]
    await lesson.opened()
    async with await school.signed_in("headteacher") as client:
        row = (await client.get("/live/rows")).json()["rows"][0]
        page = await client.get("/live")
    assert (row["id"], row["state"], row["adults"], row["pupils"], row["recorded"]) == (lesson.id, "Open", 1, 2, True)
    assert row["teacher"] == "Mr Hall"
    assert "1 adult, 2 pupils" in page.text
    names = [lesson.host.room.plan.people[pupil.person].name for pupil in pupils]
    assert not [name for name in names if name in page.text]


async def test_a_paused_lesson_says_why_and_for_how_long(school: Running, lesson: Lesson) -> None:
    teacher = await lesson.teacher()
    await lesson.pupil(0)
    bea = await lesson.pupil(1)
    await lesson.opened()
    bea.vanish()
    await teacher.until(lambda: teacher.state["room"] == "held")
    await lesson.host.journal.drained()
    async with await school.signed_in("senior_leader") as client:
        row = (await client.get("/live/rows")).json()["rows"][0]
    assert (row["state"], row["why"], row["paused"]) == ("Paused", "an adult alone with one pupil", 0)


async def test_a_leader_stops_a_lesson_from_outside_and_it_is_cut_for_everyone(school: Running, lesson: Lesson) -> None:
    teacher = await lesson.teacher()
    await lesson.pupil(0)
    await lesson.pupil(1)
    await lesson.opened()
    async with await school.signed_in("headteacher") as client:
        assert (await client.get(f"/live/{lesson.id}/stop")).status_code == 200
        silent = await client.post(f"/live/{lesson.id}/stop", data={"reason": " "})
        assert (silent.status_code, "Say why" in silent.text) == (422, True)
        assert lesson.host.room.is_open
        assert (await client.post(f"/live/{lesson.id}/stop", data={"reason": "A stranger"})).status_code == 303
    await teacher.until(lambda: teacher.state["room"] == "held")
    assert teacher.state["hold"][0] == "stopped-by-school"
    assert not lesson.host.gate.permits(school.clock.boottime())
    async with school.database.reading() as session:
        alert = (await session.exec(select(Alert).where(Alert.kind == "stopped"))).one()
        assert (await session.exec(select(AlertNote.words).where(AlertNote.alert_id == alert.id))).all() == ["A stranger"]


async def test_with_nothing_on_it_says_when_the_next_lesson_is(school: Running) -> None:
    async with await school.signed_in("headteacher") as client:
        page = await client.get("/live")
    assert "No lessons are live." in page.text
    assert "Next: 11:30am." in page.text


@pytest.mark.parametrize("role", ["teacher", "support", "office", "governor", "pupil", "parent", "technician"])
async def test_live_now_is_for_leaders_and_the_safeguarding_team(school: Running, role: str) -> None:
    lesson = school.lesson()["id"]
    async with await school.signed_in(role) as client:
        for path in ("/live", "/live/rows", f"/live/{lesson}/stop"):
            assert (await client.get(path)).status_code == 404
        assert (await client.post(f"/live/{lesson}/stop", data={"reason": "x"})).status_code == 404
