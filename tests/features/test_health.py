from sqlalchemy.exc import OperationalError

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
