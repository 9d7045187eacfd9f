"""What a room of the media plane alone may deliver: the gate open, to its route, and only what the record took first."""

from dataclasses import dataclass, field
from typing import Any

from lessons.media.keys import SourceKey


@dataclass
class Watch:
    """Sees every delivery of one room. `wrong` is looked at when the test ends."""

    school: Any
    deliveries: int = 0
    wrong: list[str] = field(default_factory=list)

    def __call__(self, key: SourceKey, to: frozenset[str], viewers: tuple[str, ...], size: int, at: float, /) -> None:
        self.deliveries += len(viewers)
        room = self.school.room
        if at >= self.school.gate.until:
            self.wrong.append(f"{key} to {viewers}: the gate is shut")
        if not set(viewers) <= to or to != room._routes.get(key):
            self.wrong.append(f"{key} to {viewers}: the route is {room._routes.get(key)}")
        if not self.school.record.frames.get(key):
            self.wrong.append(f"{key} to {viewers}: nothing of it is recorded")
