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
from recordings.storage import LocalBytes, Place
from service.foundation.settings import Settings
from service.foundation.stores import StoreSilent, s3
from tests.proofs import confirmed_post
from tests.recordings.lesson import record_lesson
from tests.school import Running, running
from tests.storage import recorded
from tests.storage.backups import in_folders
from tests.storage.s3 import Wire, access_file, wire

BIG = (1 << 20,) * 12
"""Twelve seconds of a mebibyte: more than one piece of a multipart upload."""


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


async def faults(school: Running) -> list[str]:
    async with school.database.reading() as session:
        return await proof.verify(session, school.app.state.vault)


async def test_a_sealed_recording_moves_to_the_store_and_is_watched_there(stored: Running) -> None:
    lesson = await record_lesson(stored)
    before = lesson.begun.path.read_bytes()
    assert await stored.app.state.mover.move_sealed() == 1
    assert not lesson.begun.path.exists()
    name = f"{lesson.recording_id}/1.rec"
    assert bytes(obstore.get(stored.app.state.vault.storage.store, name).bytes()) == before
    assert await faults(stored) == []
    async with await stored.signed_in("dsl") as dsl:
        granted = await confirmed_post(stored, dsl, stored.person("dsl"), lesson.page, {"why": "flag", "concern": ""})
        at = granted.headers["location"]
        page, tracks = await dsl.get(at), await dsl.get(f"{at}/tracks")
        pieces = await dsl.get(f"{at}/pieces?of=1.1.0&at=0&until=9000")
    assert "Shouting behind Ali" in page.text
    assert len(tracks.json()["tracks"]) == 3
    assert pieces.content[PIECE.size :].startswith(b"\x1f\x43\xb6\x75")


async def test_what_is_in_the_store_is_named_by_opaque_ids_and_reads_as_nothing(stored: Running) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1", notes=[{"kind": "chat", "at_ms": 1, "body": {"text": "canary"}}])
    await stored.app.state.mover.move_sealed()
    assert names(stored) == {f"{begun.header.recording_id}/1.rec"}
    held = bytes(obstore.get(stored.app.state.vault.storage.store, f"{begun.header.recording_id}/1.rec").bytes())
    assert b"canary" not in held
    with reader.Recording(stored.app.state.vault.place(begun.header.recording_id, 1), begun.key) as opened:
        assert opened.notes()[0].body == {"text": "canary"}, "negative control: it is there for whoever has the key"


async def test_a_part_that_is_still_recorded_stays_on_the_disk(stored: Running) -> None:
    begun = await recorded.begin(stored.app.state, "lesson-1")
    recorded.write(begun, (1000,) * 3)
    assert await stored.app.state.mover.move_sealed() == 0
    assert begun.path.exists()
    assert names(stored) == set()


async def test_a_connection_that_breaks_in_mid_upload_loses_nothing(stored: Running, cable: Wire) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1", BIG)
    before = begun.path.read_bytes()
    cable.cut_after = 9 << 20
    assert await stored.app.state.mover.move_sealed() == 0
    assert cable.passed > 9 << 20, "the connection broke in the middle, not before"
    assert stored.app.state.mover.is_silent
    assert begun.path.read_bytes() == before
    cable.cut_after = None
    assert names(stored) == set(), "nobody sees half a recording"
    assert await stored.app.state.mover.move_sealed() == 1
    assert not stored.app.state.mover.is_silent
    assert not begun.path.exists()
    assert bytes(obstore.get(stored.app.state.vault.storage.store, f"{begun.header.recording_id}/1.rec").bytes()) == before
    assert await faults(stored) == []


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
    assert names(stored) == {f"{kept.header.recording_id}/1.rec"}
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


async def test_a_recording_in_the_store_is_in_the_back_up_as_well(stored: Running, tmp_path: Path) -> None:
    begun = await recorded.sealed(stored.app.state, "lesson-1")
    before = begun.path.read_bytes()
    await stored.app.state.mover.move_sealed()
    places = in_folders(tmp_path)
    await asyncio.to_thread(places.save, stored)
    assert await places.put_back(tmp_path / "new", stored.clock) == 0
    assert (tmp_path / "new/recordings" / begun.header.recording_id / "1.rec").read_bytes() == before
