"""Every state of the real room that a bounded world can reach, each judged by the oracle that shares no code with the rule.

A world is some people and the things that may happen to them. A state is judged when it is found, and entered: everything that
may happen from there does. One that was found before, but for which of two like people is which, is neither judged nor entered
again. So a run that ends has seen them all. In a state a packet of every source is attempted at once, and again later without
the room having heard anything: the lease alone has to be right, as when the loop stalls. Packets sent earlier and still under
way are attempted too.
"""

import gc
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from math import inf
from typing import Any, TypeVar

from lessons.live import effects as fx
from lessons.live import events as ev
from lessons.live import messages as m
from lessons.live.deadlines import Deadlines, Moment
from lessons.live.plan import Person, Place, Plan
from lessons.live.room import Phase, Room
from tests.room.oracle import ADULTS as STAFF
from tests.room.oracle import CLOSES, World
from tests.room.stage import ALI, ASSISTANT, BEA, CAL, DAN, SIGNER, START, TEACHER, approved, plan_of, screening

CHILDREN = (ALI, BEA, CAL, DAN)
ARE_CHILDREN = frozenset(child.id for child in CHILDREN)
PHASES = {phase: at for at, phase in enumerate(Phase)}

KINDS = frozenset({"attend", "microphone", "camera", "chat", "screen"})
LATER = (0.0, 1.0, 2.0)
"""Seconds after the last event at which a delivery is attempted."""
STALE = 2, 3, 10
"""Ages in seconds from which a proof is stale: sound, an adult's page or the recorder, a child's page."""
STEADY = 1.0
"""Seconds of proof after which waiting longer changes nothing."""
NEVER = 255
QUIET = {None: 0, "silent": 1, "frozen": 2}
MAIN, ANOTHER = Place("main", "Main room"), Place("another", "Room 2")
"""Of a breakout room: the room that it was split from, and its neighbour."""
SCREEN = screening()
Copied = TypeVar("Copied")


class Forbidden(AssertionError):
    """A delivery that an invariant forbids, with the history that leads to it."""


@dataclass(frozen=True)
class Bounds:
    """What one exploration is about: who there is, what may happen, and where in the lesson's window it begins."""

    name: str
    people: tuple[Person, ...]
    may: frozenset[str]
    begins: float = 60.0
    step: float = 1.0
    most: int = 30_000
    """States of one world: a larger one is not explored whole but to this number, by a seeded choice, and the table says so."""

    def allows(self, what: str) -> bool:
        return what in self.may

    @cached_property
    def kinds(self) -> dict[str, int]:
        """Who is like whom: people of one kind, to whom the same may happen."""
        named = {SIGNER.id: True, TEACHER.id: bool(self.may & {"approval", "remove", "badge", "link"}),
                 ALI.id: bool(self.may & {"approval", "badge"})}
        return {who.id: 1 + (who in CHILDREN) + 2 * named.get(who.id, False) + 4 * (who == SIGNER) for who in self.people}


@dataclass
class State:
    """The room, what its host holds for it, the oracle's world, and the packets under way."""

    room: Room
    world: World
    plan: Plan
    wall: datetime
    until: float = -inf
    routes: fx.Routes = field(default_factory=dict)
    connections: dict[str, str] = field(default_factory=dict)
    unconfirmed: int = 0
    quiet: dict[str, str] = field(default_factory=dict)
    """Who is silent, and whose page is frozen while its media goes on."""
    in_flight: tuple[tuple[str, fx.Source, frozenset[str]], ...] = ()
    approval: int = 0
    crashed: bool = False
    looks: tuple[bytes, ...] = ()
    came_by: tuple[Any, str] | None = None

    def history(self) -> list[str]:
        steps, at = [], self.came_by
        while at is not None:
            steps.append(at[1])
            at = at[0]
        return steps[::-1]


def first(bounds: Bounds) -> State:
    family = {"main": MAIN, "rooms": (Place("lesson", "Room 1"), ANOTHER)} if bounds.allows("breakouts") else {}
    let_in = {ALI.id: TEACHER.id} if bounds.allows("badge") else {}
    let_in |= {ASSISTANT.id: TEACHER.id} if bounds.allows("link") else {}
    people = [replace(who, let_in_by=let_in.get(who.id, "")) for who in bounds.people]
    plan = plan_of(*people, starts_at=START, ends_at=START + timedelta(seconds=CLOSES - 60),
                   hard_end_at=START + timedelta(seconds=CLOSES), **family)
    world = World(now=bounds.begins, permitted={p.id: KINDS for p in bounds.people}, let_in=let_in)  # type: ignore[misc]
    return State(Room(plan, SCREEN), world, plan, START + timedelta(seconds=bounds.begins))


def _like(one: Copied) -> Copied:
    """A copy without the cost of the copy protocol: there are millions."""
    made = object.__new__(type(one))
    made.__dict__.update(one.__dict__)
    return made


def after(state: State, label: str) -> State:
    """A state that may be changed without changing the one it follows."""
    new = _like(state)
    new.room, new.world = _like(state.room), _like(state.world)
    room, world = new.room, new.world
    room.seats = {person: _like(seat) for person, seat in room.seats.items()}
    room._warned, room.doubted = set(room._warned), set(room.doubted)
    room._deadlines = Deadlines(dict(room._deadlines._starts), dict(room._deadlines._ends))
    world.media, world.page = dict(world.media), dict(world.page)  # what else there is of the world is replaced, not changed
    new.connections = dict(state.connections)
    new.came_by = (state.came_by, label)
    return new


# What may happen


def say(state: State, event: ev.RoomEvent) -> None:
    """One event; its effects as a host performs them. An opening becomes durable in a step of its own."""
    for effect in state.room.handle(event, Moment(state.world.now, state.wall)):
        match effect:
            case fx.Gate(until=until):
                state.until = until
            case fx.Route(routes=routes):
                state.routes = routes
            case fx.Hangup(connection=connection):
                for person in [p for p, c in state.connections.items() if c == connection]:
                    del state.connections[person], state.world.media[person], state.world.page[person]
            case fx.JournalOpening(opening=opening):
                state.unconfirmed = opening


def join(state: State, person: str) -> None:
    if person in state.connections:  # another device: the newest counts, and nothing of the old one proves anything
        del state.connections[person]
    connection = "12"[state.room.seats.get(person) is not None and state.room.seats[person].connection == f"{person} 1"]
    state.connections[person] = f"{person} {connection}"
    state.world.media[person] = state.world.page[person] = -inf
    state.quiet = _without(state.quiet, person)
    if person not in state.plan.places:
        state.world.away = state.world.away - {person}
    say(state, ev.Joined(person, state.connections[person], f"device of {person}"))


def drop(state: State, person: str) -> None:
    say(state, ev.Dropped(state.connections.pop(person)))
    del state.world.media[person], state.world.page[person]


def _without(quiet: dict[str, str], person: str) -> dict[str, str]:
    return {who: how for who, how in quiet.items() if who != person} if person in quiet else quiet


def tick(state: State, bounds: Bounds, *, recorded: bool = True, owned: bool = True) -> None:
    """A step of time in which everybody is heard who is not quiet."""
    world, quiet = state.world, state.quiet
    world.now += bounds.step
    state.wall += timedelta(seconds=bounds.step)
    media = {p: world.now for p in world.media if quiet.get(p) != "silent"}
    page = {p: at for p, at in media.items() if p not in quiet}
    world.media.update(media)
    world.page.update(page)
    world.recorder, world.owner = world.now if recorded else world.recorder, world.now if owned else world.owner
    say(state, ev.Proved(media, page, world.now if recorded else -inf, world.now if owned else -inf))


def fall_quiet(state: State, person: str, how: str) -> None:
    """From now on; nobody notices until time has passed."""
    state.quiet = {**_without(state.quiet, person), **({person: how} if how else {})}


def speak(state: State) -> None:
    """Everybody switches on everything they may; who may not is refused."""
    for person in sorted(state.connections):
        for message in (m.Microphone(True), m.Camera(True), m.Share(True)):
            say(state, ev.Sent(state.connections[person], message))


def send(state: State) -> None:
    """A packet of each source leaves its sender: it is under way when whatever comes next happens."""
    state.in_flight = tuple(
        (person, source, to) for (person, source), to in state.routes.items() if source is fx.Source.MICROPHONE)


def permit(state: State, person: str, what: str, yes: bool) -> None:
    had = state.world.permitted[person]
    state.world.permitted = {**state.world.permitted, person: had | {what} if yes else had - {what}}
    who = state.plan.people[person]
    changed = replace(who, may=replace(who.may, **{what: yes}))
    _replan(state, replace(state.plan, people={**state.plan.people, person: changed}))


def approve(state: State, seconds: float) -> None:
    """The teacher and Ali, from now. 0: revoked, which in a plan is an approval whose end has passed."""
    state.approval = 1 if seconds else 2
    start = state.wall - timedelta(seconds=0 if seconds else 60)
    end = state.wall + timedelta(seconds=seconds if seconds else -30)
    state.world.approvals = {("teacher", "ali"): state.world.now + seconds}
    _replan(state, replace(state.plan, approvals=(replace(approved("teacher", "ali"), start=start, end=end),)))


def _replan(state: State, plan: Plan) -> None:
    state.plan = plan
    state.world.owner = state.world.now
    say(state, ev.PlanRead(plan, state.world.now))


def fail_recorder(state: State) -> None:
    state.world.recorder = -inf
    say(state, ev.RecorderFailed("disk"))


def remove(state: State, person: str) -> None:
    if "teacher" in state.connections and "teacher" in state.world.exposed and state.world.permitted["teacher"] >= {"attend"}:
        state.world.removed = state.world.removed | {person}
        say(state, ev.Sent(state.connections["teacher"], m.Remove(person, "test")))


def crash(state: State) -> None:
    """The process dies and another takes over: everybody has to come in again, and what was removed stays removed."""
    plan = replace(state.plan, removed=frozenset(state.world.removed), stopped=state.world.stopped)
    state.room, state.plan, state.crashed = Room(plan, SCREEN), plan, True
    state.until, state.routes, state.connections, state.unconfirmed, state.in_flight, state.quiet = -inf, {}, {}, 0, (), {}
    state.world.media, state.world.page = {}, {}
    state.world.recorder = state.world.owner = -inf


def stop(state: State) -> None:
    """A senior leader stops the lesson for the school: for good."""
    state.world.stopped = True
    _replan(state, replace(state.plan, stopped=True))


# The other rooms of a lesson with breakout rooms, this being one of those: whatever they do reaches this one as an event


def place(state: State, person: str) -> None:
    """A pupil belongs in another room from now on, or in this one again."""
    places = dict(state.plan.places)
    if places.pop(person, None) is None:
        places[person] = ANOTHER.lesson_id
        state.world.away = state.world.away | {person}
    _replan(state, replace(state.plan, places=places))


def come_elsewhere(state: State, person: str) -> None:
    """A person is in one room at a time, the newest; they may come back."""
    state.world.away = state.world.away | {person}
    say(state, ev.CameElsewhere(person))


def remove_elsewhere(state: State, person: str) -> None:
    state.world.removed = state.world.removed | {person}
    say(state, ev.RemovedElsewhere(person))


def stop_main(state: State) -> None:
    state.world.stopped = True
    say(state, ev.MainStopped())


def end_main(state: State) -> None:
    state.world.ended = True
    say(state, ev.MainEnded("ended-by-staff"))


def bring_back(state: State) -> None:
    state.world.ended = True
    _replan(state, replace(state.plan, over="brought-back"))


def set_clock(state: State, hours: float) -> None:
    """The wall clock is set; CLOCK_BOOTTIME, and so every proof, runs on."""
    state.wall += timedelta(hours=hours)
    say(state, ev.Ticked())


Act = Callable[[State], object]


def what_may_happen(state: State, bounds: Bounds) -> Iterator[tuple[str, Act]]:
    representatives = {looks: who for who, looks in zip(bounds.people, state.looks, strict=True)}
    for who in representatives.values():  # what happens to one has happened to everybody just like them
        yield from _to_one(state, bounds, who)
    yield "time passes", lambda s: tick(s, bounds)
    if bounds.allows("recorder"):
        yield "nothing becomes durable", lambda s: tick(s, bounds, recorded=False)
        if state.world.recorder > -inf:
            yield "the recorder fails", fail_recorder
    if bounds.allows("owner"):
        yield "the plan cannot be read", lambda s: tick(s, bounds, owned=False)
    if state.unconfirmed:
        yield "the opening is durable", _confirm
    if bounds.allows("speak"):
        yield "everybody speaks", speak
    if bounds.allows("flight") and state.routes:
        yield "packets leave", send
    if bounds.allows("late") and state.room._opening > 1:
        yield "an opening that was given up is durable", lambda s: say(s, ev.OpeningJournalled(s.room._opening - 1))
    if bounds.allows("approval"):
        yield "approved for 3 seconds", lambda s: approve(s, 3.0)
        if state.approval == 1:
            yield "the approval is revoked", lambda s: approve(s, 0.0)
    if bounds.allows("crash") and not state.crashed:
        yield "the process dies", crash
    if bounds.allows("stop") and not state.world.stopped:
        yield "the school stops it", stop
    if bounds.allows("breakouts"):
        yield from _from_the_main_room(state)
    if bounds.allows("clock"):
        yield "the clock is set forward", lambda s: set_clock(s, 1 / 600)
        yield "the clock is set back", lambda s: set_clock(s, -1 / 600)


def _from_the_main_room(state: State) -> Iterator[tuple[str, Act]]:
    if not state.world.stopped:
        yield "the main room is stopped", stop_main
    yield "the lesson ends", end_main
    yield "everybody is brought back", bring_back


def _confirm(state: State) -> None:
    opening, state.unconfirmed = state.unconfirmed, 0
    say(state, ev.OpeningJournalled(opening))


def _to_one(state: State, bounds: Bounds, who: Person) -> Iterator[tuple[str, Act]]:
    person = who.id
    if person not in state.connections:
        yield f"{person} comes", lambda s: join(s, person)
    else:
        yield f"{person} is lost", lambda s: drop(s, person)
        if person in state.quiet:
            yield f"{person} is heard again", lambda s: fall_quiet(s, person, "")
        else:
            for how in ("silent", "frozen"):
                if bounds.allows(how):
                    yield f"{person} is {how}", lambda s, how=how: fall_quiet(s, person, how)  # type: ignore[misc]
        if bounds.allows("devices"):
            yield f"{person} comes on another device", lambda s: join(s, person)
        if bounds.allows("remove") and person in ARE_CHILDREN:
            yield f"{person} is removed", lambda s: remove(s, person)
        if bounds.allows("breakouts"):
            yield f"{person} comes into another room", lambda s: come_elsewhere(s, person)
    if bounds.allows("breakouts") and person in ARE_CHILDREN:
        yield f"{person} belongs {'here again' if person in state.plan.places else 'elsewhere'}", lambda s: place(s, person)
        if len(state.world.removed) < 1:
            yield f"{person} is removed from another room", lambda s: remove_elsewhere(s, person)
    if bounds.allows("consent") and person in ARE_CHILDREN:
        for what in ("attend", "camera"):
            yes = what not in state.world.permitted[person]
            yield f"{person} {'may' if yes else 'may not'} {what}", lambda s, what=what, yes=yes: permit(s, person, what, yes)  # type: ignore[misc]


# Which state it is


def face(state: State, bounds: Bounds) -> bytes:
    """All that can make a difference to what is delivered from here on, with like people in no order.

    Ages stop growing where they stop mattering: a proof that is stale stays so. Left out is what only tells people or
    the register: who was told of the time left, names, how long pupils have been waiting without an adult, and that
    somebody silent for 30 seconds is hung up on, which is then the same as being lost.
    """
    now, room = state.world.now, state.room
    state.looks = tuple([_person(state, bounds, who.id) for who in bounds.people])
    wall = _seconds(state.wall.timestamp() - START.timestamp() - now + 20, 40) if bounds.allows("clock") else 0
    pairs, clocks = state.plan.approvals, room._deadlines
    ends = [_left(clocks._ends, at, now) for at in (state.plan.hard_end_at, *(pair.end for pair in pairs))]
    starts = [_left(clocks._starts, at, now) for at in (state.plan.starts_at, *(pair.start for pair in pairs))]
    approval = next((_seconds(at - now, 5) for at in state.world.approvals.values()), 0)
    return b"".join(sorted(state.looks)) + bytes((
        PHASES[room.phase], room._opening_asked, room._opening_durable, bool(state.unconfirmed), state.world.stopped,
        _age(now - state.world.recorder, STALE[1]), _age(now - state.world.owner, STALE[1]),
        _age(now - room._steady_since, STEADY), _seconds(room._proved_until - now, 12), _seconds(state.until - now, 12),
        state.approval, approval, state.crashed, wall, bounds.allows("late") and room._opening > 1, len(ends), *ends, *starts,
        len(state.routes), len(state.in_flight),
    ))


def _person(state: State, bounds: Bounds, person: str) -> bytes:
    seat, world, kind = state.room.seats.get(person), state.world, bounds.kinds[person]
    permitted = world.permitted[person]
    flags = 2 * ("attend" in permitted) + ("camera" in permitted)
    gone = 4 * (person in state.plan.places) + 2 * (person in world.away) + (person in world.removed)
    if person not in state.connections or seat is None:
        return bytes((kind, 0, flags, gone))
    sends = 8 * seat.microphone + 4 * seat.camera + 2 * seat.screen + seat.shown
    flight = sum([1 + (person == sender) for sender, _, to in state.in_flight if person == sender or person in to]
                 ) if state.in_flight else 0
    media = _age(world.now - world.media[person], STALE[0])
    # Where no page stands still it was heard whenever its media was, and says nothing more.
    page = _page_age(state, person) if "frozen" in bounds.may else 0
    return bytes((kind, 1, flags, gone, sends, media, page, 8 * flight + QUIET[state.quiet.get(person)]))


def _page_age(state: State, person: str) -> int:
    return _age(state.world.now - state.world.page[person], STALE[2] if person in ARE_CHILDREN else STALE[1])


def _age(age: float, stale: float) -> int:
    return NEVER if age >= stale else NEVER - 1 if age < 0 else round(age * 4)


def _left(said: dict[datetime, float], at: datetime, now: float) -> int:
    """What the room's two clocks have said of a time, as quarters of a second from now; 1: nothing yet."""
    return _seconds(said[at] - now, 5) + 2 if at in said else 1


def _seconds(left: float, most: float) -> int:
    return 0 if left <= 0 else round(min(left, most) * 4)


# Judging


@dataclass
class Seen:
    """What a run saw. `states`: found, each judged; `entered`: of those, from which everything went on that may happen.
    `holds` and `openings`: how often each reason for a hold, and each way of opening."""

    states: int = 0
    entered: int = 0
    transitions: int = 0
    delivered: int = 0
    refused: int = 0
    holds: Counter[str] = field(default_factory=Counter)
    openings: Counter[str] = field(default_factory=Counter)
    ended: bool = False
    known: set[bytes] = field(default_factory=set)
    """How each state looks, like people in no order."""

    def add(self, other: "Seen") -> None:
        self.states += other.states
        self.entered += other.entered
        self.transitions += other.transitions
        self.delivered += other.delivered
        self.refused += other.refused
        self.holds += other.holds
        self.openings += other.openings


def judge(state: State, seen: Seen) -> None:
    """Attempt every packet now and later; what gets through must break no invariant."""
    world, then = state.world, state.world.now
    sources = [(person, source, to) for (person, source), to in state.routes.items()]
    for later in LATER:
        world.now = then + later
        if not world.now < state.until:
            seen.refused += 1
            continue
        seen.delivered += 1
        wrong = world.wrongs()
        for person, source, to in sources:
            _forbid(state, [*wrong, *world.wrong_way(person, str(source), to)], person)
        for person, source, to in state.in_flight:
            if left := to & state.routes.get((person, source), frozenset()):  # who is gone gets nothing; the rest must be right
                staff = world.exposed & STAFF - {person}
                _forbid(state, [*wrong, *world.wrong_way(person, str(source), left | staff)], person)
        if not sources:
            _forbid(state, wrong, "")
    world.now = then


def _forbid(state: State, wrong: list[str], sender: str) -> None:
    if wrong:
        raise Forbidden(f"{sender}: {wrong} after {state.history()}")


def way_of_opening(state: State) -> str:
    """Which company, or exception, let it open."""
    here = state.world.exposed
    children, staff = here & ARE_CHILDREN, here & STAFF
    if not children:
        return "adults only"
    return "two children" if len(children) > 1 else "two adults" if len(staff) > 1 else "an approval"


def explore(bounds: Bounds, *, most: int | None = None, seed: int = 0) -> Seen:
    """Until nothing new can happen, or `most` states were seen: then a seeded sample of what there is."""
    seen, known = Seen(), set[bytes]()
    start = first(bounds)
    _found(start, face(start, bounds), known, seen)
    frontier, chance = [start], random.Random(seed)
    with _in_haste():
        while frontier and (most is None or seen.states < most):
            at = chance.randrange(len(frontier)) if most else -1
            frontier[at], frontier[-1] = frontier[-1], frontier[at]
            seen.entered += 1
            frontier += _new(frontier.pop(), bounds, known, seen)
    seen.ended, seen.known = not frontier, known
    return seen


@contextmanager
def _in_haste() -> Iterator[None]:
    """Without a collector, which finds nothing among millions of states that hold no cycles, and without what people are
    shown: it is worked out after everything was decided, and nothing reads it."""
    gc_was_on, show = gc.isenabled(), Room._show
    gc.disable()
    Room._show = lambda room, now: []  # type: ignore[method-assign]
    try:
        yield
    finally:
        Room._show = show  # type: ignore[method-assign]
        if gc_was_on:
            gc.enable()


def _new(state: State, bounds: Bounds, known: set[bytes], seen: Seen) -> Iterator[State]:
    was_open = state.room.is_open
    for label, act in what_may_happen(state, bounds):
        new = after(state, label)
        act(new)
        seen.transitions += 1
        if new.room.is_open and not was_open:
            seen.openings[way_of_opening(new)] += 1
        if new.room.has_ended:
            judge(new, seen)
            continue
        looks = face(new, bounds)
        if looks not in known:
            _found(new, looks, known, seen)
            yield new


def _found(state: State, looks: bytes, known: set[bytes], seen: Seen) -> None:
    known.add(looks)
    seen.states += 1
    judge(state, seen)
    seen.holds.update(map(str, state.room.reasons))
