"""Alerts to the safeguarding team and the registers they keep. Words are only ever added."""

from datetime import date, datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class Alert(SQLModel, table=True):
    """Something the safeguarding team must look at now: a worry, a flag, a room without its adult (policy: RC1, RC4).

    `routed_to` is the role that may open it. `place` says where in the words of that moment, such as “Maths, 5 Oak”.
    `source` names what the service found it in, so that it is found once. `times`: how often it happened, or was pressed.
    `called_at` and `step`: since when it calls, and how far it was passed on. `handed_to`: who is asked to take it over.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Index("one_alert_a_source", "school_id", "source", unique=True, sqlite_where=text("source <> ''"),
              postgresql_where=text("source <> ''")),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    kind: str = Field(max_length=24)
    lesson_id: str = Field(default="", max_length=32, index=True)
    place: str = Field(default="", max_length=200)
    raised_by: str = Field(max_length=32)
    raised_at: datetime = Field(index=True)
    routed_to: str = Field(max_length=16)
    do_not_ring: bool = False
    taken_by: str = Field(default="", max_length=32)
    taken_at: datetime | None = None
    closed_by: str = Field(default="", max_length=32)
    closed_at: datetime | None = None
    source: str = Field(default="", max_length=80)
    times: int = 1
    called_at: datetime
    step: int = 0
    handed_to: str = Field(default="", max_length=32)
    waits_for: str = Field(default="", max_length=200)
    outcome: str = Field(default="", max_length=9)
    concern_id: str = Field(default="", max_length=32)


class AlertBarred(SQLModel, table=True):
    """A person who never learns of an alert: an adult of its lesson, or whom it is about (policy: RC4, IN4).

    `keeps`: they went into the lesson because of it, so they may go on reading it; somebody else says what it came to.
    """

    __tablename__ = "alert_barred"
    alert_id: str = Field(foreign_key="alert.id", primary_key=True)
    person_id: str = Field(primary_key=True, max_length=32, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    keeps: bool = False


class AlertNote(SQLModel, table=True):
    """Words added to an alert, by whoever raised it or works on it."""

    __tablename__ = "alert_note"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    alert_id: str = Field(foreign_key="alert.id", index=True)
    about: str = Field(default="", max_length=40)
    words: str = Field(default="", max_length=4000)
    added_by: str = Field(max_length=32)
    added_at: datetime


class ApprovedPlatform(SQLModel, table=True):
    """A platform that leaders approved for teaching (policy: RL8). A lesson can name no other."""

    __tablename__ = "approved_platform"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    name: str = Field(max_length=60)
    host: str = Field(max_length=120, description="The host its addresses have; empty for this service itself.")
    approved_by: str = Field(max_length=32)
    approved_on: date
    review_on: date
    withdrawn_on: date | None = None


class ReviewProgress(SQLModel, table=True):
    """How far the audit was read for what somebody must review. One row; it moves with what was found, or not at all."""

    __tablename__ = "review_progress"
    id: int = Field(default=1, primary_key=True)
    seq: int = -1
