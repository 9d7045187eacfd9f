"""Views that the safeguarding lead released to the families. Only ever added (migration 0018)."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class ViewRelease(SQLModel, table=True):
    """One view that families may be told of although it was hidden."""

    __tablename__ = "view_release"
    view_id: str = Field(foreign_key="recording_view.id", primary_key=True)
    school_id: str = Field(foreign_key="school.id", index=True)
    released_by: str = Field(foreign_key="person.id")
    released_at: datetime
