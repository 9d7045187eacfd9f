"""Lessons as planned, and what happened in them. Who is on a lesson's roster is its class at that moment."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class Series(SQLModel, table=True):
    """A weekly run of lessons that were planned together. Each lesson is checked again on its own day."""

    __tablename__ = "series"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    until: date


class Lesson(SQLModel, table=True):
    """A planned lesson for a class (policy: RL9). `status` is what was decided about it, not whether it is on now."""

    __tablename__ = "lesson"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at"),
        CheckConstraint("status IN ('planned', 'waiting', 'refused', 'cancelled')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    group_id: str = Field(foreign_key="teaching_group.id", index=True)
    series_id: str | None = Field(default=None, foreign_key="series.id", index=True)
    pupil_id: str | None = Field(default=None, foreign_key="person.id", index=True,
                                 description="Of a one-to-one, the only pupil; the class is one that pupil is in.")
    breakout_of: str | None = Field(default=None, foreign_key="lesson.id", index=True,
                                    description="Of a breakout room, the lesson it is part of; `title` is then its name.")
    title: str = Field(max_length=120)
    about: str = Field(default="", max_length=1000)
    platform_id: str | None = Field(default=None, foreign_key="approved_platform.id")
    starts_at: datetime = Field(index=True)
    ends_at: datetime
    status: str = Field(default="planned", max_length=9)
    decided_by: str = Field(default="", max_length=32, description="Empty: approved by rule.")
    decision_reason: str = Field(default="", max_length=500)
    planned_by: str = Field(max_length=32)
    planned_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str = Field(default="", max_length=24)
    outside: str = Field(default="", max_length=120, description="Rules of the profile it is outside of, space-separated.")
    asked_because: str = Field(default="", max_length=500, description="Why the planner asked for an exception.")
    moved_from: datetime | None = None
    cancelled_because: str = Field(default="", max_length=200)
    version: int = 1


class LessonAdult(SQLModel, table=True):
    """An adult on a lesson's roster. `part`: `teacher` (runs it), `second`, `cover` or `guest`."""

    __tablename__ = "lesson_adult"
    __table_args__ = (CheckConstraint("part IN ('teacher', 'second', 'cover', 'guest')"),)
    lesson_id: str = Field(foreign_key="lesson.id", primary_key=True)
    person_id: str = Field(foreign_key="person.id", primary_key=True, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    part: str = Field(max_length=7)


class BreakoutPlace(SQLModel, table=True):
    """The breakout room in which a pupil of a lesson belongs now: by its key never two. Gone when everybody is back."""

    __tablename__ = "breakout_place"
    main_id: str = Field(foreign_key="lesson.id", primary_key=True)
    person_id: str = Field(foreign_key="person.id", primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    lesson_id: str = Field(foreign_key="lesson.id", index=True)


class LessonLink(SQLModel, table=True):
    """A web address the lesson uses, and who looked at it (policy: RL10)."""

    __tablename__ = "lesson_link"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    lesson_id: str = Field(foreign_key="lesson.id", index=True)
    url: str = Field(max_length=500)
    previewed_by: str = Field(default="", max_length=32)
    previewed_at: datetime | None = None


class DoorAnswer(SQLModel, table=True):
    """What one person answered at the door of one lesson (policy: RL2, RL3, CO6)."""

    __tablename__ = "door_answer"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    lesson_id: str = Field(foreign_key="lesson.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    clothing: str = Field(max_length=12)
    place: str = Field(max_length=12)
    people_near: str = Field(max_length=12)
    beside: str = Field(max_length=12)
    media: str = Field(max_length=12)
    device: str = Field(default="", max_length=64, description="A hash of the key the browser keeps.")
    answered_at: datetime


class JournalEntry(SQLModel, table=True):
    """What happened in a lesson's room, in order. Attendance is derived from these (policy: RL9, invariant I10)."""

    __tablename__ = "journal_entry"
    __table_args__ = (UniqueConstraint("lesson_id", "seq"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    lesson_id: str = Field(foreign_key="lesson.id", index=True)
    seq: int
    at: datetime
    kind: str = Field(max_length=24)
    person_id: str = Field(default="", max_length=32)
    body: str = "{}"


class AttendanceCorrection(SQLModel, table=True):
    """An addition to what the journal says, with a name and a reason. The journal itself stays."""

    __tablename__ = "attendance_correction"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    lesson_id: str = Field(foreign_key="lesson.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    joined_at: datetime | None = None
    left_at: datetime | None = None
    reason: str = Field(max_length=500)
    made_by: str = Field(max_length=32)
    made_at: datetime


class WordListVersion(SQLModel, table=True):
    """The chat filter of one school (policy: IN6). Only ever added; `expires_at` ends a temporary unblocking."""

    __tablename__ = "word_list_version"
    __table_args__ = (UniqueConstraint("school_id", "version"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    version: int
    words: str
    allowed_links: str = ""
    reason: str = Field(max_length=500)
    changed_by: str = Field(max_length=32)
    changed_at: datetime
    expires_at: datetime | None = None


class CalendarFeed(SQLModel, table=True):
    """A private address of one member of staff's timetable, without names. Revocable; only the hash is kept."""

    __tablename__ = "calendar_feed"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    token_hash: str = Field(max_length=64, unique=True)
    made_at: datetime
    revoked_at: datetime | None = None
