"""The family's app first, then the telephone; whoever said no is not rung again (policy: CM4)."""

import pytest

from service.calls.first import AppFirst
from service.calls.number import Number
from service.calls.way import End, Kind, NoWay, Order
from tests.calls.people import PARENT, SCHOOL
from tests.calls.stage import Diary
from tests.fakes import FakeWay

ORDER = Order("a" * 32, Number(PARENT), Number(SCHOOL), offer="v=0", person="b" * 32)


class Ground:
    def __init__(self) -> None:
        self.app, self.telephone, self.diary = FakeWay(), FakeWay(), Diary()
        self.way = AppFirst(self.app, lambda: self.telephone)

    async def place(self) -> None:
        await self.way.place(ORDER, self.diary.tell)

    @property
    def rung(self) -> list[str]:
        return [name for name, way in (("app", self.app), ("telephone", self.telephone)) if way.orders]


@pytest.mark.parametrize("end", [End.NO_ANSWER, End.FAULT])
async def test_whoever_does_not_answer_in_the_app_is_rung_by_telephone_with_the_same_offer(end: End) -> None:
    ground = Ground()
    await ground.place()
    await ground.app.say(ORDER.call_id, Kind.RINGING)
    assert ground.rung == ["app"]
    await ground.app.say(ORDER.call_id, Kind.ENDED, end=end)
    assert ground.telephone.orders[ORDER.call_id] == ORDER
    assert Kind.ENDED not in ground.diary.kinds
    await ground.telephone.say(ORDER.call_id, Kind.ANSWERED, answer="v=0 answer")
    await ground.way.connect(ORDER.call_id)
    assert ground.telephone.heard == {ORDER.call_id}
    assert ground.app.heard == set()


@pytest.mark.parametrize("end", [End.REFUSED, End.BUSY, End.HUNG_UP, End.CANCELLED])
async def test_whoever_said_no_in_the_app_is_not_rung_by_telephone(end: End) -> None:
    ground = Ground()
    await ground.place()
    await ground.app.say(ORDER.call_id, Kind.ENDED, end=end)
    assert ground.rung == ["app"]
    assert [news.end for news in ground.diary.news] == [end]


async def test_a_call_that_was_answered_in_the_app_is_not_begun_again_by_telephone() -> None:
    ground = Ground()
    await ground.place()
    await ground.app.say(ORDER.call_id, Kind.ANSWERED)
    await ground.app.say(ORDER.call_id, Kind.ENDED, end=End.FAULT)
    assert ground.rung == ["app"]
    assert ground.diary.kinds == [Kind.ANSWERED, Kind.ENDED]


async def test_without_an_open_app_the_telephone_is_rung_at_once() -> None:
    ground = Ground()
    ground.app.fails = True
    await ground.place()
    assert ground.rung == ["telephone"]
    await ground.way.hang_up(ORDER.call_id)
    assert ground.diary.kinds == [Kind.ENDED]


async def test_a_caller_who_hung_up_is_not_connected_to_the_telephone_afterwards() -> None:
    ground = Ground()
    ground.app.is_deaf = True
    await ground.place()
    await ground.way.hang_up(ORDER.call_id)
    await ground.app.say(ORDER.call_id, Kind.ENDED, end=End.NO_ANSWER)
    assert ground.rung == ["app"]
    assert ground.diary.kinds == [Kind.ENDED]


async def test_a_telephone_that_cannot_be_rung_after_the_app_ends_the_call_without_an_answer() -> None:
    ground = Ground()
    await ground.place()
    ground.telephone.fails = True
    await ground.app.say(ORDER.call_id, Kind.ENDED, end=End.NO_ANSWER)
    assert [news.end for news in ground.diary.news] == [End.NO_ANSWER]


async def test_a_school_without_a_telephone_way_calls_nobody() -> None:
    ground = Ground()
    ground.way = AppFirst(ground.app, lambda: None)
    with pytest.raises(NoWay):
        await ground.place()
    assert ground.rung == []
