"""What happens to the log of breaches. Ids only: what happened stands in the log."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class BreachRecorded(Event):
    subject = "breach_id"
    breach_id: str


@dataclass(frozen=True)
class BreachStepAdded(Event):
    """`kind`: one of `rules.Step`."""

    subject = "breach_id"
    breach_id: str
    step: str
