from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from lessons.live.host import Host
from lessons.live.monitor import Forbidden
from recordings.preparation import sandbox
from tests.school import Running, running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What each proof covered, whichever worker ran it: `record_property("covered", words)`."""
    reports = [report for found in terminalreporter.stats.values() for report in found if getattr(report, "when", "") == "call"]
    said = [(report.nodeid.partition("::")[2], words) for report in reports for name, words in report.user_properties
            if name == "covered"]
    if said:
        terminalreporter.section("what the proofs covered")
        for test, words in said:
            terminalreporter.write_line(f"{test}:\n    {words}")


@pytest.fixture(autouse=True)
def forbidden(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Forbidden]]:
    """The wire monitor watches every room of every test: one forbidden delivery fails it. A negative control clears the list."""
    found: list[Forbidden] = []
    stops = Host._seen_on_the_wire

    def seen(host: Host, one: Forbidden) -> None:
        found.append(one)
        stops(host, one)

    monkeypatch.setattr(Host, "_seen_on_the_wire", seen)
    yield found
    if "without " not in request.node.name.partition("[")[2]:  # a control without a guard is noticed
        assert found == []


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is prepared after a lesson is prepared now: a machine that runs tests is never idle."""
    monkeypatch.setattr(sandbox, "WHEN", "now")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, seeded data folder, made once a run."""
    folder = tmp_path_factory.mktemp("template")
    async with running(folder):
        pass
    return folder


@pytest.fixture
async def school(tmp_path: Path, template: Path) -> AsyncIterator[Running]:
    """The application with the demo school, on a database of its own."""
    async with running(tmp_path / "data", template=template) as started:
        yield started
