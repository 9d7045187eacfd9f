"""Back-ups: everything comes back, nothing that ended does, and what was changed is refused.

policy: AC6, RE2, RL1, CO3, CO4
"""

import argparse
import asyncio
import random
import re
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyrage
import pytest
from sqlmodel import select

from lessons.live import reading
from recordings import durable, keycopies, proof, shredlist
from recordings.commands import Begun
from recordings.ending import commands as hold_commands
from recordings.ending import destruction
from recordings.ending.rules import HoldChanged
from recordings.ending.tables import Destruction, RecoveryRecipient
from recordings.erasure.tables import RecordingErasure
from recordings.keystore import KeyMissing, Part
from recordings.shredlist import What
from recordings.tables import Recording, RecordingKey
from service.__main__ import main
from service.backup import command, restoring, rules, saving
from service.backup.box import BackupDamaged, WrongKey
from service.backup.events import BackupChecked, BackupMade
from service.backup.target import Target
from service.foundation.audit import AuditLeaf
from service.foundation.bus import publish
from service.foundation.errors import SafeguardError
from service.foundation.events import system
from service.foundation.keys import KeysAway
from service.foundation.settings import Settings
from service.people.profile import Profile
from service.people.tables import Person, ProfileChange, RoleRequest, SignIn, StepUpGrant
from service.safeguarding.approvals.tables import Approval
from service.wiring import SUBSCRIBERS
from tests import one_to_one
from tests.fakes import FakeClock
from tests.features.test_erasure import decided
from tests.proofs import confirmed_post, with_session
from tests.recordings import ends
from tests.recordings.ends import Kept, agree, ask, ask_release
from tests.recordings.lesson import record_lesson
from tests.recordings.test_preparation import lesson_tracks, opened, prepare, record, rows
from tests.school import Running, running
from tests.storage import recorded
from tests.storage.backups import Places, files, in_folders, quiet
from tests.storage.s3 import access_file


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return in_folders(tmp_path)


async def faults(school: Running) -> list[str]:
    async with school.database.reading() as session:
        return await proof.verify(session, school.app.state.vault)


async def test_a_school_comes_back_with_its_recordings_also_the_one_that_was_being_recorded(
    school: Running, places: Places, tmp_path: Path
) -> None:
    whole = await record_lesson(school)
    live = await recorded.begin(school.app.state, "lesson-live")
    recorded.write(live, (1000,) * 9)
    made = await asyncio.to_thread(places.save, school)
    assert made.recordings == 2
    async with places.restored(tmp_path / "new", school.clock) as again:
        assert await faults(again) == []
        assert again.app.state.vault.path(whole.recording_id, 1).read_bytes() == whole.begun.path.read_bytes()
        async with again.database.reading() as session:
            row = await session.get(Recording, live.header.recording_id)
            assert row is not None
            assert (row.outcome, row.reason) == ("incomplete", "the service stopped")


async def test_who_spoke_and_small_pictures_are_made_again_after_a_restore(
    school: Running, places: Places, tmp_path: Path
) -> None:
    lesson = await record(school, lesson_tracks())
    assert await prepare(school) == 1
    before = (await opened(school, lesson)).tracks
    assert any(track.speech for track in before)
    assert any(track.pictures for track in before)
    await asyncio.to_thread(places.save, school)
    assert await places.put_back(tmp_path / "new", school.clock) == 0
    assert not list((tmp_path / "new").rglob("*.aside")), "negative control: what was made is in no back-up"
    async with running(tmp_path / "new", clock=school.clock) as again:
        await prepare(again)  # unless the service has done so at its start
        assert (await opened(again, lesson)).tracks == before
        assert await prepare(again) == 0
        assert await rows(again) == await rows(school), "what is written down is only ever added to"


async def test_a_back_up_goes_to_an_s3_server_and_comes_back_from_it(school: Running, s3_port: int, tmp_path: Path) -> None:
    await record_lesson(school)
    places = Places(f"s3://school/{tmp_path.name}", f"s3://school/{tmp_path.name}-keys", access_file(tmp_path, s3_port))
    await asyncio.to_thread(places.save, school)
    assert await places.tried(tmp_path / "tried", school.clock) == []
    assert list((tmp_path / "tried").iterdir()) == []


async def test_the_second_back_up_copies_only_what_changed(school: Running, places: Places) -> None:
    for number in range(6):
        await recorded.sealed(school.app.state, f"lesson-{number}", (1 << 20,) * 2)
    first = await asyncio.to_thread(places.save, school)
    before = {path: path.stat().st_mtime_ns for path in files(places.data_at)}
    await recorded.sealed(school.app.state, "lesson-new", (1 << 20,) * 2)
    second = await asyncio.to_thread(places.save, school)
    assert first.copied_bytes > 6 * (2 << 20)
    assert (2 << 20) < second.copied_bytes < (2 << 20) + first.copied_bytes - 6 * (2 << 20) + 200_000
    assert all(path.stat().st_mtime_ns == written for path, written in before.items() if path.exists())
    third = await asyncio.to_thread(places.save, school)
    assert third.copied_bytes < 1 << 20  # no recording; the service's own jobs may have written a page of the database


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


CHANGES: dict[str, Callable[[Path], None]] = {"changed": flip, "cut short": cut, "taken away": Path.unlink}


async def test_a_back_up_that_was_changed_in_any_file_is_refused_and_nothing_is_put_in_place(
    school: Running, places: Places, tmp_path: Path
) -> None:
    await recorded.sealed(school.app.state, "lesson-1")
    await asyncio.to_thread(places.save, school)
    assert await places.tried(tmp_path / "tried", school.clock) == [], "negative control: it is whole"
    for path in files(places.data_at, places.keys_at):
        kept = path.read_bytes()
        for name, change in CHANGES.items():
            change(path)
            with pytest.raises(SafeguardError):
                await places.put_back(tmp_path / "new", school.clock)
            assert not (tmp_path / "new" / "chaperone.sqlite3").exists(), (path.name, name)
            path.write_bytes(kept)
    assert await places.put_back(tmp_path / "new", school.clock) == 0


async def test_pieces_and_states_that_changed_places_are_refused(school: Running, places: Places, tmp_path: Path) -> None:
    await recorded.sealed(school.app.state, "lesson-1")
    first = await asyncio.to_thread(places.save, school)
    await recorded.sealed(school.app.state, "lesson-2")
    school.clock.advance(3600)
    second = await asyncio.to_thread(places.save, school)
    one, two = files(f"{places.data_at}/data/pieces")[:2]
    states = Path(places.data_at) / "data/states"
    for left, right in ((one, two), (states / first.data_id, states / second.data_id)):
        swap(left, right)
        with pytest.raises(BackupDamaged):
            await places.put_back(tmp_path / "new", school.clock)
        swap(left, right)
    assert await places.put_back(tmp_path / "new", school.clock) == 0


def swap(left: Path, right: Path) -> None:
    one, two = left.read_bytes(), right.read_bytes()
    left.write_bytes(two)
    right.write_bytes(one)


async def test_a_back_up_of_another_installation_is_no_back_up_of_this_one(
    school: Running, places: Places, tmp_path: Path, template: Path
) -> None:
    await asyncio.to_thread(places.save, school)
    public = places.opened().state.signer
    restoring.opened(places.data, places.keys, [places.identity], signed_by=public)
    with pytest.raises(BackupDamaged):
        restoring.opened(places.data, places.keys, [places.identity], signed_by="00" * 32)


async def test_a_wrong_key_restores_nothing(school: Running, places: Places, tmp_path: Path) -> None:
    await asyncio.to_thread(places.save, school)
    with pytest.raises(WrongKey):
        await places.put_back(tmp_path / "new", school.clock, identity=pyrage.x25519.Identity.generate())
    assert not (tmp_path / "new").exists()


async def test_nothing_that_names_a_child_or_opens_a_recording_is_in_clear_in_the_back_up(
    school: Running, places: Places
) -> None:
    lesson = await record_lesson(school)
    await asyncio.to_thread(places.save, school)
    async with school.database.reading() as session:
        people = (await session.exec(select(Person))).all()
    keys = school.app.state.settings.keys
    assert any(lesson.begun.key), "it was not wiped, so there is something to look for"
    canaries = {bytes(lesson.begun.key), lesson.recording_id.encode()}
    canaries |= {b"Is it <b>half</b>?", b"Shouting behind Ali", b"SQLite format"}
    canaries |= {name.encode() for row in people for name in (row.given_name, row.family_name) if len(name) > 3}
    canaries |= {path.read_bytes()[-32:] for path in keys.rglob("*") if path.is_file()}
    places_of = files(places.data_at, places.keys_at)
    held = b"".join(path.read_bytes() + str(path).encode() for path in places_of)
    assert [canary for canary in canaries - {b""} if canary in held] == []
    live = b"".join(path.read_bytes() for path in school.app.state.settings.data.rglob("*") if path.is_file())
    assert people[0].family_name.encode() in live, "negative control: the search finds what is in clear"
    assert not list(school.app.state.settings.data.glob("backup/*.sqlite3")), "no copy of the database is left behind"


async def test_copies_of_keys_older_than_seven_days_leave_the_back_up(school: Running, places: Places) -> None:
    first = await asyncio.to_thread(places.save, school)
    old = set(files(places.keys_at))
    school.clock.advance(timedelta(days=8).total_seconds())
    await recorded.sealed(school.app.state, "lesson-1")
    second = await asyncio.to_thread(places.save, school)
    assert second.keys_removed == 1
    assert not old & set(files(places.keys_at)), "neither the state nor its pieces"
    assert {first.data_id, second.data_id} == {path.name for path in files(f"{places.data_at}/data/states")}


def no_place(settings: Settings, places: Places) -> None:
    """The disk is not there, and where it should be nothing can be made."""
    Path(places.data_at).parent.joinpath("mnt").touch()
    places.data_at = str(Path(places.data_at).parent / "mnt/backup")


def no_access(settings: Settings, places: Places) -> None:
    places.data_at = "s3://school/backup"


def damaged(settings: Settings, places: Places) -> None:
    (settings.data / saving.DATABASE).write_bytes(b"damaged " * 4096)


def gone(settings: Settings, places: Places) -> None:
    (settings.data / saving.DATABASE).unlink()


FAILURES = {no_place: "mnt/backup", no_access: "CHAPERONE_S3_ACCESS_FILE", damaged: "database", gone: "There is no school"}


@pytest.mark.parametrize("fails", FAILURES, ids=lambda fails: fails.__name__)
async def test_no_copy_of_keys_grows_old_while_the_data_cannot_be_read_or_has_no_place(
    school: Running, places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    fails: Callable[[Settings, Places], None],
) -> None:
    await asyncio.to_thread(places.save, school)
    copy = tmp_path / "copy"
    copy.mkdir()
    with school.beside() as live:
        live.execute("VACUUM INTO ?", (str(copy / saving.DATABASE),))
    settings = school.app.state.settings.model_copy(update={
        "data": copy, "keys_folder": school.app.state.keys, "backup_recipients": str(places.identity.to_public())})
    fails(settings, places)
    given = argparse.Namespace(new_key=None, to=places.data_at, keys_to=places.keys_at, check=False)
    for _ in range(8):
        school.clock.advance(timedelta(days=1).total_seconds())
        assert await asyncio.to_thread(command.backup, given, settings, school.clock) == 2
        assert FAILURES[fails] in capsys.readouterr().err
    kept = [rules.made_at(path.name) for path in files(f"{places.keys_at}/keys/states")]
    assert len(kept) > 1
    assert all(at and school.clock.now() - at <= rules.KEYS_KEPT for at in kept)


def test_a_disk_that_takes_nothing_is_said_in_plain_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").touch()
    given = argparse.Namespace(new_key=None, to=str(tmp_path / "to"), keys_to="", check=False)
    assert command.backup(given, Settings(data=tmp_path / "data"), FakeClock(NIGHTS[0])) == 2
    assert f"({tmp_path / 'data'}). Is its disk there" in capsys.readouterr().err


NIGHTS = [datetime(2026, 11, night, 2, 10, tzinfo=UTC) for night in range(1, 30)]
DESTROYED = datetime(2026, 11, 10, tzinfo=UTC)


def oldest_a_week_later(kept: timedelta, jitter: random.Random) -> datetime:
    """The earliest copy of keys that is left seven days after a day's keys were destroyed: the timer ran each night, up to two
    hours late, and somebody made one by hand in the last minute before."""
    copies = {DESTROYED - timedelta(minutes=1)}
    for night in NIGHTS:
        run = night + timedelta(hours=jitter.uniform(0, 2))
        if run > DESTROYED + timedelta(days=7):
            break
        copies.add(run)
        gone = rules.outdated([rules.state_id(at, "a") for at in copies], run, kept)
        copies = {at for at in copies if rules.state_id(at, "a") not in gone}
    return min(copies)


def test_seven_days_after_keys_were_destroyed_the_timer_has_left_no_copy_of_them() -> None:
    assert rules.KEYS_KEPT + rules.LATE == keycopies.KEPT
    for seed in range(100):
        assert oldest_a_week_later(rules.KEYS_KEPT, random.Random(seed)) > DESTROYED
    assert oldest_a_week_later(timedelta(days=7), random.Random(0)) < DESTROYED, "negative control: kept for seven days, they are"


async def test_a_back_up_of_a_clock_that_was_ahead_is_not_the_newest_and_goes_in_time(school: Running, places: Places) -> None:
    right = school.clock.now()
    school.clock.set(right + timedelta(days=3650))
    ahead = await asyncio.to_thread(places.save, school)
    school.clock.set(right)

    def opened(**given: str) -> restoring.Opened:
        return restoring.opened(places.data, places.keys, [places.identity], now=school.clock.now(), **given)

    assert opened().state.id == ahead.data_id, "there is no other"
    made = await asyncio.to_thread(places.save, school)
    assert (opened().state.id, opened().key_state.id) == (made.data_id, made.keys_id)
    assert opened(keys_wanted=ahead.keys_id).key_state.id == ahead.keys_id, "it may be asked for"
    assert {ahead.keys_id, made.keys_id} == {path.name for path in files(f"{places.keys_at}/keys/states")}
    school.clock.advance(timedelta(days=8).total_seconds())
    await recorded.sealed(school.app.state, "lesson-1")
    last = await asyncio.to_thread(places.save, school)
    assert [path.name for path in files(f"{places.keys_at}/keys/states")] == [last.keys_id]


async def test_a_clock_that_jumps_ahead_removes_no_back_up(school: Running, places: Places) -> None:
    first = await asyncio.to_thread(places.save, school)
    school.clock.advance(timedelta(days=3650).total_seconds())
    jumped = await asyncio.to_thread(places.save, school)
    assert jumped.keys_removed == 0
    assert {first.keys_id, jumped.keys_id} == {path.name for path in files(f"{places.keys_at}/keys/states")}
    await recorded.sealed(school.app.state, "lesson-1")
    assert (await asyncio.to_thread(places.save, school)).keys_removed == 1, "negative control: the school has gone on"


def test_a_clock_that_was_put_back_removes_nothing() -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC)
    good = [rules.state_id(now - timedelta(days=day), "a") for day in range(3)]
    back = datetime(1970, 1, 1, tzinfo=UTC)
    assert rules.outdated([*good, rules.state_id(back, "b")], back, rules.KEYS_KEPT) == []
    assert rules.outdated(good, now + timedelta(days=30), rules.KEYS_KEPT) == sorted(good)[:2], "negative control"


def test_where_nobody_can_tell_what_the_school_did_last_the_back_ups_tell_whether_the_clock_jumped() -> None:
    before = datetime(2026, 11, 30, tzinfo=UTC)
    names = [rules.state_id(before, "a")]
    assert rules.has_jumped(names, None, before + timedelta(days=30))
    assert not rules.has_jumped(names, None, before + timedelta(days=1))
    assert not rules.has_jumped([], None, before), "nor where there is no back-up yet"


async def test_a_recording_that_was_destroyed_after_the_back_up_stays_unreadable(
    school: Running, places: Places, tmp_path: Path
) -> None:
    gone, kept = [await recorded.sealed(school.app.state, f"lesson-{number}") for number in range(2)]
    before = await asyncio.to_thread(places.save, school)
    old_keys = shutil.copytree(places.keys_at, tmp_path / "old-keys")
    async with school.database.writing() as session:
        await destruction.begin(session, system(gone.header.school_id), recording_id=gone.header.recording_id, why="asked",
                                now=school.clock.now())
    await destruction.reconcile(school.database, school.app.state.vault, school.clock)
    school.clock.advance(3600)
    await asyncio.to_thread(places.save, school)
    assert old_keys.exists()
    places.keys_at = str(tmp_path / "old-keys")  # even with the copy of the keys from before
    async with places.restored(tmp_path / "new", school.clock, wanted=before.data_id) as again:
        vault, header = again.app.state.vault, gone.header
        async with again.database.reading() as session:
            rows = {row.id: row for row in (await session.exec(select(Recording))).all()}
        with pytest.raises(KeyMissing):
            vault.open(header.school_id, header.recording_id, 1, rows[header.recording_id].kept_until)
        still = kept.header
        assert vault.open(still.school_id, still.recording_id, 1, rows[still.recording_id].kept_until) == kept.key
        assert await faults(again) == []
        lines = shredlist.lines(vault.key_store(header.school_id), vault.keys(header.school_id).public)
        assert What.RECORDING in {line.what for line in lines}


async def test_a_restore_certifies_nothing_that_it_cannot_reach(school: Running, places: Places, tmp_path: Path) -> None:
    """The data may lie in a store that the restore does not ask; the first start removes it there, and then says so."""
    gone = await recorded.sealed(school.app.state, "lesson-1")
    await asyncio.to_thread(places.save, school)
    async with school.database.reading() as session:
        day = (await session.get_one(Recording, gone.header.recording_id)).kept_until
    school.clock.set(school.clock.now() + timedelta(days=(day - school.clock.now().date()).days + 2))
    folder = tmp_path / "tried"
    restoring.bring_back(places.opened(), folder, quiet)
    assert await restoring.verified(folder, school.clock, SUBSCRIBERS) == []
    database = restoring.database_of(folder, school.clock, SUBSCRIBERS)
    async with database.reading() as session:
        row = await session.get_one(Destruction, gone.header.recording_id)
        assert (row.destroyed_at, row.certificate) == (None, "")
        part = (await session.exec(select(RecordingKey))).one()
        assert part.destroyed_at is not None, "its key is gone"
    await database.close()
    async with places.restored(tmp_path / "new", school.clock) as again:
        async with again.database.reading() as session:
            row = await session.get_one(Destruction, gone.header.recording_id)
            assert row.destroyed_at is not None
        assert not again.app.state.vault.path(gone.header.recording_id, 1).exists()
        assert await faults(again) == []


async def test_a_back_up_from_before_a_release_is_restored_without_what_was_destroyed_since(
    school: Running, places: Places, tmp_path: Path
) -> None:
    kept = await recorded.sealed(school.app.state, "lesson-1")
    async with school.database.reading() as session:
        day = (await session.get_one(Recording, kept.header.recording_id)).kept_until
    school.clock.set(school.clock.now() + timedelta(days=(day - school.clock.now().date()).days - 2))
    held = Kept("lesson-1", Part(kept.header.recording_id, 1, day), bytes(kept.key), kept.path)
    await ends.ask(school, held)
    await ends.agree(school, held)
    before = await asyncio.to_thread(places.save, school)
    await ends.ask_release(school, held)
    await ends.agree(school, held)
    school.clock.set(school.clock.now() + timedelta(days=(day - school.clock.now().date()).days + 2))
    assert await destruction.reconcile(school.database, school.app.state.vault, school.clock) == 1
    await asyncio.to_thread(places.save, school)
    async with places.restored(tmp_path / "new", school.clock, wanted=before.data_id) as again:
        assert await faults(again) == []
        assert not again.app.state.vault.key_store(kept.header.school_id).has(held.part)
        async with again.database.reading() as session:
            assert (await session.get_one(Destruction, held.id)).destroyed_at is not None


async def test_no_sign_in_proof_or_approval_from_before_works_after_a_restore(
    school: Running, places: Places, tmp_path: Path
) -> None:
    cookie = await school.cookie(school.person("teacher"))
    request = await one_to_one.ask(school)
    await one_to_one.approve(school, request)
    await asyncio.to_thread(places.save, school)
    async with school.client(cookie) as before:
        assert (await before.get("/account")).status_code == 200, "negative control: it works here"
    async with places.restored(tmp_path / "new", school.clock) as again:
        async with again.client(cookie) as after:
            assert (await after.get("/account")).status_code == 303
        async with again.database.reading() as session:
            assert [row.id for row in (await session.exec(select(SignIn))).all() if row.ended_at is None] == []
            assert [row.id for row in (await session.exec(select(StepUpGrant))).all() if row.used_at is None] == []
            approvals, now = (await session.exec(select(Approval))).all(), again.clock.now()
            assert [row.id for row in approvals if row.revoked_at is None and row.ends_at > now] == []
            assert (await session.exec(select(Approval).where(Approval.request_id == request))).one().revoked_by == "system"
    assert (tmp_path / "new/keys/tickets.pem").read_bytes() != (school.app.state.settings.keys / "tickets.pem").read_bytes()


async def test_what_waited_for_a_second_person_is_refused_by_a_restore(school: Running, places: Places, tmp_path: Path) -> None:
    """Whether the first one took it back after the back-up, nobody knows any more."""
    kept, asked = [_kept(await recorded.sealed(school.app.state, name), name) for name in ("lesson-1", "lesson-2")]
    assert (await decided(school, kept)).status_code == 303
    await ask(school, asked)
    await agree(school, asked)
    await ask_release(school, asked)
    now, head = school.clock.now(), school.person("headteacher")
    async with school.database.writing() as session:
        school_id = (await session.get_one(Person, head)).school_id
        session.add_all((
            RoleRequest(school_id=school_id, person_id=school.person("teacher"), role="senior_leader", asked_by=head,
                        asked_at=now),
            ProfileChange(school_id=school_id, base_version=1, profile=Profile().to_json(), reasons="{}", review_on=now.date(),
                          asked_by=head, asked_at=now),
            RecoveryRecipient(school_id=school_id, name="Safe", public_key="age1", asked_by=head, asked_at=now)))
    await asyncio.to_thread(places.save, school)
    async with places.restored(tmp_path / "new", school.clock) as again:
        async with again.database.reading() as session:
            for table in (RoleRequest, ProfileChange, RecordingErasure):
                [row] = [each for each in (await session.exec(select(table))).all() if each.agreed is not True]
                assert row.agreed is False, table
            assert (await session.exec(select(RecoveryRecipient))).one().ended_at is not None
        with pytest.raises(HoldChanged, match="before Chaperone was restored"):
            await agree(again, asked)
        who = await with_session(again, "headteacher")
        async with again.database.writing() as session:
            await hold_commands.refuse(session, who, asked.lesson_id, words="Ask again", now=again.clock.now())
        await ask_release(again, asked)
        await agree(again, asked)


def _kept(begun: Begun, lesson_id: str) -> Kept:
    return Kept(lesson_id, Part(begun.header.recording_id, 1, date.min), bytes(begun.key), begun.path)


async def test_lessons_stay_closed_after_a_restore_until_a_named_person_entered_again_what_was_withdrawn(
    school: Running, places: Places, tmp_path: Path
) -> None:
    await asyncio.to_thread(places.save, school)
    async with places.restored(tmp_path / "new", school.clock) as again:
        lesson = again.lesson()
        async with await again.signed_in("teacher") as teacher:
            refused = await teacher.post(f"/lessons/{lesson['id']}/door", json={})
            assert refused.status_code == 409
            assert "restored from a back-up" in refused.json()["detail"]
            assert "The headteacher, a senior leader or the DSL does this." in (await teacher.get("/restored")).text
            assert (await teacher.post("/restored", data={})).status_code == 404
            assert "Lessons are closed since the restore." in (await teacher.get("/today")).text
        async with again.database.reading() as session:
            assert (await reading.read(session, lesson["id"])).plan.stopped
        async with await again.signed_in("dsl") as dsl, await again.signed_in("senior_leader") as leader:
            page = await dsl.get("/restored")
            for client in (dsl, leader):  # where the page says that it is entered, this person can enter it
                shown = (await client.get("/restored")).text.partition("<fieldset")[2].partition("</fieldset>")[0]
                for path in set(re.findall(r'href="(/[^"#]+)', shown)):
                    assert (await client.get(path)).status_code == 200, path
            assert "The office does this, on Permissions" in shown
            assert 'href="/today#to-come"' in shown
            assert "10am" in page.text
            half = await dsl.post("/restored", data={"entered": ["consent"]})
            assert half.status_code == 422
            assert "7 lines are not ticked" in half.text
            entered = {"entered": ["consent", "contact", "staff", "dbs", "badges", "recovery", "concerns", "lessons"]}
            answer = await confirmed_post(again, dsl, again.person("dsl"), "/restored", entered)
            assert answer.status_code == 303
            assert "Lessons are open." in (await dsl.get("/restored")).text
        async with again.database.reading() as session:
            assert not (await reading.read(session, lesson["id"])).plan.stopped
            leaf = (await session.exec(select(AuditLeaf).where(AuditLeaf.kind == "LessonsReopened"))).one()
            assert leaf.actor_id == again.person("dsl")


async def test_a_restore_never_overwrites_a_school_and_one_that_broke_off_is_not_served(
    school: Running, places: Places, tmp_path: Path
) -> None:
    await asyncio.to_thread(places.save, school)
    before = files(str(school.app.state.settings.data / "keys"))
    with pytest.raises(restoring.SchoolThere):
        await places.put_back(school.app.state.settings.data, school.clock)
    assert files(str(school.app.state.settings.data / "keys")) == before
    aside = restoring.begin(places.opened(), tmp_path / "new", tmp_path / "new/keys")
    assert aside is not None
    with pytest.raises(restoring.HalfRestored):
        restoring.refuse_half_restored(tmp_path / "new")
    async with places.restored(tmp_path / "new", school.clock) as again:
        assert await faults(again) == []


async def test_an_empty_volume_for_the_keys_is_no_school(school: Running, places: Places, tmp_path: Path) -> None:
    await asyncio.to_thread(places.save, school)
    (tmp_path / "volume/lost+found").mkdir(parents=True)
    assert restoring.begin(places.opened(), tmp_path / "new", tmp_path / "volume") is not None
    (tmp_path / "volume/signing.pem").touch()
    with pytest.raises(restoring.SchoolThere):
        restoring.begin(places.opened(), tmp_path / "new", tmp_path / "volume")


async def test_another_back_up_is_not_put_in_place_of_the_one_that_was_asked_for(
    school: Running, places: Places, tmp_path: Path
) -> None:
    first = await asyncio.to_thread(places.save, school)
    aside = restoring.begin(places.opened(), tmp_path / "new", tmp_path / "new/keys")
    assert aside is not None
    (aside / restoring.READY).touch()
    school.clock.advance(3600)
    await asyncio.to_thread(places.save, school)
    with pytest.raises(restoring.OtherRestore, match=f"--state {first.data_id}"):
        restoring.begin(places.opened(), tmp_path / "new", tmp_path / "new/keys")
    assert restoring.begin(places.opened(first.data_id), tmp_path / "new", tmp_path / "new/keys") is None


def test_a_restore_that_dies_while_it_tidies_up_leaves_a_school_that_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it dies: either it goes on, or nothing of it is there."""
    aside, erase, left = tmp_path / restoring.ASIDE, durable.erase, 0

    def dies(path: Path) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        erase(path)

    monkeypatch.setattr(durable, "erase", dies)
    for steps in range(3):
        aside.mkdir(exist_ok=True)
        for name in (restoring.OF, restoring.READY):
            (aside / name).touch()
        left = steps
        with suppress(KeyboardInterrupt):
            restoring.put_in_place(tmp_path, tmp_path / "keys")
        left = 10
        restoring.refuse_half_restored(tmp_path)
        assert list(tmp_path.iterdir()) == []


async def test_a_command_makes_no_new_signing_key_where_the_schools_is_not(
    school: Running, tmp_path: Path
) -> None:
    with pytest.raises(KeysAway, match="CHAPERONE_KEYS_FOLDER"):
        command._beside(school.app.state.settings.model_copy(update={"keys_folder": tmp_path / "empty"}), school.clock)
    assert not (tmp_path / "empty").exists()


DIES_IN_THE_MIDDLE = """
import sys
from service.__main__ import main
from service.backup.target import Target
from tests.storage.killed import dying_at
dying_at(int(sys.argv[1]), (Target, "get"))
sys.exit(main(sys.argv[2:]))
"""


async def test_a_restore_that_is_killed_goes_on_where_it_was(
    school: Running, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two recordings of three pieces each. It dies instead of fetching the last piece, and fetches no other when it goes on."""
    begun = [await recorded.sealed(school.app.state, f"lesson-{number}", (1 << 20,) * 20) for number in range(2)]
    await asyncio.to_thread(places.save, school)
    (tmp_path / "identity").write_text(str(places.identity))
    fetched, get, new = list[str](), Target.get, tmp_path / "new"
    monkeypatch.setattr(Target, "get", lambda target, name: (fetched.append(name), get(target, name))[1])
    assert await places.put_back(tmp_path / "at-once", school.clock) == 0
    of_recordings = {f"pieces/{piece}" for file in places.opened().state.recordings for piece in file.pieces}
    assert len(of_recordings.intersection(fetched)) == 6, "negative control: into an empty folder all of it is fetched"
    last = fetched.index(max(of_recordings, key=fetched.index))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DIES_IN_THE_MIDDLE, str(last), "restore", places.data_at, "--keys-from", places.keys_at,
        "--identity", tmp_path / "identity", "--data", new)
    assert await child.wait() == -signal.SIGKILL
    assert not (new / "chaperone.sqlite3").exists()
    first, _ = sorted((new / restoring.ASIDE).rglob("*.rec"))
    flip(first)
    last_one = fetched[last]
    fetched.clear()
    assert await places.put_back(new, school.clock) == 0
    again = of_recordings.intersection(fetched)
    assert last_one in again
    assert len(again) == 3, "that, and of the one that was changed in the meantime what follows its first whole piece"
    for each in begun:
        assert (new / "recordings" / each.header.recording_id / "1.rec").read_bytes() == each.path.read_bytes()


async def test_what_a_restore_of_another_back_up_brought_is_not_gone_on_with(
    school: Running, places: Places, tmp_path: Path
) -> None:
    first = await asyncio.to_thread(places.save, school)
    school.clock.advance(3600)
    await asyncio.to_thread(places.save, school)
    for wanted, is_kept in (("", False), ("", True), (first.data_id, False)):
        aside = restoring.begin(places.opened(wanted), tmp_path / "new", tmp_path / "new/keys")
        assert aside is not None
        assert (aside / "from before").exists() == is_kept
        (aside / "from before").touch()


async def test_health_says_when_the_last_back_up_was_made_and_tried(school: Running) -> None:
    async def note(event: object) -> None:
        async with school.database.writing() as session:
            school_id = (await session.exec(select(Person.school_id))).first()
            await publish(session, event, system(school_id))  # type: ignore[arg-type]

    async with await school.signed_in("technician") as technician:
        async def said() -> str:
            return (await technician.get("/health")).text

        assert "Nothing is backed up." in await said()
        await note(BackupMade("s", 3, 0, 9))
        assert "Last good 10am, restore never tested." in await said()
        await note(BackupChecked("s", 0))
        assert "Last good 10am, restore tested Tuesday." in await said()
        await note(BackupChecked("s", 2))
        assert "did not verify" in await said()
        school.clock.advance(rules.LATE.total_seconds() + 60)
    async with await school.signed_in("technician") as technician:
        await note(BackupChecked("s", 0))
        assert "The daily back-up was missed." in await said()


async def test_kill_9_at_any_step_of_a_back_up_or_a_restore_leaves_the_back_up_before_usable(
    school: Running, places: Places, tmp_path: Path
) -> None:
    await recorded.sealed(school.app.state, "lesson-1")
    await asyncio.to_thread(places.save, school)
    await recorded.sealed(school.app.state, "lesson-2")
    identity = tmp_path / "identity"
    identity.write_text(str(places.identity))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.storage.killed", school.app.state.settings.data, places.data_at, places.keys_at, identity,
        tmp_path / "new", stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    assert child.returncode == 0, said.decode()
    assert said.decode().splitlines()[-1] == "all survived", said.decode()


def test_the_command_makes_keys_that_only_their_owner_reads_and_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHAPERONE_BACKUP_RECIPIENTS", raising=False)
    monkeypatch.setattr("service.__main__._log_to_stderr", lambda: None)  # it is for a process of its own, as is the mask
    monkeypatch.setattr("os.umask", lambda mask: mask)
    key = tmp_path / "key.txt"
    assert main(["backup", "--new-key", str(key)]) == 0
    public = capsys.readouterr().out.partition("CHAPERONE_BACKUP_RECIPIENTS=")[2].split()[0]
    assert str(restoring.identities(key)[0].to_public()) == public
    assert key.stat().st_mode & 0o077 == 0
    assert main(["backup", "--new-key", str(key)]) == 2, "an earlier key is never overwritten"
    assert main(["backup", "--data", str(tmp_path / "none"), str(tmp_path / "to")]) == 2
    assert "CHAPERONE_BACKUP_RECIPIENTS" in capsys.readouterr().err
    assert main(["restored", "--data", str(tmp_path / "new")]) == 2
    assert "chaperone restore" in capsys.readouterr().err
    assert not (tmp_path / "new/chaperone.sqlite3").exists()
    missing = ["restore", str(tmp_path / "nowhere"), "--identity", str(key), "--data", str(tmp_path / "new")]
    assert main(missing) == 2
    assert "There is no folder" in capsys.readouterr().err
