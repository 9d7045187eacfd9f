"""What the Data Protection Officer said of the impact assessment. Only ever added (policy: AC5)."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class ImpactReview(SQLModel, table=True):
    """One review. The last one counts; the document itself is kept, so that what was approved can be read in ten years."""

    __tablename__ = "impact_review"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    document: str = Field(description="JSON of the document that was shown.")
    document_hash: str = Field(max_length=64)
    answers: str = Field(description="JSON: for each section yes or no, and words.")
    approved: bool
    reviewed_by: str = Field(foreign_key="person.id", max_length=32)
    reviewed_at: datetime = Field(index=True)
    confirmed_by: str = Field(default="", max_length=32, description="The proof it was confirmed with.")
