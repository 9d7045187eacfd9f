"""Guests in tests: asked for, approved and signed in over HTTP, as people do it."""

import re
from dataclasses import dataclass
from typing import Any

import httpx
from sqlmodel import select

from consent.agreements import commands as agreements
from consent.rules import Route
from lessons.guests.tables import GuestPass
from service.people import queries
from tests.proofs import confirmed_post
from tests.school import Running

WHY = {"purpose": "Talks about bridges and answers questions", "identity_note": "Identity seen by the agency, DBS seen by us"}


@dataclass
class Invited:
    """A guest with a pass: the sponsor's client and the address of the pass's page."""

    school: Running
    sponsor: httpx.AsyncClient
    page: str
    guest_id: str

    @property
    def pass_id(self) -> str:
        return self.page.rpartition("/")[2]

    async def approve(self, role: str = "headteacher", reason: str = "A good lesson") -> httpx.Response:
        client = await self.school.signed_in(role)
        return await confirmed_post(self.school, client, self.school.person(role), self.page,
                                    {"answer": "approve", "reason": reason})

    async def end(self, role: str = "headteacher", position: int = 0) -> httpx.Response:
        client = await self.school.signed_in(role, position)
        self.school.clock.advance(30)  # a code works once
        return await confirmed_post(self.school, client, self.school.person(role, position), f"{self.page}/end",
                                    {"reason": "It is enough"})

    async def sign(self) -> None:
        """Sign the agreement for guests."""
        async with self.school.database.writing() as session:
            actor = await queries.actor(session, self.guest_id)
            assert actor is not None
            now = self.school.clock.now()
            await agreements.record_signature(session, actor, person_id=self.guest_id, route=Route.WEB, signed_on=now.date(),
                                            now=now)

    async def link(self) -> str:
        """The path of a new one-time link."""
        shown = await self.sponsor.post(f"{self.page}/link")
        found = re.search(r"/guest/in/[\w-]+", shown.text)
        assert found, shown.text
        return found[0]

    async def enter(self) -> httpx.AsyncClient:
        """The guest's own browser, signed in by a link."""
        client = self.school.client()
        assert (await client.post(await self.link())).status_code == 303
        return client


def form(school: Running, lesson_id: str, **more: Any) -> dict[str, Any]:
    now = school.clock.now()
    day = f"{now.day}/{now.month}/{now.year}"
    return {"lesson": lesson_id, "kind": "speaker", "given_name": "Mia", "family_name": "Lind", "title": "Ms", **WHY,
            "lessons": [lesson_id], "first": day, "last": day, **more}


async def asked(school: Running, lesson_id: str, *, position: int = 0, **more: Any) -> Invited:
    """A guest whom the n-th teacher asked for."""
    sponsor = await school.signed_in("teacher", position)
    answer = await sponsor.post("/guests/ask", data=form(school, lesson_id, **more))
    assert answer.status_code == 303, re.findall(r"error-message[^<]*<[^<]*<[^<]*", answer.text)
    page = answer.headers["location"]
    async with school.database.reading() as session:
        guest_id = (await session.exec(select(GuestPass.guest_id).where(GuestPass.id == page.rpartition("/")[2]))).one()
    return Invited(school, sponsor, page, guest_id)


async def invited(school: Running, lesson_id: str, **more: Any) -> Invited:
    """A guest who may come: approved, and the agreement signed."""
    guest = await asked(school, lesson_id, **more)
    assert (await guest.approve()).status_code == 303
    await guest.sign()
    return guest
