"""Attendance as CSV: minutes, times and names, and by its types nothing else (policy: RL9).

A pupil in a remote lesson is absent in the statutory register, so this file must be impossible to import as one: a `Row`
has no field for a code, and a name or title that happens to read like one (a class called “L”) is not written bare.
A cell that a spreadsheet would run as a formula is written as text.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from service.foundation import sheets

STATUTORY_CODES = frozenset((
    *"/\\LKVPWBDXCMSTRIEQGNOUZ#", "C1", "C2", "J1", "Y1", "Y2", "Y3", "Y4", "Y5", "Y6", "Y7",
))
"""The attendance codes of England from 19 August 2024 (SI 2024/208 regulation 10)."""
FORMER_CODES = frozenset("HJY")
HEADINGS = (
    "Remote lesson (not the school register)", "Class", "Day", "Start", "Pupil", "Came", "First joined", "Last left",
    "Minutes in the room", "Minutes while the room was open", "Breaks", "Minutes late", "Minutes left early", "Corrected",
)


@dataclass(frozen=True)
class Row:
    """One pupil in one lesson. Numbers are counts of minutes or breaks."""

    title: str
    group: str
    starts_at: datetime
    pupil: str
    came: bool
    joined_at: datetime | None
    left_at: datetime | None
    minutes: int
    minutes_open: int
    breaks: int
    minutes_late: int
    minutes_left_early: int
    is_corrected: bool


def text(value: str) -> str:
    """A cell of somebody's words: never a formula, never a bare code, on one line."""
    flat = " ".join(value.split())
    if unicodedata.normalize("NFKC", flat).strip().upper() in STATUTORY_CODES | FORMER_CODES:
        return f"“{flat}”"
    return sheets.plain(flat)


def cells(row: Row, zone: str) -> list[str | int]:
    def clock(at: datetime | None) -> str:
        return f"{at.astimezone(ZoneInfo(zone)):%H:%M}" if at else ""

    return [
        text(row.title), text(row.group), f"{row.starts_at.astimezone(ZoneInfo(zone)):%Y-%m-%d}", clock(row.starts_at),
        text(row.pupil), "yes" if row.came else "no", clock(row.joined_at), clock(row.left_at), row.minutes, row.minutes_open,
        row.breaks, row.minutes_late, row.minutes_left_early, "yes" if row.is_corrected else "no",
    ]


def to_csv(rows: Iterable[Row], zone: str) -> str:
    return sheets.written(HEADINGS, (cells(row, zone) for row in rows))
