"""The service's share of `tests.bench.calls`, in a process of its own: places what it is told, connects what is answered."""

import asyncio
import base64
import sys

from service.calls.sip.way import SipWay
from service.calls.way import Kind, News
from tests.calls.stage import order, trunk


async def main() -> None:
    way, loop = SipWay(trunk()), asyncio.get_running_loop()
    await way.open()
    print(way.gateway.pid("janus"), way.gateway.pid("kamailio"), flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while offer := (await lines.readline()).strip():
        pressed = loop.time()
        answered = loop.create_future()
        ringing = [0.0]

        async def tell(news: News, answered: asyncio.Future[str] = answered, ringing: list[float] = ringing,
                       pressed: float = pressed) -> None:
            if news.kind is Kind.RINGING:
                ringing[0] = loop.time() - pressed
            elif news.kind is Kind.ANSWERED:
                await way.connect(news.call_id)
                answered.set_result(news.answer)

        await way.place(order(base64.b64decode(offer).decode()), tell)
        answer = await answered
        print(ringing[0], base64.b64encode(answer.encode()).decode(), flush=True)
    await way.close()


if __name__ == "__main__":
    asyncio.run(main())
