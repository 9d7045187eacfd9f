"""`make prove` begins with this: the states of the real room within these bounds, on every core, and what was covered.

Prints each bounded world with its states and transitions, then the coverage of every reason for a hold and every way of
opening. Ends with an error if anything forbidden was delivered, anything was not covered, or it was fewer than a million.
"""

import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed

from lessons.live.plan import Person
from lessons.live.supervision import Hold
from tests.room.exploration import Bounds, Seen, explore
from tests.room.stage import ALI, ASSISTANT, BEA, CAL, DAN, SIGNER, TEACHER

A_MILLION = 1_000_000
MOST = 160_000
"""States of one world: a larger one is not explored whole but to this number, by a seeded choice, and the table says so."""
WAYS = {"two children", "two adults", "an approval", "adults only"}
ADULTS, PUPILS = (TEACHER, ASSISTANT, SIGNER), (ALI, BEA, CAL, DAN)


def bounds(name: str, people: Iterable[Person], may: str, **more: float) -> Bounds:
    return Bounds(name, tuple(people), frozenset(may.split()), **more)


SMALL = (
    bounds("the lesson begins", (TEACHER, ALI, BEA), "crash stop", begins=-3.0),
    bounds("the lesson ends and clocks are set", (TEACHER, ALI, BEA), "crash clock", begins=532.0),
    bounds("recorder, plan and silence", (TEACHER, ALI, BEA), "silence recorder owner"),
    bounds("a frozen page", (TEACHER, ALI, BEA), "silence frozen"),
    bounds("other devices, and removed", (TEACHER, ASSISTANT, ALI, BEA, CAL), "devices remove crash"),
    bounds("packets under way", (TEACHER, ASSISTANT, ALI, BEA), "speak flight"),
)
"""Small enough for every run of the tests."""
LARGE = (
    bounds("who is there, and what becomes durable", (*ADULTS, *PUPILS), "silence recorder"),
    bounds("who is there, and whether the plan can be read", (TEACHER, ASSISTANT, *PUPILS), "silence owner"),
    bounds("one-to-one approvals", (*ADULTS, ALI, BEA), "silence approval"),
    bounds("one-to-one approvals, and what becomes durable", (TEACHER, ASSISTANT, ALI, BEA), "silence approval recorder"),
    bounds("consents of four", (TEACHER, ASSISTANT, *PUPILS), "consent"),
    bounds("consents and silence", (TEACHER, ALI, BEA, CAL), "consent silence"),
    bounds("half seconds", (TEACHER, ASSISTANT, ALI, BEA), "silence recorder", step=0.5),
)
"""For `make prove`; the tests take a seeded sample."""


def every() -> tuple[Bounds, ...]:
    return (*LARGE, *SMALL)


def main() -> int:
    began, total = time.monotonic(), Seen(ended=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(explore, each, most=MOST): each for each in every()}
        for done in as_completed(running):
            seen = done.result()
            total.add(seen)
            extent = "whole " if seen.ended else "sample"
            print(f"{seen.states:9,} states {seen.transitions:11,} transitions  {extent}  {running[done].name}", flush=True)
    print(f"{total.states:9,} states {total.transitions:11,} transitions  in {time.monotonic() - began:.0f} s")
    print(f"Delivery was open {total.delivered:,} times and shut {total.refused:,} times; nothing forbidden was delivered.")
    report("Held because", total.holds)
    report("Opened by", total.openings)
    missing = {str(hold) for hold in Hold} - total.holds.keys() | WAYS - total.openings.keys()
    if missing or total.states < A_MILLION:
        print(f"Not covered: {', '.join(sorted(missing)) or 'a million states'}")
        return 1
    return 0


def report(title: str, counted: dict[str, int]) -> None:
    print(f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in sorted(counted.items(), key=lambda one: -one[1])))


if __name__ == "__main__":
    sys.exit(main())
