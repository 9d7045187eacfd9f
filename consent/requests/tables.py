"""A question put to many families, and each time they were told of it. Who has answered is derived from the answers."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class ConsentRequest(SQLModel, table=True):
    __tablename__ = "consent_request"
    __table_args__ = (
        CheckConstraint("asked_on < deadline", name="consent_request_days"),
        CheckConstraint("(ended_at IS NULL) = (ended_by = '')", name="consent_request_ended"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    group_id: str | None = Field(default=None, foreign_key="teaching_group.id", description="Empty: the whole school.")
    purposes: str = Field(max_length=200, description="Names of purposes, with spaces between.")
    asked_on: date
    deadline: date
    asked_by: str = Field(max_length=32)
    asked_at: datetime
    ended_by: str = Field(default="", max_length=32)
    ended_at: datetime | None = None


class ConsentReminder(SQLModel, table=True):
    """Once that families were told, by the calendar (`sent_by` is `system`) or by somebody."""

    __tablename__ = "consent_reminder"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    request_id: str = Field(foreign_key="consent_request.id", index=True)
    sent_by: str = Field(max_length=32)
    sent_at: datetime
    people: int
