"""What happens to requests and approvals of exceptions. Ids only: what somebody wrote is on the request."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class OneToOneRequestChanged(Event):
    """Something happened to a request for a one-to-one."""

    subject = "request_id"
    request_id: str


@dataclass(frozen=True)
class OneToOneAsked(OneToOneRequestChanged):
    """`request_kind`: `planned` (ahead) or `now` (for the rest of a lesson that is on). `lessons`: how many."""

    request_kind: str
    adult_id: str
    child_id: str
    lessons: int


@dataclass(frozen=True)
class OneToOneQuestioned(OneToOneRequestChanged):
    """Whoever decides asks for more."""


@dataclass(frozen=True)
class OneToOneAnswered(OneToOneRequestChanged):
    """Whoever asked said more, so it is to be read again."""


@dataclass(frozen=True)
class SpokeToDsl(OneToOneRequestChanged):
    """Somebody who decides spoke to the DSL first, as the DSL had marked."""


@dataclass(frozen=True)
class OneToOneRefused(OneToOneRequestChanged):
    confirmed_by: str


@dataclass(frozen=True)
class OneToOneWithdrawn(OneToOneRequestChanged):
    """Whoever asked takes it back."""


@dataclass(frozen=True)
class OneToOneNotNeeded(OneToOneRequestChanged):
    """A second adult is in the lessons instead: nobody is alone with the pupil."""

    second_id: str


@dataclass(frozen=True)
class OneToOneApproved(Event):
    """One lesson with one adult and one child is approved. `confirmed_by`: the proof of identity it was given on."""

    subject = "approval_id"
    approval_id: str
    request_id: str
    lesson_id: str
    adult_id: str
    child_id: str
    starts_at: str
    ends_at: str
    confirmed_by: str


@dataclass(frozen=True)
class OneToOneRevoked(Event):
    """An approval was ended, for good. `confirmed_by` is empty when it was the service: the approver may no longer approve."""

    subject = "approval_id"
    approval_id: str
    lesson_id: str
    adult_id: str
    child_id: str
    confirmed_by: str


@dataclass(frozen=True)
class MarkSet(Event):
    """The safeguarding team marked a person: `talk-first` or `do-not-tell`. Why is with the mark, for them alone."""

    subject = "person_id"
    mark_id: str
    person_id: str
    mark: str


@dataclass(frozen=True)
class MarkLifted(Event):
    subject = "person_id"
    mark_id: str
    person_id: str
    mark: str
