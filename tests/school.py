"""Builders: an application on a fresh database that every test may change, and clients signed in as its people.

The database is migrated and seeded once a test run, and copied for each test.
"""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlmodel import SQLModel

from consent.agreements import queries as agreements
from consent.agreements.rules import Signing, audience, text_hash
from consent.agreements.tables import AgreementSignature
from service import seed
from service.app import create_app
from service.foundation.settings import Settings
from service.foundation.web import COOKIE
from service.people import profile_changes, queries, sessions
from service.people.profile import Profile
from service.people.tables import Person, PersonRole, ProfileChange, ProfileVersion, RoleRequest
from service.safeguarding.impact.tables import ImpactReview
from tests import cluster
from tests.fakes import FakeClock

MORNING = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)  # a Tuesday in term; seeded lessons are around it


@dataclass
class Running:
    """A started application, its clock, and what the seed described (see `service.seed.existing`)."""

    app: FastAPI
    clock: FakeClock
    made: dict[str, Any]

    @property
    def database(self) -> Any:
        return self.app.state.database

    def person(self, role: str, position: int = 0) -> str:
        """The id of the n-th seeded person with this role."""
        return [person["id"] for person in self.made["people"] if person["role"] == role][position]

    def lesson(self, title: str = "Maths: fractions") -> dict[str, Any]:
        """A seeded lesson; the one that is on now when its title is left out."""
        found: dict[str, Any] = next(lesson for lesson in self.made["lessons"] if lesson["title"] == title)
        return found

    @contextmanager
    def beside(self) -> Iterator[Any]:
        """A connection to the same database that is not the service's: SQL by `execute`, each statement committed."""
        if cluster.used:
            connection: Any = cluster.cluster().connect(self.database.engine.url.database)
        else:
            connection = sqlite3.connect(self.database.engine.url.database, isolation_level=None)
        with closing(connection):
            yield connection

    def rows(self) -> Iterator[str]:
        """Every row of every table, as a copied database would show them."""
        with self.beside() as copy:
            for table in SQLModel.metadata.sorted_tables:
                yield from map(str, copy.execute(f'SELECT * FROM "{table.name}"').fetchall())

    def client(self, cookie: str = "") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        headers = {"origin": "http://chaperone.test"}
        cookies = {COOKIE: cookie} if cookie else None
        return httpx.AsyncClient(transport=transport, base_url="http://chaperone.test", headers=headers, cookies=cookies)

    async def cookie(self, person_id: str, *, signs: bool = True) -> str:
        """A sign-in of this person, who has signed the agreement unless the test says otherwise."""
        async with self.database.writing() as session:
            if signs:
                await sign(session, person_id)
            return await sessions.start(session, person_id=person_id, school_id=await self._school(session), route="dev",
                                        now=self.clock.now())

    async def signed_in(self, role: str, position: int = 0) -> httpx.AsyncClient:
        """A client signed in as the n-th person with this role."""
        return self.client(await self.cookie(self.person(role, position)))

    async def give_role(self, person_id: str, *roles: str) -> None:
        """Roles with which somebody may approve, as two people would have agreed them. Others are added as they are."""
        async with self.database.writing() as session:
            school_id, now = await self._school(session), self.clock.now()
            seconds = [person for role in ("headteacher", "chair", "dsl") if (person := self.person(role)) != person_id]
            for role in roles:
                asked = RoleRequest(school_id=school_id, person_id=person_id, role=role, asked_by=seconds[0], asked_at=now)
                session.add(asked)
                await session.flush()
                asked.decided_by, asked.decided_at, asked.agreed = seconds[1], now, True
                await session.flush()
                await session.merge(PersonRole(person_id=person_id, role=role, school_id=school_id))

    async def set_profile(self, text: str = "", **changes: Any) -> int:
        """Other school rules, written straight into the database as two people would have agreed them. `text`: the JSON itself
        (then anything at all). Returns the version."""
        head, chair = self.person("headteacher"), self.person("chair")
        async with self.database.writing() as session:
            school_id, now = await self._school(session), self.clock.now()
            before = await profile_changes.newest_version(session, school_id)
            profile = text or Profile(**changes).to_json()
            asked = ProfileChange(school_id=school_id, base_version=before, profile=profile, reasons="{}", review_on=now.date(),
                                  asked_by=head, asked_at=now)
            session.add(asked)
            await session.flush()
            asked.decided_by, asked.decided_at, asked.agreed = chair, now, True
            await session.flush()
            session.add(ProfileVersion(
                school_id=school_id, version=before + 1, reason="A test", profile=profile, change_id=asked.id, asked_by=head,
                decided_by=chair, review_on=now.date(), in_force_at=now,
            ))
        return before + 1

    async def block_pupils(self) -> None:
        """The Data Protection Officer has taken the approval of the impact assessment back: a seeded school has one."""
        async with self.database.writing() as session:
            session.add(ImpactReview(
                school_id=await self._school(session), document="[]", document_hash="", answers="{}", approved=False,
                reviewed_by=self.person("dpo"), reviewed_at=self.clock.now()))

    async def _school(self, session: Any) -> str:
        person: Person = await session.get_one(Person, self.person("headteacher"))  # also when they have left
        return person.school_id


def seen(page: httpx.Response) -> str:
    """The hash of the words that a page of an agreement shows: what its form sends."""
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found[1]


async def sign(session: Any, person_id: str) -> None:
    """Sign the agreement in force for somebody who has not, as a form on paper would."""
    actor = await queries.actor(session, person_id)
    if actor is None or await agreements.own_signing(session, actor) is not Signing.NOT_SIGNED:
        return
    text = (await agreements.current_agreements(session, actor.school_id)).get(audience(actor.roles))
    if text is not None:
        now = session.info["clock"].now()
        session.add(AgreementSignature(
            school_id=actor.school_id, agreement_id=text.id, text_hash=text_hash(text.text), person_id=person_id, route="paper",
            signed_at=now, renew_on=now.date() + timedelta(days=365), recorded_by=person_id))


@asynccontextmanager
async def running(folder: Path, *, template: Path | None = None, clock: FakeClock | None = None,
                  **settings: Any) -> AsyncIterator[Running]:
    """The whole application on `folder`, seeded (or a copy of `template`, which was)."""
    if cluster.used and template is not None and not cluster.is_there(template):
        async with running(template):  # the same keys, and the same school on the other database
            pass
    if template is not None:
        shutil.copytree(template, folder, dirs_exist_ok=True)
    if cluster.used:
        url = await asyncio.to_thread(cluster.url_for, folder, template)  # who is still leaving the template goes
        settings = {"database_url": url, **settings}
    clock = clock or FakeClock(MORNING)
    app = create_app(Settings(**{"data": folder, "dev": True, "media_addresses": "127.0.0.1", **settings}), clock=clock)
    async with app.router.lifespan_context(app):
        async with app.state.database.writing() as session:
            made = await seed.existing(session) or await seed.demo_school(session, clock.now())
        yield Running(app, clock, made)
