"""T5: power that had ended comes back without anybody who could give it: by “They are back”, by a file, by an old set-up."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select, update

from service.foundation.bus import publish
from service.people import one_time_codes, roster_plan, rules
from service.people.events import RosterImported
from service.people.tables import OneTimeCodes, Person
from tests import one_to_one
from tests.features.test_import import HEAD, imported, sheet
from tests.proofs import confirmed_post
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm


async def gone(school: Running, role: str, external_id: str = "X77") -> str:
    """Somebody who left last week, and kept their passkey."""
    person = school.person(role)
    async with school.database.writing() as session:
        await session.exec(update(Person).where(col(Person.id) == person).values(
            left_on=school.clock.now().date() - timedelta(days=7), external_id=external_id))
    return person


async def is_back(school: Running, person: str) -> bool:
    async with school.database.reading() as session:
        return (await session.get_one(Person, person)).left_on is None


def anybody_returns(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rules, "checked_return", lambda *_, **__: None)
    patch.setattr(rules, "asks_who_adds", lambda roles: False)


@guarded_by(Guard("anybody-returns", anybody_returns))
async def test_the_office_brings_back_no_leader(school: Running, attempt: Any) -> None:
    person, office = await gone(school, "senior_leader"), await school.signed_in("office")
    with attempt:
        await office.post(f"/people/{person}/return")
        harm(await is_back(school, person), "a leader is back whom no leader brought back")


async def test_an_open_screen_brings_back_no_leader_and_a_proof_does(school: Running) -> None:
    person, head = await gone(school, "senior_leader"), await school.signed_in("headteacher")
    asked = await head.post(f"/people/{person}/return")
    assert "Senior leader again" in asked.text
    assert not await is_back(school, person)
    sent = await confirmed_post(school, head, school.person("headteacher"), f"/people/{person}/return", {})
    assert sent.status_code == 303
    assert await is_back(school, person)


def files_may(patch: pytest.MonkeyPatch) -> None:
    made = roster_plan.Known
    patch.setattr(roster_plan, "Known", lambda *given: made(*given[:6]))


@guarded_by(Guard("files-bring-anybody-back", files_may))
async def test_no_file_brings_back_a_leader(school: Running, attempt: Any) -> None:
    person, office = await gone(school, "senior_leader"), await school.signed_in("office")
    row = ["Staff", "X77", "Ann", "Cole", "", "", "", "", "Teacher"]
    with attempt:
        await imported(office, sheet(",".join([*row, *[""] * (HEAD.count(",") + 1 - len(row))])))
        harm(await is_back(school, person), "a file brought a leader back")


async def test_whoever_left_by_a_file_takes_the_approvals_they_gave_with_them_for_good(school: Running) -> None:
    request = await one_to_one.ask(school)
    await one_to_one.approve(school, request)
    head = await one_to_one.named(school, "Dr Marsh")
    async with school.database.writing() as session:
        (await session.get_one(Person, head.person_id)).left_on = school.clock.now().date()
        await session.flush()
        await publish(session, RosterImported("0" * 32, 0, (), (head.person_id,)), head)
    async with school.database.writing() as session:
        (await session.get_one(Person, head.person_id)).left_on = None
    [approval] = await one_to_one.given(school, request)
    assert approval.revoked_at is not None


async def test_codes_that_were_begun_and_left_are_shown_to_nobody_and_confirm_nothing(school: Running) -> None:
    """Their rest would have passed before anybody heard of them."""
    client, person = await school.signed_in("headteacher"), school.person("headteacher")
    begun = await client.post("/account/codes")
    assert "Set up one-time codes" in begun.text
    async with school.database.reading() as session:
        row = (await session.exec(select(OneTimeCodes).where(OneTimeCodes.person_id == person))).one()
    secret = school.app.state.pepper.unseal(one_time_codes.PURPOSE, person, row.secret)
    key = " ".join(secret[at:at + 4] for at in range(0, len(secret), 4))
    early = await client.post("/account/codes/confirm", data={"code": "000000"})
    assert early.status_code == 422
    assert key in early.text  # in time, it is shown again
    school.clock.advance(5 * 60)
    late = await client.post("/account/codes/confirm", data={"code": "000000"})
    assert late.status_code == 409
    assert key not in late.text
