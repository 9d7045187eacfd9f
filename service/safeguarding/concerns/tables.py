"""Concerns. The row stays as it was raised but for whose it is; everything else is an entry, only ever added (migration 0014)."""

from datetime import date, datetime
from typing import Protocol

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class Numbered(Protocol):
    """What has a number that is drawn by lot."""

    number: str
    school_id: str


class Concern(SQLModel, table=True):
    """`routed_to`: whose it is. `about_id`: the adult who works here that it is about, if that is known. `alert_id`,
    `lesson_id`: what it was raised from."""

    __tablename__ = "concern"
    __table_args__ = (
        UniqueConstraint("school_id", "number"),
        CheckConstraint("routed_to IN ('dsl', 'headteacher', 'chair')"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    number: str = Field(max_length=16)
    raised_by: str = Field(foreign_key="person.id")
    raised_at: datetime = Field(index=True)
    happened_on: date
    happened_at: str = Field(default="", max_length=20, description="The time of day, as it was said.")
    place: str = Field(default="", max_length=200)
    routed_to: str = Field(max_length=16)
    about_staff: bool = False
    about_id: str = Field(default="", max_length=32)
    alert_id: str = Field(default="", max_length=32, index=True)
    lesson_id: str = Field(default="", max_length=32)


class ConcernBarred(SQLModel, table=True):
    """A person for whom a concern does not exist: whom it is about, an adult of its lesson (policy: IN4)."""

    __tablename__ = "concern_barred"
    concern_id: str = Field(foreign_key="concern.id", primary_key=True)
    person_id: str = Field(primary_key=True, max_length=32, index=True)
    school_id: str = Field(foreign_key="school.id", index=True)


class EntryColumns(SQLModel):
    """One entry of a chronology; what each kind uses is in the rules' `NEEDED`. `on_day`: when it happened or is due."""

    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    seq: int
    kind: str = Field(max_length=16)
    words: str = Field(default="", max_length=8000)
    child_id: str = Field(default="", max_length=32, index=True)
    part: str = Field(default="", max_length=8)
    person_id: str = Field(default="", max_length=32)
    on_day: date | None = None
    agency: str = Field(default="", max_length=120)
    reference: str = Field(default="", max_length=60)
    of_entry: str = Field(default="", max_length=32)
    added_by: str = Field(foreign_key="person.id")
    added_at: datetime


class ConcernEntry(EntryColumns, table=True):
    """One entry of a concern's chronology."""

    __tablename__ = "concern_entry"
    __table_args__ = (UniqueConstraint("concern_id", "seq"),)
    concern_id: str = Field(foreign_key="concern.id", index=True)


class ConcernExport(SQLModel, table=True):
    """A file for a case system: asked for, looked at by a second person, made. `entries`: how much of the chronology it has."""

    __tablename__ = "concern_export"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    concern_id: str = Field(foreign_key="concern.id", index=True)
    receiver: str = Field(max_length=120)
    organisation: str = Field(max_length=120)
    key: str = Field(max_length=200, description="The receiver's age public key.")
    entries: int
    asked_by: str = Field(foreign_key="person.id")
    asked_at: datetime
    agreed_by: str = Field(default="", max_length=32)
    agreed_at: datetime | None = None
    confirmed_by: str = Field(default="", max_length=64, description="The proof of identity of whoever agreed.")


class LocalAuthorityOfficer(SQLModel, table=True):
    """Whom the local authority names for concerns about adults. Only ever added; the newest stands."""

    __tablename__ = "local_authority_officer"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    name: str = Field(max_length=120)
    telephone: str = Field(max_length=40)
    changed_by: str = Field(foreign_key="person.id")
    changed_at: datetime
