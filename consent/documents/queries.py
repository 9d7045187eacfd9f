"""Reading what families are asked: the version shown now, its words in a language, and every version for the office."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.documents import rules, texts
from consent.documents.tables import ConsentDocument, ConsentText
from consent.rules import Purpose
from consent.told import is_public_task
from service.foundation.errors import NotFound
from service.people import queries as people


@dataclass(frozen=True)
class Shown:
    """The version of one purpose that families are asked with now. `languages`: those somebody answers for, to their hash."""

    document_id: str
    purpose: Purpose
    version: int
    changed: str
    ends_answers_at: datetime | None
    languages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Words:
    """What one person reads: the text with its gaps closed, the hash of the text, and what closed them (but for the name)."""

    document_id: str
    purpose: Purpose
    version: int
    language: str
    changed: str
    text: rules.Text
    text_hash: str
    filled: str
    is_rtl: bool


@dataclass(frozen=True)
class LanguageView:
    """One language of a version, for the office. `approved_by` empty: a draft."""

    id: str
    language: str
    name: str
    text: rules.Text
    text_hash: str
    written_by: str
    written_at: datetime
    reviewer: str
    approved_by: str
    approved_at: datetime | None

    @property
    def is_draft(self) -> bool:
        return self.approved_at is None


@dataclass(frozen=True)
class VersionView:
    id: str
    purpose: Purpose
    version: int
    changed: str
    ends_answers_at: datetime | None
    published_at: datetime
    published_by: str
    languages: tuple[LanguageView, ...] = ()

    @property
    def missing(self) -> list[tuple[str, str]]:
        """The languages that could be added."""
        there = {one.language for one in self.languages}
        return [(code, name) for code, name in rules.LANGUAGES.items() if code not in there]


_PUBLIC_TASK = "public_task"
_NEWEST = (
    select(ConsentDocument.purpose, func.max(ConsentDocument.version).label("newest"))
    .where(ConsentDocument.school_id == bindparam("school")).group_by(col(ConsentDocument.purpose)).subquery()
)
_SHOWN: Any = (
    select(ConsentDocument, col(ConsentText.language), col(ConsentText.text_hash))
    .join(_NEWEST, (col(ConsentDocument.purpose) == _NEWEST.c.purpose) & (col(ConsentDocument.version) == _NEWEST.c.newest))
    .join(ConsentText, (col(ConsentText.document_id) == ConsentDocument.id) & col(ConsentText.approved_at).is_not(None))
    .where(ConsentDocument.school_id == bindparam("school"))
)


async def shown(session: AsyncSession, school_id: str) -> dict[Purpose, Shown]:
    """What families are asked with now, by purpose, in one look."""
    found: dict[Purpose, Shown] = {}
    languages: dict[Purpose, dict[str, str]] = {}
    for row, language, text_hash in (await session.exec(_SHOWN, params={"school": school_id})).all():
        purpose = Purpose(row.purpose)
        languages.setdefault(purpose, {})[language] = text_hash
        found[purpose] = Shown(row.id, purpose, row.version, row.changed, row.ends_answers_at, languages[purpose])
    return {purpose: found[purpose] for purpose in Purpose if purpose in found}


async def languages(session: AsyncSession, school_id: str) -> frozenset[str]:
    """The languages in which the school answers for any of the texts that families are asked with now."""
    return frozenset(code for each in (await shown(session, school_id)).values() for code in each.languages)


async def words(session: AsyncSession, school_id: str, document_id: str, language: str, *, name: str) -> Words:
    """The text as somebody reads it about the child called `name`. A draft is not there to be read. Raises NotFound."""
    row = (await session.exec(
        select(ConsentDocument, ConsentText).join(ConsentText, col(ConsentText.document_id) == ConsentDocument.id).where(
            ConsentDocument.school_id == school_id, ConsentDocument.id == document_id, ConsentText.language == language,
            col(ConsentText.approved_at).is_not(None),
        ))).first()
    if row is None:
        raise NotFound()
    document, kept = row
    values = await fillings(session, school_id, language)
    text = rules.text_from(kept.sections)
    if document.purpose == Purpose.BE_RECORDED and _PUBLIC_TASK in values:
        text = text.with_parts(texts.under_public_task(language))
    text = text.filled(values | {"name": name})
    return Words(document.id, Purpose(document.purpose), document.version, language, document.changed, text, kept.text_hash,
                 json.dumps(values, ensure_ascii=False, sort_keys=True), language in rules.RIGHT_TO_LEFT)


async def hashes(session: AsyncSession, document_id: str) -> dict[str, str]:
    """The hash of each language of a version that somebody answers for."""
    rows = await session.exec(select(ConsentText.language, ConsentText.text_hash).where(
        ConsentText.document_id == document_id, col(ConsentText.approved_at).is_not(None)))
    return dict(rows.all())


@dataclass(frozen=True)
class Kept:
    """One version, for what the office writes down: from which day families can have read it, at the school. `texts`: of each
    language, the hash and the day from which somebody answered for it."""

    document_id: str
    version: int
    published_on: date
    ends_answers: bool
    texts: Mapping[str, tuple[str, date]]

    def hash_on(self, language: str, day: date) -> str:
        """Of its words in a language as they could be read on that day; empty where they could not."""
        text_hash, since = self.texts.get(language, ("", day))
        return text_hash if since <= day else ""


async def kept(session: AsyncSession, school_id: str) -> dict[Purpose, dict[int, Kept]]:
    """Every version of every purpose by its number, the oldest first."""
    zone = ZoneInfo((await people.school(session, school_id)).zone)
    texts_of: dict[str, dict[str, tuple[str, date]]] = {}
    for each in (await session.exec(select(ConsentText).where(
            ConsentText.school_id == school_id, col(ConsentText.approved_at).is_not(None)))).all():
        if each.approved_at is not None:
            since = each.approved_at.astimezone(zone).date()
            texts_of.setdefault(each.document_id, {})[each.language] = (each.text_hash, since)
    found: dict[Purpose, dict[int, Kept]] = {}
    for row in (await session.exec(select(ConsentDocument).where(ConsentDocument.school_id == school_id).order_by(
            col(ConsentDocument.version)))).all():
        found.setdefault(Purpose(row.purpose), {})[row.version] = Kept(
            row.id, row.version, row.published_at.astimezone(zone).date(), row.ends_answers_at is not None,
            texts_of.get(row.id, {}))
    return found


async def fillings(session: AsyncSession, school_id: str, language: str) -> dict[str, str]:
    """What closes the gaps of every text in a language today, but for the child's name; and whether recording was the school's
    public task, on which the text about it depends."""
    profile, school = await people.profile(session, school_id), await people.school(session, school_id)
    values = {"days": str(profile.retention_days), "office": school.office}
    others = texts.others(language, seen=profile.pupils_see_each_other)
    if is_public_task(profile):
        values[_PUBLIC_TASK] = "yes"
    return values | ({"others": others} if others else {})


async def versions(session: AsyncSession, school_id: str, purpose: Purpose) -> list[VersionView]:
    """Every version of one purpose, newest first, with every language."""
    rows = (await session.exec(select(ConsentDocument).where(
        ConsentDocument.school_id == school_id, ConsentDocument.purpose == purpose
    ).order_by(col(ConsentDocument.version).desc()))).all()
    kept = (await session.exec(select(ConsentText).where(col(ConsentText.document_id).in_([row.id for row in rows])))).all()
    who = {row.published_by for row in rows} | {each for row in kept for each in (row.written_by, row.approved_by)}
    names = await people.people(session, school_id, who)

    def name(person_id: str) -> str:
        return names[person_id].name if person_id in names else "Chaperone" if person_id else ""

    return [
        VersionView(
            row.id, purpose, row.version, row.changed, row.ends_answers_at, row.published_at, name(row.published_by),
            tuple(LanguageView(
                one.id, one.language, rules.LANGUAGES.get(one.language, one.language), rules.text_from(one.sections),
                one.text_hash, name(one.written_by), one.written_at, one.reviewer, name(one.approved_by), one.approved_at,
            ) for code in rules.LANGUAGES for one in kept if one.document_id == row.id and one.language == code),
        )
        for row in rows
    ]


async def purpose_of(session: AsyncSession, school_id: str, text_id: str) -> Purpose:
    """Which purpose a text is about. Raises NotFound."""
    found = (await session.exec(select(ConsentDocument.purpose).join(
        ConsentText, col(ConsentText.document_id) == ConsentDocument.id
    ).where(ConsentText.id == text_id, ConsentText.school_id == school_id))).first()
    if found is None:
        raise NotFound()
    return Purpose(found)


async def document(session: AsyncSession, school_id: str, document_id: str) -> VersionView:
    """One version. Raises NotFound."""
    row = await session.get(ConsentDocument, document_id)
    if row is None or row.school_id != school_id:
        raise NotFound()
    return next(view for view in await versions(session, school_id, Purpose(row.purpose)) if view.id == document_id)
