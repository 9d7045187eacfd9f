"""That a part was prepared, or cannot be. Only ever added; what is missing here is still to be done."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class RecordingPreparation(SQLModel, table=True):
    """Names nothing of what was found: that lies encrypted beside the part. `problem` is empty when all of it is there."""

    __tablename__ = "recording_preparation"
    part_id: str = Field(foreign_key="recording_part.id", primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    prepared_at: datetime
    pictures: int
    problem: str = Field(default="", max_length=200)
