"""Who is called to a lesson that needs somebody, and until when (policy: RL1, RC1). Pure.

These are no secrets from the adults of the lesson, unlike alerts of the safeguarding team; but whoever is in it cannot be
the one who comes to help.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.foundation.events import LEADERS, SAFEGUARDING, Role


class Reason(StrEnum):
    PAUSED = "paused"
    NOT_ARRIVED = "teacher-not-arrived"
    AWAY = "teacher-away"
    STOPPED = "stopped"
    ASKED = "asked"
    INVITED = "invited"
    ADDRESS = "address-shared"


ON_DUTY = LEADERS | SAFEGUARDING
"""Who the rota may name, and who is called when it names nobody."""
OVER_WHEN_OPEN = frozenset({Reason.PAUSED, Reason.NOT_ARRIVED, Reason.AWAY, Reason.ASKED, Reason.INVITED})
OVER_WHEN_AN_ADULT_COMES = frozenset({Reason.NOT_ARRIVED, Reason.AWAY})


@dataclass(frozen=True)
class Need:
    """One lesson's need. `asks_for`: the one colleague invited, or those who may approve what was asked; else empty.

    `is_over`: the lesson opened or ended, or what was asked is decided.
    """

    reason: Reason
    raised_at: datetime
    adults: frozenset[str] = frozenset()
    asks_for: frozenset[str] = frozenset()
    taken_by: str = ""
    is_over: bool = False


@dataclass(frozen=True)
class Viewer:
    person_id: str
    roles: frozenset[Role]


def called(need: Need, holders: Collection[Viewer], on_duty: Collection[str]) -> frozenset[str]:
    """Who is called at first: the colleague who was invited; those who may approve; else whoever is on duty, and every
    leader and the whole safeguarding team when nobody is."""
    if need.reason in (Reason.INVITED, Reason.ASKED):
        return need.asks_for
    able = frozenset(one.person_id for one in holders if one.roles & ON_DUTY) - need.adults
    return able & frozenset(on_duty) or able


def calls(need: Need, person_id: str, holders: Collection[Viewer], on_duty: Collection[str]) -> bool:
    """Whether it calls this person now: until somebody deals with it, or it is over."""
    return not need.is_over and not need.taken_by and person_id in called(need, holders, on_duty)


def may_open(need: Need, viewer: Viewer) -> bool:
    """Leaders and the safeguarding team may read it, whoever decides may, and whom it asks for. Of a shared address no adult
    of the lesson learns, whatever they are (threat T3)."""
    if need.reason is Reason.ADDRESS and viewer.person_id in need.adults:
        return False
    return bool(viewer.roles & ON_DUTY) or viewer.person_id in need.asks_for


def say_reason(reason: Reason, minutes: int) -> str:
    """The heading of its page."""
    return {
        Reason.PAUSED: f"Lesson paused {minutes} minute{'' if minutes == 1 else 's'}",
        Reason.NOT_ARRIVED: "The teacher has not arrived", Reason.AWAY: "The teacher has gone",
        Reason.STOPPED: "A lesson was stopped", Reason.ASKED: "Would be alone with one pupil",
        Reason.INVITED: "A colleague asks you to join", Reason.ADDRESS: "A pupil and an adult at one address",
    }[reason]
