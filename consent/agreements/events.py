"""What happens to agreements. Live rooms react to a signature."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class AgreementAdded(Event):
    """There is a new version for one audience; from `in_force_at` on everybody of it has to sign again."""

    subject = "agreement_id"
    agreement_id: str
    audience: str
    version: int
    in_force_at: str
    text_hash: str


@dataclass(frozen=True)
class AgreementSigned(Event):
    """The person may use the service from now on; `signed_by` is a parent for the youngest pupils. `text_hash`: SHA-256 of
    the words that were signed."""

    subject = "person_id"
    person_id: str
    agreement_id: str
    signed_by: str
    route: str
    text_hash: str = ""


@dataclass(frozen=True)
class SignersReminded(Event):
    """Everybody of one audience who had to sign, and may be written to, was written to."""

    audience: str
    people: int
