"""Shredded recordings, and somebody with every back-up, both private keys and all the keys of that week (security: G21).

`make test` runs a sample, `make prove` 1,000. policy: RE2, AC6
"""

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyrage
import pytest

from recordings import durable
from recordings.commands import Begun
from recordings.ending import destruction
from recordings.format import ChunkDamaged
from recordings.keystore import Part
from recordings.reader import Recording
from recordings.tables import Recording as Row
from service.backup import states
from tests.recordings.test_shredding import Attacker
from tests.school import Running
from tests.storage import recorded
from tests.storage.backups import Places, in_folders

SHREDDED = 1000 if os.environ.get("CHAPERONE_PROOF") == "full" else 12
CONTROLS = 5
DAY = timedelta(days=1).total_seconds()


async def record(school: Running, count: int) -> list[Begun]:
    found = [await recorded.sealed(school.app.state, f"lesson-{school.clock.now():%j}-{number}", (400,) * 3)
             for number in range(count)]
    store = school.app.state.vault.key_store(found[0].header.school_id)
    await asyncio.to_thread(store.rewrap, [str(DSL.to_public())])
    return found


DSL = pyrage.x25519.Identity.generate()
"""The private half of the recovery key that lies in the DSL's safe."""


async def part_of(school: Running, begun: Begun) -> Part:
    async with school.database.reading() as session:
        row = await session.get_one(Row, begun.header.recording_id)
    return Part(row.id, 1, row.kept_until)


class Burglar(Attacker):
    """Has the places of the back-ups, the private keys, and the live folder of keys; opens every state that lies there."""

    def __init__(self, school: Running, places: Places, folder: Path):
        super().__init__([DSL, places.identity])
        self.places, self.folder = places, folder
        folder.mkdir()
        self.seize(school.app.state.keys, folder / "live")

    def open_keys(self, place: str) -> None:
        """Every copy of the keys, as it was made: nobody replays a shred list for a burglar."""
        target = Places(self.places.data_at, place, identity=self.places.identity).keys
        for name in states.names(target):
            box, state = states.read(target, name, None, self.identities)
            body = b"".join(block for file in state.files for block in states.fetch(target, box, file))
            for path, words in json.loads(body).items():
                durable.write(self.folder / f"{name}-{Path(place).name}" / path, bytes.fromhex(words), sync=False)
            self.copies.append(self.folder / f"{name}-{Path(place).name}")

    def data(self) -> dict[str, Path]:
        """Every recording that any state of the data has, by its id."""
        found = {}
        for name in states.names(self.places.data):
            box, state = states.read(self.places.data, name, None, self.identities)
            for file in state.recordings:
                path = self.folder / file.name.replace("/", "-")
                if not path.exists():
                    path.write_bytes(b"".join(states.fetch(self.places.data, box, file)))
                found[file.name.split("/")[1]] = path
        return found

    def plays(self, path: Path, part: Part) -> bool:
        """Whether any key that can be had decrypts a single piece of it."""
        return any(_plays(path, key) for key in {*self.found(part), *self._everything_else()})

    def _everything_else(self) -> Iterator[bytes]:
        """Whatever is as long as a key, in case that one was kept where it should not be."""
        for copy in self.copies:
            yield from {file.read_bytes()[8:40] for file in copy.rglob("*.key") if file.stat().st_size == 48}


def _plays(path: Path, key: bytes) -> bool:
    try:
        with Recording(path, key) as opened:
            return any(opened.cluster(track, 0) for track in opened.tracks)
    except ChunkDamaged:
        return False


@pytest.mark.proof
async def test_with_every_back_up_of_a_week_later_and_all_private_keys_nothing_shredded_plays(
    school: Running, tmp_path: Path
) -> None:
    places, state = in_folders(tmp_path), school.app.state
    shredded = await record(school, SHREDDED)
    parts = {begun.header.recording_id: await part_of(school, begun) for begun in shredded}
    last_day = next(iter(parts.values())).kept_until
    school.clock.advance((last_day - school.clock.now().date()).days * DAY)
    kept = await record(school, CONTROLS)
    await asyncio.to_thread(places.save, school)
    shutil.copytree(places.keys_at, tmp_path / "too-old")
    school.clock.advance(DAY)
    await destruction.reconcile(school.database, state.vault, state.clock)
    store = state.vault.key_store(shredded[0].header.school_id)
    assert not any(store.has(part) for part in parts.values())
    for _ in range(8):
        await asyncio.to_thread(places.save, school)
        school.clock.advance(DAY)
    burglar = Burglar(school, places, tmp_path / "burglar")
    await asyncio.to_thread(burglar.open_keys, places.keys_at)
    data = await asyncio.to_thread(burglar.data)
    assert data.keys() >= parts.keys(), "the encrypted recordings are all there, in an old back-up"
    assert len(burglar.copies) == 9, "the live keys, and a copy of each of the last days"
    assert [id for id, part in parts.items() if burglar.plays(data[id], part)] == []
    for begun in kept:
        assert burglar.plays(data[begun.header.recording_id], await part_of(school, begun)), "negative control: what stays plays"
    await asyncio.to_thread(burglar.open_keys, str(tmp_path / "too-old"))
    assert all(burglar.plays(data[id], parts[id]) for id in list(parts)[:CONTROLS]), "negative control: older keys would do it"
