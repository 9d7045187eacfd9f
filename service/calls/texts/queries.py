"""Reading texts, what decides about one, and what came back: frozen dataclasses out, never a number (policy: CM5)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls import queries as calls
from service.calls.queries import Teaches, Wanted
from service.calls.rules import Facts
from service.calls.tables import Call
from service.calls.texts.rules import HOME, After
from service.calls.texts.tables import TextMessage, TextReply, TextTemplate
from service.foundation.errors import NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.people import registers, telephones
from service.people.hashing import Pepper

REPLY = "text-reply"
"""What an answer is sealed for."""


@dataclass(frozen=True)
class Template:
    """One of the school's texts, as it is sent now in one language. Without words it is withdrawn."""

    id: str
    key: str
    language: str
    version: int
    title: str
    words: str
    made_at: datetime


async def templates(session: AsyncSession, school_id: str, key: str = "", *, every: bool = False) -> list[Template]:
    """The newest version of every text in every language, by title; `every`: all of them, the newest first."""
    wanted = select(TextTemplate).where(TextTemplate.school_id == school_id).order_by(col(TextTemplate.version).desc())
    rows = (await session.exec(wanted.where(TextTemplate.lineage == key) if key else wanted)).all()
    newest: dict[tuple[str, str], Template] = {}
    found = [Template(row.id, row.lineage, row.language, row.version, row.title, row.words, row.made_at) for row in rows]
    for one in found:
        newest.setdefault((one.key, one.language.casefold()), one)
    return found if every else sorted(newest.values(), key=lambda one: (one.title, one.key, one.language))


async def offered(session: AsyncSession, school_id: str, language: str) -> list[Template]:
    """What may be sent to a family now: every text once, in their language where it is kept in it, else in English."""
    now: dict[str, Template] = {}
    for one in await templates(session, school_id):
        is_theirs = one.language.casefold() == language.casefold()
        if one.words and (is_theirs or (one.language.casefold() == HOME.casefold() and one.key not in now)):
            now[one.key] = one
    return sorted(now.values(), key=lambda one: (one.title, one.key))


async def wanted_of(session: AsyncSession, call: Call, session_id: str) -> tuple[Wanted, After]:
    """The call as the rule is asked about a text after it."""
    is_sent = (await session.exec(select(TextMessage.id).where(TextMessage.call_id == call.id))).first() is not None
    return (Wanted(call.school_id, call.caller_id, session_id, call.child_id, call.adult_id, call.purpose, call_id=call.id),
            After(call.ended_why, call.ended_at, call.connected_at, call.message_left, call.outcome, is_sent))


async def facts(session: AsyncSession, pepper: Pepper, wanted: Wanted, has_lessons_with: Teaches) -> Facts:
    """What the rule of calls asks, read anew; of how often there were texts, not calls."""
    now: datetime = session.info["clock"].now()
    found = await calls.facts(session, pepper, wanted, has_lessons_with, is_placed=True)
    local = now.astimezone(ZoneInfo(found.zone))
    midnight = datetime.combine(local.date(), datetime.min.time(), local.tzinfo).astimezone(UTC)
    adults = [one.adult_id for one in await calls.contacts(session, pepper, wanted.school_id, wanted.child_id)]
    counted = select(func.count()).select_from(TextMessage).where(TextMessage.school_id == wanted.school_id)
    about = await session.exec(counted.where(TextMessage.child_id == wanted.child_id, col(TextMessage.asked_at) >= midnight))
    family = await session.exec(counted.where(
        col(TextMessage.adult_id).in_(adults), col(TextMessage.asked_at) > now - timedelta(hours=1)))
    return replace(found, about_child=about.one(), to_family=family.one())


@dataclass(frozen=True)
class Sent:
    """A text as a record shows it."""

    call_id: str
    title: str
    language: str
    words: str
    status: str
    asked_at: datetime


async def sent(session: AsyncSession, school_id: str, call_ids: Iterable[str]) -> dict[str, Sent]:
    """The texts after these calls, by call."""
    rows = await session.exec(select(TextMessage, TextTemplate).join(
        TextTemplate, col(TextTemplate.id) == TextMessage.template_id).where(
        TextMessage.school_id == school_id, col(TextMessage.call_id).in_(list(call_ids))))
    return {text.call_id: Sent(text.call_id, template.title, template.language, template.words, text.status, text.asked_at)
            for text, template in rows.all()}


@dataclass(frozen=True)
class Reply:
    """That somebody answered, and about whom it may be. What they wrote is read one at a time (`reply`)."""

    id: str
    adult: str
    children: tuple[str, ...]
    came_at: datetime
    is_read: bool


async def replies(session: AsyncSession, actor: Actor, *where: Any, skip: int = 0, limit: int = 100) -> list[Reply]:
    """Those that nobody has read first, then the newest. None of the reader's own family: it may be about the one who reads
    (policy: CM1)."""
    school_id = actor.school_id
    own = await registers.own_family(session, school_id, actor.person_id)
    rows = (await session.exec(select(TextReply).where(
        TextReply.school_id == school_id, col(TextReply.adult_id).not_in(own), *where).order_by(
        col(TextReply.read_at).is_not(None), col(TextReply.came_at).desc(), col(TextReply.id)).offset(skip).limit(limit))).all()
    found = []
    for row in rows:
        links = await registers.guardians(session, school_id, guardian_id=row.adult_id) if row.adult_id else ()
        named = await people.people(session, school_id, [row.adult_id])
        found.append(Reply(row.id, named[row.adult_id].name if row.adult_id in named else "",
                           tuple(sorted(link.name for link in links)), row.came_at, row.read_at is not None))
    return found


async def reply(session: AsyncSession, pepper: Pepper, actor: Actor, reply_id: str) -> tuple[Reply, str]:
    """One answer, and its words; numbers in them are not shown, as everywhere else."""
    row, shown = await session.get(TextReply, reply_id), await replies(session, actor, TextReply.id == reply_id)
    if row is None or not shown:
        raise NotFound()
    return shown[0], telephones.without(pepper.unseal(REPLY, f"{row.school_id}/{row.said_id}", row.cipher))
