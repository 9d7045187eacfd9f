"""Back-ups for tests: made beside the running school, and brought back as the command does it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyrage

from service.backup import command, restoring, trying
from service.backup.saving import Made, save
from service.backup.target import Target
from service.foundation.clock import Clock
from service.foundation.settings import Settings
from service.wiring import SUBSCRIBERS
from tests.school import Running, running


def quiet(words: str) -> None:
    pass


@dataclass
class Places:
    """Where a school is backed up to, and who may restore it."""

    data_at: str
    keys_at: str
    access: Path | None = None
    identity: pyrage.x25519.Identity = field(default_factory=pyrage.x25519.Identity.generate)

    @property
    def data(self) -> Target:
        return Target(self.data_at, "data", self.access)

    @property
    def keys(self) -> Target:
        return Target(self.keys_at, "keys", self.access)

    def save(self, school: Running) -> Made:
        settings = school.app.state.settings.model_copy(update={"backup_recipients": str(self.identity.to_public())})
        return save(settings, self.data, self.keys, school.clock.now(), quiet)

    def opened(self, wanted: str = "", identity: pyrage.x25519.Identity | None = None) -> restoring.Opened:
        return restoring.opened(self.data, self.keys, [identity or self.identity], wanted=wanted)

    async def tried(self, folder: Path, clock: Clock) -> list[str]:
        return await trying.tried(self.opened(), trying.Aside(folder / "data", folder / "keys"), clock, quiet)

    async def put_back(self, folder: Path, clock: Clock, **given: Any) -> int:
        return await command.put_back(self.opened(**given), Settings(data=folder), clock, SUBSCRIBERS)

    @asynccontextmanager
    async def restored(self, folder: Path, clock: Any, **given: Any) -> AsyncIterator[Running]:
        """The school as it goes on from a back-up."""
        assert await self.put_back(folder, clock, **given) == 0
        async with running(folder, clock=clock) as started:
            yield started


def in_folders(folder: Path) -> Places:
    return Places(str(folder / "data-copy"), str(folder / "keys-copy"))


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in Path(folder).rglob("*") if path.is_file())
