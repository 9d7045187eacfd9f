"""What the phone's API says, as its OpenAPI description tells it. Nothing here names another family's child, or a reason."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Every error (RFC 9457, application/problem+json). `code` is for programs, `detail` for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: dict[str, str] = Field(default_factory=dict, description="Words for each field, where fields were wrong.")


class Lesson(BaseModel):
    """One lesson of one child."""

    id: str
    title: str
    class_name: str
    teacher: str
    starts_at: datetime
    ends_at: datetime
    status: Literal["planned", "open", "ended", "cancelled"]
    is_recorded: bool = Field(True, description="Always: no lesson runs unrecorded.")
    may_join: bool = Field(description="Whether the answers the school has let this child join. Never why not.")
    joined_at: datetime | None = Field(None, description="When the child last came in, once they did.")
    moved_from: datetime | None = Field(None, description="When it should have started, if it was moved.")


class Child(BaseModel):
    """A child whom this person may hear of: themself for a pupil."""

    id: str
    name: str
    lessons: list[Lesson]


class Timetable(BaseModel):
    """The lessons of some days. `children` is empty alike when there is nothing, and when there is nobody to tell of."""

    zone: str = Field(description="The school's time zone (IANA). Times are UTC.")
    first: date
    days: int
    children: list[Child]


class Me(BaseModel):
    id: str
    name: str
    school: str
    roles: list[str]
