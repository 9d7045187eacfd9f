"""What each request of a join costs the processor, and how many statements it asks: in one process, without sockets or media.

Processor time says the same beside other work of the machine, but for its caches; so each line is also given as a multiple of
the same small loop, timed between the requests. The client in the same process is in it, `/healthz` shows how much.
"""

import asyncio
import gc
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import event

from service.foundation.clock import SystemClock
from service.foundation.web import COOKIE
from service.people.commands import NewBadge
from service.selftest.visitor import DOOR
from tests.bench.arrival import TICKET, _found
from tests.bench.joins import Nine, nine, of
from tests.school import Running, running

WARM, LESSONS = 6, 3


@dataclass
class Costs:
    """Seconds of the processor and statements of each kind of request; seconds of the loop between them."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statements: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    loops: list[float] = field(default_factory=list)
    kind: str = ""

    async def of(self, kind: str, asked: Awaitable[httpx.Response], status: int = 200) -> httpx.Response:
        began = time.process_time()
        sum(range(20_000))
        self.loops.append(time.process_time() - began)
        self.kind, began = kind, time.process_time()
        answer = await asked
        self.seconds[kind].append(time.process_time() - began)
        self.kind = ""
        if answer.status_code != status:
            raise RuntimeError(f"{kind} was answered {answer.status_code}")
        return answer

    def count(self, *_: object) -> None:
        if self.kind:
            self.statements[self.kind] += 1

    def report(self) -> None:
        loop = of(sorted(self.loops), .5)
        print(f"{'':22}{'median ms':>10}{'statements':>12}{'loops':>8}   ({len(self.seconds['door'])} joins)")
        medians = {kind: of(sorted(spent), .5) for kind, spent in self.seconds.items()}
        for kind, median in medians.items():
            asked = self.statements[kind] / len(self.seconds[kind])
            print(f"{kind:22}{median * 1000:10.1f}{asked:12.1f}{median / loop:8.1f}")
        print(f"{'all of a join':22}{sum(medians.values()) * 1000:10.1f}{'':12}{sum(medians.values()) / loop:8.1f}")


async def join(school: Running, costs: Costs, lesson_id: str, badge: NewBadge, number: int) -> None:
    """Every request of one pupil, but for files."""
    transport = httpx.ASGITransport(app=school.app, client=(f"127.2.{number // 250}.{number % 250 + 1}", 1))
    headers = {"origin": "http://chaperone.test"}
    async with httpx.AsyncClient(transport=transport, base_url="http://chaperone.test", headers=headers) as client:
        await costs.of("healthz", client.get("/healthz"))
        await costs.of("badge form", client.get("/sign-in/badge"))
        ticket = _found(TICKET, (await costs.of("badge", client.post("/sign-in/badge", data={"code": badge.code}))).text)
        await costs.of("PIN form", client.post("/sign-in/pin", data={"ticket": ticket}))
        pins = dict(zip(("pin1", "pin2", "pin3"), badge.pin.split(), strict=False))
        proved = await costs.of("PIN", client.post("/sign-in/pin/check", data={"ticket": ticket, **pins}), 303)
        own = {"cookie": f"{COOKIE}={_found(re.compile(rf'{COOKIE}=([^;]+)'), proved.headers['set-cookie'])}"}
        await costs.of("start page", client.get("/today", headers=own))
        await costs.of("lesson", client.get(f"/lessons/{lesson_id}", headers=own))
        answers = {**DOOR, "device": f"device {number}"}
        await costs.of("door", client.post(f"/lessons/{lesson_id}/door", headers=own, json=answers))


async def measure(made: Nine) -> Costs:
    coming = [(lesson.lesson_id, made.badges[pupil]) for lesson in made.lessons[:LESSONS] for pupil in lesson.pupil_ids
              if pupil in made.badges]
    costs = Costs()
    async with running(made.folder, dev=False, public_url="http://chaperone.test", clock=SystemClock()) as school:  # type: ignore[arg-type]
        for engine in (school.database.engine, school.database._readers, school.database._lookups):
            event.listen(engine.sync_engine, "before_cursor_execute", costs.count)
        gc.freeze()
        for number, (lesson_id, badge) in enumerate(coming[::LESSONS] + coming[1::LESSONS] + coming[2::LESSONS]):
            if number == WARM:
                costs.seconds.clear()
                costs.statements.clear()
            await join(school, costs, lesson_id, badge, number)
    return costs


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="chaperone-bench-") as folder:
        asyncio.run(measure(asyncio.run(nine(Path(folder))))).report()
    return 0


if __name__ == "__main__":
    sys.exit(main())
