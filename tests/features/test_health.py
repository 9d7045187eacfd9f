"""What a supervisor of the process sees of it, and that it serves lessons without pauses of its own making."""

import gc
import sys

import pytest
import uvicorn
from sqlalchemy.exc import OperationalError

from service import __main__ as command
from tests.school import Running


async def test_the_process_says_that_it_is_alive_and_ready_to_anybody(school: Running) -> None:
    async with school.client() as nobody:
        assert (await nobody.get("/healthz")).json() == {"status": "alive"}
        assert (await nobody.get("/readyz")).json() == {"status": "ready"}


async def test_without_its_database_it_is_alive_and_not_ready(school: Running) -> None:
    school.app.state.database = _Gone()
    async with school.client() as nobody:
        assert (await nobody.get("/healthz")).status_code == 200
        refused = await nobody.get("/readyz", headers={"accept": "application/json"})
    assert refused.status_code == 503
    assert refused.json()["detail"] == "The database does not answer."


class _Gone:
    def reading(self) -> object:
        raise OperationalError("SELECT 1", {}, Exception("gone"))


class _Brief(command._Server):
    """A server that listens and stops."""

    async def main_loop(self) -> None: ...


async def test_a_process_that_serves_leaves_what_it_loaded_out_of_its_rounds_for_garbage(school: Running) -> None:
    """One round over everything stops every lesson for half a second."""
    switch = sys.getswitchinterval()
    try:
        await _Brief(school.app, uvicorn.Config(school.app, port=0, lifespan="off", log_level="warning")).serve()
        assert gc.get_freeze_count() > 100_000
        assert sys.getswitchinterval() == pytest.approx(command.SWITCH)
    finally:
        gc.unfreeze()
        sys.setswitchinterval(switch)
