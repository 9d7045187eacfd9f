"""The family's app first, then the telephone: one way over two (policy: CM4).

A web app cannot ring a phone that is locked, so it is asked only while it is open; whoever does not answer there is rung as
ever. Whoever said no there is not rung again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from service.calls.number import Number
from service.calls.way import End, Kind, News, NoWay, Order, Tell, Way

GOES_ON = (End.NO_ANSWER, End.FAULT)
"""Nobody was there, or it did not work: the telephone is rung."""


@dataclass(eq=False)
class Carried:
    """A call that is on, and what carries it now."""

    order: Order
    tell: Tell
    way: Way
    answered: bool = False
    hung_up: bool = False


class AppFirst:
    """`telephone`: what else carries calls just now, which may change; without it nobody is called, in the app neither."""

    def __init__(self, app: Way, telephone: Callable[[], Way | None]) -> None:
        self.app, self._telephone = app, telephone
        self._calls: dict[str, Carried] = {}

    @property
    def number(self) -> Number | None:
        telephone = self._telephone()
        return telephone.number if telephone else None

    async def faults(self) -> tuple[str, ...]:
        """Those of the telephone: the app is an addition."""
        telephone = self._telephone()
        return await telephone.faults() if telephone else ("There is no telephone way.",)

    async def place(self, order: Order, tell: Tell) -> None:
        telephone = self._telephone()
        if telephone is None or order.call_id in self._calls:
            raise NoWay
        call = self._calls[order.call_id] = Carried(order, tell, self.app)
        try:
            try:
                await self._by(self.app, call)
            except NoWay:
                if call.hung_up:
                    raise
                await self._by(telephone, call)
        except NoWay:
            self._calls.pop(order.call_id, None)
            raise

    async def _by(self, way: Way, call: Carried) -> None:
        async def told(news: News) -> None:
            await self._hear(call, news)

        call.way = way
        await way.place(call.order, told)

    async def _hear(self, call: Carried, news: News) -> None:
        if news.kind is Kind.ENDED:
            if self._goes_on(call, news) and await self._ring_telephone(call):
                return
            self._calls.pop(news.call_id, None)
        call.answered = call.answered or news.kind is Kind.ANSWERED
        await call.tell(news)

    def _goes_on(self, call: Carried, news: News) -> bool:
        return call.way is self.app and news.end in GOES_ON and not call.answered and not call.hung_up

    async def _ring_telephone(self, call: Carried) -> bool:
        """Whether it is rung. The caller's offer is still good: nobody answered it."""
        telephone = self._telephone()
        if telephone is None:
            return False
        try:
            await self._by(telephone, call)
        except NoWay:
            return False
        return True

    async def connect(self, call_id: str) -> None:
        if call := self._calls.get(call_id):
            await call.way.connect(call_id)

    async def hang_up(self, call_id: str) -> None:
        if call := self._calls.get(call_id):
            call.hung_up = True
            await call.way.hang_up(call_id)

    async def press(self, call_id: str, digits: str) -> None:
        if call := self._calls.get(call_id):
            await call.way.press(call_id, digits)

    async def hold(self, call_id: str, held: bool) -> None:
        if call := self._calls.get(call_id):
            await call.way.hold(call_id, held)

    async def leave_message(self, call_id: str) -> None:
        if call := self._calls.get(call_id):
            await call.way.leave_message(call_id)

    async def close(self) -> None:
        for call in self._calls.values():
            call.hung_up = True
        await self.app.close()
        if telephone := self._telephone():
            await telephone.close()
