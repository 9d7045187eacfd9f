"""The safeguarding team's two marks: “Talk to the DSL first”, and that telling a family is unsafe (policy: RC1, CM1).

Why is kept with the mark and read by the team alone. Nobody marks themselves, and nobody learns of a mark about themselves.
"""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import SAFEGUARDING, Actor
from service.people import queries as people
from service.people.tables import Guardianship
from service.safeguarding.approvals.events import MarkLifted, MarkSet
from service.safeguarding.approvals.tables import SafeguardingMark

MARKS = {"talk-first": "Talk to the DSL first", "do-not-tell": "Do not tell the family of one-to-ones"}


async def put(session: AsyncSession, actor: Actor, *, person_id: str, mark: str, reason: str, now: datetime) -> str:
    """Mark a person. Raises Invalid with words for each field; a person carries a mark once."""
    if not actor.is_any(SAFEGUARDING):
        raise NotFound()
    person = (await people.people(session, actor.school_id, [person_id])).get(person_id)
    wrong = {}
    if person is None or person_id == actor.person_id:
        wrong["person"] = "Choose a person"
    if mark not in MARKS:
        wrong["mark"] = "Choose one"
    elif person is not None and mark == "do-not-tell" and not person.is_child:
        wrong["person"] = "Choose a pupil"
    if not reason.strip():
        wrong["reason"] = "Say why. Only the safeguarding team reads it"
    if wrong:
        raise Invalid("There is a problem", fields=wrong)
    standing = await session.exec(select(SafeguardingMark.id).where(
        SafeguardingMark.person_id == person_id, SafeguardingMark.mark == mark, col(SafeguardingMark.lifted_at).is_(None)
    ))
    if standing.first() is not None:
        raise Invalid("There is a problem", fields={"person": "This mark is set already"})
    row = SafeguardingMark(school_id=actor.school_id, person_id=person_id, mark=mark, reason=reason.strip(),
                           set_by=actor.person_id, set_at=now)
    session.add(row)
    await session.flush()
    await publish(session, MarkSet(row.id, person_id, mark), actor)
    if mark == "do-not-tell":
        family = (await session.exec(select(Guardianship.guardian_id).where(Guardianship.child_id == person_id))).all()
        await mail.call_off_news(session, people=family, now=now)
    return row.id


async def lift(session: AsyncSession, actor: Actor, mark_id: str, *, because: str, now: datetime) -> None:
    row = await session.get(SafeguardingMark, mark_id)
    is_theirs = row is not None and row.school_id == actor.school_id and row.person_id != actor.person_id
    if row is None or not is_theirs or row.lifted_at is not None or not actor.is_any(SAFEGUARDING):
        raise NotFound()
    if not because.strip():
        raise Invalid("There is a problem", fields={f"because-{mark_id}": "Say why"})
    row.lifted_at, row.lifted_by, row.lifted_because = now, actor.person_id, because.strip()
    await publish(session, MarkLifted(row.id, row.person_id, row.mark), actor)
