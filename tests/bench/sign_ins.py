"""How many pupils sign in by badge in a minute, over HTTP and with every write durable, and what others wait meanwhile.

`await badge_sign_ins(running, pupils)` is for other measurements; `python -m tests.bench.sign_ins` prints the figures.
"""

import asyncio
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.people import commands, queries
from service.people.tables import Person, PersonRole
from tests.school import Running, running

TICKET = re.compile(r'name="ticket" value="([^"]+)"')


@dataclass(frozen=True)
class SignIns:
    """Figures of one run. `cpu_ms` is processor time for one sign-in, its client included; `write_ms` the longest that another
    writer waited for the database meanwhile."""

    pupils: int
    seconds: float
    cpu_ms: float
    slowest_ms: float
    write_ms: float

    @property
    def a_second(self) -> float:
        return self.pupils / self.seconds


async def badges(school: Running, pupils: int) -> list[commands.NewBadge]:
    """That many new pupils, each with a badge."""
    async with school.database.writing() as session:
        office = await queries.actor(session, school.person("office"))
        assert office is not None
        people = [Person(school_id=office.school_id, kind="child", given_name=f"Pupil {number}", year_group="8")
                  for number in range(pupils)]
        session.add_all(people)
        session.add_all(PersonRole(person_id=person.id, role="pupil", school_id=office.school_id) for person in people)
    made = []
    for person in people:
        async with school.database.writing() as session:
            made.append(await commands.issue_badge(session, office, person.id, school.app.state.pepper, school.clock.now()))
    return made


async def badge_sign_ins(school: Running, made: list[commands.NewBadge], *, at_once: int = 30) -> SignIns:
    """Every badge scanned and its PIN typed, `at_once` children at a time, as at 9 in the morning."""
    turn = asyncio.Semaphore(at_once)
    took: list[float] = []

    async def one(badge: commands.NewBadge) -> None:
        async with turn, school.client() as client:
            began = time.perf_counter()
            scanned = await client.post("/sign-in/badge", data={"code": badge.code})
            await _prove(client, scanned, badge)
            took.append(time.perf_counter() - began)

    waiting = asyncio.create_task(_longest_write(school))
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one(badge) for badge in made))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    waiting.cancel()
    worst = (await asyncio.gather(waiting, return_exceptions=True))[0]
    return SignIns(len(made), seconds, cpu * 1000 / len(made), max(took) * 1000, worst if isinstance(worst, float) else 0.0)


async def _prove(client: httpx.AsyncClient, scanned: httpx.Response, badge: commands.NewBadge) -> None:
    ticket = TICKET.search(scanned.text)
    assert ticket, scanned.text
    await client.post("/sign-in/pin", data={"ticket": ticket[1]})
    answer = await client.post("/sign-in/pin/check", data={"ticket": ticket[1], "pin1": badge.pin})
    assert answer.status_code == 303, answer.text


async def _longest_write(school: Running) -> float:
    """How long somebody else's small write takes at the worst (ms), until cancelled."""
    worst = 0.0
    try:
        while True:
            began = time.perf_counter()
            async with school.database.writing() as session:
                await session.get(Person, "nobody")
            worst = max(worst, (time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        return worst


async def measured(pupils: int = 300) -> SignIns:
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as school:
            return await badge_sign_ins(school, await badges(school, pupils))


def main() -> None:
    figures = asyncio.run(measured())
    print(f"{figures.pupils} badge sign-ins in {figures.seconds:.1f} s: {figures.a_second:.0f} a second, "
          f"{figures.a_second * 60:.0f} a minute; {figures.cpu_ms:.0f} ms of processor time each; "
          f"slowest {figures.slowest_ms:.0f} ms; "
          f"another writer waited {figures.write_ms:.0f} ms at most")


if __name__ == "__main__":
    main()
