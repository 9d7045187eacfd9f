"""The log of data breaches. Only ever added to (UK GDPR, article 33(5); policy: AC10)."""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class DataBreach(SQLModel, table=True):
    """One breach as it was noticed; from then on the 72 hours run."""

    __tablename__ = "data_breach"
    __table_args__ = (UniqueConstraint("school_id", "number"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    number: int
    what: str = Field(max_length=2000)
    whose: str = Field(max_length=2000)
    noticed_at: datetime
    recorded_by: str = Field(foreign_key="person.id", max_length=32)
    recorded_at: datetime


class DataBreachStep(SQLModel, table=True):
    """One thing that was done about it."""

    __tablename__ = "data_breach_step"
    __table_args__ = (
        CheckConstraint("kind IN ('told_ico', 'not_told', 'told_people', 'note', 'closed')", name="data_breach_step_kind"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    breach_id: str = Field(foreign_key="data_breach.id", index=True)
    kind: str = Field(max_length=12)
    words: str = Field(max_length=2000)
    added_by: str = Field(foreign_key="person.id", max_length=32)
    added_at: datetime
