"""Which breakout rooms a lesson may be split into, and who may ask for it (policy: RL1, AC7, AC8). Pure.

This is the plan only. Whether anything passes in a breakout room is decided second by second by the same rule as in every
room; what is refused here is an arrangement that could never be right, in words that say what to do instead.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lessons.rules import PUPILS_NEEDED

MOST_ROOMS = 12
LONGEST_NAME = 40
RUNS = frozenset({"teacher", "cover", "second"})
"""The parts of those who run a lesson. A guest does not, nor does a leader who may look in on any."""


class Rule(StrEnum):
    NOT_ON = "not-on"
    NO_ROOM = "no-room"
    TOO_MANY = "too-many"
    NAME = "name"
    NO_ADULT = "no-adult"
    NOT_OURS = "not-ours"
    NOT_CLEARED = "not-cleared"
    GUEST_ONLY = "guest-only"
    LEADER_ONLY = "leader-only"
    ADULT_TWICE = "adult-twice"
    NOT_A_PUPIL = "not-a-pupil"
    PUPIL_TWICE = "pupil-twice"
    NO_PUPIL = "no-pupil"
    ONE_PUPIL = "one-pupil"


@dataclass(frozen=True)
class Refusal:
    """One thing to put right. `room`: its name; empty when it is about the whole arrangement."""

    rule: Rule
    room: str
    words: str


@dataclass(frozen=True)
class Adult:
    """An adult who could be named for a room. `part`: theirs in the main lesson, or `colleague` for other staff."""

    id: str
    name: str
    part: str
    is_cleared: bool

    @property
    def supervises(self) -> bool:
        """Whether this adult can be a room's own: cleared staff, named; no guest, and no leader who only looks in."""
        return self.is_cleared and self.part in RUNS | {"colleague"}


@dataclass(frozen=True)
class Wanted:
    """One room as it is wanted. `adults` and `pupils`: ids."""

    name: str
    adults: tuple[str, ...] = ()
    pupils: tuple[str, ...] = ()


@dataclass(frozen=True)
class Main:
    """The lesson that is split: whom it may draw on. `pupils`: id to name, of those who may take part now."""

    is_on: bool
    adults: Mapping[str, Adult] = field(default_factory=dict)
    pupils: Mapping[str, str] = field(default_factory=dict)


def may_arrange(part: str, is_cleared: bool) -> bool:
    """Only those who run the lesson: never a pupil, a guest, or a leader who looks in."""
    return is_cleared and part in RUNS


def refusals(rooms: Sequence[Wanted], main: Main, *, may_be_empty: bool = False) -> list[Refusal]:
    """Everything that is wrong with an arrangement; empty when it may be opened. `may_be_empty`: rooms that are open
    already may have lost their last pupil."""
    found = [*_whole(rooms, main), *_twice(rooms, main)]
    for room in rooms:
        found += [*_name(room, rooms), *_adults(room, main), *_pupils(room, main, may_be_empty)]
    return found


def _whole(rooms: Sequence[Wanted], main: Main) -> Iterator[Refusal]:
    if not main.is_on:
        yield Refusal(Rule.NOT_ON, "", "Breakout rooms open once the lesson is on. Start the lesson first")
    if not rooms:
        yield Refusal(Rule.NO_ROOM, "", "Add a room")
    if len(rooms) > MOST_ROOMS:
        yield Refusal(Rule.TOO_MANY, "", f"Use {MOST_ROOMS} rooms or fewer")


def _name(room: Wanted, rooms: Sequence[Wanted]) -> Iterator[Refusal]:
    names = [other.name.strip().casefold() for other in rooms]
    if not room.name.strip() or len(room.name) > LONGEST_NAME:
        yield Refusal(Rule.NAME, room.name, f"Give each room a name of {LONGEST_NAME} letters or fewer")
    elif names.count(room.name.strip().casefold()) > 1:
        yield Refusal(Rule.NAME, room.name, f"Two rooms are called {room.name}. Give each its own name")


def _adults(room: Wanted, main: Main) -> Iterator[Refusal]:
    known = [main.adults[person] for person in room.adults if person in main.adults]
    if not room.adults:
        yield Refusal(Rule.NO_ADULT, room.name, f"{room.name} has no adult. Choose one, or use fewer rooms")
        return
    if len(known) < len(room.adults):
        yield Refusal(Rule.NOT_OURS, room.name, f"Choose a member of staff for {room.name}")
    for adult in known:
        if not adult.is_cleared:
            yield Refusal(Rule.NOT_CLEARED, room.name, f"{adult.name} has no valid DBS check or signed agreement on record. "
                          f"Choose someone else for {room.name}")
    if known and all(adult.part == "guest" for adult in known):
        yield Refusal(Rule.GUEST_ONLY, room.name, f"A guest cannot be the only adult of {room.name}. Add a member of staff")
    elif known and all(adult.part in ("guest", "leader") for adult in known):
        yield Refusal(Rule.LEADER_ONLY, room.name, f"Someone who only looks in cannot be the adult of {room.name}. "
                      "Add a member of staff")


def _pupils(room: Wanted, main: Main, may_be_empty: bool) -> Iterator[Refusal]:
    if any(pupil not in main.pupils for pupil in room.pupils):
        yield Refusal(Rule.NOT_A_PUPIL, room.name, f"Somebody in {room.name} is not in this lesson or cannot take part")
    supervising = sum(main.adults[person].supervises for person in set(room.adults) if person in main.adults)
    pupils = len(set(room.pupils))
    if pupils == 0 and not may_be_empty:
        yield Refusal(Rule.NO_PUPIL, room.name, f"{room.name} has no pupils. Put some in, or use fewer rooms")
    elif 0 < pupils < PUPILS_NEEDED and supervising < 2:
        yield Refusal(Rule.ONE_PUPIL, room.name, f"An adult would be alone with one pupil in {room.name}. Add a pupil or a "
                      "second member of staff")


def _twice(rooms: Sequence[Wanted], main: Main) -> Iterator[Refusal]:
    for person in _in_two(room.adults for room in rooms):
        name = main.adults[person].name if person in main.adults else "Somebody"
        yield Refusal(Rule.ADULT_TWICE, "", f"{name} cannot be in two rooms. Choose one")
    for person in _in_two(room.pupils for room in rooms):
        yield Refusal(Rule.PUPIL_TWICE, "", f"{main.pupils.get(person, 'Somebody')} cannot be in two rooms. Choose one")


def _in_two(rooms: Iterable[Sequence[str]]) -> list[str]:
    counted = Counter(person for people in rooms for person in people)
    return sorted(person for person, times in counted.items() if times > 1)


def propose(adults: Sequence[str], pupils: Sequence[str]) -> tuple[Wanted, ...]:
    """As many rooms as there are adults, none with fewer than two pupils, and pupils dealt out evenly in their order.

    Adults beyond the last room join the first ones. Nothing is proposed where not even two rooms could be held.
    """
    count = min(len(adults), len(pupils) // PUPILS_NEEDED, MOST_ROOMS)
    if count < 2:
        return ()
    return tuple(Wanted(f"Room {n + 1}", tuple(adults[n::count]), tuple(pupils[n::count])) for n in range(count))


def moved(rooms: Sequence[Wanted], pupil: str, to: str) -> tuple[Wanted, ...]:
    """The arrangement with `pupil` in the room named `to`; nowhere but the main room when `to` is empty."""
    return tuple(
        Wanted(room.name, room.adults, (*(p for p in room.pupils if p != pupil), *([pupil] if room.name == to else [])))
        for room in rooms
    )
