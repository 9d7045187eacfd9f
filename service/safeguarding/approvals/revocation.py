"""Ending an approval: at once, for good, by whoever leads or keeps children safe; and by itself with the approver's role."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role, system
from service.people import queries as people
from service.people import step_up
from service.people.actions import Action
from service.people.events import PersonLeft, RolesChanged, RosterImported
from service.people.step_up import Proof
from service.safeguarding.approvals import queries, rules
from service.safeguarding.approvals.events import OneToOneRevoked
from service.safeguarding.approvals.tables import Approval

MAY_END = LEADERS | SAFEGUARDING | {Role.CHAIR}
"""Ending is the safe side: whoever leads or keeps children safe may do it, also where they could not have approved."""


async def revoke(session: AsyncSession, actor: Actor, approval_id: str, because: str, proof: Proof, now: datetime) -> None:
    """End an approval at once and for good."""
    row = await session.get(Approval, approval_id, with_for_update=True)
    if row is None or row.school_id != actor.school_id or not actor.is_any(MAY_END):
        raise NotFound()
    if row.revoked_at is not None:
        raise Conflict("This approval has ended already.")
    if not because.strip():
        raise Invalid("There is a problem", fields={"reason": "Give a reason"})
    grant = await step_up.confirmed(session, actor, ending(approval_id, because), proof, now)
    await _end(session, actor, row, because, grant, now)


def ending(approval_id: str, because: str) -> Action:
    return Action("end-one-to-one", "end this approval", {"approval_id": approval_id, "reason": because})


async def end_what_nobody_may_approve_any_more(
    session: AsyncSession, event: RolesChanged | PersonLeft | RosterImported, actor: Actor,
) -> None:
    """Whoever loses the role, or leaves, takes the approvals they gave with them: given back, they do not start again."""
    now = session.info["clock"].now()
    approvers = event.left if isinstance(event, RosterImported) else (event.person_id,)
    if not approvers:
        return
    rows = (await session.exec(select(Approval).where(
        Approval.school_id == actor.school_id, col(Approval.approved_by).in_(approvers), col(Approval.revoked_at).is_(None),
        Approval.ends_at > now,
    ))).all()
    profile = await people.profile(session, actor.school_id)
    for row in rows:
        found = await queries.one_given(session, actor.school_id, row.id)
        if rules.bar(row.approved_by, found.approver_roles, found.approval.parties, profile) is not None:
            await _end(session, system(actor.school_id), row, rules.Lapse.APPROVER.value, "", now)


async def end_all(session: AsyncSession, actor: Actor, because: str, now: datetime) -> int:
    """End every approval of the school that is not over, such as after a restore: nobody knows which were ended since."""
    rows = (await session.exec(select(Approval).where(
        Approval.school_id == actor.school_id, col(Approval.revoked_at).is_(None), Approval.ends_at > now))).all()
    for row in rows:
        await _end(session, actor, row, because, "", now)
    return len(rows)


async def _end(session: AsyncSession, actor: Actor, row: Approval, because: str, grant: str, now: datetime) -> None:
    row.revoked_at, row.revoked_by, row.revoked_because = now, actor.person_id, because
    await session.flush()
    await publish(session, OneToOneRevoked(row.id, row.lesson_id, row.adult_id, row.child_id, grant), actor)
