"""Every state of the real room that a bounded world can reach, each judged by the oracle that shares no code with the rule.

A world is some people and the things that may happen to them. From each state everything that may happen does; a state
that was seen, but for which of two like people is which, is not entered again. So a run that ends has seen them all.
In a state a packet of every source is attempted at once, and again later without the room having heard anything: the
lease alone has to be right, as when the loop stalls. Packets sent earlier and still under way are attempted too.
"""

import gc
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from typing import Any, TypeVar

from lessons.live import effects as fx
from lessons.live import events as ev
from lessons.live import messages as m
from lessons.live.deadlines import Deadlines, Moment
from lessons.live.plan import Person, Plan
from lessons.live.room import Phase, Room
from tests.room.oracle import ADULTS as STAFF
from tests.room.oracle import CLOSES, World
from tests.room.stage import ALI, BEA, CAL, DAN, SIGNER, START, TEACHER, approved, plan_of, screening

KINDS = frozenset({"attend", "microphone", "camera", "chat", "screen"})
LATER = (0.0, 1.0, 2.0)
"""Seconds after the last event at which a delivery is attempted."""
STALE = 2, 3, 10
"""Ages in seconds from which a proof is stale: sound, an adult's page or the recorder, a child's page."""
NEVER = 255
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

    def allows(self, what: str) -> bool:
        return what in self.may


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
    plan = plan_of(*bounds.people, starts_at=START, ends_at=START + timedelta(seconds=CLOSES - 60),
                   hard_end_at=START + timedelta(seconds=CLOSES))
    world = World(now=bounds.begins, permitted={p.id: KINDS for p in bounds.people})  # type: ignore[misc]
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
    world.media, world.page = dict(world.media), dict(world.page)
    world.permitted, world.approvals, world.removed = dict(world.permitted), dict(world.approvals), set(world.removed)
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
    say(state, ev.Joined(person, state.connections[person], f"device of {person}"))


def drop(state: State, person: str) -> None:
    say(state, ev.Dropped(state.connections.pop(person)))
    del state.world.media[person], state.world.page[person]


def tick(state: State, bounds: Bounds, *, silent: Iterable[str] = (), frozen: Iterable[str] = (), recorded: bool = True,
         owned: bool = True) -> None:
    """A step of time in which everybody else was heard. `frozen`: whose page stands still while its media goes on."""
    world = state.world
    world.now += bounds.step
    state.wall += timedelta(seconds=bounds.step)
    media = {p: world.now for p in world.media if p not in silent}
    page = {p: at for p, at in media.items() if p not in frozen}
    world.media.update(media)
    world.page.update(page)
    world.recorder, world.owner = world.now if recorded else world.recorder, world.now if owned else world.owner
    say(state, ev.Proved(media, page, world.now if recorded else -inf, world.now if owned else -inf))


def speak(state: State) -> None:
    """Everybody switches on everything they may; who may not is refused."""
    for person in sorted(state.connections):
        for message in (m.Microphone(True), m.Camera(True), m.Share(True)):
            say(state, ev.Sent(state.connections[person], message))


def send(state: State) -> None:
    """A packet of each source leaves its sender: it is under way when whatever comes next happens."""
    state.in_flight = tuple(
        (person, source, to) for (person, source), to in sorted(state.routes.items()) if source is fx.Source.MICROPHONE
    )[:2]


def permit(state: State, person: str, what: str, yes: bool) -> None:
    had = state.world.permitted[person]
    state.world.permitted[person] = had | {what} if yes else had - {what}  # type: ignore[assignment]
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
        state.world.removed.add(person)
        say(state, ev.Sent(state.connections["teacher"], m.Remove(person, "test")))


def crash(state: State) -> None:
    """The process dies and another takes over: everybody has to come in again, and what was removed stays removed."""
    plan = replace(state.plan, removed=frozenset(state.world.removed))
    state.room, state.plan, state.crashed = Room(plan, SCREEN), plan, True
    state.until, state.routes, state.connections, state.unconfirmed, state.in_flight = -inf, {}, {}, 0, ()
    state.world.media, state.world.page = {}, {}
    state.world.recorder = state.world.owner = -inf


def stop(state: State) -> None:
    """A senior leader stops the lesson for the school: for good."""
    state.world.stopped = True
    _replan(state, replace(state.plan, stopped=True))


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
    if bounds.allows("silence"):
        yield "nobody is heard", lambda s: tick(s, bounds, silent=s.connections)
    if bounds.allows("recorder"):
        yield "nothing becomes durable", lambda s: tick(s, bounds, recorded=False)
        yield "the recorder fails", fail_recorder
    if bounds.allows("owner"):
        yield "the plan cannot be read", lambda s: tick(s, bounds, owned=False)
    if state.unconfirmed:
        yield "the opening is durable", _confirm
    if bounds.allows("speak"):
        yield "everybody speaks", speak
    if bounds.allows("flight") and state.routes:
        yield "packets leave", send
    if bounds.allows("approval"):
        yield "approved for 3 seconds", lambda s: approve(s, 3.0)
        yield "the approval is revoked", lambda s: approve(s, 0.0)
    if bounds.allows("crash") and not state.crashed:
        yield "the process dies", crash
    if bounds.allows("stop"):
        yield "the school stops it", stop
    if bounds.allows("clock"):
        yield "the clock is set forward", lambda s: set_clock(s, 1 / 600)
        yield "the clock is set back", lambda s: set_clock(s, -1 / 600)


def _confirm(state: State) -> None:
    opening, state.unconfirmed = state.unconfirmed, 0
    say(state, ev.OpeningJournalled(opening))


def _to_one(state: State, bounds: Bounds, who: Person) -> Iterator[tuple[str, Act]]:
    person = who.id
    if person not in state.connections:
        yield f"{person} comes", lambda s: join(s, person)
    else:
        yield f"{person} is lost", lambda s: drop(s, person)
        if bounds.allows("silence"):
            yield f"{person} is silent", lambda s: tick(s, bounds, silent=(person,))
        if bounds.allows("frozen"):
            yield f"{person}'s page freezes", lambda s: tick(s, bounds, frozen=(person,))
        if bounds.allows("devices"):
            yield f"{person} comes on another device", lambda s: join(s, person)
        if bounds.allows("remove") and who in CHILDREN:
            yield f"{person} is removed", lambda s: remove(s, person)
    if bounds.allows("consent") and who in CHILDREN:
        for what in ("attend", "camera"):
            yes = what not in state.world.permitted[person]
            yield f"{person} {'may' if yes else 'may not'} {what}", lambda s, what=what, yes=yes: permit(s, person, what, yes)  # type: ignore[misc]


# Which state it is

CHILDREN = (ALI, BEA, CAL, DAN)
PHASES = list(Phase)


def face(state: State, bounds: Bounds) -> bytes:
    """All that can make a difference to what is delivered from here on, with like people in no order.

    Ages stop growing where they stop mattering: a proof that is stale stays so. Left out is what only tells people or
    the register: who was told of the time left, names, how long pupils have been waiting without an adult, and that
    somebody silent for 30 seconds is hung up on, which is then the same as being lost.
    """
    now, room = state.world.now, state.room
    state.looks = tuple(_person(state, who) for who in bounds.people)
    wall = _seconds(state.wall.timestamp() - START.timestamp() - now + 20, 40) if bounds.allows("clock") else 0
    pairs, clocks = state.plan.approvals, room._deadlines
    ends = [_left(clocks._ends, at, now) for at in (state.plan.hard_end_at, *(pair.end for pair in pairs))]
    starts = [_left(clocks._starts, at, now) for at in (state.plan.starts_at, *(pair.start for pair in pairs))]
    approval = next((_seconds(at - now, 5) for at in state.world.approvals.values()), 0)
    return b"".join(sorted(state.looks)) + bytes((
        PHASES.index(room.phase), room._opening_asked, room._opening_durable, bool(state.unconfirmed), state.plan.stopped,
        _age(now - state.world.recorder, STALE[1]), _age(now - state.world.owner, STALE[1]),
        _age(now - room._steady_since, 2), _seconds(room._proved_until - now, 12), _seconds(state.until - now, 12),
        state.approval, approval, state.crashed, wall, len(ends), *ends, *starts,
        len(state.routes), len(state.in_flight),
    ))


def _person(state: State, who: Person) -> bytes:
    seat, person, world = state.room.seats.get(who.id), who.id, state.world
    kind = 1 + (who == ALI) if who in CHILDREN else 3 + (who == TEACHER) + 2 * (who == SIGNER)
    if state.approval == 0 and kind in (2, 4):
        kind -= 1  # without an approval Ali is a pupil like any, and without a removal the teacher an adult like any
    permitted = world.permitted[person]
    flags = 2 * ("attend" in permitted) + ("camera" in permitted)
    if person not in state.connections or seat is None:
        return bytes((kind, 0, flags, person in world.removed, 0, 0, 0))
    sends = 8 * seat.microphone + 4 * seat.camera + 2 * seat.screen + seat.shown
    flight = sum(1 + (person == sender) for sender, _, to in state.in_flight if person == sender or person in to)
    page = STALE[2] if who in CHILDREN else STALE[1]
    return bytes((kind, 1, flags, sends, _age(world.now - world.media[person], STALE[0]),
                  _age(world.now - world.page[person], page), flight))


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
    """What a run saw. `holds` and `openings`: how often each reason for a hold, and each way of opening."""

    states: int = 0
    transitions: int = 0
    delivered: int = 0
    refused: int = 0
    holds: Counter[str] = field(default_factory=Counter)
    openings: Counter[str] = field(default_factory=Counter)
    ended: bool = False

    def add(self, other: "Seen") -> None:
        self.states += other.states
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
        for person, source, to in sources:
            _forbid(state, world.wrong_delivery(person, str(source), to), person)
        for person, source, to in state.in_flight:
            if left := to & state.routes.get((person, source), frozenset()):  # who is gone gets nothing; the rest must be right
                staff = world.exposed & STAFF - {person}
                _forbid(state, world.wrong_delivery(person, str(source), left | staff), person)
        if not sources:
            _forbid(state, world.wrongs(), "")
    world.now = then


def _forbid(state: State, wrong: list[str], sender: str) -> None:
    if wrong:
        raise Forbidden(f"{sender}: {wrong} after {state.history()}")


def way_of_opening(state: State) -> str:
    """Which company, or exception, let it open."""
    here = state.world.exposed
    children, staff = here & {c.id for c in CHILDREN}, here & STAFF
    if not children:
        return "adults only"
    return "two children" if len(children) > 1 else "two adults" if len(staff) > 1 else "an approval"


def explore(bounds: Bounds, *, most: int | None = None, seed: int = 0) -> Seen:
    """Until nothing new can happen, or `most` states were seen: then a seeded sample of what there is."""
    seen, known = Seen(), set[bytes]()
    start = first(bounds)
    known.add(face(start, bounds))
    frontier, chance = [start], random.Random(seed)
    gc_was_on = gc.isenabled()
    gc.disable()  # nothing here is cyclic, and a collector that looks at millions of states finds nothing
    try:
        while frontier and (most is None or seen.states < most):
            at = chance.randrange(len(frontier)) if most else -1
            frontier[at], frontier[-1] = frontier[-1], frontier[at]
            state = frontier.pop()
            seen.states += 1
            judge(state, seen)
            seen.holds.update(map(str, state.room.reasons))
            frontier += _new(state, bounds, known, seen)
    finally:
        if gc_was_on:
            gc.enable()
    seen.ended = not frontier
    return seen


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
            known.add(looks)
            yield new
