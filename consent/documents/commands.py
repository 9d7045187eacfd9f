"""Publishing what families are asked. A version that was published never changes; a new one says what is different."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.documents import queries, rules, texts
from consent.documents.events import ConsentDocumentPublished, ConsentTextAdded, ConsentTextApproved
from consent.documents.tables import ConsentDocument, ConsentText
from consent.rules import PURPOSES, Purpose
from service.foundation.bus import publish
from service.foundation.clock import Clock
from service.foundation.db import Database, new_id
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor, system
from service.people.events import SchoolFounded
from service.people.tables import School

ANSWERED_FOR = frozenset({rules.DEFAULT})
"""The languages of the texts we bring that a person has read. Any other starts as a draft."""
SAYS_MORE = {Purpose.TEACHING_PRACTICE: "Lessons can now be kept for this. Before, Chaperone only kept your answer."}
"""Texts of ours that came to ask for more than they did: who said yes to the old one has not said yes to this (policy: CO2)."""


async def begin(session: AsyncSession, event: SchoolFounded, actor: Actor) -> None:
    """Reaction: a new school starts with the texts that the product brings."""
    await seed(session, event.school_id, session.info["clock"].now())


async def seed_all(database: Database, clock: Clock) -> None:
    """At each start: a school from before texts were kept gets those that the product brings."""
    async with database.writing() as session:
        schools = (await session.exec(select(School.id).where(~col(School.is_self_test)))).all()
        for school_id in schools:
            await seed(session, school_id, clock.now())


async def seed(session: AsyncSession, school_id: str, now: datetime) -> None:
    """Version 1 of every purpose that this school has no text for. Run again, it does nothing."""
    there = set((await session.exec(select(ConsentDocument.purpose).where(ConsentDocument.school_id == school_id))).all())
    for purpose in PURPOSES:
        if purpose in there:
            continue
        row = ConsentDocument(id=new_id(), school_id=school_id, purpose=purpose, version=1, published_at=now,
                              published_by="system")
        session.add(row)
        for language in texts.languages():
            if text := texts.default(purpose, language):
                by = "system" if language in ANSWERED_FOR else ""
                session.add(_text(row, language, text, "system", now, by))
        await publish(session, ConsentDocumentPublished(row.id, purpose, 1, False), system(school_id))
    for purpose, changed in SAYS_MORE.items():
        await _renew(session, school_id, purpose, changed, now)


async def _renew(session: AsyncSession, school_id: str, purpose: Purpose, changed: str, now: datetime) -> None:
    """A text that we brought and that now says more is replaced, and a yes to the old words ends. A school's own text stays."""
    newest = (await session.exec(select(ConsentDocument).where(
        ConsentDocument.school_id == school_id, ConsentDocument.purpose == purpose,
    ).order_by(col(ConsentDocument.version).desc()))).first()
    text = texts.default(purpose, rules.DEFAULT)
    if newest is None or newest.published_by != "system" or text is None:
        return
    said = (await queries.hashes(session, newest.id)).get(rules.DEFAULT)
    if said == rules.text_hash(purpose, newest.version, rules.DEFAULT, rules.tidied(text)):
        return
    row = ConsentDocument(id=new_id(), school_id=school_id, purpose=purpose, version=newest.version + 1, changed=changed,
                          ends_answers_at=now, published_at=now, published_by="system")
    session.add(row)
    session.add(_text(row, rules.DEFAULT, text, "system", now, "system"))
    await publish(session, ConsentDocumentPublished(row.id, purpose, row.version, True), system(school_id))


def _text(document: ConsentDocument, language: str, text: rules.Text, writer: str, now: datetime, approver: str) -> ConsentText:
    clean = rules.tidied(text)
    return ConsentText(
        id=new_id(), school_id=document.school_id, document_id=document.id, language=language, sections=clean.to_json(),
        text_hash=rules.text_hash(Purpose(document.purpose), document.version, language, clean), written_by=writer,
        written_at=now, approved_by=approver, approved_at=now if approver else None,
    )


async def publish_version(
    session: AsyncSession, actor: Actor, *, purpose: Purpose, text: rules.Text, changed: str, ends_answers: bool, after: int,
    now: datetime,
) -> str:
    """A new version, in English, in force at once. Returns its id.

    `ends_answers`: a yes to an earlier version counts no more, so that families are asked again and nobody comes in before they
    answer. `after`: the version it was written from; another one published meanwhile is a Conflict. Raises Invalid.
    """
    newest = next(iter(await queries.versions(session, actor.school_id, purpose)), None)
    if newest is None or newest.version != after:
        raise Conflict("Somebody published another version meanwhile. Look at it first.")
    changed = rules.checked_change(changed, rules.DEFAULT)
    clean = rules.checked(text, knows_others=True)
    row = ConsentDocument(
        id=new_id(), school_id=actor.school_id, purpose=purpose, version=newest.version + 1, changed=changed,
        ends_answers_at=now if ends_answers else None, published_at=now, published_by=actor.person_id,
    )
    session.add(row)
    session.add(_text(row, rules.DEFAULT, clean, actor.person_id, now, actor.person_id))
    await publish(session, ConsentDocumentPublished(row.id, purpose, row.version, ends_answers), actor)
    return row.id


async def add_language(
    session: AsyncSession, actor: Actor, *, document_id: str, language: str, text: rules.Text, now: datetime,
) -> str:
    """Another language of a version, as a draft. Returns the id of the text. Raises Invalid, Conflict, NotFound."""
    if language not in rules.LANGUAGES:
        raise Invalid("There is a problem", fields={"language": "Choose a language of the list"})
    view = await queries.document(session, actor.school_id, document_id)
    if language in {one.language for one in view.languages}:
        raise Conflict("This version has that language already. To change its words, publish a new version.")
    clean = rules.checked(text, knows_others=bool(texts.others(language, seen=False)))
    row = await session.get_one(ConsentDocument, document_id)
    kept = _text(row, language, clean, actor.person_id, now, "")
    session.add(kept)
    await publish(session, ConsentTextAdded(document_id, language, kept.text_hash), actor)
    return kept.id


async def approve(session: AsyncSession, actor: Actor, *, text_id: str, reviewer: str, now: datetime) -> str:
    """The school answers for a language: `reviewer` is the person who read it beside the English. Returns the purpose."""
    row = (await session.exec(select(ConsentText).where(col(ConsentText.id) == text_id).with_for_update())).first()
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    if row.approved_at is not None:
        raise Conflict("This language is in use already.")
    if not reviewer.strip():
        raise Invalid("There is a problem", fields={"reviewer": "Say who read it beside the English"})
    row.reviewer, row.approved_by, row.approved_at = reviewer.strip()[:120], actor.person_id, now
    await publish(session, ConsentTextApproved(row.document_id, row.language, row.text_hash), actor)
    return (await session.get_one(ConsentDocument, row.document_id)).purpose
