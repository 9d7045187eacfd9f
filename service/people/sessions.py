"""Browser sessions: opaque, kept on the server, limited by idleness, ended everywhere at once (policy: AC1, AC2)."""

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import HTTPConnection
from starlette.responses import Response

from service.foundation.bus import publish
from service.foundation.events import Actor, Role
from service.foundation.web import COOKIE, token_hash
from service.people import queries
from service.people.events import SessionsEnded, SignedIn, SignedOut
from service.people.rules import idle_limit, longest_session
from service.people.tables import SignIn

BACKGROUND = "chaperone-background"


async def start(session: AsyncSession, *, person_id: str, school_id: str, route: str, now: datetime,
                until: datetime | None = None, roles: frozenset[Role] | None = None) -> str:
    """Sign a person in. Returns the token for the cookie; only its hash is kept. `until`: it ends then at the latest.

    `roles`: theirs, where they were just read: while the database's one writer is held nothing is asked twice.
    """
    token = secrets.token_urlsafe(32)
    if roles is None:
        roles = (await queries.roles(session, [person_id])).get(person_id, frozenset())
    session.add(SignIn(
        school_id=school_id, person_id=person_id, token_hash=token_hash(token), route=route, started_at=now, seen_at=now,
        ends_at=min(now + longest_session(roles), until or datetime.max.replace(tzinfo=UTC)),
    ))
    actor = Actor(person_id, school_id, frozenset())
    await publish(session, SignedIn(person_id=person_id, route=route), actor)
    return token


def give_cookie(response: Response, token: str, *, secure: bool) -> None:
    response.set_cookie(COOKIE, token, httponly=True, secure=secure, samesite="lax", path="/")


async def authenticate(connection: HTTPConnection) -> Actor | None:
    """The person behind a request's cookie, or None. Being here counts as doing something, unless the page asked by itself:
    what a page fetches on a timer says so in `Chaperone-Background`, and keeps nobody signed in (policy: AC2).

    How long the person may go on doing nothing is left in `connection.state.seconds_left`, and in `connection.state.standing`
    how they stand with the agreement, asked in the same look (policy: CO1).
    """
    token = connection.cookies.get(COOKIE)
    if not token:
        return None
    state = connection.app.state
    now = state.clock.now()
    async with state.database.glance() as session:
        found, actor = await queries.signed_in(session, token_hash(token))
        if found is None or actor is None or found.ended_at is not None or now >= found.ends_at:
            return None
        profile = await queries.profile(session, found.school_id)
        connection.state.standing = await state.standing_of(session, actor)
    seen_at = max(found.seen_at, state.seen.get(found.id, found.seen_at))
    if now - seen_at >= idle_limit(actor.roles, profile):
        return None
    if BACKGROUND not in connection.headers:
        seen_at = state.seen[found.id] = now
    connection.state.idle_in = idle_limit(actor.roles, profile)
    connection.state.seconds_left = (min(seen_at + connection.state.idle_in, found.ends_at) - now).total_seconds()
    return actor


async def keep_seen(state: Any) -> None:
    """Write down who was seen since the last time: one short transaction for everybody, not one a request.

    A crash forgets the last few seconds, and somebody is asked to sign in a little early.
    """
    seen = dict(state.seen)
    if not seen:
        return
    rows = SignIn.__table__  # type: ignore[attr-defined]
    statement = update(rows).where(rows.c.id == bindparam("row_id")).values(seen_at=bindparam("at"))
    async with state.database.writing() as session:
        await (await session.connection()).execute(statement, [{"row_id": each, "at": at} for each, at in seen.items()])
    for session_id, at in seen.items():  # not before it is written: who asks meanwhile would look idle
        if state.seen.get(session_id) == at:
            del state.seen[session_id]


async def end(session: AsyncSession, actor: Actor, *, why: str, now: datetime) -> None:
    """Sign this one session out."""
    await session.exec(update(SignIn).where(col(SignIn.id) == actor.session_id).values(ended_at=now))
    await publish(session, SignedOut(person_id=actor.person_id, why=why), actor)


async def end_token(session: AsyncSession, token: str, *, now: datetime) -> None:
    """End the session behind a cookie that is about to be replaced."""
    await session.exec(
        update(SignIn).where(col(SignIn.token_hash) == token_hash(token), col(SignIn.ended_at).is_(None)).values(ended_at=now)
    )


async def end_others(session: AsyncSession, actor: Actor, *, now: datetime) -> None:
    """End where a pupil was signed in before: one pupil, one place (policy: AC1)."""
    open_ones = (await session.exec(
        select(SignIn.id).where(SignIn.person_id == actor.person_id, col(SignIn.ended_at).is_(None), SignIn.ends_at > now)
    )).all()
    if open_ones:
        await end_all(session, actor, person_id=actor.person_id, why="elsewhere", now=now)


async def was_idle(connection: HTTPConnection) -> bool:
    """Whether the request's cookie is of a session that ended because nobody did anything."""
    token = connection.cookies.get(COOKIE)
    if not token:
        return False
    async with connection.app.state.database.glance() as session:
        found = (await session.exec(select(SignIn).where(SignIn.token_hash == token_hash(token)))).first()
    return found is not None and found.ended_at is None


async def end_all(session: AsyncSession, actor: Actor, *, person_id: str, why: str, now: datetime) -> None:
    """Sign a person out everywhere: pages, sockets and media close together."""
    await session.exec(
        update(SignIn).where(col(SignIn.person_id) == person_id, col(SignIn.ended_at).is_(None)).values(ended_at=now)
    )
    await publish(session, SessionsEnded(person_id=person_id, why=why), actor)
