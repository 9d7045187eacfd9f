"""Filled in with the consent core."""
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.events import Actor


async def questions(session: AsyncSession, actor: Actor, signing: Any) -> int:
    return 0
