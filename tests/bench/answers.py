"""300 parents answer on their phones within a minute, while ten lessons are on, and again with no lesson (issue of consent, 4).

Each phone does what the app does when a notice wakes it: it changes its refresh token, asks what waits, reads the words and
answers. The service is a process of its own, started as a school starts it, over loopback. What lessons notice of it is the
longest silence between two packets of a teacher's voice in any pupil's socket, and every hold.
"""

import asyncio
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import col, select

from service.foundation.clock import SystemClock
from service.foundation.db import new_id
from service.foundation.events import Actor, Role
from service.foundation.web import token_hash
from service.people.phones import commands
from service.people.phones.commands import NewPhone
from service.people.phones.proofs import thumbprint
from service.people.phones.tables import PhoneRefresh
from service.people.tables import Guardianship, Passkey
from tests.bench import processor
from tests.bench.attendee import Attendee, Ear
from tests.bench.joins import EARLY, MINUTE, Nine, Served, of, served
from tests.phones import NativePhone
from tests.school import Running, running, sign
from tests.ten_lessons import Taught, ten_lessons

PARENTS = 300
PUBLIC = "https://lessons.school.example"
STEPS = ("tokens", "asked", "read", "answered")


@dataclass
class Answering(NativePhone):
    """A phone that was signed in yesterday. `at`: when each step was done; `error`: what went wrong."""

    child_id: str = ""
    refresh_token: str = ""
    at: dict[str, float] = field(default_factory=dict)
    error: str = ""

    def proof(self, method: str, path: str, token: str = "", **claims: Any) -> str:
        return super().proof(method, path, token, htu=PUBLIC + path, iat=int(time.time()), **claims)

    async def answer(self) -> None:
        try:
            self.at["began"] = time.perf_counter()
            await self._do("tokens", "POST", "/tokens/refresh", {"refresh_token": self.refresh_token}, token="")
            asked = await self._do("asked", "GET", f"/children/{self.child_id}/consent")
            chat = next(one for one in asked["permissions"] if one["purpose"] == "chat")
            await self._do("read", "GET", f"/documents/{chat['document_id']}?language=en&child_id={self.child_id}")
            await self._do("answered", "POST", f"/children/{self.child_id}/consent", {
                "purpose": "chat", "says_yes": False, "document_id": chat["document_id"], "responsibility": "yes"})
        except Exception as error:
            self.error = f"{type(error).__name__}: {error} after {list(self.at)[-1:]}"

    async def _do(self, step: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        given = await self.ask(method, path, body, **more)
        given.raise_for_status()
        self.at[step] = time.perf_counter()
        return given.json()


class Listener(Ear):
    """`silence`: the longest time between two packets, in seconds."""

    silence = 0.0

    def _decrypt(self, datagram: bytes, at: float) -> None:
        before = self.last
        super()._decrypt(datagram, at)
        if before:
            self.silence = max(self.silence, self.last - before)


@dataclass
class School(Nine):
    phones: list[dict[str, Any]] = field(default_factory=list)


async def school_of(folder: Path) -> School:
    async with running(folder, clock=SystemClock()) as school:  # type: ignore[arg-type]
        made = School(folder, await ten_lessons(school, pupils=PARENTS * 5))
        for lesson in made.lessons:
            for person in (lesson.teacher_id, *lesson.pupil_ids[:EARLY]):
                made.cookies[person] = await school.cookie(person)
        made.phones = await _phones(school, made.lessons)
        return made


async def _phones(school: Running, lessons: list[Taught]) -> list[dict[str, Any]]:
    """One phone each of the first adult of every pupil of these lessons, as far as there are `PARENTS`."""
    children = [child for lesson in lessons for child in lesson.pupil_ids][:PARENTS]
    async with school.database.reading() as session:
        links = (await session.exec(select(Guardianship).where(
            col(Guardianship.child_id).in_(children), Guardianship.contact_order == 1))).all()
    found = []
    for link in links:
        phone, token, now = Answering(httpx.AsyncClient()), secrets.token_urlsafe(32), school.clock.now()
        async with school.database.writing() as session:
            await sign(session, link.guardian_id)
            (await session.get_one(Guardianship, link.id)).court_order = "no"  # the roster did not say
            passkey = Passkey(id=new_id(), school_id=link.school_id, person_id=link.guardian_id, name="Phone", public_key="",
                              credential_id=secrets.token_urlsafe(), added_at=now, rests_until=now, is_phone=True)
            session.add(passkey)
            await session.flush()
            actor = Actor(link.guardian_id, link.school_id, frozenset({Role.PARENT}))
            new = NewPhone(thumbprint(phone.jwk), "Phone", "android", "en")
            row = await commands.add(session, actor, passkey.id, new, None, now)
            session.add(PhoneRefresh(school_id=link.school_id, phone_id=row.id, sign_in_id=row.sign_in_id,
                                     token_hash=token_hash(token), made_at=now))
        found.append({"key": phone.key, "child_id": link.child_id, "refresh_token": token})
    return found


@dataclass
class Run:
    """`silence`: the longest in any pupil's ear while parents answered; `holds`: how often a room that was open was held."""

    phones: list[Answering]
    seconds: float
    cpu: float
    silence: float
    holds: int

    def took(self, step: str) -> list[float]:
        return sorted(phone.at[step] - phone.at["began"] for phone in self.phones if step in phone.at)


async def run(made: School, service: Served, *, lessons: bool) -> Run:
    await service.ready()
    taught = made.lessons if lessons else []
    inside = [Attendee(service.url, lesson.lesson_id, f"127.2.{at}.{n + 1}", made.cookies[person], speaks=not n)
              for at, lesson in enumerate(taught) for n, person in enumerate((lesson.teacher_id, *lesson.pupil_ids[:EARLY]))]
    for attendee in inside:
        attendee.down = Listener(address=attendee.address)
    await asyncio.gather(*(attendee.open() for attendee in inside))
    pupils = [attendee for attendee in inside if not attendee.speaks]
    for pupil in pupils:
        await pupil.hears()
        pupil.down.silence = 0.0  # type: ignore[attr-defined]
    started = time.time()
    async with AsyncExitStack() as stack:
        phones = [Answering(await stack.enter_async_context(_from(service.url, f"127.3.{n // 250}.{n % 250 + 1}")), **phone)
                  for n, phone in enumerate(made.phones)]
        pick, spent, began = random.Random(5), processor.seconds(service.process.pid), time.perf_counter()
        await asyncio.gather(*(_later(phone, pick.uniform(0, MINUTE)) for phone in phones))
        took, cpu = time.perf_counter() - began, processor.seconds(service.process.pid) - spent
    silence = max((pupil.down.silence for pupil in pupils), default=0.0)  # type: ignore[attr-defined]
    holds = sum(at >= started and said["type"] == "state" and said["room"] != "open"
                for attendee in inside for at, said in attendee.log)
    for attendee in inside:
        await attendee.go()
    return Run(phones, took, cpu, silence, holds)


def _from(url: str, address: str) -> httpx.AsyncClient:
    """A family's own address: what one address may ask is bound."""
    return httpx.AsyncClient(base_url=url, timeout=60, transport=httpx.AsyncHTTPTransport(local_address=address, verify=False))


async def _later(phone: Answering, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await phone.answer()


def report(name: str, run: Run) -> None:
    took, errors = run.took("answered"), [phone.error for phone in run.phones if phone.error]
    print(f"{name}: {len(took)} of {len(run.phones)} answered in {run.seconds:.0f} s, {len(errors)} errors; from waking to the "
          f"answer median {of(took, .5) * 1000:.0f} ms, 95 % {of(took, .95) * 1000:.0f} ms, longest {of(took, 1) * 1000:.0f} ms")
    print("  of which (95 %), until " + ", ".join(f"{step} {of(run.took(step), .95) * 1000:.0f} ms" for step in STEPS))
    print(f"  {run.cpu * 1000 / len(run.phones):.0f} ms of the server's processor for each, lessons included: "
          f"{run.cpu / run.seconds:.0%} of one; load of the machine {os.getloadavg()[0]:.1f}")
    for error in sorted(set(errors))[:5]:
        print(f"  {error.splitlines()[0]}")


def main() -> int:
    """The load in a process of its own as well, on the other processor."""
    inside = [sys.executable, "-m", "tests.bench.answers", "inside"]
    return subprocess.run(inside, check=False, timeout=500, preexec_fn=lambda: processor.alone(processor.two()[1])).returncode


def measure() -> int:
    here = os.sched_getaffinity(0)
    for_server = set(range(os.cpu_count() or 1)) - here or here
    with tempfile.TemporaryDirectory(prefix="chaperone-bench-") as folder:
        made = asyncio.run(school_of(Path(folder)))
        with served(made, for_server) as service:
            alone = asyncio.run(run(made, service, lessons=False))
            report("With no lesson", alone)
        with served(made, for_server) as service:
            beside = asyncio.run(run(made, service, lessons=True))
            report("Beside ten lessons", beside)
    ratio = of(beside.took("answered"), .95) / of(alone.took("answered"), .95)
    print(f"Beside ten lessons the 95th percentile is {ratio:.2f} times that with no lesson. Meanwhile {beside.holds} messages "
          f"of a room that was not open; the longest silence of a teacher who speaks, in any pupil's ear, "
          f"{beside.silence * 1000:.0f} ms.")
    return 0


if __name__ == "__main__":
    sys.exit(measure() if sys.argv[1:] == ["inside"] else main())
