"""Lessons that need somebody outside them, and who has read that."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class LessonAttention(SQLModel, table=True):
    """`why`: the code of the hold. `person_id`: the colleague who was invited. `request_id`: the one-to-one asked for.

    Of an address that an adult and a pupil share: who, the safeguarding team's alert, and why a leader cleared it.
    """

    __tablename__ = "lesson_attention"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    lesson_id: str = Field(foreign_key="lesson.id", index=True)
    reason: str = Field(max_length=24)
    why: str = Field(default="", max_length=40)
    person_id: str = Field(default="", max_length=32)
    request_id: str = Field(default="", max_length=32)
    child_id: str = Field(default="", max_length=32)
    adult_id: str = Field(default="", max_length=32)
    alert_id: str = Field(default="", max_length=32)
    cleared_because: str = Field(default="", max_length=500)
    raised_by: str = Field(max_length=32)
    raised_at: datetime
    taken_by: str = Field(default="", max_length=32)
    taken_at: datetime | None = None
    over_at: datetime | None = Field(default=None, index=True)


class AttentionSeen(SQLModel, table=True):
    """Who opened it, first when."""

    __tablename__ = "attention_seen"
    attention_id: str = Field(foreign_key="lesson_attention.id", primary_key=True)
    person_id: str = Field(primary_key=True, max_length=32)
    school_id: str = Field(foreign_key="school.id", index=True)
    seen_at: datetime
