from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from lessons.live.host import Host
from lessons.live.monitor import Forbidden
from recordings.preparation import sandbox
from tests import cluster
from tests.school import Running, running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = metafunc.definition.get_closest_marker("postgresql")
    if marked and not cluster.EVERYWHERE:
        names = ["postgresql"] if marked.kwargs.get("only") else ["sqlite", "postgresql"]
        metafunc.parametrize("on_postgresql", [name == "postgresql" for name in names], ids=names, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is about SQLite itself has nothing to say of PostgreSQL."""
    if cluster.EVERYWHERE:
        other = [item for item in items if item.get_closest_marker("sqlite")]
        config.hook.pytest_deselected(items=other)
        items[:] = [item for item in items if item not in other]


@pytest.fixture(autouse=True)
def on_postgresql(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Which database the test runs on (`tests/cluster.py`)."""
    monkeypatch.setattr(cluster, "used", getattr(request, "param", cluster.EVERYWHERE))
    return cluster.used


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
