"""Every write once: what a request answered is kept with what it wrote, and answered again when it comes again.

The answer is written in the transaction of the write itself, so there is never one without the other, and sealed: who holds the
database reads neither what a family was told nor, by guessing, what it sent (policy: AC4). Of a person, a key is used for one
request; kept for a day (IETF draft “The Idempotency-Key HTTP Header Field”).
"""

import hashlib
import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from cryptography.exceptions import InvalidTag
from fastapi import Depends, Header, Request
from fastapi.responses import Response
from sqlalchemy import UniqueConstraint
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel, col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.clock import Clock
from service.foundation.db import Database, IdField
from service.foundation.errors import Conflict, Invalid, NotSignedIn
from service.foundation.web import Closing, Writing, actor_of
from service.people import family
from service.people.hashing import Pepper

KEPT = timedelta(hours=24)
PURPOSE = "api-answer"
KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ApiAnswer(SQLModel, table=True):
    """What one request of one person answered."""

    __tablename__ = "api_answer"
    __table_args__ = (UniqueConstraint("person_id", "key"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    key: str = Field(max_length=64)
    request: str = Field(max_length=64, description="Keyed hash of the method, the address and what was sent.")
    family: str = Field(max_length=64, description="SHA-256 of the children whom this person might be told of then.")
    status: int = 0
    body: str = Field(default="", description="Sealed for this row; empty for no content.")
    made_at: datetime = Field(index=True)


class KeyReused(Invalid):
    """This key was used for another request. Use a new key for a new request."""

    code = "idempotency-key-reused"


class UnderWay(Conflict):
    """The same request is being done just now. Try again in a moment."""

    code = "under-way"


class AnswerLost(Conflict):
    """This was done before, but what was answered cannot be read any more. Look at what is there now."""

    code = "answer-lost"


class Replayed(Exception):  # not an error: the answer is known
    """The request was done before: `answer` is what it answered. Raises AnswerLost when it was sealed under another key."""

    def __init__(self, answer: ApiAnswer, pepper: Pepper):
        super().__init__(answer.id)
        try:
            body = pepper.unseal(PURPOSE, answer.id, answer.body) if answer.body else ""
        except (InvalidTag, ValueError) as error:
            raise AnswerLost() from error
        self.response = Response(body, answer.status, media_type="application/json" if body else None)
        self.response.headers["Idempotency-Replayed"] = "true"


IdempotencyKey = Annotated[str, Header(
    alias="Idempotency-Key", pattern=f"^{KEY.pattern}$", description="A new one for each wish, the same for each try.")]


async def _once(request: Request, session: Writing, key: IdempotencyKey) -> AsyncSession:
    return await _begin(request, session, key)


async def _once_closing(request: Request, session: Closing, key: IdempotencyKey) -> AsyncSession:
    return await _begin(request, session, key)


async def _begin(request: Request, session: AsyncSession, key: str) -> AsyncSession:
    """Raises Replayed when it was done before, KeyReused when the key was for something else.

    What was answered to somebody who may be told of other children by now is not given again: they are asked anew (CM1).
    """
    actor = await actor_of(request)
    if actor is None:
        raise NotSignedIn()
    pepper: Pepper = request.app.state.pepper
    asked = pepper.secret(PURPOSE, request.method, request.url.path, request.url.query,
                          hashlib.sha256(await request.body()).hexdigest())
    now = session.info["clock"].now()
    known = hashlib.sha256(" ".join(one.id for one in await family.children(session, actor)).encode()).hexdigest()
    before = (await session.exec(select(ApiAnswer).where(
        ApiAnswer.person_id == actor.person_id, ApiAnswer.key == key))).first()
    if before is not None and now - before.made_at < KEPT and before.family == known:
        raise Replayed(before, pepper) if before.request == asked else KeyReused()
    if before is not None:
        await session.delete(before)
        await session.flush()
    row = ApiAnswer(school_id=actor.school_id, person_id=actor.person_id, key=key, request=asked, family=known,
                    made_at=now)
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise UnderWay() from error
    request.state.answer = row
    return session


def remember(request: Request, response: Response) -> None:
    """Keep what a write answered, in its own transaction, which is still open."""
    row: ApiAnswer | None = getattr(request.state, "answer", None)
    if row is not None:
        body, pepper = bytes(response.body).decode(), request.app.state.pepper
        row.status, row.body = response.status_code, pepper.seal(PURPOSE, row.id, body) if body else ""


Once = Annotated[AsyncSession, Depends(_once, scope="function")]
"""The session of a write that is done once, however often it is asked for."""
OnceClosing = Annotated[AsyncSession, Depends(_once_closing, scope="function")]


async def clear(database: Database, clock: Clock) -> Any:
    """Forget what is older than a day."""
    async with database.writing() as session:
        await session.exec(delete(ApiAnswer).where(col(ApiAnswer.made_at) < clock.now() - KEPT))
