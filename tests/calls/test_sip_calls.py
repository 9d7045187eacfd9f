"""Real calls: a caller's peer connection, Janus, our relay, kamailio, a cable, and a telephone at its end."""

import asyncio
import time
from pathlib import Path

import pytest

from service.calls.sip import way as sip
from service.calls.sip.processes import NotStarted
from service.calls.sip.way import SipWay
from service.calls.way import End, Kind, NoWay
from tests.calls import phones
from tests.calls.cable import Cable, Trunkside
from tests.calls.ears import hertz, wav
from tests.calls.people import HEARD, MESSAGE, PARENT, SAID, TRUNK
from tests.calls.phones import Baresip, Sipp
from tests.calls.stage import Called, Diary, order, seconds, trunk, way


async def test_both_hear_each_other_after_connect_and_neither_before_nor_after_hanging_up(
        side: Trunkside, tmp_path: Path, call: Called) -> None:
    async with Cable(tmp_path / "cable") as cable, Baresip(side, tmp_path / "family") as family, way() as opened:
        assert await opened.faults() == ()
        await call.place(opened)
        await call.accept()
        await seconds(1)
        assert hertz(cable.sound()) == 0
        assert len(cable.sound()) > 4000, "silence flows, and nothing but silence"
        assert not call.caller.sound

        await opened.connect(call.id)
        connected = time.time()
        await seconds(1.5)
        assert hertz(cable.sound(since=connected + 0.1)) == HEARD
        assert hertz(call.caller.sound[-8000:]) == SAID

        await opened.hang_up(call.id)
        ended = time.time()
        assert (await call.diary.until(Kind.ENDED)).end is End.HUNG_UP
        heard = len(call.caller.sound)
        await seconds(0.5)
        assert not cable.sound(since=ended + 0.05)
        assert len(call.caller.sound) - heard < 1600, "at most what was on its way"
        assert hertz(family.heard[4000:]) in (HEARD, 0)
        assert hertz(family.heard[-8000:]) == HEARD
    assert call.diary.kinds == [Kind.RINGING, Kind.ANSWERED, Kind.ENDED]


async def test_while_held_neither_hears_the_other(side: Trunkside, tmp_path: Path, call: Called) -> None:
    async with Cable(tmp_path / "cable") as cable, Baresip(side, tmp_path / "family"), way() as opened:
        await call.place(opened)
        await call.accept()
        await opened.connect(call.id)
        await seconds(0.6)
        await opened.hold(call.id, True)
        held, heard = time.time(), len(call.caller.sound)
        await seconds(0.8)
        assert hertz(cable.sound(since=held + 0.1)) == 0
        assert len(call.caller.sound) - heard < 1600
        await opened.hold(call.id, False)
        again = time.time()
        await seconds(0.8)
        assert hertz(cable.sound(since=again + 0.1)) == HEARD
        assert hertz(call.caller.sound[-3000:]) == SAID


async def test_digits_arrive_as_telephone_events_and_the_voice_goes_on(side: Trunkside, tmp_path: Path, call: Called) -> None:
    async with Cable(tmp_path / "cable") as cable, Baresip(side, tmp_path / "family"), way() as opened:
        await call.place(opened)
        await call.accept()
        await opened.press(call.id, "5")
        assert cable.events() == [], "nothing is sent before connect"
        await opened.connect(call.id)
        await seconds(0.3)
        await opened.press(call.id, "1#")
        await seconds(0.6)
        pressed = time.time()
        await seconds(0.6)
        events = cable.events()
        assert [payload[0] for at, payload in dict(events).items()] == [1, 11]
        ends = [payload for _, payload in events if payload[1] & 0x80]
        assert len(ends) == 6
        assert {int.from_bytes(payload[2:4], "big") for payload in ends} == {800}
        assert hertz(cable.sound(since=pressed + 0.1)) == HEARD


async def test_nobody_waits_for_digits_and_holding_stops_them(side: Trunkside, tmp_path: Path, call: Called) -> None:
    """Whoever hangs up behind a long row of digits hangs up now."""
    async with Cable(tmp_path / "cable") as cable, Baresip(side, tmp_path / "family"), way() as opened:
        await call.place(opened)
        await call.accept()
        await opened.connect(call.id)
        pressed = time.time()
        await opened.press(call.id, "12")
        await opened.press(call.id, "34567890123456")
        assert time.time() - pressed < 0.2
        await seconds(0.8)
        await opened.hold(call.id, True)
        await seconds(0.6)
        sent = len(cable.events())
        await seconds(0.6)
        assert len(cable.events()) == sent
        keys = [payload[0] for payload in dict(cable.events()).values()]
        assert 2 < len(keys) < 8
        assert keys == [1, 2, 3, 4, 5, 6, 7][:len(keys)]


async def test_a_message_is_played_to_the_callee_without_the_callers_voice_then_the_call_ends(
        side: Trunkside, tmp_path: Path, call: Called) -> None:
    message = wav(tmp_path / "message.wav", MESSAGE, 1.5)
    async with Cable(tmp_path / "cable") as cable, Baresip(side, tmp_path / "family"), way(message=message) as opened:
        await call.place(opened)
        await call.accept()
        await opened.connect(call.id)
        await seconds(0.5)
        await opened.leave_message(call.id)
        left, heard = time.time(), len(call.caller.sound)
        assert (await call.diary.until(Kind.ENDED)).end is End.HUNG_UP
        sound = cable.sound(since=left + 0.02)
        assert hertz(sound) == MESSAGE
        assert abs(len(sound) - 12000) < 800
        assert len(call.caller.sound) - heard < 1600


async def test_the_caller_hears_an_announcement_and_is_not_heard(side: Trunkside, tmp_path: Path, call: Called) -> None:
    steps = (phones.answer("183 Session Progress", sdp=True) + phones.stream(tmp_path, SAID) + '<pause milliseconds="2000"/>'
             + phones.answer("200 OK", sdp=True) + phones.ACK + phones.BYE)
    async with Cable(tmp_path / "cable") as cable, Sipp(side, tmp_path / "family", steps) as family, way() as opened:
        await call.place(opened)
        await call.accept(Kind.EARLY)
        await seconds(1)
        assert hertz(call.caller.sound[-4000:]) == SAID
        assert hertz(cable.sound()) == 0
        answered = await call.diary.until(Kind.ANSWERED)
        assert answered.answer == "", "the browser's answer was given once"
        heard = len(call.caller.sound)
        await seconds(0.5)
        assert len(call.caller.sound) - heard < 1600, "between answered and connect nobody is heard"
        assert hertz(cable.sound()) == 0
        await opened.connect(call.id)
        connected = time.time()
        await seconds(0.7)
        assert hertz(cable.sound(since=connected + 0.1)) == HEARD
        assert hertz(call.caller.sound[-3000:]) == SAID
        await opened.hang_up(call.id)
        await family.done()


@pytest.mark.parametrize(("steps", "kinds", "end"), [
    (phones.BUSY, [Kind.ENDED], End.BUSY),
    (phones.DECLINES, [Kind.RINGING, Kind.ENDED], End.REFUSED),
    (phones.answer("480 Temporarily Unavailable") + phones.ACK, [Kind.ENDED], End.NO_ANSWER),
    (phones.answer("302 Moved Temporarily").replace("[local_ip]:[local_port]", "192.0.2.9") + phones.ACK, [Kind.ENDED],
     End.NO_ANSWER),
    (phones.answer("503 Service Unavailable") + phones.ACK, [Kind.ENDED], End.FAULT),
], ids=["busy", "declines", "unavailable", "moved", "fault"])
async def test_how_a_call_ends_that_nobody_takes(
        side: Trunkside, tmp_path: Path, call: Called, steps: str, kinds: list[Kind], end: End) -> None:
    async with Sipp(side, tmp_path / "family", steps) as family, way() as opened:
        await call.place(opened)
        assert (await call.diary.until(Kind.ENDED)).end is end
        assert call.diary.kinds == kinds
        await family.done()


async def test_hanging_up_before_anybody_answers_stops_the_ringing(side: Trunkside, tmp_path: Path, call: Called) -> None:
    async with Sipp(side, tmp_path / "family", phones.SILENT) as family, way() as opened:
        await call.place(opened)
        await call.diary.until(Kind.RINGING)
        await opened.hang_up(call.id)
        assert (await call.diary.until(Kind.ENDED)).end is End.CANCELLED
        await family.done()


async def test_nobody_rings_for_ever(side: Trunkside, tmp_path: Path, call: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip, "ANSWER_SECONDS", 1.0)
    async with Sipp(side, tmp_path / "family", phones.SILENT) as family, way() as opened:
        await call.place(opened)
        assert (await call.diary.until(Kind.ENDED)).end is End.NO_ANSWER
        await family.done()


async def test_hanging_up_during_an_announcement_stops_it(side: Trunkside, tmp_path: Path, call: Called) -> None:
    steps = phones.SILENT.replace(phones.RINGING, phones.answer("183 Session Progress", sdp=True))
    async with Sipp(side, tmp_path / "family", steps) as family, way() as opened:
        await call.place(opened)
        await call.accept(Kind.EARLY)
        await opened.hang_up(call.id)
        assert (await call.diary.until(Kind.ENDED)).end is End.CANCELLED
        await family.done()


async def test_the_family_hangs_up(side: Trunkside, tmp_path: Path, call: Called) -> None:
    steps = (phones.RINGING + phones.answer("200 OK", sdp=True) + phones.ACK + '<pause milliseconds="500"/>'
             + phones.request("BYE") + '<recv response="200"/>')
    async with Sipp(side, tmp_path / "family", steps) as family, way() as opened:
        await call.place(opened)
        await call.accept()
        assert (await call.diary.until(Kind.ENDED)).end is End.HUNG_UP
        await family.done()


async def test_a_family_that_moves_its_sound_is_followed(side: Trunkside, tmp_path: Path, call: Called) -> None:
    """A re-INVITE with another port, as when a call is moved to another telephone; sipp answers nothing else than it expects."""
    moved = phones.request("INVITE", sdp=True).replace("[rtpstream_audio_port]", "47900")
    steps = (phones.RINGING + phones.answer("200 OK", sdp=True) + phones.ACK + '<pause milliseconds="800"/>' + moved
             + '<recv response="100" optional="true"/><recv response="200" rrs="true"/>' + phones.request("ACK") + phones.BYE)
    async with Cable(tmp_path / "cable") as cable, Sipp(side, tmp_path / "family", steps) as family, way() as opened:
        await call.place(opened)
        await call.accept()
        await opened.connect(call.id)
        await seconds(2)
        ports = [packet.target[1] for packet in cable.packets if packet.target[0] == "192.0.2.2" and packet.data[1:2] == b"\x08"]
        assert ports[-1] == 47900
        await opened.hang_up(call.id)
        await family.done()


async def test_a_browser_without_a_telephones_codec_calls_nobody(side: Trunkside, tmp_path: Path, call: Called) -> None:
    async with way() as opened:
        offer = (await call.caller.offer()).replace(" 0 8", "")
        for given in ("", "v=0\r\n", offer):
            with pytest.raises(NoWay):
                await opened.place(order(given), call.diary.tell)
    assert call.diary.news == []


async def test_a_telephone_that_prefers_mu_law_gets_it(side: Trunkside, tmp_path: Path, call: Called) -> None:
    steps = phones.answer("200 OK", sdp=True, codec=0).replace("RTP/AVP 0 101", "RTP/AVP 101 0") + phones.ACK + phones.BYE
    async with Cable(tmp_path / "cable") as cable, Sipp(side, tmp_path / "family", steps) as family, way() as opened:
        await call.place(opened)
        await call.accept()
        await seconds(0.6)
        await opened.connect(call.id)
        connected = time.time()
        await seconds(0.6)
        await opened.hang_up(call.id)
        await family.done()
        sent = [packet for packet in cable.packets if packet.target[0] == TRUNK and packet.data[1:2] in (b"\x00", b"\x80")]
        assert len(sent) > 40
        assert {packet.data[12:] for packet in sent if packet.at < connected} == {b"\xff" * 160}
        assert all(packet.data[12:] != b"\xff" * 160 for packet in sent if packet.at > connected + 0.1)


async def test_what_is_hung_up_while_it_is_placed_rings_nobody(side: Trunkside, tmp_path: Path, call: Called) -> None:
    async with Cable(tmp_path / "cable") as cable, way() as opened:
        placed = order(await call.caller.offer())
        placing = asyncio.create_task(opened.place(placed, call.diary.tell))
        await asyncio.sleep(0)
        await opened.hang_up(placed.call_id)
        with pytest.raises(NoWay):
            await placing
        await seconds(0.5)
        assert cable.sip == ""
    assert call.diary.news == []


async def test_nothing_of_a_call_is_written_or_left(
        side: Trunkside, tmp_path: Path, call: Called, capfd: pytest.CaptureFixture[str]) -> None:
    """No number in anything printed, in a command line or in a file; and after the end no process and no folder."""
    async with Sipp(side, tmp_path / "family", phones.ANSWERS) as family, way() as opened:
        await call.place(opened)
        await call.diary.until(Kind.ANSWERED)
        assert opened.gateway.door is not None
        folder = opened.gateway.door.folder
        assert folder.stat().st_mode & 0o077 == 0
        written = "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())
        pids = [opened.gateway.pid(name) for name in ("janus", "kamailio")]
        lines = "".join(commands(pids))
        await opened.hang_up(call.id)
        await call.diary.until(Kind.ENDED)
        await family.done()
    said = "".join(capfd.readouterr()) + repr(call.diary.news)
    for text in (written, lines, said):
        assert PARENT.removeprefix("+") not in text
    assert not folder.exists()
    assert commands(pids) == []


def commands(pids: list[int]) -> list[str]:
    return [path.read_text() for path in (Path(f"/proc/{pid}/cmdline") for pid in pids) if path.exists()]


async def test_a_gateway_that_cannot_have_its_port_says_so(side: Trunkside) -> None:
    async with way():
        second = SipWay(trunk())
        with pytest.raises(NotStarted, match="Another program has port 5060"):
            await second.open()
        assert "Another program has port 5060" in (await second.faults())[0]
        with pytest.raises(NoWay):
            await second.place(order("v=0"), Diary().tell)
        await second.close()
