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
    """The recipients of every live source. Empty recipients: recorded only.

    Worked out from scratch each time. Staff and pupils are asked about once for sources that are alike, since the answer
    depends on nothing else; guests about every source.
    """
    here = list(present)
    guests = [p for p in here if p.kind is Kind.GUEST]
    others = [p for p in here if p.kind is not Kind.GUEST]
    alike: dict[tuple[object, ...], frozenset[str]] = {}
    found = {}
    for one in live:
        likeness = (one.person.kind, one.person.serves, one.source, one.shown)
        if likeness not in alike:
            alike[likeness] = frozenset(p.id for p in others if _receives(p, one, pupils_see_each_other))
        to = alike[likeness]
        if guests:
            to = to.union(g.id for g in guests if _receives(g, one, pupils_see_each_other))
        found[one.person.id, one.source] = to - {one.person.id}
    return found


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
