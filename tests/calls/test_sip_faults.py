"""What happens when a part dies, and when twenty call at once."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.calls.sip.way import SipWay
from service.calls.way import End, Kind, NoWay
from tests.calls import phones
from tests.calls.cable import Cable, Trunkside
from tests.calls.ears import Caller, hertz
from tests.calls.people import SAID
from tests.calls.phones import Baresip, Sipp
from tests.calls.stage import Called, seconds, way

ROOT = Path(__file__).parents[2]


async def test_janus_dies_in_a_call_and_both_ends_know_at_once(side: Trunkside, tmp_path: Path, call: Called) -> None:
    loop = asyncio.get_running_loop()
    async with Cable(tmp_path / "cable") as cable, Sipp(side, tmp_path / "family", phones.ANSWERS) as family, way() as opened:
        await call.place(opened)
        await call.diary.until(Kind.ANSWERED)
        await opened.connect(call.id)
        killed = loop.time()
        os.kill(opened.gateway.pid("janus"), signal.SIGKILL)
        assert (await call.diary.until(Kind.ENDED, 2)).end is End.FAULT
        await cable.until(lambda sip: "\r\nCSeq: " in sip and "BYE sip:" in sip, 2)
        assert loop.time() - killed < 2
        await family.done()


async def test_janus_dies_while_it_rings_and_the_ringing_stops(side: Trunkside, tmp_path: Path, call: Called) -> None:
    async with Sipp(side, tmp_path / "family", phones.SILENT) as family, way() as opened:
        await call.place(opened)
        await call.diary.until(Kind.RINGING)
        os.kill(opened.gateway.pid("janus"), signal.SIGKILL)
        assert (await call.diary.until(Kind.ENDED, 2)).end is End.FAULT
        await family.done(4)


async def test_the_edge_dies_in_a_call_nobody_is_heard_any_more_and_the_next_edge_hangs_up(
        side: Trunkside, tmp_path: Path, call: Called) -> None:
    async with Cable(tmp_path / "cable") as cable, Baresip(side, tmp_path / "family"), way() as opened:
        await call.place(opened)
        await call.accept()
        await opened.connect(call.id)
        await seconds(0.4)
        os.kill(opened.gateway.pid("kamailio"), signal.SIGTERM)
        assert (await call.diary.until(Kind.ENDED, 3)).end is End.FAULT
        heard = len(call.caller.sound)
        await seconds(0.4)
        assert len(call.caller.sound) - heard < 1600
        await cable.until(lambda sip: "BYE sip:" in sip)


async def test_a_part_that_dies_is_started_again_and_carries_calls(
        side: Trunkside, tmp_path: Path, call: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sipp(side, tmp_path / "family", phones.BUSY) as family, way() as opened:
        for part in ("janus", "kamailio"):
            monkeypatch.setattr("service.calls.sip.way.STEADY_SECONDS", -1.0)
            os.kill(opened.gateway.pid(part), signal.SIGKILL)
            await until(opened, faulty=True)
            await until(opened, faulty=False)
        await call.place(opened)
        assert (await call.diary.until(Kind.ENDED)).end is End.BUSY
        await family.done()


async def test_a_gateway_that_has_forgotten_us_is_started_again(side: Trunkside, tmp_path: Path, call: Called) -> None:
    """As after a sleep of the machine: it lives, and our session with it does not."""
    async with Sipp(side, tmp_path / "family", phones.BUSY) as family, way() as opened:
        assert opened._janus._socket is not None
        await opened._janus._socket.close()
        await until(opened, faulty=True)
        await until(opened, faulty=False)
        await call.place(opened)
        assert (await call.diary.until(Kind.ENDED)).end is End.BUSY
        await family.done()


async def test_a_part_that_keeps_dying_is_left_alone_and_every_call_is_refused(side: Trunkside, call: Called) -> None:
    async with way() as opened:
        os.kill(opened.gateway.pid("janus"), signal.SIGKILL)
        await until(opened, faulty=True)
        await until(opened, faulty=False)
        os.kill(opened.gateway.pid("janus"), signal.SIGKILL)
        await until(opened, faulty=True)
        assert (await opened.faults())[0].startswith("janus stopped, and every call with it. It keeps stopping")
        with pytest.raises(NoWay):
            await call.place(opened)


async def until(opened: SipWay, faulty: bool, within: float = 12) -> None:
    for _ in range(int(within / 0.02)):
        if bool(await opened.faults()) is faulty:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(await opened.faults())


async def test_twenty_call_at_once(side: Trunkside, tmp_path: Path) -> None:
    calls = [Called(Caller()) for _ in range(20)]
    async with Baresip(side, tmp_path / "family"), way() as opened:
        await asyncio.gather(*(call.place(opened) for call in calls))
        await asyncio.gather(*(call.accept() for call in calls))
        await asyncio.gather(*(opened.connect(call.id) for call in calls))
        await seconds(2)
        heard = [hertz(call.caller.sound[-4000:]) for call in calls]
        assert heard.count(SAID) == 20, heard
        first = calls[0]
        await opened.hang_up(first.id)
        assert (await first.diary.until(Kind.ENDED)).end is End.HUNG_UP
        assert all(Kind.ENDED not in call.diary.kinds for call in calls[1:]), "nobody else's call"
        await opened.close()
        assert all(call.diary.kinds.count(Kind.ENDED) == 1 for call in calls)
    await asyncio.gather(*(call.caller.close() for call in calls))


SERVICE = """
import asyncio, sys
from tests.calls.ears import Caller
from tests.calls.stage import Called, way
from service.calls.way import Kind

async def main():
    async with way() as opened:
        call = Called(Caller())
        await call.place(opened)
        await call.diary.until(Kind.ANSWERED)
        print(opened.gateway.pid("janus"), opened.gateway.pid("kamailio"), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_service_is_killed_and_the_family_is_not_left_on_the_line(side: Trunkside, tmp_path: Path) -> None:
    async with Cable(tmp_path / "cable") as cable, Sipp(side, tmp_path / "family", phones.ANSWERS) as family:
        service = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVICE, stdout=subprocess.PIPE, cwd=ROOT)
        assert service.stdout is not None
        pids = [int(pid) for pid in (await service.stdout.readline()).split()]
        service.kill()
        await service.wait()
        await cable.until(lambda sip: "BYE sip:" in sip, 2)
        await family.done()
        for _ in range(160):
            if not any(exists(pid) for pid in pids):
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the gateway outlives the service")


def exists(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
