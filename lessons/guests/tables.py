"""Guests' passes: what was asked never changes, what was decided stays, and three persons are in each (policy: AC7)."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class GuestPass(SQLModel, table=True):
    """A visit. `identity_note`: how the sponsor knows who this is, and what vetting there is; no copies of documents."""

    __tablename__ = "guest_pass"
    __table_args__ = (
        CheckConstraint("kind IN ('speaker', 'interpreter', 'tutor')"),
        CheckConstraint("starts_at < ends_at"),
        CheckConstraint("sponsor_id <> guest_id", name="guest_pass_sponsor_is_no_guest"),
        CheckConstraint("(decided_at IS NULL) = (approved IS NULL)"),
        CheckConstraint("approved IS NULL OR (decided_by <> '' AND decided_by <> sponsor_id AND decided_by <> guest_id)",
                        name="guest_pass_three_people"),
        CheckConstraint("revoked_at IS NULL OR (approved AND revoked_by <> '')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    guest_id: str = Field(foreign_key="person.id", index=True)
    sponsor_id: str = Field(foreign_key="person.id", index=True)
    kind: str = Field(max_length=11)
    purpose: str = Field(max_length=500)
    identity_note: str = Field(max_length=500)
    starts_at: datetime
    ends_at: datetime
    asked_at: datetime
    decided_by: str = Field(default="", max_length=32)
    decided_at: datetime | None = None
    approved: bool | None = None
    decision_reason: str = Field(default="", max_length=500)
    grant_id: str = Field(default="", max_length=32, description="The proof of identity that the approval was given with.")
    revoked_by: str = Field(default="", max_length=32)
    revoked_at: datetime | None = None
    revoked_because: str = Field(default="", max_length=500)


class GuestPassLesson(SQLModel, table=True):
    """A lesson that a pass names."""

    __tablename__ = "guest_pass_lesson"
    pass_id: str = Field(foreign_key="guest_pass.id", primary_key=True)
    lesson_id: str = Field(foreign_key="lesson.id", primary_key=True, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)


class GuestPassChild(SQLModel, table=True):
    """A child for whom an interpreter comes."""

    __tablename__ = "guest_pass_child"
    pass_id: str = Field(foreign_key="guest_pass.id", primary_key=True)
    child_id: str = Field(foreign_key="person.id", primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)


class GuestLink(SQLModel, table=True):
    """A link that signs a guest in once. Only the hash of its token is kept."""

    __tablename__ = "guest_link"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    pass_id: str = Field(foreign_key="guest_pass.id", index=True)
    token_hash: str = Field(max_length=64, unique=True)
    made_by: str = Field(max_length=32)
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
