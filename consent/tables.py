"""What people were asked and what they answered. Answers are only ever added (policy: CO2, CO3)."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class ConsentResponse(SQLModel, table=True):
    """One answer, for one child and one purpose, as somebody gave it. Status is derived from these, never stored."""

    __tablename__ = "consent_response"
    __table_args__ = (
        CheckConstraint("answer IN ('given', 'refused', 'withdrawn', 'entered_in_error')"),
        CheckConstraint("route IN ('paper', 'telephone', 'in_person', 'web', 'app')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    purpose: str = Field(max_length=24)
    answer: str = Field(max_length=16)
    respondent_id: str = Field(foreign_key="person.id", max_length=32)
    relationship: str = Field(default="", max_length=40)
    document_version: int = 1
    route: str = Field(max_length=10)
    signed_on: date
    reason: str = Field(default="", max_length=500)
    corrects_id: str | None = Field(default=None, foreign_key="consent_response.id")
    recorded_by: str = Field(max_length=32)
    recorded_at: datetime = Field(index=True)


class RecordingObjection(SQLModel, table=True):
    """An objection to being recorded, where recording rests on the public task, and what a named person decided."""

    __tablename__ = "recording_objection"
    __table_args__ = (CheckConstraint("(decided_by = '') = (decided_at IS NULL)"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    objector_id: str = Field(foreign_key="person.id", max_length=32)
    words: str = Field(max_length=1000)
    received_at: datetime
    recorded_by: str = Field(max_length=32)
    upheld: bool | None = None
    reason: str = Field(default="", max_length=1000)
    decided_by: str = Field(default="", max_length=32)
    decided_at: datetime | None = None
