"""What people were asked and what they answered. Answers are only ever added (policy: CO2, CO3)."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class ConsentResponse(SQLModel, table=True):
    """One answer, for one child and one purpose, as somebody gave it. Status is derived from these, never stored.

    What they read is the text of `text_hash` in `language`, with the child's name and `filled` in its gaps.
    """

    __tablename__ = "consent_response"
    __table_args__ = (
        CheckConstraint("answer IN ('given', 'refused', 'withdrawn', 'entered_in_error')"),
        CheckConstraint("route IN ('paper', 'telephone', 'in_person', 'web', 'app')"),
        Index("ix_consent_response_client", "school_id", "client_id", unique=True),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    purpose: str = Field(max_length=24)
    answer: str = Field(max_length=16)
    respondent_id: str = Field(foreign_key="person.id", max_length=32)
    relationship: str = Field(default="", max_length=40)
    document_version: int = 1
    document_id: str = Field(default="", max_length=32, description="Empty: written down before texts were kept.")
    text_hash: str = Field(default="", max_length=64)
    language: str = Field(default="en", max_length=8)
    filled: str = Field(default="", max_length=500, description="JSON of what filled the gaps of the text, but for the name.")
    listened: bool = False
    declared_relationship: str = Field(default="", max_length=40)
    declared_responsibility: str = Field(default="", max_length=8, description="In their own words: `yes`, `no` or `not_sure`.")
    counts_from: datetime | None = Field(default=None, description="A yes that rests counts for nothing before.")
    phone_id: str = Field(default="", max_length=32)
    client_id: str | None = Field(default=None, max_length=64, description="The phone's own id of it: sent twice, kept once.")
    second_listener: str = Field(default="", max_length=32, description="Who heard a telephone call beside who wrote it down.")
    route: str = Field(max_length=10)
    signed_on: date
    reason: str = Field(default="", max_length=500)
    corrects_id: str | None = Field(default=None, foreign_key="consent_response.id")
    recorded_by: str = Field(max_length=32)
    recorded_at: datetime = Field(index=True)


class ConsentResolution(SQLModel, table=True):
    """A named person closed a conflict: the adults agree by now, or a court says whose answer to follow.

    A court order takes two people; until the second agrees (`agreed_at`) it closes nothing.
    """

    __tablename__ = "consent_resolution"
    __table_args__ = (
        CheckConstraint("kind IN ('agreed', 'court_order')", name="consent_resolution_kind"),
        CheckConstraint("(kind = 'court_order') = (follows_id <> '')", name="consent_resolution_follows"),
        CheckConstraint("agreed_by <> resolved_by", name="consent_resolution_two_people"),
        CheckConstraint("(agreed_at IS NULL) = (agreed_by = '')", name="consent_resolution_agreed"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    purpose: str = Field(max_length=24)
    kind: str = Field(max_length=12)
    follows_id: str = Field(default="", max_length=32)
    reason: str = Field(max_length=500)
    resolved_by: str = Field(max_length=32)
    resolved_at: datetime
    agreed_by: str = Field(default="", max_length=32)
    agreed_at: datetime | None = None


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
