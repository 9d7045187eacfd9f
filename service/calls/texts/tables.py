"""The school's texts in versions, each that was sent, and what families answered (policy: CM2, CM5).

What was answered is sealed: whoever writes back writes anything. No number is kept here. Migration 0024 lets nobody change what
was.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class TextTemplate(SQLModel, table=True):
    """One version of one of the school's texts in one language. `lineage`: the text. Without words it is withdrawn."""

    __tablename__ = "text_template"
    __table_args__ = (UniqueConstraint("school_id", "lineage", "language", "version"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    lineage: str = Field(max_length=32)
    language: str = Field(max_length=40)
    version: int
    title: str = Field(max_length=80)
    words: str = Field(max_length=500)
    made_by: str = Field(max_length=32)
    made_at: datetime


class TextMessage(SQLModel, table=True):
    """A text to an adult about a child, after a call. `key_hash`: of the secret by which the provider tells of it."""

    __tablename__ = "text_message"
    __table_args__ = (
        CheckConstraint("status IN ('asked', 'not-known', 'sent', 'delivered', 'failed')"),
        CheckConstraint("sender_id <> adult_id AND child_id <> adult_id AND child_id <> sender_id", name="text_three_people"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    adult_id: str = Field(foreign_key="person.id", index=True)
    sender_id: str = Field(foreign_key="person.id")
    call_id: str = Field(foreign_key="call.id", unique=True)
    template_id: str = Field(foreign_key="text_template.id")
    asked_at: datetime = Field(index=True)
    status: str = Field(max_length=9)
    status_at: datetime
    key_hash: str = Field(max_length=64, unique=True)


class TextReply(SQLModel, table=True):
    """What somebody wrote to the school's number. `said_id`: the provider's name of it, so that it is taken once."""

    __tablename__ = "text_reply"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    said_id: str = Field(max_length=64, unique=True)
    adult_id: str = Field(default="", max_length=32, index=True)
    cipher: str = Field(max_length=9000)
    came_at: datetime
    read_at: datetime | None = None
