"""Notes and clips of reviewers. Only ever added."""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class RecordingNote(SQLModel, table=True):
    """What a reviewer saw or heard at a moment, in one view; `at_ms` on the lesson's clock."""

    __tablename__ = "recording_note"
    __table_args__ = (CheckConstraint("at_ms >= 0"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    recording_id: str = Field(foreign_key="recording.id", index=True)
    view_id: str = Field(foreign_key="recording_view.id")
    person_id: str = Field(foreign_key="person.id", index=True)
    at_ms: int
    text: str = Field(max_length=2000)
    concern: str = Field(default="", max_length=40)
    written_at: datetime


class RecordingClip(SQLModel, table=True):
    """From here to there, and why. `number` counts within the recording, so that people can name it."""

    __tablename__ = "recording_clip"
    __table_args__ = (CheckConstraint("from_ms >= 0 AND to_ms > from_ms"), UniqueConstraint("recording_id", "number"))
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    recording_id: str = Field(foreign_key="recording.id", index=True)
    view_id: str = Field(foreign_key="recording_view.id")
    person_id: str = Field(foreign_key="person.id", index=True)
    number: int
    from_ms: int
    to_ms: int
    reason: str = Field(max_length=200)
    concern: str = Field(default="", max_length=40)
    made_at: datetime
