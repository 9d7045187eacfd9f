"""This service's media plane in a process of its own, told by JSON lines what to do: the server that `load` measures.

It is the plane as the product runs it, with its gate open and the wire monitor beside it: nothing is simplified but signalling.
With recording on, each track goes through `recordings.capture` to an encrypted file; off, a sink takes frames and forgets them.
"""

import asyncio
import json
import secrets
import sys
from pathlib import Path
from typing import Any

from lessons.live.monitor import Facts, Forbidden, Known, Monitor
from lessons.media.plane import Gate, MediaRoom, Offer, Plane, SourceKey
from recordings.capture import Capture, Header
from service.foundation.clock import SystemClock

MAY = frozenset({"attend", "microphone", "camera", "screen"})


class Forgets:
    """A sink for measuring forwarding alone. The product has none: what is not recorded is not forwarded."""

    def write(self, frame: bytes, at_ms: int, key: bool) -> bool:
        return True

    def pause(self) -> None:
        pass


class Host:
    def __init__(self, plane: Plane, writer: asyncio.StreamWriter, capture: Capture | None) -> None:
        self.writer, self.capture = writer, capture
        self.clock, self.wrong = plane.clock, list[Forbidden]()
        self.monitor = Monitor(lambda peer: (self.clock.boottime(),) * 2, self.wrong.append)
        self.room: MediaRoom = plane.room(
            gate=Gate(float("inf")), lesson_clock_start=plane.clock.boottime(), sink=self.sink, on_offer=self.offered,
            watch=self.watch)

    def watch(self, key: SourceKey, to: frozenset[str], viewers: tuple[str, ...], size: int, at: float, /) -> None:
        """As a live host does; here everybody is there and everything is recorded and owned."""
        self.monitor.durable(at)
        self.monitor.owned(at)
        self.monitor.media(key.peer, key.kind, to, viewers, size, at)

    def joined(self, peer: str) -> None:
        people = {**self.monitor.facts.people, peer: Known("staff", True, MAY)}
        self.monitor.planned(Facts(people, 0.0, float("inf")))
        self.monitor.came(peer, peer, "")
        self.monitor.opened(1)
        self.room.join(peer)

    def sink(self, key: SourceKey, codec: Any, layer: str | None) -> Any:
        if self.capture is None:
            return Forgets()
        name = f"{key.peer}-{key.kind}-{layer}"
        return self.capture.track(name, person_id=key.peer, source=key.kind, codec=codec, layer=layer or "")

    def offered(self, peer: str, offer: Offer) -> None:
        self.say({"offer": {"peer": peer, "version": offer.version, "sdp": offer.sdp}})

    def say(self, words: dict[str, Any]) -> None:
        self.writer.write(json.dumps(words).encode() + b"\n")

    async def do(self, asked: dict[str, Any]) -> object:
        match asked["do"]:
            case "join":
                return self.joined(asked["peer"])
            case "publish":
                return await self.room.publish(asked["peer"], asked["sdp"])
            case "subscribed":
                return await self.room.subscribed(asked["peer"], asked["version"], asked["sdp"])
            case "route":
                routes = {SourceKey(peer, kind): frozenset(to) for peer, kind, to in asked["routes"]}
                return self.room.set_routes(routes)
        raise ValueError(asked["do"])


async def serve(address: str, socket: str, recordings: str) -> None:
    clock = SystemClock()
    plane = await Plane.start(port=0, addresses=[address], clock=clock)
    capture = _capture(Path(recordings), clock) if recordings else None
    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = Host(plane, writer, capture)
        async for line in reader:
            asked = json.loads(line)
            host.say({"answer": asked["id"], "result": await host.do(asked)})
        assert host.wrong == []
        ended.set()

    server = await asyncio.start_unix_server(talk, socket, limit=1 << 20)
    print("ready", flush=True)
    await ended.wait()
    server.close()
    if capture is not None:
        print(json.dumps({"bytes": (await capture.seal("complete")).size}), flush=True)
    await plane.close()


def _capture(folder: Path, clock: SystemClock) -> Capture:
    header = Header("school", "recording", "lesson", 1, clock.now())
    return Capture.start(
        folder / secrets.token_hex(8), header=header, key=secrets.token_bytes(32), lesson_clock_start=clock.boottime(),
        clock=clock, on_durable=lambda at: None, on_fault=lambda reason: sys.exit(f"the recorder failed: {reason}"))


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))
