"""Asking a class or the school, reminding whoever has not answered, and ending it."""

from collections.abc import Collection
from datetime import date, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from consent.requests import queries, rules
from consent.requests.events import ConsentReminded, ConsentRequested, ConsentRequestEnded
from consent.requests.queries import RequestView
from consent.requests.tables import ConsentReminder, ConsentRequest
from consent.rules import PURPOSES, Purpose
from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, Invalid
from service.foundation.events import Actor
from service.people import queries as people


async def ask(
    session: AsyncSession, actor: Actor, *, group_id: str, purposes: Collection[Purpose], deadline: date | None, now: datetime,
) -> str:
    """Ask the families of a class (or of the school, without `group_id`). They are told at once. Returns the id."""
    today = now.date()
    until = rules.check_new(purposes, deadline, today)
    if group_id:
        await people.group(session, actor.school_id, group_id)
    asked = rules.Asked(tuple(p for p in PURPOSES if p in purposes), today, until)
    lines = await queries.families(session, actor.school_id, group_id, asked, today)
    if not lines:
        raise Invalid("There is a problem", fields={"group": "There is no pupil in it"})
    row = ConsentRequest(
        id=new_id(), school_id=actor.school_id, group_id=group_id or None, purposes=" ".join(asked.purposes), asked_on=today,
        deadline=until, asked_by=actor.person_id, asked_at=now,
    )
    session.add(row)
    await publish(session, ConsentRequested(row.id, group_id, tuple(map(str, asked.purposes)), len(lines)), actor)
    await session.flush()
    view = await queries.request(session, actor.school_id, row.id, today)
    await _tell(session, actor, view, "day 0", now)
    return row.id


async def remind(session: AsyncSession, actor: Actor, *, request_id: str, now: datetime) -> int:
    """Tell those again who have not answered, at most every three days. Returns how many people are told."""
    view = await _open(session, actor, request_id, now)
    rules.check_again(view.last_reminder, now)
    told = await _tell(session, actor, view, f"again {now:%Y-%m-%d}", now)
    await publish(session, ConsentReminded(request_id, told), actor)
    return told


async def end(session: AsyncSession, actor: Actor, *, request_id: str, now: datetime) -> None:
    """Nobody is told about it any more. What was answered stays."""
    await _open(session, actor, request_id, now)
    row = await session.get_one(ConsentRequest, request_id)
    row.ended_by, row.ended_at = actor.person_id, now
    await mail.call_off(session, about=request_id, now=now)
    await publish(session, ConsentRequestEnded(request_id), actor)


async def _open(session: AsyncSession, actor: Actor, request_id: str, now: datetime) -> RequestView:
    view = await queries.request(session, actor.school_id, request_id, now.date())
    if view.ended_at is not None:
        raise Conflict("This has been ended.")
    return view


async def _tell(session: AsyncSession, actor: Actor, view: RequestView, occasion: str, now: datetime) -> int:
    """N2, which says that a question waits and names nobody."""
    zone = (await people.school(session, actor.school_id)).zone
    await mail.queue(session, school_id=actor.school_id, people=view.tells, text="N2", about=view.id, occasion=occasion, now=now,
                     zone=zone)
    session.add(ConsentReminder(school_id=actor.school_id, request_id=view.id, sent_by=actor.person_id, sent_at=now,
                                people=len(view.tells)))
    return len(view.tells)
