"""Alerts to the safeguarding team and the registers they keep. Words are only ever added."""

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class Alert(SQLModel, table=True):
    """Something the safeguarding team must look at now: a worry, a flag, a room without its adult (policy: RC1, RC4).

    `routed_to` is the role that may open it. `place` says where in the words of that moment, such as “Maths, 5 Oak”.
    """

    __tablename__ = "alert"
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


class AlertBarred(SQLModel, table=True):
    """A person who never learns of an alert: an adult of its lesson, or whom it is about (policy: RC4, IN4)."""

    __tablename__ = "alert_barred"
    alert_id: str = Field(foreign_key="alert.id", primary_key=True)
    person_id: str = Field(primary_key=True, max_length=32, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)


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
