"""A back-up is restored to try it, beside the service: however that ends, no second copy of the keys stays.

policy: AC6, RE2
"""

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recordings import keycopies
from service.backup import restoring, saving
from service.backup.trying import Aside, remove_what_was_killed
from service.foundation.settings import Settings
from tests.school import Running, running
from tests.storage import recorded
from tests.storage.backups import Places, files, in_folders, quiet

WAITS = """
import asyncio, signal, sys
from service.__main__ import main
from service.backup import restoring

def bringing(*given):
    print("waits", flush=True)
    signal.pause()

async def verifying(*given, **more):
    print("waits", flush=True)
    await asyncio.Event().wait()

if sys.argv[1] == "bringing":
    restoring._file = bringing
if sys.argv[1] == "verifying":
    restoring.verified = verifying
sys.exit(main(sys.argv[2:]))
"""
MOMENTS = pytest.mark.parametrize("moment", ["bringing", "verifying"])


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return in_folders(tmp_path)


@pytest.fixture
async def school(tmp_path: Path, template: Path) -> AsyncIterator[Running]:
    """Its keys lie on a volume of their own."""
    shutil.copytree(template, tmp_path / "disk")
    shutil.move(tmp_path / "disk/keys", tmp_path / "volume")
    async with running(tmp_path / "disk", keys_folder=tmp_path / "volume") as started:
        await recorded.sealed(started.app.state, "lesson-1")
        yield started


async def backs_up(school: Running, places: Places, *more: str, moment: str = "never") -> Process:
    """The command as a timer runs it, in a process of its own. Returns when it waits in that moment of its check."""
    settings: Settings = school.app.state.settings
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WAITS, moment, "backup", places.data_at, "--keys-to", places.keys_at, "--data", settings.data,
        *more, stdout=PIPE, stderr=PIPE, env=os.environ | {"CHAPERONE_BACKUP_RECIPIENTS": str(places.identity.to_public()),
                                                           "CHAPERONE_KEYS_FOLDER": str(settings.keys)})
    if moment != "never":
        assert child.stdout is not None
        async with asyncio.timeout(120):
            while (line := await child.stdout.readline()) != b"waits\n":
                assert line, (await child.communicate())[1].decode()
    return child


def left(settings: Settings) -> list[Path]:
    """Whatever is there of a check, under its name or while it is removed."""
    return [*settings.keys.glob(".check*"), *(settings.data / "backup").glob("check*")]


def with_a_key(settings: Settings, folder: Path) -> list[Path]:
    secrets = [path.read_bytes() for path in settings.keys.rglob("*") if path.name.endswith((".pem", ".key", ".sign", ".data"))]
    return [path for path in files(str(folder)) if any(secret in path.read_bytes() for secret in secrets)]


@MOMENTS
async def test_a_check_that_is_killed_leaves_keys_in_the_folder_of_keys_alone_and_the_next_start_removes_all_of_it(
    school: Running, places: Places, moment: str
) -> None:
    settings: Settings = school.app.state.settings
    child = await backs_up(school, places, "--check", moment=moment)
    child.send_signal(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    assert with_a_key(settings, settings.keys / ".check"), "negative control: the keys are there, and the search finds them"
    assert bool(list((settings.data / "backup/check").rglob("*.rec"))) == (moment == "verifying")
    assert with_a_key(settings, settings.data) == []
    assert not any(name.startswith(".") for name in keycopies.copy(settings.keys)), "nor are they copied as a school's"
    remove_what_was_killed(settings)
    assert left(settings) == []


async def test_a_start_of_the_service_removes_what_a_killed_check_left_an_earlier_version_s_too(
    school: Running, places: Places, tmp_path: Path
) -> None:
    settings, clock = school.app.state.settings, school.clock
    await asyncio.to_thread(places.save, school)
    restoring.bring_back(places.opened(), Aside.of(settings).data, quiet)  # with its keys beside the recordings
    restoring.bring_back_keys(places.opened(), Aside.of(settings).keys)
    assert with_a_key(settings, settings.data), "negative control"
    shutil.copytree(settings.data, tmp_path / "again")
    async with running(tmp_path / "again", keys_folder=settings.keys, clock=clock) as again:
        assert left(again.app.state.settings) == []
        assert with_a_key(settings, tmp_path / "again") == []
        assert len(list((tmp_path / "again/recordings").rglob("*.rec"))) == 1


@MOMENTS
async def test_a_check_that_is_stopped_removes_all_of_it_before_it_ends(school: Running, places: Places, moment: str) -> None:
    child = await backs_up(school, places, "--check", moment=moment)
    assert left(school.app.state.settings)
    child.send_signal(signal.SIGTERM)
    assert await child.wait() == 128 + signal.SIGTERM
    assert left(school.app.state.settings) == []


@pytest.mark.parametrize("how", [(), ("--check",)], ids=["made", "tried too"])
async def test_the_next_back_up_removes_it_too(school: Running, places: Places, how: tuple[str, ...]) -> None:
    settings: Settings = school.app.state.settings
    for folder in (Aside.of(settings).data, Aside.of(settings).keys):
        folder.mkdir(parents=True)
        (folder / "signing.pem").touch()
    child = await backs_up(school, places, *how)
    said, wrong = await child.communicate()
    assert child.returncode == 0, wrong.decode()
    assert ("are whole" in said.decode()) == bool(how)
    assert left(settings) == []


async def test_a_check_that_is_going_on_is_left_alone_and_no_back_up_is_made_beside_it(school: Running, places: Places) -> None:
    settings: Settings = school.app.state.settings
    Aside.of(settings).keys.mkdir()
    with saving.alone(settings.data):
        remove_what_was_killed(settings)
        assert left(settings)
        child = await backs_up(school, places)
        assert "Another back-up is being made or tried" in (await child.communicate())[1].decode()
        assert (child.returncode, len(left(settings))) == (2, 1)
    remove_what_was_killed(settings)
    assert left(settings) == [], "negative control: when it is over"
