"""Two telephones, bridged by a hosted provider: `service.calls.way.Network` over its REST interface (policy: CM3, CM4).

The caller's own telephone is rung first, then the family's, each by itself and from the school's number. Each waits alone and in
silence; `connect` moves both into one room, and nothing else does. Whatever is not certain ends the call.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

import structlog

from service.calls.number import Number
from service.calls.rest import signature as signing
from service.calls.rest import words
from service.calls.rest.account import Account, account_of
from service.calls.rest.api import Api, Declined, NotCertain
from service.calls.rest.call import ENDS, At, Call, Leg
from service.calls.way import By, End, Kind, NotKnown, NoWay, Order, Tell, Text
from service.foundation.errors import NotAllowed, NotFound, Unavailable
from service.foundation.settings import Settings

CALLER_SECONDS, FAMILY_SECONDS = 30, 45
"""How long each rings."""
ANSWER_SECONDS = 120.0
"""After which nobody answered, whatever the provider says or does not."""
LOOK_SECONDS = 5.0
"""Between two questions to the provider how its calls are: what it tells us by itself may be lost."""
PATIENCE = 2
"""Looks in a row that may be in doubt."""
KEEP_SECONDS = 60.0
"""For which words about a call that is over are still known for what they are."""
CLEAR_SECONDS = 10.0
"""A request that got no answer may be done this much later."""
AGAIN_SECONDS = 1.0
OPEN_SECONDS, END_SECONDS = 5.0, 4.0


log = structlog.get_logger(__name__)


def way_of(settings: Settings) -> "RestWay | None":
    """The way through the school's provider, not opened yet; none where none is set. Raises ProviderInvalid."""
    account = account_of(settings)
    return RestWay(account) if account else None


class RestWay:
    """`open` before the first call, `close` after the last. One process alone uses the account's number by this interface."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._api = Api(account)
        self._calls: dict[str, Call] = {}
        self._legs: dict[str, Leg] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ringing = asyncio.Lock()
        """Held while a telephone is rung whose sid is not known yet, and while what nobody knows is ended."""
        self._doubt_until = 0.0
        self._clearing: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self) -> None:
        """End what a crash left on. Until that is certain nobody is called, and `faults` says so; it is tried for ever."""
        self._doubt(0)
        if self._clearing is not None:
            await asyncio.wait([self._clearing], timeout=OPEN_SECONDS)

    by = frozenset({By.TELEPHONE})

    @property
    def number(self) -> Number:
        return self.account.number

    # -- the contract -----------------------------------------------------------------------------------------------------------

    async def faults(self) -> tuple[str, ...]:
        if self._clearing is not None:
            return ("The telephone provider has not confirmed yet that earlier calls are over.",)
        try:
            async with asyncio.timeout(2):
                is_open = await self._api.is_open()
        except Declined:
            return ("The telephone provider does not know this account, or its token.",)
        except (NotCertain, TimeoutError):
            return ("The telephone provider does not answer.",)
        return () if is_open else ("The account with the telephone provider is suspended.",)

    async def place(self, order: Order, tell: Tell) -> None:
        if order.offer or order.telephone is None:
            raise NoWay("Calls through this provider need your own phone, and a leader’s approval to use it. Nobody was called.")
        if order.withheld:
            raise NoWay("Calls through this provider always show the school’s number. Ask the office to change the setting.")
        if order.shown != self.number or order.call_id in self._calls or self._closing or self._clearing is not None:
            raise NoWay
        call = self._calls[order.call_id] = Call(order, order.telephone, tell)
        self._legs |= {leg.key: leg for leg in call.legs}
        try:
            await self._dial(call.caller, CALLER_SECONDS)
        except Declined as refused:
            self._forget(call)
            raise NoWay from refused
        except NotCertain:
            self._end(call, End.FAULT)
        self._spawn(self._report(call))
        call.watching = self._spawn(self._watch(call))

    async def connect(self, call_id: str) -> None:
        call = self._calls.get(call_id)
        if call is not None and call.family.at is At.ANSWERED and call.ending is None and not call.is_connected:
            call.is_connected = True
            await self._move(call, call.legs, words.together(call.id))

    async def hang_up(self, call_id: str) -> None:
        call = self._calls.get(call_id)
        if call is not None and call.ending is None:
            call.ending = End.HUNG_UP if call.family.at is At.ANSWERED else End.CANCELLED
            await self._finish(call)

    async def press(self, call_id: str, digits: str) -> None:
        """The family's telephone leaves the room for as long as the tones take."""
        call = self._calls.get(call_id)
        if call is not None and call.can_be_heard and digits and set(digits) <= set("0123456789*#"):
            await self._move(call, [call.family], words.together(call.id, digits))

    async def hold(self, call_id: str, held: bool) -> None:
        call = self._calls.get(call_id)
        if call is not None and call.can_be_heard:
            await self._move(call, call.legs, words.wait(words.HOLD_SECONDS) if held else words.together(call.id))

    async def leave_message(self, call_id: str) -> None:
        call = self._calls.get(call_id)
        if call is None or call.family.at is not At.ANSWERED or call.ending is not None or call.is_leaving_message:
            return
        call.is_leaving_message = True
        if await self._cut([call.caller]):
            await self._move(call, [call.family], words.message(self.account.message))
        else:
            self._end(call, End.FAULT)

    texts = True

    async def text(self, text: Text) -> None:
        if self._closing:
            raise NoWay
        try:
            await self._api.send(text.to, text.words, f"{self.account.origin}/calls/provider/texts/{text.key}/status")
        except Declined as refused:
            raise NoWay from refused
        except NotCertain as unknown:
            raise NotKnown from unknown

    def heard_text(self, path: str, body: bytes, signature: str) -> dict[str, str]:
        return self._believed(f"{self.account.origin}{path}", body, signature, signing.LONGEST_TEXT)

    async def close(self) -> None:
        self._closing = True
        await asyncio.gather(*(self.hang_up(call_id) for call_id in [*self._calls]))
        if self._tasks:
            await asyncio.wait([*self._tasks], timeout=LOOK_SECONDS)
        for task in [*self._tasks]:
            task.cancel()
        await self._api.close()

    # -- what the provider says -------------------------------------------------------------------------------------------------

    def hear(self, key: str, what: str, body: bytes, signature: str) -> str:
        """What a telephone is to do, or nothing for mere news. Raises NotFound, NotAllowed: then nothing has changed."""
        leg = self._legs.get(key)
        if leg is None or what not in ("answered", "begun", "status"):
            raise NotFound
        said = self._believed(self._address(leg, what), body, signature)
        sid = said.get("CallSid", "")
        if not sid or leg.sid not in ("", sid) or not leg.is_new(signature):
            raise NotAllowed
        leg.sid = sid
        if what == "status":
            self._is(leg, said.get("CallStatus", ""))
            return ""
        if leg.call.ending is not None or not leg.may_be_on:
            return words.HANG_UP
        return self._answered(leg) if what == "answered" else self._begun(leg, said.get("Digits", ""))

    def _believed(self, url: str, body: bytes, signature: str, longest: int = signing.LONGEST) -> dict[str, str]:
        """The fields, where the provider signed them for this address of ours. Raises NotAllowed."""
        fields = signing.fields_of(body, longest)
        if fields is None or not signing.is_signed(self.account.token, url, fields, signature):
            raise NotAllowed
        said = dict(fields)
        if said.get("AccountSid") != self.account.sid:
            raise NotAllowed
        return said

    def _answered(self, leg: Leg) -> str:
        if not leg.to_stage(At.ANSWERED):
            return words.HANG_UP
        if not leg.is_family:
            return words.press_one(self._address(leg, "begun"))
        leg.call.say(Kind.ANSWERED)
        return words.wait(words.CONNECT_SECONDS)

    def _begun(self, leg: Leg, digits: str) -> str:
        """The caller is there: ring the family."""
        call = leg.call
        if leg.is_family or digits != "1" or leg.at is not At.ANSWERED or call.is_begun:
            return words.HANG_UP
        call.is_begun = True
        self._spawn(self._dial_family(call.family))
        return words.wait(words.DIAL_SECONDS, "We are calling them. Please wait.")

    def _is(self, leg: Leg, status: str) -> None:
        """A telephone's state, as it was told or asked for. That somebody answered is believed only of an answer's own words."""
        call = leg.call
        if status == "ringing" and leg.to_stage(At.RINGING) and leg.is_family:
            call.say(Kind.RINGING)
        answered = leg.at is At.ANSWERED
        if status in ENDS and leg.to_stage(At.OVER) and (leg.is_family or not call.is_leaving_message):
            if leg.is_family:
                self._end(call, ENDS[status])
            else:
                self._end(call, End.HUNG_UP if answered and call.family.at is At.ANSWERED else End.CANCELLED)

    async def _watch(self, call: Call) -> None:
        """Ask how it is, for what was not told. What cannot be found out twice in a row is over."""
        doubts = 0
        until = asyncio.get_running_loop().time() + ANSWER_SECONDS
        while call.ending is None:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                is_certain = all([await self._is_as_we_know(leg) for leg in call.legs if leg.sid and leg.may_be_on])
            except Unavailable:
                is_certain = False
            doubts = 0 if is_certain else doubts + 1
            if doubts >= PATIENCE:
                self._end(call, End.FAULT)
            elif call.family.at is not At.ANSWERED and asyncio.get_running_loop().time() > until:
                self._end(call, End.NO_ANSWER)

    async def _is_as_we_know(self, leg: Leg) -> bool:
        """False where somebody is on the telephone who never asked us what to do."""
        status = (await self._api.look(leg.sid)).status
        self._is(leg, status)
        return status != "in-progress" or leg.at >= At.ANSWERED

    # -- what we do -------------------------------------------------------------------------------------------------------------

    def _address(self, leg: Leg, what: str) -> str:
        return f"{self.account.origin}/calls/provider/{leg.key}/{what}"

    async def _dial(self, leg: Leg, seconds: int) -> None:
        """Ring one telephone. Raises Declined where it certainly is not, NotCertain where it may be."""
        call = leg.call
        async with call.dialling, self._ringing:
            if call.ending is not None or self._closing:
                raise Declined
            leg.at = At.PLACED
            try:
                sid = await self._api.ring(leg.to, answered=self._address(leg, "answered"), status=self._address(leg, "status"),
                                           seconds=seconds)
                if leg.sid not in ("", sid):
                    raise NotCertain
                leg.sid = sid
            except Declined:
                leg.at = At.OVER
                raise
            except NotCertain:
                self._doubt()
                raise

    async def _dial_family(self, family: Leg) -> None:
        try:
            await self._dial(family, FAMILY_SECONDS)
        except Unavailable:
            self._end(family.call, End.FAULT)

    async def _move(self, call: Call, legs: Iterable[Leg], said: str) -> None:
        """New words for telephones that are on; where one may not have heard them the call is over."""
        async with call.moving:
            if call.ending is not None:
                return
            told = await asyncio.gather(*(self._api.tell(leg.sid, said) for leg in legs), return_exceptions=True)
        if any(isinstance(each, BaseException) for each in told):
            self._end(call, End.FAULT)

    def _end(self, call: Call, how: End) -> None:
        if call.ending is None:
            call.ending = how
            self._spawn(self._finish(call))

    async def _finish(self, call: Call) -> None:
        """Both telephones, also one that is being rung just now; then it is over. What was not confirmed is seen to."""
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._cut([leg for leg in call.legs if leg.sid])
                async with call.dialling:
                    await self._cut(call.legs)
        except TimeoutError:
            self._doubt()
        call.end()

    async def _cut(self, legs: Iterable[Leg]) -> bool:
        return all(await asyncio.gather(*(self._cut_one(leg) for leg in legs)))

    async def _cut_one(self, leg: Leg) -> bool:
        if not leg.may_be_on:
            return True
        try:
            if not leg.sid:
                raise NotCertain
            await self._api.end(leg.sid)
        except Unavailable:
            self._doubt()
            return False
        leg.at = At.OVER
        return True

    def _doubt(self, seconds: float | None = None) -> None:
        """Something may be on that should not be. Until it certainly is not, nobody is called."""
        now = asyncio.get_running_loop().time()
        self._doubt_until = max(self._doubt_until, now + (CLEAR_SECONDS if seconds is None else seconds))
        if seconds is None:
            log.warning("calls.in_doubt")
        if self._clearing is None:
            self._clearing = self._spawn(self._clear())

    async def _clear(self) -> None:
        """End every telephone that we rang and that is of no call of ours, for as long as there may be one."""
        loop, is_clear = asyncio.get_running_loop(), False
        while not is_clear or loop.time() < self._doubt_until:
            try:
                async with self._ringing:
                    known = {leg.sid for call in self._calls.values() if call.ending is None for leg in call.legs}
                    astray = [each for each in await self._api.on_now() if each.ours and each.sid not in known]
                    await asyncio.gather(*(self._api.end(each.sid) for each in astray))
                is_clear = True
            except Unavailable:
                is_clear = False
            if not is_clear or loop.time() < self._doubt_until:
                await asyncio.sleep(AGAIN_SECONDS)
        self._clearing = None

    async def _report(self, call: Call) -> None:
        """Tell, in order; after the last word let go of it."""
        while True:
            news = await call.news.get()
            if news.end is not None:
                break
            try:
                await call.tell(news)
            except Exception:
                log.exception("calls.telling_failed", call=call.id)
                self._end(call, End.FAULT)
        self._forget(call)
        await call.tell(news)

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.id, None)
        if call.watching is not None:
            call.watching.cancel()
        for leg in call.legs:
            asyncio.get_running_loop().call_later(KEEP_SECONDS, self._legs.pop, leg.key, None)

    def _spawn(self, doing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
