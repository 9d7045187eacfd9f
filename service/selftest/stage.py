"""One question's stage: its lesson, who comes to it, and what is found there."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from lessons.live.supervision import FIRST_STEADY
from recordings.vault import Vault
from service.foundation.db import new_id
from service.selftest.school import Class, SyntheticSchool
from service.selftest.visitor import Visitor

PATIENCE = 10.0
"""Seconds in which what must happen has to: a room opens, a message arrives. Longer is no evidence of anything."""
LONG_ENOUGH = FIRST_STEADY + 0.5
"""Seconds of every other proof after which a room would be open, were it going to."""
TEACHER = "teacher"


class NotShown(Exception):
    """The question could not be put: what must work does not, so that nothing is proven by what did not happen."""


@dataclass
class Findings:
    """What was seen, in sentences for a governor. Names of people are not in them."""

    how: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)

    def check(self, holds: object, words: str, otherwise: str) -> None:
        """What must never happen did not; otherwise the answer is wrong."""
        (self.how if holds else self.faults).append(words if holds else otherwise)

    def need(self, holds: object, words: str, otherwise: str) -> None:
        """What must work works (the positive control). Raises NotShown."""
        if not holds:
            raise NotShown(otherwise)
        self.how.append(words)

    def took(self, name: str, seconds: float) -> float:
        self.measured[name] = round(max(0.0, seconds), 3)
        return self.measured[name]


@dataclass
class Stage:
    """`addresses`: method, path and whether everybody may see it, of every route of the service."""

    url: str
    client: httpx.AsyncClient
    school: SyntheticSchool
    vault: Vault
    on: Class
    addresses: tuple[tuple[str, str, bool], ...] = ()
    visitors: list[Visitor] = field(default_factory=list)

    def person(self, name: str) -> str:
        return self.on.teacher_id if name == TEACHER else {**self.school.elsewhere, **self.on.pupils}[name]

    async def signed_in(self, name: str, *, device: str = "") -> Visitor:
        """Somebody with a sign-in and a device of their own, not at the door yet."""
        cookie = await self.school.sign_in(self.person(name))
        visitor = Visitor(self.url, self.on.lesson_id, cookie=cookie, device=device or f"the device of {name}", name=name)
        self.visitors.append(visitor)
        return visitor

    async def bring(self, *names: str, device: str = "") -> list[Visitor]:
        """Each into the room, one after another. Raises NotShown when the service keeps out who belongs here."""
        found = [await self.signed_in(name, device=device) for name in names]
        for visitor in found:
            try:
                async with asyncio.timeout(PATIENCE):
                    await visitor.come(self.client)
            except httpx.HTTPStatusError as refused:
                raise NotShown(f"The door answered {refused.response.status_code} to somebody who belongs here.") from refused
            except (TimeoutError, OSError, ConnectionClosed) as error:
                raise NotShown(f"Somebody who belongs here could not come in ({type(error).__name__}).") from error
        return found

    async def close(self) -> None:
        """The teacher ends the lesson, whatever became of the question, and everybody goes."""
        for visitor in self.visitors:
            if visitor.name == TEACHER and "welcome" in visitor.told and "closed" not in visitor.told:
                with suppress(ConnectionClosed, TimeoutError, ConnectionError):
                    async with asyncio.timeout(3):
                        await visitor.say("end")
                        await visitor.until(partial(visitor.told.get, "ended"))
        await asyncio.gather(*(visitor.go() for visitor in self.visitors))


# What is waited for


async def within(visitor: Visitor, holds: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Whether `holds` comes true while this page is told things, in time."""
    try:
        async with asyncio.timeout(seconds):
            await visitor.until(holds)
    except (TimeoutError, ConnectionError):
        return False
    return True


def room(visitor: Visitor) -> str:
    return str(visitor.told.get("state", {}).get("room", ""))


def holds(visitor: Visitor) -> list[str]:
    return list(visitor.told.get("state", {}).get("hold", []))


async def opened(visitors: Iterable[Visitor], seconds: float = PATIENCE) -> bool:
    return all(await asyncio.gather(*(within(visitor, partial(_is_open, visitor), seconds) for visitor in visitors)))


def _is_open(visitor: Visitor) -> bool:
    return room(visitor) == "open"


async def only_held_by(visitor: Visitor, reason: str) -> bool:
    """Wait until every other proof is there; whether the room is held by exactly this."""
    await within(visitor, lambda: holds(visitor) == [reason] or room(visitor) == "open")
    return holds(visitor) == [reason] and room(visitor) != "open"


async def hears(listener: Visitor, speaker: Visitor, *, since: float, packets: int = 5, seconds: float = PATIENCE) -> bool:
    """Whether so much of `speaker` reaches `listener` after the time of day `since`."""
    try:
        await listener.down.until(lambda: len(listener.hears(speaker, since=since)) >= packets, seconds)
    except TimeoutError:
        return False
    return True


async def until_time(at: float) -> None:
    await asyncio.sleep(max(0.0, at - time.time()))


@dataclass(frozen=True)
class Written:
    """What became of a chat message for its sender: `chat`, `chat_held`, `chat_refused`, or nothing."""

    own: str
    text: str
    became: str
    reason: str

    def reached(self, visitor: Visitor) -> bool:
        return any(said["type"] == "chat" and said["text"] == self.text for _, said in visitor.log)


async def write(visitor: Visitor, **more: Any) -> Written:
    """Write in the chat, in words that nobody has written before. `more`: fields that no page sends."""
    own, text = new_id(), f"self test {' '.join(new_id()[:6])}"
    before = len(visitor.log)
    await visitor.say("chat", own=own, text=text, **more)

    def answered() -> dict[str, Any] | None:
        return next((said for _, said in visitor.log[before:] if said.get("own") == own or said["type"] == "refused"), None)

    await within(visitor, answered, 3.0)
    found = answered() or {}
    return Written(own, text, str(found.get("type", "")), str(found.get("reason") or found.get("code") or ""))
