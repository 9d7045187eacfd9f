"""Reading the impact assessment, and whether a school may have real pupils: nowhere but here (policy: AC5)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, false, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.people import queries as people
from service.people.tables import School
from service.safeguarding.impact import rules
from service.safeguarding.impact.inventory import inventory
from service.safeguarding.impact.tables import ImpactReview


def takes_pupils(school_id: Any) -> ColumnElement[bool]:
    """Whether this school may have real pupils, as a part of whatever is asked anyway: the last word about its assessment is an
    approval. The self-test's school has nobody real in it."""
    last = select(ImpactReview.approved).where(ImpactReview.school_id == school_id).order_by(
        col(ImpactReview.reviewed_at).desc()).limit(1).scalar_subquery()
    nobodys = select(School.id).where(School.id == school_id, col(School.is_self_test)).exists()
    return or_(func.coalesce(last, false()), nobodys)


async def are_blocked(session: AsyncSession, school_id: str) -> bool:
    """Whether real pupils of this school are blocked."""
    return not (await session.exec(select(takes_pupils(school_id)))).one()


@dataclass(frozen=True)
class ReviewView:
    """What was said last, by whom, and with which words where something was not true."""

    approved: bool
    reviewed_by: str
    reviewed_at: datetime
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Assessment:
    """The document as it is now, what was said last, and why somebody is asked again."""

    document: rules.Document
    last: ReviewView | None
    due: rules.Due | None
    is_blocked: bool
    has_officer: bool


async def assessment(session: AsyncSession, school_id: str) -> Assessment:
    now: datetime = session.info["clock"].now()
    shown = rules.document(await people.profile(session, school_id), inventory())
    row = await _last(session, school_id)
    last = rules.Review(row.document_hash, row.approved, row.reviewed_at) if row else None
    officers = await people.holders(session, school_id, rules.REVIEW)
    return Assessment(shown, await _view(session, row) if row else None, rules.due(last, shown.hash, now),
                      await are_blocked(session, school_id), bool(officers))


async def is_due(session: AsyncSession, school_id: str) -> bool:
    return (await assessment(session, school_id)).due is not None


async def _last(session: AsyncSession, school_id: str) -> ImpactReview | None:
    return (await session.exec(select(ImpactReview).where(ImpactReview.school_id == school_id).order_by(
        col(ImpactReview.reviewed_at).desc()).limit(1))).first()


async def _view(session: AsyncSession, row: ImpactReview) -> ReviewView:
    names = await people.people(session, row.school_id, [row.reviewed_by])
    notes = {key: note for key, (_, note) in json.loads(row.answers).items() if note}
    return ReviewView(row.approved, names[row.reviewed_by].name, row.reviewed_at, notes)
