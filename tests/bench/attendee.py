"""Somebody in a lesson who notes when each packet reached their socket, by the kernel's clock; who speaks, leaves or dies."""

import asyncio
import json
import socket
import struct
import time
from contextlib import suppress
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.bench.arrival import _TLS, DOOR, PATIENCE, Arrival, Device
from tests.media.raw import Microphone, answer

FRAME = 0.02
_SO_TIMESTAMPNS = 35
_ANCILLARY = 64


class Ear(Device):
    """A downlink's socket: only arrival counts, so nothing is decrypted. `last`: seconds since 1970 of the newest RTP packet."""

    last = 0.0
    packets = 0

    def open(self, host: str, port: int) -> None:
        super().open(host, port)
        self.sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def _readable(self) -> None:
        with suppress(BlockingIOError, OSError):
            while True:
                datagram, said, _flags, _from = self.sock.recvmsg(2048, _ANCILLARY)
                if not datagram:
                    return
                if 127 < datagram[0] < 192 and not 191 < datagram[1] < 224:
                    seconds, nanoseconds = struct.unpack_from("@qq", said[0][2])
                    self.last, self.packets = seconds + nanoseconds / 1e9, self.packets + 1
                    self.changed.set()
                else:
                    self._received(datagram)


class Attendee(Arrival):
    """`told_at`: when a message of each type was last read. `speaks`: sends sound as from a microphone that is on."""

    def __init__(self, url: str, lesson_id: str, address: str, cookie: str, *, speaks: bool = False) -> None:
        super().__init__(url, lesson_id, address, cookie=cookie)
        self.down: Ear = Ear(address)
        self.speaks = speaks
        self.told_at: dict[str, float] = {}
        self.closed_at = 0.0

    async def enter(self) -> "Attendee":
        """In, and the room is open."""
        await self.come()
        if self.error:
            raise RuntimeError(self.error)
        if self.speaks:
            await self._say("microphone", on=True)
        return self

    async def come_in(self) -> None:
        """In, whatever the room's state."""
        async with asyncio.timeout(PATIENCE):
            async with httpx.AsyncClient(base_url=self.url, verify=_TLS, headers={"origin": self.url}) as client:
                ticket = await self._door(client)
            await self._enter(ticket)
            await self._connect()

    async def _door(self, client: httpx.AsyncClient) -> str:
        """No pages: what is measured comes later."""
        given = await client.post(f"/lessons/{self.lesson_id}/door", headers=self._own,
                                  json={**DOOR, "device": f"the device at {self.address}"})
        given.raise_for_status()
        return str(given.json()["ticket"])

    async def _listen(self, line: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in line:
                said = json.loads(text)
                self.told[said["type"]], self.told_at[said["type"]] = said, time.time()
                self._news.set()
        self.told["closed"], self.closed_at = line.close_code, time.time()
        self._news.set()

    async def _receive(self) -> None:
        """Also what is offered later."""
        await self._until(lambda: "subscribe" in self.told)
        offered = self.told["subscribe"]
        await self._say("subscribed", version=offered["version"], sdp=answer(self.down.certificate, offered["sdp"]))
        await self.down.connect(offered["sdp"])
        self._tasks.append(asyncio.create_task(self._answer_offers(offered["version"])))

    async def _answer_offers(self, answered: int) -> None:
        def is_new() -> bool:
            return bool(self.told["subscribe"]["version"] > answered)

        with suppress(ConnectionError, ConnectionClosed):
            while True:
                await self._until(is_new)
                offered = self.told["subscribe"]
                answered = offered["version"]
                await self._say("subscribed", version=answered, sdp=answer(self.down.certificate, offered["sdp"]))

    async def _hum(self) -> None:
        """Sound every 20 ms when it speaks; else a muted microphone."""
        if not self.speaks:
            return await super()._hum()
        loop, microphone, beat = asyncio.get_running_loop(), Microphone(self.up), 0
        begun = loop.time()
        while True:
            microphone.frame()
            microphone.sent.clear()
            beat += 1
            if beat % 250 == 0:
                self.up.check()
                if self.down.responses:
                    self.down.check()
            await asyncio.sleep(max(0.0, begun + beat * FRAME - loop.time()))

    async def says(self, kind: str, **more: Any) -> None:
        await self._say(kind, **more)

    async def sees(self, room: str, seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            await self._until(lambda: self.told.get("state", {}).get("room") == room)

    async def hears(self, packets: int = 5, seconds: float = PATIENCE) -> None:
        """Until so many more packets have arrived."""
        wanted = self.down.packets + packets
        await self.down.until(lambda: self.down.packets >= wanted, seconds)

    def fall_silent(self) -> None:
        """As when the network is gone: nothing is sent any more, and nobody says so."""
        for task in self._tasks:
            task.cancel()

    def die(self) -> None:
        """As by SIGKILL: the kernel closes what was open."""
        self.fall_silent()
        assert self._socket is not None
        self._socket.transport.abort()
        for device in (self.up, self.down):
            device.close()
