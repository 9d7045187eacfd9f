"""The key store: what opens what, what is gone when it is destroyed, and what a copy of it brings back.

policy: RE2, RE3, RE5
"""

import multiprocessing
import shutil
import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyrage
import pytest

from recordings import durable, keycopies, shredlist
from recordings.keystore import EvidenceIsolated, KeyMissing, KeyStore, Part, StillNeeded, WrappingKeyLost
from recordings.shredlist import ListChanged, What
from recordings.vault import SchoolKeys, new_key

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
DAY, NEXT = date(2026, 12, 24), date(2026, 12, 25)


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys" / "school-1", "school-1")


def signer(store: KeyStore) -> SchoolKeys:
    return SchoolKeys.of(store.folder.parent, store.school_id)


def kept(
    store: KeyStore, recording_id: str, day: date = DAY, part: int = 1, recipients: tuple[str, ...] = ()
) -> tuple[Part, bytes]:
    which, key = Part(recording_id, part, day), new_key()
    store.put(which, key, recipients)
    return which, key


def test_a_key_opens_only_its_own_part_of_its_own_school(store: KeyStore, tmp_path: Path) -> None:
    which, key = kept(store, "r")
    assert store.open(which) == key
    theirs = KeyStore(tmp_path / "keys" / "school-2", "school-2")
    kept(theirs, "r")
    for other, part in ((store, Part("r", 2, DAY)), (store, Part("q", 1, DAY)), (store, Part("r", 1, NEXT))):
        with pytest.raises(KeyMissing):
            other.open(part)
    assert theirs.open(which) != key
    moved = store.folder / "days" / DAY.isoformat() / "q.1.key"
    shutil.copy(moved.with_name(which.file), moved)
    with pytest.raises(KeyMissing):
        store.open(Part("q", 1, DAY))


def test_nothing_of_the_store_is_in_clear_or_for_others(store: KeyStore) -> None:
    _, key = kept(store, "r")
    files = [file for file in store.folder.rglob("*") if file.is_file()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert not any(key in file.read_bytes() or key.hex().encode() in file.read_bytes() for file in files)


def test_destroying_a_day_destroys_what_is_under_it_and_nothing_else(store: KeyStore) -> None:
    first, _ = kept(store, "a")
    held, key = kept(store, "b")
    later, other = kept(store, "c", NEXT)
    assert store.destroy_day(DAY, keep=["b"]) == ["a"]
    with pytest.raises(KeyMissing):
        store.open(first)
    assert (store.open(held), store.open(later)) == (key, other)
    assert store.days() == [NEXT]
    assert store.destroy_day(DAY) == []


def test_one_recording_can_be_destroyed_before_its_day(store: KeyStore) -> None:
    first, _ = kept(store, "a")
    second, key = kept(store, "b")
    store.destroy("a", DAY)
    assert not store.has(first)
    assert store.open(second) == key


def test_a_hold_outlives_its_day_and_ends_with_it(store: KeyStore) -> None:
    which, key = kept(store, "a")
    store.hold("a", DAY)
    store.hold("a", DAY)
    assert store.held() == ["a"]
    assert not (store.folder / "days" / DAY.isoformat() / which.file).exists(), "no copy stays under the day's key"
    store.destroy_day(DAY)
    assert store.open(which) == key
    store.destroy("a", DAY)
    assert not store.has(which)
    assert store.held() == []


def test_a_released_hold_is_back_under_its_day(store: KeyStore) -> None:
    which, key = kept(store, "a")
    store.hold("a", DAY)
    store.release("a", DAY)
    store.release("a", DAY)
    assert store.open(which) == key
    store.destroy_day(DAY)
    assert not store.has(which)


def test_a_hold_of_what_is_gone_is_refused_loudly(store: KeyStore) -> None:
    kept(store, "a")
    store.destroy_day(DAY)
    with pytest.raises(KeyMissing):
        store.hold("a", DAY)


def test_isolated_evidence_gives_its_key_to_nobody_and_is_kept(store: KeyStore) -> None:
    identity = pyrage.x25519.Identity.generate()
    which, key = kept(store, "a", recipients=(str(identity.to_public()),))
    store.hold("a", DAY, isolate=True)
    with pytest.raises(EvidenceIsolated):
        store.open(which)
    with pytest.raises(EvidenceIsolated):
        store.recover(which, str(identity))
    store.destroy_day(DAY)
    assert store.has(which)
    second, _ = kept(store, "a", part=2)
    with pytest.raises(EvidenceIsolated):
        store.open(second)
    store.release("a", NEXT)
    assert store.open(Part("a", 1, NEXT)) == key, "negative control: what is not isolated opens"


def test_a_recovery_key_opens_what_was_kept_for_it_and_nothing_after_its_day(store: KeyStore) -> None:
    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    which, key = kept(store, "a", recipients=(str(mine.to_public()),))
    shutil.rmtree(store.folder / "wrap")
    assert not store.has(which)
    assert store.recover(which, str(mine)) == key
    with pytest.raises(KeyMissing):
        store.recover(which, str(other))
    store.destroy_day(DAY)
    with pytest.raises(KeyMissing):
        store.recover(which, str(mine))


def test_rotation_changes_the_wrapping_and_not_the_keys(store: KeyStore) -> None:
    everything = [kept(store, f"r{n}", DAY + timedelta(days=n % 3)) for n in range(250)]
    store.hold("r1", everything[1][0].kept_until)
    before = (store.folder / "wrap" / "1.key").read_bytes()
    assert store.rotate() == 250
    assert [file.name for file in (store.folder / "wrap").iterdir()] == ["2.key"]
    assert all(store.open(which) == key for which, key in everything)
    (store.folder / "wrap" / "2.key").unlink()
    (store.folder / "wrap" / "1.key").write_bytes(before)
    assert not any(store.has(which) for which, _ in everything), "the old wrapping key opens nothing any more"


def test_a_rotation_that_died_is_finished_by_the_next(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [kept(store, f"r{n}") for n in range(120)]
    with monkeypatch.context() as patched:
        patched.setattr(KeyStore, "rewrap", _dying)
        with pytest.raises(KeyboardInterrupt):
            store.rotate()
    assert all(store.open(which) == key for which, key in everything)
    assert store.rotate() == 120
    assert len(list((store.folder / "wrap").iterdir())) == 1
    assert all(store.open(which) == key for which, key in everything)


@pytest.mark.parametrize("damaged", ["1.key", "bundle.key", "a.1.key"])
def test_an_old_wrapping_key_stays_while_a_record_that_is_there_cannot_be_read(store: KeyStore, damaged: str) -> None:
    which, key = kept(store, "a")
    other, _ = kept(store, "b", NEXT)
    wrap = store.folder / "wrap"
    [path] = [file for file in store.folder.rglob(damaged) if file.parent.name in (DAY.isoformat(), "wrap")]
    words = path.read_bytes()
    path.write_bytes(bytes(len(words)))
    with pytest.raises(StillNeeded, match=r"^\d records? in the key store cannot be read now"):
        store.rotate()
    path.write_bytes(words)
    assert store.open(which) == key
    assert store.has(other)
    store.rotate()
    assert len(list(wrap.iterdir())) == 1, "repeating it finishes"
    assert store.open(which) == key


@pytest.mark.parametrize("is_held", [False, True], ids=["under its day", "held"])
def test_no_wrapping_key_is_made_where_the_one_of_a_record_is_lost(store: KeyStore, is_held: bool) -> None:
    which, key = kept(store, "a")
    if is_held:
        store.hold("a", DAY)
    (store.folder / "wrap").rename(store.folder.parent / "lost")
    with pytest.raises(WrappingKeyLost, match=r"docs/backup\.md"):
        kept(store, "b")
    assert store.standing().is_lost
    assert not (store.folder / "wrap").exists()
    (store.folder.parent / "lost").rename(store.folder / "wrap")
    other, second = kept(store, "b")
    assert (store.open(which), store.open(other)) == (key, second), "put back from a copy, it opens what was, and what comes"


def test_a_store_without_a_record_gets_its_first_wrapping_key_also_after_all_was_destroyed(store: KeyStore) -> None:
    kept(store, "a")
    store.destroy_day(DAY)
    shutil.rmtree(store.folder / "wrap")
    assert not store.standing().is_lost
    which, key = kept(store, "b", NEXT)
    assert store.open(which) == key


def test_what_is_recorded_after_a_lost_wrapping_key_outlives_that_it_is_put_back(store: KeyStore) -> None:
    """The new one has another number: whoever copies the old one back overwrites nothing."""
    before, key = kept(store, "a")
    wrap = store.folder / "wrap"
    shutil.copytree(wrap, store.folder.parent / "copy")
    shutil.rmtree(wrap)
    with pytest.raises(StillNeeded, match="their wrapping key is not there"):
        store.rotate()
    after, second = kept(store, "b")
    assert not store.has(before), "negative control: it is lost"
    shutil.copytree(store.folder.parent / "copy", wrap, dirs_exist_ok=True)
    assert (store.open(before), store.open(after)) == (key, second)
    assert store.rotate() == 2
    assert [file.name for file in wrap.iterdir()] == ["3.key"], "repeating it finishes"
    assert (store.open(before), store.open(after)) == (key, second)


def test_a_volume_of_its_own_has_a_folder_that_is_no_school(store: KeyStore, tmp_path: Path) -> None:
    which, key = kept(store, "a")
    keys = store.folder.parent
    (keys / "lost+found").mkdir(mode=0)
    assert keycopies.schools(keys) == [store.school_id]
    keycopies.replay(keys)
    signer(store)
    found = keycopies.copy(keys)
    assert not any(name.startswith("lost") for name in found)
    (tmp_path / "new/lost+found").mkdir(parents=True)
    keycopies.put_back(tmp_path / "new", found)
    assert KeyStore(tmp_path / "new" / store.school_id, store.school_id).open(which) == key
    assert list((tmp_path / "new/lost+found").iterdir()) == []


def test_a_key_store_that_others_may_read_loses_no_key_to_a_rotation(store: KeyStore) -> None:
    which, key = kept(store, "a")
    files = list(store.folder.rglob("*.key"))
    for file in files:
        file.chmod(0o640)
    with pytest.raises(StillNeeded):
        store.rotate()
    for file in files:
        file.chmod(0o600)
    assert store.open(which) == key


def test_what_is_destroyed_while_a_rotation_runs_does_not_keep_the_old_key(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(store, "a")
    gone = [store.folder / "days" / DAY.isoformat() / "gone.1.key"]
    files = KeyStore._files
    monkeypatch.setattr(KeyStore, "_files", lambda store: files(store) + gone)
    assert store.rotate() == 1
    assert [file.name for file in (store.folder / "wrap").iterdir()] == ["2.key"]


def _dying(store: KeyStore, recipients: object, **_: object) -> int:
    store._rewrap(store._files()[:50], ())
    raise KeyboardInterrupt


def test_a_rotation_changes_nobody_who_may_open_a_record(store: KeyStore) -> None:
    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    which, key = kept(store, "a", recipients=(str(mine.to_public()),))
    bare, _ = kept(store, "b")
    store.rotate()
    assert store.recover(which, str(mine)) == key
    with pytest.raises(KeyMissing):
        store.recover(bare, str(mine))
    store.rotate([str(other.to_public())])
    assert store.recover(which, str(other)) == key, "negative control: one that is told to does"


def test_new_recipients_get_what_is_there_already(store: KeyStore) -> None:
    identity = pyrage.x25519.Identity.generate()
    which, key = kept(store, "a")
    assert store.rewrap([str(identity.to_public())]) == 1
    assert store.rewrap([str(identity.to_public())]) == 0
    assert store.recover(which, str(identity)) == key
    store.rewrap([])
    with pytest.raises(KeyMissing):
        store.recover(which, str(identity))


# -- what is on the disk -------------------------------------------------------------------------------------------------


def test_what_is_erased_is_overwritten_before_its_name_goes(tmp_path: Path) -> None:
    path, link = tmp_path / "a.key", tmp_path / "link"
    key = durable.create_key(path)
    link.hardlink_to(path)
    durable.erase(path)
    assert not path.exists()
    assert key not in link.read_bytes()
    assert set(link.read_bytes()) == {0}
    durable.erase(path)


def test_what_is_written_again_is_overwritten_too(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "link"
    durable.write(path, b"first")
    link.hardlink_to(path)
    durable.write(path, b"second")
    assert (path.read_bytes(), link.read_bytes()) == (b"second", bytes(5))


@pytest.mark.parametrize("spoil", [
    lambda path: path.write_bytes(bytes(48)), lambda path: path.write_bytes(path.read_bytes()[:40]),
    lambda path: path.chmod(0o644),
])
def test_a_half_erased_key_is_no_key(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    durable.create_key(tmp_path / "a.key")
    spoil(tmp_path / "a.key")
    with pytest.raises(durable.NoKey):
        durable.read_key(tmp_path / "a.key")


def _put_many(folder: Path, who: int) -> None:
    store = KeyStore(folder, "school-1")
    for n in range(20):
        store.put(Part(f"{who}-{n}", 1, DAY), bytes([who]) * 32)


WHO = (1, 2, 3)


def test_several_processes_share_a_store(store: KeyStore) -> None:
    workers = [multiprocessing.get_context("spawn").Process(target=_put_many, args=(store.folder, who)) for who in WHO]
    for worker in workers:
        worker.start()
    store.rotate()
    for worker in workers:
        worker.join(60)
    assert all(store.open(Part(f"{who}-{n}", 1, DAY)) == bytes([who]) * 32 for who in WHO for n in range(20))


# -- the shred list, and copies ----------------------------------------------------------------------------------------------


def shred(store: KeyStore, day: date, keep: tuple[str, ...] = ()) -> None:
    shredlist.add(store, signer(store), What.DAY, day, now=NOW)
    store.destroy_day(day, keep=keep)


def test_an_old_copy_of_the_keys_gives_nothing_back_that_was_destroyed_since(store: KeyStore, tmp_path: Path) -> None:
    gone, _ = kept(store, "a")
    early, _ = kept(store, "b", NEXT)
    held, key = kept(store, "c")
    later, other = kept(store, "d", NEXT)
    signer(store)
    copy = keycopies.copy(store.folder.parent)
    shredlist.add(store, signer(store), What.HELD, DAY, "c", now=NOW)
    store.hold("c", DAY)
    shredlist.add(store, signer(store), What.RECORDING, NEXT, "b", now=NOW)
    store.destroy("b", NEXT)
    shred(store, DAY, ("c",))
    lists = keycopies.shred_lists(store.folder.parent)

    without = tmp_path / "without"
    keycopies.put_back(without, copy)
    assert KeyStore(without / "school-1", "school-1").has(gone), "negative control: the copy itself still has it"

    again = tmp_path / "again"
    keycopies.put_back(again, copy, [{}, lists])
    restored = KeyStore(again / "school-1", "school-1")
    assert not restored.has(gone)
    assert not restored.has(early)
    assert (restored.open(held), restored.open(later)) == (key, other)
    assert restored.held() == ["c"]
    keycopies.replay(again)
    assert restored.open(held) == key


def test_what_was_let_go_and_isolated_since_is_so_in_a_restored_copy(store: KeyStore, tmp_path: Path) -> None:
    released, _ = kept(store, "a")
    isolated, _ = kept(store, "b")
    late, key = kept(store, "c", NEXT)
    for recording_id in ("a", "c"):
        shredlist.add(store, signer(store), What.HELD, DAY if recording_id == "a" else NEXT, recording_id, now=NOW)
        store.hold(recording_id, DAY if recording_id == "a" else NEXT)
    copy = keycopies.copy(store.folder.parent)
    for what, day, recording_id in ((What.RELEASED, DAY, "a"), (What.ISOLATED, DAY, "b"), (What.RELEASED, NEXT, "c")):
        shredlist.add(store, signer(store), what, day, recording_id, now=NOW)
    shredlist.add(store, signer(store), What.DAY, DAY, now=NOW)
    keycopies.put_back(tmp_path / "again", copy, [keycopies.shred_lists(store.folder.parent)])
    restored = KeyStore(tmp_path / "again" / "school-1", "school-1")
    assert not restored.has(released)
    assert restored.open(late) == key
    assert restored.held() == ["b"]
    with pytest.raises(EvidenceIsolated):
        restored.open(isolated)


def test_a_line_that_was_written_is_carried_out_even_if_the_service_died_after_it(store: KeyStore) -> None:
    which, _ = kept(store, "a")
    shredlist.add(store, signer(store), What.DAY, DAY, now=NOW)
    keycopies.replay(store.folder.parent)
    assert not store.has(which)


@pytest.mark.parametrize("torn", [b"", b"x" * 100, b"x" * 3 * shredlist.TAIL])
def test_a_long_list_goes_on_after_its_last_whole_line_of_which_only_the_end_is_read(store: KeyStore, torn: bytes) -> None:
    path, public = store.folder / shredlist.NAME, signer(store).public
    for n in range(30):
        shredlist.add(store, signer(store), What.HELD, DAY, f"{n:032x}", now=NOW)
    whole = path.read_bytes()
    assert len(whole) > 2 * shredlist.TAIL
    path.write_bytes(whole + torn)
    shredlist.add(store, signer(store), What.HELD, DAY, f"{29:032x}", now=NOW)
    assert path.read_bytes() == whole + torn, "the last line again is not added"
    shredlist.add(store, signer(store), What.RELEASED, DAY, "a", now=NOW)
    assert path.read_bytes().startswith(whole)
    assert [line.recording_id for line in shredlist.lines(store, public)] == [*(f"{n:032x}" for n in range(30)), "a"]


def test_a_changed_shortened_or_foreign_list_is_refused(store: KeyStore) -> None:
    for n in range(3):
        shred(store, DAY + timedelta(days=n))
    path, public = store.folder / shredlist.NAME, signer(store).public
    data = path.read_bytes()
    assert len(shredlist.read(data, "school-1", public)) == 3
    rows = data.splitlines(keepends=True)
    for wrong in (data.replace(b"2026-12-25", b"2026-12-29"), rows[0] + rows[2], rows[1] + rows[0], rows[0] + b"{}\n"):
        with pytest.raises(ListChanged):
            shredlist.read(wrong, "school-1", public)
    with pytest.raises(ListChanged):
        shredlist.read(data, "school-2", public)
    with pytest.raises(ListChanged):
        shredlist.newest([data, rows[0] + b"{}\n"], "school-1", public)
    assert shredlist.newest([rows[0], data, b""], "school-1", public) == data


def test_a_torn_last_line_is_written_again_and_nothing_is_told_twice(store: KeyStore) -> None:
    shred(store, DAY)
    path = store.folder / shredlist.NAME
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    shred(store, NEXT)
    shred(store, NEXT)
    assert [line.day for line in shredlist.lines(store, signer(store).public)] == [DAY, NEXT]


def test_a_copy_is_put_back_into_an_empty_folder_only(store: KeyStore, tmp_path: Path) -> None:
    kept(store, "a")
    copy = keycopies.copy(store.folder.parent)
    with pytest.raises(FileExistsError):
        keycopies.put_back(store.folder.parent, copy)
    with pytest.raises(ValueError, match="leads out"):
        keycopies.put_back(tmp_path / "new", {"../outside": b""})
