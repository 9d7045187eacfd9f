"""The whole API, as its own description says it may be asked: made-up requests to every operation, of a parent and of nobody.

No crash, no answer that the description does not know, nothing for who is not signed in (policy: AC3; issue 5, step 4).
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mobile_api.routes import described
from service.people.phones import entering
from tests.phones import API, NativePhone, signed_in
from tests.school import Running, running

FULL = os.environ.get("CHAPERONE_PROOF") == "full"
EXAMPLES = 1_000 if FULL else 5
SCHEMA = schemathesis.openapi.from_dict(described())
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
PUBLIC = {one.definition.raw["operationId"] for one in OPERATIONS if one.definition.raw.get("security") == []}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
          response_headers_conformance]


class Unlimited:
    """Instead of the limits of requests and of wrong tries, which 1,000 made-up requests would reach at once."""

    def hit(self, *_: object, **__: object) -> None: ...
    def renews(self, *_: object) -> None: ...
    def refused(self, *_: object) -> None: ...
    def refuse(self, *_: object) -> None: ...
    def note(self, *_: object) -> None: ...


class Asked:
    """The service in a loop of its own, and a parent's phone that signs in again whenever a made-up request signed it out."""

    def __init__(self, loop: asyncio.AbstractEventLoop, school: Running):
        self.loop, self.school = loop, school
        self.statuses: list[int] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def begin(self) -> None:
        self.phone: NativePhone = self.run(signed_in(self.school))
        self.nobody = NativePhone(self.school.client())
        self.child = self.school.lesson()["pupil_ids"][0]
        permission = self.run(self.phone.ask("GET", f"/children/{self.child}/consent")).json()["permissions"][0]
        self.known = {"child_id": self.child, "document_id": permission["document_id"]}

    def request(self, case: Any) -> tuple[str, str, dict[str, Any]]:
        """What goes over the wire."""
        sent = case.as_transport_kwargs(base_url="http://chaperone.test")
        path = sent["url"].removeprefix("http://chaperone.test")
        asked = {name: sent[name] for name in ("params", "json") if sent.get(name) is not None}
        if sent.get("data") is not None:
            asked["content"] = sent["data"]
        headers = {name: text.encode("utf-8", "surrogatepass") for name, text in sent.get("headers", {}).items()
                   if name.lower() not in ("dpop", "authorization")}
        return case.method, path, {**asked, "headers": httpx.Headers(headers, encoding="utf-8")}

    def send(self, case: Any, phone: NativePhone) -> httpx.Response:
        return self.run(self._send(phone, *self.request(case)))

    async def _send(self, phone: NativePhone, method: str, path: str, asked: dict[str, Any]) -> httpx.Response:
        for _ in range(3):
            answer = await self._once(phone, method, path, asked)
            if answer.status_code != 401 or phone is self.nobody:
                return answer
            if "use_dpop_nonce" not in answer.headers.get("www-authenticate", "") and phone.tokens:
                assert (await phone.sign_in()).status_code == 200
        return answer

    async def _once(self, phone: NativePhone, method: str, path: str, asked: dict[str, Any]) -> httpx.Response:
        phone.nonce = self.school.app.state.proofs.nonce()
        token = phone.tokens.get("access_token", "")
        request = phone.client.build_request(method, path, **asked)
        bare = request.url.path
        request.headers["DPoP"] = phone.proof(method, bare, "" if self._is_public(bare) else token)
        if token and not self._is_public(bare):
            request.headers["Authorization"] = f"DPoP {token}"
        return await phone.client.send(request)

    @staticmethod
    def _is_public(path: str) -> bool:
        return path.startswith((f"{API}/invitations", f"{API}/passkeys", f"{API}/sign-in", f"{API}/tokens"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Asked]:
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    ready, made = threading.Event(), []
    folder: Path = tmp_path_factory.mktemp("api") / "data"

    async def serve() -> None:
        async with running(folder, template=template) as school:
            made.append(school)
            ready.set()
            await stop.wait()

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())

    thread = threading.Thread(target=work)
    thread.start()
    pace, entering.PACE = entering.PACE, 0.0
    try:
        assert ready.wait(120)
        made[0].app.state.limits = made[0].app.state.tries = Unlimited()
        asked = Asked(loop, made[0])
        asked.begin()
        yield asked
    finally:
        entering.PACE = pace
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


def made_up(operation: Any, served: Asked, mode: GenerationMode) -> Any:
    """Good requests, of the parent's own child, or bad ones."""
    names = {one.name for one in operation.path_parameters}
    known = {name: value for name, value in served.known.items() if name in names}
    return operation.as_strategy(mode, path_parameters=known if mode is GenerationMode.POSITIVE and known else None)


def can_be_wrong(operation: Any) -> bool:
    """Whether it takes more than an id: every id is a good one, also that of nothing."""
    raw = operation.definition.raw
    return "requestBody" in raw or any(one["in"] in ("query", "header") for one in raw.get("parameters", ()))


def each(test: Callable[[Any], None], cases: Any) -> None:
    """Run a test over made-up requests, the same ones each time."""
    quiet = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
    seed(5)(settings(max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
                     suppress_health_check=quiet)(given(case=cases)(test)))()


@pytest.mark.proof
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.definition.raw["operationId"])
def test_a_parent_gets_only_answers_that_are_described(served: Asked, operation: Any) -> None:
    for mode in GenerationMode if can_be_wrong(operation) else (GenerationMode.POSITIVE,):
        def asks(case: Any) -> None:
            answer = served.send(case, served.phone)
            served.statuses.append(answer.status_code)
            case.validate_response(answer, checks=CHECKS)

        each(asks, made_up(operation, served, mode))


@pytest.mark.proof
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.definition.raw["operationId"])
def test_nobody_gets_anything(served: Asked, operation: Any) -> None:
    """Whatever is asked without a token, or with one that nobody was given, is 401; what is public never signs anybody in."""
    is_public = operation.definition.raw["operationId"] in PUBLIC

    def asks(case: Any) -> None:
        for token in ("", "not.a.token"):
            served.nobody.tokens = {"access_token": token}
            answer = served.send(case, served.nobody)
            assert "access_token" not in answer.text
            if not is_public:
                assert answer.status_code == 401
                assert answer.headers["content-type"] == "application/problem+json"

    each(asks, made_up(operation, served, GenerationMode.POSITIVE))


def test_the_made_up_requests_reach_what_is_behind(served: Asked) -> None:
    """Negative control: the same phone gets answers, and the checks find one that the description does not know."""
    operation = next(one for one in OPERATIONS if one.definition.raw["operationId"] == "me")
    case = operation.Case()
    answer = served.send(case, served.phone)
    assert answer.status_code == 200
    case.validate_response(answer, checks=CHECKS)
    for wrong in (httpx.Response(500, request=answer.request), httpx.Response(418, request=answer.request),
                  httpx.Response(200, json=answer.json() | {"name": 7}, request=answer.request)):
        with pytest.raises(Exception, match=r".+"):
            case.validate_response(wrong, checks=CHECKS)
