"""One lesson's recorder over a real file, with the clock in the test's hand."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recordings.capture import Capture
from recordings.vault import SchoolKeys
from tests.fakes import FakeClock
from tests.recordings.media import HEADER, KEY


class Recorder:
    """Starts captures and keeps what they report."""

    def __init__(self, folder: Path, clock: FakeClock):
        self.folder, self.clock = folder, clock
        self.keys = SchoolKeys.of(folder / "keys", HEADER.school_id)
        self.path = folder / "recordings" / "a1b2" / "1.rec"
        self.durable: list[float] = []
        self.faults: list[str] = []
        self._news = asyncio.Event()

    def start(self, path: Path | None = None, **options: Any) -> Capture:
        self.path = path or self.path
        return Capture.start(
            self.path, header=HEADER, key=KEY, lesson_clock_start=self.clock.boottime(), clock=self.clock,
            on_durable=self._on_durable, on_fault=self._on_fault, signer=self.keys, **options,
        )

    def _on_durable(self, instant: float) -> None:
        self.durable.append(instant)
        self._news.set()

    def _on_fault(self, reason: str) -> None:
        self.faults.append(reason)
        self._news.set()

    async def until_durable(self, instant: float) -> None:
        async with asyncio.timeout(10):
            while not self.durable or self.durable[-1] < instant:
                self._news.clear()
                await self._news.wait()

    async def until_fault(self) -> str:
        async with asyncio.timeout(10):
            while not self.faults:
                self._news.clear()
                await self._news.wait()
        return self.faults[0]

    async def second(self, capture: Capture) -> None:
        """A second passes, and what was accepted in it becomes durable."""
        self.clock.advance(1.0)
        capture.flush()
        await self.until_durable(self.clock.boottime())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recorder(tmp_path: Path, clock: FakeClock) -> Iterator[Recorder]:
    return Recorder(tmp_path, clock)
