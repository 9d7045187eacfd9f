"""A lesson that needs somebody calls those on duty, and a teacher left alone may ask; nothing flows while they think (RL1)."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlmodel import select

from lessons.attention.tables import LessonAttention
from lessons.live import family
from service.people.tables import DutySlot
from service.safeguarding.approvals.tables import ApprovalRequest
from tests.guests import invited
from tests.one_to_one import decide, given, named, revoke
from tests.room.pages import Lesson, Page
from tests.school import Running


async def alone(lesson: Lesson) -> tuple[Page, Page]:
    """Open with two pupils, then one has gone: held, and one adult with one child in it."""
    teacher, ali = await lesson.teacher(), await lesson.pupil(0)
    bea = await lesson.pupil(1)
    await lesson.opened()
    bea.vanish()
    await teacher.until(lambda: teacher.state["room"] == "held")
    return teacher, ali


async def words(client: httpx.AsyncClient) -> list[str]:
    return [banner["words"] for banner in (await client.get("/banners?wait=false")).json()["banners"]]


async def needs(school: Running) -> list[LessonAttention]:
    async with school.database.reading() as session:
        return list((await session.exec(select(LessonAttention).order_by(LessonAttention.raised_at))).all())


async def only_on_duty(school: Running, role: str) -> None:
    async with school.database.writing() as session:
        for slot in (await session.exec(select(DutySlot))).all():
            slot.person_id = school.person(role)


async def test_a_pause_of_two_minutes_calls_whoever_is_on_duty_by_the_rota(school: Running, lesson: Lesson) -> None:
    await only_on_duty(school, "senior_leader")
    await alone(lesson)
    async with await school.signed_in("senior_leader") as leader, await school.signed_in("dsl") as dsl:
        await lesson.settle(110)
        await lesson.host.journal.drained()
        assert await words(leader) == []
        await lesson.settle(15)
        await lesson.host.journal.drained()
        [banner] = (await leader.get("/banners?wait=false")).json()["banners"]
        assert banner["words"].startswith("A lesson needs attention, ")
        assert await words(dsl) == []
        page = await leader.get(banner["href"])
        assert "Lesson paused 2 minutes" in page.text
        assert "An adult would be alone with one pupil." in page.text
        for button in ("I am dealing with it", "Ring the office", "Stop lesson"):
            assert button in page.text
        assert lesson.host.room.plan.people[lesson.pupil_ids[0]].name not in page.text


async def test_dealing_with_it_stops_the_call_and_shows_the_name(school: Running, lesson: Lesson) -> None:
    await alone(lesson)
    await lesson.settle(125)
    await lesson.host.journal.drained()
    async with await school.signed_in("dsl") as dsl, await school.signed_in("deputy_dsl") as deputy:
        [need] = await needs(school)
        assert (await dsl.post(f"/attention/{need.id}/take")).status_code == 303
        assert await words(deputy) == []
        assert "Ruth Okafor" in (await deputy.get(f"/attention/{need.id}")).text


async def test_it_is_over_when_the_lesson_opens_again(school: Running, lesson: Lesson) -> None:
    await alone(lesson)
    await lesson.settle(125)
    await lesson.pupil(2)
    await lesson.opened()
    await lesson.host.journal.drained()
    [need] = await needs(school)
    assert need.over_at is not None
    async with await school.signed_in("dsl") as dsl:
        assert await words(dsl) == []


async def test_that_the_teacher_has_not_arrived_is_over_when_the_teacher_comes_and_not_when_a_guest_does(
    school: Running, lesson: Lesson,
) -> None:
    speaker = await invited(school, lesson.id)
    for position in (0, 1):
        await lesson.pupil(position)
    await lesson.settle(190)
    await (await lesson.page(speaker.guest_id)).enter()
    await lesson.settle(2)
    await lesson.host.journal.drained()
    [need] = await needs(school)
    assert (need.reason, need.over_at) == ("teacher-not-arrived", None), "a guest is nobody's adult"
    await lesson.teacher()
    await lesson.settle(2)
    await lesson.host.journal.drained()
    [need] = await needs(school)
    assert need.over_at is not None


async def test_a_teacher_cannot_read_what_calls_the_leaders(school: Running, lesson: Lesson) -> None:
    await alone(lesson)
    await lesson.settle(125)
    await lesson.host.journal.drained()
    [need] = await needs(school)
    async with await school.signed_in("teacher") as teacher:
        assert (await teacher.get(f"/attention/{need.id}")).status_code == 404


# The teacher who is left alone


async def offers(client: httpx.AsyncClient, lesson: Lesson) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/lessons/{lesson.id}/alone")).json()
    return found


async def ask(client: httpx.AsyncClient, lesson: Lesson, why: str = "The others lost their connection.") -> httpx.Response:
    return await client.post(f"/lessons/{lesson.id}/alone/ask", json={"why": why}, headers={"accept": "application/json"})


async def waits(lesson: Lesson, teacher: Page, ali: Page) -> None:
    """Nothing is delivered, however long it takes."""
    for _ in range(8):
        await lesson.settle(1)
        assert not lesson.host.room.is_open
        assert lesson.media.delivers(teacher.person) == lesson.media.delivers(ali.person) == frozenset()


async def test_asking_needs_a_reason_and_names_the_one_pupil_who_is_here(school: Running, lesson: Lesson) -> None:
    await alone(lesson)
    async with school.client(await school.cookie(lesson.teacher_id)) as client:
        assert (await offers(client, lesson))["child"]["id"] == lesson.pupil_ids[0]
        silent = await ask(client, lesson, "  ")
        assert (silent.status_code, "why" in silent.json()["errors"]) == (422, True)
        assert (await ask(client, lesson)).status_code == 200
        assert (await ask(client, lesson)).status_code == 409, "asked once"
    async with school.database.reading() as session:
        asked = (await session.exec(select(ApprovalRequest).where(ApprovalRequest.kind == "now"))).one()
    assert (asked.adult_id, asked.child_id) == (lesson.teacher_id, lesson.pupil_ids[0])


async def test_nothing_flows_while_the_leaders_think_and_when_one_approves_the_room_opens_by_itself(
    school: Running, lesson: Lesson,
) -> None:
    teacher, ali = await alone(lesson)
    async with school.client(await school.cookie(lesson.teacher_id)) as client, await school.signed_in("headteacher") as head:
        request_id = (await ask(client, lesson)).json()["request_id"]
        await waits(lesson, teacher, ali)
        [banner] = (await head.get("/banners?wait=false")).json()["banners"]
        assert (await offers(client, lesson))["asked"]["seen"] == []
        page = await head.get(banner["href"])
        assert f"/one-to-one/{request_id}" in page.text
        assert (await offers(client, lesson))["asked"]["seen"] == ["Dr Marsh"]
        await waits(lesson, teacher, ali)
        await decide(school, request_id, "Dr Marsh", "approve")
        await lesson.settle(1)
        await lesson.host.journal.drained()
        await lesson.settle(0.25)
        assert lesson.host.room.is_open
        assert await words(head) == []


async def test_refused_the_words_of_the_leader_are_shown_and_the_room_stays_shut(school: Running, lesson: Lesson) -> None:
    teacher, ali = await alone(lesson)
    async with school.client(await school.cookie(lesson.teacher_id)) as client:
        request_id = (await ask(client, lesson)).json()["request_id"]
        await decide(school, request_id, "Dr Marsh", "refuse", reason="Ring Mrs Ali instead.")
        asked = (await offers(client, lesson))["asked"]
        assert (asked["status"], asked["by"], asked["words"]) == ("refused", "Dr Marsh", "Ring Mrs Ali instead.")
        await waits(lesson, teacher, ali)


async def test_with_two_pupils_here_there_is_nothing_to_ask(school: Running, lesson: Lesson) -> None:
    await lesson.teacher()
    await lesson.pupil(0)
    await lesson.pupil(1)
    await lesson.opened()
    async with school.client(await school.cookie(lesson.teacher_id)) as client:
        assert (await offers(client, lesson))["child"] is None
        assert (await ask(client, lesson)).status_code == 409


async def test_an_answer_about_one_pupil_is_not_shown_of_another_and_that_one_can_be_asked_about(
    school: Running, lesson: Lesson,
) -> None:
    teacher, ali = await alone(lesson)
    async with school.client(await school.cookie(lesson.teacher_id)) as client:
        await decide(school, (await ask(client, lesson)).json()["request_id"], "Dr Marsh", "approve")
        await lesson.opened()
        assert (await offers(client, lesson))["asked"] is None, "nobody is alone now"
        ali.vanish()
        await lesson.pupil(2)
        await teacher.until(lambda: teacher.state["hold"] == ["lone-adult"])
        told = await offers(client, lesson)
        assert (told["child"]["id"], told["asked"], told["approval"]) == (lesson.pupil_ids[2], None, "")
        assert (await ask(client, lesson)).status_code == 200
        assert (await offers(client, lesson))["asked"]["status"] == "waiting"


async def test_an_approval_that_was_ended_is_said_to_have_ended_and_a_colleague_can_still_be_invited(
    school: Running, lesson: Lesson,
) -> None:
    teacher, ali = await alone(lesson)
    async with school.client(await school.cookie(lesson.teacher_id)) as client:
        request_id = (await ask(client, lesson)).json()["request_id"]
        await decide(school, request_id, "Dr Marsh", "approve")
        await lesson.opened()
        await revoke(school, (await given(school, request_id))[0].id)
        await teacher.until(lambda: teacher.state["hold"] == ["approval-ended", "lone-adult"])
        told = await offers(client, lesson)
        assert (told["child"]["id"], told["approval"]) == (ali.person, "ended")
        at_home = family.of_child(school.app.state.rooms, lesson.id, ali.person, "Europe/London")
        assert at_home is not None
        assert at_home.reason == "lone-adult", "a family is not told that a lesson for the class was a one-to-one that ended"
        assert told["colleagues"]
        again = await ask(client, lesson)
        assert (again.status_code, again.json()["code"]) == (409, "ended-for-good")
    await lesson.pupil(2)
    await lesson.opened()


async def test_before_a_lesson_has_opened_the_teacher_to_whom_one_pupil_came_may_ask_too(school: Running, lesson: Lesson) -> None:
    teacher = await lesson.teacher()
    await lesson.pupil(0)
    await lesson.settle(2)
    assert (teacher.state["room"], teacher.state["hold"]) == ("lobby", ["lone-adult"])
    async with school.client(await school.cookie(lesson.teacher_id)) as client:
        assert (await offers(client, lesson))["child"]["id"] == lesson.pupil_ids[0]
        await decide(school, (await ask(client, lesson)).json()["request_id"], "Dr Marsh", "approve")
        await lesson.opened()


@pytest.mark.parametrize("role", ["support", "office", "dsl", "technician"])
async def test_only_an_adult_of_the_lesson_is_offered_anything(school: Running, lesson: Lesson, role: str) -> None:
    await alone(lesson)
    async with await school.signed_in(role) as client:
        assert (await client.get(f"/lessons/{lesson.id}/alone")).status_code == 404
        assert (await ask(client, lesson)).status_code == 404


async def test_an_invited_colleague_is_called_with_a_link_and_with_them_the_lesson_opens(school: Running, lesson: Lesson) -> None:
    teacher, ali = await alone(lesson)
    cole = (await named(school, "Ms Cole")).person_id
    async with school.client(await school.cookie(lesson.teacher_id)) as client, school.client(await school.cookie(cole)) as hers:
        assert cole in [one["id"] for one in (await offers(client, lesson))["colleagues"]]
        answer = await client.post(f"/lessons/{lesson.id}/alone/invite", json={"person": cole})
        assert answer.status_code == 200, answer.text
        [banner] = (await hers.get("/banners?wait=false")).json()["banners"]
        assert (banner["href"], banner["action"]) == (f"/lessons/{lesson.id}", "Open the lesson")
        await waits(lesson, teacher, ali)
        await (await lesson.page(cole)).enter()
        await lesson.opened()
        await lesson.host.journal.drained()
        assert await words(hers) == []


async def test_a_page_that_waits_hears_of_an_invitation_at_once(school: Running, lesson: Lesson) -> None:
    await alone(lesson)
    cole = (await named(school, "Ms Cole")).person_id
    async with school.client(await school.cookie(lesson.teacher_id)) as client, school.client(await school.cookie(cole)) as hers:
        asked = asyncio.create_task(hers.get("/banners"))
        async with asyncio.timeout(10):
            await client.post(f"/lessons/{lesson.id}/alone/invite", json={"person": cole})
            assert len((await asked).json()["banners"]) == 1
