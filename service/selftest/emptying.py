"""What earlier runs wrote into the self-test's own school goes before the next one: nothing grows but the audit.

The database lets rows that are append-only go from this school alone, which is nobody's (revision 0071, policy: AC10).
"""

import asyncio
import shutil

from sqlmodel import SQLModel, delete, select

from recordings.tables import Recording
from recordings.vault import Vault
from service.foundation.bus import publish
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.events import system
from service.people.events import SchoolChanged
from service.people.tables import School

STAYS = frozenset({"school", "profile_version", "agreement", "term_date"})
"""What a school has before anybody is in it."""


async def emptied(database: Database, vault: Vault, clock: Clock) -> bool:
    """Remove its people, lessons and recordings, in a short transaction for each table. False while a run that was torn off
    is still being recorded: then the next run does it."""
    async with database.reading() as session:
        school_id = (await session.exec(select(School.id).where(School.is_self_test))).first()
        if school_id is None:
            return True
        recordings = (await session.exec(select(Recording.id, Recording.outcome).where(Recording.school_id == school_id))).all()
    if not all(outcome for _, outcome in recordings):
        return False
    for table in reversed(SQLModel.metadata.sorted_tables):
        if "school_id" in table.c and table.name not in STAYS and not table.name.startswith("audit_"):
            async with database.writing() as session:
                await session.exec(delete(table).where(table.c.school_id == school_id))
    async with database.writing() as session:
        await publish(session, SchoolChanged(school_id, "emptied"), system(school_id))
    for recording_id, _ in recordings:
        await asyncio.to_thread(shutil.rmtree, vault.path(recording_id, 1).parent, True)
    return True
