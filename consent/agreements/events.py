"""What happens to agreements. Live rooms react to a signature."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class AgreementSigned(Event):
    """The person may use the service from now on; `signed_by` is a parent for the youngest pupils."""

    subject = "person_id"
    person_id: str
    agreement_id: str
    signed_by: str
    route: str
