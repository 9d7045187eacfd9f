"""Calls to families, personal telephones by a leader's grant, and their use in an emergency (policy: CM2, CM3).

That a call happened is kept: who, when, how long, why, what came of it. Never what was said, and no number: those are sealed in
`telephone`. Migration 0020 lets nobody change what happened.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField

LIVE = text("placed_at IS NOT NULL AND ended_at IS NULL")


class Call(SQLModel, table=True):
    """One call. Asked for, placed (written down first), connected, ended, recorded; a person is in one at a time."""

    __tablename__ = "call"
    __table_args__ = (
        CheckConstraint("purpose IN ('welfare', 'absence', 'incident', 'consent', 'other')"),
        CheckConstraint("outcome IN ('', 'spoke', 'no-answer', 'child-answered', 'wrong-person')"),
        CheckConstraint("caller_id <> adult_id AND child_id <> adult_id AND child_id <> caller_id", name="call_three_people"),
        CheckConstraint("(recorded_at IS NULL) = (outcome = '')"),
        CheckConstraint("connected_at IS NULL OR placed_at IS NOT NULL"),
        CheckConstraint("(ended_at IS NULL) = (ended_why = '')"),
        Index("one_live_call_of_caller", "caller_id", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
        Index("one_live_call_of_adult", "adult_id", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    adult_id: str = Field(foreign_key="person.id", index=True)
    caller_id: str = Field(foreign_key="person.id", index=True)
    lesson_id: str = Field(default="", max_length=32)
    purpose: str = Field(max_length=8)
    by_telephone: bool = False
    by_team: bool = Field(default=True, description="The caller was of the safeguarding team when they asked for it.")
    asked_at: datetime
    placed_at: datetime | None = Field(default=None, index=True)
    grant_id: str = Field(default="", max_length=32, description="The leader's grant for a personal telephone, if by one.")
    connected_at: datetime | None = None
    in_app: bool = Field(default=False, description="Answered in the parents' app, not by telephone.")
    ended_at: datetime | None = None
    ended_why: str = Field(default="", max_length=12)
    ended_by: str = Field(default="", max_length=32, description="A leader who ended it.")
    message_left: bool = False
    outcome: str = Field(default="", max_length=14)
    what_agreed: str = Field(default="", max_length=1000)
    next_step: str = Field(default="", max_length=500)
    next_on: date | None = None
    recorded_at: datetime | None = None


class PersonalPhone(SQLModel, table=True):
    """A request to use one's own telephone for masked calls, and what a leader decided (policy: CM3)."""

    __tablename__ = "personal_phone"
    __table_args__ = (
        CheckConstraint("(decided_at IS NULL) = (approved IS NULL)"),
        CheckConstraint("approved IS NULL OR (decided_by <> '' AND decided_by <> person_id)", name="personal_phone_two_people"),
        CheckConstraint("revoked_at IS NULL OR (approved AND revoked_by <> '')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    why: str = Field(max_length=500)
    until: datetime
    asked_at: datetime
    number_hash: str = Field(default="", max_length=64, description="The number that was asked for, by its keyed hash.")
    decided_by: str = Field(default="", max_length=32)
    decided_at: datetime | None = None
    approved: bool | None = None
    reason: str = Field(default="", max_length=500)
    grant_id: str = Field(default="", max_length=32, description="The proof of identity that the approval was given with.")
    revoked_by: str = Field(default="", max_length=32)
    revoked_at: datetime | None = None
    revoked_because: str = Field(default="", max_length=500)


class EmergencyUse(SQLModel, table=True):
    """Somebody used their own telephone in an emergency, without a grant, and said so afterwards."""

    __tablename__ = "emergency_use"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    happened_at: datetime
    words: str = Field(max_length=1000)
    told_at: datetime


class Calling(SQLModel, table=True):
    """How the school calls. `withheld`: families are shown no number, because the school insists (policy: CM4)."""

    __tablename__ = "calling"
    school_id: str = Field(foreign_key="school.id", primary_key=True)
    withheld: bool = False
    changed_by: str = Field(max_length=32)
    changed_at: datetime
