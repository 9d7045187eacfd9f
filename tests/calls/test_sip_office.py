"""What comes from outside: calls to the school's number reach the office, and nothing else reaches anything."""

import asyncio
import socket
from pathlib import Path

import pytest

from service.calls import check
from service.calls.way import Kind
from service.foundation.settings import Settings
from tests import netns
from tests.calls import phones
from tests.calls.cable import Cable, Trunkside
from tests.calls.people import PARENT, SCHOOL, TRUNK
from tests.calls.phones import Sipp
from tests.calls.stage import Called, trunk, way


def rings(whom: str, *then: str) -> str:
    """A family that dials."""
    return phones.dialling(whom) + "".join(then)


OFFICE = phones.RINGING + phones.answer("200 OK", sdp=True) + phones.ACK + phones.BYE


@pytest.mark.parametrize("dialled", [SCHOOL, SCHOOL.removeprefix("+")])
async def test_a_family_that_rings_back_reaches_the_office(side: Trunkside, tmp_path: Path, dialled: str) -> None:
    of = trunk(office=f"sip:office@{TRUNK}:5090")
    family = rings(dialled, phones.expects("200"), phones.dialled_ack(), phones.dialled_bye())
    async with Sipp(side, tmp_path / "office", OFFICE, port=5090) as office, way(of), \
            Sipp(side, tmp_path / "family", family, port=5080, dials=netns.ADDRESS) as dialling:
        await dialling.done()
        await office.done()
        assert f"From: <sip:{PARENT}@" in (tmp_path / "office/messages").read_text(), "the office sees who rings"


@pytest.mark.parametrize(("whom", "office", "status"), [
    (SCHOOL, "", "480"), ("+441632960999", f"sip:office@{TRUNK}:5090", "404"), ("teacher-17", f"sip:office@{TRUNK}:5090", "404"),
], ids=["no office", "another number", "a teacher"])
async def test_nobody_else_can_be_rung(side: Trunkside, tmp_path: Path, whom: str, office: str, status: str) -> None:
    family = rings(whom, phones.expects(status), phones.dialled_ack(loose=False))
    async with way(trunk(office=office)), Sipp(side, tmp_path / "family", family, port=5080, dials=netns.ADDRESS) as dialling:
        await dialling.done()


async def test_a_call_is_not_transferred(side: Trunkside, tmp_path: Path, call: Called) -> None:
    """A REFER would have our Janus ring whom the family names."""
    steps = (phones.RINGING + phones.answer("200 OK", sdp=True) + phones.ACK + phones.request("REFER", headers=(
        f"Refer-To: <sip:+441632960999@{TRUNK}>\n")) + '<recv response="405"/>' + phones.BYE)
    async with Cable(tmp_path / "cable") as cable, Sipp(side, tmp_path / "family", steps) as family, way() as opened:
        await call.place(opened)
        await call.diary.until(Kind.ANSWERED)
        await cable.until(lambda sip: "SIP/2.0 405" in sip)
        await opened.hang_up(call.id)
        await family.done()
        assert cable.sent.count("INVITE sip:") == 1


async def test_nor_is_a_call_to_the_office(side: Trunkside, tmp_path: Path) -> None:
    refer = phones.dialled_bye().replace("BYE", "REFER").replace('response="200"', 'response="405"')
    family = rings(SCHOOL, phones.expects("200"), phones.dialled_ack(), refer, phones.dialled_bye())
    async with Sipp(side, tmp_path / "office", OFFICE, port=5090) as office, way(trunk(office=f"sip:office@{TRUNK}:5090")), \
            Sipp(side, tmp_path / "family", family, port=5080, dials=netns.ADDRESS) as dialling:
        await dialling.done()
        await office.done()
        assert "REFER" not in (tmp_path / "office/messages").read_text()


@pytest.mark.parametrize("further", [False, True], ids=["to its address", "by one more route"])
@pytest.mark.parametrize("method", ["BYE", "ACK", "INVITE"])
async def test_a_stranger_has_nothing_sent_on_to_anybody(side: Trunkside, method: str, further: bool) -> None:
    """With a route through the edge, and a call that it does not know."""
    loop = asyncio.get_running_loop()
    async with way(trunk(office=f"sip:office@{TRUNK}:5090")):
        with socket.socket(type=socket.SOCK_DGRAM) as third, socket.socket(type=socket.SOCK_DGRAM) as stranger:
            for each in (third, stranger):
                each.bind((netns.ADDRESS, 0))
                each.setblocking(False)
            there, here = (f"{netns.ADDRESS}:{each.getsockname()[1]}" for each in (third, stranger))
            routes = [f"{netns.ADDRESS}:5060", there][:1 + further]
            stranger.sendto("\r\n".join((
                f"{method} sip:anybody@{there} SIP/2.0", f"Via: SIP/2.0/UDP {here};branch=z9hG4bKone", "Max-Forwards: 70",
                *(f"Route: <sip:{one};lr>" for one in routes), f"From: <sip:x@{here}>;tag=1", f"To: <sip:y@{there}>;tag=2",
                "Call-ID: unknown", f"CSeq: 2 {method}", f"Contact: <sip:x@{here}>", "Content-Length: 0", "", "",
            )).encode(), (netns.ADDRESS, 5060))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(loop.sock_recv(third, 4096), 0.6)
            if method != "ACK":
                assert (await asyncio.wait_for(loop.sock_recv(stranger, 4096), 1)).startswith(b"SIP/2.0 481")


async def test_a_technician_can_ask_whether_a_call_could_be_placed(side: Trunkside, tmp_path: Path) -> None:
    real = {"trunk_host": TRUNK, "trunk_number": SCHOOL, "trunk_address": netns.ADDRESS}
    async with Sipp(side, tmp_path / "trunk", phones.OK, first="OPTIONS") as trunkside:
        found = await check.check(Settings(**real))
        await trunkside.done()
    assert [finding.words for finding in found if finding.is_well] == [
        "The settings can be used.", "Janus and kamailio start with what was written for them, and answer.",
        "The trunk answers (SIP 200)."]
    assert any("rings back" in finding.words for finding in found if not finding.is_well)
    missing, = await check.check(Settings())
    assert not missing.is_well
