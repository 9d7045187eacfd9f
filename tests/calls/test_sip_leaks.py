"""What crosses the cable, byte for byte: the school's number, the family's own, and nothing of a teacher (policy: CM4, CM5).

A hostile part of our own is assumed: whatever may speak to Janus names the teacher wherever SIP has a place for a name. With the
edge's stripping switched off the same call leaks, so the test would notice.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from service.calls.sip.janus import Janus
from service.calls.way import End, Kind, NoWay
from tests.calls import phones
from tests.calls.cable import Cable, Trunkside, leaks
from tests.calls.ears import Caller
from tests.calls.people import PARENT, SCHOOL, TEACHER, TRUNK
from tests.calls.phones import Sipp
from tests.calls.stage import Called, trunk, way

NAME, ID, MOBILE, MACHINE = TEACHER
HEADERS = {
    "P-Asserted-Identity": f'"{NAME}" <sip:{MOBILE}@school.example>', "P-Preferred-Identity": f"<sip:{ID}@school.example>",
    "Remote-Party-ID": f'"{NAME}" <sip:{MOBILE}@school.example>;party=calling', "Organization": NAME,
    "Subject": f"Call of {NAME}",
    "Call-Info": f"<https://school.example/{ID}>", "X-Teacher": ID, "Diversion": f"<sip:{MOBILE}@school.example>",
    "Reply-To": f"<sip:{ID}@school.example>", "Alert-Info": f"<https://{MACHINE}/>",
}


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that names the teacher in every header and in the offer's lines, past everything that our own code takes out."""
    says = Janus.say

    async def worse(janus: Janus, handle: int, body: dict[str, Any], offer: str = "") -> None:
        if body["request"] in ("call", "hangup"):
            body = body | {"headers": HEADERS | body.get("headers", {})}
        offer = offer.replace("s=-", f"s={NAME}").replace("a=mid:", f"a=X-machine:{MACHINE}\r\na=msid:{ID} {NAME}\r\na=mid:")
        await says(janus, handle, body, offer)

    monkeypatch.setattr(Janus, "say", worse)


STEPS = (phones.RINGING + phones.answer("200 OK", sdp=True) + phones.ACK + phones.request("INVITE", sdp=True)
         + '<recv response="100" optional="true"/><recv response="200" rrs="true"/>' + phones.request("ACK") + phones.BYE)


async def called(side: Trunkside, folder: Path, call: Called, strips: bool, **more: Any) -> tuple[str, str, str]:
    """One whole call, changed once by the family; everything on the cable, SIP alone, and what of it we sent."""
    async with Cable(folder / "cable") as cable, Sipp(side, folder / "family", STEPS) as family, way(strips=strips) as opened:
        await call.place(opened, **more)
        await call.diary.until(Kind.ANSWERED)
        await opened.connect(call.id)
        await family_changed(cable)
        await opened.hang_up(call.id)
        await family.done()
        assert (await call.diary.until(Kind.ENDED)).end is End.HUNG_UP
        return cable.trace, cable.sip, cable.sent


async def family_changed(cable: Cable) -> None:
    await cable.until(lambda sip: len(re.findall(r"^ACK ", sip, re.M)) == 2)


@pytest.mark.parametrize("withheld", [False, True], ids=["shown", "withheld"])
async def test_the_trunk_sees_the_schools_number_and_nothing_of_the_teacher(
        side: Trunkside, tmp_path: Path, call: Called, hostile: None, withheld: bool) -> None:
    trace, sip, sent = await called(side, tmp_path, call, strips=True, withheld=withheld)
    assert leaks(trace) == []
    invite = sip.split("\r\n\r\n")[0]
    if withheld:
        assert "From: <sip:anonymous@anonymous.invalid>;tag=" in invite
        assert "Privacy: id" in invite
        assert SCHOOL not in sip
    else:
        assert f"From: <sip:{SCHOOL}@{TRUNK}>;tag=" in invite
    assert re.search(rf"^Call-ID: {call.id}\r$", sip, re.M), "the call's id, and no host beside it"
    headers = set(re.findall(r"^([A-Za-z-]+):", sent, re.M))
    assert headers <= {"Record-Route", "Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact", "Allow", "Content-Type",
                       "Content-Length", "Privacy", "Route", "Require"}


async def test_without_the_edges_stripping_the_same_call_leaks(
        side: Trunkside, tmp_path: Path, call: Called, hostile: None) -> None:
    trace, _, _ = await called(side, tmp_path, call, strips=False)
    found = leaks(trace)
    assert set(TEACHER) <= set(found)
    assert MOBILE in found


async def test_a_number_that_is_withheld_is_asserted_to_the_network_only_where_the_trunk_asks(
        side: Trunkside, tmp_path: Path, call: Called) -> None:
    steps = phones.BUSY
    async with Cable(tmp_path / "cable") as cable, Sipp(side, tmp_path / "family", steps) as family, \
            way(trunk(asserted=True)) as opened:
        await call.place(opened, withheld=True)
        await family.done()
        assert f"P-Asserted-Identity: <sip:{SCHOOL}@{TRUNK}>\r\n" in cable.sip
        assert "From: <sip:anonymous@anonymous.invalid>" in cable.sip


async def test_a_browser_learns_nothing_of_the_family(side: Trunkside, tmp_path: Path, call: Called) -> None:
    """Whatever a telephone says of itself, in headers and in SDP, ends at the edge."""
    early, answered = (phones.answer(
        status, sdp=True, origin=PARENT, subject=f"{PARENT} at home", line=f"i={PARENT}\na=X-number:{PARENT}\na=sendrecv",
        more=f"P-Asserted-Identity: <sip:{PARENT}@{TRUNK}>\nServer: phone of {PARENT}\n")
        for status in ("183 Session Progress", "200 OK"))
    steps = early + answered + phones.ACK + phones.BYE
    async with Sipp(side, tmp_path / "family", steps) as family, way() as opened:
        await call.place(opened)
        await call.diary.until(Kind.ANSWERED)
        await opened.hang_up(call.id)
        await call.diary.until(Kind.ENDED)
        await family.done()
    told = "\n".join(f"{news!r}\n{news.answer}" for news in call.diary.news)
    assert "a=candidate" in told
    assert PARENT.removeprefix("+") not in told
    assert TRUNK not in told


@pytest.mark.parametrize("identity", [
    f"sip:{MOBILE}@{TRUNK}", f"sip:{SCHOOL}@elsewhere.example", "sip:anonymous@anonymous.invalid"])
async def test_the_edge_refuses_whatever_is_not_masked(
        side: Trunkside, tmp_path: Path, call: Called, monkeypatch: pytest.MonkeyPatch, identity: str) -> None:
    says = Janus.say

    async def unmasked(janus: Janus, handle: int, body: dict[str, Any], offer: str = "") -> None:
        await says(janus, handle, body | ({"username": identity} if body["request"] == "register" else {}), offer)

    monkeypatch.setattr(Janus, "say", unmasked)
    assert await refused(side, tmp_path, call)


async def test_the_edge_refuses_a_name_beside_the_number_and_whoever_lacks_todays_word(
        side: Trunkside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says = Janus.say
    for number, change in enumerate(({"display_name": NAME}, {"headers": {"X-Chaperone": "0" * 32}})):
        async def changed(janus: Janus, handle: int, body: dict[str, Any], offer: str = "",
                          change: dict[str, Any] = change) -> None:
            wanted = "register" if "display_name" in change else "call"
            await says(janus, handle, body | (change if body["request"] == wanted else {}), offer)

        monkeypatch.setattr(Janus, "say", changed)
        call = Called(Caller())
        folder = tmp_path / str(number)
        folder.mkdir()
        assert await refused(side, folder, call)
        await call.caller.close()


async def refused(side: Trunkside, folder: Path, call: Called) -> bool:
    """Whether the call ended without one packet on the cable to the family."""
    async with Cable(folder / "cable") as cable, way() as opened:
        try:
            await call.place(opened)
        except NoWay:
            return not cable.packets
        ended = await call.diary.until(Kind.ENDED)
        return ended.end in (End.REFUSED, End.FAULT) and not [each for each in cable.packets if each.target[0] == TRUNK]

