"""What earlier runs wrote into the self-test's own school goes before the next one: nothing grows but the audit.

The database lets rows that are append-only go from this school alone, which is nobody's (revision 0010, policy: AC10).
"""

from sqlmodel import SQLModel, col, delete, select

from recordings.tables import Recording, RecordingKey
from service.foundation.bus import publish
from service.foundation.db import Database
from service.foundation.events import system
from service.people.events import SchoolChanged
from service.people.tables import School

STAYS = frozenset({"school", "profile_version", "agreement", "term_date"})
"""What a school has before anybody is in it."""


async def emptied(database: Database) -> bool:
    """Remove its people, lessons and what is left of its recordings, in a short transaction for each table. False while what
    a run recorded that was torn off is not sealed and destroyed: then the next run does it."""
    async with database.reading() as session:
        school_id = (await session.exec(select(School.id).where(School.is_self_test))).first()
        if school_id is None:
            return True
        running = select(Recording.id).where(Recording.school_id == school_id, Recording.outcome == "")
        readable = select(RecordingKey.part_id).where(
            RecordingKey.school_id == school_id, col(RecordingKey.destroyed_at).is_(None))
        if (await session.exec(running)).first() or (await session.exec(readable)).first():
            return False
    for table in reversed(SQLModel.metadata.sorted_tables):
        if "school_id" in table.c and table.name not in STAYS and not table.name.startswith("audit_"):
            async with database.writing() as session:
                await session.exec(delete(table).where(table.c.school_id == school_id))
    async with database.writing() as session:
        await publish(session, SchoolChanged(school_id, "emptied"), system(school_id))
    return True
