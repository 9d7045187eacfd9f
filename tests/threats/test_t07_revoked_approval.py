"""T7: a one-to-one goes on after its approval ended: revoked, expired, its approver or the family's yes gone. Through the real
registry, host and outbox; media counts what it would deliver. The controls take away the cut, the reaction and the reading."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lessons.live import events as ev
from lessons.live.host import REREAD, WITHHELD, Check, Host
from lessons.live.plan import Plan
from lessons.live.reading import Read
from lessons.live.registry import Registry
from service.safeguarding.approvals.events import OneToOneRevoked
from service.safeguarding.approvals.tables import Approval
from service.wiring import IN_TRANSACTION
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
        lesson.host.handle(ev.Proved(owner=now))  # the plan is said to be current: only the news itself can end this
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

        monkeypatch.setattr(Registry, "withhold", lambda *_: None)
        monkeypatch.setattr(Registry, "refresh", lambda *_: None)
        monkeypatch.setattr(lesson.host, "confirm", asleep)
    assert lesson.media.delivers(teacher.person) == {ali.person}, "a gate that never opened proves nothing"
    await ENDINGS[ending](school, approval)
    if guarded:
        await teacher.until(lambda: teacher.state["hold"][:1] == ["approval-ended"])
    assert bool(await delivered_after(lesson, teacher, 5)) is not guarded


@pytest.mark.parametrize("guarded", [False, True], ids=["without the cut", "with the cut"])
@pytest.mark.parametrize("ending", list(ENDINGS))
async def test_nothing_is_delivered_from_the_turn_in_which_the_end_was_decided(
    school: Running, room: Room, monkeypatch: pytest.MonkeyPatch, ending: str, guarded: bool,
) -> None:
    """Closed first, written next (invariant I7): the database takes as long as it likes, and may be asked again meanwhile."""
    lesson, approval = room
    teacher, ali = await talking(lesson)
    if not guarded:
        monkeypatch.setattr(Registry, "withhold", lambda *_: None)
    assert lesson.media.delivers(teacher.person) == {ali.person}, "a gate that never opened proves nothing"
    after: list[Any] = []

    async def before_it_is_written(_session: Any, event: OneToOneRevoked, _actor: Any) -> None:
        if event.approval_id != approval.id:
            return  # the approver gave others as well
        after.append(lesson.media.delivers(teacher.person))
        lesson.host.refresh()
        await lesson.host.confirm()
        after.extend(await delivered_after(lesson, teacher, 3))

    monkeypatch.setitem(IN_TRANSACTION, OneToOneRevoked, (before_it_is_written,))
    await ENDINGS[ending](school, approval)
    assert any(after) is not guarded


async def test_an_end_that_failed_leaves_the_lesson_to_go_on(
    school: Running, room: Room, monkeypatch: pytest.MonkeyPatch,
) -> None:
    lesson, approval = room
    teacher, ali = await talking(lesson)

    async def refuses(*_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setitem(IN_TRANSACTION, OneToOneRevoked, (refuses,))
    with pytest.raises(OSError, match="full"):
        await revoke(school, approval.id)
    assert not lesson.media.delivers(teacher.person)
    assert lesson.host.room.plan.ticket_approval == "", "and no ticket by it is good"
    await lesson.settle(WITHHELD + REREAD)
    await lesson.opened()
    assert lesson.media.delivers(teacher.person) == {ali.person}


async def test_a_revocation_cuts_at_the_first_look_after_it_though_every_word_of_it_were_lost(
    school: Running, room: Room, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No clock is moved and nobody tells the room: it looks twice a second by itself."""
    lesson, approval = room
    for told in ("withhold", "refresh"):
        monkeypatch.setattr(Registry, told, lambda *_: None)
    teacher, _ = await talking(lesson)
    await revoke(school, approval.id)
    look, looks = lesson.host._check, []

    async def looked(*given: Any) -> Any:
        looks.append(given)
        return await look(*given)

    monkeypatch.setattr(lesson.host, "_check", looked)
    await teacher.until(lambda: teacher.state["hold"][:1] == ["approval-ended"])
    assert not lesson.media.delivers(teacher.person)
    assert teacher.person in lesson.media.here
    assert len(looks) <= 1


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

    async def eager(*asked: Any) -> Check:
        found = await check(*asked)
        host._seen = found.seen
        return found

    host._asking, host._check = contextlib.nullcontext(), eager  # type: ignore[assignment]


@pytest.mark.parametrize("guarded", [False, True], ids=["without turns", "with turns"])
async def test_a_door_that_opens_meanwhile_proves_nothing_of_a_plan_that_is_still_to_be_read(
    school: Running, room: Room, monkeypatch: pytest.MonkeyPatch, guarded: bool,
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
    monkeypatch.setattr(Host, "withhold", lambda *_: None)  # only the plan can end it
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


async def test_a_reading_that_failed_at_a_door_is_made_up_for_by_whoever_asks_next(
    school: Running, room: Room, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Host, "withhold", lambda *_: None)
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
