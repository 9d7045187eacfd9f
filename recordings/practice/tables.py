"""Lessons that are also kept for teaching practice, which adults agreed, and who watched. Migration 0021 keeps all of it."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class PracticePlan(SQLModel, table=True):
    """That a lesson is also kept for teaching practice. The lesson's facts are copied: its own package is above this one.

    The recording that is made has this row's id, as its own and as its address: it is no lesson's.
    """

    __tablename__ = "practice_plan"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    lesson_id: str = Field(max_length=32, index=True)
    title: str = Field(max_length=120)
    class_name: str = Field(max_length=60)
    starts_at: datetime
    teacher_id: str = Field(foreign_key="person.id", index=True)
    mentor_id: str = Field(default="", max_length=32, index=True)
    asked_by: str = Field(foreign_key="person.id")
    asked_at: datetime
    ended_at: datetime | None = Field(default=None, index=True)
    ended_by: str = Field(default="", max_length=32)


class PracticeAdult(SQLModel, table=True):
    """An adult whom it shows, and since when they agree; empty while they were only asked."""

    __tablename__ = "practice_adult"
    plan_id: str = Field(foreign_key="practice_plan.id", primary_key=True)
    person_id: str = Field(foreign_key="person.id", primary_key=True, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    agreed_at: datetime | None = None


class PracticeView(SQLModel, table=True):
    """One permission to watch for teaching practice: who, in which sign-in, until when. Only ever added.

    Apart from `recording_view`, which has no such purpose: a lesson's own recording cannot be watched for it (policy: RE1).
    """

    __tablename__ = "practice_view"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    plan_id: str = Field(foreign_key="practice_plan.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    session_id: str = Field(foreign_key="sign_in.id", max_length=32)
    granted_at: datetime
    expires_at: datetime
