"""Two telephones bridged through the school's trunk: real ones, at the end of a cable (policy: CM3, CM4)."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from service.calls.number import Number
from service.calls.sip.way import SipWay
from service.calls.way import End, Kind, Order
from tests.calls import stage
from tests.calls.cable import Cable, Trunkside
from tests.calls.ears import hertz
from tests.calls.exchange import FAMILY_ADDRESS, OWN, STAFF_ADDRESS, exchange
from tests.calls.people import HEARD, SAID
from tests.calls.phones import Baresip
from tests.calls.stage import Diary, seconds


def order(**more: object) -> Order:
    return stage.order("", telephone=Number(OWN), **more)


@dataclass
class Both:
    """The teacher's telephone and the family's, and the way between them."""

    way: SipWay
    cable: Cable
    staff: Baresip
    family: Baresip

    def hears(self, address: str, since: float) -> float:
        return hertz(self.cable.sound(to=address, since=since))


@asynccontextmanager
async def both(side: Trunkside, folder: Path, *, codecs: str = "PCMA,PCMU") -> AsyncIterator[Both]:
    async with AsyncExitStack() as ends:
        await ends.enter_async_context(exchange(side, folder / "exchange"))
        staff = await ends.enter_async_context(Baresip(
            side, folder / "staff", number=OWN, address=STAFF_ADDRESS, says=HEARD))
        family = await ends.enter_async_context(Baresip(
            side, folder / "family", address=FAMILY_ADDRESS, says=SAID, codecs=codecs))
        cable = await ends.enter_async_context(Cable(folder / "cable"))
        yield Both(await ends.enter_async_context(stage.way()), cable, staff, family)


async def test_both_hear_each_other_after_connect_and_neither_before_nor_after_the_end(side: Trunkside, tmp_path: Path) -> None:
    async with both(side, tmp_path) as two:
        placed, diary = order(), Diary()
        await two.way.place(placed, diary.tell)
        await two.cable.until(lambda sip: sip.count("ACK sip:") == 1)
        await seconds(1)
        assert Kind.RINGING not in diary.kinds
        two.staff.press("1")
        await diary.until(Kind.ANSWERED)
        await seconds(1)
        before = time.time()
        await seconds(1)
        assert [two.hears(each, before) for each in (STAFF_ADDRESS, FAMILY_ADDRESS)] == [0, 0]
        await two.way.connect(placed.call_id)
        connected = time.time()
        await seconds(1.5)
        assert two.hears(FAMILY_ADDRESS, connected + 0.2) == HEARD
        assert two.hears(STAFF_ADDRESS, connected + 0.2) == SAID
        await two.way.hang_up(placed.call_id)
        ended = time.time()
        assert (await diary.until(Kind.ENDED)).end is End.HUNG_UP
        await seconds(0.5)
        assert not two.cable.sound(to=FAMILY_ADDRESS, since=ended + 0.05)
        assert not two.cable.sound(to=STAFF_ADDRESS, since=ended + 0.05)
