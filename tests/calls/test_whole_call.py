"""The whole way of a call: a teacher's press in Chromium, the decision, the record, Janus, kamailio, a cable, a telephone.

Whatever either side is given is read in full (policy: CM4, CM5).
"""

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from service.calls.sip.way import SipWay
from tests import netns
from tests.browser.lesson_page import chromium
from tests.browser.test_call_pages import page_of, start
from tests.calls.cable import Cable, Trunkside, leaks
from tests.calls.people import PARENT, SCHOOL, TRUNK
from tests.calls.phones import Baresip
from tests.home_calls import Family, family, until
from tests.school import Running, running
from tests.served import served

pytestmark = pytest.mark.browser


@pytest.fixture
async def trunked(side: Trunkside, tmp_path: Path, template: Path) -> AsyncIterator[Running]:
    """The demo school, whose service was started with the settings of a trunk."""
    settings = {"trunk_host": TRUNK, "trunk_address": netns.ADDRESS, "trunk_number": SCHOOL, "media_addresses": netns.ADDRESS}
    async with running(tmp_path / "data", template=template, **settings) as school:
        assert isinstance(school.app.state.way, SipWay)
        assert await school.app.state.way.faults() == ()
        yield school


def loudest(cable: Cable, since: float) -> int:
    return max(map(abs, cable.sound(since=since)), default=0)


class Wire:
    """Everything that a page is sent and sends."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        page.on("websocket", lambda line: [
            line.on(way, lambda frame: self.said.append(str(frame))) for way in ("framesent", "framereceived")])
        page.on("response", self._note)
        page.on("request", lambda request: self.said.append(f"{request.url} {request.post_data or ''}"))

    async def _note(self, response: object) -> None:
        self.said.append(f"{response.url} {response.headers} {await response.text()}" if response.status < 300 else "")  # type: ignore[attr-defined]


async def test_a_teacher_calls_home_and_neither_learns_the_others_number(
    trunked: Running, side: Trunkside, tmp_path: Path,
) -> None:
    home: Family = await family(trunked, number=PARENT, shown=SCHOOL)
    async with (served(trunked) as url, chromium() as browser, Cable(tmp_path / "cable") as cable,
                Baresip(side, tmp_path / "family"), page_of(browser, home, url, "teacher") as page):
        wire = Wire(page)
        call_id = await start(page, home)
        state = page.get_by_role("status")
        await expect(state).to_have_text("Connected", timeout=15_000)
        connected = time.time()
        await until(lambda: loudest(cable, since=connected) > 1000)  # Chromium's microphone beeps once a second
        row = await home.call(call_id)
        assert row.placed_at is not None
        assert row.connected_at is not None
        await page.get_by_role("button", name="End the call").click()
        await expect(state).to_have_text("Ended")
        await expect(page.get_by_role("button", name="Record what happened")).to_be_focused()
        ended = time.time()
        told = " ".join([*wire.said, await page.content()])
        assert "v=0" in told  # the answer was among what was read
        for hidden in (PARENT.removeprefix("+"), re.sub(r"^\+44", "0", PARENT), TRUNK):
            assert hidden not in told, hidden
        teacher = (trunked.person("teacher"), "Hall", url.rpartition(":")[2])
        assert leaks(cable.trace, teacher) == []
        assert SCHOOL in cable.trace
    assert loudest(cable, since=ended + 0.2) == 0
    assert (await home.call(call_id)).ended_why == "hung-up"


async def test_the_trunks_number_is_the_schools_and_the_office_is_told_so(trunked: Running) -> None:
    async with await trunked.signed_in("office") as client:
        page = await client.get("/calls/settings")
        assert "The school’s number is 01632 960001: its trunk shows no other." in page.text
        await client.post("/calls/settings", data={"number": "01632 960999", "shows": "shown"})
        assert "01632 960001" in (await client.get("/calls/settings")).text
