"""What happens to texts (policy: CM2). Ids only: no words, and no number."""

from dataclasses import dataclass

from service.foundation.events import Event


@dataclass(frozen=True)
class TextPublished(Event):
    """The office wrote a text that staff may send, or wrote it anew: `version`. Without words it is withdrawn."""

    key: str
    language: str
    version: int
    is_withdrawn: bool


@dataclass(frozen=True)
class TextPlaced(Event):
    """Written before anything is sent: there is no text that is not here."""

    subject = "child_id"
    child_id: str
    text_id: str
    call_id: str
    adult_id: str
    template_id: str


@dataclass(frozen=True)
class TextSettled(Event):
    """What became of it, as far as it is known: it only moves on."""

    subject = "child_id"
    child_id: str
    text_id: str
    status: str


@dataclass(frozen=True)
class TextReplied(Event):
    """Somebody answered the school's number. `adult_id`: whose number it is; empty where it is nobody's here, or two people's."""

    reply_id: str
    adult_id: str


@dataclass(frozen=True)
class TextReplyShown(Event):
    """The office reads an answer. Written before it is shown."""

    reply_id: str
