"""The host of one live lesson: says to the room what it sees, in the turn in which it sees it, and performs what the room
answers, in order. It alone writes the gate.

The event loop is the mailbox: `Room.handle` never waits, so a leave or a revocation ends the lease before anything else is
read. What has to wait (the journal, the recorder, SDP) waits beside it. If any of it breaks, the gate shuts by itself.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Protocol

import structlog

from lessons.live import effects as fx
from lessons.live import events as ev
from lessons.live import messages as m
from lessons.live.chat import Lists, Screening, screen
from lessons.live.deadlines import Moment
from lessons.live.journal import Entry, Journal
from lessons.live.matcher import phrase_automaton
from lessons.live.monitor import Facts, Forbidden, Known, Monitor
from lessons.live.plan import Plan, Role
from lessons.live.protocol import CLOSE_CODE, RESTARTING, TICKET_REFUSED, encode
from lessons.live.reading import Read, WordsAndLinks
from lessons.live.recorder import Recorder, Tape
from lessons.live.room import Phase, Room
from lessons.live.supervision import Kind
from lessons.live.tickets import Ticket
from lessons.live.watch import Watch
from lessons.live.words import NOT_SAFE
from lessons.media.gate import Gate
from lessons.media.home import home_of
from lessons.media.keys import Codec, FrameSink, Offer, SourceKey, SourceKind
from lessons.media.sdp import BadOffer
from service.foundation.clock import Clock

log = structlog.get_logger(__name__)
TICK = 0.25
CURRENT = 0.5
"""Seconds between two proofs that the plan is current; each holds for three."""
REREAD = 9.0
"""Seconds after which the plan is read again even though nothing seems to have changed: midnight changes things too. Less than
doors believe what a host has read (`reading.STANDS`), so that while a lesson is on they read nothing themselves."""
WITHHELD = 15.0
"""Seconds for which an approval that is being ended counts for nothing whatever the plan says. Longer than a writer waits for its
turn, so that by then it is known whether it was ended."""


class Line(Protocol):
    """A connection to a page. Both return at once; what is sent before `close` arrives before it."""

    def send(self, text: str) -> None: ...
    def close(self, code: int) -> None: ...


class MediaRoom(Protocol):
    """What a host uses of `lessons.media.plane.MediaRoom`."""

    def join(self, peer: str, *, loopback: bool = False) -> None: ...
    def leave(self, peer: str) -> None: ...
    def close(self) -> None: ...
    async def publish(self, peer: str, offer_sdp: str) -> str: ...
    async def subscribed(self, peer: str, version: int, answer_sdp: str) -> None: ...
    def set_routes(self, routes: Mapping[SourceKey, frozenset[str]]) -> None: ...
    def hold(self) -> None: ...
    def sound_only(self, peer: str, on: bool) -> None: ...
    def last_media(self, peer: str) -> float: ...
    def media_address(self, peer: str) -> str | None: ...
    def large_wanted(self, peer: str) -> bool: ...


@dataclass
class Connected:
    """One admitted connection."""

    id: str
    person: str
    session: str
    line: Line
    page_at: float = -inf
    large: bool = False
    rooms: str = ""
    """What this page was last told of the rooms of its lesson."""
    sdp_turn: asyncio.Lock = field(default_factory=asyncio.Lock)


def screener(found: WordsAndLinks) -> Callable[[str], Screening]:
    """The school's lists and the lesson's previewed links, compiled once a version (policy: IN6, RL10)."""
    lists = Lists(found.version, phrase_automaton(found.words), found.links, phrase_automaton(NOT_SAFE))
    return lambda text: screen(text, lists)


@dataclass
class Kin:
    """The other rooms of a host's lesson. `tell`: what happened here that holds for them too; `changed`: this room looks
    different now. Both act in the turn in which they are called."""

    doubted: set[str] = field(default_factory=set)
    tell: Callable[["Host", fx.Journal], None] = lambda host, effect: None
    changed: Callable[["Host"], None] = lambda host: None


@dataclass(frozen=True)
class Check:
    """`seen`: where the audit stands. `changed`: something was decided since. `signed_out`: sign-ins that are over."""

    seen: int
    changed: bool
    signed_out: frozenset[str] = frozenset()


class HostFailed(Exception):
    """Something in this lesson's host broke. Its gate is shut; the next who comes to the door finds a new host."""


class Host:
    """Made by the registry. `read` gives the plan as it stands; `check` says cheaply whether it could have changed."""

    def __init__(self, first: Read, *, clock: Clock, gate: Gate, journal: Journal,
                 read: Callable[[], Awaitable[Read]], check: Callable[[int, set[str], Collection[str]], Awaitable[Check]],
                 kin: "Kin | None" = None):
        self.kin = kin or Kin()
        self.room = Room(first.plan, screener(first.lists), doubted=self.kin.doubted)
        self.gate, self.clock, self.journal = gate, clock, journal
        self.connections: dict[str, Connected] = {}
        self.finished = asyncio.Event()
        self.end_reason = ""
        self.recorder: Recorder | None = None
        self.media: MediaRoom | None = None
        self._read, self._check = read, check
        self._seen, self._lists, self._read_at = first.seen, first.lists, clock.boottime()
        self._stale, self._asking = asyncio.Event(), asyncio.Lock()
        self._tapes: dict[SourceKey, dict[str | None, Tape]] = {}
        self._routed: frozenset[SourceKey] = frozenset()
        self._same_address: set[tuple[str, str]] = set()
        self._withheld: dict[str, float] = {}
        """Approvals that are being ended, and until when the plan is not believed about them."""
        self._watch = Watch()
        self.one_address = False
        """In the demo everybody is at one address: once for a lesson is enough."""
        self.may_start: Callable[[], bool] = lambda: True
        """Asked once more before the first opening: the self-test may have failed while people waited."""
        self._broken = False
        self._condemned = False
        self._failure: BaseException | None = None
        self.monitor = Monitor(self._heard, self._seen_on_the_wire)
        self.monitor.planned(_facts(first.plan, self.now()))

    # What happens

    def handle(self, event: ev.RoomEvent) -> None:
        """Say one event to the room and perform what it answers. An error of ours shuts the room for good."""
        if self._broken:
            return
        try:
            for effect in self.room.handle(event, self.now()):
                self._perform(effect)
        except Exception as error:
            self.fail(error)
            raise

    def fail(self, error: BaseException) -> None:
        """Shut the room for good: something that it cannot do without has broken."""
        self.break_off()
        self._failure = error
        self.finished.set()

    def now(self) -> Moment:
        return Moment(self.clock.boottime(), self.clock.now())

    def admit(self, ticket: Ticket, line: Line, *, loopback: bool = False) -> Connected:
        """A redeemed ticket on an open line. The room decides, and closes the line when it does not admit.

        A ticket into a one-to-one names the approval that stood at the door; when another stands now, or none, it is void.
        """
        connected = Connected(ticket.connection, ticket.person, ticket.session, line)
        if ticket.approval != self.room.plan.ticket_approval:
            line.close(TICKET_REFUSED)
            return connected
        before = self._connection_of(ticket.person)
        self.connections[connected.id] = connected
        self.monitor.came(connected.id, ticket.person, ticket.device)
        if self.media is not None:
            if before is not None:
                self.media.leave(ticket.person)
            self.media.join(ticket.person, loopback=loopback)
        self.handle(ev.Joined(ticket.person, connected.id, ticket.device, ticket.beside))
        return connected

    def receive(self, connected: Connected, message: m.ClientMessage) -> Awaitable[None] | None:
        """Take one message. What is about the media's own handshake has to be awaited; everything else is done."""
        if connected.id not in self.connections:
            return None
        match message:
            case m.Heartbeat():
                connected.page_at = self.clock.boottime()
            case m.Publish() | m.Subscribed():
                return self._negotiate(connected, message)
            case m.SoundOnly(on):
                if self.media is not None:
                    self.media.sound_only(connected.person, on)
            case m.Hello():
                self._refuse(connected, "hello", "You are already in the room.")
            case _:
                self.handle(ev.Sent(connected.id, message))
        return None

    def lost(self, connected: Connected, reason: str = "dropped") -> None:
        """The line is provably gone."""
        if self.connections.pop(connected.id, None) is not None:
            self.monitor.went(connected.id)
            if self.media is not None and self._connection_of(connected.person) is None:
                self.media.leave(connected.person)
            self.handle(ev.Dropped(connected.id, reason))

    def refresh(self) -> None:
        """Something about this lesson was decided: read the plan now."""
        self._stale.set()

    def withhold(self, approval_id: str) -> None:
        """An approval is being ended: it counts for nothing from this turn on. Should its end fail, the plan says so later."""
        if any(pair.id == approval_id for pair in self.room.plan.approvals):
            self._withheld[approval_id] = self.clock.boottime() + WITHHELD
            self._follow(self.room.plan, -inf)

    def sign_out(self, is_over: Callable[[Connected], bool]) -> None:
        """Close the lines of sign-ins that are over, and their media with them."""
        for connected in [c for c in self.connections.values() if is_over(c)]:
            connected.line.close(TICKET_REFUSED)
            self.lost(connected, "signed-out")

    def staff(self) -> list[Connected]:
        """The connections of cleared staff who run this lesson: not guests, nor leaders who look in."""
        found = [(c, self.room.plan.person(c.person)) for c in self.connections.values()]
        return [c for c, p in found if p is not None and p.may.moderate and p.role is not Role.LEADER]

    def tell_rooms(self, connected: Connected, text: str) -> None:
        """Once for each change."""
        if text != connected.rooms:
            connected.rooms = text
            connected.line.send(text)

    def recorded(self, at: float) -> None:
        self.monitor.durable(at)
        self.handle(ev.Proved(recorder=at))

    def recorder_failed(self, reason: str) -> None:
        self.monitor.durable(-inf)
        self.handle(ev.RecorderFailed(reason))

    def tick(self) -> None:
        """Four times a second: what was heard of everybody. Nothing heard renews nothing."""
        media = {c.person: self.media.last_media(c.person) for c in self.connections.values()} if self.media is not None else {}
        page = {c.person: c.page_at for c in self.connections.values()}
        self.handle(ev.Proved(media, page))
        self._compare_addresses()
        self._call_somebody()
        self._choose_layers()

    async def confirm(self) -> None:
        """Prove that the plan is current, or read it again. The proof dates from before the question was asked.

        One at a time, since doors ask too: a second answer would prove current what the first has still to read, or take an
        older plan after a newer. What could not be read is still to be read, whoever asks next.
        """
        async with self._asking:
            asked, stale = self.clock.boottime(), self._stale.is_set()
            self._stale.clear()
            try:
                await self._ask(asked, stale)
            except BaseException:
                self._stale.set()
                raise
            self.monitor.owned(asked)
            self.handle(ev.Proved(owner=asked))

    async def _ask(self, asked: float, stale: bool) -> None:
        found = await self._check(self._seen, {c.session for c in self.connections.values()}, self.room.plan.concerns)
        self.sign_out(lambda connected: connected.session in found.signed_out)
        if stale or found.changed or asked - self._read_at >= REREAD:
            self._take_plan(await self._read(), asked)
        else:
            self._seen = found.seen

    def _take_plan(self, found: Read, asked: float) -> None:
        self._seen, self._read_at = found.seen, asked
        if found.lists != self._lists:
            self._lists = found.lists
            self.room.screen = screener(found.lists)
        self._follow(found.plan, asked)

    def _follow(self, plan: Plan, asked: float) -> None:
        """Put a plan in force. `asked`: what it proves to be current from then on; -inf: nothing."""
        now = self.now()
        self._withheld = {approval: until for approval, until in self._withheld.items() if now.boot < until}
        plan = plan.without(self._withheld)
        self.monitor.planned(_facts(plan, now))
        self.handle(ev.PlanRead(plan, asked))

    # Effects

    def _perform(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Gate(until):
                self._set_gate(until)
            case fx.Route(routes):
                self._set_routes(routes)
            case fx.Tell(person, message, connection):
                self._tell(person, encode(message), connection)
            case fx.Show():
                self._show()
            case fx.Say():
                self._say(effect)
            case fx.Hangup(connection, why):
                self._hang_up(connection, CLOSE_CODE[why])
            case fx.Journal():
                self._write(effect)
            case fx.JournalOpening():
                self._write_opening(effect)
            case fx.Alert():
                self._alert(effect)
            case fx.Finish(reason):
                self.end_reason = reason
                self.finished.set()

    def _set_gate(self, until: float) -> None:
        until = -inf if self._condemned else until
        opening = self.gate.until == -inf and until > -inf
        self.gate.until = until
        if until == -inf:
            if self.media is not None:
                self.media.hold()
            self._pause(self._routed)
        elif opening:
            self._note("open", {})

    def _set_routes(self, routes: fx.Routes) -> None:
        keys = {SourceKey(person, KINDS[source]): to for (person, source), to in routes.items()}
        gone, self._routed = self._routed - keys.keys(), frozenset(keys)
        if self.media is not None:
            self.media.set_routes(keys)
        self._pause(gone)

    def _pause(self, keys: frozenset[SourceKey]) -> None:
        for key in keys:
            for tape in self._tapes.get(key, {}).values():
                tape.pause()

    def _tell(self, person: str, text: str, connection: str | None = None) -> None:
        connected = self.connections.get(connection) if connection else self._connection_of(person)
        if connected is not None:
            connected.line.send(text)

    def _show(self) -> None:
        """Few views for many people: each is put into words once."""
        words: dict[int, str] = {}
        for connected in self.connections.values():
            view = self.room.view(connected.person)
            if view is not None:
                if id(view) not in words:
                    words[id(view)] = encode(view)
                connected.line.send(words[id(view)])
        self.kin.changed(self)

    def _say(self, effect: fx.Say) -> None:
        """Chat: the gate is asked at this moment, and the recording takes it first."""
        now = self.clock.boottime()
        allowed = self.gate.permits(now) and self._note("chat", effect.record)
        if allowed:
            text = str(effect.record["text"])
            self.monitor.chat(str(effect.record["person"]), frozenset(t.person for t in effect.tells), len(text), now)
        for tell in effect.tells if allowed else (effect.refused,):
            self._tell(tell.person, encode(tell.message), tell.connection)

    def _hang_up(self, connection: str, code: int) -> None:
        connected = self.connections.pop(connection, None)
        if connected is not None:
            self.monitor.went(connection)
            connected.line.close(code)
            if self.media is not None and self._connection_of(connected.person) is None:
                self.media.leave(connected.person)

    def _write(self, effect: fx.Journal) -> None:
        kind, body = _note_of(effect)
        self._note(kind, body)
        opening = effect.facts.get("opening", 0)
        self.monitor.wrote(effect.kind, effect.person or "", opening if isinstance(opening, int) else 0)
        self.journal.write(Entry(effect.kind, self.clock.now(), effect.person or "", effect.facts))
        self.kin.tell(self, effect)

    def _write_opening(self, effect: fx.JournalOpening) -> None:
        if self.room.phase is Phase.LOBBY and not self.may_start():
            self.break_off()  # their pages come back by themselves, and the door says why not
            self.finished.set()
            return

        def durable() -> None:
            self.monitor.opened(effect.opening)
            self.handle(ev.OpeningJournalled(effect.opening))

        facts = {"opening": effect.opening, **effect.facts}
        self.journal.write(Entry("opened", self.clock.now(), "", facts, durable=durable))

    def _alert(self, effect: fx.Alert) -> None:
        """Who is or was in this room must not learn of it; of whom else, the journal knows (policy: RC4)."""
        told = effect.told
        self.journal.write(Entry(effect.kind, self.clock.now(), effect.person or "", effect.facts, self._words_of(effect),
                                 alert=True, in_the_room=self.adults, durable=partial(self._perform, told) if told else None))

    def _words_of(self, effect: fx.Alert) -> str:
        """What whoever opens the alert reads. Names are in the alert only, never in the journal or a log."""
        facts = effect.facts
        if effect.kind in ("device-shared", "address-shared"):
            others = facts.get("others") or [facts.get("other", "")]
            people = [effect.person or "", *(others if isinstance(others, list) else [])]
            known = [found.name for p in people if (found := self.room.plan.person(str(p)))]
            return f"{', '.join(known)}: one {effect.kind.removesuffix('-shared')}."
        if effect.kind == "chat-held":
            found = self.room.plan.person(effect.person or "")
            return f"{found.name if found else 'Somebody'} wrote in the chat: {facts.get('text', '')}"
        return str(facts.get("note") or facts.get("reason") or "")

    @property
    def adults(self) -> frozenset[str]:
        """Every adult who has been in this room."""
        return frozenset(s.person.id for s in self.room.seats.values() if s.person.kind is not Kind.CHILD)

    def _note(self, kind: str, body: Mapping[str, object]) -> bool:
        return self.recorder is not None and self.recorder.note(kind, body)

    # Media

    def tape(self, key: SourceKey, codec: Codec, layer: str | None = None) -> FrameSink | None:
        """The media's question where a layer of a source is recorded."""
        if self.recorder is None:
            return None
        tape = self._tapes.setdefault(key, {})[layer] = self.recorder.tape(key, codec, layer)
        return tape

    def offered(self, peer: str, offer: Offer) -> None:
        """The media's word that a person may receive something else now."""
        streams = tuple(m.Stream(s.mid, s.peer, s.kind) for s in offer.streams)
        self._tell(peer, encode(m.Subscribe(offer.version, offer.sdp, streams)))

    async def _negotiate(self, connected: Connected, message: m.Publish | m.Subscribed) -> None:
        if self.media is None:
            return
        try:
            async with connected.sdp_turn:
                if self._connection_of(connected.person) is not connected:
                    return
                if isinstance(message, m.Subscribed):
                    await self.media.subscribed(connected.person, message.version, message.sdp)
                    return
                answer = await self.media.publish(connected.person, message.sdp)
                connected.line.send(encode(m.Published(answer)))
        except BadOffer as refused:
            self._refuse(connected, m.type_of(message), str(refused))

    def _choose_layers(self) -> None:
        """A page sends its large picture only while somebody is shown it: home connections are slow upwards."""
        for connected in self.connections.values():
            wanted = self.media is not None and self.media.large_wanted(connected.person)
            if wanted != connected.large:
                connected.large = wanted
                connected.line.send(encode(m.Layers(wanted)))

    def _compare_addresses(self) -> None:
        """An adult and a pupil at one network address, or in one home on IPv6: a leader is told once (threat T3)."""
        if self.media is None:
            return
        behind: dict[str, list[str]] = defaultdict(list)
        for connected in self.connections.values():
            address = self.media.media_address(connected.person)
            if address:
                behind[home_of(address)].append(connected.person)
        for people in behind.values():
            adults = [p for p in people if self._kind(p) is Kind.STAFF]
            for pair in [(child, adult) for adult in adults for child in people if self._kind(child) is Kind.CHILD]:
                if pair not in self._same_address and not (self.one_address and self._same_address):
                    self._same_address.add(pair)
                    self.handle(ev.AddressShared(*pair))

    def _call_somebody(self) -> None:
        """A pause that goes on is told to those on duty (N3)."""
        room, now = self.room, self.clock.boottime()
        why = self._watch.look(room.phase is Phase.HELD, room.reasons, bool(room.here()), now)
        if why:
            self.journal.write(Entry("paused", self.clock.now(), facts={"why": why}, calls=True))

    def _kind(self, person: str) -> Kind | None:
        found = self.room.plan.person(person)
        return found.kind if found else None

    def _connection_of(self, person: str) -> Connected | None:
        seat = self.room.seats.get(person)
        return self.connections.get(seat.connection) if seat is not None and seat.connection else None

    def _refuse(self, connected: Connected, what: str, words: str) -> None:
        connected.line.send(encode(m.Refused(what, "bad-message", words)))

    # The wire monitor

    def delivered(self, key: SourceKey, to: frozenset[str], viewers: tuple[str, ...], size: int, at: float) -> None:
        """The media's word that a frame, or a packet again, goes to these viewers now."""
        self.monitor.media(key.peer, key.kind, to, viewers, size, at)

    def _heard(self, person: str) -> tuple[float, float]:
        pages = [c.page_at for c in self.connections.values() if c.person == person]
        return (self.media.last_media(person) if self.media is not None else -inf), max(pages, default=-inf)

    def _seen_on_the_wire(self, found: Forbidden) -> None:
        """Something passed that may not have. Whatever the rule says, nothing passes here again (invariant I9)."""
        first, self._condemned = not self._condemned, True
        self.gate.until = -inf
        if first:
            log.critical("monitor.forbidden", lesson_id=self.room.plan.lesson_id, broken=found.broken)
            asyncio.get_running_loop().call_soon(self._stop_condemned, found.broken)

    def _stop_condemned(self, broken: tuple[str, ...]) -> None:
        if self.media is not None:
            self.media.hold()
        self.handle(ev.ForbiddenDelivery(broken))

    # Life

    async def run(self) -> None:
        """Until the lesson ends; its journal is run beside it. Whatever breaks here leaves a shut gate and nobody in the room."""
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(self._keep_ticking()), tasks.create_task(self._keep_current())]
                await self.finished.wait()
                if self._failure is None:
                    await self.journal.drained()
                for task in running:
                    task.cancel()
            if self._failure is not None:
                raise HostFailed from self._failure
        finally:
            self.break_off()

    async def _keep_ticking(self) -> None:
        while True:
            self.tick()
            await asyncio.sleep(TICK)

    async def _keep_current(self) -> None:
        """A database that does not answer proves nothing: the lease runs out after three seconds.

        Every host asks at the same moments, so that one look answers all of them.
        """
        while True:
            try:
                await self.confirm()
            except Exception:
                log.exception("host.not_current", lesson_id=self.room.plan.lesson_id)
                await asyncio.sleep(CURRENT)
            with suppress(TimeoutError):  # `wait_for` of Python 3.11 swallows a cancel that comes with the news
                async with asyncio.timeout(CURRENT - asyncio.get_running_loop().time() % CURRENT):
                    await self._stale.wait()

    def break_off(self, code: int = RESTARTING) -> None:
        """Shut at once and send everybody away; a page comes back by itself, through the door."""
        self._broken = True
        self.gate.until = -inf
        for connected in list(self.connections.values()):
            connected.line.close(code)
        self.connections.clear()
        if self.media is not None:
            self.media.close()
            self.media = None


def _facts(plan: Plan, now: Moment) -> Facts:
    """What the register and the school's decisions say, in the monitor's own words."""
    kinds = ("attend", "microphone", "camera", "screen", "chat")
    people = {
        p.id: Known({Kind.STAFF: "staff", Kind.GUEST: "guest", Kind.CHILD: "child"}[p.kind], p.cleared,
                    frozenset(what for what in kinds if getattr(p.may, what)), p.let_in_by)
        for p in plan.people.values()
    }
    return Facts(
        people, now.until(plan.starts_at), now.until(plan.hard_end_at), plan.removed, plan.stopped, plan.needs_approval,
        tuple((a.adult, a.child, now.until(a.start), now.until(a.end)) for a in plan.approvals),
    )


KINDS: dict[fx.Source, SourceKind] = {
    fx.Source.MICROPHONE: "microphone", fx.Source.CAMERA: "camera", fx.Source.SCREEN: "screen",
}


def _note_of(effect: fx.Journal) -> tuple[str, dict[str, object]]:
    """The recording's own words for an entry of the journal (docs/recording-format.md)."""
    facts = dict(effect.facts)
    match effect.kind:
        case "joined":
            return "presence", {"person": effect.person, "event": "in", **facts}
        case "left":
            return "presence", {"person": effect.person, "event": "out", **facts}
        case "held":
            return "hold", facts
        case "flag":
            return "flag", {"person": effect.person, **facts, **effect.words}
        case "ended":
            return "end", facts
        case _:
            return "act", {"what": effect.kind, "person": effect.person, **facts, **effect.words}
