"""Proving who one is in tests: passwords with one-time codes, and an authenticator made of software."""

import html
import json
import re
from typing import Any

import httpx
import pyotp
from sqlmodel import col, select, update

from service.foundation.events import Actor
from service.foundation.web import token_hash
from service.people import one_time_codes, queries, step_up
from service.people.actions import Action
from service.people.step_up import Proof
from service.people.tables import OneTimeCodes, Passkey, Password, SignIn
from tests.authenticator import Authenticator
from tests.school import Running

PASSWORD = "plum-tractor-violin"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


async def give_codes(school: Running, person_id: str) -> None:
    """A password and one-time codes that were there long before the test."""
    state = school.app.state
    async with school.database.writing() as session:
        actor = await queries.actor(session, person_id)
        assert actor is not None
        await session.merge(Password(person_id=person_id, school_id=actor.school_id, set_at=school.clock.now(),
                                     hash=await state.passwords.hash(PASSWORD)))
        await session.merge(OneTimeCodes(
            person_id=person_id, school_id=actor.school_id, begun_at=school.clock.now(), confirmed_at=school.clock.now(),
            secret=state.pepper.seal(one_time_codes.PURPOSE, person_id, SECRET)))


def code(school: Running) -> str:
    """The code that the app shows now."""
    return pyotp.TOTP(SECRET).generate_otp(int(school.clock.now().timestamp()) // one_time_codes.SECONDS)


async def with_session(school: Running, role: str, position: int = 0) -> Actor:
    """A person with a session of their own, as a request would find them."""
    cookie = await school.cookie(school.person(role, position))
    async with school.database.reading() as session:
        actor = await queries.actor(session, school.person(role, position), session_id=await _session_id(session, cookie))
    assert actor is not None
    return actor


async def _session_id(session: Any, cookie: str) -> str:
    return str((await session.exec(select(SignIn.id).where(SignIn.token_hash == token_hash(cookie)))).one())


async def proof(school: Running, actor: Actor, action: Action) -> Proof:
    """A good proof for `action`, by password and code. The next code is half a minute later: a code works once."""
    await give_codes(school, actor.person_id)
    return await step_up.by_password(school.app.state, actor, action.hash, PASSWORD, code(school))


async def confirmed_post(school: Running, client: httpx.AsyncClient, person_id: str, path: str, data: dict[str, Any],
                         ) -> httpx.Response:
    """Send a form, and confirm on the page “Check it is you” that it leads to."""
    asked = await client.post(path, data=data)
    assert "Check it is you" in asked.text, asked.text
    await give_codes(school, person_id)
    return await client.post(path, data={**data, "step_up_action": action_of(asked), "step_up_password": PASSWORD,
                                         "step_up_code": code(school)})


def action_of(page: httpx.Response) -> str:
    found = re.search(r'name="step_up_action" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found[1]


async def add_passkey(school: Running, client: httpx.AsyncClient, key: Authenticator, name: str = "Laptop",
                      **confirming: str) -> httpx.Response:
    """Add a passkey on the account page. `confirming`: the step-up fields, for who has something already."""
    page = await client.post("/account/passkeys/add", data=confirming)
    return await client.post("/account/passkeys", data={"passkey": key.create(options_of(page)), "name": name})


async def with_passkey(school: Running, role: str, position: int = 0, *, counts: bool = True,
                       ) -> tuple[httpx.AsyncClient, Actor, Authenticator]:
    """Somebody signed in who has had a passkey for two days: their client, themselves, and the passkey."""
    cookie, key = await school.cookie(school.person(role, position)), Authenticator(counts=counts)
    client = school.client(cookie)
    assert (await add_passkey(school, client, key)).status_code == 303
    async with school.database.writing() as session:
        await session.exec(update(Passkey).where(col(Passkey.person_id) == school.person(role, position)).values(
            rests_until=school.clock.now()))
        actor = await queries.actor(session, school.person(role, position), session_id=await _session_id(session, cookie))
    assert actor is not None
    return client, actor, key


def options_of(page: httpx.Response) -> dict[str, Any]:
    """What the page asks `navigator.credentials.create` for."""
    found = re.search(r'data-options="([^"]*)"', page.text)
    assert found, page.text
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


async def challenge_for(client: httpx.AsyncClient, action: Action) -> dict[str, Any]:
    answer = await client.post("/step-up/challenge", data={"action": action.hash})
    assert answer.status_code == 200, answer.text
    asked: dict[str, Any] = answer.json()
    return asked
