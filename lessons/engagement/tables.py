"""Why a child was away, as far as the school knows, and of whom leadership was told (policy: RC2). Who was away is derived."""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class KnownAbsence(SQLModel, table=True):
    """“I know why”: somebody on staff knows why a child missed a lesson. The newest of a lesson and a child holds."""

    __tablename__ = "known_absence"
    __table_args__ = (CheckConstraint("reason IN ('ill', 'device', 'at-school', 'other')"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    lesson_id: str = Field(foreign_key="lesson.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    reason: str = Field(max_length=9)
    words: str = Field(default="", max_length=500)
    noted_by: str = Field(foreign_key="person.id")
    noted_at: datetime


class LeadershipTold(SQLModel, table=True):
    """Leadership was told of a child who misses lessons. `since`: the day of the first one, so that it is told once."""

    __tablename__ = "leadership_told"
    __table_args__ = (UniqueConstraint("child_id", "since"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    child_id: str = Field(foreign_key="person.id", index=True)
    since: str = Field(max_length=10)
    told_at: datetime
