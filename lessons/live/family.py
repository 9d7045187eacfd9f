"""What a grown-up at home is told of a lesson that is on: whether it is open, and when it is paused, why."""

from dataclasses import dataclass
from typing import Literal

from lessons.live.host import Host
from lessons.live.registry import Registry
from lessons.live.room import Phase, Room
from lessons.live.supervision import Hold
from service.foundation.web import say_time

PAUSED = {
    "stopped-by-school": "The school stopped this lesson and will be in touch.",
    "approval-ended": "The approval for this one-to-one lesson does not hold now. Ring the office.",
    "not-recorded": "Lessons only run while they are recorded. The school is fixing it.",
    "no-adult": "Children are never together online without a teacher. If the teacher is not back by {until} the lesson ends.",
    "lone-adult": "One adult and one child are never left alone online. The class is waiting for someone else to join.",
    "not-permitted": "The school needs to check a permission. Ring the office.",
    "outside-window": "The lesson runs {from_} to {until}.",
}
STARTING = "The school is checking the room."
STATES: dict[Phase, Literal["waiting", "open", "paused"]] = {
    Phase.LOBBY: "waiting", Phase.OPEN: "open", Phase.HELD: "paused"}


@dataclass(frozen=True)
class LiveView:
    """One live lesson for one child's family. Nobody else in it is told of."""

    state: Literal["waiting", "open", "paused"]
    reason: str
    words: str
    is_here: bool


def of_child(rooms: Registry, lesson_id: str, child_id: str, zone: str) -> LiveView | None:
    """None for a lesson that is not live here."""
    host = rooms.live(lesson_id)
    if host is None or host.room.phase not in STATES:
        return None
    room = host.room
    here = is_here(host, child_id)
    reason = _reason(room) if room.phase is Phase.HELD else ""
    times = {"from_": say_time(room.plan.starts_at, zone), "until": say_time(room.ends_at, zone)}
    words = PAUSED.get(reason, STARTING).format(**times) if room.phase is Phase.HELD else ""
    return LiveView(STATES[room.phase], reason, words, here)


def _reason(room: Room) -> str:
    """The first reason; where more people would open the room all the same, not that an approval of a one-to-one ended."""
    reasons = [each for each in room.reasons if room.plan.needs_approval or each is not Hold.APPROVAL_ENDED]
    return str(reasons[0]) if reasons else ""


def is_here(host: Host, child_id: str) -> bool:
    return any(seat.person.id == child_id for seat in host.room.here())
