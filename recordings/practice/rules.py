"""A recording for teaching practice: who has to say yes, who may watch it, and what ends it. Pure. policy: RE1, RE2, CO2, CO4.

Such a recording is another one than the lesson's, which is there to keep children safe and is used for nothing else. It is there
only while everybody whom it shows says yes, and nobody has to say why it is gone: whoever finds it gone learns of nobody's no,
of no complaint and of no concern (policy: IN4).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.people.actions import Action

MENTORS = frozenset({Role.TEACHER, Role.SENIOR_LEADER, Role.HEADTEACHER})
"""Who teaches, or helps somebody to teach: the teacher of the lesson and the colleague they agreed to are of these."""
OVERSEERS = frozenset({Role.HEADTEACHER, Role.DPO})
"""Who sees which lessons are kept for teaching practice, and may end any. That lets them watch nothing."""
ENDERS = OVERSEERS | SAFEGUARDING
FEWEST = 2
"""Children who came: a recording of one alone with adults is kept for nobody to learn from."""
WAITS = timedelta(days=7)
"""So long after the lesson began a recording is still made, while somebody who was in it has not agreed yet."""


class State(StrEnum):
    WAITING = "Waiting"
    READY = "Can be watched"
    GONE = "Gone"


class Verdict(StrEnum):
    """Whether a recording may be made and kept. `NO` is for ever."""

    NO = "no"
    WAITS = "waits"
    YES = "yes"


class Pauses(Conflict):
    """It may take days until it can be watched, and it can pause."""

    code = "pauses"


PAUSES = Pauses().message
"""Said of every such recording beforehand, and in the same words while it pauses: so a pause says nothing of what is open about
the lesson (policy: IN4)."""


class NotEveryFamily(Conflict):
    """Not every family of this class allows it. The lesson itself is not touched by that."""

    code = "not-every-family"


@dataclass(frozen=True)
class Plan:
    """What was asked for one lesson, and what became of it. `agreed`: the adults who said yes; `asked`: those who were asked.
    `is_made`: its recording exists or existed; `is_gone`: it is being destroyed, or was."""

    id: str
    school_id: str
    lesson_id: str
    title: str
    class_name: str
    starts_at: datetime
    teacher_id: str
    mentor_id: str
    asked_by: str
    asked_at: datetime
    asked: frozenset[str] = frozenset()
    agreed: frozenset[str] = frozenset()
    ended_at: datetime | None = None
    is_made: bool = False
    is_gone: bool = False

    @property
    def state(self) -> State:
        if self.ended_at is not None or self.is_gone:
            return State.GONE
        return State.READY if self.is_made else State.WAITING


@dataclass(frozen=True)
class Shown:
    """Whom the recording of the lesson shows."""

    children: frozenset[str] = frozenset()
    adults: frozenset[str] = frozenset()


def verdict(plan: Plan, shown: Shown, yes: Collection[str], *, is_clear: bool, is_open: bool,
            now: datetime) -> Verdict:
    """Whether the recording may be made, and whether one that was made may stay.

    `yes`: the children of `shown` whose family allows it. `is_clear`: nothing keeps the lesson's own recording for an inquiry.
    `is_open`: an alert or an incident of the lesson is: nobody makes or watches it before somebody has looked. A lesson to which
    one pupil came is not kept: it shows that pupil alone with adults.
    """
    if plan.state is State.GONE or not is_clear or not shown.children <= set(yes):
        return Verdict.NO
    if plan.is_made and not shown.adults <= plan.agreed:
        return Verdict.NO
    if is_open:
        return Verdict.WAITS
    if plan.is_made:
        return Verdict.YES
    if now >= plan.starts_at + WAITS:
        return Verdict.NO
    everybody = shown.adults | {plan.teacher_id}
    return Verdict.YES if len(shown.children) >= FEWEST and everybody <= plan.agreed else Verdict.WAITS


# -- asking ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """What is asked about: a lesson as it is planned. `teachers`: who run it; `yes`: the children whose family allows it."""

    id: str
    title: str
    class_name: str
    starts_at: datetime
    teachers: tuple[str, ...]
    adults: frozenset[str]
    children: frozenset[str]
    yes: frozenset[str]
    has_guest: bool = False
    is_one_to_one: bool = False
    has_begun: bool = False

    @property
    def missing(self) -> int:
        return len(self.children - self.yes)


def check_may_ask(actor: Actor, lesson: Lesson) -> None:
    """Who runs the lesson, or a senior leader; to others there is no such page."""
    if not (actor.person_id in lesson.teachers and actor.is_any(MENTORS)) and not actor.is_any(LEADERS):
        raise NotFound()


def check_can_be_kept(lesson: Lesson) -> None:
    """Whether this lesson may be kept at all, before the first child is in it."""
    if lesson.has_begun:
        raise Conflict("Ask before the lesson begins, so that everybody knows of it beforehand.")
    if lesson.is_one_to_one or len(lesson.children) < 2:
        raise Conflict("A lesson with one pupil is never kept for teaching practice.")
    if lesson.has_guest:
        raise Conflict("A guest comes to this lesson, so it is not kept for teaching practice.")
    if not lesson.teachers:
        raise Conflict("This lesson has no teacher yet.")
    if lesson.missing:
        raise NotEveryFamily()


def check_mentor(mentor_id: str, roles: frozenset[Role], teacher_id: str) -> None:
    """One colleague who teaches or leads."""
    if mentor_id == teacher_id or not roles & MENTORS:
        raise Invalid(fields={"mentor": "Choose a colleague who teaches or leads"})


# -- afterwards -------------------------------------------------------------------------------------------------------------


def is_theirs(actor: Actor, plan: Plan, shown: Shown) -> bool:
    """Whether it has to do with them: they are in it, asked for it, or are who helps the teacher."""
    return actor.person_id in {plan.teacher_id, plan.mentor_id, plan.asked_by} | plan.asked | shown.adults


def check_sees(actor: Actor, plan: Plan, shown: Shown) -> None:
    if not is_theirs(actor, plan, shown) and not actor.is_any(ENDERS):
        raise NotFound()


def may_agree(actor: Actor, plan: Plan, shown: Shown) -> bool:
    """An adult whom it shows or will show, for themselves, once."""
    return plan.state is State.WAITING and actor.person_id in (plan.asked | shown.adults) - plan.agreed


def check_watches(actor: Actor, plan: Plan, found: Verdict) -> None:
    """The teacher, and the colleague whom they agreed to; nobody else, whatever they are. policy: RE1"""
    if actor.person_id not in {plan.teacher_id, plan.mentor_id} or not actor.is_any(MENTORS):
        raise NotFound()
    if not plan.is_made or found is Verdict.NO:
        raise NotFound()
    if found is Verdict.WAITS:
        raise Pauses()


def watching(plan: Plan) -> Action:
    return Action("watch-teaching-practice", f"watch {plan.title} for teaching practice", {"plan_id": plan.id})
