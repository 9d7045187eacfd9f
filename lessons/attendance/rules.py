"""From the journal of a lesson's room to who was there. Pure: the same journal gives the same answer, always.

Times are instants in UTC, so a lesson across the change of the clocks is as long as it was; only pages know a zone.
Nothing here is a statutory code and nothing can become one: a person's part in a remote lesson is minutes, and the
school register is kept elsewhere (policy: RL9).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from service.foundation.errors import Invalid

ONE_STAY = timedelta(seconds=60)
"""A gap up to this long is one stay with a reconnect, not a leaving: changing the network or starting a tablet again takes
most of a minute, and a register that showed each as walking out would accuse children of their Wi-Fi. The gap itself is
still not counted as presence."""
LATE_AFTER = timedelta(minutes=5)
EARLY_BEFORE = timedelta(minutes=5)


@dataclass(frozen=True)
class Entry:
    """What attendance reads of one line of the journal. `kind`: `joined`, `left`, `opened`, `held`, `ended`; others pass by."""

    at: datetime
    kind: str
    person_id: str = ""
    beside: str = ""


@dataclass(frozen=True, order=True)
class Interval:
    """From `start` up to `end`."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True)
class Window:
    """What the lesson allowed: the doors open, it starts, it should end, and its hard end."""

    doors: datetime
    starts_at: datetime
    ends_at: datetime
    hard_end: datetime

    @property
    def lesson(self) -> Interval:
        return Interval(self.starts_at, self.hard_end)


@dataclass(frozen=True)
class Correction:
    """What a named person added, with a reason. Both times empty: they were not there."""

    joined_at: datetime | None
    left_at: datetime | None
    reason: str
    made_by: str
    made_at: datetime


@dataclass(frozen=True)
class Attendance:
    """One person's part in one lesson.

    stays        when they were there, reconnects merged
    seconds      how long they were in the room between the lesson's start and its hard end
    seconds_open how much of that the room was open, so that they could see and hear
    late         how long after the start they came, when that is more than five minutes
    left_early   how long before the end they went, when that is more than five minutes
    is_here      still in the room
    """

    person_id: str
    stays: tuple[Interval, ...] = ()
    seconds: float = 0
    seconds_open: float = 0
    late: timedelta | None = None
    left_early: timedelta | None = None
    reconnects: int = 0
    is_here: bool = False
    beside: str = ""

    @property
    def came(self) -> bool:
        return bool(self.stays)

    @property
    def joined_at(self) -> datetime | None:
        return self.stays[0].start if self.stays else None

    @property
    def left_at(self) -> datetime | None:
        return self.stays[-1].end if self.stays else None

    @property
    def breaks(self) -> int:
        return max(0, len(self.stays) - 1)

    @property
    def minutes(self) -> int:
        return whole_minutes(self.seconds)

    @property
    def minutes_open(self) -> int:
        return whole_minutes(self.seconds_open)


@dataclass(frozen=True)
class Register:
    """A lesson as its journal tells it."""

    began: datetime | None
    ended: datetime | None
    open: tuple[Interval, ...]
    people: Mapping[str, Attendance] = field(default_factory=dict)

    @property
    def pauses(self) -> tuple[Interval, ...]:
        """The times between two openings."""
        return tuple(Interval(a.end, b.start) for a, b in zip(self.open, self.open[1:], strict=False))


def register(
    entries: Iterable[Entry], window: Window, now: datetime, breakouts: Iterable[Iterable[Entry]] = (),
) -> Register:
    """Who was in the lesson, for everybody whom its journals name. The order of `entries` does not matter.

    `breakouts`: the journals of its breakout rooms. Time in any of its rooms is time in the lesson, and the way from one to
    another is a reconnect. The lesson is open while one of its rooms is; each person could see and hear while theirs was.
    """
    main, *others = [_told(journal, window, now) for journal in (entries, *breakouts)]
    rooms = (main, *others)
    ended = next((entry.at for entry in reversed(main.entries) if entry.kind == "ended"), None)
    end = min(window.ends_at, ended or window.ends_at)
    opened = union(interval for room in rooms for interval in room.opened)
    named = {entry.person_id for room in rooms for entry in room.entries if entry.kind == "joined"}
    is_over = main.last < now or bool(ended)
    people = {person: _attendance(person, rooms, window, end, is_over=is_over) for person in sorted(named)}
    return Register(opened[0].start if opened else None, ended, opened, people)


@dataclass(frozen=True)
class _Told:
    """One room's journal, mended, and until when it vouches for anybody."""

    entries: list[Entry]
    last: datetime
    opened: tuple[Interval, ...]


def _told(entries: Iterable[Entry], window: Window, now: datetime) -> _Told:
    told = mended(sorted(entries, key=lambda entry: (entry.at, RANK.get(entry.kind, 2), entry.person_id)))
    last = _last_known(told, window, now)
    return _Told(told, last, _open(told, last))


RANK = {"left": 0, "held": 0, "joined": 1, "opened": 1, "ended": 3}
"""Of two things at the same instant the end of one stay comes before the beginning of the next."""


def mended(told: list[Entry]) -> list[Entry]:
    """`told` with the endings that a process had no time to write.

    Somebody who joins while already in shows that the room began anew after its process died: everybody's stay then ended
    at the last line written before, which is as long as the journal can vouch for them.
    """
    found: list[Entry] = []
    inside: set[str] = set()
    for entry in told:
        if entry.kind == "joined" and entry.person_id in inside:
            died = found[-1].at
            found += [Entry(died, "left", person) for person in sorted(inside)]
            found.append(Entry(died, "held"))
            inside.clear()
        if entry.kind == "joined":
            inside.add(entry.person_id)
        elif entry.kind == "left":
            inside.discard(entry.person_id)
        found.append(entry)
    return found


def _last_known(told: list[Entry], window: Window, now: datetime) -> datetime:
    """Until when the journal can vouch for anybody: its end, or its last line when it stopped without one.

    While the lesson may still run, that is now. A process that died proves nothing after its last line.
    """
    if any(entry.kind == "ended" for entry in told):
        return min(window.hard_end, max(entry.at for entry in told if entry.kind == "ended"))
    if now < window.hard_end:
        return now
    return min(window.hard_end, max((entry.at for entry in told), default=window.doors))


def presence(told: Iterable[Entry], person_id: str, last: datetime) -> list[Interval]:
    """When one person was there: each joining up to the next leaving, or to `last`. Several connections are one person."""
    start, found = None, []
    for entry in told:
        if entry.person_id != person_id:
            continue
        if entry.kind == "joined" and start is None:
            start = entry.at
        elif entry.kind == "left" and start is not None:
            found.append(Interval(start, max(start, entry.at)))
            start = None
    if start is not None:
        found.append(Interval(start, max(start, last)))
    return found


def _open(told: Iterable[Entry], last: datetime) -> tuple[Interval, ...]:
    start, found = None, []
    for entry in told:
        if entry.kind == "opened" and start is None:
            start = entry.at
        elif entry.kind in ("held", "ended") and start is not None:
            found.append(Interval(start, entry.at))
            start = None
    if start is not None:
        found.append(Interval(start, max(start, last)))
    return tuple(found)


def _attendance(person_id: str, rooms: tuple[_Told, ...], window: Window, end: datetime, *, is_over: bool) -> Attendance:
    allowed = Interval(window.doors, window.hard_end)
    each = [(clip(presence(room.entries, person_id, room.last), allowed), room) for room in rooms]
    there = union(interval for intervals, _ in each for interval in intervals)
    stays = merged(there)
    open_to = union(i for intervals, room in each for i in common(clip(intervals, window.lesson), union(room.opened)))
    here = not is_over and any(_is_in(room, person_id) for room in rooms)
    return Attendance(
        person_id, stays, total(clip(there, window.lesson)), total(open_to),
        _more(stays[0].start - window.starts_at, LATE_AFTER) if stays else None,
        _more(end - stays[-1].end, EARLY_BEFORE) if stays and not here else None,
        len(there) - len(stays), here,
        next((e.beside for room in rooms for e in room.entries if e.person_id == person_id and e.beside), ""),
    )


def _is_in(room: _Told, person_id: str) -> bool:
    kinds = [entry.kind for entry in room.entries if entry.person_id == person_id and entry.kind in ("joined", "left")]
    return kinds[-1:] == ["joined"] and not any(entry.kind == "ended" for entry in room.entries)


def _more(length: timedelta, limit: timedelta) -> timedelta | None:
    return length if length > limit else None


def corrected(found: Attendance, corrections: Iterable[Correction], window: Window) -> Attendance:
    """What stands after the last correction. The journal's own answer is shown beside it, struck through."""
    newest = max(corrections, key=lambda correction: correction.made_at, default=None)
    if newest is None:
        return found
    if newest.joined_at is None or newest.left_at is None:
        return Attendance(found.person_id)
    stay = Interval(newest.joined_at, newest.left_at)
    counted = total(clip([stay], window.lesson))
    return Attendance(
        found.person_id, (stay,), counted, counted, _more(stay.start - window.starts_at, LATE_AFTER),
        _more(window.ends_at - stay.end, EARLY_BEFORE),
    )


def check_correction(joined_at: datetime | None, left_at: datetime | None, reason: str, window: Window) -> None:
    """Refuse a correction that could not have happened, or that says not why."""
    wrong = {}
    if (joined_at is None) != (left_at is None):
        wrong["left" if left_at is None else "joined"] = "Enter both times, or say that they were not there"
    elif joined_at is not None and left_at is not None:
        if not window.doors <= joined_at <= window.hard_end:
            wrong["joined"] = "Enter a time within the lesson"
        elif not joined_at < left_at <= window.hard_end:
            wrong["left"] = "Enter a time after they joined and within the lesson"
    if not reason.strip():
        wrong["reason"] = "Say why"
    if wrong:
        raise Invalid("There is a problem", fields=wrong)


def moment_in(given: str, window: Window, zone: str) -> datetime | None:
    """The instant at which the school's clocks showed `given` (“10:15”) in the lesson; None for an empty box.

    In the hour that the clocks go back over, it is the one of the two that lies in the lesson.
    """
    if not given.strip():
        return None
    try:
        hour, minute = (int(part) for part in given.strip().replace(".", ":").split(":"))
        at = time(hour, minute)
    except ValueError as error:
        raise Invalid("There is a problem", fields={"joined": "Enter times such as 10:15"}) from error
    day: date = window.starts_at.astimezone(ZoneInfo(zone)).date()
    both = [datetime.combine(day, at.replace(fold=fold), ZoneInfo(zone)).astimezone(UTC) for fold in (0, 1)]
    return next((found for found in both if window.doors <= found <= window.hard_end), both[0])


# -- intervals ---------------------------------------------------------------------------------------------------------


def union(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same time without overlaps, in order."""
    return _joined(intervals, lambda gap: gap <= timedelta(0))


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Stays: what lies at most `ONE_STAY` apart is one."""
    return _joined(intervals, lambda gap: gap <= ONE_STAY)


def _joined(intervals: Iterable[Interval], near: Callable[[timedelta], bool]) -> tuple[Interval, ...]:
    found: list[Interval] = []
    for interval in sorted(intervals):
        if found and near(interval.start - found[-1].end):
            found[-1] = Interval(found[-1].start, max(found[-1].end, interval.end))
        else:
            found.append(interval)
    return tuple(found)


def clip(intervals: Iterable[Interval], to: Interval) -> tuple[Interval, ...]:
    cut = (Interval(max(i.start, to.start), min(i.end, to.end)) for i in intervals)
    return tuple(interval for interval in cut if interval.start < interval.end)


def common(these: Iterable[Interval], those: Iterable[Interval]) -> tuple[Interval, ...]:
    """The time that is in both."""
    others = tuple(those)
    return union(part for interval in these for part in clip(others, interval))


def total(intervals: Iterable[Interval]) -> float:
    """Seconds."""
    return sum(interval.length.total_seconds() for interval in intervals)


def whole_minutes(seconds: float) -> int:
    """To the nearest minute, half a minute up."""
    return int((seconds + 30) // 60)
