"""All rooms of one lesson at once, as its staff see them: state, reason and numbers for each. Pure."""

from collections.abc import Sequence

from lessons.live.messages import Placed, RoomLine, Rooms
from lessons.live.plan import MAIN, Place, Plan
from lessons.live.room import Phase, Room

NOBODY = Rooms((), ())


def rooms_of(live: Sequence[Room]) -> Rooms:
    """From those of a lesson's rooms that are live. A breakout room to which nobody came yet is a waiting room."""
    if not live or not live[0].plan.rooms:
        return NOBODY
    plan, known = live[0].plan, {room.plan.lesson_id: room for room in live}
    places = (plan.main or Place(plan.lesson_id, MAIN), *plan.rooms)
    return Rooms(tuple(_line(place, known.get(place.lesson_id), plan) for place in places), _placed(plan, known))


def _line(place: Place, room: Room | None, plan: Plan) -> RoomLine:
    here = room.here() if room is not None else []
    hold = room.reasons if room is not None and room.phase is Phase.HELD else ()
    return RoomLine(
        place.lesson_id, place.name, str(room.phase if room is not None else Phase.LOBBY), tuple(map(str, hold)),
        sum(seat.is_staff for seat in here), sum(seat.is_child for seat in here),
        sum(where == place.lesson_id for where in plan.places.values()),
    )


def _placed(plan: Plan, known: dict[str, Room]) -> tuple[Placed, ...]:
    """Every pupil of the lesson, by name."""
    names = {person.id: person.name for room in known.values() for person in room.plan.people.values()}
    here = {seat.person.id for room in known.values() for seat in room.here()}
    found = [Placed(pupil, names[pupil], where, pupil in here) for pupil, where in plan.places.items() if pupil in names]
    return tuple(sorted(found, key=lambda placed: (placed.name, placed.person)))
