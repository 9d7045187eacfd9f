"""The room of a one-to-one: it opens on its approval, for exactly those two, and shuts the moment the approval does not stand."""

from collections.abc import AsyncIterator

import pytest

from consent.events import ConsentWithdrawn
from lessons.live import family
from service.foundation.bus import publish
from service.safeguarding.approvals.tables import Approval
from tests.features.test_planning_roster import change, drop_trigger, withdraw
from tests.one_to_one import OneToOne, actor, approved_lesson, revoke, set_roles
from tests.room.pages import DOOR, Page
from tests.school import Running

Room = tuple[OneToOne, Approval]


@pytest.fixture
async def room(school: Running) -> AsyncIterator[Room]:
    async with approved_lesson(school) as made:
        yield made


async def together(lesson: OneToOne) -> tuple[Page, Page]:
    """The two of them, seeing and hearing each other."""
    teacher, ali = await lesson.teacher(), await lesson.pupil()
    await lesson.opened()
    teacher.say("microphone", on=True)
    await ali.until(lambda: ali.state["room"] == "open" and any(p["microphone"] for p in ali.state["people"]))
    assert lesson.media.delivers(teacher.person) == {ali.person}
    return teacher, ali


async def over(lesson: OneToOne, teacher: Page, ali: Page) -> None:
    """Held because the approval ended; nothing passes, and time brings nothing back."""
    await teacher.until(lambda: teacher.state["room"] == "held")
    assert teacher.state["hold"][0] == "approval-ended"
    assert lesson.media.delivers(teacher.person) == frozenset()
    await lesson.settle(5)
    assert not lesson.host.room.is_open
    assert lesson.media.delivers(teacher.person) == frozenset()


async def test_it_opens_for_the_adult_and_the_child_of_the_approval(room: Room) -> None:
    await together(room[0])


async def test_both_are_told_until_when_they_are_approved_and_not_once_a_leader_looks_in(school: Running, room: Room) -> None:
    lesson, approval = room
    teacher, ali = await together(lesson)
    ends = approval.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (teacher.state["approved_until"], ali.state["approved_until"]) == (ends, ends)
    await (await lesson.page(school.person("headteacher"))).enter()
    await lesson.opened()
    await ali.until(lambda: ali.state["approved_until"] is None)


async def test_without_its_approval_the_same_room_stays_shut(school: Running, room: Room) -> None:
    lesson, _ = room
    await drop_trigger(school, "approval_no_delete", "approval")
    await change(school, "DELETE FROM approval")
    await lesson.teacher()
    await lesson.pupil()
    await lesson.settle(5)
    assert not lesson.host.room.is_open


async def test_before_its_time_it_says_when_it_starts_and_not_that_anything_ended(school: Running) -> None:
    async with approved_lesson(school, minutes_in=-0.5) as (lesson, _):
        teacher, _ali = await lesson.teacher(), await lesson.pupil()
        await lesson.settle(3)
        await teacher.until(lambda: teacher.state["hold"] == ["lone-adult", "outside-window"])
        await lesson.settle(27)
        await lesson.opened()


async def test_revoking_ends_it_at_once_and_for_good(school: Running, room: Room) -> None:
    lesson, approval = room
    teacher, ali = await together(lesson)
    await revoke(school, approval.id)
    await over(lesson, teacher, ali)
    at_home = family.of_child(school.app.state.rooms, lesson.id, ali.person, "Europe/London")
    assert at_home is not None
    assert at_home.reason == "approval-ended"


async def test_a_leader_who_looks_in_does_not_keep_a_revoked_one_open(school: Running, room: Room) -> None:
    lesson, approval = room
    teacher, ali = await together(lesson)
    leader = await (await lesson.page(school.person("headteacher"))).enter()
    await lesson.opened()
    await revoke(school, approval.id, by="Miss Okafor")
    await over(lesson, teacher, ali)
    assert lesson.media.delivers(leader.person) == frozenset()


async def test_when_the_family_takes_its_yes_back_it_ends(school: Running, room: Room) -> None:
    lesson, _ = room
    teacher, ali = await together(lesson)
    await withdraw(school, ali.person, "one_to_one")
    parent = await actor(school, school.person("parent"))
    async with school.database.writing() as session:
        await publish(session, ConsentWithdrawn(ali.person, "an answer", "one_to_one", parent.person_id, "telephone"), parent)
    await over(lesson, teacher, ali)


async def approval(school: Running, lesson: OneToOne) -> str:
    """What the teacher's page is told of the approval."""
    async with school.client(await school.cookie(lesson.teacher_id)) as client:
        return str((await client.get(f"/lessons/{lesson.id}/alone")).json()["approval"])


async def test_the_teacher_is_told_whether_it_has_ended_for_good_or_something_is_missing(school: Running, room: Room) -> None:
    lesson, given = room
    await lesson.teacher()
    assert await approval(school, lesson) == ""
    await withdraw(school, given.child_id, "one_to_one")
    assert await approval(school, lesson) == "missing"
    await revoke(school, given.id)
    assert await approval(school, lesson) == "ended"


async def test_once_its_time_is_over_nothing_is_missing_it_has_ended(school: Running, room: Room) -> None:
    lesson, given = room
    await withdraw(school, given.child_id, "one_to_one")
    school.clock.advance((given.ends_at - school.clock.now()).total_seconds())
    assert await approval(school, lesson) == "ended"


async def test_when_the_approver_loses_the_role_it_ends(school: Running, room: Room) -> None:
    lesson, approval = room
    teacher, ali = await together(lesson)
    await set_roles(school, approval.approved_by)
    await over(lesson, teacher, ali)


async def test_at_its_end_the_gate_shuts_with_nobody_noticing_and_the_lesson_ends(school: Running) -> None:
    async with approved_lesson(school, minutes_in=4.8, minutes=5) as (lesson, approval):
        teacher, _ = await together(lesson)
        await lesson.settle((approval.ends_at - school.clock.now()).total_seconds() - 1)
        assert lesson.host.room.is_open
        school.clock.advance(0.9)
        assert lesson.host.gate.permits(school.clock.boottime())
        school.clock.advance(0.11)
        assert not lesson.host.gate.permits(school.clock.boottime())
        await lesson.settle(0.5)
        await teacher.until(lambda: teacher.last("ended") is not None)


async def test_it_cannot_be_drawn_out(room: Room) -> None:
    lesson, _ = room
    teacher, _ali = await together(lesson)
    teacher.say("extend", minutes=5)
    await teacher.until(lambda: teacher.last("refused") is not None)
    refused = teacher.last("refused")
    assert refused is not None
    assert refused["detail"] == "The lesson cannot be made longer."


async def test_the_pupil_s_camera_stays_off_unless_the_approval_says_on(school: Running, room: Room) -> None:
    lesson, _ = room
    _, ali = await together(lesson)
    ali.say("camera", on=True)
    await ali.until(lambda: ali.last("refused") is not None)
    assert lesson.media.delivers(ali.person, "camera") == frozenset()


async def test_a_ticket_from_before_the_approval_ended_opens_nothing(school: Running, room: Room) -> None:
    lesson, approval = room
    await lesson.pupil()
    page = await lesson.page(lesson.teacher_id)
    ticket = (await page.door(**DOOR)).json()["ticket"]
    await revoke(school, approval.id)
    await lesson.host.confirm()
    page.connect()
    page.say("hello", ticket=ticket)
    await page.closed(4401)


async def test_another_pupil_of_the_class_finds_no_such_lesson(school: Running, room: Room) -> None:
    lesson, approval = room
    other = next(pupil for pupil in school.lesson()["pupil_ids"] if pupil != approval.child_id)
    assert (await (await lesson.page(other)).door(**DOOR)).status_code == 404
    async with school.client(await school.cookie(other)) as client:
        assert (await client.get(f"/lessons/{lesson.id}")).status_code == 404
        assert "One-to-one" not in (await client.get("/today")).text
    async with school.client(await school.cookie(approval.child_id)) as client:
        assert "One-to-one with Mr Hall" in (await client.get("/today")).text
