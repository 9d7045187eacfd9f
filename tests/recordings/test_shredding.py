"""1,000 shredded recordings, 10,000 races of a hold against a shred, and rotation (goals G21, G22; policy: RE2, RE3, RE5).

`make test` runs a seeded sample, `make prove` the whole. What an attacker has after a week is said in the first test.
"""

import asyncio
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pyrage
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel import col, select

from recordings import keycopies
from recordings.ending import commands, destruction, rules
from recordings.ending.tables import Destruction, HoldStep
from recordings.keystore import KeyStore, Part
from recordings.vault import new_key
from service.people.step_up import Proof
from tests.proofs import with_session
from tests.recordings.ends import Kept, recordings, wanted
from tests.school import Running

pytestmark = pytest.mark.proof
FULL = os.environ.get("CHAPERONE_PROOF") == "full"
SHREDDED, RACES, ROTATED = (1000, 10_000, 10_000) if FULL else (40, 60, 300)
TODAY = date(2026, 11, 24)


class Attacker:
    """Holds every file of every copy, and tries each of them as a key for everything."""

    def __init__(self, identities: list[pyrage.x25519.Identity]):
        self.identities, self.copies = identities, list[Path]()

    def seize(self, keys: Path, to: Path) -> None:
        """A copy of a folder of keys, as a back-up or a thief makes it."""
        shutil.copytree(keys, to)
        self.copies.append(to)

    def found(self, part: Part) -> Iterator[bytes]:
        """Every key that any record with any bundle key of any copy, opened by any wrapping or recovery key, gives."""
        bundles, wraps = set[bytes](), set[bytes]()
        records = set[bytes]()
        for copy in self.copies:
            records |= {file.read_bytes() for file in copy.rglob(part.file)}
            bundles |= {_raw(file) for file in copy.rglob("bundle.key")}
            wraps |= {_raw(file) for file in copy.rglob("wrap/*.key")}
        stores = [KeyStore(copy / "school-1", "school-1") for copy in self.copies]
        for sealed in records:
            for record in self._records(stores[0], sealed, bundles, part):
                yield from self._keys(stores[0], record, wraps, part)

    def _records(self, store: KeyStore, sealed: bytes, bundles: set[bytes], part: Part) -> Iterator[dict]:
        places = (store._day(part.kept_until), store._hold(part.recording_id))
        for key in bundles:
            for place in places:
                context = store._context(b"chaperone-key-bundle/1", part, place)
                try:
                    yield json.loads(AESGCM(key).decrypt(sealed[:12], sealed[12:], context))
                except InvalidTag:
                    continue

    def _keys(self, store: KeyStore, record: dict, wraps: set[bytes], part: Part) -> Iterator[bytes]:
        wrapped = bytes.fromhex(record["wrapped"])
        for key in wraps:
            try:
                yield AESGCM(key).decrypt(wrapped[:12], wrapped[12:], store._context(b"chaperone-recording-key/2", part))
            except InvalidTag:
                continue
        for identity in self.identities:
            try:
                yield pyrage.decrypt(bytes.fromhex(record["recovery"]), [identity])
            except pyrage.DecryptError:
                continue


def _raw(file: Path) -> bytes:
    return file.read_bytes()[8:40]


def test_a_week_after_its_day_nothing_brings_a_shredded_recording_back(tmp_path: Path) -> None:
    """What the attacker has: every copy of the key store that may exist a week later (each of the last 7 days, and the live
    one), the wrapping keys in them, the private half of every recovery key, and whatever the database says (it has no key at
    all: `test_the_database_has_no_key`). What they have not: a copy from before the day was destroyed, which is older than
    7 days by then. The control shows that such a copy gives everything back."""
    identities = [pyrage.x25519.Identity.generate() for _ in range(2)]
    recipients = [str(each.to_public()) for each in identities]
    store, rng = KeyStore(tmp_path / "keys" / "school-1", "school-1"), random.Random(7)
    made = [(Part(f"{n:032x}", 1, TODAY), bytes(new_key())) for n in range(SHREDDED)]
    later = [(Part(f"f{n:031x}", 1, TODAY + timedelta(days=rng.randrange(1, 60))), bytes(new_key())) for n in range(20)]
    for part, key in [*made, *later]:
        store.put(part, key, recipients)
    before, after = Attacker(identities), Attacker(identities)
    before.seize(tmp_path / "keys", tmp_path / "before")
    store.hold(made[0][0].recording_id, TODAY)
    store.release(made[0][0].recording_id, TODAY)
    store.rotate(recipients)
    store.destroy_day(TODAY)
    for day in range(8):
        after.seize(tmp_path / "keys", tmp_path / f"day-{day}")
        if day == 3:
            store.rotate(recipients)
    assert [part.recording_id for part, key in made if key in set(after.found(part))] == []
    assert all(key in set(after.found(part)) for part, key in later), "negative control: what is kept opens"
    assert all(key in set(before.found(part)) for part, key in made[:40]), "negative control: a copy from before would"


def test_an_early_erasure_is_gone_a_week_later_too(tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    store = KeyStore(tmp_path / "keys" / "school-1", "school-1")
    gone, stays = (Part("a" * 32, 1, TODAY), bytes(new_key())), (Part("b" * 32, 1, TODAY), bytes(new_key()))
    for part, key in (gone, stays):
        store.put(part, key, [str(identity.to_public())])
    store.destroy(gone[0].recording_id, TODAY)
    after = Attacker([identity])
    after.seize(tmp_path / "keys", tmp_path / "after")
    assert gone[1] not in set(after.found(gone[0]))
    assert stays[1] in set(after.found(stays[0])), "negative control: the same day's other recording is there"


async def test_the_database_has_no_key(school: Running) -> None:
    """Neither in clear nor wrapped: no bytes of a record of the key store are in the database, its log or its free pages."""
    [kept] = await recordings(school, 1)
    store = school.app.state.vault.key_store(next(school.app.state.keys.glob("*/days")).parent.name)
    record = store._read(kept.part)
    folder = school.app.state.settings.data
    data = b"".join(path.read_bytes() for path in (folder / f"chaperone.sqlite3{end}" for end in ("", "-wal")))
    assert kept.id.encode() in data, "negative control: the search finds what is there"
    for secret in (kept.key, kept.key.hex().encode(), bytes.fromhex(record.wrapped), record.wrapped.encode()):
        assert secret not in data
    with sqlite3.connect(folder / "chaperone.sqlite3") as database:
        assert "wrapped" not in [row[1] for row in database.execute("PRAGMA table_info(recording_key)")]


async def test_of_a_hold_and_a_shred_in_the_same_second_one_wins_and_says_so(
    school: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten are asked for while the shred begins somewhere between them: each ends as held with its key, or refused and gone."""
    async def proved(*_: object) -> str:
        return "proved"

    monkeypatch.setattr(commands.step_up, "confirmed", proved)  # proving takes half a second each; it is tested elsewhere
    who, rng, held, shredded = await with_session(school, "dsl"), random.Random(11), 0, 0
    state = school.app.state
    turn = school.database._turn
    assert turn

    async def ask(kept: Kept) -> bool:
        try:
            async with school.database.writing() as session:
                await commands.ask(session, who, kept.lesson_id, wanted(school), vault=state.vault, proof=Proof("x"),
                                   now=school.clock.now())
        except rules.BeingDestroyed:
            return False
        return True

    async def shred() -> int:
        await destruction._begin_due(state.database, state.vault, who.school_id, school.clock.now())
        return await destruction.finish(state.database, state.vault, state.clock, who.school_id)

    async def waiting(count: int) -> None:
        while len(turn._waiting) < count:  # noqa: ASYNC110 - a queue has no event to wait for
            await asyncio.sleep(0)

    for _ in range(RACES // 10):
        batch, first = await recordings(school, 10, days_left=-1), rng.randrange(11)
        async with school.database.writing(), asyncio.timeout(60):  # everybody queues behind this, in the order of the seed
            asked = [asyncio.create_task(ask(kept)) for kept in batch[:first]]
            await waiting(first)
            shredding = asyncio.create_task(shred())
            await waiting(first + 1)
            asked += [asyncio.create_task(ask(kept)) for kept in batch[first:]]
            await waiting(11)
        won, done = await asyncio.gather(*asked), await shredding
        async with school.database.reading() as session:
            gone, steps = [set((await session.exec(select(table.recording_id).where(
                col(table.recording_id).in_([kept.id for kept in batch])))).all()) for table in (Destruction, HoldStep)]
        store = state.vault.key_store(who.school_id)
        for kept, is_held in zip(batch, won, strict=True):
            assert (store.has(kept.part), kept.id in gone, kept.id in steps) == (is_held, not is_held, is_held)
        held, shredded = held + sum(won), shredded + done
    assert held + shredded == RACES // 10 * 10
    assert min(held, shredded) > RACES // 10, "negative control: both have won"


async def test_a_shred_that_does_not_ask_loses_a_hold(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the question whether it is held, the race is noticed."""
    async def proved(*_: object) -> str:
        return "proved"

    monkeypatch.setattr(commands.step_up, "confirmed", proved)
    [kept] = await recordings(school, 1)
    who, state = await with_session(school, "dsl"), school.app.state
    async with school.database.writing() as session:
        await commands.ask(session, who, kept.lesson_id, wanted(school), vault=state.vault, proof=Proof("x"),
                           now=school.clock.now())
    monkeypatch.setattr(rules, "in_force", lambda steps, now: False)
    school.clock.set(school.clock.now() + timedelta(days=4))
    await destruction.reconcile(state.database, state.vault, state.clock)
    assert not state.vault.key_store(who.school_id).has(kept.part)


def test_rotating_the_school_s_key_rewraps_every_key_and_touches_no_recording(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys" / "school-1", "school-1")
    identity = str(pyrage.x25519.Identity.generate().to_public())
    store.put(Part("0" * 32, 1, TODAY), new_key(), [identity])
    sealed = {}
    for n in range(ROTATED):
        part, key = Part(f"{n:032x}", 1, TODAY + timedelta(days=n % 60)), new_key()
        bundle = store._day(part.kept_until)
        store._write(bundle, part, store._record(part, key, [identity] if n < 200 else []), sync=False)
        sealed[part] = key
    assert store.rotate([identity]) == ROTATED
    assert all(store.open(part) == sealed[part] for part in random.Random(3).sample(sorted(sealed, key=str), 100))


def test_a_copy_may_be_kept_for_seven_days() -> None:
    assert timedelta(days=7) == keycopies.KEPT
