"""T7: a one-to-one goes on after its approval ended: revoked, expired, its approver or the family's yes gone. Through the real
registry, host and outbox; media counts what it would deliver. The control takes away the reaction and the reading."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from lessons.live.host import Check
from lessons.live.plan import Plan
from lessons.live.reading import Read
from lessons.live.registry import Registry
from service.safeguarding.approvals.tables import Approval
from tests.one_to_one import OneToOne, approved_lesson, revoke, set_roles
from tests.room.pages import Page
from tests.school import Running

Room = tuple[OneToOne, Approval]


@pytest.fixture
async def room(school: Running) -> AsyncIterator[Room]:
    async with approved_lesson(school) as made:
        yield made


async def talking(lesson: OneToOne) -> tuple[Page, Page]:
    teacher, ali = await lesson.teacher(), await lesson.pupil()
    await lesson.opened()
    teacher.say("microphone", on=True)
    await ali.until(lambda: any(p["microphone"] for p in ali.state["people"]))
    return teacher, ali


async def delivered_after(lesson: OneToOne, teacher: Page, seconds: float) -> list[float]:
    """When, after now, a packet of the teacher's would still have reached the pupil; everybody goes on being heard."""
    began, found = lesson.school.clock.boottime(), []
    for _ in range(round(seconds / 0.05)):
        await asyncio.sleep(0)
        lesson.school.clock.advance(0.05)
        now = lesson.school.clock.boottime()
        for connected in list(lesson.host.connections.values()):
            lesson.media.heard[connected.person] = connected.page_at = now
        lesson.host.recorded(now)
        lesson.host._owned_at = now  # the plan is said to be current: only the news itself can end this
        lesson.host.tick()
        if lesson.media.delivers(teacher.person):
            found.append(now - began)
    return found


async def _revoked(school: Running, approval: Approval) -> None:
    await revoke(school, approval.id)


async def _approver_gone(school: Running, approval: Approval) -> None:
    await set_roles(school, approval.approved_by)


ENDINGS: dict[str, Callable[[Running, Approval], Awaitable[None]]] = {
    "revoked": _revoked, "approver without the role": _approver_gone,
}


@pytest.mark.parametrize("guarded", [False, True], ids=["without the reaction", "with the reaction"])
@pytest.mark.parametrize("ending", list(ENDINGS))
async def test_nothing_is_delivered_once_the_approval_ended(
    school: Running, room: Room, monkeypatch: pytest.MonkeyPatch, ending: str, guarded: bool,
) -> None:
    lesson, approval = room
    teacher, ali = await talking(lesson)
    if not guarded:
        async def asleep() -> None:
            pass

        monkeypatch.setattr(Registry, "refresh", lambda *_: None)
        monkeypatch.setattr(lesson.host, "confirm", asleep)
    assert lesson.media.delivers(teacher.person) == {ali.person}, "a gate that never opened proves nothing"
    await ENDINGS[ending](school, approval)
    if guarded:
        await teacher.until(lambda: teacher.state["hold"][:1] == ["approval-ended"])
    assert bool(await delivered_after(lesson, teacher, 5)) is not guarded


async def test_a_revocation_cuts_by_itself_within_a_second_of_the_real_clock(school: Running, room: Room) -> None:
    """No clock is moved and no reading is asked for: the commit alone wakes the room."""
    lesson, approval = room
    teacher, _ = await talking(lesson)
    loop = asyncio.get_running_loop()
    await revoke(school, approval.id)
    began = loop.time()
    while lesson.media.delivers(teacher.person):
        assert loop.time() - began < 10, "it goes on"
        await asyncio.sleep(0.002)
    assert teacher.person in lesson.media.here
    assert loop.time() - began < 3  # 10 to 40 ms on an idle machine; this one may be busy


@pytest.mark.parametrize("guarded", [False, True], ids=["without its end", "with its end"])
async def test_an_approval_that_expires_ends_to_the_tick_with_a_stalled_loop(
    school: Running, monkeypatch: pytest.MonkeyPatch, guarded: bool,
) -> None:
    """Nobody is told and nothing runs: the gate's own number is the end of the approval."""
    if not guarded:
        monkeypatch.setattr("lessons.live.supervision._approved_until", lambda s, now: now + 60)
        monkeypatch.setattr("lessons.live.supervision._lesson_approved_until", lambda s, now: now + 60)
    async with approved_lesson(school, minutes_in=4.9, minutes=5) as (lesson, approval):
        teacher, _ = await talking(lesson)
        if not guarded:
            lesson.host.room.plan = _longer(lesson)
        await lesson.settle(max(0.0, (approval.ends_at - school.clock.now()).total_seconds() - 0.75))
        assert lesson.media.delivers(teacher.person), "a gate that never opened proves nothing"
        school.clock.advance((approval.ends_at - school.clock.now()).total_seconds() + 0.05)
        assert bool(lesson.media.delivers(teacher.person)) is not guarded


# While the plan is being read


def together(lesson: OneToOne) -> None:
    """Without the turn that whoever asks has to wait for, and with what was asked taken for read."""
    host, check = lesson.host, lesson.host._check

    async def eager(seen: int, sessions: set[str]) -> Check:
        found = await check(seen, sessions)
        host._seen = found.seen
        return found

    host._asking, host._check = contextlib.nullcontext(), eager  # type: ignore[assignment]


@pytest.mark.parametrize("guarded", [False, True], ids=["without turns", "with turns"])
async def test_a_door_that_opens_meanwhile_proves_nothing_of_a_plan_that_is_still_to_be_read(
    school: Running, room: Room, guarded: bool,
) -> None:
    """The revocation is known of, reading it takes long, and everybody who comes to the door asks whether the plan is current."""
    lesson, approval = room
    teacher, _ = await talking(lesson)
    host, read, slow = lesson.host, lesson.host._read, asyncio.Event()

    async def reading() -> Read:
        await slow.wait()
        return await read()

    if not guarded:
        together(lesson)
    host._read = reading
    await revoke(school, approval.id)
    asking = asyncio.create_task(host.confirm())
    await asyncio.sleep(0.2)
    began, at_the_door, late = school.clock.boottime(), list[asyncio.Task[None]](), list[float]()
    for _ in range(20):
        school.clock.advance(0.25)
        now = school.clock.boottime()
        for connected in list(host.connections.values()):
            lesson.media.heard[connected.person] = connected.page_at = now
        at_the_door.append(asyncio.create_task(host.confirm()))
        await asyncio.wait(at_the_door, timeout=0.02)
        host.recorded(now)
        host.tick()
        late += [now - began] if lesson.media.delivers(teacher.person) and now - began > 3.5 else []
    slow.set()
    await asyncio.gather(asking, *at_the_door)
    assert bool(late) is not guarded


async def test_a_reading_that_failed_at_a_door_is_made_up_for_by_whoever_asks_next(school: Running, room: Room) -> None:
    lesson, approval = room
    teacher, _ = await talking(lesson)
    host, read = lesson.host, lesson.host._read

    async def broken() -> Read:
        raise TimeoutError

    host._read = broken
    await revoke(school, approval.id)
    with pytest.raises(TimeoutError):
        await host.confirm()
    host._read = read
    await host.confirm()
    assert not lesson.media.delivers(teacher.person)
    assert host.room.reasons[0] == "approval-ended"


def _longer(lesson: OneToOne) -> Plan:
    """The window of the lesson does not end the room instead."""
    plan = lesson.host.room.plan
    return replace(plan, hard_end_at=plan.hard_end_at + timedelta(minutes=5))
