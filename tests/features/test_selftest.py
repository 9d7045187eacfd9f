"""The self-test asks a real service, in a process of its own; and each of its answers turns wrong when its guard is taken out."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlmodel import col, select

from recordings import proof
from recordings.tables import Recording, RecordingKey
from recordings.vault import Vault
from service.foundation import audit
from service.foundation.clock import SystemClock
from service.foundation.db import Database
from service.people import queries
from service.people.tables import Person, School, SignIn
from service.safeguarding.tables import Alert
from service.selftest import report
from service.selftest.questions import QUESTIONS
from tests.architecture.files import ROOT
from tests.browser.programs import Program, Service


class Sabotaged(Program):
    """The service without one guard."""

    def __init__(self, folder: Path, name: str) -> None:
        command = [sys.executable, "-m", "tests.sabotage", name, str(folder / "data")]
        super().__init__(command, folder / "service.log", stdout=subprocess.PIPE, text=True)
        self.url = str(json.loads(self.process.stdout.readline())["base_url"])  # type: ignore[union-attr]


@dataclass(frozen=True)
class Run:
    """What the command answered: its exit code, the signed file, and the lines it said on the way."""

    code: int
    file: str
    said: str

    @property
    def words(self) -> dict[str, Any]:
        return dict(json.loads(self.file)["report"])

    def outcome(self, question: str) -> str:
        return next(str(one["outcome"]) for one in self.words["answers"] if one["id"] == question)


async def selftest(data: Path, url: str, *more: str) -> Run:
    """`chaperone selftest`, as somebody types it."""
    command = [sys.executable, "-m", "service", "selftest", "--data", str(data), "--url", url, "--json", *more]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    out, said = await process.communicate()
    assert process.returncode is not None
    return Run(process.returncode, out.decode(), said.decode())


def verified(data: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "service", "verify", "--data", str(data), "--report", str(path)], cwd=ROOT,
                          capture_output=True, text=True, check=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tested(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Path, Run]]:
    """The demo school's service as `make run` starts it, after one run."""
    service = Service(tmp_path_factory.mktemp("selftest"))
    try:
        await service.ready()
        yield service.folder / "data", await selftest(service.folder / "data", service.url)
    finally:
        service.kill()


@pytest.fixture
async def database(tested: tuple[Path, Run]) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{tested[0] / 'chaperone.sqlite3'}", {"clock": SystemClock()})
    yield opened
    await opened.close()


async def test_the_service_answers_every_question_as_it_must_within_a_minute(tested: tuple[Path, Run]) -> None:
    _, run = tested
    assert run.code == 0, run.file + run.said
    assert {one["id"]: one["outcome"] for one in run.words["answers"]} == {question.id: "shown" for question in QUESTIONS}
    assert run.words["passed"]
    assert run.words["seconds"] < 60
    measured = {one["id"]: one["measured"] for one in run.words["answers"]}
    assert measured["alone"]["bytes_while_held"] == 0
    assert 0 < measured["alone"]["vanish_to_last_byte"] <= 2.5
    assert measured["unrecorded"]["packets_delivered"] > 50
    assert measured["stranger"]["addresses_tried"] > 80


async def test_its_report_verifies_and_a_changed_one_does_not(tested: tuple[Path, Run], tmp_path: Path) -> None:
    data, _ = tested
    for kind in ("json", "html"):
        path = next(path for path in (data / "selftest").glob(f"2*.{kind}"))
        assert verified(data, path).returncode == 0
        changed = tmp_path / path.name
        changed.write_text(path.read_text().replace("No.", "Yes.", 1))
        assert changed.read_text() != path.read_text()
        assert verified(data, changed).returncode == 1


async def test_it_leaves_a_real_school_and_its_lists_as_they_were(tested: tuple[Path, Run], database: Database) -> None:
    async with database.reading() as session:
        only = await queries.only_school(session)
        other = (await session.exec(select(School).where(School.is_self_test))).one()
        assert only is not None
        assert only.id != other.id
        alerts = (await session.exec(select(Alert).where(Alert.school_id == only.id))).all()
        assert alerts == []
        still_here = (await session.exec(select(Person.id).where(
            Person.school_id == other.id, col(Person.left_on).is_(None)))).all()
        assert still_here == []
        signed_in = (await session.exec(select(SignIn.id).where(
            SignIn.school_id == other.id, col(SignIn.ended_at).is_(None)))).all()
        assert signed_in == []


async def test_nobody_can_read_what_it_recorded_and_everything_still_verifies(tested: tuple[Path, Run],
                                                                             database: Database) -> None:
    data, _ = tested
    async with database.reading() as session:
        other = (await session.exec(select(School.id).where(School.is_self_test))).one()
        recorded = (await session.exec(select(Recording.id).where(Recording.school_id == other))).all()
        keys = (await session.exec(select(RecordingKey).where(RecordingKey.school_id == other))).all()
        assert len(recorded) == len(QUESTIONS)
        assert all(key.destroyed_at is not None and not key.wrapped for key in keys)
        assert await proof.verify(session, Vault(data)) == []
        assert await audit.verify(session, audit.signing_key(data / "keys").public_key()) == []


async def test_its_report_names_nobody(tested: tuple[Path, Run], database: Database) -> None:
    _, run = tested
    async with database.reading() as session:
        names = (await session.exec(select(Person.given_name, Person.family_name))).all()
    assert [name for pair in names for name in pair if len(name) > 3 and name in run.file and name != "Parent"] == []


@pytest.mark.parametrize(("sabotage", "question", "outcome"), [
    ("lone_adults", "alone", "wrong"),
    ("unwritten", "unrecorded", "wrong"),
    ("blind_to_its_file", "recorder-stops", "wrong"),
    ("without_consent", "consent", "wrong"),
    ("without_adults", "no-adult", "wrong"),
    ("whispering", "private", "wrong"),
    ("open_doors", "stranger", "wrong"),
    ("never_open", "private", "not-shown"),
])
async def test_each_answer_turns_wrong_without_its_guard(sabotage: str, question: str, outcome: str, tmp_path: Path) -> None:
    service = Sabotaged(tmp_path, sabotage)
    try:
        run = await selftest(tmp_path / "data", service.url, "--only", question)
    finally:
        service.kill()
    assert run.code == 1, run.file + run.said
    assert run.outcome(question) == outcome, run.file
    assert not run.words["passed"]
    report.verified(run.file, audit.signing_key(tmp_path / "data/keys").public_key())


async def test_a_service_that_does_not_answer_passes_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    run = await selftest(tmp_path / "data", "http://127.0.0.1:9")
    assert (run.code, run.file) == (2, "")
    assert "does not answer" in run.said
    assert os.listdir(tmp_path / "data/selftest") == ["lock"]
