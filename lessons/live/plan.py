"""What the school decided about one lesson, as the live room knows it: immutable, and replaced whole, never edited."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from lessons.live.supervision import Kind


class Role(StrEnum):
    """How a person is shown in the room."""

    TEACHER = "teacher"
    STAFF = "staff"
    LEADER = "leader"
    GUEST = "guest"
    PUPIL = "pupil"


@dataclass(frozen=True)
class May:
    """What a person may do: consents for a child (policy: CO2), clearance and role for an adult."""

    attend: bool = False
    microphone: bool = False
    camera: bool = False
    chat: bool = False
    screen: bool = False
    moderate: bool = False
    stop: bool = False
    """Stop the lesson for the school: senior leaders, the headteacher, the DSL."""


@dataclass(frozen=True)
class Person:
    """Somebody on the lesson's roster. `serves`: the children for whom a guest is here, such as an interpreter. `until`: when
    their pass ends, whatever the lesson does (policy: AC7). `let_in_by`: who made what this person signs in with, a child's
    badge or an adult's link of the last days, and so could be them (threats T3, T5)."""

    id: str
    name: str
    kind: Kind
    role: Role
    may: May
    cleared: bool = False
    serves: frozenset[str] = frozenset()
    until: datetime | None = None
    let_in_by: str = ""

    @property
    def hands(self) -> frozenset[str]:
        """Whose hands this person may be in: their own, and those of who let them in."""
        return frozenset({self.id, self.let_in_by} - {""})

    @property
    def protects(self) -> bool:
        """May this person's presence protect children, or be protected by each other's? Guests never (policy: AC7)."""
        return self.may.attend and (self.kind is Kind.CHILD or (self.kind is Kind.STAFF and self.cleared))


@dataclass(frozen=True)
class ApprovedPair:
    """A senior leader approved this adult alone with this child, from `start` to `end` (policy: RL1).

    One that no longer stands has an end that is long past. `id` names the approval.
    """

    adult: str
    child: str
    start: datetime
    end: datetime
    id: str = ""


@dataclass(frozen=True)
class Link:
    url: str
    title: str = ""


MAIN = "Main room"


@dataclass(frozen=True)
class Place:
    """A room of a lesson that has breakout rooms: the main one, or one of those."""

    lesson_id: str
    name: str


@dataclass(frozen=True)
class Plan:
    """`version` grows with every change that matters here. Times are aware. `latest_end_at`: how far it may be extended."""

    version: int
    school_id: str
    lesson_id: str
    title: str
    class_name: str
    starts_at: datetime
    ends_at: datetime
    hard_end_at: datetime
    latest_end_at: datetime
    people: Mapping[str, Person] = field(default_factory=dict)
    approvals: tuple[ApprovedPair, ...] = ()
    links: tuple[Link, ...] = ()
    removed: frozenset[str] = frozenset()
    stopped: bool = False
    chat: bool = True
    pupils_see_each_other: bool = False
    words_version: str = ""
    late_after: float = 180.0
    """Seconds for which pupils wait for a first adult before somebody outside is told."""
    needs_approval: bool = False
    """For one pupil and one adult: nothing passes without an approval, whoever else looks in (policy: RL1)."""
    ticket_approval: str = ""
    """The approval that a ticket into this room has to name; empty but for a one-to-one."""
    main: Place | None = None
    """Of a breakout room, the room that everybody comes back to."""
    rooms: tuple[Place, ...] = ()
    """The breakout rooms of the lesson that are open now, whichever of its rooms this is."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Every pupil of a lesson with breakout rooms, to the room they belong in."""
    posts: Mapping[str, str] = field(default_factory=dict)
    """Adult to the breakout room they were named for. They may look into the others."""
    over: str = ""
    """Why a breakout room is over: its lesson's own reason, or `brought-back` while that goes on."""

    @property
    def family(self) -> str:
        """What a lesson and its breakout rooms have in common."""
        return self.main.lesson_id if self.main else self.lesson_id

    @property
    def concerns(self) -> frozenset[str]:
        """Whose affairs are this plan's: its lesson's, and everybody's in it."""
        return frozenset((self.lesson_id, *self.people))

    def belongs(self, person_id: str) -> Place | None:
        """The other room of the lesson that this person has to be in; None when it is this one, or no business of theirs."""
        if self.over == "brought-back" and (person_id in self.places or person_id in self.people):
            return self.main
        place = self.places.get(person_id, self.lesson_id)
        if place == self.lesson_id or self.over:
            return None
        return next((room for room in (*self.rooms, self.main) if room is not None and room.lesson_id == place), None)

    def post(self, person_id: str) -> Place | None:
        """The other room that this adult was named for."""
        place = self.posts.get(person_id, "")
        return next((room for room in self.rooms if room.lesson_id == place != self.lesson_id), None)

    def without(self, ended: Collection[str]) -> "Plan":
        """As if these approvals had ended as they began."""
        if not any(pair.id in ended for pair in self.approvals):
            return self
        ticket = "" if self.ticket_approval in ended else self.ticket_approval
        approvals = tuple(replace(pair, end=pair.start) if pair.id in ended else pair for pair in self.approvals)
        return replace(self, approvals=approvals, ticket_approval=ticket)

    def person(self, person_id: str) -> Person | None:
        return self.people.get(person_id)
