"""A lesson drawn: one bar a person on the lesson's own time, pauses shaded. The table beside it says the same. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lessons.attendance.rules import Attendance, Interval, Register, Window, clip

LEFT, WIDTH, ROW, TOP = 150, 560, 30, 28
TICK_MINUTES = (5, 10, 15, 30, 60)


@dataclass(frozen=True)
class Box:
    """A rectangle's place along the time axis, in units of the drawing."""

    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    name: str
    y: int
    stays: tuple[Box, ...]


@dataclass(frozen=True)
class Drawing:
    width: int
    height: int
    ticks: tuple[tuple[float, datetime], ...]
    pauses: tuple[Box, ...]
    bars: tuple[Bar, ...]


def drawing(register: Register, window: Window, people: Iterable[tuple[str, Attendance]]) -> Drawing:
    """`people`: names with their attendance, from top to bottom."""
    named = list(people)
    first = min([window.starts_at, *(found.stays[0].start for _, found in named if found.stays)])
    last = max([window.ends_at, *(found.stays[-1].end for _, found in named if found.stays)])
    frame = Interval(max(first, window.doors), min(last, window.hard_end))

    def box(interval: Interval) -> Box:
        x = _place(interval.start, frame)
        return Box(x, round(max(2.0, _place(interval.end, frame) - x), 1))

    bars = tuple(
        Bar(name, TOP + position * ROW, tuple(box(stay) for stay in clip(found.stays, frame)))
        for position, (name, found) in enumerate(named)
    )
    return Drawing(LEFT + WIDTH + 20, TOP + len(bars) * ROW + 8, _ticks(frame), tuple(box(p) for p in register.pauses), bars)


def _place(at: datetime, frame: Interval) -> float:
    return round(LEFT + WIDTH * ((at - frame.start) / frame.length), 1)


def _ticks(frame: Interval) -> tuple[tuple[float, datetime], ...]:
    """Round times, at most seven of them."""
    minutes = next((step for step in TICK_MINUTES if frame.length <= timedelta(minutes=7 * step)), TICK_MINUTES[-1])
    step = timedelta(minutes=minutes)
    past = timedelta(minutes=frame.start.minute % minutes, seconds=frame.start.second, microseconds=frame.start.microsecond)
    first = frame.start - past + (step if past else timedelta())
    count = int((frame.end - first) / step) + 1
    return tuple((_place(first + n * step, frame), first + n * step) for n in range(count))
