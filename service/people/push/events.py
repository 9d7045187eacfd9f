"""That a phone began or ceased to get notices. Never where they are sent."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class NoticesTurnedOn(Event):
    subject = "person_id"
    person_id: str
    phone_id: str


@dataclass(frozen=True)
class NoticesTurnedOff(Event):
    """`why`: asked, signed-out, or gone (the push service no longer knows the phone)."""

    subject = "person_id"
    person_id: str
    phone_id: str
    why: str
