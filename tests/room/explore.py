"""`make prove` begins with this: the states of the real room within these bounds, on every core, and what was covered.

Prints each bounded world with its states and transitions, then how many states are distinct over all of them and the coverage
of every reason for a hold and every way of opening. Ends with an error if anything forbidden was delivered, anything was not
covered, or it was fewer than a million. `python -m tests.room.explore PART OF A NAME…` explores only the worlds so named.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from hashlib import blake2b

from lessons.live.plan import Person
from lessons.live.supervision import Hold
from tests.room.exploration import Bounds, Seen, explore
from tests.room.stage import ALI, ASSISTANT, BEA, CAL, DAN, SIGNER, TEACHER

A_MILLION = 1_000_000
MANY = 190_000
WAYS = {"two children", "two adults", "an approval", "adults only"}
ADULTS, PUPILS = (TEACHER, ASSISTANT, SIGNER), (ALI, BEA, CAL, DAN)
THREE, FOUR = (TEACHER, ALI, BEA), (TEACHER, ASSISTANT, ALI, BEA)


def bounds(name: str, people: Iterable[Person], may: str, **more: float) -> Bounds:
    return Bounds(name, tuple(people), frozenset(may.split()), **more)  # type: ignore[arg-type]


SMALL = (
    bounds("the lesson begins", THREE, "crash stop late", begins=-3.0),
    bounds("the lesson ends and clocks are set", THREE, "crash clock", begins=532.0),
    bounds("other devices, and removed", (TEACHER, ASSISTANT, ALI, BEA, CAL), "devices remove crash"),
    bounds("a breakout room", THREE, "breakouts"),
    bounds("the teacher made one pupil's badge", FOUR, "badge"),
    bounds("the teacher made the assistant's link", FOUR, "link"),
)
"""Small enough for every run of the tests."""
LARGE = (
    bounds("quarter seconds of silence", THREE, "silent owner", step=0.25, most=MANY),
    bounds("quarter seconds of two adults' silence", (TEACHER, ASSISTANT, ALI), "silent owner", step=0.25, most=MANY),
    bounds("quarter seconds of what becomes durable", THREE, "recorder owner", step=0.25, most=MANY),
    bounds("quarter seconds of silence and of what becomes durable", THREE, "silent recorder", step=0.25, most=MANY),
    bounds("quarter seconds of the beginning", THREE, "recorder crash late", begins=-1.5, step=0.25, most=MANY),
    bounds("quarter seconds to the end, and clocks are set", THREE, "clock", begins=590.0, step=0.25, most=MANY),
    bounds("quarter seconds of an approval", FOUR, "approval", step=0.25, most=MANY),
    bounds("half seconds of silence and of what becomes durable", FOUR, "silent recorder", step=0.5, most=MANY),
    bounds("recorder, plan and silence", THREE, "silent recorder owner"),
    bounds("a frozen page", THREE, "silent frozen"),
    bounds("packets under way", FOUR, "speak flight"),
    bounds("who is there, and what becomes durable", (*ADULTS, *PUPILS), "silent recorder"),
    bounds("who is there, and whether the plan can be read", (TEACHER, ASSISTANT, *PUPILS), "silent owner"),
    bounds("one-to-one approvals", (*ADULTS, ALI, BEA), "silent approval"),
    bounds("one-to-one approvals, and what becomes durable", FOUR, "silent approval recorder"),
    bounds("the teacher made one pupil's badge, and frozen pages", (TEACHER, ASSISTANT, ALI, BEA, CAL), "badge silent frozen"),
    bounds("the teacher made a link and a badge, and silence", FOUR, "link badge silent"),
    bounds("the teacher made one pupil's badge, and approvals", FOUR, "badge silent approval"),
    bounds("consents of four", (TEACHER, ASSISTANT, *PUPILS), "consent"),
    bounds("consents and silence", (TEACHER, ALI, BEA, CAL), "consent silent"),
    bounds("a breakout room of five", (TEACHER, ASSISTANT, ALI, BEA, CAL), "breakouts silent"),
    bounds("a breakout room, its recorder and its process", FOUR, "breakouts recorder crash"),
)
"""For `make prove`; the tests take a seeded sample."""


def every() -> tuple[Bounds, ...]:
    return (*LARGE, *SMALL)


def explored(wanted: Iterable[Bounds]) -> Iterator[tuple[Bounds, Seen, set[bytes]]]:
    """Each world as it is done, and the digests of its states."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(_explored, each): each for each in wanted}
        for done in as_completed(running):
            yield running[done], *done.result()


def _explored(each: Bounds) -> tuple[Seen, set[bytes]]:
    seen = explore(each, most=each.most)
    digests, seen.known = {_digest(looks) for looks in seen.known}, set()
    return seen, digests


def _digest(looks: bytes) -> bytes:
    return blake2b(looks, digest_size=10).digest()


def main(wanted: list[str]) -> int:
    began, total, distinct = time.monotonic(), Seen(ended=True), set[bytes]()
    chosen = [each for each in every() if not wanted or any(name in each.name for name in wanted)]
    for world, seen, digests in explored(chosen):
        total.add(seen)
        distinct |= digests
        extent = "whole " if seen.ended else "sample"
        print(f"{seen.states:9,} states, {seen.entered:9,} entered {seen.transitions:11,} transitions  {extent}  {world.name}",
              flush=True)
    return told(total, len(distinct), time.monotonic() - began)


def told(total: Seen, distinct: int, seconds: float) -> int:
    print(f"{total.states:9,} states, {total.entered:9,} entered {total.transitions:11,} transitions  in {seconds:.0f} s on "
          f"{os.cpu_count()} processors")
    print(f"{distinct:9,} states are distinct over all worlds, like people in no order, and each was judged")
    print(f"Delivery was open {total.delivered:,} times and shut {total.refused:,} times; nothing forbidden was delivered.")
    report("Held because", total.holds)
    report("Opened by", total.openings)
    missing = {str(hold) for hold in Hold} - total.holds.keys() | WAYS - total.openings.keys()
    if missing or distinct < A_MILLION:
        print(f"Not covered: {', '.join(sorted(missing)) or 'a million distinct states'}")
        return 1
    return 0


def report(title: str, counted: dict[str, int]) -> None:
    print(f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in sorted(counted.items(), key=lambda one: -one[1])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
