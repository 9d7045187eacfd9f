"""Recordings and their parts, the keys apart from them, who was in them and who watched."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class Recording(SQLModel, table=True):
    """The recording of one lesson. Its facts are copied: the lesson's own package is above this one.

    `started_at` is the zero of the lesson's clock. `outcome` is empty while it runs.
    """

    __tablename__ = "recording"
    __table_args__ = (
        CheckConstraint("outcome IN ('', 'complete', 'incomplete')"),
        CheckConstraint("kind IN ('lesson', 'one-to-one', 'teaching-practice')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    kind: str = Field(default="lesson", max_length=20)
    lesson_id: str = Field(max_length=32, unique=True)
    main_id: str = Field(default="", max_length=32, index=True, description="Of a breakout room, its lesson.")
    title: str = Field(max_length=120)
    class_name: str = Field(max_length=60)
    starts_at: datetime = Field(index=True)
    ends_at: datetime
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str = Field(default="", max_length=10)
    reason: str = Field(default="", max_length=500)
    kept_until: date = Field(index=True)


class RecordingPart(SQLModel, table=True):
    """One file. `manifest` is the copy of its seal, as JSON; empty while it is being written."""

    __tablename__ = "recording_part"
    __table_args__ = (UniqueConstraint("recording_id", "part"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    recording_id: str = Field(foreign_key="recording.id", index=True)
    part: int
    started_at: datetime
    sealed_at: datetime | None = None
    outcome: str = Field(default="", max_length=10)
    reason: str = Field(default="", max_length=500)
    manifest: str = ""


class RecordingKey(SQLModel, table=True):
    """That a part has a key, by the key's name; the key itself is in the key store alone. Destroyed, the row is the tombstone."""

    __tablename__ = "recording_key"
    part_id: str = Field(foreign_key="recording_part.id", primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    name: str = Field(default="", max_length=32)
    destroyed_at: datetime | None = None
    destroyed_by: str = Field(default="", max_length=32)
    destroyed_why: str = Field(default="", max_length=200)


class RecordingParticipant(SQLModel, table=True):
    """Somebody who was admitted to the lesson's room, and so cannot review it."""

    __tablename__ = "recording_participant"
    recording_id: str = Field(foreign_key="recording.id", primary_key=True)
    person_id: str = Field(foreign_key="person.id", primary_key=True, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    role: str = Field(max_length=16)
    admitted_at: datetime


class RecordingView(SQLModel, table=True):
    """One permission to watch: who, in which sign-in, why, until when. Only ever added."""

    __tablename__ = "recording_view"
    __table_args__ = (CheckConstraint("why IN ('concern', 'flag', 'complaint', 'police')"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    recording_id: str = Field(foreign_key="recording.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    session_id: str = Field(foreign_key="sign_in.id", max_length=32)
    why: str = Field(max_length=10)
    concern: str = Field(default="", max_length=40)
    grant_id: str = Field(default="", max_length=32, index=True, description="What allowed it; empty for the safeguarding team.")
    granted_at: datetime
    expires_at: datetime
