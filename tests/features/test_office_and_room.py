"""From the office's desk into the live room, and from the room's journal onto the record: the whole way, nothing played."""


from sqlmodel import col, select

from service.people.tables import Guardianship, Person
from tests.room.pages import Lesson
from tests.school import Running


async def guardian(school: Running, child: str) -> str:
    async with school.database.reading() as session:
        return (await session.exec(
            select(Guardianship.guardian_id).where(Guardianship.child_id == child).order_by(col(Guardianship.contact_order))
        )).first()


async def test_a_no_written_down_in_the_office_reaches_the_live_room_by_itself_and_a_correction_lets_the_child_back(
    school: Running, lesson: Lesson,
) -> None:
    teacher, ali = await lesson.teacher(), await lesson.pupil(0)
    await lesson.pupil(1)
    await lesson.pupil(2)
    await lesson.opened()
    today = school.clock.now()
    form = {"respondent": await guardian(school, ali.person), "day": str(today.day), "month": str(today.month),
            "year": str(today.year), "route": "telephone", "second_listener": school.person("teacher"), "attend": "no"}
    async with await school.signed_in("office") as office:
        assert (await office.post(f"/permissions/children/{ali.person}", data=form)).status_code == 303
        await ali.until(lambda: ali.state["hold"] == ["not-permitted"])
        await teacher.until(lambda: ali.person not in [person["person"] for person in teacher.state["people"]])
        assert teacher.state["room"] == "open"
        page = (await office.get(f"/permissions/children/{ali.person}")).text
        mistake = page.split('href="/permissions/responses/')[1].split('"')[0]
        await office.post(f"/permissions/responses/{mistake}", data={"note": "It was another child"})
        await ali.until(lambda: ali.state["hold"] != ["not-permitted"])


async def test_attendance_is_what_the_live_room_s_journal_says(school: Running, lesson: Lesson) -> None:
    await lesson.teacher()
    ali, bea = await lesson.pupil(0), await lesson.pupil(1)
    await lesson.pupil(2)
    await lesson.opened()
    await lesson.settle(120)
    bea.vanish()
    await lesson.settle(20)
    await lesson.pupil(1)
    await lesson.settle(100)
    ali.say("leave")
    await ali.until(lambda: ali.code is not None)
    await lesson.settle(60)
    host = lesson.host
    lesson.pages[0].say("end")
    await lesson.pages[0].until(lambda: lesson.pages[0].code is not None)
    await host.journal.drained()
    async with await school.signed_in("teacher") as client:
        page = (await client.get(f"/lessons/{lesson.id}/attendance")).text
        lines = (await client.get(f"/lessons/{lesson.id}/attendance.csv")).text.splitlines()[1:]
    async with school.database.reading() as session:
        names = [f"{row.preferred_name or row.given_name} {row.family_name}" for row in [
            await session.get_one(Person, person) for person in lesson.pupil_ids[:4]]]
    minutes = {line.split(",")[4]: line.split(",")[5:9:3] for line in lines}
    assert [minutes[name] for name in names] == [["yes", "4"], ["yes", "5"], ["yes", "5"], ["no", "0"]]
    assert "Reconnected 1 time" in page
    assert "3 of 8" in page


async def test_a_worry_is_on_no_page_about_the_child_and_in_no_copy(school: Running, lesson: Lesson) -> None:
    await lesson.teacher()
    ali = await lesson.pupil(0)
    await lesson.pupil(1)
    await lesson.opened()
    async with school.client(ali.cookie) as pupil:
        answer = await pupil.post("/worried", json={"lesson_id": lesson.id, "text": "He shouts"})
        assert answer.status_code == 200, answer.text
    for role, paths in (
        ("teacher", (f"/lessons/{lesson.id}/attendance", f"/lessons/{lesson.id}/attendance.csv", f"/attendance/{ali.person}")),
        ("office", (f"/permissions/children/{ali.person}", f"/attendance/{ali.person}", f"/people/{ali.person}")),
    ):
        async with await school.signed_in(role) as client:
            for path in paths:
                page = await client.get(path)
                assert page.status_code == 200, path
                assert "worr" not in page.text.lower(), path
                assert "He shouts" not in page.text, path
    async with await school.signed_in("dsl") as client:
        assert len((await client.get("/banners?wait=false")).json()["banners"]) == 1
