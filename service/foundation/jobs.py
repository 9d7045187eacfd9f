"""Work that runs beside requests for the life of the process. A job that dies is logged and started again."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)


async def keep_running(name: str, job: Callable[[], Awaitable[None]], *, pause: float = 1.0) -> None:
    """Run `job` until cancelled; after a failure, wait `pause` seconds and run it again."""
    while True:
        try:
            await job()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("job.failed", job=name)
        await asyncio.sleep(pause)


async def every(seconds: float, job: Callable[[], Awaitable[object]]) -> None:
    """Run `job` at once and then every `seconds`, for ever."""
    while True:
        await job()
        await asyncio.sleep(seconds)
