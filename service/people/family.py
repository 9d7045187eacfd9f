"""Whom a parent may be told of: one look, the same for whoever has no child and for whoever must not know of theirs (CM1)."""

from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.people.tables import Guardianship, Person


@dataclass(frozen=True)
class OwnChild:
    id: str
    name: str


async def children(session: AsyncSession, actor: Actor) -> tuple[OwnChild, ...]:
    """The children whom this adult may be told of, by name: nobody else's, and none where an order or a flag stands (CM1).

    The school is compared here: asked for in the statement, SQLite looks at every link of the school, with each request.
    """
    rows = (await session.exec(select(Person).join(Guardianship, col(Guardianship.child_id) == Person.id).where(
        Guardianship.guardian_id == actor.person_id, *people.VISIBLE))).all()
    today = session.info["clock"].now().date()
    found = [OwnChild(row.id, people.name_of(row)) for row in rows
             if row.school_id == actor.school_id and people.is_here(row, today)]
    return tuple(sorted(found, key=lambda child: (child.name, child.id)))


async def child(session: AsyncSession, actor: Actor, child_id: str) -> OwnChild:
    """One of them. Raises NotFound for any other, after exactly the same look."""
    found = next((one for one in await children(session, actor) if one.id == child_id), None)
    if found is None:
        raise NotFound()
    return found
