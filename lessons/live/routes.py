"""Who hears and sees whom: the room's one route. It always includes all staff in the room, and no sender chooses
(policy: RL7)."""

from collections.abc import Iterable
from dataclasses import dataclass

from lessons.live.effects import Routes, Source
from lessons.live.plan import Person
from lessons.live.supervision import Kind


@dataclass(frozen=True)
class Live:
    """One source that a person sends. `shown`: staff have shown this pupil's screen to the class."""

    person: Person
    source: Source
    shown: bool = False


def routes(live: Iterable[Live], present: Iterable[Person], *, pupils_see_each_other: bool) -> Routes:
    """The recipients of every live source. Empty recipients: recorded only."""
    here = list(present)
    return {
        (one.person.id, one.source): frozenset(
            p.id for p in here if p.id != one.person.id and _receives(p, one, pupils_see_each_other)
        )
        for one in live
    }


def _receives(to: Person, one: Live, pupils_see_each_other: bool) -> bool:
    if to.kind is Kind.STAFF:
        return True
    match one.person.kind:
        case Kind.STAFF:
            return True
        case Kind.GUEST:  # an interpreter is for the child who needs it; another guest speaks to the class
            return not one.person.serves or to.id in one.person.serves
        case Kind.CHILD:
            return _receives_from_child(to, one, pupils_see_each_other)


def _receives_from_child(to: Person, one: Live, pupils_see_each_other: bool) -> bool:
    match one.source:
        case Source.MICROPHONE:
            return True
        case Source.SCREEN:
            return one.shown
        case Source.CAMERA:  # a signing interpreter has to see the child, and no other
            return pupils_see_each_other if to.kind is Kind.CHILD else one.person.id in to.serves
