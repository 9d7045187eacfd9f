"""T22: somebody who seizes the server, its store and the memory of the running service finds nothing of what was destroyed.

A service in a process of its own plays a recording and destroys it. Before and after everything is searched: the database with
its log of writes, the key store, the folders, the object store, what the service wrote to its log, and its memory.
policy: RE2
"""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyrage

from recordings import review
from recordings.preparation import sandbox
from service.backup.saving import save
from service.backup.target import Target
from service.foundation.settings import Settings
from service.foundation.web import COOKIE
from tests.fakes import FakeClock
from tests.features.test_recordings import view
from tests.recordings.lesson import Recorded, begin, finish, start, until_durable
from tests.recordings.media import real_vp8
from tests.recordings.test_preparation import opened, prepare
from tests.school import running
from tests.storage.backups import files, quiet
from tests.threats.serving_child import in_store

MAY_RESTORE = pyrage.x25519.Identity.generate()
SECONDS = 3


@dataclass
class Canaries:
    """What must not be found: each in the shapes in which it could lie somewhere, and in halves."""

    key: bytes = b""
    spoken: bytes = field(default_factory=lambda: secrets.token_bytes(24))
    written: bytes = field(default_factory=lambda: f"canary {secrets.token_hex(12)}".encode())
    picture: bytes = b""

    @property
    def of_the_key(self) -> dict[str, bytes]:
        return {"key": self.key, "key's beginning": self.key[:16], "key's end": self.key[16:],
                "key in hex": self.key.hex().encode(), "key in HEX": self.key.hex().upper().encode()}

    @property
    def of_the_lesson(self) -> dict[str, bytes]:
        return {"sound": self.spoken, "chat": self.written, "picture": self.picture}


def found(data: bytes, canaries: dict[str, bytes]) -> set[str]:
    return {name for name, canary in canaries.items() if canary in data}


def in_files(folder: Path, canaries: dict[str, bytes]) -> set[str]:
    """Every file, the database's log of writes and what is no longer named in it included."""
    return set().union(*(found(path.read_bytes(), canaries) for path in files(str(folder))))


def in_memory(pid: int, canaries: dict[str, bytes]) -> set[str]:
    """Everything that the process has mapped and may read."""
    there, longest = set[str](), max(map(len, canaries.values()))
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_, last = line.split(maxsplit=5)
            if not rights.startswith("r") or last in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            at, end = (int(each, 16) for each in place.split("-"))
            kept = b""
            while at < end:
                try:
                    memory.seek(at)
                    piece = memory.read(min(1 << 24, end - at))
                except OSError:
                    break  # pages behind the end of a mapped file
                if not piece:
                    break
                there |= found(kept + piece, canaries)
                kept, at = piece[-longest:], at + len(piece)
    return there


async def record(school: Any, canaries: Canaries) -> Recorded:
    recorded = await begin(school, [])
    capture = start(school, recorded)
    sound = capture.track("m", person_id=recorded.teacher, source="microphone", codec="opus")
    camera = capture.track("c", person_id=recorded.teacher, source="camera", codec="vp8")
    capture.note("presence", 0, {"person": recorded.teacher, "role": "teacher", "event": "in"})
    capture.note("open", 0, {})
    for second in range(SECONDS):
        for at in range(second * 1000, second * 1000 + 1000, 20):
            sound.write(bytes((9 << 3,)) + canaries.spoken + at.to_bytes(4, "big"), at, True)
        for at, frame, key in real_vp8(SECONDS):
            if at // 1000 == second:
                camera.write(frame, at, key)
        capture.note("chat", second * 1000 + 500, {"id": f"c{second}", "person": recorded.pupils[0], "outcome": "delivered",
                                                   "text": canaries.written.decode()})
        school.clock.advance(1.0)
        capture.flush()
        await until_durable(capture)
    await finish(school, recorded, capture)
    return recorded


@dataclass
class Held:
    """A recording as the school has it: where everything lies, and how its DSL watches it. `sealed`: its encrypted bytes."""

    recorded: Recorded
    clock: FakeClock
    watched: list[str]
    cookie: str
    sealed: bytes


async def hold(folder: Path, template: Path, canaries: Canaries) -> Held:
    """Record a lesson, prepare it, begin to watch it, back it up, move it to the store."""
    async with running(folder / "data", template=template) as school:
        recorded = await record(school, canaries)
        canaries.key = bytes(recorded.begun.key)
        await prepare(school)
        found = await opened(school, recorded)
        track = next(each for each in found.tracks if each.pictures)
        canaries.picture = review.picture(found, 1, track.track, track.pictures[0])[40:80]
        async with await school.signed_in("dsl") as dsl:
            at, cookie = await view(school, dsl, recorded), dsl.cookies[COOKIE]
        back_up(folder, school.clock.now())
        sealed = recorded.begun.path.read_bytes()[-1000:]
        in_store(school, folder / "store")
        assert await school.app.state.mover.move_sealed() == 1
    watched = [at, f"{at}/pieces?of=1.1,1.2&at=0&until=3000", f"{at}/parts/1/tracks/{track.track}/pictures/{track.pictures[0]}"]
    return Held(recorded, school.clock, watched, cookie, sealed)


def back_up(folder: Path, now: datetime) -> None:
    settings = Settings(data=folder / "data", backup_recipients=str(MAY_RESTORE.to_public()))
    save(settings, Target(str(folder / "data-copy"), "data", None), Target(str(folder / "keys-copy"), "keys", None), now, quiet)


@asynccontextmanager
async def serving(folder: Path, held: Held) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The service in a process of its own, and its address. What it writes is in the folder `log`."""
    (folder / "log").mkdir()
    with (folder / "log/out").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.threats.serving_child", str(folder / "data"), str(folder / "store"),
            held.recorded.school_id, held.recorded.recording_id, held.clock.now().isoformat(), cwd=sandbox.ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
        )
        try:
            yield child, await said(child)
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()


async def said(child: asyncio.subprocess.Process) -> str:
    assert child.stdout
    line = (await child.stdout.readline()).decode().strip()
    assert line, "the service ended"
    return line


async def test_of_a_destroyed_recording_nothing_is_left_anywhere(tmp_path: Path, template: Path) -> None:
    """But what was played: that may lie in freed memory until it is used again (docs/what-can-be-got.md)."""
    canaries = Canaries()
    held = await hold(tmp_path, template, canaries)
    everything = {**canaries.of_the_key, **canaries.of_the_lesson}
    live, sealed = [tmp_path / name for name in ("data", "store", "log")], {"sealed": held.sealed}
    old_keys, old_data = set(files(str(tmp_path / "keys-copy"))), set(files(str(tmp_path / "data-copy/data/pieces")))
    async with serving(tmp_path, held) as (child, address), \
            httpx.AsyncClient(base_url=address, cookies={COOKIE: held.cookie}, timeout=60) as dsl:
        assert child.stdin
        answers = [await dsl.get(path) for path in held.watched]
        assert [found(answer.content, everything) for answer in answers] == [{"chat"}, {"sound"}, {"picture"}]
        # Negative control: the same searches find what is there while it is watched.
        assert in_memory(child.pid, everything) >= {"key", "key's beginning", "key's end", "chat"}
        assert in_files(tmp_path / "store", sealed) == {"sealed"}
        assert list((tmp_path / "data/keys").rglob(f"{held.recorded.recording_id}.*.key"))

        child.stdin.write(b"\n")
        assert await said(child) == "destroyed"
        assert in_memory(child.pid, canaries.of_the_key) == set()
        assert (await dsl.get(held.watched[1])).status_code == 404
        child.stdin.write(b"\n")
        assert await child.wait() == 0
    assert set().union(*(in_files(folder, {**everything, **sealed}) for folder in live)) == set()
    assert not [path for folder in live for path in files(str(folder)) if held.recorded.recording_id in str(path)]
    assert in_files(tmp_path, everything) == set(), "what the back-ups hold is encrypted"
    # As docs/backup.md says: copies of its key are in the back-ups for 7 days, of its data for longer.
    assert old_keys <= set(files(str(tmp_path / "keys-copy")))
    for later in (timedelta(days=6, hours=1), timedelta(days=7, hours=1)):  # after days of silence one run alone removes nothing
        back_up(tmp_path, held.clock.now() + later)
    assert not old_keys & set(files(str(tmp_path / "keys-copy")))
    assert old_data <= set(files(str(tmp_path / "data-copy/data/pieces")))
