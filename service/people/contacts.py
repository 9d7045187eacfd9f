"""A family's adult has another e-mail address or telephone number: it is said where they were reached before, and to the office.

Whoever gets the details of a parent changed could speak as that parent from then on. So the address that was replaced gets the
warning (N6), as do their phones, and for a day no yes by telephone counts (`consent.rules.counts_from`). A first address or
number warns nobody: nobody was reached before (threat T19; docs/decisions: 218).
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlmodel import col, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import mail
from service.foundation.events import Role
from service.people import queries
from service.people.tables import Guardianship, Person, PersonRole


async def changed(session: AsyncSession, school_id: str, earlier: Mapping[str, str], *, about: str, now: datetime) -> None:
    """Warn those of these people who are of families. `earlier`: by person, the address that was replaced; empty where only their
    number was. `about`: what changed them, a person's page or one file; the office hears of each once."""
    adults = await _of_families(session, school_id, earlier)
    if not adults:
        return
    await session.exec(update(Person).where(col(Person.id).in_(adults)).values(contacts_changed_at=now))
    office = [one.id for one in await queries.holders(session, school_id, frozenset({Role.OFFICE}))]
    await mail.queue(session, school_id=school_id, people={*adults, *office}, text="N6", about=about,
                     occasion=f"contacts {now.isoformat()}", now=now, zone=(await queries.school(session, school_id)).zone,
                     addresses={person: earlier[person] for person in adults})


async def _of_families(session: AsyncSession, school_id: str, ids: Collection[str]) -> frozenset[str]:
    """Those of these adults who may speak for a child, whatever else they are."""
    if not ids:
        return frozenset()
    linked = select(Guardianship.guardian_id).where(Guardianship.school_id == school_id)
    parents = select(PersonRole.person_id).where(PersonRole.school_id == school_id, PersonRole.role == Role.PARENT)
    return frozenset((await session.exec(select(Person.id).where(
        Person.school_id == school_id, col(Person.id).in_(list(ids)),
        or_(col(Person.id).in_(linked), col(Person.id).in_(parents))))).all())


async def changed_at(session: AsyncSession, person_id: str) -> datetime | None:
    return (await session.exec(select(Person.contacts_changed_at).where(Person.id == person_id))).first()
