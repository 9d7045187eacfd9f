"""A client that is generated from the description, used as a native app would use it: nothing here but what the API says."""

import importlib
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from types import ModuleType
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from consent.agreements.rules import text_hash
from consent.agreements.tables import Agreement, AgreementSignature
from mobile_api.routes import described
from service.foundation.db import new_id
from service.people.phones.commands import Letter
from service.people.tables import Person
from tests.phones import ORIGIN, NativePhone, born_on, letter_for, parent_of
from tests.school import Running

CONFIG = "post_hooks: []\npackage_name_override: chaperone_client\n"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package that openapi-python-client makes of the description, without a warning."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "api.json").write_text(json.dumps(described()))
    (folder / "config.yml").write_text(CONFIG)
    made = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", "--path", folder / "api.json", "--meta", "none",
         "--output-path", folder / "chaperone_client", "--config", folder / "config.yml"],
        capture_output=True, text=True, check=True)
    assert "warning" not in (made.stdout + made.stderr).lower(), made.stdout
    sys.path.insert(0, str(folder))
    yield importlib.import_module("chaperone_client")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "chaperone_client"]:
        del sys.modules[name]


class Signs(httpx.Auth):
    """What an app adds to each request: a proof, its token, and once more where the nonce is over."""

    def __init__(self, phone: NativePhone):
        self.phone, self.token = phone, ""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        for _ in range(2):
            if self.token:
                request.headers["Authorization"] = f"DPoP {self.token}"
            request.headers["DPoP"] = self.phone.proof(request.method, request.url.path, self.token)
            response = yield request
            self.phone.nonce = response.headers["DPoP-Nonce"]
            if "use_dpop_nonce" not in response.headers.get("WWW-Authenticate", ""):
                return


class App:
    """A native app: the generated client and a key."""

    def __init__(self, school: Running, generated: ModuleType):
        self.phone, self.models = NativePhone(school.client()), importlib.import_module("chaperone_client.models")
        self.signs = Signs(self.phone)
        self.client = generated.Client(base_url=ORIGIN)
        self.client.set_async_httpx_client(httpx.AsyncClient(
            transport=httpx.ASGITransport(app=school.app), base_url=ORIGIN, auth=self.signs))

    async def call(self, topic: str, name: str, *ids: str, body: Any = None, **given: Any) -> Any:
        """One operation by its name, as it is typed. Writes of somebody signed in get a key."""
        operation = importlib.import_module(f"chaperone_client.api.{topic}.{name}")
        if body is not None:
            given["body"] = body
        if topic != "getting_in" and "idempotency_key" in operation.asyncio_detailed.__annotations__:
            given["idempotency_key"] = new_id()
        token = self.signs.token
        self.signs.token = "" if topic == "getting_in" else token
        answer = await operation.asyncio_detailed(*ids, client=self.client, **given)
        self.signs.token = token
        return answer.parsed if answer.parsed is not None else answer.status_code

    async def accept(self, letter: Letter, born_on: str) -> Any:
        m = self.models
        opened = await self.call("getting_in", "open_invitation", body=m.Opening.from_dict(
            {"token": letter.token, "code": letter.code, "born_on": born_on}))
        begun = await self.call("getting_in", "register_begin", body=m.RegisterBegin(invitation=opened.invitation))
        made = json.loads(self.phone.passkey.create(begun.to_dict()))
        tokens = await self.call("getting_in", "register_finish", body=m.RegisterFinish.from_dict(
            {"invitation": opened.invitation, **made, "phone": {"name": "Native", "platform": "ios"}}))
        self.signs.token = tokens.access_token
        return tokens


async def new_agreement(school: Running) -> None:
    """A version that no parent has signed yet."""
    async with school.database.writing() as session:
        newest = (await session.exec(select(Agreement).where(
            Agreement.audience == "parents").order_by(col(Agreement.version).desc()))).first()
        assert newest is not None
        session.add(Agreement(school_id=newest.school_id, audience="parents", version=newest.version + 1, text="Be kind.",
                              what_changed="It is shorter", in_force_at=school.clock.now(), added_at=school.clock.now()))


async def test_an_app_goes_from_the_letter_to_signing_out(school: Running, generated: ModuleType) -> None:
    child = school.lesson()["pupil_ids"][0]
    parent, day = await parent_of(school, child), await born_on(school, child)
    await new_agreement(school)
    app = App(school, generated)
    m = app.models

    tokens = await app.accept(await letter_for(school, parent, in_person=True), day)
    assert (tokens.expires_in, tokens.phone.is_this_one) == (300, True)

    closed = await app.call("permissions", "consent", child)
    assert (closed.status, closed.code) == (403, "agreement-due")
    me = await app.call("me", "me")
    assert (me.id, me.agreement.value, [one.id for one in me.children]) == (parent, "not_signed", [child])
    [agreement] = (await app.call("me", "agreement")).agreements
    assert (agreement.text, agreement.what_changed, agreement.state.value) == ("Be kind.", "It is shorter", "not_signed")
    async with school.database.reading() as session:
        person = await session.get_one(Person, parent)
    name = f"{person.given_name} {person.family_name}"
    signed = await app.call("me", "sign_agreement", body=m.Signature(agreement_id=agreement.id, agree=True, name=name))
    assert signed.agreements[0].state.value == "signed"
    async with school.database.reading() as session:
        kept = (await session.exec(select(AgreementSignature).where(AgreementSignature.agreement_id == agreement.id))).one()
    assert (kept.text_hash, kept.route, kept.person_id) == (text_hash("Be kind."), "app", parent)

    asked = {one.purpose.value: one for one in (await app.call("permissions", "consent", child)).permissions}
    words = await app.call("permissions", "document", asked["camera"].document_id, child_id=child)
    assert (words.purpose.value, words.language) == ("camera", "en")

    async def say(*, yes: bool) -> Any:
        return await app.call("permissions", "answer", child, body=m.Answer.from_dict({
            "purpose": "camera", "says_yes": yes, "document_id": words.id, "responsibility": "yes"}))

    assert (await say(yes=True)).follows[0].code.value == "yes"
    withdrawn = await say(yes=False)
    assert withdrawn.follows[0].code.value == "off-now"
    assert next(one.answer.value for one in withdrawn.consent.permissions if one.purpose.value == "camera") == "no"
    for topic, operation, ids in (("lessons", "timetable", ()), ("lessons", "attendance", (child,)),
                                  ("lessons", "data", (child,)), ("lessons", "views", (child,)),
                                  ("permissions", "one_to_ones", (child,)), ("news", "messages", ())):
        assert not isinstance(await app.call(topic, operation, *ids), m.Problem)

    again = await app.call("getting_in", "refresh_tokens", body=m.Refresh(refresh_token=tokens.refresh_token))
    app.signs.token = again.access_token
    [phone] = (await app.call("phones", "phones")).phones
    assert (phone.id, phone.name, phone.platform.value) == (tokens.phone.id, "Native", "ios")
    assert await app.call("phones", "sign_out") == 204
    assert (await app.call("me", "me")).status == 401


async def test_what_the_client_cannot_know_it_is_told_by_a_problem(school: Running, generated: ModuleType) -> None:
    """Negative control: without the key, and with a wrong code, the typed answer is a problem."""
    child = school.lesson()["pupil_ids"][0]
    parent, day = await parent_of(school, child), await born_on(school, child)
    letter = await letter_for(school, parent)
    app = App(school, generated)
    opening = app.models.Opening.from_dict({"token": letter.token, "code": "000000", "born_on": day})
    refused = await app.call("getting_in", "open_invitation", body=opening)
    assert (type(refused).__name__, refused.code) == ("Problem", "invitation-refused")
    assert (await app.call("me", "me")).code == "not-signed-in"
    await app.accept(letter, day)
    app.signs.phone = NativePhone(school.client())
    assert (await app.call("me", "me")).status == 401
