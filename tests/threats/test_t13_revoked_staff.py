"""T13: staff whose access is ended keep something open. Page, socket and media end together, within a second (policy: AC2)."""

import asyncio
import os
from dataclasses import replace
from typing import Any

import pytest

from lessons.live.looks import Looks
from lessons.live.registry import Registry
from service.foundation import web
from service.people import sessions
from tests.room.pages import DOOR, Lesson, Page
from tests.threats.attack import Guard, guarded_by, harm
from tests.threats.modified import Modified

OPEN = 200 if os.environ.get("CHAPERONE_PROOF") == "full" else 25
DEADLINE = 1.0


async def revoke(lesson: Lesson, person: str) -> None:
    async with lesson.school.database.writing() as session:
        actor = await sessions.queries.actor(session, person)
        assert actor is not None
        await sessions.end_all(session, actor, person_id=person, why="test", now=lesson.school.clock.now())


def never_signed_out(patch: pytest.MonkeyPatch) -> None:
    check = Looks.check

    async def careless(looks: Looks, *asked: Any) -> Any:
        return replace(await check(looks, *asked), signed_out=frozenset())

    patch.setattr(Looks, "check", careless)
    patch.setattr(Registry, "cut_off", lambda *_: None)


@guarded_by(Guard("a room learns whose sign-in ended, at once and by looking", never_signed_out))
async def test_media_and_socket_are_dead_within_a_second(carried: Lesson, attempt: Any) -> None:
    """On the wire: after a second nothing of the teacher reaches a child, and nothing reaches the teacher."""
    with attempt:
        everybody = teacher, ali, _ = [Modified(page) for page in (
            await carried.teacher(), await carried.pupil(0), await carried.pupil(1))]
        try:
            await _revoked_while_they_speak(carried, teacher, ali)
        finally:
            await asyncio.gather(*(each.close() for each in everybody))


async def _revoked_while_they_speak(lesson: Lesson, teacher: Modified, ali: Modified) -> None:
    teacher.speaks = ali.speaks = True
    for each, other in ((teacher, ali), (ali, teacher)):
        await each.page.until(lambda each=each: each.page.last("state") and each.page.state["room"] == "open", 30)  # type: ignore[misc]
        each.page.say("microphone", on=True)
        await other.down.until(lambda other=other: len(other.down.rtp) > 3)  # type: ignore[misc]
    await revoke(lesson, teacher.page.person)
    await asyncio.sleep(DEADLINE)
    before, told = (len(teacher.down.rtp), len(ali.down.rtp)), len(teacher.page.told)
    teacher.page.say("chat", own="late", text="still here")
    await asyncio.sleep(1.0)
    harm((len(teacher.down.rtp), len(ali.down.rtp)) != before, "packets after a second")
    harm(teacher.page.told[told:], "messages after a second")
    assert teacher.page.code == 4401
    media = lesson.host.media
    assert media is not None
    assert media.last_media(teacher.page.person) == float("-inf")


def cut_later(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Registry, "cut_off", lambda *_: None)


@guarded_by(Guard("lines are closed in the turn in which it is decided", cut_later))
async def test_nothing_of_theirs_is_left_in_the_room_before_the_end_of_their_sign_in_is_even_written(
    played: Lesson, attempt: Any,
) -> None:
    teacher, ali, _ = [await played.teacher(), await played.pupil(0), await played.pupil(1)]
    await played.opened()
    teacher.say("microphone", on=True)
    await ali.until(lambda: any(p["microphone"] for p in ali.state["people"]))
    with attempt:
        async with played.school.database.writing() as session:
            actor = await sessions.queries.actor(session, teacher.person)
            assert actor is not None
            await sessions.end_all(session, actor, person_id=teacher.person, why="test", now=played.school.clock.now())
            harm(played.media.delivers(teacher.person), "heard")
            harm(teacher.person in played.media.here, "connected")
        await teacher.closed(4401)


async def test_signing_out_here_leaves_another_sign_in_of_theirs_in_the_room(played: Lesson) -> None:
    teacher = await played.teacher()
    async with played.school.client(await played.school.cookie(played.teacher_id)) as elsewhere:
        assert (await elsewhere.post("/sign-out")).status_code == 303
    await played.settle(1)
    assert teacher.code is None
    async with played.school.client(teacher.cookie) as here:
        assert (await here.post("/sign-out")).status_code == 303
    await teacher.closed(4401)


def ask_once(patch: pytest.MonkeyPatch) -> None:
    async def still(socket: Any) -> bool:
        return True

    patch.setattr("lessons.live.socket.is_still_signed_in", still)


@pytest.mark.proof
@guarded_by(Guard("the sign-in is looked up again at the hello", ask_once))
async def test_sockets_that_were_open_before_let_nobody_in_after(
    played: Lesson, attempt: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many sockets, each with a good ticket in hand, that said no hello yet."""
    monkeypatch.setattr("lessons.live.registry.KNOCKS", OPEN + 1)
    monkeypatch.setattr("lessons.live.protocol.HELLO_SECONDS", 60.0)
    page = await played.page(played.teacher_id)
    tickets = [(await page.door(**DOOR)).json()["ticket"] for _ in range(OPEN)]
    waiting = [Page(played, page.person, page.cookie).connect() for _ in tickets]
    for each in waiting:
        await each.until(lambda each=each: each.accepted)  # type: ignore[misc]
    await revoke(played, page.person)
    with attempt:
        for each, ticket in zip(waiting, tickets, strict=True):
            each.say("hello", ticket=ticket)
        for each in waiting:
            await each.until(lambda each=each: each.code is not None or each.last("welcome") is not None)  # type: ignore[misc]
        harm([each for each in waiting if each.last("welcome")], "let in after the sign-in was ended")
        assert {each.code for each in waiting} == {4401}
    for each in waiting:
        await each.end()


def believe_the_cookie(patch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {}
    look_up = web.actor_of

    async def remembered(connection: Any) -> Any:
        token = connection.cookies.get(web.COOKIE, "")
        if token not in known:
            known[token] = await look_up(connection), connection.state.standing
        actor, connection.state.standing = known[token]
        return actor

    patch.setattr(web, "actor_of", remembered)


@pytest.mark.proof
@guarded_by(Guard("the sign-in is looked up at every request", believe_the_cookie))
async def test_no_page_is_given_after(played: Lesson, attempt: Any) -> None:
    """Many requests on their way at once, on pages that were open before."""
    cookie = await played.school.cookie(played.teacher_id)
    with attempt:
        async with played.school.client(cookie) as client:
            assert (await client.get("/today")).status_code == 200
            await revoke(played, played.teacher_id)
            answers = await asyncio.gather(*(client.get("/today") for _ in range(OPEN)))
        harm([each for each in answers if each.status_code == 200], "pages after the sign-in was ended")
