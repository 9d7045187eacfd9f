"""The shape of the house, checked."""

import dataclasses
import importlib
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from sqlmodel import SQLModel

from service.app import ROUTERS
from service.foundation.events import Event
from service.foundation.web import declared_audience
from service.migrations import upgrade
from service.people.tables import Person
from service.wiring import SUBSCRIBERS
from tests.architecture.files import ROOT
from tests.school import Running

SCALARS = {str, int, float, bool, type(None)}


def test_imports_only_point_down() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_every_route_says_who_it_is_for() -> None:
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    silent = [route.path for route in routes if declared_audience(route) is False]
    assert routes
    assert silent == []


def test_a_route_that_says_nothing_would_be_found() -> None:
    async def nobody_said() -> None: ...

    assert declared_audience(APIRoute("/secret", nobody_said)) is False


@pytest.mark.postgresql
async def test_the_migrations_make_exactly_the_tables(school: Running) -> None:
    assert await upgrade.differences(school.database) == []


def test_no_route_answers_with_a_table() -> None:
    """A table serialises everything it holds, a parent's number included."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    assert [route.path for route in routes if any(_is_table(kind) for kind in _inside(route.response_model))] == []


def test_a_route_that_answers_with_a_table_would_be_found() -> None:
    async def leak() -> list[Person]: ...

    assert any(_is_table(kind) for kind in _inside(APIRoute("/leak", leak).response_model))


def _inside(annotation: object) -> Iterator[object]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _inside(part)


def _is_table(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, SQLModel) and hasattr(kind, "__table__")


def _events() -> list[type[Event]]:
    """Every event of every feature: what the files called `events` define."""
    for path in ROOT.glob("*/**/events.py"):
        if not {".venv", "node_modules", ".tools"} & set(path.parts):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return [kind for kind in _subclasses(Event) if not kind.__module__.startswith("tests")]


def _subclasses(kind: type[Event]) -> Iterator[type[Event]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def test_every_event_is_a_fact_that_the_audit_can_keep() -> None:
    """Frozen, ids and scalars only, and its `subject` names one of its fields."""
    events = _events()
    assert events
    for kind in events:
        fields = {field.name: field for field in dataclasses.fields(kind)}
        hints = typing.get_type_hints(kind)
        assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
        assert not kind.subject or kind.subject in fields, kind
        loose = {name: hints[name] for name in fields if not _is_scalar(hints[name])}
        assert loose == {}, kind


def _is_scalar(hint: object) -> bool:
    parts = typing.get_args(hint) or (hint,)
    return all(part in SCALARS or part is Ellipsis or (isinstance(part, type) and issubclass(part, str)) for part in parts)


def test_who_reacts_reacts_to_an_event() -> None:
    wired = {*SUBSCRIBERS.in_transaction, *SUBSCRIBERS.closing, *SUBSCRIBERS.after_commit}
    assert wired <= set(_events())
