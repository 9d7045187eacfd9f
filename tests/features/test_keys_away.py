"""A school is never served with keys that are not its own: where they are not, none are made (decision 210).

policy: RE2, RE5, AC6
"""

import asyncio
import shutil
from pathlib import Path

import pytest

from service.__main__ import main
from service.foundation.keys import KeysAway, check_new_or_there, ed25519
from service.foundation.settings import Settings
from service.people import hashing
from tests.school import Running, running
from tests.storage import recorded


def folder_of(school: Running) -> Path:
    settings: Settings = school.app.state.settings
    return settings.keys


async def test_a_school_whose_keys_are_not_there_does_not_start_and_gets_no_others(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path / "data", template=template):
        pass
    (tmp_path / "mount").mkdir()
    with pytest.raises(KeysAway, match="CHAPERONE_KEYS_FOLDER"):
        async with running(tmp_path / "data", keys_folder=tmp_path / "mount"):
            pass
    assert list((tmp_path / "mount").iterdir()) == []
    (tmp_path / "mount").rmdir()
    shutil.move(tmp_path / "data/keys", tmp_path / "mount")
    async with running(tmp_path / "data", keys_folder=tmp_path / "mount"):
        pass  # negative control: with its own keys it starts


@pytest.mark.sqlite
@pytest.mark.parametrize("words", [["verify"], ["migrate"], ["chair", "kit@example.org"], ["selftest"], ["seed"],
                                   ["verify", "--report", "none"]], ids=" ".join)
async def test_no_command_makes_keys_beside_a_school_that_has_them_elsewhere(
    words: list[str], tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("service.__main__._log_to_stderr", lambda: None)
    monkeypatch.setattr("os.umask", lambda mask: mask)
    shutil.copy(template / "chaperone.sqlite3", tmp_path)
    assert await asyncio.to_thread(main, [*words, "--data", str(tmp_path)]) == 2
    assert "CHAPERONE_KEYS_FOLDER" in capsys.readouterr().err
    assert not (tmp_path / "keys").exists()


async def test_a_school_with_recordings_does_not_start_without_the_key_that_signed_them(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path / "data", template=template) as school:
        begun = await recorded.sealed(school.app.state, "lesson-1")
        signing = folder_of(school) / begun.header.school_id / "recordings.sign"
    signing.rename(tmp_path / "aside")
    with pytest.raises(KeysAway, match="folder of keys"):
        async with running(tmp_path / "data"):
            pass
    assert not signing.exists()
    (tmp_path / "aside").rename(signing)
    async with running(tmp_path / "data"):
        pass


def test_before_there_is_a_database_keys_may_be_made(tmp_path: Path) -> None:
    url = Settings(data=tmp_path).url
    check_new_or_there(tmp_path / "keys", url)
    (tmp_path / "chaperone.sqlite3").touch()
    check_new_or_there(tmp_path / "keys", url)
    (tmp_path / "chaperone.sqlite3").write_bytes(b"x")
    with pytest.raises(KeysAway):
        check_new_or_there(tmp_path / "keys", url)
    ed25519(tmp_path / "keys", "signing")
    check_new_or_there(tmp_path / "keys", url)


@pytest.mark.postgresql(only=True)
async def test_on_a_database_server_it_is_the_same(school: Running, tmp_path: Path) -> None:
    with pytest.raises(KeysAway):
        check_new_or_there(tmp_path / "keys", school.app.state.settings.url)
    check_new_or_there(folder_of(school), school.app.state.settings.url)


def test_a_pepper_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    first = hashing.pepper(tmp_path / "keys")
    assert hashing.pepper(tmp_path / "keys").secret("x", "y") == first.secret("x", "y")
    assert [each.name for each in (tmp_path / "keys").iterdir()] == ["pepper"]
    (tmp_path / "keys/pepper").write_bytes(b"")
    with pytest.raises(hashing.PepperDamaged):
        hashing.pepper(tmp_path / "keys")
