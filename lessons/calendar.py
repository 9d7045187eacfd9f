"""A member of staff's timetable for the calendar they already use: a private address, revocable, that names nobody.

Only the class is in it: a title is free text and may hold a child's name, and a calendar leaves the school (policy: CM5, AC9).
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from icalendar import Calendar, Event
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import queries
from lessons.events import CalendarFeedMade, CalendarFeedRevoked
from lessons.queries import Card
from lessons.rules import Stage
from lessons.tables import CalendarFeed
from service.foundation.bus import publish
from service.foundation.errors import NotFound
from service.foundation.events import STAFF, Actor
from service.foundation.web import token_hash
from service.people import queries as people

KEPT = timedelta(weeks=4)


@dataclass(frozen=True)
class FeedView:
    made_at: datetime


async def make(session: AsyncSession, actor: Actor, now: datetime) -> str:
    """A new address for this person's calendar; the one before stops working. Returns its token, shown once."""
    await _revoke(session, actor, now)
    token = secrets.token_urlsafe(32)
    session.add(CalendarFeed(school_id=actor.school_id, person_id=actor.person_id, token_hash=token_hash(token), made_at=now))
    await publish(session, CalendarFeedMade(person_id=actor.person_id), actor)
    return token


async def revoke(session: AsyncSession, actor: Actor, now: datetime) -> None:
    await _revoke(session, actor, now)
    await publish(session, CalendarFeedRevoked(person_id=actor.person_id), actor)


async def _revoke(session: AsyncSession, actor: Actor, now: datetime) -> None:
    await session.exec(update(CalendarFeed).where(
        col(CalendarFeed.person_id) == actor.person_id, col(CalendarFeed.revoked_at).is_(None)
    ).values(revoked_at=now))


async def current(session: AsyncSession, actor: Actor) -> FeedView | None:
    row = (await session.exec(select(CalendarFeed).where(
        CalendarFeed.person_id == actor.person_id, col(CalendarFeed.revoked_at).is_(None)
    ))).first()
    return FeedView(row.made_at) if row else None


async def feed(session: AsyncSession, token: str, now: datetime, origin: str) -> bytes:
    """The calendar behind a token. Raises NotFound once it was revoked, or its owner left or is no longer on the staff."""
    row = (await session.exec(select(CalendarFeed).where(CalendarFeed.token_hash == token_hash(token)))).first()
    if row is None or row.revoked_at is not None:
        raise NotFound()
    owner = await people.actor(session, row.person_id)
    if owner is None or not owner.is_any(STAFF):
        raise NotFound()
    return written(await queries.calendar(session, row.school_id, row.person_id, now - KEPT), now, origin)


def written(cards: Iterable[Card], now: datetime, origin: str) -> bytes:
    """RFC 5545. A moved lesson keeps its UID, so calendars move it; a cancelled one is struck out."""
    calendar = Calendar()
    calendar.add("prodid", "-//Chaperone//Lessons//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", "Lessons")
    for card in cards:
        entry = Event()
        entry.add("uid", f"{card.id}@chaperone")
        entry.add("dtstamp", now)
        entry.add("dtstart", card.starts_at)
        entry.add("dtend", card.ends_at)
        entry.add("summary", f"Lesson with {card.group}")
        entry.add("url", f"{origin}/lessons/{card.id}")
        entry.add("status", "CANCELLED" if card.stage is Stage.CANCELLED else "CONFIRMED")
        calendar.add_component(entry)
    return bytes(calendar.to_ical())
