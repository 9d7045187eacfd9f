"""A whole school comes at once: a few are served, the others wait in order, and lessons go on (docs/decisions: 104)."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from fastapi.routing import APIRoute

from lessons.live import door
from lessons.pages import day, lesson
from service.foundation import crowd
from service.foundation.crowd import AT_ONCE, Crowd, Crowded, Stage
from service.people.pages import sign_in
from tests.school import Running


@pytest.fixture
async def full() -> AsyncIterator[tuple[Crowd, Callable[[], None]]]:
    """A crowd in which as many are served as may be, and what lets one of them go."""
    made, leave = Crowd(), asyncio.Semaphore(0)

    async def served() -> None:
        async with made.turn(Stage.START):
            await leave.acquire()

    tasks = [asyncio.create_task(served()) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    yield made, leave.release
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def come(made: Crowd, order: list[str], name: str, stage: Stage) -> None:
    async with made.turn(stage):
        order.append(name)


async def turns() -> None:
    """As long as it takes until everybody who can go on has."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_whoever_is_further_on_goes_first_and_else_who_came_first(full: tuple[Crowd, Callable[[], None]]) -> None:
    made, leave = full
    order: list[str] = []
    coming = [("badge 1", Stage.BADGE), ("badge 2", Stage.BADGE), ("PIN", Stage.PIN), ("room", Stage.ROOM), ("door", Stage.DOOR)]
    waiting = [asyncio.create_task(come(made, order, *who)) for who in coming]
    await turns()
    assert (order, made.waiting) == ([], 5)
    leave()
    await asyncio.gather(*waiting)
    assert order == ["door", "room", "PIN", "badge 1", "badge 2"]


async def test_nobody_waits_for_ever_for_those_who_are_further_on(
    full: tuple[Crowd, Callable[[], None]], monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, leave = full
    monkeypatch.setattr(crowd, "AHEAD", 0.0)  # as when everybody has waited for long
    order: list[str] = []
    waiting = [asyncio.create_task(come(made, order, *who)) for who in (("badge", Stage.BADGE), ("door", Stage.DOOR))]
    await turns()
    leave()
    await asyncio.gather(*waiting)
    assert order == ["badge", "door"]


async def test_when_few_come_nobody_waits() -> None:
    made, order = Crowd(), list[str]()
    for number in range(3 * AT_ONCE):
        await come(made, order, str(number), Stage.BADGE)
    assert len(order) == 3 * AT_ONCE


@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "when its turn has come"])
async def test_whoever_goes_away_keeps_nobody_waiting(full: tuple[Crowd, Callable[[], None]], late: bool) -> None:
    made, leave = full
    order: list[str] = []
    gone, stays = (asyncio.create_task(come(made, order, name, Stage.DOOR)) for name in ("gone", "stays"))
    await turns()
    if late:
        leave()
    gone.cancel()
    leave()
    await asyncio.wait_for(asyncio.gather(gone, stays, return_exceptions=True), timeout=5)
    assert order == ["stays"]


async def test_one_who_is_served_for_long_keeps_nobody_waiting(
    full: tuple[Crowd, Callable[[], None]], monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that hangs, or a lesson that takes long to begin, holds up only those who need it."""
    monkeypatch.setattr(crowd, "HOLDS", 0.01)
    made, leave = full
    stays = asyncio.Event()

    async def slow() -> None:
        async with made.turn(Stage.DOOR):
            await stays.wait()

    leave()
    await turns()
    held, order = asyncio.create_task(slow()), list[str]()
    await asyncio.wait_for(come(made, order, "next", Stage.BADGE), timeout=5)
    stays.set()
    await held
    assert order == ["next"]


async def test_a_place_is_given_back_once(full: tuple[Crowd, Callable[[], None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "HOLDS", 0.0)
    made, served, left = Crowd(), asyncio.Event(), asyncio.Event()
    leave = made.leave
    monkeypatch.setattr(made, "leave", lambda: (leave(), left.set()))

    async def slow() -> None:
        async with made.turn(Stage.DOOR):
            await served.wait()

    held = asyncio.create_task(slow())
    await left.wait()  # its time is over, though it is still being served
    served.set()
    await held
    assert made._served == 0


async def test_whoever_waited_too_long_is_told_to_come_again(
    full: tuple[Crowd, Callable[[], None]], monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, _ = full
    monkeypatch.setattr(crowd, "PATIENCE", 0.01)
    with pytest.raises(Crowded):
        await come(made, [], "badge", Stage.BADGE)
    monkeypatch.setattr(crowd, "MOST_WAITING", 0)
    with pytest.raises(Crowded):
        await come(made, [], "badge", Stage.BADGE)


async def _fill(school: Running) -> list[asyncio.Task[None]]:
    made: Crowd = school.app.state.crowd

    async def served() -> None:
        async with made.turn(Stage.DOOR):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(served()) for _ in range(AT_ONCE)]
    await turns()
    return tasks


async def test_a_page_that_cannot_be_served_comes_back_by_itself(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "PATIENCE", 0.01)
    monkeypatch.setattr(crowd, "HOLDS", 3600.0)
    filled = await _fill(school)
    async with school.client() as client:
        page = await client.get("/sign-in/badge")
        sent = await client.post("/sign-in/badge", data={"code": "none"})
        other = await client.get("/sign-in")
    for task in filled:
        task.cancel()
    await asyncio.gather(*filled, return_exceptions=True)
    assert (page.status_code, page.headers["refresh"], page.headers["retry-after"]) == (503, "3", "3")
    assert "Many people are coming in just now" in page.text
    assert (sent.status_code, "refresh" in sent.headers, sent.headers["retry-after"]) == (503, False, "3")
    assert (other.status_code, "retry-after" in other.headers) == (200, False), "other pages do not wait"


async def test_a_door_that_cannot_be_served_says_when_to_come_again(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "PATIENCE", 0.01)
    monkeypatch.setattr(crowd, "HOLDS", 3600.0)
    filled = await _fill(school)
    async with await school.signed_in("pupil") as client:
        full = await client.post(f"/lessons/{school.lesson()['id']}/door", json={})
        for task in filled:
            task.cancel()
        await asyncio.gather(*filled, return_exceptions=True)
        answered = await client.post(f"/lessons/{school.lesson()['id']}/door", json={})
    assert (full.status_code, full.json()["code"], full.headers["retry-after"]) == (503, "crowded", "3")
    assert answered.status_code != 503


async def test_only_the_way_from_the_badge_to_the_room_waits_here() -> None:
    """What ends access, stops a lesson or calls for help is never behind a crowd (invariant I7; policy: RC4)."""
    routers = (sign_in.router, day.router, lesson.router, door.router)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    waiting = {(method, route.path) for route in routes for method in route.methods if _waits(route)}
    assert waiting == {
        ("GET", "/sign-in/badge"), ("POST", "/sign-in/badge"), ("POST", "/sign-in/pin"), ("POST", "/sign-in/pin/check"),
        ("GET", "/today"), ("GET", "/lessons/{lesson_id}"), ("POST", "/lessons/{lesson_id}/door"),
    }


def _waits(route: APIRoute) -> bool:
    calls = [each.call for each in route.dependant.dependencies]
    return any(getattr(call, "__qualname__", "").startswith("in_turn") for call in calls)
