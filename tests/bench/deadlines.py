"""The deadlines of the supervision rule, at the receiver's wire (goals G2 and G3): how long anything still arrives after a
pupil leaves or dies and after a revocation; how long it takes to work out anew who reaches whom; what the gate costs.

`python -m tests.bench deadlines`, or `python -m tests.bench.deadlines browsers` for one part. CHAPERONE_BENCH_TIMES=3 makes three
times as many runs.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import edges, leaving, processor, revoking
from tests.bench.attendee import Attendee
from tests.bench.deadline_school import Made, Pair, make
from tests.bench.joins import Served, of, served
from tests.bench.leaving import Left, Watching
from tests.bench.revoking import OneToOne, Revoked

TIMES = max(1, int(os.environ.get("CHAPERONE_BENCH_TIMES", "1")))
WATCHED, GOING = 8, 4
"""Lessons in which pupils come and go, all at the same time; so many take turns in each."""


@dataclass(frozen=True)
class Size:
    """`connections`: how many are open all the time, one-to-ones not counted. Of each lesson: how many leave, are killed, fall
    silent. `pairs`: how many approvals are revoked, and as many sign-ins ended, `at_once` one-to-ones being on together."""

    connections: int = 200
    leaves: int = 13 * TIMES
    kills: int = 4 * TIMES
    silences: int = 4 * TIMES
    pairs: int = 50 * TIMES
    at_once: int = 10
    browsers: int = 10 * TIMES
    watched: int = WATCHED
    each: int = 25

    @property
    def classes(self) -> int:
        return self.watched + self.connections // self.each + 1


@dataclass
class Found:
    """What was measured on one service."""

    left: Left
    killed: Left
    silent: Left
    approvals: Revoked
    sign_ins: Revoked
    connections: int = 0


async def measure(url: str, made: Made, size: Size) -> Found:
    """Everything over the wire, on a service that serves `made` at `url`."""
    found = Found(Left(), Left(), Left(), Revoked(), Revoked())
    watching, crowd = await _gather(url, made, size)
    try:
        found.connections = len(crowd)
        for go, count, wait, into in (
                (leaving.leave, size.leaves, 0.0, found.left), (leaving.killed, size.kills, 0.0, found.killed),
                (leaving.silent, size.silences, 2.5, found.silent)):
            await asyncio.gather(*(each.runs(count, go, wait, into) for each in watching))
        report_left(found)
        half = len(made.pairs) // 2
        await _revoke(url, made, made.pairs[:half], size, revoking.approval, found.approvals)
        report_revoked("approval revoked", "the word on the WebSocket", found.approvals)
        await _revoke(url, made, made.pairs[half:], size, revoking.sign_ins, found.sign_ins)
        report_revoked("signed out everywhere", "the WebSocket is closed", found.sign_ins)
        gone = [person.told["closed"] for person in crowd if "closed" in person.told]
        if gone:
            raise RuntimeError(f"{len(gone)} of the connections that were to stay open were closed: {gone[:3]}")
    finally:
        await asyncio.gather(*(person.go() for person in crowd))
    return found


async def _gather(url: str, made: Made, size: Size) -> tuple[list[Watching], list[Attendee]]:
    """The lessons to watch, each with a teacher who speaks and one pupil; and the others until all connections are open."""
    watching, crowd, number = [], [], 0

    def somebody(lesson_id: str, person: str, **more: bool) -> Attendee:
        nonlocal number
        number += 1
        return Attendee(url, lesson_id, f"127.2.{number // 200}.{number % 200 + 1}", made.cookies[person], **more)

    for lesson in made.classes[:size.watched]:
        teacher = somebody(lesson.lesson_id, lesson.teacher_id, speaks=True)
        stays, *others = lesson.pupil_ids
        crowd += [teacher, somebody(lesson.lesson_id, stays)]
        others = [lambda p=p, i=lesson.lesson_id: somebody(i, p) for p in others[:GOING]]  # type: ignore[misc]
        watching.append(Watching(teacher, crowd[-1], others))
    for lesson in made.classes[size.watched:]:
        people = (lesson.teacher_id, *lesson.pupil_ids)[:max(0, size.connections - len(crowd))]
        crowd += [somebody(lesson.lesson_id, person) for person in people]
    door = asyncio.Semaphore(8)

    async def come(person: Attendee) -> None:
        async with door:
            await person.come_in()

    await asyncio.gather(*(come(person) for person in crowd))
    for each in watching:
        await each.teacher.say("microphone", on=True)
    return watching, crowd


async def _revoke(url: str, made: Made, pairs: list[Pair], size: Size,
                  revoke: Callable[[str, Made, OneToOne, Revoked], Awaitable[None]], found: Revoked) -> None:
    for first in range(0, len(pairs), size.at_once):
        some = pairs[first:first + size.at_once]
        begun = await asyncio.gather(*(OneToOne.begun(url, made, pair, made.pairs.index(pair)) for pair in some))
        try:
            for one in begun:
                await revoke(url, made, one, found)
        finally:
            await asyncio.gather(*(one.end() for one in begun))


async def browsers(times: int) -> list[float]:
    """A pupil's Chromium gets SIGKILL: seconds until the last packet of media from the server to anybody."""
    from tests.browser.lesson_day import school_day
    took = []
    with tempfile.TemporaryDirectory(prefix="chaperone-bench-") as folder:
        async with school_day(Path(folder)) as day:
            if day.wire is None:
                raise RuntimeError("the wire can be listened to in a network of our own only; this machine lets us make none")
            _, teacher = await day.teacher(1)
            await day.pupil(0, 2)
            for _ in range(times):
                browser, pupil = await day.pupil(1, 3)
                await teacher.sees("open")
                await teacher.turn_on("Microphone")
                await asyncio.sleep(1)
                died = day.strike(browser, pupil)
                if not [p for p in day.wire.packets if died - 0.2 < p.at <= died]:
                    raise RuntimeError("nothing was on the wire before")
                await teacher.sees("held")
                await asyncio.sleep(1)
                took.append(max((p.at for p in day.wire.after(died)), default=died) - died)
    return took


# The report


def line(name: str, seconds: list[float], goal: float | None = None, part: float = 1.0) -> str:
    """One distribution in milliseconds, and whether `part` of it is within the goal (seconds)."""
    took = sorted(seconds)
    words = "  ".join(f"{label} {of(took, at) * 1000:.1f}" for label, at in (("p50", .5), ("p95", .95), ("p99", .99), ("max", 1)))
    if goal is None:
        return f"  {name}: {words} ms, of {len(took)}"
    which = "all" if part == 1 else f"p{part * 100:.0f}"
    met = "met" if took and of(took, part) <= goal else "NOT met"
    return f"  {name}: {words} ms, of {len(took)}; goal: {which} within {goal * 1000:g} ms: {met}"


def report_left(found: Found) -> None:
    print(f"Last byte at the receiver's socket, with {found.connections} connections open all the time (load {load()}):")
    print(line("pupil presses Leave", found.left.took, 0.05))
    print(line("pupil's program killed, its sockets closed by the kernel", found.killed.took, 2.5))
    print(line("pupil falls silent, nothing closed", found.silent.took, 2.5))
    void = sum(each.void for each in (found.left, found.killed, found.silent))
    print(f"    left out: {void} runs in which nothing was heard just before", flush=True)


def report_revoked(name: str, end: str, one: Revoked) -> None:
    print(line(f"{name}, from the request", one.sent, 0.25, 0.99) + f" (load {load()})")
    print(line("    from its answer", one.answered, 0.25, 0.99))
    print(line("    the request itself", one.request))
    print(line(f"    until {end}, from the request", one.told))
    print(f"    HTTP: {one.open_still} requests of an ended sign-in let in; nothing was heard just before in {one.void} runs",
          flush=True)


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def report_edges(took: dict[str, edges.Took], packet: edges.PerPacket) -> None:
    print("Who reaches whom, worked out anew for 31 people and put in force (by the clock; then of the processor):")
    for name, each in took.items():
        print(line(name, each.clock, 0.001, 0.99))
        print(line("    of the processor", each.own))
    print(f"The gate, asked once with the clock read: {packet.gate:.0f} ns. A voice's packet taken in: {packet.taken:.0f} ns; "
          f"each copy sent: {packet.sent:.0f} ns. The gate is {packet.gate / packet.taken:.1%} of the first and "
          f"{packet.gate / (packet.taken + edges.PUPILS * packet.sent):.2%} of sending it to {edges.PUPILS}")


def main(names: list[str]) -> int:
    """Each part in a process of its own, so that one which fails takes no figures of the others with it."""
    failed = 0
    for name in names or PARTS:
        failed |= subprocess.run([sys.executable, "-m", "tests.bench.deadlines", "inside", name], check=False,
                                 timeout=LONGEST * TIMES, preexec_fn=lambda name=name: _place(name)).returncode  # type: ignore[misc]
    return failed


def _place(name: str) -> None:
    """The load and what is measured here on one processor, the service on another, before whatever else the machine does.
    Browsers take what they get."""
    processor.alone(set(range(os.cpu_count() or 1)) if name == "browsers" else processor.two()[1])


def _edges(size: Size) -> None:
    report_edges(asyncio.run(edges.rebuilds(200)), asyncio.run(edges.per_packet()))


def _wire(size: Size) -> None:
    here, began = os.sched_getaffinity(0), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaperone-bench-") as folder:
        made = asyncio.run(make(Path(folder), classes=size.classes, each=size.each, pairs=2 * size.pairs))
        with served(made, set(range(os.cpu_count() or 1)) - here or here) as service:  # type: ignore[arg-type]
            asyncio.run(_on(service, made, size))
    print(f"All of this took {time.monotonic() - began:.0f} s")


def _browsers(size: Size) -> None:
    took = asyncio.run(browsers(size.browsers))
    print(line("a pupil's Chromium killed (SIGKILL), last packet to anybody on the wire", took, 2.5) + f" (load {load()})")


PARTS: dict[str, Callable[[Size], None]] = {"edges": _edges, "wire": _wire, "browsers": _browsers}
LONGEST = 1200
"""Seconds after which a part is given up."""


async def _on(service: Served, made: Made, size: Size) -> Found:
    await service.ready()
    try:
        return await measure(service.url, made, size)
    except Exception:
        print(f"The service's last words:\n{service.log.read_text()[-4000:]}", flush=True)
        raise


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        PARTS[sys.argv[2]](Size())
    else:
        sys.exit(main(sys.argv[1:]))
