"""T22, T24 and the server's own settings: what a log, a neighbour on the machine, a proxy or an impatient page gets."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import text

from lessons.live.registry import KNOCKS, KNOCKS_SECONDS
from service import __main__ as command
from tests.room.pages import Lesson
from tests.school import Running, running

NAME = "Zebedee Nonesuch"


async def test_an_error_of_the_database_names_no_child_in_the_log(school: Running) -> None:
    wrong = text("insert into person (id, given_name) values (:id, :name)").bindparams(id="x", name=NAME)
    async with school.database.reading() as session:
        with pytest.raises(DBAPIError) as refused:
            await session.exec(wrong)
    assert NAME not in str(refused.value)
    assert "insert into person" in str(refused.value), "what went wrong is still said"


def test_nobody_else_on_the_machine_reads_the_database_whatever_its_folder_allows(tmp_path: Path) -> None:
    folder, before = tmp_path / "data", os.umask(0o022)
    try:
        folder.mkdir(mode=0o755)
        assert command.main(["migrate", "--data", str(folder)]) == 0
    finally:
        os.umask(before)
    readable = [path.name for path in folder.iterdir() if path.is_file() and path.stat().st_mode & 0o077]
    assert (folder / "chaperone.sqlite3").exists()
    assert readable == []


DYING = "import atexit, os, runpy, sys; atexit.register(os.abort); runpy.run_module(sys.argv.pop(1), run_name='__main__')"
PLAIN = not Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/"))


@pytest.mark.parametrize(("module", "leaves"), [("service", False), ("this", PLAIN)], ids=["the service", "any other program"])
def test_a_service_that_dies_leaves_no_dump_of_its_memory(tmp_path: Path, module: str, leaves: bool) -> None:
    """Whatever the machine allows. Negative control: of another program the same death leaves what it had in memory."""
    env = {**os.environ, "CANARY": NAME, "PYTHONPATH": str(Path(command.__file__).parents[1])}
    died = subprocess.run(["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", sys.executable, "-c", DYING, module, "--help"],
                          cwd=tmp_path, env=env, capture_output=True, check=False)
    assert died.returncode == -signal.SIGABRT, died.stderr
    dumps = list(tmp_path.iterdir())
    assert bool(dumps) is leaves
    assert all(NAME.encode() in dump.read_bytes() for dump in dumps)


@pytest.mark.parametrize(("public_url", "secure"), [("https://chaperone.test", True), ("", False)])
async def test_a_cookie_stays_secure_behind_a_proxy_that_forgets_to_say_https(
    tmp_path: Path, template: Path, public_url: str, secure: bool,
) -> None:
    async with running(tmp_path / "data", template=template, public_url=public_url) as school:
        school.app.state.dev_links = {"link": school.person("teacher")}
        async with school.client() as client:
            answer = await client.get("/dev/sign-in/link")
    assert ("secure" in answer.headers["set-cookie"].lower()) is secure
    assert answer.headers["strict-transport-security"]


@pytest.mark.parametrize(("proxy", "public_url", "starts"), [
    ("127.0.0.1", "https://lessons.school.example", True),
    ("*", "https://lessons.school.example", False),
    ("10.0.0.1,0.0.0.0/0", "https://lessons.school.example", False),
    ("127.0.0.1", "http://lessons.school.example", False),
    ("127.0.0.1", "", False),
])
def test_the_server_starts_only_behind_a_named_proxy_with_a_secure_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, public_url: str, starts: bool,
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(command._RealServer, "run", lambda server: started.append(server))
    monkeypatch.setattr(command.os, "umask", lambda mask: mask)
    monkeypatch.setenv("CHAPERONE_TRUSTED_PROXY", proxy)
    monkeypatch.setenv("CHAPERONE_PUBLIC_URL", public_url)
    assert command.main(["serve", "--data", str(tmp_path)]) == (0 if starts else 2)
    assert bool(started) is starts


async def test_a_page_that_storms_the_door_keeps_nobody_else_out(school: Running) -> None:
    lesson = Lesson(school)
    storming, other = await lesson.page(lesson.pupil_ids[0]), await lesson.page(lesson.pupil_ids[1])
    codes = [(await storming.door()).status_code for _ in range(KNOCKS + 3)]
    assert codes == [200] * KNOCKS + [503] * 3
    assert (await storming.door()).json()["code"] == "too-often"
    assert (await other.door()).status_code == 200
    school.clock.advance(KNOCKS_SECONDS + 1)
    assert (await storming.door()).status_code == 200, "and the page comes back by itself"
    await lesson.end()
