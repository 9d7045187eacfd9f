"""What happens to the impact assessment. A live room reacts: without an approval no real pupil is in a lesson."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class ImpactReviewed(Event):
    """The Data Protection Officer said of a document, by its hash, whether it is approved. `grant_id`: how they proved it."""

    subject = "review_id"
    review_id: str
    document_hash: str
    approved: bool
    grant_id: str
