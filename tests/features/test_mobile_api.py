"""The phone's API: families see their own, errors are RFC 9457, and the description says so."""

from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlmodel import select

from mobile_api import access, routes, schemas
from mobile_api.routes import ROUTERS, described
from service.people.tables import Guardianship
from tests.school import Running


async def parent_of(school: Running, child: str) -> httpx.AsyncClient:
    async with school.database.reading() as session:
        link = (await session.exec(select(Guardianship).where(Guardianship.child_id == child))).all()[0]
    return school.client(await school.cookie(link.guardian_id))


async def test_a_pupil_sees_their_own_lessons_and_nobody_elses_name(school: Running) -> None:
    lesson = school.lesson()
    child = lesson["pupil_ids"][0]
    async with school.client(await school.cookie(child)) as client:
        answer = (await client.get("/api/v1/timetable")).json()
    assert [found["id"] for found in answer["children"]] == [child]
    shown = next(found for found in answer["children"][0]["lessons"] if found["id"] == lesson["id"])
    assert (shown["id"], shown["title"], shown["teacher"], shown["may_join"]) == (lesson["id"], lesson["title"], "Mr Hall", True)
    assert datetime.fromisoformat(shown["starts_at"]).utcoffset() is not None
    assert not [other for other in lesson["pupil_ids"][1:] if other in str(answer)]


async def test_a_parent_sees_their_children_and_no_others(school: Running) -> None:
    child = school.lesson()["pupil_ids"][0]
    async with await parent_of(school, child) as client:
        answer = (await client.get("/api/v1/timetable", params={"days": 31})).json()
    assert [found["id"] for found in answer["children"]] == [child]


@pytest.mark.parametrize("change", [{"do_not_contact": True}, {"court_order": "unknown"}, {"court_order": "yes"}])
async def test_blocked_and_empty_look_the_same(school: Running, change: dict[str, Any]) -> None:
    child = school.lesson()["pupil_ids"][0]
    async with school.database.writing() as session:
        for link in (await session.exec(select(Guardianship).where(Guardianship.child_id == child))).all():
            for name, value in change.items():
                setattr(link, name, value)
    async with await parent_of(school, child) as client:
        assert (await client.get("/api/v1/timetable")).json()["children"] == []


@pytest.mark.parametrize(("path", "role", "status"), [
    ("/api/v1/timetable", None, 401), ("/api/v1/timetable", "teacher", 404), ("/api/v1/timetable?days=0", "pupil", 422),
    ("/api/v1/timetable?first=soon", "pupil", 422), ("/api/v1/timetable?first=9999-12-31", "pupil", 422),
    ("/api/v1/nothing", "pupil", 404),
])
async def test_every_error_is_a_problem_document(school: Running, path: str, role: str | None, status: int) -> None:
    client = await school.signed_in(role) if role else school.client()
    async with client:
        answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    assert {"type", "title", "detail", "code"} <= answer.json().keys()


async def test_the_description_is_public_and_names_every_route_of_the_api_and_no_page(school: Running) -> None:
    async with school.client() as client:
        told = (await client.get("/api/v1/openapi.json")).json()
    assert told["openapi"].startswith("3.1")
    assert set(told["paths"]) == {route.path for router in ROUTERS for route in router.routes}  # type: ignore[attr-defined]
    for path in told["paths"].values():
        for operation in path.values():
            answers = operation["responses"]
            assert "application/problem+json" in answers["401"]["content"]
            assert "application/problem+json" in answers["422"]["content"]


async def test_asking_for_the_description_keeps_no_lesson_waiting(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """To work it out takes the processor for longer than a room may wait, and anybody may ask: it is done once a process."""
    worked_out = []

    def counted(**_: Any) -> dict[str, Any]:
        worked_out.append(1)
        return {"paths": {}}

    async with school.client() as client:
        first = await client.get("/api/v1/openapi.json")
        monkeypatch.setattr(routes, "get_openapi", counted)
        again = await client.get("/api/v1/openapi.json")
    assert (again.content, worked_out) == (first.content, [])
    described()
    assert worked_out == [1], "what works it out would be seen"


async def test_nobody_asks_for_the_description_without_end(school: Running) -> None:
    async with school.client() as client:
        statuses = [(await client.get("/api/v1/openapi.json")).status_code for _ in range(61)]
    assert statuses == [*[200] * 60, 429]


def test_everything_that_is_sent_has_an_example_that_could_be_sent() -> None:
    shown = described()["components"]["schemas"]
    sent = {operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            for path in described()["paths"].values() for operation in path.values() if "requestBody" in operation}
    models = {name: model for module in (access, schemas) for name, model in vars(module).items()}
    assert {name for name in sent if not shown[name].get("examples")} == set()
    for name, described_as in shown.items():
        for example in described_as.get("examples", ()):
            assert models[name].model_validate(example).model_dump(mode="json", by_alias=True, exclude_unset=True) == example


async def test_what_is_answered_is_what_is_described(school: Running) -> None:
    told = described()["components"]["schemas"]
    async with school.client(await school.cookie(school.lesson()["pupil_ids"][0])) as client:
        table = (await client.get("/api/v1/timetable")).json()
        own = (await client.get("/api/v1/me")).json()
    assert table.keys() == told["Timetable"]["properties"].keys()
    assert table["children"][0]["lessons"][0].keys() == told["Lesson"]["properties"].keys()
    assert own.keys() == told["Me"]["properties"].keys()
