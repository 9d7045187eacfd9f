"""What the page Health says of calls. No names, no numbers."""

from datetime import datetime

from fastapi import Request
from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls.way import Way
from service.foundation.events import Actor
from service.foundation.health import Tile


async def tiles(request: Request, session: AsyncSession, actor: Actor, now: datetime) -> list[Tile]:
    way: Way | None = request.app.state.way
    if way is None:
        return [Tile("Calls", "Off", "grey", "Not connected. How to: docs/calling-sip.md, docs/calling-provider.md.")]
    faults = await way.faults()
    if faults:
        return [Tile("Calls", "Faulty", "red", f"Nobody can be called. {' '.join(faults)}")]
    return [Tile("Calls", "Working", "green", "A call could be placed now.")]
