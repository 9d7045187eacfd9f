"""The versions of each agreement, and who signed which. Both are only ever added (policy: CO1, CO5)."""

from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class Agreement(SQLModel, table=True):
    """One version of the acceptable use agreement for one kind of people."""

    __tablename__ = "agreement"
    __table_args__ = (UniqueConstraint("school_id", "audience", "version"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    audience: str = Field(max_length=12, description="`staff`, `governors`, `pupils`, `parents` or `guests`.")
    version: int
    text: str
    what_changed: str = Field(default="", max_length=500, description="Since the version before; empty for the first.")
    in_force_at: datetime
    added_by: str = Field(default="system", max_length=32)
    added_at: datetime | None = None


class AgreementSignature(SQLModel, table=True):
    __tablename__ = "agreement_signature"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    agreement_id: str = Field(foreign_key="agreement.id", index=True)
    text_hash: str = Field(default="", max_length=64, description="SHA-256 of the words that were signed.")
    person_id: str = Field(foreign_key="person.id", index=True)
    route: str = Field(max_length=10)
    signed_at: datetime
    signed_by: str = Field(default="", max_length=32, description="The parent who signed for a pupil; empty: the person.")
    renew_on: date
    recorded_by: str = Field(max_length=32)
