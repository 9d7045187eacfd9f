"""Another process on the same database: `python -m tests.beside URL KEYS NAME COUNT` writes entries into its audit."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from service.foundation import audit
from service.foundation.bus import Subscribers, publish
from service.foundation.clock import SystemClock
from service.foundation.db import Database
from service.foundation.events import Event, system


@dataclass(frozen=True)
class WrittenBeside(Event):
    subject = "thing_id"
    thing_id: str
    by: str


def database(url: str, keys: Path, subscribers: Subscribers | None = None) -> Database:
    """As `chaperone chair` has it, say: nothing of the service that runs."""
    return Database(url, {"clock": SystemClock(), "subscribers": subscribers or Subscribers(), "outbox": asyncio.Event(),
                          "signing_key": audit.signing_key(keys)})


async def write(found: Database, name: str, count: int) -> None:
    for number in range(count):
        async with found.writing() as session:
            await publish(session, WrittenBeside(f"thing-{number}", name), system("s"))


async def main(url: str, keys: str, name: str, count: str) -> None:
    found = database(url, Path(keys))
    await write(found, name, int(count))
    await found.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
