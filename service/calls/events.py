"""What happens to calls and personal telephones (policy: CM2, CM3). Ids only: no number, and nothing that was said."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class CallAsked(Event):
    """Somebody wants to call this adult about this child. Nobody is called yet."""

    subject = "child_id"
    child_id: str
    call_id: str
    adult_id: str
    purpose: str
    lesson_id: str


@dataclass(frozen=True)
class CallRefused(Event):
    """The rule said no, at dialling. `why`: its code."""

    subject = "child_id"
    child_id: str
    adult_id: str
    why: str


@dataclass(frozen=True)
class CallPlaced(Event):
    """Written before anybody is rung: there is no call that is not here."""

    subject = "child_id"
    child_id: str
    call_id: str
    adult_id: str
    purpose: str
    by_telephone: bool
    grant_id: str
    withheld: bool


@dataclass(frozen=True)
class CallConnected(Event):
    """The rule was asked once more, and the two hear each other from now on. `in_app`: in the parents' app, not by telephone."""

    subject = "child_id"
    child_id: str
    call_id: str
    in_app: bool


@dataclass(frozen=True)
class CallEnded(Event):
    """`refusal`: the code of the rule that ended it, if one did. `ended_by`: a leader who did."""

    subject = "child_id"
    child_id: str
    call_id: str
    why: str
    refusal: str
    ended_by: str


@dataclass(frozen=True)
class CallRecorded(Event):
    subject = "child_id"
    child_id: str
    call_id: str
    outcome: str


@dataclass(frozen=True)
class CallsExported(Event):
    """A copy of the register of calls was taken. `rows`: how many."""

    rows: int


@dataclass(frozen=True)
class ContactShown(Event):
    """The office reads a family's number, and has said why. Written before it is shown."""

    subject = "person_id"
    person_id: str
    reason: str
    confirmed_by: str


@dataclass(frozen=True)
class SchoolNumberChanged(Event):
    """The number that families see is another one."""


@dataclass(frozen=True)
class CallingChanged(Event):
    """Whether families are shown the school's number."""

    withheld: bool


@dataclass(frozen=True)
class OwnNumberChanged(Event):
    """Somebody on staff entered the number of their own telephone, or took it back."""

    subject = "person_id"
    person_id: str


@dataclass(frozen=True)
class PersonalPhoneAsked(Event):
    subject = "person_id"
    person_id: str
    request_id: str
    until: str


@dataclass(frozen=True)
class PersonalPhoneApproved(Event):
    subject = "person_id"
    person_id: str
    request_id: str
    confirmed_by: str


@dataclass(frozen=True)
class PersonalPhoneRefused(Event):
    subject = "person_id"
    person_id: str
    request_id: str


@dataclass(frozen=True)
class PersonalPhoneEnded(Event):
    """The grant is over at once; a call that rests on it with it."""

    subject = "person_id"
    person_id: str
    request_id: str


@dataclass(frozen=True)
class OwnPhoneUsedInEmergency(Event):
    """Somebody used their own telephone in an emergency; leaders are told."""

    subject = "child_id"
    child_id: str
    use_id: str
    person_id: str
