"""The school's wrapping key is lost: a back-up and a recovery key that two people agreed to give every recording back.

policy: AC4, AC6, RE2
"""

import asyncio
import json
import shutil
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pyrage
import pytest
from sqlmodel import col, select

from recordings import durable, keycopies, proof
from recordings.commands import Begun
from recordings.ending import recovery
from recordings.ending.tables import RecoveryRecipient
from recordings.keystore import KeyMissing, Part, StillNeeded, WrappingKeyLost
from recordings.tables import Recording
from recordings.vault import Vault
from service.__main__ import main
from service.backup import recovering
from service.backup.box import WrongKey
from service.foundation.audit import AuditBody, AuditLeaf
from tests.features.test_recordings import addresses, view
from tests.proofs import confirmed_post
from tests.recordings.lesson import record_lesson
from tests.recordings.test_preparation import destroy
from tests.school import Running, running
from tests.storage import recorded
from tests.storage.backups import Places, in_folders


class Safe:
    """The private half of a recovery key, and the back-ups of a school that lost its wrapping key."""

    def __init__(self, school: Running, places: Places, folder: Path):
        self.school, self.places, self.folder = school, places, folder
        self.identity, self.recipient = pyrage.x25519.Identity.generate(), ""

    async def agreed(self, *, ended: bool = False) -> None:
        now = self.school.clock.now()
        async with self.school.database.writing() as session:
            row = RecoveryRecipient(
                school_id=await self.school._school(session), name="The safe", public_key=str(self.identity.to_public()),
                asked_by=self.school.person("technician"), asked_at=now)
            session.add(row)
            await session.flush()
            row.decided_by, row.decided_at, row.agreed, row.applied = self.school.person("dsl"), now, True, False
            await session.flush()
            row.ended_at = now if ended else None
            self.recipient = row.id
        await recovery.apply(self.school.database, self.school.app.state.vault)

    async def back_up(self) -> None:
        await asyncio.to_thread(self.places.save, self.school)

    async def lose_the_wrapping_key(self) -> None:
        shutil.rmtree(next(self.school.app.state.keys.glob("*/wrap")))
        await self.back_up()

    async def make_another_wrapping_key(self, way: str = "the page Keys") -> None:
        """So that lessons open again, with nothing yet of what was recorded before."""
        [folder] = self.school.app.state.keys.glob("*/days")
        if way == "an earlier version":  # it made one by itself, under the number of the one that was lost
            durable.create_key(folder.parent / "wrap/1.key")
        else:
            with pytest.raises(StillNeeded):
                self.school.app.state.vault.key_store(folder.parent.name).rotate()

    async def recover(self, *only: str, identity: pyrage.x25519.Identity | None = None) -> list[recovering.Recovered]:
        """Into the folder `new-keys`."""
        return await recovering.recover(self.places.opened(), self.school.database, self.school.app.state.keys,
                                        identity or self.identity, self.folder / "new-keys", only)

    def vault(self) -> Vault:
        """The school's recordings with the recovered keys."""
        return Vault(self.school.app.state.settings.data, keys=self.folder / "new-keys")

    async def key(self, begun: Begun) -> bytearray:
        async with self.school.database.reading() as session:
            row = await session.get_one(Recording, begun.header.recording_id)
        return self.vault().open(row.school_id, row.id, 1, row.kept_until)

    async def second(self) -> Begun:
        """Another lesson's recording."""
        return await recorded.sealed(self.school.app.state, "lesson-2")

    async def faults(self) -> list[str]:
        async with self.school.database.reading() as session:
            return await proof.verify(session, self.vault())


@pytest.fixture
def safe(school: Running, tmp_path: Path) -> Safe:
    return Safe(school, in_folders(tmp_path), tmp_path)


async def test_every_recording_plays_again_with_the_recovered_keys(safe: Safe, school: Running) -> None:
    await safe.agreed()
    lesson = await record_lesson(school)
    await safe.lose_the_wrapping_key()
    async with school.database.reading() as session:
        assert "its key cannot be read" in (await proof.verify(session, school.app.state.vault))[0], "negative control"
    [found] = await safe.recover()
    assert (found.recipient_id, found.records, found.missing) == (safe.recipient, 1, ())
    assert await safe.faults() == []
    there = safe.folder / "again"
    there.mkdir()
    (there / "recordings").symlink_to(school.app.state.settings.data / "recordings")
    async with running(there, clock=school.clock, database_url=school.app.state.settings.url,
                       keys_folder=safe.folder / "new-keys") as again, await again.signed_in("dsl") as dsl:
        media = await dsl.get(addresses(await view(again, dsl, lesson))[2])
        assert media.status_code == 200
        assert b"\x1a\x45\xdf\xa3" in media.content


async def test_the_audit_says_whose_key_was_used_on_which_back_up_and_how_much_it_opened(safe: Safe, school: Running) -> None:
    await safe.agreed()
    await record_lesson(school)
    await safe.lose_the_wrapping_key()
    await safe.recover()
    async with school.database.reading() as session:
        bodies = (await session.exec(select(AuditBody.body).join(AuditLeaf, col(AuditLeaf.seq) == AuditBody.seq)
                                     .where(AuditLeaf.kind == "RecoveryKeyUsed"))).all()
    said = json.loads(bodies[0])
    assert said == said | {"recipient_id": safe.recipient, "records": 1, "missing": 0,
                           "state_id": safe.places.opened().key_state.id}


async def test_without_an_entry_in_the_audit_there_are_no_keys(
    safe: Safe, school: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise LookupError

    await safe.agreed()
    await record_lesson(school)
    await safe.lose_the_wrapping_key()
    monkeypatch.setattr(recovering, "publish", fails)
    with pytest.raises(LookupError):
        await safe.recover()
    assert not list(safe.folder.glob("new-keys*"))


@pytest.mark.parametrize("who", ["nobody asked", "ended"])
async def test_a_key_that_two_people_do_not_stand_by_opens_nothing(who: str, safe: Safe, school: Running) -> None:
    lesson = await record_lesson(school)
    if who == "ended":
        await safe.agreed(ended=True)
    # Even where the records are encrypted to it.
    school.app.state.vault.key_store(lesson.school_id).rewrap([str(safe.identity.to_public())])
    await safe.lose_the_wrapping_key()
    with pytest.raises(recovering.NotAgreed):
        await safe.recover()
    assert not list(safe.folder.glob("new-keys*"))


async def test_the_back_up_s_own_key_is_needed_too(safe: Safe, school: Running) -> None:
    await safe.agreed()
    await record_lesson(school)
    await safe.lose_the_wrapping_key()
    with pytest.raises(WrongKey):
        safe.places.opened(identity=safe.identity)


async def test_only_the_named_recording_s_key_is_recovered(safe: Safe, school: Running) -> None:
    await safe.agreed()
    lesson, other = await record_lesson(school), await safe.second()
    await safe.lose_the_wrapping_key()
    [found] = await safe.recover(lesson.recording_id)
    assert (found.records, found.missing) == (1, ())
    assert await safe.key(lesson.begun) == lesson.begun.key
    with pytest.raises(KeyMissing):
        await safe.key(other)


@pytest.mark.parametrize("is_destroyed", [False, True], ids=["mistyped", "destroyed"])
async def test_an_id_that_is_no_recording_is_refused_and_leaves_no_folder(
    is_destroyed: bool, safe: Safe, school: Running
) -> None:
    await safe.agreed()
    lesson, gone = await record_lesson(school), "no-such-id"
    await safe.lose_the_wrapping_key()
    if is_destroyed:
        await destroy(school, lesson)
        gone = lesson.recording_id
    with pytest.raises(recovering.NoSuchRecording, match=gone):
        await safe.recover(gone)
    assert not list(safe.folder.glob("new-keys*"))


async def test_no_key_of_a_school_that_did_not_agree_is_handed_out(safe: Safe, school: Running) -> None:
    """Its wrapping key is whole, and would open all of it."""
    await safe.agreed()
    await record_lesson(school)
    other = school.app.state.vault.key_store("another-school")
    other.put(Part("theirs", 1, school.clock.now().date()), b"k" * 32)
    school.app.state.vault.keys("another-school")
    await safe.back_up()
    found = await safe.recover()
    assert "another-school" in keycopies.schools(school.app.state.keys), "negative control"
    assert [each.records for each in found] == [1]
    assert [path.name for path in (safe.folder / "new-keys").iterdir() if path.is_dir()] == [found[0].school_id]


async def test_what_was_destroyed_after_the_back_up_does_not_come_back(safe: Safe, school: Running) -> None:
    await safe.agreed()
    gone, kept = await record_lesson(school), await safe.second()
    await safe.lose_the_wrapping_key()
    await destroy(school, gone)
    (school.app.state.keys / gone.school_id / "shred.list").unlink()  # the database alone knows of it
    [found] = await safe.recover()
    assert (found.records, found.missing) == (1, ())
    assert await safe.key(kept) == kept.key, "negative control: the same back-up gives the other"
    with pytest.raises(KeyMissing):
        await safe.key(gone.begun)


async def test_what_was_recorded_after_the_back_up_is_named_as_missing(safe: Safe, school: Running) -> None:
    await safe.agreed()
    await record_lesson(school)
    await safe.lose_the_wrapping_key()
    await safe.make_another_wrapping_key()
    later = await safe.second()
    [found] = await safe.recover()
    assert found.missing == (f"{later.header.recording_id}, part 1",)


@pytest.mark.parametrize("way", ["the page Keys", "an earlier version"])
async def test_records_of_before_and_after_the_loss_open_both(way: str, safe: Safe, school: Running) -> None:
    await safe.agreed()
    before = await record_lesson(school)
    await safe.lose_the_wrapping_key()
    await safe.make_another_wrapping_key(way)
    after = await safe.second()
    school.clock.advance(timedelta(minutes=1).total_seconds())
    await safe.back_up()
    [found] = await safe.recover()
    assert (found.records, found.missing) == (2, ())
    assert [await safe.key(each) for each in (before.begun, after)] == [before.begun.key, after.key]


async def test_while_the_wrapping_key_is_lost_no_lesson_opens_and_the_technician_reads_why(safe: Safe, school: Running) -> None:
    await safe.agreed()
    lesson, before = school.lesson(), await safe.second()
    async with await school.signed_in("technician") as technician, await school.signed_in("teacher") as teacher:
        assert "Keys of recordings" not in (await technician.get("/health")).text
        await safe.lose_the_wrapping_key()
        with pytest.raises(WrappingKeyLost):
            await recorded.sealed(school.app.state, "lesson-3")
        refused = await teacher.post(f"/lessons/{lesson['id']}/door", json={})
        assert refused.status_code == 503
        assert "The wrapping key of recordings is lost" in refused.json()["detail"]
        for page in ("/health", "/keys"):
            assert "no lesson opens and no recording plays. docs/backup.md says what to do" in (await technician.get(page)).text
        await confirmed_post(school, technician, school.person("technician"), "/keys/rotate", {})
        assert "Keys of recordings" not in (await technician.get("/health")).text
        assert (await teacher.post(f"/lessons/{lesson['id']}/door", json={})).status_code == 200, "negative control"
    [found] = await safe.recover()
    assert (found.records, found.missing[1:]) == (1, ()), "what was recorded before is in the back-up, for the recovery key"
    assert await safe.key(before) == before.key


async def test_a_school_s_own_keys_are_never_overwritten(safe: Safe, school: Running) -> None:
    (safe.folder / "new-keys").mkdir()
    await safe.agreed()
    await safe.second()
    await safe.lose_the_wrapping_key()
    with pytest.raises(recovering.FolderThere):
        await safe.recover()


async def test_the_command_recovers_and_says_what_to_do_next(
    safe: Safe, school: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.__main__._log_to_stderr", lambda: None)
    monkeypatch.setattr("service.backup.command.tidied_up", nullcontext)  # signals are for a main thread
    monkeypatch.setattr("os.umask", lambda mask: mask)
    await safe.agreed()
    lesson = await record_lesson(school)
    await safe.lose_the_wrapping_key()
    for name, identity in (("backup", safe.places.identity), ("recovery", safe.identity)):
        (safe.folder / name).write_text(str(identity))
    given = ["recover", safe.places.data_at, "--keys-from", safe.places.keys_at, "--identity", str(safe.folder / "backup"),
             "--recovery-key", str(safe.folder / "recovery"), "--into", str(safe.folder / "new-keys"),
             "--data", str(school.app.state.settings.data)]
    assert await asyncio.to_thread(main, given) == 0
    said = capsys.readouterr().out
    assert "Keys recovered: 1." in said
    assert "set CHAPERONE_KEYS_FOLDER" in said
    assert await safe.key(lesson.begun) == lesson.begun.key
    some = [*given, "--into", str(safe.folder / "some"), "--recording", lesson.recording_id]  # the last `--into` counts
    assert await asyncio.to_thread(main, some) == 0
    said = capsys.readouterr().out
    assert "never serve from this folder" in said
    assert "CHAPERONE_KEYS_FOLDER" not in said
    assert await asyncio.to_thread(main, given) == 2
    assert "Choose one that does not exist yet." in capsys.readouterr().err
