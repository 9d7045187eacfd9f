"""Requests for a one-to-one, what was decided, and the marks of the safeguarding team.

What was asked and decided is evidence: migration 0005 lets nobody change or delete it, and has the database itself check who
approves whom (policy: RL1, threat T5). A lesson is named by id alone: lessons are a storey above.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class ApprovalRequest(SQLModel, table=True):
    """A request for an adult alone with a child. Only its status and decision change; every change raises `version`."""

    __tablename__ = "approval_request"
    __table_args__ = (
        CheckConstraint("kind IN ('planned', 'now')"),
        CheckConstraint("status IN ('waiting', 'questioned', 'approved', 'refused', 'withdrawn', 'not-needed')"),
        CheckConstraint("adult_id <> child_id"),
        CheckConstraint("requested_by <> child_id"),
        CheckConstraint("decided_by NOT IN (adult_id, child_id, requested_by) OR status IN ('withdrawn', 'not-needed')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    kind: str = Field(max_length=8)
    adult_id: str = Field(foreign_key="person.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    requested_by: str = Field(foreign_key="person.id", index=True)
    requested_at: datetime
    why: str = Field(max_length=1000)
    tried: str = Field(default="", max_length=60, description="Codes of `rules.TRIED`, space-separated.")
    safeguards: str = Field(default="", max_length=1000)
    parent_present: str = Field(default="unknown", max_length=8)
    camera_on: bool = False
    status: str = Field(default="waiting", max_length=12, index=True)
    version: int = 1
    decided_by: str = Field(default="", max_length=32)
    decided_at: datetime | None = None
    reason: str = Field(default="", max_length=500, description="Whoever asked reads it.")


class RequestedLesson(SQLModel, table=True):
    """One lesson that a request is about, and the window that is asked for."""

    __tablename__ = "requested_lesson"
    __table_args__ = (CheckConstraint("starts_at < ends_at"),)
    request_id: str = Field(foreign_key="approval_request.id", primary_key=True)
    lesson_id: str = Field(primary_key=True, max_length=32, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    starts_at: datetime = Field(index=True)
    ends_at: datetime


class ApprovalNote(SQLModel, table=True):
    """Words added to a request: a `question`, its `answer`, or that somebody `spoke-to-dsl` (for those who decide alone)."""

    __tablename__ = "approval_note"
    __table_args__ = (CheckConstraint("kind IN ('question', 'answer', 'spoke-to-dsl')"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    request_id: str = Field(foreign_key="approval_request.id", index=True)
    kind: str = Field(max_length=12)
    words: str = Field(max_length=1000)
    added_by: str = Field(max_length=32)
    added_at: datetime


class Approval(SQLModel, table=True):
    """One lesson, one adult, one child, from `starts_at` until `ends_at`. Never twice: what was revoked does not start again."""

    __tablename__ = "approval"
    __table_args__ = (
        UniqueConstraint("lesson_id", "adult_id", "child_id"),
        CheckConstraint("approved_by <> adult_id"),
        CheckConstraint("approved_by <> requested_by"),
        CheckConstraint("approved_by <> child_id"),
        CheckConstraint("adult_id <> child_id"),
        CheckConstraint("requested_by <> child_id"),
        CheckConstraint("starts_at < ends_at"),
        CheckConstraint("approved_at < ends_at"),
        CheckConstraint("(revoked_at IS NULL) = (revoked_by = '')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    request_id: str = Field(foreign_key="approval_request.id", index=True)
    lesson_id: str = Field(max_length=32, index=True)
    adult_id: str = Field(foreign_key="person.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    requested_by: str = Field(foreign_key="person.id")
    approved_by: str = Field(foreign_key="person.id", index=True)
    starts_at: datetime
    ends_at: datetime
    camera_on: bool = False
    conditions: str = Field(default="", max_length=500)
    reason: str = Field(max_length=500)
    expires_on: date | None = Field(default=None, description="The last day of it, when the approver chose one.")
    confirmed_by: str = Field(max_length=64, description="The proof of identity that the approver gave for exactly this.")
    approved_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str = Field(default="", max_length=32)
    revoked_because: str = Field(default="", max_length=500)


class SafeguardingMark(SQLModel, table=True):
    """`talk-first`: whoever decides about this person talks to the DSL first. `do-not-tell`: telling this child's family of
    one-to-ones is unsafe. `reason` and why it was lifted are for the safeguarding team alone."""

    __tablename__ = "safeguarding_mark"
    __table_args__ = (
        CheckConstraint("mark IN ('talk-first', 'do-not-tell')"),
        CheckConstraint("person_id <> set_by"),
        Index("one_mark_in_force", "person_id", "mark", unique=True, sqlite_where=text("lifted_at IS NULL"),
              postgresql_where=text("lifted_at IS NULL")),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    mark: str = Field(max_length=12)
    reason: str = Field(max_length=1000)
    set_by: str = Field(max_length=32)
    set_at: datetime
    lifted_at: datetime | None = None
    lifted_by: str = Field(default="", max_length=32)
    lifted_because: str = Field(default="", max_length=1000)
