"""Recordings on an S3-compatible server: the disk first, the store after, and no moment in which a part is nowhere.

policy: RL4, RE2, CO4
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import obstore
import pytest

from recordings import proof, reader
from recordings.review import PIECE
from recordings.storage import UPLOAD_PIECE, LocalBytes, Place, StoredBytes
from service.backup import rules, states
from service.backup.target import TargetSilent
from service.foundation.settings import Settings
from service.foundation.stores import StoreSilent, s3
from tests.proofs import confirmed_post
from tests.recordings.lesson import record_lesson
from tests.school import Running, running
from tests.storage import recorded
from tests.storage.backups import Places, in_folders
from tests.storage.s3 import Wire, access_file, wire

BIG = (1 << 20,) * 12
"""Twelve seconds of a mebibyte: more than one object in the store."""


@pytest.fixture
def cable(s3_port: int) -> Iterator[Wire]:
    with wire(s3_port) as found:
        yield found


@pytest.fixture
async def stored(tmp_path: Path, template: Path, cable: Wire) -> AsyncIterator[Running]:
    """A school whose recordings go to the S3 server, by a wire that the test can cut."""
    settings = {"recordings": f"s3://school/{tmp_path.name}", "s3_access_file": access_file(tmp_path, cable.port)}
    async with running(tmp_path / "data", template=template, **settings) as started:
        yield started


def names(school: Running) -> set[str]:
    return {each["path"] for page in obstore.list(school.app.state.vault.storage.store) for each in page}


def in_store(school: Running, recording_id: str) -> bytes:
    """What the store holds of the first part, in order."""
    store = school.app.state.vault.storage.store
    return b"".join(bytes(obstore.get(store, name).bytes()) for name in sorted(names(school)) if name.startswith(recording_id))


async def faults(school: Running) -> list[str]:
    async with school.database.reading() as session:
        return await proof.verify(session, school.app.state.vault)


async def test_a_sealed_recording_moves_to_the_store_and_is_watched_there(stored: Running) -> None:
    lesson = await record_lesson(stored)
    before = lesson.begun.path.read_bytes()
    assert await stored.app.state.mover.move_sealed() == 1
    assert not lesson.begun.path.exists()
    assert in_store(stored, lesson.recording_id) == before
    assert await faults(stored) == []
    async with await stored.signed_in("dsl") as dsl:
        granted = await confirmed_post(stored, dsl, stored.person("dsl"), lesson.page, {"why": "flag", "concern": ""})
        at = granted.headers["location"]
        page, tracks = await dsl.get(at), await dsl.get(f"{at}/tracks")
        pieces = await dsl.get(f"{at}/pieces?of=1.1.0&at=0&until=9000")
    assert "Is it &lt;b&gt;half&lt;/b&gt;?" in page.text
    assert len(tracks.json()["tracks"]) == 3
    assert pieces.content[PIECE.size :].startswith(b"\x1f\x43\xb6\x75")


async def test_what_is_in_the_store_is_named_by_opaque_ids_and_reads_as_nothing(stored: Running) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1", notes=[{"kind": "chat", "at_ms": 1, "body": {"text": "canary"}}])
    await stored.app.state.mover.move_sealed()
    assert names(stored) == {f"{begun.header.recording_id}/1.rec/000000000000"}
    assert b"canary" not in in_store(stored, begun.header.recording_id)
    with reader.Recording(stored.app.state.vault.place(begun.header.recording_id, 1), begun.key) as opened:
        assert opened.notes()[0].body == {"text": "canary"}, "negative control: it is there for whoever has the key"


async def test_a_part_that_is_still_recorded_stays_on_the_disk(stored: Running) -> None:
    begun = await recorded.begin(stored.app.state, "lesson-1")
    recorded.write(begun, (1000,) * 3)
    assert await stored.app.state.mover.move_sealed() == 0
    assert begun.path.exists()
    assert names(stored) == set()


async def test_an_upload_whose_connection_breaks_goes_on_where_it_was(stored: Running, cable: Wire) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1", BIG)
    before = begun.path.read_bytes()
    cable.cut_after = 10 << 20
    assert await stored.app.state.mover.move_sealed() == 0
    assert stored.app.state.mover.is_silent
    assert begun.path.read_bytes() == before
    assert await faults(stored) == [], "whoever looks sees the whole recording in the folder, and not half of one in the store"
    cable.cut_after = None
    assert len(in_store(stored, begun.header.recording_id)) == UPLOAD_PIECE, "the first piece came, the second did not"
    cable.passed = 0
    assert await stored.app.state.mover.move_sealed() == 1
    assert cable.passed < len(before) - UPLOAD_PIECE + 100_000, "the first was not sent again"
    assert not stored.app.state.mover.is_silent
    assert not begun.path.exists()
    assert in_store(stored, begun.header.recording_id) == before
    assert await faults(stored) == []


async def test_what_broke_off_in_the_store_and_is_not_ours_is_never_taken_for_the_recording(stored: Running, cable: Wire) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1", BIG)
    store, first = stored.app.state.vault.storage.store, f"{begun.header.recording_id}/1.rec/000000000000"
    obstore.put(store, first, bytes(UPLOAD_PIECE), use_multipart=False)
    assert await stored.app.state.mover.move_sealed() == 0
    assert begun.path.exists()
    assert stored.app.state.mover.refused == {(begun.header.recording_id, 1)}


async def test_what_an_earlier_version_stored_as_one_object_is_read_moved_and_deleted(stored: Running) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1", BIG)
    before, vault, recording_id = begun.path.read_bytes(), stored.app.state.vault, begun.header.recording_id
    obstore.put(vault.storage.store, f"{recording_id}/1.rec", before)
    assert await stored.app.state.mover.move_sealed() == 1
    assert names(stored) == {f"{recording_id}/1.rec"}
    with reader.PartFile(vault.place(recording_id, 1)) as opened:
        assert opened.read(0, opened.size) == before
    await vault.storage.delete(recording_id, 1)
    assert names(stored) == set()


async def test_a_part_is_read_across_the_objects_that_it_is(stored: Running) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1", BIG)
    before = begun.path.read_bytes()
    await stored.app.state.mover.move_sealed()
    there = stored.app.state.vault.place(begun.header.recording_id, 1).open()
    assert isinstance(there, StoredBytes)
    edge, end = UPLOAD_PIECE, len(before)
    spans = [(0, 10), (edge - 5, 10), (edge, 10), (edge - 5, edge), (0, end), (end - 5, 5), (edge + 7, 0)]
    assert there.size == end
    assert there.read_all(spans) == [before[offset:offset + count] for offset, count in spans]
    assert [there.read(*span) for span in [*spans, (end - 5, 50), (end, 5)]] == [
        before[offset:offset + count] for offset, count in [*spans, (end - 5, 50), (end, 5)]]
    there.close()


async def test_a_store_that_is_down_is_told_in_plain_words_and_the_recording_is_not_lost(stored: Running, cable: Wire) -> None:
    lesson = await record_lesson(stored)
    await stored.app.state.mover.move_sealed()
    cable.cut_after = 0
    async with await stored.signed_in("dsl") as dsl:
        answer = await dsl.post(lesson.page, data={"why": "flag", "concern": ""})
    assert answer.status_code == 503
    assert "does not answer. Nothing is lost." in answer.text
    assert "not checked" in (await faults(stored))[0]
    cable.cut_after = None
    assert await faults(stored) == []


async def test_what_the_store_gives_back_changed_never_costs_the_file_on_the_disk(
    stored: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1")
    store = stored.app.state.vault.storage.store
    damaged = bytearray(begun.path.read_bytes())
    damaged[-5000] ^= 1
    obstore.put(store, f"{begun.header.recording_id}/1.rec", bytes(damaged))
    assert await stored.app.state.mover.move_sealed() == 0
    assert begun.path.exists()
    assert stored.app.state.mover.refused == {(begun.header.recording_id, 1)}


async def test_deleting_reaches_the_store_as_well_as_the_disk(stored: Running, cable: Wire) -> None:
    kept, gone, still_here = [await recorded.sealed(stored.app.state, f"lesson-{number}") for number in range(3)]
    gone_id = gone.header.recording_id
    await stored.app.state.vault.storage.delete(still_here.header.recording_id, 1)
    await stored.app.state.mover.move_sealed()
    cable.cut_after = 0
    with pytest.raises(StoreSilent):
        await stored.app.state.vault.storage.delete(gone_id, 1)
    cable.cut_after = None
    for _ in range(2):  # it is safe to repeat
        await stored.app.state.vault.storage.delete(gone_id, 1)
    assert names(stored) == {f"{kept.header.recording_id}/1.rec/000000000000"}
    assert not still_here.path.exists()


MOVES_ALONE = """
import asyncio, sys
from pathlib import Path
from recordings.moving import Mover
from recordings.storage import Storage, storage_of
from recordings.vault import Vault
from service.foundation import audit
from service.foundation.bus import Subscribers
from service.foundation.clock import SystemClock
from service.foundation.db import Database
from service.foundation.settings import Settings

async def main(data, recordings, access, stage):
    settings = Settings(data=Path(data), recordings=recordings, s3_access_file=Path(access))
    info = {"clock": SystemClock(), "subscribers": Subscribers(), "outbox": asyncio.Event(),
            "signing_key": audit.signing_key(settings.data / "keys")}
    mover = Mover(Database(settings.url, info), Vault(settings.data, storage_of(settings)))
    step = getattr(Storage, stage)
    async def reached(*given):
        if stage == "release":
            print("here", flush=True)
            await asyncio.sleep(600)
        found = await step(*given)
        print("here", flush=True)
        await asyncio.sleep(600)
        return found
    setattr(Storage, stage, reached)
    await mover.move_sealed()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("stage", ["upload", "release"])
async def test_a_service_that_is_killed_while_a_part_moves_leaves_it_in_one_place_at_least(
    stage: str, stored: Running, tmp_path: Path, cable: Wire
) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1")
    before = begun.path.read_bytes()
    settings: Settings = stored.app.state.settings
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MOVES_ALONE, settings.data, settings.recordings, access_file(tmp_path / "direct", cable.to), stage,
        stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    assert await child.stdout.readline() == b"here\n"
    child.kill()
    await child.wait()
    assert begun.path.read_bytes() == before
    assert await faults(stored) == []
    assert await stored.app.state.mover.move_sealed() == 1
    assert not begun.path.exists()
    assert await faults(stored) == []


async def test_a_part_that_moves_while_somebody_opens_it_is_found(stored: Running) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1")
    place: Place = stored.app.state.vault.place(begun.header.recording_id, 1)
    with reader.PartFile(place) as before:
        assert isinstance(before._bytes, LocalBytes)
        await stored.app.state.mover.move_sealed()
        with reader.PartFile(place) as after:
            assert after.read(0, after.size) == before.read(0, before.size)


@pytest.mark.parametrize(("change", "words"), [
    (lambda text: text.replace("http://127.0.0.1", "http://192.0.2.1"), "must begin with https"),
    (lambda text: text.replace("aws_secret_access_key", "aws_secret"), "has no aws_secret_access_key"),
    (lambda text: "endpoint", "cannot be read"),
])
def test_access_that_cannot_work_or_is_not_private_is_refused_at_the_start(tmp_path: Path, change: object, words: str) -> None:
    path = access_file(tmp_path, 1)
    s3("s3://school/folder", path)
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    with pytest.raises(Exception, match=words):
        s3("s3://school/folder", path)
    path.chmod(0o644)
    with pytest.raises(Exception, match="chmod 600"):
        s3("s3://school/folder", path)


async def test_a_back_up_whose_connection_breaks_goes_on_where_it_was(school: Running, cable: Wire, tmp_path: Path) -> None:
    for number in range(2):
        await recorded.sealed(school.app.state, f"lesson-{number}", BIG)
    places = Places(f"s3://school/{tmp_path.name}", f"s3://school/{tmp_path.name}-keys", access_file(tmp_path, cable.port))
    cable.cut_after = 22 << 20
    with pytest.raises(TargetSilent):
        await asyncio.to_thread(places.save, school)
    sent, cable.cut_after, cable.passed = cable.passed, None, 0
    made = await asyncio.to_thread(places.save, school)
    assert made.recordings == 2
    assert cable.passed < (24 << 20) - sent + UPLOAD_PIECE + (3 << 20), "what was there was not sent again"
    assert await places.tried(tmp_path / "tried", school.clock) == []


async def test_a_recording_in_the_store_is_in_the_back_up_as_well(stored: Running, tmp_path: Path) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1")
    before = begun.path.read_bytes()
    await stored.app.state.mover.move_sealed()
    places = in_folders(tmp_path)
    await asyncio.to_thread(places.save, stored)
    assert await places.put_back(tmp_path / "new", stored.clock) == 0
    assert (tmp_path / "new/recordings" / begun.header.recording_id / "1.rec").read_bytes() == before


async def test_no_copy_of_keys_grows_old_while_the_recordings_cannot_be_read(
    stored: Running, cable: Wire, tmp_path: Path
) -> None:
    """The store of the recordings is silent for a week and more. What was destroyed meanwhile opens from no copy of the keys."""
    begun = await recorded.sealed(stored.app.state, "lesson-1")
    await stored.app.state.mover.move_sealed()
    places = in_folders(tmp_path / "copies")
    whole = await asyncio.to_thread(places.save, stored)
    later = await recorded.sealed(stored.app.state, "lesson-2")
    await stored.app.state.mover.move_sealed()
    cable.cut_after = 0
    for _ in range(8):
        stored.clock.advance(86400)
        with pytest.raises(StoreSilent):
            await asyncio.to_thread(places.save, stored)
        made = [rules.made_at(name) for name in states.names(places.keys)]
        assert all(at is not None and stored.clock.now() - at <= rules.KEYS_KEPT for at in made)
    assert states.names(places.data) == [whole.data_id], "of the data nothing was made, and nothing was removed"
    async with places.restored(tmp_path / "new", stored.clock) as again:
        assert await faults(again) == []
        assert again.app.state.vault.path(begun.header.recording_id, 1).exists()
        assert not again.app.state.vault.path(later.header.recording_id, 1).exists(), "negative control: it came after"
