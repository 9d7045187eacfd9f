"""Publish up: an event enters the audit, and whoever subscribed reacts, without the publisher knowing them.

`wiring.py` is the only place that says who reacts to what; it reaches `publish` through `session.info`, so the floor never
imports the roof. Whatever closes acts first, in the turn in which it was decided and before anything is written (invariant I7).
Subscribers inside the transaction raise and roll everything back; those after the commit run from the outbox, at least once, so
they are idempotent.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlmodel import Field, SQLModel, col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import audit
from service.foundation.db import Database
from service.foundation.events import Actor, Event

log = structlog.get_logger(__name__)

Closing = Callable[[Any, Any, Actor], None]
InTransaction = Callable[[AsyncSession, Any, Actor], Awaitable[None]]
AfterCommit = Callable[[Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Subscribers:
    """Who reacts to what. `closing` and `after_commit` functions get the application's state and the event.

    Those of `closing` never wait, and only ever close: the event may yet be rolled back, and whoever closed for it looks again.
    """

    closing: Mapping[type[Event], Sequence[Closing]] = field(default_factory=dict)
    in_transaction: Mapping[type[Event], Sequence[InTransaction]] = field(default_factory=dict)
    after_commit: Mapping[type[Event], Sequence[AfterCommit]] = field(default_factory=dict)


class Outbox(SQLModel, table=True):
    """An event on its way to those who react after the commit."""

    __tablename__ = "outbox"
    id: int | None = Field(default=None, primary_key=True)
    school_id: str = Field(max_length=32)
    kind: str = Field(max_length=60)
    body: str
    at: datetime
    done_at: datetime | None = Field(default=None, index=True)
    attempts: int = 0


async def publish(session: AsyncSession, event: Event, actor: Actor) -> None:
    """Close what `event` closes, audit it, run those who react in this transaction, and leave it for those after the commit."""
    subscribers: Subscribers = session.info["subscribers"]
    if (state := session.info.get("state")) is not None:  # a command beside the service has no rooms
        for close in subscribers.closing.get(type(event), ()):
            close(state, event, actor)
    session.info.setdefault("kinds", set()).add(event.kind)
    await audit.append(session, event, actor)
    for react in subscribers.in_transaction.get(type(event), ()):
        await react(session, event, actor)
    if type(event) in subscribers.after_commit:
        session.add(Outbox(
            school_id=actor.school_id, kind=event.kind, body=json.dumps(asdict(event), default=str),
            at=session.info["clock"].now(),
        ))
        session.info["published"] = True


async def deliver(database: Database, state: Any, subscribers: Subscribers) -> int:
    """Hand every waiting event to its subscribers, oldest first. Returns how many were delivered.

    A subscriber that fails leaves its event waiting; the next call tries again.
    """
    delivered = await _hand_out(database, state, subscribers, frozenset())
    await _write_down(database, delivered)
    return len(delivered)


async def _hand_out(database: Database, state: Any, subscribers: Subscribers, known: frozenset[int]) -> set[int]:
    """The ids of what was delivered. `known`: delivered before, and not written down yet."""
    kinds = {kind.__name__: kind for kind in subscribers.after_commit}
    delivered = set()
    async with database.reading() as session:
        waiting = (await session.exec(select(Outbox).where(col(Outbox.done_at).is_(None)).order_by(col(Outbox.id)))).all()
    for row in waiting:
        if row.id is None or row.id in known:
            continue
        try:
            event = kinds[row.kind](**json.loads(row.body))  # of another version, it may be none any more
            for react in subscribers.after_commit[type(event)]:
                await react(state, event)
        except Exception:
            log.exception("outbox.failed", kind=row.kind, outbox_id=row.id)
            continue
        delivered.add(row.id)
    return delivered


async def _write_down(database: Database, delivered: Iterable[int]) -> None:
    ids = list(delivered)
    if ids:
        async with database.writing(decides=False) as session:
            await session.exec(update(Outbox).where(col(Outbox.id).in_(ids)).values(done_at=session.info["clock"].now()))


async def run(database: Database, state: Any, subscribers: Subscribers, wake: asyncio.Event) -> None:
    """Deliver whenever something was published, and every few seconds for what failed before.

    Nobody's news wait for that of others to be written down as delivered: when many write, that takes seconds (goal G3).
    """
    delivered: set[int] = set()
    news = asyncio.Event()

    async def keep_writing_down() -> None:
        while True:
            await news.wait()
            news.clear()
            ids = frozenset(delivered)
            await _write_down(database, ids)
            delivered.difference_update(ids)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_writing_down())
        while True:
            wake.clear()
            delivered |= await _hand_out(database, state, subscribers, frozenset(delivered))
            if delivered:
                news.set()
            try:
                async with asyncio.timeout(5):
                    await wake.wait()
            except TimeoutError:
                continue
