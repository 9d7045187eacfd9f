"""A call through the trunk, beside Janus alone calling the same telephone: press to ringing, mouth to ear, processor time.

Both in a network of their own, the same callers (aiortc) and the same telephone (sipp, which rings, answers and echoes), in
turns. Janus alone masks nothing, gates nothing, and is called with what it needs and no more.
"""

import asyncio
import base64
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from service.calls.sip.janus import Janus, JanusLost, Message
from service.calls.sip.processes import absent, janus_configuration
from tests import netns
from tests.bench import processor
from tests.calls import phones
from tests.calls.cable import Trunkside, network
from tests.calls.ears import Caller
from tests.calls.people import PARENT, SCHOOL, TRUNK
from tests.calls.stage import trunk

CALLS, SECONDS, ROUNDS = 10, 6.0, 2
Place = Callable[[str], Awaitable[tuple[float, str]]]
"""Press for this offer: seconds until it rang, and the answer."""


def main() -> bool:
    if missing := absent():
        print(f"Not measured: {', '.join(missing)} missing.")
        return False
    with network() as side, tempfile.TemporaryDirectory(prefix="chaperone-bench-") as folder:
        found: dict[str, list[tuple[float, float, float]]] = {"ours": [], "janus": []}
        for number in range(ROUNDS):
            for name, measure in (("ours", _ours), ("janus", _janus)):
                at = Path(folder) / f"{name}-{number}"
                at.mkdir()
                found[name].append(asyncio.run(_with_telephone(side, at, measure)))
    print(f"{'':18}{'press to ringing':>18}{'mouth to ear':>16}{'processor for a call':>24}")
    best = {name: tuple(min(each) for each in zip(*rounds, strict=True)) for name, rounds in found.items()}
    for name, (ringing, delay, spent) in best.items():
        print(f"{name:18}{ringing * 1000:15.0f} ms{delay * 1000:13.0f} ms{spent * 100:22.2f} %")
    print(f"{'ratio':18}" + "".join(f"{ours / theirs:{width}.2f}" for ours, theirs, width in zip(
        best["ours"], best["janus"], (15, 16, 22), strict=True)))
    return False


async def _with_telephone(side: Trunkside, folder: Path, measure: Callable[[Path], Awaitable[tuple[float, float, float]]],
                          ) -> tuple[float, float, float]:
    steps = phones.RINGING + '<pause milliseconds="300"/>' + phones.answer("200 OK", sdp=True) + phones.ACK + phones.BYE
    (folder / "family.xml").write_text(phones.scenario(steps).replace("[rtpstream_audio_port]", "[media_port]"))
    quiet = subprocess.DEVNULL
    telephone = await asyncio.create_subprocess_exec(
        *side.inside(["sipp", "-sf", str(folder / "family.xml"), "-i", TRUNK, "-p", "5060", "-mi", TRUNK, "-mp", "47010",
                      "-rtp_echo", "-nostdin"]), stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        await side.listening(5060)
        return await measure(folder)
    finally:
        telephone.kill()
        await telephone.wait()


async def _ours(folder: Path) -> tuple[float, float, float]:
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.calls_service", stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 20)
    assert service.stdin is not None
    assert service.stdout is not None
    try:
        children = [int(pid) for pid in (await service.stdout.readline()).split()]

        async def place(offer: str) -> tuple[float, str]:
            service.stdin.write(base64.b64encode(offer.encode()) + b"\n")  # type: ignore[union-attr]
            rang, answer = (await service.stdout.readline()).split()  # type: ignore[union-attr]
            return float(rang), base64.b64decode(answer).decode()

        workers = [pid for child in children for pid in _family(child)]
        return await _measured(place, [service.pid, *workers])
    finally:
        service.stdin.write(b"\n")
        await service.wait()


async def _janus(folder: Path) -> tuple[float, float, float]:
    port, secret = 18188, secrets.token_hex(8)
    janus_configuration(trunk(), folder, port, secret)
    sip = folder / "janus.plugin.sip.jcfg"
    sip.write_text(sip.read_text().replace("127.0.0.1", netns.ADDRESS).replace("20000-29999", "42000-42199"))
    process = await asyncio.create_subprocess_exec(
        "janus", "--config", str(folder / "janus.jcfg"), "--configs-folder", str(folder), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    janus = Janus(lambda: None)
    try:
        for _ in range(200):
            with suppress(JanusLost):
                await janus.open(port, secret)
                break
            await asyncio.sleep(0.02)

        async def place(offer: str) -> tuple[float, str]:
            heard: asyncio.Queue[Message] = asyncio.Queue()
            pressed = time.monotonic()
            handle = await janus.attach(heard.put_nowait)
            await janus.say(handle, {"request": "register", "type": "guest", "username": f"sip:{SCHOOL}@{TRUNK}"})
            await _until(heard, "registered")
            await janus.say(handle, {"request": "call", "uri": f"sip:{PARENT}@{TRUNK}"}, offer)
            await _until(heard, "ringing")
            rang = time.monotonic() - pressed
            return rang, str((await _until(heard, "accepted"))["jsep"]["sdp"])

        return await _measured(place, [process.pid])
    finally:
        await janus.close()
        process.terminate()
        await process.wait()


async def _until(heard: "asyncio.Queue[Message]", event: str) -> Message:
    while True:
        said = await asyncio.wait_for(heard.get(), 10)
        if said.get("plugindata", {}).get("data", {}).get("result", {}).get("event") == event:
            return said


async def _measured(place: Place, pids: list[int]) -> tuple[float, float, float]:
    """Seconds to ringing (median), seconds from mouth to ear and back, halved (median), and processors that a call takes."""
    async with AsyncExitStack() as ends:
        callers, ringing = [], []
        for _ in range(CALLS):
            caller = Caller()
            ends.push_async_callback(caller.close)
            callers.append(caller)
            rang, answer = await place(await caller.offer())
            ringing.append(rang)
            await caller.accept(answer)
            await caller.connected()
        await asyncio.sleep(1)
        before, began = sum(map(processor.seconds, pids)), time.monotonic()
        await asyncio.sleep(SECONDS)
        spent = (sum(map(processor.seconds, pids)) - before) / (time.monotonic() - began) / CALLS
        delays = [await _there_and_back(caller) for caller in callers]
        return statistics.median(ringing), statistics.median(delays) / 2, spent


async def _there_and_back(caller: Caller) -> float:
    """Say nothing until nothing comes back, then speak: how long until it is heard."""
    caller.tone.silent = True
    await asyncio.sleep(0.5)
    caller.sound = type(caller.sound)("h")
    caller.tone.silent = False
    began, at = time.monotonic(), 0
    while time.monotonic() - began < 3:
        await asyncio.sleep(0.002)
        new, at = caller.sound[at:], len(caller.sound)
        if any(abs(each) > 2000 for each in new):
            return time.monotonic() - began
    raise RuntimeError("nothing came back")


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _family(int(child)))]


if __name__ == "__main__":
    sys.exit(main())
