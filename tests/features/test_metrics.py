"""Operators see numbers, nobody's name or id, and only from where they may (policy: AC10)."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.foundation.settings import Settings
from tests.school import Running


def numbers(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {(sample.name, tuple(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples}


async def test_requests_are_counted_by_route_and_never_by_path(school: Running) -> None:
    lesson = school.lesson()["id"]
    async with await school.signed_in("teacher") as client:
        await client.get(f"/lessons/{lesson}/attendance")
        await client.get("/no-such-page")
        text = (await client.get("/metrics")).text
    found = numbers(text)
    assert found["chaperone_requests_total", ("/lessons/{lesson_id}/attendance", "2xx")] == 1
    assert found["chaperone_requests_total", ("other", "4xx")] == 1
    assert found["chaperone_rooms", ("open",)] == 0
    assert found["chaperone_outbox_waiting", ()] >= 0
    assert found["chaperone_write_transaction_seconds_count", ()] > 0
    for person in school.made["people"]:
        assert person["id"] not in text
        assert person["name"].split()[-1] not in text
    assert lesson not in text


@pytest.mark.parametrize(("client", "headers"), [
    (("10.0.0.9", 5), {}), (("127.0.0.1", 5), {"x-forwarded-for": "10.0.0.9"}), (("127.0.0.1", 5), {"forwarded": "for=10.0.0.9"}),
])
async def test_nobody_reads_them_from_outside(school: Running, client: tuple[str, int], headers: dict[str, str]) -> None:
    transport = httpx.ASGITransport(app=school.app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url="http://chaperone.test", headers=headers) as outside:
        assert (await outside.get("/metrics")).status_code == 404


async def test_with_a_token_set_only_the_token_opens_them(school: Running) -> None:
    school.app.state.settings = Settings(dev=True, metrics_token="a long secret")
    async with school.client() as client:
        assert (await client.get("/metrics")).status_code == 404
        assert (await client.get("/metrics", headers={"authorization": "Bearer a long secret"})).status_code == 200
        assert (await client.get("/metrics", headers={"authorization": "Bearer another"})).status_code == 404
