"""What happens to the texts families are asked with (policy: CO2)."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class ConsentDocumentPublished(Event):
    """`ends_answers`: a yes to an earlier version counts no more, in rooms that are open as well."""

    subject = "document_id"
    document_id: str
    purpose: str
    version: int
    ends_answers: bool


@dataclass(frozen=True)
class ConsentTextAdded(Event):
    """Another language of a version; a draft until somebody answers for it."""

    subject = "document_id"
    document_id: str
    language: str
    text_hash: str


@dataclass(frozen=True)
class ConsentTextApproved(Event):
    subject = "document_id"
    document_id: str
    language: str
    text_hash: str
