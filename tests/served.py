"""The application of a test on a port of its own, for browsers; its life began in the fixture `school`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from tests.school import Running


@asynccontextmanager
async def served(school: Running, port: int = 0) -> AsyncIterator[str]:
    """Where it listens, until the block ends. `port`: where it says that it is, when that matters."""
    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Server(uvicorn.Config(school.app, port=port, lifespan="off", log_level="warning"))
    task = asyncio.create_task(server.serve())
    await started.wait()
    try:
        yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
