"""A back-up that is restored to try it, aside, and removed again: also where whoever tried it was killed (policy: AC6, RE2).

A school's back-up is tried on its own server, with its keys inside the folder of keys. Beside the recordings, on their disk, they
would open what the school destroys in the meantime.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.backup import restoring
from service.backup.restoring import Opened
from service.backup.saving import AlreadyRunning, Say, alone
from service.foundation.bus import Subscribers
from service.foundation.clock import Clock
from service.foundation.settings import Settings


@dataclass(frozen=True)
class Aside:
    """Where it is tried. No school has such a name in the folder of keys, so that nobody takes it for one, or copies it."""

    data: Path
    keys: Path

    @classmethod
    def of(cls, settings: Settings) -> "Aside":
        return cls(settings.data / "backup/check", settings.keys / ".check")

    def remove(self) -> None:
        """The keys first: from then on nothing of it opens."""
        restoring.forget(self.keys)
        restoring.forget(self.data)


async def tried(source: Opened, aside: Aside, clock: Clock, say: Say) -> list[str]:
    """What is wrong with a back-up."""
    aside.remove()
    try:
        restoring.bring_back(source, aside.data, say, keys=aside.keys)
        return await restoring.verified(aside.data, clock, Subscribers(), keys=aside.keys)
    finally:
        aside.remove()


def remove_what_was_killed(settings: Settings) -> None:
    """At the start of the service. A back-up that is being tried just now is left alone, and removes itself."""
    with suppress(AlreadyRunning), alone(settings.data):
        Aside.of(settings).remove()
