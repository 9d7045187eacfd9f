"""What the page Health says of back-ups, of the keys and of the store of recordings (policy: AC6). No names, no
lessons."""

import json
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.backup.events import BackupChecked, BackupMade
from service.backup.rules import LATE, UNTESTED
from service.foundation.audit import AuditBody, AuditLeaf
from service.foundation.events import Actor
from service.foundation.health import Tile
from service.foundation.web import say_day, say_moment, say_time
from service.people import queries as people


async def tiles(request: Request, session: AsyncSession, actor: Actor, now: datetime) -> list[Tile]:
    zone = (await people.school(session, actor.school_id)).zone
    made, _ = await _last(session, actor.school_id, BackupMade.__name__)
    checked, said = await _last(session, actor.school_id, BackupChecked.__name__)
    return [_backup(made, checked, said.get("faults", 0), now, zone), *_keys(request, actor),
            *_store(request)]


async def _last(session: AsyncSession, school_id: str, kind: str) -> tuple[datetime | None, dict[str, Any]]:
    leaf = (await session.exec(
        select(AuditLeaf).where(AuditLeaf.school_id == school_id, AuditLeaf.kind == kind)
        .order_by(col(AuditLeaf.seq).desc()).limit(1)
    )).first()
    if leaf is None:
        return None, {}
    return datetime.fromisoformat(leaf.at), json.loads((await session.get_one(AuditBody, leaf.seq)).body)


def _backup(made: datetime | None, checked: datetime | None, faults: int, now: datetime, zone: str) -> Tile:
    """“last good 2:10am, restore tested Monday”"""
    if made is None:
        return Tile("Back-up", "None", "red", "Nothing is backed up. Set up the daily back-up.")
    if checked is None:
        tested = "restore never tested"
    else:
        recent = now - checked < timedelta(days=6)
        tested = f"restore tested {say_day(checked, zone).partition(' ')[0] if recent else say_day(checked, zone)}"
    said = say_time(made, zone) if now - made < timedelta(hours=20) else say_moment(made, zone)
    words = f"Last good {said}, {tested}."
    if faults:
        return Tile("Back-up", "Faulty", "red", f"{words} What was restored did not verify: run it by hand.")
    if now - made > LATE:
        return Tile("Back-up", "Late", "red", f"{words} The daily back-up was missed.")
    if checked is None or now - checked > UNTESTED:
        return Tile("Back-up", "Untested", "yellow", f"{words} Run it with --check once a week.")
    return Tile("Back-up", "Working", "green", words)


def _keys(request: Request, actor: Actor) -> list[Tile]:
    """Said while it is so: no lesson opens without a key for its recording (policy: RL4)."""
    if not request.app.state.vault.key_store(actor.school_id).standing().is_lost:
        return []
    return [Tile("Keys of recordings", "Lost", "red", "The wrapping key is not in the key folder, so no lesson opens and no "
                 "recording plays. docs/backup.md says what to do.")]


def _store(request: Request) -> list[Tile]:
    """Where recordings go to a store: whether it takes them."""
    mover, storage = request.app.state.mover, request.app.state.vault.storage
    if storage.store is None:
        return []
    waiting = sum(1 for _ in storage.waiting())
    if mover.refused:
        return [Tile("Store of recordings", "Refused", "red", f"{len(mover.refused)} stay in the data folder: the store holds "
                     "something else under their names.")]
    if mover.is_silent:
        return [Tile("Store of recordings", "Silent", "red", f"It does not answer. {waiting} wait in the data folder; nothing is "
                     "lost.")]
    return [Tile("Store of recordings", "Working", "green", f"{waiting} in the data folder.")]
