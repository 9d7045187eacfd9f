"""The steps of legal holds, destructions with their certificates, the yearly list, and recovery keys.

Steps, certificates and what was looked through are evidence: migration 0008 lets nobody change or delete them.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class HoldStep(SQLModel, table=True):
    """One step about keeping a recording, by one person, with the proof of identity they gave. Only ever added."""

    __tablename__ = "recording_hold_step"
    __table_args__ = (
        UniqueConstraint("recording_id", "number"),
        CheckConstraint("step IN ('asked', 'agreed', 'refused', 'reviewed', 'isolated', 'referral', 'release-asked', "
                        "'release-refused', 'released')"),
        CheckConstraint("step NOT IN ('asked', 'agreed', 'isolated', 'release-asked', 'released') OR grant_id <> ''"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    recording_id: str = Field(foreign_key="recording.id", index=True)
    hold_id: str = Field(max_length=32, index=True)
    number: int
    step: str = Field(max_length=20)
    words: str = Field(default="", max_length=1000)
    reference: str = Field(default="", max_length=60)
    review_on: date | None = None
    taken_by: str = Field(foreign_key="person.id", max_length=32)
    taken_at: datetime
    grant_id: str = Field(default="", max_length=64)


class Destruction(SQLModel, table=True):
    """That a recording is destroyed: begun, which cannot be taken back, then done, with its certificate."""

    __tablename__ = "recording_destruction"
    recording_id: str = Field(foreign_key="recording.id", primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    why: str = Field(max_length=200)
    begun_at: datetime
    begun_by: str = Field(max_length=32)
    destroyed_at: datetime | None = Field(default=None, index=True)
    certificate: str = ""


class HousekeepingReview(SQLModel, table=True):
    """Somebody looked through one part of a school year's list. Only ever added."""

    __tablename__ = "housekeeping_review"
    __table_args__ = (UniqueConstraint("school_id", "year", "item"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    year: int
    item: str = Field(max_length=20)
    found: int
    done_by: str = Field(foreign_key="person.id", max_length=32)
    done_at: datetime


class RecoveryRecipient(SQLModel, table=True):
    """A key (age, public half only) to which every recording's key is encrypted as well, once two people agreed."""

    __tablename__ = "recovery_recipient"
    __table_args__ = (CheckConstraint("decided_by <> asked_by OR NOT agreed"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    name: str = Field(max_length=80)
    public_key: str = Field(max_length=80)
    asked_by: str = Field(max_length=32)
    asked_at: datetime
    decided_by: str = Field(default="", max_length=32)
    decided_at: datetime | None = None
    agreed: bool = False
    ended_by: str = Field(default="", max_length=32)
    ended_at: datetime | None = None
    applied: bool = Field(default=True, description="Whether the records have been brought to it.")
