"""The calls of this process, from dialling to the last word (policy: CM2 to CM6).

Journal first: a call is written down and committed before anybody is rung, and that it is connected before anybody is heard. The
rule is asked at dialling, when somebody answers, and every second from then on; what was decided elsewhere (a grant ended, a flag
set, somebody signed out) ends a call in the turn in which it is said, and the second's look is what that rests on. Where the rule
cannot be asked within two seconds, nobody is called and whoever is connected is not any longer.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from service.calls import commands, numbers, queries
from service.calls.events import PersonalPhoneEnded
from service.calls.number import Number
from service.calls.progress import STATE_WORDS, WHY_WORDS, Progress, Stage, Why, why_of
from service.calls.queries import Teaches, Wanted
from service.calls.rules import NO_GRANT, NO_OWN_NUMBER, NO_SCHOOL_NUMBER, SIGNED_OUT, Allowed, CannotTell, Not, Refused
from service.calls.tables import Call
from service.calls.way import End, Kind, News, NoWay, Order, Way
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.errors import Conflict, NotFound, SafeguardError, Unavailable
from service.foundation.events import Actor
from service.people.events import SessionsEnded, SignedOut
from service.people.hashing import Pepper

log = structlog.get_logger(__name__)
EVERY = 1.0
"""Seconds between two looks at the rule while a call is on."""
PATIENCE = 2.0
"""Seconds that a decision may take."""
RINGING_YOURS = "Ringing your phone. Answer it, then press 1"
GONE = 5.0
"""Seconds for the way to say that a call has ended which was hung up; then it is over here all the same."""
ELSEWHERE = "This call is on in another window, or was just ended. Go on there."
RESTARTING = "The service is restarting. Try again in a minute."
NOT_CONNECTED = "Calls are not connected at this school yet. Ask the office to ring."


class Line(Protocol):
    """The caller's page. Sending never waits."""

    def send(self, message: dict[str, str]) -> None: ...


@dataclass(frozen=True)
class Cut:
    """Why a call is being ended here."""

    why: Why
    refusal: Not | None = None
    by: str = ""


@dataclass(eq=False)
class Live:
    """One call that is on."""

    wanted: Wanted
    actor: Actor
    way: Way
    progress: Progress = field(default_factory=lambda: Progress(Stage.PLACED))
    line: Line | None = None
    cut: Cut | None = None
    message_left: bool = False
    in_app: bool = False
    words: str = ""
    mailbox: asyncio.Queue[News | None] = field(default_factory=asyncio.Queue)
    """News; None is a look at the rule."""
    task: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self.wanted.call_id

    def say(self, message: dict[str, str]) -> None:
        if self.line is not None:
            self.line.send(message)

    def state(self) -> dict[str, str]:
        """What the caller's page shows."""
        stage, words = self.progress.stage, STATE_WORDS[self.progress.stage]
        if stage is Stage.PLACED and self.wanted.by_telephone:
            words = RINGING_YOURS
        if self.message_left and stage is Stage.CONNECTED:
            words = "Leaving the school’s message"
        if self.in_app and stage is Stage.CONNECTED:
            words = "Connected in their app"
        if self.progress.is_over:
            why = self.progress.why or Why.NOT_KNOWN
            words = self.words or (words if why is Why.HUNG_UP else WHY_WORDS[why])
        return {"type": "state", "state": stage.code, "words": words}


class Desk:
    """In the application's state as `desk`. `way`: what carries calls, or None while the school has nothing that does."""

    def __init__(self, database: Database, clock: Clock, pepper: Pepper, *, way: Callable[[], Way | None],
                 has_lessons_with: Teaches, seen: Callable[[str], None]):
        self._database, self._clock, self._pepper, self._way = database, clock, pepper, way
        self._has_lessons_with, self._seen = has_lessons_with, seen
        self._calls: dict[str, Live] = {}
        self._placing: set[str] = set()
        """Calls that are being written down, and not on yet: nobody else places them, or ends what is to be on."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False

    async def begin(self) -> None:
        """Close what a crash left open, before the first call."""
        async with self._database.writing() as session:
            await commands.close_what_a_crash_left(session, self._clock.now())

    def live(self, call_id: str) -> Live | None:
        return self._calls.get(call_id)

    # Placing

    async def place(self, actor: Actor, call_id: str, *, offer: str = "", line: Line | None = None) -> None:
        """Ask the rule, write the call down, and ring. Raises Refused in the rule's words, CannotTell, or NoWay: then nobody was
        rung."""
        way = self._way()
        if way is None or self._is_closing:
            raise NoWay(NOT_CONNECTED if way is None else RESTARTING)
        if call_id in self._placing or call_id in self._calls:
            raise Conflict(ELSEWHERE)
        self._placing.add(call_id)
        try:
            async with asyncio.timeout(PATIENCE):
                wanted, order = await self._dial(actor, call_id, offer)
        except SafeguardError as refusal:
            self._placing.discard(call_id)
            if isinstance(refusal, Unavailable):  # the database's writer is busy
                raise CannotTell() from refusal
            raise
        except asyncio.CancelledError:
            self._start(self._give_up(actor, call_id, Why.PAGE_CLOSED))
            raise
        except Exception as error:
            self._start(self._give_up(actor, call_id, Why.NOT_CHECKED))
            raise CannotTell() from error
        if self._is_closing:  # it was written down while the service ended, and nobody would end it
            self._start(self._give_up(actor, call_id, Why.NOT_PLACED))
            raise NoWay(RESTARTING)
        live = self._calls[call_id] = Live(wanted, actor, way, line=line)
        self._placing.discard(call_id)
        live.task = self._start(self._run(live, order))

    async def _dial(self, actor: Actor, call_id: str, offer: str) -> tuple[Wanted, Order]:
        """The decision, and the call written down: one transaction, committed when this returns."""
        async with self._database.writing() as session:
            row = await session.get(Call, call_id)
            if row is None or row.school_id != actor.school_id or row.caller_id != actor.person_id:
                raise NotFound()
            wanted = Wanted(row.school_id, row.caller_id, actor.session_id, row.child_id, row.adult_id, row.purpose,
                            row.by_telephone, row.id)
            said = await commands.decided(session, self._pepper, wanted, self._has_lessons_with)
            callee, shown, own = await self._numbers(session, wanted)
            if isinstance(said, Allowed):
                said = (NO_SCHOOL_NUMBER if shown is None else NO_OWN_NUMBER if wanted.by_telephone and own is None else said)
            if isinstance(said, Allowed) and callee is not None and shown is not None:
                grant = await queries.standing_grant(session, row.school_id, row.caller_id) if row.by_telephone else None
                await commands.place(session, actor, call_id, grant_id=grant.id if grant else "", now=self._clock.now())
                withheld = await queries.is_withheld(session, row.school_id)
                return wanted, Order(call_id, callee, shown, withheld, offer, own if wanted.by_telephone else None,
                                     wanted.adult_id)
            if isinstance(said, Allowed):
                raise CannotTell()
            await commands.refuse(session, actor, wanted, said.code)
            await commands.end(session, actor, call_id, Why.NOT_PLACED, refusal=said.code, now=self._clock.now())
        raise Refused(said.words, code=said.code)

    async def _numbers(self, session: Any, wanted: Wanted) -> tuple[Number | None, Number | None, Number | None]:
        school = wanted.school_id
        return (await numbers.number(session, self._pepper, school, wanted.adult_id, numbers.FAMILY),
                await commands.shown_number(session, self._pepper, school),
                await numbers.number(session, self._pepper, school, wanted.caller_id, numbers.OWN))

    async def _give_up(self, actor: Actor, call_id: str, why: Why) -> None:
        """What may have been written down in the moment in which we gave up, or its page went, and was not placed."""
        await self._write_end(actor, call_id, why)
        self._placing.discard(call_id)

    # While a call is on

    async def _run(self, live: Live, order: Order) -> None:
        live.say(live.state())
        try:
            await self._ring(live, order)
            now = asyncio.get_running_loop().time
            due = now() + EVERY
            while not live.progress.is_over:
                news = None
                if now() < due:  # whoever keeps sending news does not keep the rule from being asked
                    with suppress(TimeoutError):
                        async with asyncio.timeout_at(due):
                            news = await live.mailbox.get()
                if news is not None:
                    await self._hear(live, news)
                else:
                    await self._look(live)
                    due = now() + EVERY
        except asyncio.CancelledError:
            live.progress = live.progress.to(Stage.ENDED, Why.NOT_KNOWN)
            raise
        except Exception:
            log.exception("call.failed", call_id=live.id)
            live.progress = live.progress.to(Stage.ENDED, Why.FAULT)
            await self._hang_up(live)
        finally:
            self._calls.pop(live.id, None)
            await asyncio.shield(self._start(self._over(live)))

    async def _ring(self, live: Live, order: Order) -> None:
        async def tell(news: News) -> None:
            live.mailbox.put_nowait(news)

        try:
            await live.way.place(order, tell)
        except NoWay as refusal:
            live.words = refusal.message
            live.progress = live.progress.to(Stage.ENDED, Why.NOT_PLACED)

    async def _hear(self, live: Live, news: News) -> None:
        if news.call_id != live.id:
            return
        if news.answer and live.progress.stage < Stage.CONNECTED:
            live.say({"type": "answer", "sdp": news.answer})
        if news.kind is Kind.ENDED:
            if live.cut is None and news.end is not End.HUNG_UP:
                live.message_left = False  # the line failed under it
            why = live.cut.why if live.cut else Why.MESSAGE if live.message_left else why_of(news.end)
            live.progress = live.progress.to(Stage.ENDED, why)
            return
        before = live.progress
        live.progress = before.to(Stage[news.kind.name])
        if live.progress != before:
            live.say(live.state())
            if live.progress.stage is Stage.ANSWERED and live.cut is None:
                await self._answered(live, in_app=news.in_app)

    async def _answered(self, live: Live, *, in_app: bool) -> None:
        """Somebody is there. Ask once more, write it down, and let the two hear each other."""
        if not await self._may_go_on(live):
            return
        try:
            async with asyncio.timeout(PATIENCE), self._database.writing(closes=True) as session:
                await commands.connect(session, live.actor, live.id, in_app=in_app, now=self._clock.now())
        except Exception:
            log.exception("call.not_written", call_id=live.id)
            self.cut(live, Cut(Why.NOT_CHECKED))
            return
        if live.cut is None:
            await live.way.connect(live.id)
            live.in_app = in_app
            live.progress = live.progress.to(Stage.CONNECTED)
            live.say(live.state())

    async def _look(self, live: Live) -> None:
        self._seen(live.wanted.session_id)  # who is in a call is not idle
        if live.cut is None:
            await self._may_go_on(live)

    async def _may_go_on(self, live: Live) -> bool:
        """Ask the rule; what it does not allow, or cannot say, ends the call."""
        try:
            async with asyncio.timeout(PATIENCE), self._database.glance() as session:
                said = await commands.decided(session, self._pepper, live.wanted, self._has_lessons_with, is_placed=True)
        except Exception:
            log.exception("call.not_checked", call_id=live.id)
            self.cut(live, Cut(Why.NOT_CHECKED))
            return False
        if isinstance(said, Not):
            self.cut(live, Cut(Why.RULE, said))
        return live.cut is None

    # Ending

    def cut(self, live: Live, cut: Cut) -> None:
        """End a call, in this turn: the way is told before anything else is read or written. The first reason is the reason."""
        if live.cut is not None or live.progress.is_over:
            return
        live.cut = cut
        live.words = cut.refusal.words if cut.refusal else ""
        self._start(self._hang_up(live))
        over = News(live.id, Kind.ENDED)
        asyncio.get_running_loop().call_later(GONE, live.mailbox.put_nowait, over)

    async def _hang_up(self, live: Live) -> None:
        try:
            await live.way.hang_up(live.id)
        except Exception:
            log.exception("call.not_hung_up", call_id=live.id)

    async def _over(self, live: Live) -> None:
        cut = live.cut
        why = live.progress.why or Why.NOT_KNOWN
        more = {"refusal": cut.refusal.code if cut and cut.refusal else "", "ended_by": cut.by if cut else "",
                "message_left": live.message_left}
        is_written = await self._wrote_end(live.actor, live.id, why, **more)
        live.say(live.state())  # its page goes on to the record, which has to know
        if not is_written:
            await self._write_end(live.actor, live.id, why, **more)

    async def _write_end(self, actor: Actor, call_id: str, why: Why, **more: Any) -> None:
        """Until it is written: a call without an end keeps both out of the next. After a crash the start writes it."""
        while True:
            if await self._wrote_end(actor, call_id, why, **more) or self._is_closing:
                return
            await asyncio.sleep(EVERY)

    async def _wrote_end(self, actor: Actor, call_id: str, why: Why, **more: Any) -> bool:
        try:
            async with self._database.writing() as session:
                await commands.end(session, actor, call_id, why, now=self._clock.now(), **more)
        except Exception:
            log.exception("call.end_not_written", call_id=call_id)
            return False
        return True

    # What the caller and others do

    def hang_up(self, live: Live) -> None:
        self.cut(live, Cut(Why.HUNG_UP if live.progress.stage >= Stage.ANSWERED else Why.CANCELLED))

    def end(self, call_id: str, by: Actor) -> bool:
        """A leader ends somebody's call, or its caller their own. False: it is not on here."""
        live = self._calls.get(call_id)
        if live is None:
            return False
        own = by.person_id == live.actor.person_id
        self.hang_up(live) if own else self.cut(live, Cut(Why.ENDED_BY_LEADER, by=by.person_id))
        return True

    async def press(self, live: Live, digits: str) -> None:
        if self._is_connected(live):
            await live.way.press(live.id, digits)

    async def hold(self, live: Live, held: bool) -> None:
        if self._is_connected(live):
            await live.way.hold(live.id, held)

    async def leave_message(self, live: Live) -> None:
        """The school's neutral words, never the caller's, and then the end. Where the school has none the call goes on."""
        if self._is_connected(live):
            live.message_left = True
            try:
                await live.way.leave_message(live.id)
            except Unavailable as refusal:
                live.message_left = False
                live.say({"type": "no-message", "words": refusal.message})
            else:
                live.say(live.state())

    @staticmethod
    def _is_connected(live: Live) -> bool:
        return live.progress.stage is Stage.CONNECTED and live.cut is None and not live.message_left

    def look(self) -> None:
        """Something was decided: every call asks now, not at the next second."""
        for live in self._calls.values():
            live.mailbox.put_nowait(None)

    def sign_out(self, person_id: str, session_id: str = "") -> None:
        """Somebody's sign-ins are being ended, or this one: their calls end in this turn."""
        for live in list(self._calls.values()):
            if live.wanted.caller_id == person_id and session_id in ("", live.wanted.session_id):
                self.cut(live, Cut(Why.RULE, SIGNED_OUT))

    def end_personal(self, person_id: str) -> None:
        """A grant is being ended: a call that somebody makes by their own telephone ends in this turn."""
        for live in list(self._calls.values()):
            if live.wanted.caller_id == person_id and live.wanted.by_telephone:
                self.cut(live, Cut(Why.RULE, NO_GRANT))

    # The life of the process

    def _start(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """The process ends: every call with it, and each is written down as over."""
        self._is_closing = True
        live = list(self._calls.values())
        for one in live:
            self.cut(one, Cut(Why.NOT_KNOWN))
        await asyncio.wait([one.task for one in live if one.task], timeout=GONE) if live else None
        for one in live:
            if one.task:
                one.task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        way = self._way()
        if way is not None:
            await way.close()


def cut_off(state: Any, event: SignedOut | SessionsEnded, actor: Actor) -> None:
    """Closes: `SignedOut` is one sign-in, the actor's own; `SessionsEnded` all of a person's."""
    state.desk.sign_out(event.person_id, actor.session_id if isinstance(event, SignedOut) else "")


def end_personal(state: Any, event: PersonalPhoneEnded, _actor: Actor) -> None:
    """Closes: before the end of the grant is written."""
    state.desk.end_personal(event.person_id)


async def look(state: Any, _event: Any) -> None:
    """Reaction to whatever was decided about people, flags and rules: delivery is the optimisation, since every call also asks
    each second."""
    state.desk.look()
