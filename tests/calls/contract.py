"""What every `Way` must do (service/calls/way.py), as functions that any way's test module runs on its own ground.

A module builds a `Ground` and runs every entry of `CONTRACT` on it, each on a fresh one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol

from service.calls.way import End, Kind, News, Order, Way
from tests.calls.stage import Diary


class Family(Enum):
    """What whoever is rung does."""

    ANSWERS = "answers"
    IS_BUSY = "is busy"
    NEVER_ANSWERS = "never answers"
    HANGS_UP = "answers, and hangs up at once"


class Ground(Protocol):
    way: Way

    async def order(self, family: Family) -> Order:
        """A call that can be placed, to a family that will do this."""


async def _placed(ground: Ground, family: Family) -> tuple[Order, Diary]:
    order, diary = await ground.order(family), Diary()
    await ground.way.place(order, diary.tell)
    return order, diary


async def _once_over(diary: Diary, *ends: End) -> None:
    news = await diary.until(Kind.ENDED)
    assert news.end in ends, news
    await asyncio.sleep(0.3)
    assert diary.kinds.count(Kind.ENDED) == 1
    assert diary.kinds[-1] is Kind.ENDED
    assert all(each.end is None for each in diary.news[:-1])


async def an_answered_call_ends_once_by_hanging_up(ground: Ground) -> None:
    assert await asyncio.wait_for(ground.way.faults(), 2) == ()
    order, diary = await _placed(ground, Family.ANSWERS)
    await diary.until(Kind.ANSWERED)
    await ground.way.connect(order.call_id)
    await ground.way.hold(order.call_id, True)
    await ground.way.hold(order.call_id, False)
    await ground.way.hang_up(order.call_id)
    await ground.way.hang_up(order.call_id)
    await _once_over(diary, End.HUNG_UP)
    assert {news.call_id for news in diary.news} == {order.call_id}


async def the_answer_for_the_browser_is_given_once(ground: Ground) -> None:
    order, diary = await _placed(ground, Family.ANSWERS)
    await diary.until(Kind.ANSWERED)
    with_answer = [news for news in diary.news if news.answer]
    assert len(with_answer) == (1 if order.offer else 0)
    assert all(news.kind in (Kind.EARLY, Kind.ANSWERED) for news in with_answer)
    await ground.way.hang_up(order.call_id)
    await _once_over(diary, End.HUNG_UP)


async def a_busy_family_ends_it(ground: Ground) -> None:
    _, diary = await _placed(ground, Family.IS_BUSY)
    await _once_over(diary, End.BUSY)
    assert Kind.ANSWERED not in diary.kinds


async def a_call_can_be_taken_back_while_it_rings(ground: Ground) -> None:
    order, diary = await _placed(ground, Family.NEVER_ANSWERS)
    await ground.way.hang_up(order.call_id)
    await _once_over(diary, End.CANCELLED, End.HUNG_UP)
    assert Kind.ANSWERED not in diary.kinds


async def the_family_may_hang_up(ground: Ground) -> None:
    _, diary = await _placed(ground, Family.HANGS_UP)
    await _once_over(diary, End.HUNG_UP)


async def a_call_that_nobody_knows_is_nothing(ground: Ground) -> None:
    order, diary = await _placed(ground, Family.ANSWERS)
    await diary.until(Kind.ANSWERED)
    nobody = "0" * 32
    await ground.way.connect(nobody)
    await ground.way.press(nobody, "1")
    await ground.way.hold(nobody, True)
    await ground.way.leave_message(nobody)
    await ground.way.hang_up(nobody)
    assert Kind.ENDED not in diary.kinds
    await ground.way.hang_up(order.call_id)
    await _once_over(diary, End.HUNG_UP)
    await ground.way.connect(order.call_id)
    await ground.way.leave_message(order.call_id)
    assert diary.kinds[-1] is Kind.ENDED


async def closing_ends_every_call(ground: Ground) -> None:
    _, diary = await _placed(ground, Family.ANSWERS)
    await diary.until(Kind.ANSWERED)
    await ground.way.close()
    await _once_over(diary, End.HUNG_UP, End.FAULT)


async def whoever_is_told_may_ask_for_the_end(ground: Ground) -> None:
    """The desk hangs up from inside `tell`; nothing waits for itself."""
    order, diary = await ground.order(Family.ANSWERS), Diary()

    async def tell(news: News) -> None:
        await diary.tell(news)
        if news.kind is Kind.ANSWERED:
            await ground.way.hang_up(order.call_id)

    await ground.way.place(order, tell)
    await _once_over(diary, End.HUNG_UP)


CONTRACT: tuple[Callable[[Ground], Awaitable[None]], ...] = (
    an_answered_call_ends_once_by_hanging_up, the_answer_for_the_browser_is_given_once, a_busy_family_ends_it,
    a_call_can_be_taken_back_while_it_rings, the_family_may_hang_up, a_call_that_nobody_knows_is_nothing, closing_ends_every_call,
    whoever_is_told_may_ask_for_the_end,
)
