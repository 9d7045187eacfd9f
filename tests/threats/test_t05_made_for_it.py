"""T5: a headteacher makes somebody chair who has passkeys already, and has their own one-to-one approved within minutes."""

from contextlib import suppress
from typing import Any

import pytest

from service.foundation.events import Actor, Role
from service.people.commands import change_roles
from service.people.rules import role_action
from service.safeguarding.approvals import queries
from service.safeguarding.approvals.commands import MayNotDecide
from tests import one_to_one
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm


async def make_chair(school: Running, head: Actor, person: str) -> None:
    before, after = frozenset({Role.GOVERNOR}), frozenset({Role.GOVERNOR, Role.CHAIR})
    proof = await one_to_one.proved(school, head, role_action(person, "", before, after))
    async with school.database.writing() as session:
        await change_roles(session, head, person, after, proof, school.clock.now())
    await one_to_one.agree_to_roles(school, person)


def nobody_looks(patch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any, **__: Any) -> bool:
        return False

    patch.setattr(queries, "gave_roles", never)


@guarded_by(Guard("nobody-looks-who-gave-the-role", nobody_looks))
async def test_nobody_is_made_an_approver_for_ones_own_request(school: Running, attempt: Any) -> None:
    head = await one_to_one.named(school, "Dr Marsh")
    request = await one_to_one.ask(school, by="Dr Marsh", adult="Mr Hall")
    await make_chair(school, head, school.person("governor"))
    with attempt:
        with suppress(MayNotDecide):
            await one_to_one.approve(school, request, by="Mr Pike")
        harm(await one_to_one.given(school, request), "approved by somebody made for it")


async def test_a_day_later_others_have_had_time_to_see_it(school: Running) -> None:
    head = await one_to_one.named(school, "Dr Marsh")
    request = await one_to_one.ask(school, by="Dr Marsh", adult="Mr Hall")
    await make_chair(school, head, school.person("governor"))
    school.clock.advance(24 * 3600)
    await one_to_one.approve(school, request, by="Mr Pike")
    assert await one_to_one.given(school, request)
