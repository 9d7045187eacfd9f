"""An adult and a pupil at one media address: those on duty are told, and clear the two for this lesson (threat T3; AC1)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import select

from lessons.attention.tables import LessonAttention
from service.foundation.audit import AuditLeaf
from service.safeguarding.tables import Alert
from tests.room.pages import Lesson
from tests.school import Running, running

HOME = "198.51.100.7"


@pytest.fixture
async def school(tmp_path: Path, template: Path) -> AsyncIterator[Running]:
    """As a school runs it: not the demo."""
    async with running(tmp_path / "data", template=template, dev=False) as started:
        yield started


async def at_one_address(lesson: Lesson, *pupils: int) -> None:
    teacher = await lesson.teacher()
    pages = [await lesson.pupil(number) for number in (0, 1, 2)]
    await lesson.opened()
    lesson.media.addresses |= {teacher.person: HOME, **{pages[number].person: HOME for number in pupils}}
    await lesson.settle(1)
    await lesson.host.journal.drained()


async def alerts(school: Running) -> list[Alert]:
    async with school.database.reading() as session:
        return list((await session.exec(select(Alert).where(Alert.kind == "address-shared"))).all())


async def needs(school: Running) -> list[LessonAttention]:
    async with school.database.reading() as session:
        return list((await session.exec(select(LessonAttention).where(LessonAttention.reason == "address-shared"))).all())


async def test_a_senior_leader_clears_it_for_this_lesson_with_a_reason_that_the_audit_keeps(
    school: Running, lesson: Lesson,
) -> None:
    await at_one_address(lesson, 0)
    [need] = await needs(school)
    async with await school.signed_in("senior_leader") as leader:
        page = await leader.get(f"/attention/{need.id}")
        assert lesson.host.room.plan.people[lesson.pupil_ids[0]].name in page.text
        silent = await leader.post(f"/attention/{need.id}/clear", data={"because": " "})
        assert (silent.status_code, "Say why" in silent.text) == (422, True)
        assert lesson.host.room.is_open, "it holds nobody"
        cleared = await leader.post(f"/attention/{need.id}/clear", data={"because": "Both are in school."})
        assert cleared.status_code == 303
        assert (await leader.get("/banners?wait=false")).json()["banners"] == []
    [alert] = await alerts(school)
    assert alert.closed_by == school.person("senior_leader")
    async with school.database.reading() as session:
        leaf = (await session.exec(select(AuditLeaf).where(AuditLeaf.kind == "AddressCleared"))).one()
    assert leaf is not None


async def test_after_clearing_the_same_two_raise_nothing_more_in_this_lesson_not_even_in_a_new_host(
    school: Running, lesson: Lesson,
) -> None:
    await at_one_address(lesson, 0)
    [need] = await needs(school)
    async with await school.signed_in("dsl") as dsl:
        await dsl.post(f"/attention/{need.id}/clear", data={"because": "Siblings of staff."})
    lesson.host._same_address.clear()  # as when the service began again
    await lesson.settle(2)
    await lesson.host.journal.drained()
    assert len(await alerts(school)) == len(await needs(school)) == 1


async def test_another_pupil_at_the_address_is_another_question(school: Running, lesson: Lesson) -> None:
    await at_one_address(lesson, 0, 1)
    assert len(await alerts(school)) == len(await needs(school)) == 2


async def test_an_adult_of_the_lesson_finds_nothing_even_a_leader(school: Running, lesson: Lesson) -> None:
    leader = await (await lesson.page(school.person("headteacher"))).enter()
    await at_one_address(lesson, 0)
    [need] = await needs(school)
    assert leader.person == school.person("headteacher")
    async with await school.signed_in("headteacher") as head, await school.signed_in("teacher") as teacher:
        for client in (head, teacher):
            assert (await client.get(f"/attention/{need.id}")).status_code == 404
            assert (await client.post(f"/attention/{need.id}/clear", data={"because": "x"})).status_code == 404
    assert (await needs(school))[0].cleared_because == ""


async def test_behind_a_proxy_the_address_is_the_medias_and_never_the_proxys(school: Running, lesson: Lesson) -> None:
    """Every page of the test comes from one address, as behind a proxy (`tests.room.pages`): that alone is nothing."""
    await at_one_address(lesson)
    lesson.media.addresses.clear()
    await lesson.settle(1)
    assert await alerts(school) == []
    lesson.media.addresses |= {lesson.teacher_id: HOME, lesson.pupil_ids[0]: HOME}
    await lesson.settle(1)
    await lesson.host.journal.drained()
    assert len(await alerts(school)) == 1


async def test_in_the_demo_where_everybody_is_at_one_address_it_is_one_alert_a_lesson(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path / "demo", template=template, dev=True) as school:
        lesson = Lesson(school)
        await at_one_address(lesson, 0, 1, 2)
        assert len(await alerts(school)) == 1
        await lesson.end()


# “I'm worried”, pressed again


async def press(school: Running, **more: object) -> str:
    async with await school.signed_in("pupil") as client:
        answer = await client.post("/worried", json=more)
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["worry_id"]
        return found


async def worries(school: Running) -> list[Alert]:
    async with school.database.reading() as session:
        return list((await session.exec(select(Alert).where(Alert.kind == "worry"))).all())


async def test_pressed_many_times_it_is_one_alert_and_every_word_is_kept(school: Running) -> None:
    first = await press(school)
    for number in range(20):
        assert await press(school, text=f"Word {number}") == first
        await press(school)
    assert await press(school, do_not_ring_home=True) == first
    assert len(await worries(school)) == 1
    async with await school.signed_in("dsl") as dsl:
        page = await dsl.get(f"/safeguarding/{first}")
    assert all(f"Word {number}<" in page.text for number in range(20))
    assert "do not ring home" in page.text
    assert page.text.count("Pressed again.") <= 1


async def test_a_minute_later_it_is_written_down_that_it_was_pressed_again(school: Running) -> None:
    first = await press(school)
    school.clock.advance(61)
    await press(school)
    async with await school.signed_in("dsl") as dsl:
        assert "Pressed again." in (await dsl.get(f"/safeguarding/{first}")).text


async def test_about_a_grown_up_said_at_the_second_press_it_moves_to_the_headteacher(school: Running) -> None:
    first = await press(school)
    await press(school, about="grown-up")
    async with await school.signed_in("dsl") as dsl, await school.signed_in("headteacher") as head:
        assert (await dsl.get(f"/safeguarding/{first}")).status_code == 404
        assert (await head.get(f"/safeguarding/{first}")).status_code == 200


async def test_long_after_somebody_took_it_or_once_it_is_closed_a_press_calls_again(school: Running) -> None:
    first = await press(school)
    async with await school.signed_in("dsl") as dsl:
        await dsl.post(f"/safeguarding/{first}/take")
        assert await press(school) == first
        school.clock.advance(11 * 60)
        second = await press(school)
        assert second != first
        await dsl.post(f"/safeguarding/{second}/take")
        await dsl.post(f"/safeguarding/{second}/notes", data={"words": "Done", "outcome": "noted", "close": "yes"})
        await dsl.post(f"/safeguarding/{first}/notes", data={"words": "Done", "outcome": "noted", "close": "yes"})
    assert await press(school) not in (first, second)
