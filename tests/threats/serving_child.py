"""A service in a process of its own that holds one recording, plays it, and destroys it when it is told to; to be searched.

    python -m tests.threats.serving_child DATA STORE SCHOOL RECORDING NOW

It says where it listens, destroys at the first line that it reads, and ends at the second.
"""

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from obstore.store import LocalStore

from recordings.ending import destruction
from recordings.storage import Storage
from service.foundation import bus
from service.foundation.events import system
from service.wiring import SUBSCRIBERS
from tests.fakes import FakeClock
from tests.school import Running, running
from tests.served import served


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def in_store(school: Running, folder: Path) -> None:
    """Sealed recordings lie in an object store: a folder, so that it can be searched."""
    vault = school.app.state.vault
    vault.storage = Storage(vault.storage.folder, LocalStore(folder, mkdir=True))


async def destroy(school: Running, school_id: str, recording_id: str) -> None:
    state = school.app.state
    async with school.database.writing() as session:
        await destruction.begin(session, system(school_id), recording_id=recording_id, why="its time was over",
                                now=school.clock.now())
    assert await destruction.finish(state.database, state.vault, state.clock, school_id) == 1
    await bus.deliver(state.database, state, SUBSCRIBERS)


async def main(data: str, store: str, school_id: str, recording_id: str, now: str) -> None:
    async with running(Path(data), clock=FakeClock(datetime.fromisoformat(now))) as school, served(school) as address:
        in_store(school, Path(store))
        say(address)
        await asyncio.to_thread(sys.stdin.readline)
        await destroy(school, school_id, recording_id)
        say("destroyed")
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
