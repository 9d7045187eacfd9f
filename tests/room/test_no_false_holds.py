"""A room holds for a reason, and for no other: an hour of ordinary trouble pauses nobody's lesson.

Two pupils and a teacher over packet traces recorded from real browsers (`traces/`), with what networks do on top.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from pathlib import Path

from lessons.live import events as ev
from tests.room.stage import START, Stage, plan_of

TRACES = Path(__file__).with_name("traces")
TICK = 0.25
HOUR = 3600.0


class Heard:
    """When one person's packets or heartbeats arrive: a recorded trace, over and over, with gaps put into it."""

    def __init__(self, trace: list[int], start: float, gaps: dict[float, float] | None = None):
        self._steps = cycle(trace)
        self._gaps = dict(gaps or {})
        self._next = start
        self.latest = float("-inf")

    def until(self, now: float) -> float:
        """The latest arrival by `now`."""
        while self._next <= now:
            self.latest = self._next
            self._next += next(self._steps) / 1000
            due = [at for at in self._gaps if at <= self._next]
            self._next = max([self._next, *(at + self._gaps.pop(at) for at in due)])
        return self.latest


def trace(name: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = json.loads((TRACES / f"{name}.json").read_text())
    return found


def lesson(gaps: dict[str, dict[float, float]], **recorded: str) -> tuple[Stage, Iterator[tuple[float, bool]]]:
    """A lesson of an hour, and its ticks; `gaps`: person to {seconds into the lesson: seconds of silence}.

    `recorded`: person to the name of their trace, for those who do not speak with their camera on.
    """
    plan = replace(plan_of(), ends_at=START + timedelta(hours=1), hard_end_at=START + timedelta(minutes=70),
                   latest_end_at=START + timedelta(minutes=70))
    stage = Stage(plan=plan).join("teacher", "ali", "bea")
    zero = stage.boot
    people = ("teacher", "ali", "bea")
    media = {p: Heard(trace(recorded.get(p, "speaking"))["media_ms"], zero + 0.1 * n,
                      {zero + at: length for at, length in gaps.get(p, {}).items()}) for n, p in enumerate(people)}
    page = {p: Heard(trace(recorded.get(p, "speaking"))["page_ms"], zero) for p in people}

    def ticks() -> Iterator[tuple[float, bool]]:
        while stage.boot < zero + HOUR - 1:
            stage.boot += TICK
            stage.wall += timedelta(seconds=TICK)
            lapsed = stage.until < stage.boot  # between two ticks the gate shut by itself
            stage.say(ev.Proved(
                media={p: heard.until(stage.boot) for p, heard in media.items()},
                page={p: heard.until(stage.boot) for p, heard in page.items()},
                recorder=stage.boot - 0.6, owner=stage.boot - 0.5,
            ))
            yield stage.boot - zero, lapsed

    return stage, ticks()


def held_at(stage: Stage, ticks: Iterator[tuple[float, bool]]) -> list[float]:
    """When, after it first opened, the room was not open at a tick, or its gate had shut since the one before."""
    opened = False
    found = []
    for at, lapsed in ticks:
        if opened and (lapsed or not stage.room.is_open):
            found.append(at)
        opened = opened or stage.room.is_open
    assert opened
    return found


def test_an_hour_of_ordinary_trouble_holds_nothing() -> None:
    trouble = {
        "ali": {60.0 + 120 * n: 1.5 for n in range(28)},  # Wi-Fi that roams: silent for a second and a half, again and again
        "bea": {300.0: 1.2, 2100.0: 1.2},  # another address: the path moves, the keys stay
        "teacher": {900.0: 1.4, 2700.0: 1.5},
    }
    assert held_at(*lesson(trouble)) == []


def test_two_muted_pupils_are_as_present_as_two_who_speak() -> None:
    assert held_at(*lesson({"bea": {600.0: 1.0}}, ali="muted", bea="muted")) == []


def test_a_pupil_and_a_teacher_who_look_at_another_tab_for_an_hour_hold_nothing() -> None:
    trouble = {"ali": {60.0 + 120 * n: 1.5 for n in range(28)}, "bea": {300.0: 1.2}, "teacher": {900.0: 1.4}}
    assert held_at(*lesson(trouble, ali="hidden", teacher="hidden")) == []


def test_three_seconds_of_silence_hold_and_the_return_opens_within_a_second() -> None:
    stage, ticks = lesson({"ali": {600.0: 3.0, 1800.0: 3.0}})
    held = held_at(stage, ticks)
    first = [at for at in held if at < 1200]
    second = [at for at in held if at > 1200]
    for gap, moments in ((600.0, first), (1800.0, second)):
        assert moments, "three seconds without a pupil must hold the room"
        assert moments[0] <= gap + 2.0 + 2 * TICK
        assert moments[-1] <= gap + 3.0 + 1.0
