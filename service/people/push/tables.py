"""Where a phone's notices are sent, and each notice on its way. A notice holds the id of its words and nothing else."""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from service.foundation.db import IdField


class PushSubscription(SQLModel, table=True):
    """What one phone's browser gave us to write to (RFC 8030, 8291). Deleted, not ended: an address that is over is nothing."""

    __tablename__ = "push_subscription"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    phone_id: str = Field(max_length=32, unique=True)
    endpoint: str = Field(max_length=1000, unique=True)
    p256dh: str = Field(max_length=100)
    auth: str = Field(max_length=40)
    made_at: datetime


class Push(SQLModel, table=True):
    """One notice for one phone. `about` and `occasion` make it the same notice. `address`: of a warning to a phone that was
    signed out since, as JSON, until it went; else its subscription says where."""

    __tablename__ = "push"
    __table_args__ = (UniqueConstraint("about", "occasion", "subscription_id", "text"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    subscription_id: str = Field(max_length=32)
    text: str = Field(max_length=2)
    about: str = Field(max_length=32, index=True)
    occasion: str = Field(default="", max_length=60)
    address: str = ""
    made_at: datetime
    due_at: datetime
    next_at: datetime = Field(index=True)
    attempts: int = 0
    trouble: str = Field(default="", max_length=60, description="The kind of the last failure; never what a server said.")
    sent_at: datetime | None = Field(default=None, index=True)
    called_off_at: datetime | None = None
    gave_up_at: datetime | None = None
