"""What is decided about breakout rooms. `lesson_id` is the main lesson; whoever holds a plan of it or of a room reads it
again. Ids only, several separated by spaces."""

from dataclasses import dataclass

from lessons.events import LessonChanged


@dataclass(frozen=True)
class BreakoutOpened(LessonChanged):
    breakout_id: str
    adults: str
    pupils: str


@dataclass(frozen=True)
class PupilPlaced(LessonChanged):
    """A pupil belongs to another room now; `breakout_id` is empty for the main room."""

    person_id: str
    breakout_id: str


@dataclass(frozen=True)
class BreakoutsClosed(LessonChanged):
    """Everybody is back in the main room."""

    breakouts: str
