"""What a room asks its host to do. Effects come in the order to perform them: first cut, then tell, then journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from lessons.live.messages import ServerMessage


class Source(StrEnum):
    MICROPHONE = "microphone"
    CAMERA = "camera"
    SCREEN = "screen"


Routes = Mapping[tuple[str, Source], frozenset[str]]
"""Who (person, source) is live, and to whom. What is not in it is neither forwarded nor recorded."""


class Close(StrEnum):
    """Why a connection is closed by the room; `protocol` has the code for each."""

    NOT_ADMITTED = "not-admitted"
    REPLACED = "replaced"
    REMOVED = "removed"
    LEFT = "left"
    ENDED = "ended"
    SILENT = "silent"
    MOVED = "moved"


@dataclass(frozen=True)
class Gate:
    """Write this moment into the gate at once; -inf shuts it."""

    turn: ClassVar[int] = 0
    until: float


@dataclass(frozen=True)
class Route:
    turn: ClassVar[int] = 1
    routes: Routes


@dataclass(frozen=True)
class Tell:
    """Send to the one connection of a person, or to the named connection."""

    turn: ClassVar[int] = 2
    person: str
    message: ServerMessage
    connection: str | None = None


@dataclass(frozen=True)
class Show:
    """Everybody's view has changed: send each person theirs."""

    turn: ClassVar[int] = 2


@dataclass(frozen=True)
class Say:
    """Chat: only while the gate permits, and only after the recording took it; otherwise `refused` is told instead."""

    turn: ClassVar[int] = 2
    record: Mapping[str, object]
    tells: tuple[Tell, ...]
    refused: Tell


@dataclass(frozen=True)
class Hangup:
    turn: ClassVar[int] = 3
    connection: str
    why: Close


@dataclass(frozen=True)
class Journal:
    """Write into the lesson's journal and the recording's timeline. Ids only; `words` goes to the recording alone."""

    turn: ClassVar[int] = 4
    kind: str
    person: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JournalOpening:
    """Make this opening durable, then answer `OpeningJournalled`: an opening is journalled before it happens."""

    turn: ClassVar[int] = 4
    opening: int
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Alert:
    """Somebody outside the room must know. `told`: said once that is durable."""

    turn: ClassVar[int] = 5
    kind: str
    person: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    told: Tell | None = None


@dataclass(frozen=True)
class Finish:
    """The lesson is over: seal the recording, stop the host."""

    turn: ClassVar[int] = 6
    reason: str


Effect = Gate | Route | Tell | Show | Say | Hangup | Journal | JournalOpening | Alert | Finish
