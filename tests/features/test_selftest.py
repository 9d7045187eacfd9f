"""The self-test asks a real service, in a process of its own; and each of its answers turns wrong when its guard is taken out."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from playwright.async_api import expect
from sqlmodel import SQLModel, col, func, select

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
from service.selftest.report import Outcome
from tests.architecture.files import ROOT
from tests.browser.lesson_page import chromium
from tests.browser.programs import Program, Service
from tests.school import Running


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


@dataclass(frozen=True)
class Ran:
    """The demo school's service after one run."""

    service: Service
    data: Path
    run: Run


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
async def tested(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ran]:
    """The demo school's service as `make run` starts it, after one run."""
    service = Service(tmp_path_factory.mktemp("selftest"))
    try:
        await service.ready()
        run = await selftest(service.folder / "data", service.url)
        yield Ran(service, service.folder / "data", run)
    finally:
        service.kill()


@pytest.fixture
async def database(tested: Ran) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{tested.data / 'chaperone.sqlite3'}", {"clock": SystemClock()})
    yield opened
    await opened.close()


async def test_the_service_answers_every_question_as_it_must_within_a_minute(tested: Ran) -> None:
    run = tested.run
    assert run.code == 0, run.file + run.said
    assert {one["id"]: one["outcome"] for one in run.words["answers"]} == {question.id: "shown" for question in QUESTIONS}
    assert run.words["passed"]
    assert run.words["seconds"] < 60
    measured = {one["id"]: one["measured"] for one in run.words["answers"]}
    assert measured["alone"]["bytes_while_held"] == 0
    assert 0 < measured["alone"]["vanish_to_last_byte"] <= 2.5
    assert measured["unrecorded"]["packets_delivered"] > 50
    assert measured["stranger"]["addresses_tried"] > 80


async def test_its_report_verifies_and_a_changed_one_does_not(tested: Ran, tmp_path: Path) -> None:
    for kind in ("json", "html"):
        path = next(tested.data.glob(f"selftest/2*.{kind}"))
        assert report.verified(path.read_text(), public(tested.data)).is_passed
        for old, new in (("No.", "Yes."), ("2.5", "2.6"), ("0 bytes", "9 bytes"), ("passed", "PASSED"), ("seconds", "minutes")):
            changed = path.read_text().replace(old, new, 1)
            if changed != path.read_text():
                with pytest.raises(report.ReportChanged):
                    report.verified(changed, public(tested.data))


async def test_the_command_tells_a_genuine_report_from_a_changed_one(tested: Ran, tmp_path: Path) -> None:
    path = next(tested.data.glob("selftest/2*.html"))
    changed = tmp_path / path.name
    changed.write_text(path.read_text().replace("<strong>No.</strong>", "<strong>Yes.</strong>", 1))
    assert changed.read_text() != path.read_text()
    assert [verified(tested.data, each).returncode for each in (path, changed)] == [0, 1]


async def test_it_leaves_a_real_school_and_its_lists_as_they_were(tested: Ran, database: Database) -> None:
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


async def test_nobody_can_read_what_it_recorded_and_everything_still_verifies(tested: Ran, database: Database) -> None:
    data = tested.data
    async with database.reading() as session:
        other = (await session.exec(select(School.id).where(School.is_self_test))).one()
        recorded = (await session.exec(select(Recording.id).where(Recording.school_id == other))).all()
        keys = (await session.exec(select(RecordingKey).where(RecordingKey.school_id == other))).all()
        assert len(recorded) == len(QUESTIONS)
        assert all(key.destroyed_at is not None for key in keys)
        assert await proof.verify(session, Vault(data)) == []
        assert await audit.verify(session, audit.signing_key(data / "keys").public_key()) == []


async def test_a_second_run_leaves_no_more_behind_than_the_first_but_audit(tested: Ran, database: Database) -> None:
    async def rows() -> dict[str, int]:
        async with database.reading() as session:
            its = (await session.exec(select(School.id).where(School.is_self_test))).one()
            return {table.name: (await (await session.connection()).execute(select(func.count()).select_from(table).where(
                table.c.school_id == its))).scalar_one() for table in SQLModel.metadata.sorted_tables if "school_id" in table.c}

    async def folders() -> int:
        return len(list((tested.data / "recordings").iterdir()))

    before, kept = await rows(), await folders()
    assert (await selftest(tested.data, tested.service.url)).code == 0
    after = await rows()
    assert before["person"]
    assert before["journal_entry"]
    grown = {name for name in after if after[name] > before[name] * 1.2 and after[name] > before[name] + 3}
    assert grown <= {"audit_leaf", "audit_body"}
    assert await folders() == kept
    async with database.reading() as session:
        assert await audit.verify(session, public(tested.data)) == []
        assert await proof.verify(session, Vault(tested.data)) == []


async def test_its_report_names_nobody(tested: Ran, database: Database) -> None:
    run = tested.run
    async with database.reading() as session:
        names = (await session.exec(select(Person.given_name, Person.family_name))).all()
    assert [name for pair in names for name in pair if len(name) > 3 and name in run.file and name != "Parent"] == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 1280])
async def test_governors_read_it_on_a_page_and_in_its_file_whatever_the_screen(tested: Ran, width: int, tmp_path: Path) -> None:
    html = next(tested.data.glob("selftest/2*.html"))
    async with chromium() as browser:
        context = await browser.new_context(base_url=tested.service.url, viewport={"width": width, "height": 900})
        page = await context.new_page()
        for address in ("/proof", html.as_uri()):
            await page.goto(tested.service.first("governor")["sign_in_url"])
            await page.goto(address)
            await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Proof, tested "))
            for question in QUESTIONS:
                await expect(page.get_by_text(question.words).first).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            assert (await Axe().run(page)).response["violations"] == []
            if pictures := os.environ.get("CHAPERONE_PICTURES"):
                name = f"{'page' if address == '/proof' else 'file'}-{width}.png"
                await page.screenshot(path=Path(pictures) / name, full_page=True)
        async with page.expect_download() as downloading:
            await page.goto("/proof")
            await page.get_by_role("link", name="the signed report as a page").click()
        kept = tmp_path / "kept.html"
        await (await downloading.value).save_as(kept)
        await context.close()
    assert report.verified(kept.read_text(), public(tested.data)).is_passed


def public(data: Path) -> Ed25519PublicKey:
    return audit.signing_key(data / "keys").public_key()


async def put(school: Running, at: datetime, *, outcome: Outcome = Outcome.SHOWN) -> Path:
    """A signed report of one answer where the service looks for it."""
    data = school.app.state.settings.data
    answer = report.Answer("alone", "Can a teacher be alone with a pupil?", "No.", outcome, ("Tried.",), {}, "RL1")
    made = report.Report(at, 9.0, "https://lessons.school.example", True, (answer,))
    report.keep(data, report.signed(made, audit.signing_key(school.app.state.keys)), at)
    return Path(data) / "selftest" / "latest.json"


@pytest.mark.parametrize("role", ["governor", "headteacher", "senior_leader", "dsl", "technician"])
async def test_who_answers_for_the_school_sees_the_last_report(school: Running, role: str) -> None:
    client = await school.signed_in(role)
    assert "Nobody has run the self-test yet" in (await client.get("/proof")).text
    await put(school, school.clock.now())
    page = (await client.get("/proof")).text
    assert "Proof, tested today 10am" in page
    assert "Passed" in page
    assert (await client.get("/proof/report.json")).json()["report"]["passed"]


@pytest.mark.parametrize("role", ["teacher", "pupil", "parent", "office"])
async def test_to_everybody_else_the_page_does_not_exist(school: Running, role: str) -> None:
    client = await school.signed_in(role)
    assert [(await client.get(path)).status_code for path in ("/proof", "/proof/report.json", "/proof/report.html")] == [404] * 3


@pytest.mark.parametrize(("outcome", "tag", "words"), [
    (Outcome.WRONG, "Fails", "No lesson can start until this passes"),
    (Outcome.NOT_SHOWN, "Not shown", "Do not teach here until this passes"),
])
async def test_a_wrong_answer_says_so_and_what_to_do(school: Running, outcome: Outcome, tag: str, words: str) -> None:
    await put(school, school.clock.now(), outcome=outcome)
    page = (await (await school.signed_in("governor")).get("/proof")).text
    assert tag in page
    assert words in page
    assert "Passed" not in page


async def test_a_report_that_was_changed_where_it_lies_is_not_shown(school: Running) -> None:
    kept = await put(school, school.clock.now(), outcome=Outcome.WRONG)
    kept.write_text(kept.read_text().replace('"wrong"', '"shown"').replace('"passed": false', '"passed": true'))
    page = (await (await school.signed_in("governor")).get("/proof")).text
    assert "Not genuine" in page
    assert "alone with a pupil" not in page


async def test_a_report_of_last_month_is_called_old(school: Running) -> None:
    await put(school, school.clock.now() - timedelta(days=30))
    page = (await (await school.signed_in("governor")).get("/proof")).text
    assert "more than a week ago" in page
    assert "Sunday 25 October, 10am" in page


async def test_another_installation_s_report_is_not_genuine(school: Running, tmp_path: Path) -> None:
    file = (await put(school, school.clock.now())).read_text()
    with pytest.raises(report.ReportChanged):
        report.verified(file, public(tmp_path / "other"))


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
    report.verified(run.file, public(tmp_path / "data"))


async def test_a_service_that_does_not_answer_passes_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    public(tmp_path / "data")  # an installation has its keys
    run = await selftest(tmp_path / "data", "http://127.0.0.1:9")
    assert (run.code, run.file) == (2, "")
    assert "does not answer" in run.said
    assert os.listdir(tmp_path / "data/selftest") == ["lock"]
