"""The live room as a value: events in, effects out, in the order to perform them. No clock, no sockets, no SQL.

It prevents what a room kept by callbacks cannot: somebody told before the media is cut, an opening nobody wrote down,
a second path (reconnect, lobby, chat) around the rule. After every event the rule is asked again from scratch.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf

from lessons.live import requests, view
from lessons.live.chat import Screening
from lessons.live.deadlines import Deadlines, Moment
from lessons.live.effects import (
    Alert,
    Close,
    Effect,
    Finish,
    Gate,
    Hangup,
    Journal,
    JournalOpening,
    Route,
    Routes,
    Show,
    Source,
    Tell,
)
from lessons.live.events import (
    AddressShared,
    CameElsewhere,
    Dropped,
    ForbiddenDelivery,
    Joined,
    MainEnded,
    MainStopped,
    OpeningJournalled,
    PlanRead,
    Proved,
    RecorderFailed,
    RemovedElsewhere,
    RoomEvent,
    Sent,
    Ticked,
)
from lessons.live.messages import Changed, Ended, Leave, Move, ServerMessage, State, TimeLeft
from lessons.live.plan import Person, Place, Plan
from lessons.live.routes import Live, routes
from lessons.live.seat import SILENT, Seat
from lessons.live.supervision import (
    AGAIN_STEADY,
    FIRST_STEADY,
    OWNER_PROOF,
    RECORDER_PROOF,
    Approval,
    Exposed,
    Hold,
    Snapshot,
    Verdict,
    lease,
)

WARNINGS = (10, 5, 1, 0)
"""Minutes before the end at which everybody is told (policy: RL5)."""
AWAY = 180.0
"""Seconds for which pupils wait for an adult who was there before somebody outside is told."""
HANG_UP = 30.0
"""Seconds of silence after which a connection is given up."""


class Phase(StrEnum):
    LOBBY = "lobby"
    OPEN = "open"
    HELD = "held"
    ENDED = "ended"


@dataclass
class Room:
    """`until`: what the gate compares with the clock. `screen`: decides about a chat message by the school's lists."""

    plan: Plan
    screen: Callable[[str], Screening]
    seats: dict[str, Seat] = field(default_factory=dict)
    phase: Phase = Phase.LOBBY
    reasons: tuple[Hold, ...] = (Hold.STARTING,)
    until: float = -inf
    ends_at: datetime = field(init=False)
    chat: bool = field(init=False)
    stopped: bool = False
    removed: frozenset[str] = frozenset()
    recorder_at: float = -inf
    owner_at: float = -inf
    counter: int = 0
    """Numbers hands, messages and flags in the order in which they came."""
    doubted: set[str] = field(default_factory=set)
    """Devices on which no pupil counts: each that an adult used here, or that was in two rooms of this lesson at once. The
    rooms of one lesson share it (threat T3)."""
    _opening: int = 0
    _opening_asked: bool = False
    _opening_durable: bool = False
    _proved_until: float = -inf
    _steady_since: float = inf
    _routes: Routes = field(default_factory=dict)
    _shown: tuple[State, State] | None = None
    _warned: set[int] = field(default_factory=set)
    _unattended_since: float = inf
    _told_unattended: bool = False
    _had_adult: bool = False
    _deadlines: Deadlines = field(default_factory=Deadlines)

    def __post_init__(self) -> None:
        self.ends_at, self.chat = self.plan.ends_at, self.plan.chat

    def handle(self, event: RoomEvent, now: Moment) -> tuple[Effect, ...]:
        """Take one event at `now`. An ended room answers nothing but refusals."""
        if self.has_ended:
            return _turned_away(event)
        effects = self._take(event, now)
        effects += self._keep_time(now)
        effects += self._supervise(now)
        effects += [*self._reroute(), *self._show(now)]
        return tuple(sorted(effects, key=lambda e: e.turn))

    @property
    def is_open(self) -> bool:
        return self.phase is Phase.OPEN

    @property
    def has_ended(self) -> bool:
        return self.phase is Phase.ENDED

    def view(self, person_id: str) -> State | None:
        """What this person is shown now."""
        seat = self.seats.get(person_id)
        if seat is None or self._shown is None:
            return None
        own = self._shown[0 if seat.is_staff else 1]
        return own if seat.person.may.attend else view.barred(own)

    def here(self) -> list[Seat]:
        """Everybody who may be reached, by name, so that nobody's place jumps."""
        return sorted((s for s in self.seats.values() if s.is_here), key=lambda s: (s.person.name, s.person.id))

    def tell_all(self, message: ServerMessage) -> list[Effect]:
        return [Tell(s.person.id, message) for s in self.seats.values() if s.connection]

    def count(self) -> int:
        self.counter += 1
        return self.counter

    # Taking events

    def _take(self, event: RoomEvent, now: Moment) -> list[Effect]:
        match event:
            case Joined():
                return self._admit(event, now)
            case Dropped(connection, reason):
                return self._vacate(self._seat_of(connection), reason)
            case Sent(connection, message):
                return self._answer(self._seat_of(connection), message, now)
            case Proved():
                self._prove(event)
            case PlanRead(plan, at):
                self.owner_at = max(self.owner_at, at)
                return self._replace_plan(plan)
            case OpeningJournalled(opening):
                self._opening_durable = self._opening_asked and opening == self._opening
            case RecorderFailed(reason):
                self.recorder_at = -inf
                facts = {"reason": reason}
                return [Journal("recorder-failed", facts=facts), Alert("recorder-failed", facts=facts)]
            case AddressShared(person, other):
                return [Alert("address-shared", person, {"other": other})]
            case CameElsewhere(person, other_lesson):
                return self._send_away(person, Close.REPLACED, "elsewhere" if other_lesson else "replaced")
            case RemovedElsewhere(person):
                self.removed |= {person}
                return self._send_away(person, Close.REMOVED, "removed")
            case MainStopped():
                self.stopped = True
            case MainEnded(reason):
                return self.finish(reason, with_main=True)
            case ForbiddenDelivery(broken):
                self.stopped = True
                why = {"reason": ", ".join(broken)}
                return [Journal("stopped", facts=why), Alert("forbidden-delivery", facts=why)]
            case Ticked():
                pass
        return []

    def _seat_of(self, connection: str) -> Seat | None:
        return next((s for s in self.seats.values() if s.connection == connection), None)

    def _admit(self, event: Joined, now: Moment) -> list[Effect]:
        """A reconnect is a full admission; the newest connection of a person is the one that counts (policy: AC1)."""
        person, belongs = self.plan.person(event.person), self.plan.belongs(event.person)
        if belongs is not None and event.person not in self.removed | self.plan.removed:
            return [Tell(event.person, _move(self.plan, belongs), event.connection), Hangup(event.connection, Close.MOVED)]
        if person is None or self._is_over(person, now):
            return [Hangup(event.connection, Close.NOT_ADMITTED)]
        if event.person in self.removed | self.plan.removed:
            return [Hangup(event.connection, Close.REMOVED)]
        seat = self.seats.setdefault(person.id, Seat(person))
        effects: list[Effect] = []
        if seat.connection:
            effects = [Tell(person.id, Ended("replaced"), seat.connection), Hangup(seat.connection, Close.REPLACED)]
            effects += self._vacate(seat, "replaced")
        seat.person = person
        seat.sit(event.connection, event.device, event.beside, now.boot)
        effects += self._doubt(seat)
        self._had_adult = self._had_adult or seat.is_staff
        self._shown = None  # the newcomer has seen nothing yet
        return [*effects, Tell(person.id, view.welcome(self.plan, person, now.wall))]

    def _doubt(self, seat: Seat) -> list[Effect]:
        """One device for two people: a leader is told, and at most one of them counts."""
        if not seat.device:
            return []
        connected = [s for s in self.seats.values() if s.connection and s is not seat]
        others = sorted(s.person.id for s in connected if s.device == seat.device)
        known = seat.is_child and seat.device in self.doubted
        if not seat.is_child:
            self.doubted.add(seat.device)
        return [Alert("device-shared", seat.person.id, {"others": others})] if others or known else []

    def _vacate(self, seat: Seat | None, reason: str) -> list[Effect]:
        if seat is None:
            return []
        arrived = seat.arrived
        seat.stand()
        seat.arrived = False
        return [Journal("left", seat.person.id, {"reason": reason})] if arrived else []

    def hang_up(self, seat: Seat, why: Close, ended: str) -> list[Effect]:
        connection = seat.connection
        if connection is None:
            return []
        left = self._vacate(seat, str(why))
        return [Tell(seat.person.id, Ended(ended), connection), Hangup(connection, why), *left]

    def _send_away(self, person_id: str, why: Close, ended: str) -> list[Effect]:
        seat = self.seats.get(person_id)
        return self.hang_up(seat, why, ended) if seat is not None else []

    def _send_to(self, seat: Seat, place: Place) -> list[Effect]:
        """Into another room of the lesson, through its door: a full admission there."""
        connection = seat.connection
        if connection is None:
            return []
        left = self._vacate(seat, str(Close.MOVED))
        return [Tell(seat.person.id, _move(self.plan, place), connection), Hangup(connection, Close.MOVED), *left]

    def _answer(self, seat: Seat | None, message: object, now: Moment) -> list[Effect]:
        if seat is None:
            return []
        if isinstance(message, Leave):
            return self.hang_up(seat, Close.LEFT, "left")
        return requests.answer(self, seat, message, now)

    def _prove(self, event: Proved) -> None:
        for person_id, seat in self.seats.items():
            if seat.connection:
                seat.media_at = max(seat.media_at, event.media.get(person_id, -inf))
                seat.page_at = max(seat.page_at, event.page.get(person_id, -inf))
        self.recorder_at = max(self.recorder_at, event.recorder)
        self.owner_at = max(self.owner_at, event.owner)

    # The plan

    def _replace_plan(self, plan: Plan) -> list[Effect]:
        if plan == self.plan:
            return []
        if plan.ends_at != self.plan.ends_at:
            self.ends_at = plan.ends_at
        if plan.chat != self.plan.chat:
            self.chat = plan.chat
        before, self.plan = self.plan, plan
        if plan.over:
            return self.finish(plan.over, with_main=plan.over != "brought-back")
        return [effect for seat in self.seats.values() for effect in self._readmit(seat, before)]

    def _readmit(self, seat: Seat, before: Plan) -> list[Effect]:
        """A missing consent keeps out that person, or that camera or microphone, and never holds the room (policy: CO2)."""
        person, was = self.plan.person(seat.person.id), seat.person
        post = self.plan.post(was.id)
        to = self.plan.belongs(was.id) or (post if post != before.post(was.id) else None)
        if to is not None and was.id not in self.plan.removed:
            return self._send_to(seat, to)
        if person is None or person.id in self.plan.removed:
            self.removed |= self.plan.removed
            return self.hang_up(seat, Close.REMOVED if person else Close.NOT_ADMITTED, "removed")
        seat.person = person
        if not person.may.attend:
            seat.silence()
            return []
        kinds = ("microphone", "camera", "screen", "chat")
        lost = [what for what in kinds if getattr(was.may, what) and not getattr(person.may, what)]
        seat.microphone, seat.camera = seat.microphone and person.may.microphone, seat.camera and person.may.camera
        if not person.may.screen:
            seat.stop_sharing()
        return [Tell(person.id, Changed("permission_ended", source=what)) for what in lost if seat.connection]

    # The rule

    def _supervise(self, now: Moment) -> list[Effect]:
        if self.has_ended:
            return []
        verdict = lease(self.snapshot(now), now.boot)
        unbroken = now.boot < self._proved_until
        self._proved_until = verdict.until
        if verdict.reasons:
            return self._hold(verdict.reasons)
        if not unbroken:
            held = self._hold((Hold.STARTING,))
            self._steady_since = now.boot
            return held
        return self._renew(verdict) if self.is_open else self._open_when_steady(verdict, now)

    def snapshot(self, now: Moment) -> Snapshot:
        here = [s for s in self.seats.values() if s.is_here]
        counted, present = self._distinct(here), {s.person.id: s for s in here}
        return Snapshot(
            people=tuple(self._exposed(s, present, counted) for s in here),
            approvals=tuple(
                Approval(a.adult, a.child, self._deadlines.start(a.start, now), self._deadlines.end(a.end, now))
                for a in self.plan.approvals
            ),
            recorder_until=self.recorder_at + RECORDER_PROOF,
            owner_until=self.owner_at + OWNER_PROOF,
            opens_at=self._deadlines.start(self.plan.starts_at, now),
            closes_at=self._deadlines.end(self.plan.hard_end_at, now),
            stopped=self.stopped or self.plan.stopped,
            needs_approval=self.plan.needs_approval,
            barred=any(s.connection and not s.person.may.attend for s in self.seats.values()),
        )

    def _distinct(self, here: list[Seat]) -> frozenset[str]:
        """Who protects: one person a device, adults first; a pupil on a device that an adult used here never (threat T3), and an
        adult who may be another one here never (threat T5)."""
        counted: set[str] = set()
        devices: set[str] = set()
        doubles = _doubles([seat for seat in here if seat.is_staff])
        for seat in sorted(here, key=lambda s: (not s.is_staff, s.is_child, s.joined_at)):
            twice = bool(seat.device) and (seat.device in devices or (seat.is_child and seat.device in self.doubted))
            devices.add(seat.device)
            twice = twice or seat.person.id in doubles
            if seat.person.protects and not twice:
                counted.add(seat.person.id)
        return frozenset(counted)

    def _exposed(self, seat: Seat, here: dict[str, Seat], counted: frozenset[str]) -> Exposed:
        """A child whose badge an adult who is here made could be that adult: company only beside another one (threat T3)."""
        person, alive = seat.person, seat.alive_until
        if not seat.is_child or person.let_in_by not in here:
            return Exposed(person.id, person.kind, person.id in counted, alive)
        others = [here[who].alive_until for who in counted
                  if here[who].is_staff and person.let_in_by not in here[who].person.hands]
        return Exposed(person.id, person.kind, person.id in counted and bool(others), min(alive, max(others, default=alive)))

    def _renew(self, verdict: Verdict) -> list[Effect]:
        if verdict.until == self.until:
            return []
        self.until = verdict.until
        return [Gate(self.until)]

    def _open_when_steady(self, verdict: Verdict, now: Moment) -> list[Effect]:
        steady = FIRST_STEADY if self.phase is Phase.LOBBY else AGAIN_STEADY
        self.reasons = (Hold.STARTING,)
        if now.boot - self._steady_since < steady:
            return []
        if not self._opening_asked:
            self._opening_asked, self._opening_durable = True, False
            self._opening += 1
            return [JournalOpening(self._opening, {"people": sorted(s.person.id for s in self.here())})]
        if not self._opening_durable:
            return []
        self._opening_asked = self._opening_durable = False
        self.phase, self.reasons, self.until = Phase.OPEN, (), verdict.until
        return [Gate(self.until)]

    def _hold(self, reasons: tuple[Hold, ...]) -> list[Effect]:
        """Closing needs nothing and happens at once. Pupils' cameras and microphones come back off."""
        changed = reasons != self.reasons
        was_open, cancelled = self.phase is Phase.OPEN, self._opening_asked
        self.reasons, self.until, self._steady_since = reasons, -inf, inf
        self._opening_asked = self._opening_durable = False
        if was_open:
            self.phase = Phase.HELD
            for seat in self.seats.values():
                if seat.is_child:
                    seat.silence()
        if not (was_open or cancelled or (changed and self.phase is Phase.HELD)):
            return []
        held = Journal("held", facts={"reasons": [str(r) for r in reasons], "opening": self._opening})
        return [Gate(-inf), held] if was_open else [held]

    # Time

    def _keep_time(self, now: Moment) -> list[Effect]:
        if self.has_ended:
            return []
        if now.boot >= self._deadlines.end(self.plan.hard_end_at, now):
            return self.finish("time")
        return [*self._end_visits(now), *self._warn(now), *self._watch_silence(now), *self._watch_unattended(now)]

    def _is_over(self, person: Person, now: Moment) -> bool:
        return person.until is not None and now.boot >= self._deadlines.end(person.until, now)

    def _end_visits(self, now: Moment) -> list[Effect]:
        """A guest whose pass ends goes at that moment; the plan, read later, says so too (policy: AC7)."""
        over = [s for s in self.seats.values() if s.connection and self._is_over(s.person, now)]
        return [effect for seat in over for effect in self.hang_up(seat, Close.NOT_ADMITTED, "removed")]

    def _warn(self, now: Moment) -> list[Effect]:
        left = (self.ends_at - now.wall).total_seconds()
        due = [m for m in WARNINGS if left <= m * 60 and m not in self._warned]
        self._warned |= set(due)
        fresh = due and due[-1] * 60 - left < 30  # a room that starts late says nothing about what has long passed
        return self.tell_all(TimeLeft(due[-1])) if fresh else []

    def extend(self, minutes: int) -> bool:
        """Move the end, inside the limit and the window; the hard end never moves (policy: RL5)."""
        later = self.ends_at + timedelta(minutes=minutes)
        if later > min(self.plan.latest_end_at, self.plan.hard_end_at):
            return False
        self.ends_at = later
        self._warned.clear()
        return True

    def _watch_silence(self, now: Moment) -> list[Effect]:
        """The register follows the proofs: who is unheard has left, who is heard again has come back."""
        effects: list[Effect] = []
        for seat in self.seats.values():
            if seat.connection is None:
                continue
            silent = now.boot - seat.heard_at
            if not seat.arrived and seat.alive_until > now.boot:
                seat.arrived = True
                effects.append(Journal("joined", seat.person.id, {"role": str(seat.person.role), "beside": seat.beside}))
            elif silent >= HANG_UP:
                effects += self.hang_up(seat, Close.SILENT, "left")
            elif seat.arrived and silent >= SILENT:
                seat.arrived = False
                effects.append(Journal("left", seat.person.id, {"reason": "silent"}))
        return effects

    def _watch_unattended(self, now: Moment) -> list[Effect]:
        here = self.here()
        started = now.boot >= self._deadlines.start(self.plan.starts_at, now)
        if not started or any(s.is_staff for s in here) or not any(s.is_child for s in here):
            self._unattended_since, self._told_unattended = inf, False
            return []
        self._unattended_since = min(self._unattended_since, now.boot)
        kind, after = ("teacher-away", AWAY) if self._had_adult else ("teacher-not-arrived", self.plan.late_after)
        if now.boot - self._unattended_since < after or self._told_unattended:
            return []
        self._told_unattended = True
        return [Alert(kind, facts={"pupils": sum(s.is_child for s in here)})]

    def finish(self, reason: str, *, with_main: bool = False) -> list[Effect]:
        """The end for everyone. Staff are last out. From a breakout room that ends alone everybody goes back."""
        seats = sorted((s for s in self.seats.values() if s.connection), key=lambda s: s.is_staff)
        back = self.plan.main if reason != "time" and not with_main else None
        parting = [
            effect for seat in seats
            for effect in (self.hang_up(seat, Close.ENDED, reason) if back is None else self._send_to(seat, back))
        ]
        self.phase, self.until, self.reasons = Phase.ENDED, -inf, ()
        return [Gate(-inf), *parting, Journal("ended", facts={"reason": reason}), Finish(reason)]

    # What follows from the state

    def _reroute(self) -> list[Effect]:
        """In the waiting room there is no channel of any kind; while held the routes stay, since the gate is shut."""
        live = [Live(s.person, source, s.shown) for s in self.seats.values() if s.is_here for source in _sending(s)]
        present = [s.person for s in self.seats.values() if s.is_here]
        waiting = self.phase in (Phase.LOBBY, Phase.ENDED)
        wanted: Routes = {} if waiting else routes(live, present, pupils_see_each_other=self.plan.pupils_see_each_other)
        if wanted == self._routes:
            return []
        self._routes = wanted
        return [Route(wanted)]

    def _approved_end(self) -> datetime | None:
        """When the approval ends by which an adult and a pupil are alone here; None in any other company."""
        here = {s.person.id for s in self.here()}
        ends = [pair.end for pair in self.plan.approvals if here == {pair.adult, pair.child}]
        return max(ends, default=None) if self.is_open else None

    def _show(self, now: Moment) -> list[Effect]:
        staff = view.state(
            room=str(self.phase), hold=self.reasons, here=self.here(), ends_at=self.ends_at,
            recording=now.boot < self.recorder_at + RECORDER_PROOF, chat=self.chat, now=now.boot,
            breakouts=bool(self.plan.rooms) and self.plan.main is None, approved_until=self._approved_end(),
        )
        others = view.for_others(staff)
        if self._shown == (staff, others):
            return []
        self._shown = (staff, others)
        return [Show()]


def _sending(seat: Seat) -> list[Source]:
    sources = {Source.MICROPHONE: seat.microphone, Source.CAMERA: seat.camera, Source.SCREEN: seat.screen}
    return [source for source, on in sources.items() if on]


def _move(plan: Plan, place: Place) -> Move:
    return Move(place.lesson_id, place.name, is_main=place.lesson_id == plan.family)


def _turned_away(event: RoomEvent) -> tuple[Effect, ...]:
    return (Hangup(event.connection, Close.ENDED),) if isinstance(event, Joined) else ()


def _doubles(staff: list[Seat]) -> set[str]:
    """Of adults who may be in one pair of hands all but the one who is proven for longest."""
    groups: list[tuple[frozenset[str], list[Seat]]] = []
    for seat in staff:
        apart = [group for group in groups if group[0].isdisjoint(seat.person.hands)]
        near = [group for group in groups if not group[0].isdisjoint(seat.person.hands)]
        hands = seat.person.hands.union(*(each for each, _ in near))
        groups = [*apart, (hands, [seat, *(one for _, seats in near for one in seats)])]
    longest = {max(seats, key=lambda one: one.alive_until).person.id for _, seats in groups}
    return {seat.person.id for seat in staff} - longest
