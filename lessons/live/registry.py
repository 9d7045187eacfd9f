"""The live lessons of this process: found, begun, refreshed, ended. A lesson has one host; a lock that is
held for life keeps every other process away (invariant I8; docs/decisions: 193)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.live import events as ev
from lessons.live import reading
from lessons.live.effects import Journal as Journalled
from lessons.live.host import Connected, Host, Kin, Line
from lessons.live.journal import Journal
from lessons.live.looks import Looks
from lessons.live.monitor import Watched
from lessons.live.pace import Pace
from lessons.live.protocol import encode
from lessons.live.recorder import Recorder
from lessons.live.room import Phase
from lessons.live.rooms import rooms_of
from lessons.live.tickets import Ticket, Tickets, ticket_key
from lessons.media.gate import Gate
from lessons.media.plane import Plane
from recordings.commands import LessonFacts
from recordings.rules import Kind as RecordingKind
from recordings.vault import Vault
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.errors import Unavailable
from service.foundation.events import Actor, system
from service.people.events import SessionsEnded, SignedOut
from service.people.queries import is_self_test
from service.safeguarding.approvals.events import OneToOneRevoked

log = structlog.get_logger(__name__)
Found = TypeVar("Found")
SETTLED = 2.0
STOPPED = "the service stopped"
LAST_WORDS = 5.0
"""Seconds for which a stop waits for what rooms have not written yet, and a door for a room that failed. compose.yaml gives a
stop thirty for everything."""
KNOCKS, KNOCKS_SECONDS = 30, 30.0
"""How often one person may come to the doors: each time is written down, and there is one writer for everybody."""


class TooOften(Unavailable):
    """Your page came to the door too often. Wait half a minute and try again."""

    code = "too-often"


class SelfTestFails(Unavailable):
    """No lesson can start now: the safety test of this service does not pass. You have not done anything wrong. The technician
    runs it again, and lessons start when it passes."""

    code = "self-test-fails"


class Devices(set[str]):
    """What the rooms of one lesson remember together, for as long as one of them lives."""


class Registry:
    """In the application's state as `rooms`. `plane` is None only where nothing of media is wanted (some tests)."""

    def __init__(self, database: Database, clock: Clock, vault: Vault, tickets: Tickets, plane: Plane | None,
                 seen: Callable[[str], None]):
        self.database, self.clock, self.vault, self.tickets, self.plane = database, clock, vault, tickets, plane
        self.looks = Looks(database, clock, seen)
        self.one_address = False
        """Whether everybody is at one address, as in the demo."""
        self.self_test_fails: Callable[[], bool] = lambda: False
        """What the last self-test says. Its own lessons start all the same, or it could never pass."""
        self.rosters: reading.Rosters | None = None
        """Told of every roster that a host reads: the doors and the lesson's page go by the same."""
        self._hosts: dict[str, Host] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._beginning: dict[str, asyncio.Lock] = {}
        self._knocks: dict[str, Pace] = {}
        self._doubted: WeakValueDictionary[str, Devices] = WeakValueDictionary()
        self._closing = False
        self._stops = asyncio.Event()
        self._endings: set[asyncio.Task[None]] = set()
        self.watched = Watched()

    def knock(self, person_id: str) -> None:
        """Somebody is at a door. Raises TooOften before anything is read or written for them."""
        if self._knocks.setdefault(person_id, Pace(self.clock, KNOCKS, KNOCKS_SECONDS)).is_over():
            raise TooOften()

    def live(self, lesson_id: str) -> Host | None:
        """The host of a lesson that is live here."""
        return self._hosts.get(lesson_id)

    def hosts(self) -> list[Host]:
        """Every lesson that is live here."""
        return list(self._hosts.values())

    async def host(self, lesson_id: str) -> Host:
        """The host of a lesson, begun if it has none: recording first, from the waiting room on."""
        async with self._beginning.setdefault(lesson_id, asyncio.Lock()):
            if self._closing:
                raise Unavailable("The service is restarting. Your page comes back by itself.")
            found = self._hosts.get(lesson_id)
            if found is None:
                return await self._begin(lesson_id)
            if found.room.phase is Phase.LOBBY and not found.may_start():
                raise SelfTestFails()
            return found

    def may_start(self, family: str) -> bool:
        """Whether a lesson that nobody was let into yet may start. One that was open goes on, with its rooms."""
        return not self.self_test_fails() or any(
            host.room.plan.family == family and host.room.phase is not Phase.LOBBY for host in self._hosts.values())

    async def _begin(self, lesson_id: str) -> Host:
        await self._after(lesson_id)
        first = await self._glance(lambda session: reading.read(session, lesson_id))
        plan, actor, gate = first.plan, system(first.plan.school_id), Gate()
        is_test = await self._glance(lambda session: is_self_test(session, plan.school_id))
        if not is_test and not self.may_start(plan.family):
            raise SelfTestFails()
        host = Host(
            first, clock=self.clock, gate=gate,
            journal=Journal(self.database, actor, lesson_id, f"{plan.title}, {plan.class_name}"),
            read=lambda: self._glance(lambda session: reading.read(session, lesson_id, self.rosters)),
            check=self.looks.check,
            kin=Kin(self._doubted.setdefault(plan.family, Devices()), tell=self._tell_kin, changed=self._rooms_changed),
        )
        host.one_address = self.one_address
        host.may_start = lambda: is_test or self.may_start(plan.family)
        facts = LessonFacts(lesson_id, plan.title, plan.class_name, plan.starts_at, plan.ends_at,
                            plan.main.lesson_id if plan.main else "",
                            RecordingKind.ONE_TO_ONE if plan.needs_approval else RecordingKind.LESSON)
        recorder = Recorder(
            self.database, self.vault, self.clock, actor, facts, ends_at=plan.hard_end_at, on_durable=host.recorded,
            on_fault=host.recorder_failed,
        )
        await recorder.begin()
        host.recorder, host.monitor.watched = recorder, self.watched
        if self.plane is not None:
            host.media = self.plane.room(gate=gate, lesson_clock_start=recorder.zero, sink=host.tape, on_offer=host.offered,
                                         watch=host.delivered)
        self._hosts[lesson_id] = host
        self._tasks[lesson_id] = asyncio.create_task(self._live(lesson_id, host, recorder), name=f"lesson {lesson_id}")
        return host

    # The rooms of one lesson

    def admit(self, host: Host, ticket: Ticket, line: Line, *, loopback: bool = False) -> Connected:
        """Into one room, and first out of any other, of this lesson or another: a person is in one room at a time, and protects
        nobody in two (policy: RL1, AC1). In one turn: the newest of two who come at once is the one that stays."""
        kin = self._kin(host)
        for other in self.hosts():
            if other is not host:
                _say(other, ev.CameElsewhere(ticket.person, other_lesson=other not in kin))
        for other in kin:
            if ticket.device and any(s.connection and s.device == ticket.device for s in other.room.seats.values()):
                host.kin.doubted.add(ticket.device)
        return host.admit(ticket, line, loopback=loopback)

    async def settled(self, lesson_id: str) -> None:
        """That one of its rooms ended is in the database before anybody is told at a door where they belong."""
        with suppress(TimeoutError):
            for host in list(self._hosts.values()):
                if host.end_reason and lesson_id in (host.room.plan.lesson_id, host.room.plan.family):
                    async with asyncio.timeout(SETTLED):
                        await host.journal.drained()

    def _kin(self, host: Host) -> list[Host]:
        """The other live rooms of a host's lesson."""
        family = host.room.plan.family
        return [other for other in self._hosts.values() if other is not host and other.room.plan.family == family]

    def _tell_kin(self, host: Host, happened: Journalled) -> None:
        """What is true of all rooms of a lesson as soon as it is of one. The plan, read anew, says the same a moment later."""
        is_main = host.room.plan.main is None
        for other in self._kin(host):
            if happened.kind == "removed":
                _say(other, ev.RemovedElsewhere(happened.person or ""))
            elif happened.kind == "stopped" and is_main:
                _say(other, ev.MainStopped())
            elif happened.kind == "ended" and is_main:
                _say(other, ev.MainEnded(str(happened.facts["reason"])))

    def _rooms_changed(self, host: Host) -> None:
        """Every member of the lesson's staff sees every room of it, from whichever they are in."""
        family = [host, *self._kin(host)]
        rooms = rooms_of([other.room for other in family])
        for each in family:
            for connected in each.staff():
                if rooms.rooms or connected.rooms:
                    each.tell_rooms(connected, encode(rooms))

    async def _live(self, lesson_id: str, host: Host, recorder: Recorder) -> None:
        reason, writing = "", asyncio.create_task(host.journal.run(), name=f"journal {lesson_id}")
        writing.add_done_callback(partial(_without_a_journal, host))
        try:
            await host.run()
        except asyncio.CancelledError:
            reason = STOPPED
            raise
        except BaseException:
            reason = "the room's host failed"
            log.exception("host.failed", lesson_id=lesson_id)
        finally:
            host.break_off()
            self._hosts.pop(lesson_id, None)
            ending = asyncio.create_task(self._end(host, recorder, writing, reason), name=f"end {lesson_id}")
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            await asyncio.shield(ending)

    async def _end(self, host: Host, recorder: Recorder, writing: asyncio.Task[None], reason: str) -> None:
        lesson_id = host.room.plan.lesson_id
        try:
            await asyncio.gather(self._seal(recorder, lesson_id, reason), self._write_out(host.journal, writing, lesson_id))
        finally:
            writing.cancel()

    async def _write_out(self, journal: Journal, writing: asyncio.Task[None], lesson_id: str) -> None:
        """What a room had not written when it ended, such as a flag, or that it was stopped: without a limit while this process
        lives, and no other host of the lesson begins before."""
        written, stops = asyncio.create_task(journal.drained()), asyncio.create_task(self._stops.wait())
        await asyncio.wait((written, stops, writing), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((written, writing), timeout=LAST_WORDS, return_when=asyncio.FIRST_COMPLETED)
        if not written.done():
            log.critical("journal.not_written", lesson_id=lesson_id)
        written.cancel()
        stops.cancel()

    async def _seal(self, recorder: Recorder, lesson_id: str, reason: str) -> None:
        try:
            await recorder.end(reason)
        except Exception:
            log.exception("recording.not_ended", lesson_id=lesson_id)  # sealed at the next start

    async def _after(self, lesson_id: str) -> None:
        """A host that failed is still sealing its part, and writing what it said last."""
        ending = self._tasks.get(lesson_id)
        if ending is not None:
            _, late = await asyncio.wait([ending], timeout=LAST_WORDS)
            if late:
                raise Unavailable("This lesson is being put in order. Your page comes back by itself.")

    async def _glance(self, look: Callable[[AsyncSession], Awaitable[Found]]) -> Found:
        async with self.database.glance() as session:
            return await look(session)

    def refresh(self, lesson_id: str = "", child_id: str = "") -> None:
        """Something was decided about a lesson, a child, or anybody: read the plan now, not at the next second."""
        for each, host in self._hosts.items():
            if lesson_id in ("", each, host.room.plan.family) and (not child_id or child_id in host.room.plan.people):
                host.refresh()

    def refresh_of(self, person_id: str) -> None:
        """Somebody's sign-ins ended: the rooms they are in ask now who is still signed in."""
        for host in self._hosts.values():
            if any(c.person == person_id for c in host.connections.values()):
                host.refresh()

    def withhold(self, approval_id: str) -> None:
        """An approval is being ended: from this turn on nobody is alone by it, before that is written (invariant I7)."""
        for host in self.hosts():
            with _alone(host):
                host.withhold(approval_id)

    def cut_off(self, person_id: str, session_id: str = "") -> None:
        """Somebody's sign-ins are being ended, or this one: their lines close in this turn, their media with them."""
        for host in self.hosts():
            with _alone(host):
                host.sign_out(lambda c: c.person == person_id and session_id in ("", c.session))

    async def close(self) -> None:
        """The process ends: everybody is told to come back, every part is sealed, what was said last is written."""
        self._closing = True
        self._stops.set()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._endings, return_exceptions=True)


def _without_a_journal(host: Host, writing: asyncio.Task[None]) -> None:
    """A room whose journal is not written any more is shut: nobody would know who was in it (policy: RL9)."""
    if not writing.cancelled() and (error := writing.exception()):
        host.fail(error)


@contextmanager
def _alone(host: Host) -> Iterator[None]:
    """What breaks in a room has shut that room, and is no reason to stop here."""
    try:
        yield
    except Exception:
        log.exception("host.failed", lesson_id=host.room.plan.lesson_id)


def _say(host: Host, event: ev.RoomEvent) -> None:
    """To another room of a lesson."""
    with _alone(host):
        host.handle(event)


def open_registry(state: Any, plane: Plane | None) -> Registry:
    """The registry of an application, from its state."""
    def seen(session_id: str) -> None:
        state.seen[session_id] = state.clock.now()

    registry = Registry(state.database, state.clock, state.vault, Tickets(ticket_key(state.keys), state.clock), plane, seen)
    registry.one_address, registry.rosters = state.settings.dev, state.rosters
    return registry


def withhold(state: Any, event: OneToOneRevoked, _actor: Actor) -> None:
    """Closes: whatever else ends an approval (its approver's role, a leaver) ends it by this event too."""
    state.rooms.withhold(event.approval_id)


def cut_off(state: Any, event: SignedOut | SessionsEnded, actor: Actor) -> None:
    """Closes: `SignedOut` is one sign-in, the actor's own; `SessionsEnded` all of a person's."""
    state.rooms.cut_off(event.person_id, actor.session_id if isinstance(event, SignedOut) else "")


async def refresh_rooms(state: Any, event: Any) -> None:
    """Reaction to whatever was decided about a lesson, a person, a consent: delivery is the optimisation, since every host
    also asks twice a second whether its plan is current."""
    state.rooms.refresh(getattr(event, "lesson_id", "") or "", event.subject_id if event.kind in reading.ABOUT_ONE_CHILD else "")


async def refresh_rooms_of(state: Any, event: Any) -> None:
    """Reaction to the end of a person's sign-ins: it concerns the rooms they are in. Were every room to look, as many as are
    on at nine o'clock would do so before the one that matters."""
    state.rooms.refresh_of(event.person_id)
