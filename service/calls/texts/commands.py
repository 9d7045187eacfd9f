"""Keeping the school's texts, sending one after a call, and what became of it (policy: CM1, CM2, CM4, CM5).

Journal first: a text is written down and committed before the provider is asked, and it is asked once. Of what nobody knows it is
said that nobody knows.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls import commands as calls
from service.calls import numbers, rules
from service.calls.queries import Teaches
from service.calls.rules import CannotTell, Not, Refused
from service.calls.tables import Call
from service.calls.texts import queries
from service.calls.texts import rules as texts
from service.calls.texts.events import TextPlaced, TextPublished, TextReplied, TextReplyShown, TextSettled
from service.calls.texts.queries import Template
from service.calls.texts.rules import Status
from service.calls.texts.tables import TextMessage, TextReply, TextTemplate
from service.calls.way import Text
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import Actor, Role, system
from service.people import queries as people
from service.people.hashing import Pepper

MOST_REPLY = 1600
"""Letters of an answer that are kept; a text has no more."""


# -- the school's texts -------------------------------------------------------------------------------------------------------


async def publish_template(session: AsyncSession, actor: Actor, key: str, *, title: str, language: str, words: str,
                           now: datetime) -> str:
    """A new text, or a new version of one in a language. Returns its key."""
    before = await queries.templates(session, actor.school_id, key) if key else []
    if key and not before:
        raise NotFound()
    title, language, words = (" ".join(said.split()) for said in (title, language, words))
    names = {one.full_name for one in await people.holders(session, actor.school_id, frozenset({Role.PUPIL}))}
    if wrong := texts.problems(title, language, words, frozenset(names)):
        raise Invalid(fields=wrong)
    return await _add(session, actor, key, before, title, language, words, now)


async def withdraw_template(session: AsyncSession, actor: Actor, key: str, now: datetime) -> None:
    """From now on nobody sends it, in any language."""
    before = await queries.templates(session, actor.school_id, key)
    for one in before:
        if one.words:
            await _add(session, actor, key, before, one.title, one.language, "", now)


async def _add(session: AsyncSession, actor: Actor, key: str, before: list[Template], title: str, language: str, words: str,
               now: datetime) -> str:
    same = next((one for one in before if one.language.casefold() == language.casefold()), None)
    version, language = (same.version + 1, same.language) if same else (1, language)
    row = TextTemplate(school_id=actor.school_id, lineage=key or new_id(), language=language, version=version, title=title,
                       words=words, made_by=actor.person_id, made_at=now)
    session.add(row)
    await session.flush()
    await publish(session, TextPublished(row.lineage, row.language, version, not words), actor)
    return row.lineage


# -- one text -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placed:
    """A text that is written down, and what to send."""

    id: str
    text: Text


async def place(session: AsyncSession, actor: Actor, pepper: Pepper, has_lessons_with: Teaches, call_id: str, template_id: str,
                *, has_way: bool, now: datetime) -> Placed:
    """Ask the rule, and write the text down; nothing is sent yet. Raises Refused in the rule's words, which the caller keeps."""
    call = await session.get(Call, call_id)
    if call is None or call.school_id != actor.school_id or call.caller_id != actor.person_id:
        raise NotFound()
    wanted, after = await queries.wanted_of(session, call, actor.session_id)
    found = await queries.facts(session, pepper, wanted, has_lessons_with)
    said = texts.decide(found, rules.limits(await people.profile(session, actor.school_id)), after, now, has_way=has_way)
    language = found.contact.language if found.contact else ""
    chosen = next((one for one in await queries.offered(session, actor.school_id, language) if one.id == template_id), None)
    if not isinstance(said, Not) and chosen is None:
        raise Invalid(fields={"template": texts.NO_TEXT.words})
    if isinstance(said, Not) or chosen is None:
        refusal = said if isinstance(said, Not) else texts.NO_TEXT
        raise Refused(refusal.words, code=refusal.code)
    to = await numbers.number(session, pepper, actor.school_id, call.adult_id, numbers.FAMILY)
    if to is None:
        raise CannotTell()
    key = secrets.token_hex(16)
    row = TextMessage(school_id=actor.school_id, child_id=call.child_id, adult_id=call.adult_id, sender_id=actor.person_id,
                      call_id=call.id, template_id=chosen.id, asked_at=now, status=Status.ASKED, status_at=now,
                      key_hash=_hash(key))
    session.add(row)
    await session.flush()
    await publish(session, TextPlaced(row.child_id, row.id, row.call_id, row.adult_id, row.template_id), actor)
    return Placed(row.id, Text(key, to, chosen.words))


async def refuse(session: AsyncSession, actor: Actor, call_id: str, code: str) -> None:
    """Keep that somebody wanted to send a text, and may not."""
    call = await session.get_one(Call, call_id)
    wanted, _ = await queries.wanted_of(session, call, actor.session_id)
    await calls.refuse(session, actor, wanted, code)


async def settle(session: AsyncSession, actor: Actor, text_id: str, status: Status, now: datetime) -> None:
    """What we found out when we sent it. What the provider told meanwhile stays."""
    await _move(session, actor, await session.get_one(TextMessage, text_id), status, now)


async def hear(session: AsyncSession, key: str, said: str, now: datetime) -> bool:
    """The provider tells of a text, by the secret in the address. False: it is none of ours, or says nothing new."""
    row = (await session.exec(select(TextMessage).where(TextMessage.key_hash == _hash(key)))).first()
    status = texts.status_of(said)
    return row is not None and status is not None and await _move(session, system(row.school_id), row, status, now)


async def _move(session: AsyncSession, actor: Actor, row: TextMessage, status: Status, now: datetime) -> bool:
    if not texts.is_further(Status(row.status), status):
        return False
    row.status, row.status_at = status, now
    await publish(session, TextSettled(row.child_id, row.id, status), actor)
    return True


async def close_what_a_crash_left(session: AsyncSession, now: datetime) -> None:
    """Texts of which nobody wrote whether they were sent: the process stopped in between."""
    for row in (await session.exec(select(TextMessage).where(TextMessage.status == Status.ASKED))).all():
        await _move(session, system(row.school_id), row, Status.NOT_KNOWN, now)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


# -- what comes back ------------------------------------------------------------------------------------------------------------


async def take_reply(session: AsyncSession, pepper: Pepper, said_id: str, sender: str, words: str, now: datetime) -> bool:
    """Somebody wrote to the school's number: for the office, and for nobody else. False: it was taken before."""
    school = await people.only_school(session)
    if school is None or (await session.exec(select(TextReply.id).where(TextReply.said_id == said_id))).first():
        return False
    owners = await numbers.owners(session, pepper, school.id, sender)
    adult = next(iter(owners)) if len(owners) == 1 else ""
    row = TextReply(school_id=school.id, said_id=said_id, adult_id=adult, came_at=now,
                    cipher=pepper.seal(queries.REPLY, f"{school.id}/{said_id}", words[:MOST_REPLY]))
    session.add(row)
    await session.flush()
    await publish(session, TextReplied(row.id, adult), system(school.id))
    return True


async def show_reply(session: AsyncSession, actor: Actor, reply_id: str, now: datetime) -> None:
    """Audit that the office is about to read an answer. The page opens it after the commit (policy: CM5)."""
    if not await queries.replies(session, actor, TextReply.id == reply_id):
        raise NotFound()
    row = await session.get_one(TextReply, reply_id)
    row.read_at = row.read_at or now
    await publish(session, TextReplyShown(reply_id), actor)
