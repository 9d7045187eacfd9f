"""Whether a school's lessons are closed since a restore: read from the audit, which nobody can take it out of."""

import json
from datetime import datetime

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.audit import AuditBody, AuditLeaf
from service.safeguarding.reopening.events import LessonsReopened, SystemRestored
from service.safeguarding.reopening.rules import ClosedSinceRestore, Restoration

KINDS = (SystemRestored.__name__, LessonsReopened.__name__)


async def is_closed(session: AsyncSession, school_id: str) -> bool:
    return await _last(session, school_id) is not None


async def check_open(session: AsyncSession, school_id: str) -> None:
    """Raises `ClosedSinceRestore`."""
    if await is_closed(session, school_id):
        raise ClosedSinceRestore()


async def restoration(session: AsyncSession, school_id: str) -> Restoration | None:
    """The restore since which lessons are closed; None while they are open."""
    leaf = await _last(session, school_id)
    if leaf is None:
        return None
    said = json.loads((await session.get_one(AuditBody, leaf.seq)).body)
    return Restoration(leaf.subject_id, datetime.fromisoformat(said["made_at"]), datetime.fromisoformat(said["restored_at"]),
                       said["approvals"], said["passes"])


async def last_restored(session: AsyncSession, school_id: str) -> datetime | None:
    """When the school was last put back from a back-up; None where it never was."""
    at = (await session.exec(select(AuditLeaf.at).where(
        AuditLeaf.school_id == school_id, AuditLeaf.kind == SystemRestored.__name__).order_by(col(AuditLeaf.seq).desc()).limit(1)
    )).first()
    return datetime.fromisoformat(at) if at else None


_LAST = select(AuditLeaf).where(AuditLeaf.school_id == bindparam("school"), col(AuditLeaf.kind).in_(KINDS)).order_by(
    col(AuditLeaf.seq).desc()).limit(1)  # built once: every door asks


async def _last(session: AsyncSession, school_id: str) -> AuditLeaf | None:
    last = (await session.exec(_LAST, params={"school": school_id})).first()
    return last if last is not None and last.kind == SystemRestored.__name__ else None
