"""A revocation, from the request that revokes to the last byte over HTTP, WebSocket and media."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
from websockets.exceptions import ConnectionClosed

from service.foundation.web import COOKIE
from service.safeguarding.approvals import revocation
from tests.bench.arrival import _TLS, PATIENCE
from tests.bench.attendee import Attendee
from tests.bench.deadline_school import Made, Pair
from tests.bench.leaving import FRESH, QUIET

WHY = "The family rang."


@dataclass
class Revoked:
    """Seconds of each run to the last byte of media, from the request (`sent`) and from its answer (`answered`); to the word
    about it on the WebSocket (`told`); how long the request took (`request`). `open_still`: requests that were let in later."""

    sent: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    request: list[float] = field(default_factory=list)
    void: int = 0
    open_still: int = 0


def client(url: str, cookie: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, verify=_TLS, timeout=PATIENCE, headers={"origin": url, "cookie": f"{COOKIE}={cookie}"})


@dataclass
class OneToOne:
    """A pair whose lesson is open, the teacher speaking."""

    pair: Pair
    teacher: Attendee
    pupil: Attendee

    @classmethod
    async def begun(cls, url: str, made: Made, pair: Pair, number: int) -> "OneToOne":
        address = f"127.4.{number // 100}.{number % 100 + 1}"
        teacher = Attendee(url, pair.lesson_id, address, made.cookies[pair.teacher_id], speaks=True)
        pupil = Attendee(url, pair.lesson_id, address.replace("127.4", "127.5"), made.cookies[pair.pupil_id])
        await asyncio.gather(teacher.open(), pupil.open())
        return cls(pair, teacher, pupil)

    async def end(self) -> None:
        """The lesson is over, as after a real one: a room that nobody ends lives, and is recorded, until its time is over."""
        with suppress(ConnectionClosed):
            await self.teacher.say("end")
        await asyncio.gather(self.teacher.go(), self.pupil.go())


async def approval(url: str, made: Made, one: OneToOne, found: Revoked) -> None:
    """The headteacher ends the approval, with a passkey asked for and touched before; the request proves, writes and answers."""
    action = revocation.ending(one.pair.approval_id, WHY)
    async with client(url, made.cookies[made.head]) as head:
        asked = await head.post("/step-up/challenge", data={"action": action.hash})
        asked.raise_for_status()
        form = {"reason": WHY, "step_up_action": action.hash, "step_up_assertion": made.passkey.get(asked.json())}
        told = one.pupil.until(lambda: one.pupil.told["state"]["room"] != "open")
        began = await _measure(head, f"/one-to-one/in-force/{one.pair.approval_id}", form, one, told, found)
    found.told.append(one.pupil.told_at("state") - began)


async def sign_ins(url: str, made: Made, one: OneToOne, found: Revoked) -> None:
    """The teacher is signed out everywhere: by their own wish here; a lost role and a leaver end sign-ins by the same command."""
    async with client(url, made.cookies[one.pair.teacher_id]) as own:
        told = one.teacher.until(lambda: "closed" in one.teacher.told)
        began = await _measure(own, "/account/sign-out-everywhere", {}, one, told, found)
    found.told.append(one.teacher.closed_at - began)


async def _measure(who: httpx.AsyncClient, path: str, form: dict[str, str], one: OneToOne, told: Awaitable[None],
                   found: Revoked) -> float:
    """When the request was sent. `told`: until the page concerned has heard of it, however long that takes."""
    await one.pupil.hears(3, one.teacher)
    began = time.time()
    heard = began - one.pupil.down.last < FRESH
    answer = await who.post(path, data=form)
    answered = time.time()
    if answer.status_code != 303:
        raise RuntimeError(f"{path.split('/')[1]} was answered {answer.status_code}")
    if not form:
        found.open_still += (await who.get("/session")).status_code == 200
    async with asyncio.timeout(PATIENCE):
        await told
    await asyncio.sleep(QUIET)
    found.void += not heard
    last = max(one.pupil.down.last, one.pupil.told_at("chat"))
    found.sent.append(max(0.0, last - began))
    found.answered.append(max(0.0, last - answered))
    found.request.append(answered - began)
    return began
