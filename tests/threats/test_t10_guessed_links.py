"""T10: ids grant nothing. Every page that there is, asked with ids that exist and ids that do not, by who has no business there:
nobody signed in, and somebody of another school who holds every role. The answers are the same, so nothing is learned."""

import contextlib
import itertools
import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import Request
from fastapi.routing import APIRoute
from sqlmodel import SQLModel, select

from consent.agreements.tables import Agreement
from service.app import ROUTERS
from service.foundation import web
from service.foundation.db import new_id
from service.foundation.events import Actor, Role
from service.people import sessions
from service.people.tables import Person, PersonRole, School
from tests.school import Running, sign
from tests.threats.attack import Guard, guarded_by, harm

WITH_IDS = sorted({(method, route.path) for router in ROUTERS for route in router.routes
                   if isinstance(route, APIRoute) and "{" in route.path for method in route.methods if method in ("GET", "POST")})
FULL = os.environ.get("CHAPERONE_PROOF") == "full"
TRIED = 1_000 if FULL else 8
"""Ids that each address is asked with, whose own we do not know."""
GUESSES = 1_000_000 if FULL else 600
BY_SECRET = ("/reset/", "/dev/", "/invitation", "/m/")
"""What is opened by a secret in its path and not by an id, and the parents' app itself, which is about nobody."""


async def every_id(school: Running) -> list[str]:
    """One id of every table that has any, but for those that merely count: a digit is in every answer."""
    found: list[str] = []
    async with school.database.reading() as session:
        for table in SQLModel.metadata.sorted_tables:
            if "id" in table.c:
                row = (await session.exec(select(table.c.id).limit(1))).first()  # type: ignore[call-overload]
                found += [str(row)] if row is not None and len(str(row)) >= 32 else []
    return found


def fitting(school: Running) -> dict[str, str]:
    """An id that exists and fits, by the name of the place it goes to."""
    lesson = school.lesson()
    return {"lesson_id": lesson["id"], "person_id": lesson["pupil_ids"][0], "child_id": lesson["pupil_ids"][0]}


def place(path: str) -> str:
    """The name of the first id in an address."""
    return re.findall(r"\{(\w+)[^}]*\}", path)[0]


def filled(path: str, value: str) -> str:
    return re.sub(r"\{[^}]+\}", value, path)


def told(answer: Any, value: str) -> tuple[int, str, str]:
    """An answer without what is different each time."""
    text = re.sub(r"nonce=\"[^\"]+\"", "", answer.text).replace(value, "ID")
    return answer.status_code, answer.headers.get("location", "").replace(value, "ID"), text


async def stranger(school: Running) -> str:
    """Somebody of another school with every role of an adult, signed in."""
    async with school.database.writing() as session:
        other = School(name="Another School")
        session.add(other)
        await session.flush()
        person = Person(school_id=other.id, kind="adult", given_name="Sam", family_name="Stranger", email="sam@other.example")
        session.add(person)
        await session.flush()
        roles = [role for role in Role if role is not Role.PUPIL]
        session.add_all(PersonRole(person_id=person.id, role=role, school_id=other.id) for role in roles)
        session.add(Agreement(school_id=other.id, audience="staff", version=1, text="Be kind.", in_force_at=school.clock.now()))
        await session.flush()
        await sign(session, person.id)
        return await sessions.start(session, person_id=person.id, school_id=other.id, route="dev", now=school.clock.now())


def asked() -> Iterator[tuple[str, str]]:
    return (each for each in WITH_IDS if not any(part in each[1] for part in BY_SECRET))


async def compare(school: Running, cookie: str) -> int:
    """Ask everything twice for each id, or for a few of them: with it, and with one that nobody has. How many answers were
    alike."""
    alike, nothing, dice = 0, new_id(), random.Random(8)
    ids = await every_id(school)
    likely = fitting(school)
    async with school.client(cookie) as client:
        for method, path in asked():
            unknown = told(await client.request(method, filled(path, nothing)), nothing)
            for value in [likely[place(path)]] if place(path) in likely else dice.sample(ids, min(TRIED, len(ids))):
                known = told(await client.request(method, filled(path, value)), value)
                harm(known != unknown and (method, path, known[:2], unknown[:2]), "an answer that tells whether an id exists")
                harm(known[0] == 200 and (method, path), "a page for somebody who has no business there")
                alike += 1
    return alike


async def _first_school(state: Any) -> str:
    async with state.database.glance() as session:
        return str((await session.exec(select(School.id).where(School.name != "Another School"))).first())


def take_anybody(patch: pytest.MonkeyPatch) -> None:
    """A page that asks nobody who they are."""
    async def somebody(audience: web.Audience, request: Request) -> Actor:
        return Actor(new_id(), await _first_school(request.app.state), frozenset(Role) - {Role.PUPIL})

    patch.setattr(web.Audience, "__call__", somebody)


def take_them_for_ours(patch: pytest.MonkeyPatch) -> None:
    """A role that is good in every school."""
    ask = web.Audience.__call__

    async def ours(audience: web.Audience, request: Request) -> Actor:
        return replace(await ask(audience, request), school_id=await _first_school(request.app.state))

    patch.setattr(web.Audience, "__call__", ours)


@guarded_by(Guard("every page asks who it is", take_anybody))
async def test_without_a_cookie_every_id_is_answered_alike(school: Running, attempt: Any) -> None:
    with attempt:
        assert await compare(school, "") > 50


@guarded_by(Guard("a role is good in its own school", take_them_for_ours))
async def test_for_another_school_every_id_of_this_one_is_like_none(school: Running, attempt: Any) -> None:
    cookie = await stranger(school)
    with attempt:
        assert await compare(school, cookie) > 50


# Guessing


class Guesser:
    """Asks the application itself, without a client's cost: a million guesses take minutes. `cookie`: empty for a stranger."""

    def __init__(self, school: Running, cookie: str) -> None:
        self.school = school
        self.headers = [(b"host", b"chaperone.test"), (b"origin", b"http://chaperone.test"),
                        *([(b"cookie", f"{web.COOKIE}={cookie}".encode())] if cookie else [])]

    async def ask(self, method: str, path: str, value: str) -> tuple[int, bytes, bytes]:
        """An answer without what is different each time."""
        asked = filled(path, value)
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
                 "path": asked, "raw_path": asked.encode(), "query_string": b"", "root_path": "", "headers": self.headers,
                 "client": ("192.0.2.9", 1), "server": ("chaperone.test", 80), "state": {}}
        said: list[Any] = []
        with contextlib.suppress(Exception):  # what breaks was answered before
            await self.school.app(scope, self._nothing_more, lambda message: _keep(said, message))
        start = next(each for each in said if each["type"] == "http.response.start")
        body = b"".join(each.get("body", b"") for each in said if each["type"] == "http.response.body")
        to = dict(start["headers"]).get(b"location", b"")
        return start["status"], to.replace(value.encode(), b"ID"), NONCE.sub(b"", body).replace(value.encode(), b"ID")

    async def _nothing_more(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}


NONCE = re.compile(rb'nonce="[^"]+"')


async def _keep(said: list[Any], message: Any) -> None:
    said.append(message)


async def guess(school: Running, cookie: str, guesses: int, exist: list[str]) -> None:
    """Every address in turn, with 128 random bits; one in ten is an id that does exist, and must not show."""
    dice, guesser, nothing, likely = random.Random(10), Guesser(school, cookie), new_id(), fitting(school)
    known = {each: await guesser.ask(*each, nothing) for each in asked()}
    addresses = itertools.cycle(known)
    for _ in range(guesses):
        address = next(addresses)
        value = f"{dice.getrandbits(128):032x}"
        if dice.random() < 0.1:
            value = likely.get(place(address[1])) or dice.choice(exist)
        found = await guesser.ask(*address, value)
        harm(found != known[address] and (address, found[:2]), "an answer that tells a guess from another")
        harm(found[0] == 200 and address, "a page for a guess")


@pytest.mark.proof
@guarded_by(Guard("every page asks who it is", take_anybody))
async def test_of_a_million_guesses_without_a_cookie_none_is_told_from_another(school: Running, attempt: Any) -> None:
    exist = await every_id(school)
    with attempt:
        await guess(school, "", GUESSES * 2 // 3, exist)


@pytest.mark.proof
@guarded_by(Guard("a role is good in its own school", take_them_for_ours))
async def test_nor_of_as_many_by_who_holds_every_role_of_another_school(school: Running, attempt: Any) -> None:
    exist, cookie = await every_id(school), await stranger(school)
    with attempt:
        await guess(school, cookie, GUESSES // 3, exist)
