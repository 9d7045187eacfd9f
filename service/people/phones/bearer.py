"""Who is behind a request of the phone's API: a token with the proof of its key, or the session cookie of the pages.

A token opens `/api/v1` and nothing else, and a parent's phone acts as a parent only, whatever else that person is here.
What it opens is looked up with every request: what ended a sign-in or removed a phone has closed it by then (policy: AC2).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import HTTPConnection

from service.foundation.events import Actor, Role
from service.foundation.web import Standing
from service.people import passkeys, queries, sessions
from service.people.phones.proofs import NotProven, Proven
from service.people.phones.tables import Phone
from service.people.phones.tokens import Access
from service.people.tables import Person, PersonRole, SignIn

API = "/api/v1/"
_SIGNED_IN: Any = select(SignIn, Phone, Person, PersonRole.role).join(  # built once: every request asks
    Phone, col(Phone.sign_in_id) == SignIn.id).join(Person, col(Person.id) == SignIn.person_id).join(
    PersonRole, col(PersonRole.person_id) == Person.id).where(SignIn.id == bindparam("sign_in"))


async def authenticate(connection: HTTPConnection) -> Actor | None:
    """Why a token was refused is left in `connection.state.refused_because`, as RFC 9449 calls it."""
    given = connection.headers.getlist("authorization")
    if not given or not connection.url.path.startswith(API):
        return await sessions.authenticate(connection)
    try:
        return await _by_token(connection, given)
    except NotProven as refused:
        connection.state.refused_because = refused.error
        return None


def address(connection: HTTPConnection) -> str:
    """What a proof has to name: this service's own origin, and the path as it was asked for."""
    return passkeys.site(connection.app.state).origin + connection.url.path


def proven(connection: HTTPConnection, token: str = "") -> Proven:
    """The proof that a request carries. Raises NotProven."""
    proof: Proven = connection.app.state.proofs.check(connection.headers, connection.scope["method"], address(connection), token)
    return proof


async def _by_token(connection: HTTPConnection, given: list[str]) -> Actor:
    scheme, _, token = given[0].partition(" ")
    if len(given) != 1 or scheme.lower() != "dpop" or connection.scope["type"] != "http":
        raise NotProven("invalid_token")
    state = connection.app.state
    access: Access = state.access_tokens.read(token, state.clock.now())
    held = await holder(state, access, proven(connection, token))
    connection.state.phone, connection.state.standing = held.phone, held.standing
    return held.actor


@dataclass(frozen=True)
class Held:
    """A token that is good now: whose phone it opens, and how they stand with their agreement."""

    access: Access
    phone: Phone
    actor: Actor
    standing: Standing


async def holder(state: Any, access: Access, proof: Proven) -> Held:
    """Whose token this is; the proof is used up. Raises NotProven."""
    held = await still(state, access)
    if held is None or not held.phone.key == access.key == proof.key:
        raise NotProven("invalid_token")
    state.proofs.spend(proof)
    state.seen[held.actor.session_id] = state.clock.now()
    return held


async def still(state: Any, access: Access) -> Held | None:
    """The same, asked anew of what was good once: None where the sign-in ended or the phone was removed."""
    async with state.database.glance() as session:
        phone, actor, standing = await _holder(state, session, access, state.clock.now())
    return Held(access, phone, actor, standing) if phone is not None and actor is not None else None


async def _holder(state: Any, session: AsyncSession, access: Access,
                  now: datetime) -> tuple[Phone | None, Actor | None, Standing]:
    """The phone and its owner, while the sign-in stands, the phone was not removed and they are a parent here; and how they stand
    with their agreement, which for whoever is staff as well is that of staff (policy: CO1)."""
    rows = (await session.exec(_SIGNED_IN, params={"sign_in": access.sign_in_id})).all()
    roles = frozenset(Role(role) for *_, role in rows)
    if Role.PARENT not in roles:
        return None, None, Standing(may_enter=False)
    sign_in, phone, person, _ = rows[0]
    stands = sign_in.ended_at is None and now < sign_in.ends_at and phone.removed_at is None
    if not stands or person.id != access.person_id or not queries.is_here(person, now.date()):
        return None, None, Standing(may_enter=False)
    actor = Actor(person.id, person.school_id, roles, queries.name_of(person), sign_in.id)
    return phone, replace(actor, roles=frozenset({Role.PARENT})), await state.standing_of(session, actor)
