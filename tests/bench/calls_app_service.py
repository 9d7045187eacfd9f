"""The service's share of the app in `tests.bench.calls`, in a process of its own: a plane, and the way over it.

Whoever is rung says so, and answers, over the same pipe; what the socket and its look at the database cost is not in it.
"""

import asyncio
import base64
import json
import sys

from lessons.media.plane import Plane
from mobile_api.calling.way import AppWay
from service.calls.way import Kind, News
from service.foundation.clock import SystemClock
from tests import netns
from tests.calls.stage import order


class PipedApp:
    """An app at the other end of the pipe, one for each call: messages leave as lines, and come back as lines."""

    session_id = "s"

    def __init__(self, person_id: str) -> None:
        self.person_id = person_id

    def send(self, message: dict[str, str]) -> None:
        print(json.dumps({"app": message}), flush=True)

    def close(self) -> None: ...

    async def may_ring(self) -> bool:
        return True


async def main() -> None:
    clock, loop = SystemClock(), asyncio.get_running_loop()
    plane = await Plane.start(port=0, addresses=[netns.ADDRESS], clock=clock)
    way, app = AppWay(plane, clock), PipedApp("")
    lines = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(json.dumps({"ready": True}), flush=True)
    while text := (await lines.readline()).strip():
        said = json.loads(base64.b64decode(text))
        if said["type"] == "place":
            app, pressed = PipedApp(said["person"]), loop.time()
            way.opened(app)

            async def tell(news: News, pressed: float = pressed) -> None:
                if news.kind is Kind.RINGING:
                    print(json.dumps({"rang": loop.time() - pressed}), flush=True)
                elif news.kind is Kind.ANSWERED:
                    await way.connect(news.call_id)
                    print(json.dumps({"answer": news.answer}), flush=True)

            await way.place(order(said["sdp"], person=said["person"]), tell)
        elif said["type"] == "ringing":
            way.rings(app, said["call"])
        else:
            await way.take(app, said["call"], said["sdp"])
    await way.close()
    await plane.close()


if __name__ == "__main__":
    asyncio.run(main())
