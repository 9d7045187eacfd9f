"""One person's place in the room, kept while the lesson lasts: a reconnect gets back what staff had decided about it."""

from collections import deque
from dataclasses import dataclass, field
from math import inf

from lessons.live.plan import Person
from lessons.live.supervision import ADULT_PAGE_PROOF, CHILD_PAGE_PROOF, MEDIA_PROOF, Kind

SILENT = 10.0
"""Seconds without a proof after which a person counts as gone for the register."""
UNWELL = 4.0
"""Seconds without a proof after which others are shown a connection problem."""


@dataclass
class Seat:
    """`connection` is None while the person is away; the newest connection of a person is the only one."""

    person: Person
    connection: str | None = None
    device: str = ""
    beside: str = ""
    joined_at: float = -inf
    media_at: float = -inf
    page_at: float = -inf
    arrived: bool = False
    """Proved since they connected: what the register counts, not the button (policy: RL9)."""
    hand: int | None = None
    microphone: bool = False
    camera: bool = False
    screen: bool = False
    shown: bool = False
    may_share: bool = False
    camera_stopped: bool = False
    said_at: deque[float] = field(default_factory=deque)

    @property
    def is_staff(self) -> bool:
        return self.person.kind is Kind.STAFF

    @property
    def is_child(self) -> bool:
        return self.person.kind is Kind.CHILD

    @property
    def is_here(self) -> bool:
        """Connected and allowed to take part: may be reached."""
        return self.connection is not None and self.person.may.attend

    @property
    def alive_until(self) -> float:
        page = ADULT_PAGE_PROOF if self.is_staff else CHILD_PAGE_PROOF
        return min(self.media_at + MEDIA_PROOF, self.page_at + page)

    @property
    def heard_at(self) -> float:
        """The latest moment at which everything proved this person; since connecting, when nothing has yet."""
        return max(self.joined_at, min(self.media_at, self.page_at))

    def sit(self, connection: str, device: str, beside: str, now: float) -> None:
        """A full admission: nothing of an earlier connection proves anything."""
        self.connection, self.device, self.joined_at = connection, device, now
        self.beside = beside or self.beside
        self.media_at = self.page_at = -inf
        self.arrived = False

    def stand(self) -> None:
        self.connection, self.hand = None, None
        self.media_at = self.page_at = -inf
        self.silence()

    def silence(self) -> None:
        """Everything this person sends is off until they turn it on again."""
        self.microphone = self.camera = False
        self.stop_sharing()

    def stop_sharing(self) -> None:
        self.screen = self.shown = False
