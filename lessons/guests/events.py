"""What happens to guests' passes (policy: AC7)."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class GuestAsked(Event):
    """A member of staff asks for a guest; nobody comes in by that."""

    subject = "guest_id"
    guest_id: str
    pass_id: str
    guest_kind: str
    lesson_ids: tuple[str, ...]
    child_ids: tuple[str, ...]


@dataclass(frozen=True)
class GuestApproved(Event):
    subject = "guest_id"
    guest_id: str
    pass_id: str
    sponsor_id: str
    reason: str


@dataclass(frozen=True)
class GuestRefused(Event):
    subject = "guest_id"
    guest_id: str
    pass_id: str
    reason: str


@dataclass(frozen=True)
class GuestPassEnded(Event):
    """The visit is over at once, in rooms that are live too."""

    subject = "guest_id"
    guest_id: str
    pass_id: str
    reason: str


@dataclass(frozen=True)
class GuestLinkMade(Event):
    """The sponsor has a link that signs the guest in once; earlier ones stopped."""

    subject = "guest_id"
    guest_id: str
    pass_id: str
