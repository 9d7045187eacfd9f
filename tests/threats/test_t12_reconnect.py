"""T12: going around the door by reconnecting. Coming back is a full admission: whatever was decided since holds (policy: AC1)."""

import asyncio
from typing import Any

import pytest
from sqlmodel import select

from consent.tables import ConsentResponse
from lessons.live.room import Room
from lessons.live.seat import Seat
from tests.room.pages import DOOR, Lesson, Page
from tests.threats.attack import Guard, guarded_by, harm


async def ticket_of(page: Page) -> str:
    """Taken before it was decided, to be used after."""
    return str((await page.door(**DOOR, device=f"device of {page.person}")).json()["ticket"])


async def back(lesson: Lesson, page: Page, ticket: str) -> Page:
    again = Page(lesson, page.person, page.cookie).connect()
    lesson.pages.append(again)
    again.say("hello", ticket=ticket)
    await again.until(lambda: again.code is not None or again.last("state") is not None)
    return again


def forget_removals(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Room, "removed", property(lambda room: frozenset(), lambda room, value: None))


@guarded_by(Guard("the room's memory of who was removed", forget_removals))
async def test_after_a_removal(played: Lesson, attempt: Any) -> None:
    teacher, ali, _ = await played.teacher(), await played.pupil(0), await played.pupil(1)
    await played.opened()
    ticket = await ticket_of(ali)
    with attempt:
        teacher.say("remove", person=ali.person, reason="test")
        await ali.closed(4410)
        again = await back(played, ali, ticket)
        harm(again.last("welcome"), "came back after being removed")
        assert again.code == 4410


@guarded_by(Guard("who may not take part is not in the room", lambda patch: patch.setattr(
    Seat, "is_here", property(lambda seat: seat.connection is not None))))
async def test_after_a_permission_was_withdrawn(played: Lesson, attempt: Any) -> None:
    teacher, ali, bea = await played.teacher(), await played.pupil(0), await played.pupil(1)
    await played.pupil(2)
    await played.opened()
    ticket = await ticket_of(ali)
    await withdrawn(played, ali.person)
    with attempt:
        again = await back(played, ali, ticket)
        teacher.say("microphone", on=True)
        await bea.until(lambda: any(person["microphone"] for person in bea.state["people"]))
        await played.settle(1)
        harm(ali.person in played.media.delivers(teacher.person), "hears a lesson that the family said no to")
        assert again.state["hold"] == ["not-permitted"]


async def withdrawn(lesson: Lesson, child: str) -> None:
    now = lesson.school.clock.now()
    async with lesson.school.database.writing() as session:
        said = (await session.exec(select(ConsentResponse).where(
            ConsentResponse.child_id == child, ConsentResponse.purpose == "attend"))).all()
        session.add_all(ConsentResponse(
            school_id=one.school_id, child_id=child, purpose="attend", answer="withdrawn", respondent_id=one.respondent_id,
            route="telephone", signed_on=now.date(), recorded_by="system", recorded_at=now) for one in said)
    lesson.school.app.state.rooms.refresh()
    async with asyncio.timeout(15):
        while lesson.host.room.plan.people[child].may.attend:
            await lesson.host.confirm()
            await asyncio.sleep(0)


def believe_old_proofs(patch: pytest.MonkeyPatch) -> None:
    sit, stand = Seat.sit, Seat.stand

    def keeping(was: Any) -> Any:
        def kept(seat: Seat, *of: Any) -> None:
            proofs = seat.media_at, seat.page_at
            was(seat, *of)
            seat.media_at, seat.page_at = proofs
        return kept

    patch.setattr(Seat, "sit", keeping(sit))
    patch.setattr(Seat, "stand", keeping(stand))


@guarded_by(Guard("nothing of an earlier connection proves anything", believe_old_proofs))
async def test_the_proofs_of_the_connection_before_do_not_hold_the_gate_open(played: Lesson, attempt: Any) -> None:
    """The second child's browser is gone, and something else comes in their name and says nothing."""
    teacher, ali, bea = await played.teacher(), await played.pupil(0), await played.pupil(1)
    await played.opened()
    teacher.say("microphone", on=True)
    await ali.until(lambda: any(person["microphone"] for person in ali.state["people"]))
    assert ali.person in played.media.delivers(teacher.person)
    ticket = await ticket_of(bea)
    with attempt:
        await back(played, bea, ticket)
        harm(ali.person in played.media.delivers(teacher.person), "delivered on the proof of a connection that is gone")


@guarded_by(Guard("the room opens on proofs alone", lambda patch: patch.setattr(
    Seat, "alive_until", property(lambda seat: float("inf")))))
async def test_a_shut_gate_is_not_opened_by_coming_back(played: Lesson, attempt: Any) -> None:
    teacher, ali, bea = await played.teacher(), await played.pupil(0), await played.pupil(1)
    await played.opened()
    bea.vanish()
    await teacher.until(lambda: teacher.state["room"] == "held")
    with attempt:
        silent = await back(played, bea, await ticket_of(bea))
        teacher.say("microphone", on=True)
        for _ in range(12):
            await played.settle(0.25, silent=(silent,))
            await played.host.journal.drained()
            harm(ali.person in played.media.delivers(teacher.person), "open for somebody who is not heard")
