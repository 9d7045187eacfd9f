"""T4: one pupil on many devices counts once; the newest connection is the one (policy: AC1)."""

from typing import Any

from lessons.live.room import Room
from tests.room.pages import DOOR, Lesson, Page
from tests.threats.attack import Guard, guarded_by, harm

SOCKETS = 50


def count_connections(patch: Any) -> None:
    """As a room that counted connections would: each device of a pupil is another child."""
    admit = Room._admit

    def another(room: Room, event: Any, now: Any) -> Any:
        seat = room.seats.get(event.person)
        if seat is not None and seat.is_child and seat.connection:
            ghost = f"{event.person}/{len(room.seats)}"
            room.seats[ghost] = seat
            del room.seats[event.person]
            seat.person = type(seat.person)(ghost, *[getattr(seat.person, f) for f in (
                "name", "kind", "role", "may", "cleared", "serves")])
        return admit(room, event, now)

    patch.setattr(Room, "_admit", another)


@guarded_by(Guard("one seat a person", count_connections))
async def test_fifty_sockets_of_one_pupil_are_one_child(played: Lesson, attempt: Any) -> None:
    teacher = await played.teacher()
    with attempt:
        pages = [await _another(played, number) for number in range(SOCKETS)]
        await played.settle(1.5)
        await played.host.journal.drained()
        children = [seat for seat in played.host.room.here() if seat.is_child]
        harm(len(children) != 1, "one pupil counted more than once")
        harm(played.host.room.is_open, "a room opened for one pupil on many devices")
        assert (teacher.state["waiting"]["pupils"], [page.code for page in pages]) == (1, [4409] * (SOCKETS - 1) + [None])


async def _another(lesson: Lesson, number: int) -> Page:
    lesson.school.clock.advance(1.5)  # a door takes thirty knocks in half a minute
    page = await lesson.page(lesson.pupil_ids[0])
    answer = await page.door(**DOOR, device=f"device {number}")
    page.connect()
    page.say("hello", ticket=answer.json()["ticket"])
    await page.until(lambda: page.last("welcome") is not None)
    return page
