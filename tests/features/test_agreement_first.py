"""Nothing opens before the agreement is signed: no page, no address of the API, no room (policy: CO1)."""

import html
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy.exc import DatabaseError
from sqlmodel import select, update
from starlette.datastructures import Headers

from consent.agreements import commands, rules
from consent.agreements.signing import SECRETS
from consent.agreements.tables import Agreement, AgreementSignature
from consent.agreements.texts import DEFAULTS
from lessons.live import protocol
from lessons.live.socket import is_still_signed_in, room_socket
from service.app import ROUTERS
from service.calls import line as call_line
from service.foundation import web
from service.foundation.events import Role
from service.foundation.web import Audience, declared_audience
from service.people import sessions
from service.people.tables import Person, PersonRole, School
from tests.features.test_agreements import renewed
from tests.features.test_permissions import office
from tests.features.test_planning import FORM, group, lessons
from tests.guests import invited
from tests.home_calls import family
from tests.school import Running, seen

FIRST = {
    ("GET", "/agreement"), ("POST", "/agreement"), ("GET", "/agreement/no"), ("POST", "/agreement/kept"),
    ("POST", "/sign-out"),
    ("POST", "/account/sign-out-everywhere"), ("GET", "/session"), ("POST", "/worried"), ("GET", "/banners"),
    ("GET", "/agreements/{part}/new"), ("POST", "/agreements/{part}/new"),
    ("GET", "/api/v1/me"), ("PUT", "/api/v1/me/language"), ("GET", "/api/v1/agreement"), ("POST", "/api/v1/agreement"),
    ("GET", "/api/v1/phones"), ("DELETE", "/api/v1/phones"), ("DELETE", "/api/v1/phones/{phone_id}"),
    ("DELETE", "/api/v1/session"), ("GET", "/api/v1/push"), ("PUT", "/api/v1/push"), ("DELETE", "/api/v1/push"),
    ("POST", "/api/v1/concerns"),
}
"""What is there for somebody who has not signed: to sign, to leave, to call for help, and to write the first agreement; on a
phone also who one is, one's phones, and their notices, of which being asked to sign is one."""
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
CLOSED = sorted((method, route.path) for route in ROUTES for method in route.methods
                if isinstance(declared_audience(route), Audience) and (method, route.path) not in FIRST)
PARTS = {
    Role.TEACHER: "staff", Role.HEADTEACHER: "staff", Role.DSL: "staff", Role.OFFICE: "staff", Role.DPO: "staff",
    Role.CHAIR: "governors", Role.GOVERNOR: "governors", Role.PUPIL: "pupils", Role.PARENT: "parents",
}


def of(path: str) -> str:
    """An address with the id of nothing in it."""
    return re.sub(r"\{\w+\}", "0" * 32, path.replace("{kind}", "json"))


def test_only_these_few_addresses_are_open_before_signing() -> None:
    found = {(method, route.path) for route in ROUTES for method in route.methods
             if isinstance(audience := declared_audience(route), Audience) and audience.before_signing}
    assert found == FIRST


@pytest.mark.parametrize("role", PARTS)
async def test_whoever_has_not_signed_is_sent_to_the_agreement_from_every_page(school: Running, role: Role) -> None:
    await renewed(school, PARTS[role])
    cookie = await school.cookie(school.person(role), signs=False)
    assert len(CLOSED) > 150
    async with school.client(cookie) as client:
        for method, path in CLOSED:
            answer = await client.request(method, of(path))
            if path.startswith("/api/"):
                assert (answer.status_code, answer.json()["code"]) == (403, "agreement-due")
                assert answer.headers["content-type"] == "application/problem+json"
            else:
                where = f"/agreement?next={of(path)}" if method == "GET" else "/agreement"
                assert (answer.status_code, answer.headers.get("location")) == (303, where), (method, path)
        refused = await client.post(of("/lessons/{lesson_id}/door"), json={})
        assert (refused.status_code, refused.json()["code"]) == (403, "agreement-due")


async def test_who_has_signed_is_sent_nowhere(school: Running) -> None:
    """Negative control: the same requests by somebody who has signed."""
    async with await school.signed_in("headteacher") as client:
        for method, path in CLOSED[::7]:
            assert not (await client.request(method, of(path))).headers.get("location", "").startswith("/agreement")


async def test_a_guest_signs_before_their_own_page_opens(school: Running) -> None:
    guest = await invited(school, school.lesson("Story time")["id"])
    await renewed(school, "guests")
    async with school.client(await school.cookie(guest.guest_id, signs=False)) as client:
        assert (await client.get("/guest")).headers["location"] == "/agreement?next=/guest"
        assert "Agreement for guests" in (await client.get("/agreement")).text


async def test_signing_out_and_calling_for_help_wait_for_nothing(school: Running) -> None:
    await renewed(school, "pupils")
    async with school.client(await school.cookie(school.lesson()["pupil_ids"][0], signs=False)) as client:
        assert (await client.get("/session")).status_code == 200
        assert (await client.post("/worried", json={})).status_code == 200
        assert (await client.post("/sign-out")).headers["location"] == "/signed-out"


async def test_what_calls_the_safeguarding_team_is_shown_where_they_sign(school: Running) -> None:
    async with school.client(await school.cookie(school.lesson()["pupil_ids"][0])) as pupil:
        assert (await pupil.post("/worried", json={})).status_code == 200
    await renewed(school)
    async with school.client(await school.cookie(school.person("dsl"), signs=False)) as client:
        page = await client.get("/agreement")
        assert "govuk-notification-banner" in page.text
        href = page.text.partition('govuk-notification-banner__link" href="')[2].partition('"')[0]
        assert (await client.get(href)).headers["location"] == f"/agreement?next={href}"
        shown = seen(page)
        await client.post("/agreement", data={"agree": "yes", "name": "Ruth Okafor", "seen": shown, "next": href})
        assert (await client.get(href)).status_code == 200


# -- what was filled in meanwhile -----------------------------------------------------------------------------------------


def fields(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the page, as a browser sends them."""
    return {html.unescape(name): html.unescape(value) for name, value in
            re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.text)}


async def test_a_form_that_was_sent_after_the_agreement_ended_waits_until_it_is_signed(school: Running) -> None:
    await renewed(school)
    form = FORM | {"group": await group(school, "5 Oak"), "name": "not the signer's", "step_up_password": "plum-tractor"}
    async with school.client(await school.cookie(school.person("teacher"), signs=False)) as teacher:
        sent = await teacher.post("/lessons/plan", data=form)
        assert (sent.status_code, sent.headers["location"]) == (307, "/agreement/kept?to=/lessons/plan")
        page = await teacher.post(sent.headers["location"], data=form)
        assert "It is kept on this page" in page.text
        assert "plum-tractor" not in page.text, "a secret is typed again"
        wrong = await teacher.post("/agreement", data={**fields(page), "agree": "yes", "name": "Somebody Else"})
        assert wrong.status_code == 422
        signing = {**fields(wrong), "agree": "yes", "name": await full_name(school, school.person("teacher"))}
        signed = await teacher.post("/agreement", data=signing)
        assert (signed.status_code, signed.headers["location"]) == (307, "/agreement/kept?to=/lessons/plan")
        assert await lessons(school) == [], "nothing is sent by signing"
        page = await teacher.post(signed.headers["location"], data=signing)
        assert "What you filled in before has not been sent yet." in page.text
        assert fields(page) == {name: value for name, value in form.items() if name != "step_up_password"}
        assert (await teacher.post("/lessons/plan", data=fields(page))).status_code == 303
    assert len(await lessons(school)) == 1


@pytest.mark.parametrize("to", ["https://elsewhere.example/x", "//elsewhere.example", "/agreement", "javascript:alert(1)", ""])
async def test_what_is_kept_can_be_sent_to_no_other_place(school: Running, to: str) -> None:
    async with await school.signed_in("teacher") as teacher:
        page = await teacher.post("/agreement/kept", params={"to": to}, data={"title": "<script>"})
        assert page.status_code == 200
        assert "Send what I filled in" not in page.text
        kept = await teacher.post("/agreement/kept", params={"to": "/lessons/plan"}, data={"title": "<script>"})
        assert 'value="&lt;script&gt;"' in kept.text


def test_no_password_waits_on_a_page() -> None:
    fields = [found[1] for path in Path().glob("[a-z]*/**/templates/**/*.html") for found in
              re.finditer(r'(?:input\(|name=)"(\w+)"[^>)]*type="password"', path.read_text())]
    assert {"old", "password", "pin1", "step_up_password"} <= set(fields)
    assert [name for name in fields if not name.startswith(SECRETS)] == []


async def full_name(school: Running, person_id: str) -> str:
    async with school.database.reading() as session:
        person = await session.get_one(Person, person_id)
    return f"{person.given_name} {person.family_name}"


# -- the room ---------------------------------------------------------------------------------------------------------


class Socket:
    """A page's WebSocket, as the route sees it."""

    def __init__(self, school: Running, cookie: str):
        self.app, self.cookies, self.headers, self.client = school.app, {web.COOKIE: cookie}, Headers(), None
        self.scope, self.state = {"subprotocols": [protocol.SUBPROTOCOL]}, type("State", (), {})()
        self.closed: list[int] = []

    async def accept(self, subprotocol: str) -> None: ...

    async def close(self, code: int) -> None:
        self.closed.append(code)


async def test_no_socket_of_a_room_opens_before_signing(school: Running) -> None:
    await renewed(school)
    socket: Any = Socket(school, await school.cookie(school.person("teacher"), signs=False))
    await room_socket(socket, school.lesson()["id"])
    assert socket.closed == [protocol.TICKET_REFUSED]


async def test_a_socket_that_waited_is_asked_again(school: Running) -> None:
    socket: Any = Socket(school, await school.cookie(school.person("teacher")))
    assert await is_still_signed_in(socket)
    await renewed(school)
    assert not await is_still_signed_in(socket)


async def test_no_line_of_a_call_opens_before_signing(school: Running) -> None:
    home = await family(school)
    call_id = await home.asked()
    await renewed(school)
    socket: Any = Socket(school, await school.cookie(school.person("teacher"), signs=False))
    assert await call_line._caller(socket, call_id) is None
    socket = Socket(school, await school.cookie(school.person("teacher")))
    assert await call_line._caller(socket, call_id) is not None


def test_there_is_no_other_socket() -> None:
    sockets = [route.path for router in ROUTERS for route in router.routes if not isinstance(route, APIRoute)]
    assert sockets == ["/lessons/{lesson_id}/socket", "/calls/{call_id}/line", "/api/v1/line"]


# -- closed when in doubt ---------------------------------------------------------------------------------------------


async def test_an_application_that_forgets_to_ask_lets_nobody_in(school: Running) -> None:
    cookie = await school.cookie(school.person("teacher"))
    del school.app.state.standing_of
    async with school.client(cookie) as client:
        assert (await client.get("/today")).status_code == 500


async def test_without_any_agreement_nobody_gets_in_and_whoever_may_write_it_can(school: Running) -> None:
    async with school.database.writing() as session:
        other = School(name="Birchwood School", live_at=school.clock.now())
        session.add(other)
        await session.flush()
        people = {}
        for role in (Role.HEADTEACHER, Role.TEACHER):
            person = Person(school_id=other.id, kind="adult", given_name="Sam", family_name=role)
            session.add(person)
            await session.flush()
            session.add(PersonRole(person_id=person.id, role=role, school_id=other.id))
            people[role] = person.id
    cookies = {}
    async with school.database.writing() as session:
        for role, person_id in people.items():
            cookies[role] = await sessions.start(session, person_id=person_id, school_id=other.id, route="dev",
                                                 now=school.clock.now())
    async with school.client(cookies[Role.TEACHER]) as teacher:
        assert (await teacher.get("/today")).headers["location"] == "/agreement?next=/today"
        page = await teacher.get("/agreement")
        assert "Your school has not added the agreement for staff" in page.text
        assert "Add the agreement" not in page.text
        assert (await teacher.get("/agreements/staff/new")).status_code == 404
    async with school.client(cookies[Role.HEADTEACHER]) as head:
        assert "/agreements/staff/new" in (await head.get("/agreement")).text
        assert DEFAULTS[rules.Audience.STAFF][:40] in (await head.get("/agreements/staff/new")).text
        added = await head.post("/agreements/staff/new", data={"text": "Be kind.", "in_force_on": "24/11/2026"})
        assert added.status_code == 303
        assert (await head.get("/people")).headers["location"] == "/agreement?next=/people", "they sign it like everybody"
        assert (await head.get("/agreements/parents/new")).headers["location"].startswith("/agreement?next=")


# -- versions ---------------------------------------------------------------------------------------------------------


async def test_a_new_version_says_what_changed_and_begins_on_a_later_day(school: Running) -> None:
    async with await school.signed_in("office") as client:
        form = {"text": "Be kind.", "what_changed": "It is shorter", "in_force_on": "25/11/2026"}
        for wrong, words in (({"text": " "}, "Write what people sign"), ({"what_changed": ""}, "Say what changed"),
                             ({"in_force_on": "24/11/2026"}, "Choose a day after today"),
                             ({"in_force_on": "soon"}, "Enter a date"),
                             ({"in_force_on": "1/6/2028"}, "within a year"),
                             ({"text": DEFAULTS[rules.Audience.STAFF]}, "word for word the version there is")):
            refused = await client.post("/agreements/staff/new", data=form | wrong)
            assert (refused.status_code, words in refused.text) == (422, True), wrong
        assert (await client.post("/agreements/staff/new", data=form)).status_code == 303
        assert (await client.get("/people")).status_code == 200, "nobody is sent out today"
        school.clock.advance(14 * 3600)
        client.cookies.set(web.COOKIE, await school.cookie(school.person("office"), signs=False))
        assert (await client.get("/people")).headers["location"] == "/agreement?next=/people"
        assert "What changed: It is shorter" in (await client.get("/agreement")).text


async def test_what_was_agreed_and_signed_stays_as_it_is(school: Running) -> None:
    for table, values in ((Agreement, {"text": "Other words"}), (AgreementSignature, {"text_hash": "0" * 64})):
        with pytest.raises(DatabaseError, match="append-only"):
            async with school.database.writing() as session:
                await session.exec(update(table).values(**values))
    with pytest.raises(DatabaseError, match="append-only"):
        async with school.database.writing() as session:
            await session.delete((await session.exec(select(Agreement).limit(1))).one())


async def test_a_school_that_is_founded_has_something_to_sign_for_everybody(school: Running) -> None:
    actor = await office(school)
    async with school.database.writing() as session:
        other = School(name="Birchwood School")
        session.add(other)
        await session.flush()
        await commands.begin(session, commands.SchoolFounded(other.id), actor)
        texts = (await session.exec(select(Agreement.audience, Agreement.text).where(Agreement.school_id == other.id))).all()
    assert dict(texts) == {str(part): text for part, text in DEFAULTS.items()}
