"""Requests to watch and what was decided, subjects of complaints, and who is told of a view. What is written stays: migration
0015 has the database refuse to change or delete it."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class RecordingGrant(SQLModel, table=True):
    """One person, one recording, some of its minutes, one purpose; allowed or not by somebody else."""

    __tablename__ = "recording_grant"
    __table_args__ = (
        CheckConstraint("why IN ('concern', 'flag', 'complaint', 'police')", name="recording_grant_why"),
        CheckConstraint("starts_at < ends_at", name="recording_grant_minutes"),
        CheckConstraint("decided_by NOT IN (person_id, asked_by)", name="recording_grant_two_people"),
        CheckConstraint("(allowed IS NULL) = (decided_at IS NULL)", name="recording_grant_decided"),
        CheckConstraint("NOT coalesce(allowed, false) OR (decided_by <> '' AND views >= 1 AND expires_at IS NOT NULL)",
                        name="recording_grant_terms"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    recording_id: str = Field(foreign_key="recording.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    asked_by: str = Field(foreign_key="person.id", index=True)
    asked_at: datetime
    why: str = Field(max_length=20)
    words: str = Field(max_length=500)
    starts_at: datetime
    ends_at: datetime
    allowed: bool | None = None
    decided_by: str = Field(default="", max_length=32)
    decided_at: datetime | None = None
    reason: str = Field(default="", max_length=500, description="Whoever asked reads it.")
    views: int = 0
    expires_at: datetime | None = None
    confirmed_by: str = Field(default="", max_length=32, description="The proof of identity that it was decided with.")
    ended_by: str = Field(default="", max_length=32)
    ended_at: datetime | None = None


class ComplaintSubject(SQLModel, table=True):
    """Somebody whom a complaint about this lesson is about: they are never let watch it."""

    __tablename__ = "complaint_subject"
    recording_id: str = Field(foreign_key="recording.id", primary_key=True)
    person_id: str = Field(foreign_key="person.id", primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    named_by: str = Field(max_length=32)
    named_at: datetime


class ViewNotice(SQLModel, table=True):
    """That somebody who answers for the school is told of one view; `seen_at` when they had looked."""

    __tablename__ = "view_notice"
    view_id: str = Field(foreign_key="recording_view.id", primary_key=True)
    person_id: str = Field(foreign_key="person.id", primary_key=True, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    told_at: datetime
    seen_at: datetime | None = None
