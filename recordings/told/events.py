"""What happens to hidden views."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class ViewReleased(Event):
    """The safeguarding lead lets the families be told of one view."""

    subject = "view_id"
    view_id: str
    lesson_id: str
