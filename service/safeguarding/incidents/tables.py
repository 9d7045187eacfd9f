"""Incidents. The row stays as it was recorded but for whose it is; everything else is an entry, only ever added (policy: IN1)."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField
from service.safeguarding.concerns.tables import EntryColumns


class Incident(SQLModel, table=True):
    """`routed_to`: whose it is; `dsl` are all who oversee incidents. `about_id`: the adult who works here that it is about, if
    that is known. `by_name`: pupils whom the recorder could only name."""

    __tablename__ = "incident"
    __table_args__ = (
        UniqueConstraint("school_id", "number"),
        CheckConstraint("routed_to IN ('dsl', 'headteacher', 'chair')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    number: str = Field(max_length=16)
    recorded_by: str = Field(foreign_key="person.id", index=True)
    recorded_at: datetime = Field(index=True)
    happened_on: date
    happened_at: str = Field(default="", max_length=20, description="The time of day, as it was said.")
    place: str = Field(default="", max_length=200)
    by_name: str = Field(default="", max_length=200)
    routed_to: str = Field(max_length=16)
    about_staff: bool = False
    about_id: str = Field(default="", max_length=32)
    lesson_id: str = Field(default="", max_length=32)


class IncidentBarred(SQLModel, table=True):
    """A person for whom an incident does not exist: whom it is about, an adult of its lesson (policy: IN4)."""

    __tablename__ = "incident_barred"
    incident_id: str = Field(foreign_key="incident.id", primary_key=True)
    person_id: str = Field(primary_key=True, max_length=32, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)


class IncidentEntry(EntryColumns, table=True):
    """One entry of an incident's chronology."""

    __tablename__ = "incident_entry"
    __table_args__ = (UniqueConstraint("incident_id", "seq"),)
    incident_id: str = Field(foreign_key="incident.id", index=True)
