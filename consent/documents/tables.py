"""What families are asked, word for word. A version that was published never changes (triggers of revision 0016; policy: CO2)."""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class ConsentDocument(SQLModel, table=True):
    """One version of what a family is asked about one purpose. `ends_answers_at`: from then on a yes to an earlier version
    counts no more; empty where old answers stand."""

    __tablename__ = "consent_document"
    __table_args__ = (UniqueConstraint("school_id", "purpose", "version"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    purpose: str = Field(max_length=24)
    version: int
    changed: str = Field(default="", max_length=500, description="What is different, in words for families.")
    ends_answers_at: datetime | None = None
    published_at: datetime
    published_by: str = Field(max_length=32)


class ConsentText(SQLModel, table=True):
    """A version in one language. Until somebody of the school answers for it by name it is a draft, and shown to nobody."""

    __tablename__ = "consent_text"
    __table_args__ = (
        UniqueConstraint("document_id", "language"),
        CheckConstraint("(approved_at IS NULL) = (approved_by = '')", name="consent_text_approved"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    document_id: str = Field(foreign_key="consent_document.id", index=True)
    language: str = Field(max_length=8)
    sections: str = Field(description="JSON of `rules.Sections`.")
    text_hash: str = Field(max_length=64)
    written_by: str = Field(max_length=32)
    written_at: datetime
    reviewer: str = Field(default="", max_length=120, description="The person who read it and found that it says the same.")
    approved_by: str = Field(default="", max_length=32)
    approved_at: datetime | None = None
