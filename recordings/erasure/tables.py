"""Requests to erase a recording before its day. Migration 0021 keeps what was written."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class RecordingErasure(SQLModel, table=True):
    """One request: who asked, why, what one person decided, and, to erase it, what a second one said."""

    __tablename__ = "recording_erasure"
    __table_args__ = (
        CheckConstraint("asker IN ('parent', 'pupil', 'staff', 'other')", name="recording_erasure_asker"),
        CheckConstraint("second_by <> decided_by", name="recording_erasure_two_people"),
        CheckConstraint("NOT coalesce(agreed, false) OR second_by <> ''", name="recording_erasure_agreed_by_a_second"),
        CheckConstraint("(agreed IS NULL) = (second_at IS NULL)", name="recording_erasure_second"),
        CheckConstraint("agreed IS NULL OR erases", name="recording_erasure_refused_by_one"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    recording_id: str = Field(foreign_key="recording.id", index=True)
    asker: str = Field(max_length=6)
    words: str = Field(max_length=1000)
    erases: bool
    decided_by: str = Field(foreign_key="person.id", max_length=32)
    decided_at: datetime
    grant_id: str = Field(default="", max_length=64)
    agreed: bool | None = None
    second_by: str = Field(default="", max_length=32)
    second_at: datetime | None = None
    second_words: str = Field(default="", max_length=1000)
    second_grant: str = Field(default="", max_length=64)
