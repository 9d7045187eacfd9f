"""Who was in the lesson, worked out from the journal and from nothing else (policy: RL9, invariant I10)."""

import csv
import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons.attendance import export, rules
from lessons.attendance.rules import Attendance, Correction, Entry, Interval, Window
from service.foundation.errors import Invalid

START = datetime(2026, 11, 24, 10, 15, tzinfo=UTC)
WINDOW = Window(START - timedelta(minutes=10), START, START + timedelta(minutes=45), START + timedelta(minutes=50))
AFTER = START + timedelta(hours=3)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def told(*lines: tuple[float, str] | tuple[float, str, str], window: Window = WINDOW, now: datetime = AFTER) -> rules.Register:
    return rules.register([Entry(window.starts_at + timedelta(minutes=line[0]), *line[1:]) for line in lines], window, now)


def ali(*lines: tuple[float, str] | tuple[float, str, str], now: datetime = AFTER) -> Attendance:
    return told(*lines, now=now).people["ali"]


def test_a_whole_lesson_is_its_minutes() -> None:
    found = ali((0, "joined", "ali"), (1, "opened"), (43, "left", "ali"), (45, "ended"))
    assert (found.minutes, found.minutes_open, found.late, found.left_early) == (43, 42, None, None)


def test_waiting_before_the_start_is_shown_and_not_counted() -> None:
    found = ali((-8, "joined", "ali"), (45, "left", "ali"), (45, "ended"))
    assert (found.joined_at, found.minutes) == (at(-8), 45)


def test_a_reconnect_within_a_minute_is_one_stay_and_its_gap_is_not_presence() -> None:
    found = ali((0, "joined", "ali"), (10, "left", "ali"), (11, "joined", "ali"), (45, "left", "ali"), (45, "ended"))
    assert (found.breaks, found.reconnects, found.minutes) == (0, 1, 44)
    longer = ali((0, "joined", "ali"), (10, "left", "ali"), (11.1, "joined", "ali"), (45, "left", "ali"), (45, "ended"))
    assert (longer.breaks, longer.reconnects) == (1, 0)


def test_time_in_a_breakout_room_is_time_in_the_lesson_and_the_way_there_is_a_reconnect() -> None:
    main = [(0, "joined", "ali"), (0, "joined", "bea"), (1, "opened"), (10, "left", "ali"), (10, "held"), (30, "joined", "ali"),
            (30, "opened"), (45, "ended")]
    room = [(10.5, "joined", "ali"), (11, "opened"), (25, "held"), (26, "opened"), (29.5, "left", "ali"), (29.5, "ended")]
    journals = [[Entry(at(minutes), *more) for minutes, *more in lines] for lines in (main, room)]
    found = rules.register(journals[0], WINDOW, AFTER, [journals[1]])
    one = found.people["ali"]
    assert (one.minutes, one.breaks, one.reconnects, one.left_early) == (44, 0, 2, None)
    assert one.seconds_open == (9 + 14 + 3.5 + 15) * 60, "in each room while that room was open"
    assert found.people["bea"].seconds_open == (9 + 15) * 60, "another room's opening is nothing to who is not in it"
    assert found.ended == at(45), "a room's end is not the lesson's"


def test_five_minutes_are_not_late_and_six_are() -> None:
    assert ali((5, "joined", "ali"), (45, "ended")).late is None
    assert ali((6, "joined", "ali"), (45, "ended")).late == timedelta(minutes=6)


def test_leaving_ten_minutes_before_the_end_is_left_early_unless_the_teacher_ended_it_then() -> None:
    assert ali((0, "joined", "ali"), (35, "left", "ali"), (45, "ended")).left_early == timedelta(minutes=10)
    assert ali((0, "joined", "ali"), (35, "left", "ali"), (35, "ended")).left_early is None


def test_who_is_still_in_the_room_has_not_left_early() -> None:
    found = ali((0, "joined", "ali"), now=at(20))
    assert (found.is_here, found.minutes, found.left_early) == (True, 20, None)


def test_a_process_that_died_vouches_for_nobody_after_its_last_line() -> None:
    found = ali((0, "joined", "ali"), (12, "held"))
    assert (found.is_here, found.minutes) == (False, 12)


def test_a_room_that_began_anew_ends_every_stay_at_the_last_line_before() -> None:
    people = told((0, "joined", "ali"), (0, "joined", "maya"), (0, "opened"), (12, "joined", "leo"),
                  (20, "joined", "ali"), (20.1, "joined", "maya"), (21, "opened"), (45, "ended"))
    assert people.people["ali"].minutes == people.people["maya"].minutes == 12 + 25
    assert people.people["leo"].minutes == 0
    assert people.people["ali"].minutes_open == 12 + 24


def test_a_pause_counts_as_being_there_and_not_as_open() -> None:
    lines = ((0, "joined", "ali"), (0, "opened"), (10, "held"), (20, "opened"), (45, "ended"))
    assert (ali(*lines).minutes, ali(*lines).minutes_open) == (45, 35)
    assert told(*lines).pauses == (Interval(at(10), at(20)),)


def test_who_never_came_is_not_in_the_register() -> None:
    assert "maya" not in told((0, "joined", "ali"), (45, "ended")).people


def test_other_lines_of_the_journal_change_nothing() -> None:
    plain = ali((0, "joined", "ali"), (45, "ended"))
    assert plain == ali((0, "joined", "ali"), (3, "flag", "ali"), (5, "muted", "ali"), (9, "removed", "leo"), (45, "ended"))


@pytest.mark.parametrize("day", [datetime(2027, 3, 28, 0, 45, tzinfo=UTC), datetime(2026, 10, 25, 0, 45, tzinfo=UTC)])
def test_a_lesson_across_the_change_of_the_clocks_is_as_long_as_it_was(day: datetime) -> None:
    window = Window(day, day, day + timedelta(minutes=45), day + timedelta(minutes=50))
    found = told((0, "joined", "ali"), (45, "left", "ali"), (45, "ended"), window=window).people["ali"]
    assert found.minutes == 45


def test_a_time_that_the_clocks_showed_twice_is_the_one_in_the_lesson() -> None:
    first = datetime(2026, 10, 25, 0, 15, tzinfo=UTC)  # 1:15am for the first time
    for start in (first, first + timedelta(hours=1)):
        window = Window(start, start, start + timedelta(minutes=30), start + timedelta(minutes=35))
        assert rules.moment_in("1:20", window, "Europe/London") == start + timedelta(minutes=5)


def test_the_last_correction_stands_and_may_say_that_somebody_was_not_there() -> None:
    found = ali((0, "joined", "ali"), (45, "ended"))
    first = Correction(at(0), at(30), "The wrong tablet", "hall", AFTER)
    last = Correction(None, None, "It was her brother", "hall", AFTER + timedelta(minutes=1))
    assert rules.corrected(found, [first], WINDOW).minutes == 30
    assert not rules.corrected(found, [last, first], WINDOW).came
    assert rules.corrected(found, [], WINDOW) is found


@pytest.mark.parametrize(("joined", "left", "reason", "field"), [
    (at(0), None, "x", "left"), (None, at(0), "x", "joined"), (at(-11), at(3), "x", "joined"), (at(3), at(51), "x", "left"),
    (at(3), at(3), "x", "left"), (at(0), at(3), " ", "reason"),
])
def test_a_correction_that_could_not_have_happened_is_refused(
    joined: datetime | None, left: datetime | None, reason: str, field: str,
) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_correction(joined, left, reason, WINDOW)
    assert list(refused.value.fields) == [field]


# -- properties --------------------------------------------------------------------------------------------------------

PEOPLE = ("ali", "maya", "leo")
journals = st.lists(st.builds(
    lambda second, kind, person: Entry(START + timedelta(seconds=second), kind, person if kind in ("joined", "left") else ""),
    st.integers(-900, 4000), st.sampled_from(["joined", "left", "opened", "held", "flag", "ended"]), st.sampled_from(PEOPLE),
), max_size=40, unique_by=lambda entry: (entry.at, entry.kind, entry.person_id))
intervals = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 600)).map(
    lambda pair: Interval(START + timedelta(seconds=pair[0]), START + timedelta(seconds=sum(pair)))), max_size=20)


@given(journals, st.randoms())
def test_worked_out_again_in_any_order_it_is_the_same(journal: list[Entry], random) -> None:  # type: ignore[no-untyped-def]
    first = rules.register(journal, WINDOW, AFTER)
    random.shuffle(journal)
    assert rules.register(journal, WINDOW, AFTER) == first


@given(journals, st.integers(-900, 4000))
def test_minutes_never_exceed_the_lesson_and_open_minutes_never_the_minutes(journal: list[Entry], now: int) -> None:
    for found in rules.register(journal, WINDOW, START + timedelta(seconds=now)).people.values():
        assert 0 <= found.seconds_open <= found.seconds <= 50 * 60
        assert found.minutes <= 50
        assert all(a.end + rules.ONE_STAY < b.start for a, b in pairwise(found.stays))
        assert all(WINDOW.doors <= stay.start < stay.end <= WINDOW.hard_end for stay in found.stays)


@given(intervals)
def test_merging_twice_is_merging_once_and_loses_no_moment(found: list[Interval]) -> None:
    once = rules.merged(found)
    assert rules.merged(once) == once
    assert all(any(stay.start <= i.start and i.end <= stay.end for stay in once) for i in found)
    assert rules.total(rules.union(found)) <= rules.total(once)


@given(intervals, st.randoms())
def test_the_order_of_connections_is_irrelevant(found: list[Interval], random) -> None:  # type: ignore[no-untyped-def]
    once = rules.merged(found)
    random.shuffle(found)
    assert rules.merged(found) == once


# -- what leaves as CSV --------------------------------------------------------------------------------------------------

CODES = sorted(export.STATUTORY_CODES | export.FORMER_CODES)


def row(title: str = "Maths", group: str = "5 Oak", pupil: str = "Ali Rahman") -> export.Row:
    return export.Row(title, group, START, pupil, True, at(1), at(40), 39, 38, 0, 0, 5, False)


def read(*rows: export.Row) -> list[list[str]]:
    return list(csv.reader(io.StringIO(export.to_csv(rows, "Europe/London").removeprefix("\ufeff"), newline="")))


def test_the_export_is_minutes_and_says_that_it_is_not_the_register() -> None:
    headings, line = read(row())
    assert headings[0] == "Remote lesson (not the school register)"
    assert line[:8] == ["Maths", "5 Oak", "2026-11-24", "10:15", "Ali Rahman", "yes", "10:16", "10:55"]
    assert line[8:] == ["39", "38", "0", "0", "5", "no"]


@pytest.mark.parametrize("code", CODES)
def test_no_cell_is_ever_a_statutory_code_even_when_a_name_or_title_reads_like_one(code: str) -> None:
    for spelled in (code, code.lower(), f" {code}\n", "".join(chr(ord(c) + 0xFEE0) for c in code)):
        for line in read(row(spelled, spelled, spelled))[1:]:
            assert not [cell for cell in line if cell.strip().upper() in CODES]
            assert spelled.strip() in line[0]


@given(st.text(max_size=12), st.text(max_size=12))
def test_no_cell_runs_as_a_formula_or_is_a_code_and_every_line_has_every_column(title: str, pupil: str) -> None:
    lines = read(row(title, "5 Oak", pupil))
    assert [len(line) for line in lines] == [len(export.HEADINGS)] * 2
    for cell in lines[1]:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert cell.strip().upper() not in CODES


def test_a_row_has_no_field_that_could_hold_a_code() -> None:
    kinds = {name: kind for name, kind in export.Row.__annotations__.items() if kind is str}
    assert sorted(kinds) == ["group", "pupil", "title"], "the only words are names, and `text` guards those"
