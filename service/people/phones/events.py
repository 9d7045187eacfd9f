"""What happens to parents' phones. No name of a phone, no code: the audit outlives them."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class PhoneInvited(Event):
    """A letter was made. `is_recovery`: the person had a phone before, so that a second person makes the code."""

    subject = "person_id"
    person_id: str
    invitation_id: str
    is_recovery: bool
    in_person: bool
    keeps_phones: bool


@dataclass(frozen=True)
class PhoneCodeMade(Event):
    subject = "person_id"
    person_id: str
    invitation_id: str


@dataclass(frozen=True)
class InvitationRefused(Event):
    """`person_id` is empty when no invitation has such a link. `why`: unknown, over, no-code, tries, blocked or wrong."""

    subject = "person_id"
    person_id: str
    why: str


@dataclass(frozen=True)
class InvitationEnded(Event):
    """`why`: used, revoked, replaced or tries."""

    subject = "person_id"
    person_id: str
    invitation_id: str
    why: str


@dataclass(frozen=True)
class PhoneAdded(Event):
    """`invitation_id` is empty when a passkey that was there before opened the account on another phone."""

    subject = "person_id"
    person_id: str
    phone_id: str
    invitation_id: str


@dataclass(frozen=True)
class PhoneRemoved(Event):
    """A phone was signed out for good. `why`: asked (by its owner), office, or recovery."""

    subject = "person_id"
    person_id: str
    phone_id: str
    why: str


@dataclass(frozen=True)
class RefreshReused(Event):
    """A refresh token was used twice: somebody has a copy. Everything of that sign-in has stopped."""

    subject = "person_id"
    person_id: str
    phone_id: str
