"""What a page and the room say to each other (docs/room-protocol.md), as values. `protocol` turns them into text and back.

No client message names a recipient: what is said or shown goes where the room's one route sends it (policy: RL7).
"""

import re
from dataclasses import dataclass, field

# From a page. A name is the protocol's type: `AskToUnmute` is `ask_to_unmute`.


@dataclass(frozen=True)
class Hello:
    ticket: str = field(metadata={"max": 4096})


@dataclass(frozen=True)
class Heartbeat:
    n: int
    visible: bool


@dataclass(frozen=True)
class Publish:
    sdp: str = field(metadata={"max": 65536})


@dataclass(frozen=True)
class Subscribed:
    version: int
    sdp: str = field(metadata={"max": 196608})


@dataclass(frozen=True)
class Microphone:
    on: bool


@dataclass(frozen=True)
class Camera:
    on: bool


@dataclass(frozen=True)
class Share:
    on: bool


@dataclass(frozen=True)
class Hand:
    up: bool


@dataclass(frozen=True)
class Chat:
    own: str = field(metadata={"max": 64})
    text: str = field(metadata={"max": 4096})  # over the 300 that chat takes: such a sender is told, not cut off


@dataclass(frozen=True)
class SoundOnly:
    on: bool


@dataclass(frozen=True)
class Leave:
    pass


@dataclass(frozen=True)
class Flag:
    about: str | None = field(default=None, metadata={"max": 40})
    note: str | None = field(default=None, metadata={"max": 2000})
    flag: str | None = field(default=None, metadata={"max": 64})


@dataclass(frozen=True)
class Mute:
    person: str | None = field(metadata={"max": 64})


@dataclass(frozen=True)
class AskToUnmute:
    person: str = field(metadata={"max": 64})


@dataclass(frozen=True)
class StopCamera:
    person: str = field(metadata={"max": 64})


@dataclass(frozen=True)
class AllowCamera:
    person: str = field(metadata={"max": 64})


@dataclass(frozen=True)
class AllowShare:
    person: str = field(metadata={"max": 64})


@dataclass(frozen=True)
class StopShare:
    person: str = field(metadata={"max": 64})


@dataclass(frozen=True)
class ShowShare:
    person: str = field(metadata={"max": 64})


@dataclass(frozen=True)
class LowerHand:
    person: str = field(metadata={"max": 64})


@dataclass(frozen=True)
class Remove:
    person: str = field(metadata={"max": 64})
    reason: str = field(metadata={"max": 200})


@dataclass(frozen=True)
class SetChat:
    on: bool


@dataclass(frozen=True)
class ShowChat:
    id: str = field(metadata={"max": 64})


@dataclass(frozen=True)
class Extend:
    minutes: int


@dataclass(frozen=True)
class End:
    pass


@dataclass(frozen=True)
class Stop:
    reason: str = field(metadata={"max": 500})


ClientMessage = (
    Hello | Heartbeat | Publish | Subscribed | Microphone | Camera | Share | Hand | Chat | SoundOnly | Leave | Flag | Mute
    | AskToUnmute | StopCamera | AllowCamera | AllowShare | StopShare | ShowShare | LowerHand | Remove | SetChat | ShowChat
    | Extend | End | Stop
)


# To a page.


@dataclass(frozen=True)
class You:
    person: str
    name: str
    role: str
    may: tuple[str, ...]


@dataclass(frozen=True)
class LessonLink:
    url: str
    title: str


@dataclass(frozen=True)
class Lesson:
    id: str
    title: str
    class_name: str
    starts_at: str
    ends_at: str
    hard_end_at: str
    links: tuple[LessonLink, ...]
    one_to_one: bool = False
    """For one pupil and one adult: it opens for these two while their approval holds (policy: RL1)."""


@dataclass(frozen=True)
class Welcome:
    you: You
    lesson: Lesson
    now: str
    heartbeat_every: float = 1.0


@dataclass(frozen=True)
class Waiting:
    """What the room still waits for. `needed`: pupils, given the adults who are here; a one-to-one needs its one."""

    adults: int
    pupils: int
    needed: int
    recording: bool


@dataclass(frozen=True)
class Participant:
    """One person in the room, as others see them. `beside` is for staff only."""

    person: str
    name: str
    role: str
    hand: int | None
    microphone: bool
    camera: bool
    screen: bool
    camera_stopped: bool
    may_share: bool
    sharing: str
    connected: bool
    beside: str | None = None


@dataclass(frozen=True)
class State:
    room: str
    hold: tuple[str, ...]
    waiting: Waiting
    ends_at: str
    recording: bool
    people: tuple[Participant, ...]
    chat: bool
    presenter: str | None
    breakouts: bool = False
    """The lesson's people are in breakout rooms, and this is the room that they left."""
    approved_until: str | None = None
    """An adult and a pupil are alone here by an approval, which ends then (policy: RL1)."""


@dataclass(frozen=True)
class Published:
    sdp: str


@dataclass(frozen=True)
class Stream:
    mid: str
    person: str
    source: str


@dataclass(frozen=True)
class Subscribe:
    version: int
    sdp: str
    streams: tuple[Stream, ...]


@dataclass(frozen=True)
class ChatMessage:
    id: str
    person: str
    name: str
    text: str
    at: str
    own: str | None = None


@dataclass(frozen=True)
class ChatHeld:
    """To the sender only `own` and the reason; to staff the message as well."""

    reason: str
    own: str | None = None
    id: str | None = None
    person: str | None = None
    name: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class ChatRefused:
    own: str
    reason: str


@dataclass(frozen=True)
class Asked:
    what: str
    by: str | None = None


@dataclass(frozen=True)
class Changed:
    what: str
    by: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Flagged:
    flag: str


@dataclass(frozen=True)
class Layers:
    h: bool


@dataclass(frozen=True)
class Refused:
    type_refused: str
    code: str
    detail: str


@dataclass(frozen=True)
class TimeLeft:
    minutes: int


@dataclass(frozen=True)
class Move:
    """Go to another room of this lesson, through its own door (policy: RL1). Nothing more comes on this connection."""

    lesson: str
    name: str
    is_main: bool


@dataclass(frozen=True)
class RoomLine:
    """One room of a lesson as its staff see it from any of them: its state, and numbers of people."""

    lesson: str
    name: str
    room: str
    hold: tuple[str, ...]
    adults: int
    pupils: int
    expected: int


@dataclass(frozen=True)
class Placed:
    """Where one pupil belongs, and whether they are there."""

    person: str
    name: str
    lesson: str
    here: bool


@dataclass(frozen=True)
class Rooms:
    """To the lesson's own staff alone. The main room comes first; empty when there are no breakout rooms."""

    rooms: tuple[RoomLine, ...]
    pupils: tuple[Placed, ...]


@dataclass(frozen=True)
class Ended:
    reason: str


ServerMessage = (
    Welcome | State | Published | Subscribe | ChatMessage | ChatHeld | ChatRefused | Asked | Changed | Flagged | Layers
    | Refused | TimeLeft | Move | Rooms | Ended
)


def type_of(message: object) -> str:
    """The protocol's name of a message or its class: `AskToUnmute` is `ask_to_unmute`."""
    kind = message if isinstance(message, type) else type(message)
    name = "Chat" if kind is ChatMessage else kind.__name__
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
