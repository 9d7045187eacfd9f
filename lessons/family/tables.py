"""Messages to a family, the data it allows each month, and whether a parent sits beside a one-to-one. Only ever added."""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class FamilyMessage(SQLModel, table=True):
    """One thing that one adult is told, once. Its words are worked out when it is read: only its kind is kept."""

    __tablename__ = "family_message"
    __table_args__ = (UniqueConstraint("person_id", "kind", "about", "child_id"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    kind: str = Field(max_length=20)
    child_id: str = Field(default="", max_length=32)
    lesson_id: str = Field(default="", max_length=32)
    about: str = Field(default="", max_length=80, description="What makes it the same message.")
    made_at: datetime = Field(index=True)
    read_at: datetime | None = None


class DataLimit(SQLModel, table=True):
    """How much data a month a child's lessons may use, as a parent said last (policy: RL11). No number: no limit."""

    __tablename__ = "data_limit"
    __table_args__ = (CheckConstraint("limit_mb IS NULL OR limit_mb > 0"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    limit_mb: int | None = None
    set_by: str = Field(foreign_key="person.id")
    set_at: datetime


class Presence(SQLModel, table=True):
    """Whether a parent will sit with the child in a one-to-one, as they said last (policy: RL1)."""

    __tablename__ = "one_to_one_presence"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    lesson_id: str = Field(foreign_key="lesson.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    will_be_there: bool
    said_at: datetime
