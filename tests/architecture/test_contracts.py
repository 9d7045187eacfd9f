"""The shape of the house, checked."""

import subprocess
import sys
from pathlib import Path

from fastapi.routing import APIRoute

from service.app import ROUTERS
from service.foundation.web import declared_audience
from service.migrations import upgrade
from tests.school import Running

ROOT = Path(__file__).parents[2]


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


async def test_the_migrations_make_exactly_the_tables(school: Running) -> None:
    assert await upgrade.differences(school.database) == []
