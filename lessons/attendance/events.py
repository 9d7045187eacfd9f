"""What people do with attendance. The record itself is derived and needs no event of its own."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class AttendanceCorrected(Event):
    subject = "person_id"
    person_id: str
    lesson_id: str
    correction_id: str


@dataclass(frozen=True)
class AttendanceExported(Event):
    """Somebody took a copy away as CSV."""

    subject = "lesson_id"
    lesson_id: str
    rows: int
