"""Who may ask for what, cell by cell: every address, every role, every relation, and another school (goal G12, threat T14).

The expected answers stand in `matrix.txt`. policy: AC3, RE1
"""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from lessons.live.door import NotOnTheList
from service.app import addresses
from service.foundation import errors
from service.foundation.events import Role
from tests.access.forms import body
from tests.access.table import MAY, MISSING, NOBODY, SIGN_IN, TABLE, TOLD_NO, Row, read
from tests.access.world import World

IN_ONE_WORLD = pytest.mark.asyncio(loop_scope="session")
ROWS = read()
WITH_IDS = list({(row.method, row.path): row for row in reversed(ROWS)
                 if "{" in row.path and row.relation not in ("wrong secret", "a kind")}.values())
WHO = [*(str(role) for role in Role), NOBODY]


ALIKE = (("not-found", errors.NotFound().message), ("not-on-roster", NotOnTheList().message))


def told(answer: httpx.Response, row: Row) -> str:
    """What an answer says about whether somebody may. What is missing and what is refused says the same words (policy: AC3)."""
    if answer.status_code == 401 and row.relation == "wrong secret":
        return MISSING  # a token or a proof that is none
    if answer.status_code == 401 or answer.headers.get("location", "").startswith("/sign-in"):
        return SIGN_IN
    if answer.status_code == 404:
        body = answer.json()
        said = (body["code"], body["detail"])
        return MISSING if said in ALIKE or row.relation == "wrong secret" else f"tells: {body}"
    if answer.status_code == 403 or (answer.status_code == 422 and answer.text == TOLD_NO and row.told_no):
        return TOLD_NO  # on the form itself
    return MAY if answer.status_code < 500 else f"crash {answer.status_code}"


async def ask(world: World, client: httpx.AsyncClient, row: Row, role: str) -> httpx.Response:
    sent: dict[str, Any] = body(world, row.method, row.path, row.relation, role)
    if "data" in sent:
        sent["data"] = {"step_up_action": "any", "step_up_password": "any", **sent["data"]}  # `undone` believes it
    return await client.request(row.method, world.path(row.path, row.relation, role), **sent)


def person(world: World, cookie: str) -> httpx.AsyncClient:
    client = world.school.client(cookie)
    client.headers["accept"] = "application/json"
    return client


async def differences(world: World, rows: list[Row], role: str, cookie: str, expected: Callable[[Row], str]) -> list[str]:
    wrong = []
    for row in rows:
        async with person(world, cookie) as client:
            answer = await ask(world, client, row, role)
        if told(answer, row) != expected(row):
            got = f"{told(answer, row)} {answer.status_code}"
            wrong.append(f"{row.method} {row.path} ({row.relation}): {got}, not {expected(row)}")
    return wrong


@IN_ONE_WORLD
@pytest.mark.parametrize("role", WHO)
async def test_everybody_gets_what_the_table_says(world: World, role: str) -> None:
    wrong = await differences(world, ROWS, role, world.cookies[role], lambda row: row.expected(role))
    assert wrong == [], "\n".join(wrong)


@IN_ONE_WORLD
@pytest.mark.parametrize("role", [*Role])
async def test_to_another_school_nothing_of_this_one_exists(world: World, role: str) -> None:
    wrong = await differences(world, WITH_IDS, role, world.strangers[role], lambda row: MISSING)
    assert wrong == [], "\n".join(wrong)


@IN_ONE_WORLD
async def test_the_other_school_is_asked_with_what_this_ones_own_people_get(world: World) -> None:
    """Negative control: the same requests, by those of this school whom the table lets in."""
    by_their_own = [row for row in WITH_IDS if row.may]
    assert len(by_their_own) > 90
    for row in by_their_own[::9]:
        role = sorted(row.may)[0]
        assert await differences(world, [row], role, world.cookies[role], lambda _: MAY) == []


def test_every_address_has_its_row_and_every_row_its_address() -> None:
    served = {(method, path) for method, path, _ in addresses()}
    assert {(row.method, row.path) for row in ROWS} == served


def test_the_matrix_has_five_thousand_cells() -> None:
    assert len(ROWS) * len(WHO) + len(WITH_IDS) * len(Role) >= 5_000


def test_a_role_that_nobody_knows_is_no_cell() -> None:
    groups = TABLE.read_text(encoding="utf-8").partition("\n# --")[0]
    with pytest.raises(ValueError, match="no role and no group: everyone"):
        read(groups + "\nGET /people | - | everyone | |")
