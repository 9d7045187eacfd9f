"""Invitations, phones and refresh tokens. A phone's sign-in is a row of `sign_in`, as everybody's is: what ends those ends it."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from service.foundation.db import IdField


class PhoneInvitation(SQLModel, table=True):
    """A letter and a code. Both are kept only as hashes. Without a code it opens nothing; of a recovery, another person than
    who made the letter makes the code (policy: AC1)."""

    __tablename__ = "phone_invitation"
    __table_args__ = (
        CheckConstraint("NOT is_recovery OR code_by = '' OR code_by <> made_by", name="phone_invitation_two_people"),
        CheckConstraint("(code_hash = '') = (code_by = '')", name="phone_invitation_code"),
        CheckConstraint("ended_why IN ('', 'used', 'revoked', 'replaced', 'tries')", name="phone_invitation_ended"),
    )
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    token_hash: str = Field(max_length=64, unique=True)
    code_hash: str = Field(default="", max_length=64)
    made_by: str = Field(max_length=32)
    made_at: datetime
    code_by: str = Field(default="", max_length=32)
    in_person: bool = Field(default=False, description="Handed to the parent, who showed who they are.")
    is_recovery: bool = False
    keeps_phones: bool = Field(default=True, description="Whether the phones they have stay signed in.")
    expires_at: datetime
    failures: int = 0
    ended_at: datetime | None = None
    ended_why: str = Field(default="", max_length=8)


class Phone(SQLModel, table=True):
    """One device of one adult, known by a key that it cannot give away. `removed_at`: signed out for good."""

    __tablename__ = "phone"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    passkey_id: str = Field(foreign_key="passkey.id")
    invitation_id: str = Field(default="", max_length=32)
    key: str = Field(max_length=43, index=True, description="JWK thumbprint (RFC 7638) of its DPoP key.")
    name: str = Field(max_length=60)
    platform: str = Field(max_length=8)
    language: str = Field(default="en", max_length=12)
    added_at: datetime
    rests_until: datetime | None = Field(default=None, description="Until then a yes does not count.")
    sign_in_id: str = Field(foreign_key="sign_in.id", index=True, description="Its newest sign-in.")
    removed_at: datetime | None = None
    removed_why: str = Field(default="", max_length=8)


class PhoneRefresh(SQLModel, table=True):
    """One refresh token, by its hash. Those of one `sign_in` are a family: one that is used twice ends it."""

    __tablename__ = "phone_refresh"
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    phone_id: str = Field(foreign_key="phone.id", index=True)
    sign_in_id: str = Field(foreign_key="sign_in.id", index=True)
    token_hash: str = Field(max_length=64, unique=True)
    made_at: datetime
    used_at: datetime | None = None
    retried_at: datetime | None = None
    next_id: str = Field(default="", max_length=32, description="The token that it was changed for.")
