"""Somebody with nothing but links: every address of the service is opened without a sign-in, and the room is knocked at with
what others were given (threats T10, T11).
"""

import asyncio
import re
from contextlib import suppress

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from service.selftest.stage import PATIENCE, TEACHER, Findings, Stage, opened
from service.selftest.visitor import Visitor

PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
WAITS = 5.0
ENOUGH = 5
"""Open addresses that are named; more say nothing more."""
AWAY = frozenset({401, 403, 404, 405})


async def stranger(stage: Stage, found: Findings) -> None:
    """Raises NotShown when those who belong there cannot use the same addresses."""
    teacher, *pupils = await stage.bring(TEACHER, "Ash", "Birch")
    found.need(await opened([teacher, *pupils]), "", "The room never opened although everybody that it needs was there.")
    own = await stage.client.get(f"/lessons/{stage.on.lesson_id}", headers=teacher._own)
    found.need(own.status_code == 200 and stage.school.marker in own.text, "The teacher opens the lesson’s page.",
               "The teacher cannot open the lesson’s own page.")
    await _every_address(stage, found)
    await _from_another_class(stage, found)
    await _with_somebody_elses_ticket(stage, found)


async def _every_address(stage: Stage, found: Findings) -> None:
    """Every page and every action that has an address, without a sign-in."""
    tried, got_in = 0, []
    for method, path, is_public in stage.addresses:
        if method != "GET" and (is_public or "{" not in path):
            continue  # nobody signs in here, and nothing of a real school is named
        tried += 1
        said = await _gets(stage, method, path, is_public)
        if said:
            got_in.append(f"{method} {path} ({said})")
        if len(got_in) >= ENOUGH:
            break
    found.measured |= {"addresses_tried": tried, "addresses_open": len(got_in)}
    found.check(tried > 1 and not got_in, f"All {tried} addresses of the service, with the lesson’s own link in them, were "
                "opened without a sign-in: each sent the stranger away, and none said anything of the lesson.",
                f"Without a sign-in the service answered: {', '.join(got_in)}.")


async def _gets(stage: Stage, method: str, path: str, is_public: bool) -> str:
    """What a stranger gets who should get nothing; empty when they were sent away. A page that keeps them waiting let them in."""
    try:
        answer = await stage.client.request(method, _filled(stage, path), follow_redirects=False, timeout=WAITS)
    except httpx.ReadTimeout:
        return "kept waiting"
    return "" if _is_away(answer, is_public) and stage.school.marker not in answer.text else str(answer.status_code)


def _filled(stage: Stage, path: str) -> str:
    """The address with this lesson and its people in it, as a forwarded link would have."""
    known = {"lesson_id": stage.on.lesson_id, "person_id": stage.on.teacher_id, "child_id": stage.person("Ash")}
    return PARAMETER.sub(lambda match: known.get(match[1], stage.on.lesson_id), path)


def _is_away(answer: httpx.Response, is_public: bool) -> bool:
    to_sign_in = answer.is_redirect and answer.headers.get("location", "").startswith("/sign-in")
    return answer.status_code in AWAY or to_sign_in or (is_public and answer.status_code < 500)


async def _from_another_class(stage: Stage, found: Findings) -> None:
    outsider = await stage.signed_in("Hazel")
    given = await outsider.ask(stage.client)
    page = await stage.client.get(f"/lessons/{stage.on.lesson_id}", headers=outsider._own)
    found.check(given.status_code == 404 and page.status_code == 404,
                "A pupil of another class with the same link was told that there is no such lesson.",
                f"A pupil of another class got further than the door ({given.status_code}, {page.status_code}).")


async def _with_somebody_elses_ticket(stage: Stage, found: Findings) -> None:
    """A pupil's fresh ticket, in the hands of somebody from another class and of nobody at all."""
    pupil = await stage.signed_in("Cedar")
    given = await pupil.ask(stage.client)
    given.raise_for_status()
    outsider, nobody = await stage.signed_in("Hazel"), Visitor(stage.url, stage.on.lesson_id)
    inside = [await _enters(visitor, str(given.json()["ticket"])) for visitor in (nobody, outsider)]
    found.check(not any(inside), "A ticket that was given to somebody else opened the room for nobody.",
                "A ticket that was given to somebody else opened the room.")
    found.need(await _enters(pupil, str(given.json()["ticket"])), "It opened it for its owner, once.",
               "A ticket does not open the room for its owner.")
    again = Visitor(stage.url, stage.on.lesson_id, cookie=pupil.cookie)
    found.check(not await _enters(again, str(given.json()["ticket"])), "", "A ticket opened the room twice.")


async def _enters(visitor: Visitor, ticket: str) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionClosed):
                await visitor.enter(ticket)
                return "welcome" in visitor.told
            return False
    except (ConnectionError, InvalidHandshake, TimeoutError):
        return False
    finally:
        await visitor.go()
