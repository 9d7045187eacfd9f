"""A call through the trunk, one to the family's app, and Janus alone calling the same telephone as the trunk: press to ringing,
mouth to ear, processor time.

Both in a network of their own, the same callers (aiortc) and the same telephone (sipp, which rings, answers and echoes), in
turns. Janus alone masks nothing, gates nothing, and is called with what it needs and no more. The app is one more caller, where
the other is listened for: one way; where a telephone says back what it hears and the way is halved.
"""

import asyncio
import base64
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

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
Place = Callable[[str], Awaitable[tuple[float, str, Caller | None]]]
"""Press for this offer: seconds until it rang, the answer, and who hears the caller; None where a telephone says it back."""


def main() -> bool:
    if missing := absent():
        print(f"Not measured: {', '.join(missing)} missing.")
        return False
    with network() as side, tempfile.TemporaryDirectory(prefix="chaperone-bench-") as folder:
        found: dict[str, list[tuple[float, float, float]]] = {"trunk": [], "app": [], "janus": []}
        for number in range(ROUNDS):
            for name, measure in (("trunk", _trunk), ("app", _app), ("janus", _janus)):
                at = Path(folder) / f"{name}-{number}"
                at.mkdir()
                found[name].append(asyncio.run(_with_telephone(side, at, measure)))
    print(f"{'':18}{'press to ringing':>18}{'mouth to ear':>16}{'processor for a call':>24}")
    best = {name: tuple(min(each) for each in zip(*rounds, strict=True)) for name, rounds in found.items()}
    for name, (ringing, delay, spent) in best.items():
        print(f"{name:18}{ringing * 1000:15.0f} ms{delay * 1000:13.0f} ms{spent * 100:22.2f} %")
    for name in ("trunk", "app"):
        print(f"{name + ', ratio':18}" + "".join(f"{ours / theirs:{width}.2f}" for ours, theirs, width in zip(
            best[name], best["janus"], (15, 16, 22), strict=True)))
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


async def _trunk(folder: Path) -> tuple[float, float, float]:
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.calls_service", stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 20)
    assert service.stdin is not None
    assert service.stdout is not None
    try:
        children = [int(pid) for pid in (await service.stdout.readline()).split()]

        async def place(offer: str) -> tuple[float, str, None]:
            service.stdin.write(base64.b64encode(offer.encode()) + b"\n")  # type: ignore[union-attr]
            rang, answer = (await service.stdout.readline()).split()  # type: ignore[union-attr]
            return float(rang), base64.b64decode(answer).decode(), None

        workers = [pid for child in children for pid in _family(child)]
        return await _measured(place, [service.pid, *workers])
    finally:
        service.stdin.write(b"\n")
        await service.wait()


async def _app(folder: Path) -> tuple[float, float, float]:
    """The family's app, which answers as soon as it rings, and says nothing itself."""
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.calls_app_service", stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 20)
    assert service.stdin is not None
    assert service.stdout is not None
    into, out = service.stdin, service.stdout

    def say(said: dict[str, str]) -> None:
        into.write(base64.b64encode(json.dumps(said).encode()) + b"\n")

    async def heard() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await out.readline())
        return found

    async def place(offer: str) -> tuple[float, str, Caller]:
        family, rang, answer = Caller(), 0.0, ""
        family.tone.silent = True
        say({"type": "place", "sdp": offer, "person": secrets.token_hex(16)})
        while not answer:
            said = await heard()
            rang, answer = said.get("rang", rang), said.get("answer", "")
            told = said.get("app", {})
            if told.get("type") == "ring":
                say({"type": "ringing", "call": told["call"]})
                say({"type": "answer", "call": told["call"], "sdp": await family.offer()})
            elif told.get("type") == "answer":
                await family.accept(told["sdp"])
        return rang, answer, family

    try:
        await heard()
        return await _measured(place, [service.pid])
    finally:
        into.write(b"\n")
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

        async def place(offer: str) -> tuple[float, str, None]:
            heard: asyncio.Queue[Message] = asyncio.Queue()
            pressed = time.monotonic()
            handle = await janus.attach(heard.put_nowait)
            await janus.say(handle, {"request": "register", "type": "guest", "username": f"sip:{SCHOOL}@{TRUNK}"})
            await _until(heard, "registered")
            await janus.say(handle, {"request": "call", "uri": f"sip:{PARENT}@{TRUNK}"}, offer)
            await _until(heard, "ringing")
            rang = time.monotonic() - pressed
            return rang, str((await _until(heard, "accepted"))["jsep"]["sdp"]), None

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
        pairs, ringing = list[tuple[Caller, Caller | None]](), list[float]()
        for _ in range(CALLS):
            caller = Caller()
            ends.push_async_callback(caller.close)
            rang, answer, family = await place(await caller.offer())
            pairs.append((caller, family))
            if family is not None:
                ends.push_async_callback(family.close)
            ringing.append(rang)
            await caller.accept(answer)
            await caller.connected()
        await asyncio.sleep(1)
        before, began = sum(map(processor.seconds, pids)), time.monotonic()
        await asyncio.sleep(SECONDS)
        spent = (sum(map(processor.seconds, pids)) - before) / (time.monotonic() - began) / CALLS
        delays = [await _until_heard(caller, family or caller) / (1 if family else 2) for caller, family in pairs]
        return statistics.median(ringing), statistics.median(delays), spent


async def _until_heard(caller: Caller, ear: Caller) -> float:
    """Say nothing until nothing is heard, then speak: how long until it is. Where a telephone says it back, the caller hears."""
    caller.tone.silent = True
    await asyncio.sleep(0.5)
    ear.sound = type(ear.sound)("h")
    caller.tone.silent = False
    began, at = time.monotonic(), 0
    while time.monotonic() - began < 3:
        await asyncio.sleep(0.002)
        new, at = ear.sound[at:], len(ear.sound)
        if any(abs(each) > 2000 for each in new):
            return time.monotonic() - began
    raise RuntimeError("nothing came back")


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _family(int(child)))]


if __name__ == "__main__":
    sys.exit(main())
