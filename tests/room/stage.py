"""A stage for the room: says events to it, performs its effects in their order, and keeps what went over the wire."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import ClassVar

from lessons.live import effects as fx
from lessons.live import events as ev
from lessons.live import messages as m
from lessons.live.chat import Lists, Screening, phrase_matcher, screen
from lessons.live.deadlines import Moment
from lessons.live.plan import ApprovedPair, May, Person, Plan, Role
from lessons.live.room import Room
from lessons.live.supervision import Kind

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ALL = May(attend=True, microphone=True, camera=True, chat=True, screen=True)


def staff(id: str, name: str = "", **may: bool) -> Person:
    return Person(id, name or id.title(), Kind.STAFF, Role.TEACHER, replace(ALL, moderate=True, **may), cleared=True)


def leader(id: str) -> Person:
    return Person(id, id.title(), Kind.STAFF, Role.LEADER, replace(ALL, moderate=True, stop=True), cleared=True)


def guest(id: str, *serves: str) -> Person:
    return Person(id, id.title(), Kind.GUEST, Role.GUEST, ALL, serves=frozenset(serves))


def pupil(id: str, **may: bool) -> Person:
    return Person(id, id.title(), Kind.CHILD, Role.PUPIL, replace(ALL, **may))


TEACHER, ASSISTANT, LEADER = staff("teacher"), staff("assistant"), leader("leader")
SPEAKER, SIGNER = guest("speaker"), guest("signer", "ali")
ALI, BEA, CAL, DAN = pupil("ali"), pupil("bea"), pupil("cal"), pupil("dan")
EVERYONE = (TEACHER, ASSISTANT, LEADER, SPEAKER, SIGNER, ALI, BEA, CAL, DAN)


def plan_of(*people: Person, **changes: object) -> Plan:
    made = Plan(
        version=1, school_id="school", lesson_id="lesson", title="Maths", class_name="5 Oak", starts_at=START,
        ends_at=START + timedelta(minutes=45), hard_end_at=START + timedelta(minutes=50),
        latest_end_at=START + timedelta(minutes=60), people={p.id: p for p in people or EVERYONE},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def approved(adult: str, child: str, minutes: float = 10) -> ApprovedPair:
    return ApprovedPair(adult, child, START, START + timedelta(minutes=minutes))


def screening(*phrases: str, links: tuple[str, ...] = ()) -> Callable[[str], Screening]:
    lists = Lists("test-1", phrase_matcher(phrases), frozenset(links), phrase_matcher(["want to die"]))
    return lambda text: screen(text, lists)


@dataclass
class Stage:
    """`wall` moves with `boot` unless a test sets a clock. `journalling`: do openings become durable at once?"""

    plan: Plan = field(default_factory=plan_of)
    journalling: bool = True
    recording: bool = True
    boot: float = 1000.0
    wall: datetime = START + timedelta(minutes=1)
    make: Callable[..., Room] | None = None
    room_class: ClassVar[Callable[..., Room]] = Room
    heard: set[str] = field(default_factory=set)
    log: list[fx.Effect] = field(default_factory=list)
    wire: list[tuple[float, str, object]] = field(default_factory=list)
    until: float = -inf
    routes: fx.Routes = field(default_factory=dict)
    finished: str = ""

    def __post_init__(self) -> None:
        self.room = (self.make or type(self).room_class)(self.plan, screening("bad word", links=("bbc.co.uk/bitesize",)))
        self.connections: dict[str, str] = {}
        self.hung_up: dict[str, fx.Close] = {}
        self.to_confirm: list[int] = []

    def now(self) -> Moment:
        return Moment(self.boot, self.wall)

    def say(self, event: ev.RoomEvent) -> tuple[fx.Effect, ...]:
        """One event; its effects performed in order; an opening confirmed afterwards, as by a host whose commit returned."""
        made = self.room.handle(event, self.now())
        assert [e.turn for e in made] == sorted(e.turn for e in made)
        for effect in made:
            self._perform(effect)
        self.log += made
        while self.journalling and self.to_confirm:
            self.say(ev.OpeningJournalled(self.to_confirm.pop(0)))
        return made

    def _perform(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Gate(until=until):
                self.until = until
            case fx.Route(routes=routes):
                self.routes = routes
            case fx.Tell(person=person, message=message):
                self.wire.append((self.boot, person, message))
            case fx.Show():
                for person in self.connections:
                    self.wire.append((self.boot, person, self.room.view(person)))
            case fx.Say(tells=tells, refused=refused):
                for tell in tells if self.boot < self.until and self.recording else (refused,):
                    self.wire.append((self.boot, tell.person, tell.message))
            case fx.Hangup(connection=connection, why=why):
                self.hung_up[connection] = why
                self.connections = {p: c for p, c in self.connections.items() if c != connection}
            case fx.JournalOpening(opening=opening):
                self.to_confirm.append(opening)
            case fx.Finish(reason=reason):
                self.finished = reason

    # What people do

    def join(self, *people: str, device: str | None = None, beside: str = "") -> "Stage":
        for person in people:
            connection = f"{person}-{len(self.log)}"
            before = self.connections.get(person)
            self.connections[person] = connection
            self.say(ev.Joined(person, connection, f"device of {person}" if device is None else device, beside))
            if connection in self.hung_up:
                self.connections.pop(person, None)
                if before and before not in self.hung_up:
                    self.connections[person] = before
        return self

    def drop(self, person: str) -> tuple[fx.Effect, ...]:
        return self.say(ev.Dropped(self.connections.pop(person)))

    def send(self, person: str, message: m.ClientMessage) -> tuple[fx.Effect, ...]:
        return self.say(ev.Sent(self.connections[person], message))

    def pass_time(self, seconds: float, *, silent: tuple[str, ...] = (), step: float = 0.25) -> "Stage":
        """Ticks, with everybody but `silent` heard, the recorder durable while `recording`, and the plan current."""
        for _ in range(round(seconds / step)):
            self.boot += step
            self.wall += timedelta(seconds=step)
            heard = {p: self.boot for p in self.connections if p not in silent}
            recorder = self.boot if self.recording else -inf
            self.say(ev.Proved(media=heard, page=heard, recorder=recorder, owner=self.boot))
        return self

    def replan(self, plan: Plan) -> tuple[fx.Effect, ...]:
        self.plan = replace(plan, version=self.plan.version + 1)
        return self.say(ev.PlanRead(self.plan, self.boot))

    def change(self, person: Person, **may: bool) -> tuple[fx.Effect, ...]:
        changed = replace(person, may=replace(person.may, **may))
        return self.replan(replace(self.plan, people={**self.plan.people, person.id: changed}))

    # What came of it

    def delivers(self, person: str, source: fx.Source = fx.Source.MICROPHONE) -> frozenset[str]:
        """Who would get a packet of this source now: the gate and the routes, as the media plane asks them."""
        return self.routes.get((person, source), frozenset()) if self.boot < self.until else frozenset()

    def told(self, person: str, kind: type) -> list[object]:
        return [message for _, who, message in self.wire if who == person and isinstance(message, kind)]

    def state(self, person: str) -> m.State:
        return self.told(person, m.State)[-1]  # type: ignore[return-value]

    def journal(self, kind: str) -> list[fx.Journal]:
        return [e for e in self.log if isinstance(e, fx.Journal) and e.kind == kind]

    def alerts(self) -> list[str]:
        return [e.kind for e in self.log if isinstance(e, fx.Alert)]


def opened(*people: str, **more: object) -> Stage:
    """A room with these people in it, open."""
    stage = Stage(**more).join(*(people or ("teacher", "ali", "bea"))).pass_time(1.5)  # type: ignore[arg-type]
    assert stage.room.is_open, stage.room.reasons
    return stage


def kinds(made: tuple[fx.Effect, ...]) -> list[str]:
    return [type(e).__name__ for e in made]


def facts(effect: object) -> Mapping[str, object]:
    assert isinstance(effect, fx.Journal | fx.Alert | fx.JournalOpening)
    return effect.facts
