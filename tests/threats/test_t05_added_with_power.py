"""T5: whoever finds a leader's screen open makes a second leader, who then approves what the first may not."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from service.foundation.events import Role
from service.people import factors, power, queries, rules, step_up
from service.people.tables import Person, School
from tests.proofs import PASSWORD, action_of, code, confirmed_post, give_codes
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm

PUPPET = {"kind": "adult", "given_name": "Second", "family_name": "Leader", "email": "second@chaperone.test",
          "roles": ["senior_leader"]}


async def made(school: Running) -> set[str]:
    """The roles that the puppet holds, or waits for."""
    async with school.database.reading() as session:
        found = (await session.exec(select(Person.id).where(col(Person.email).in_([PUPPET["email"], "other@x.test"])))).all()
        waits = [await power.waiting_for(session, person) for person in found]
        return set().union(*(await queries.roles(session, found)).values(), *waits)


def nobody_asks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rules, "asks_who_adds", lambda roles: False)


ASKED = Guard("adding-asks-nobody", nobody_asks)


@guarded_by(ASKED)
async def test_nobody_with_power_is_added_from_an_open_screen(school: Running, attempt) -> None:
    client = await school.signed_in("headteacher")
    with attempt:
        for role in sorted(set(Role) - rules.OFFICE_GIVES):
            await client.post("/people/add", data={**PUPPET, "roles": [role]})
            harm(await made(school), "somebody has power whom nobody confirmed")


async def test_who_proves_it_adds_a_leader_and_a_teacher_needs_no_proof(school: Running) -> None:
    head = await school.signed_in("headteacher")
    sent = await confirmed_post(school, head, school.person("headteacher"), "/people/add", PUPPET)
    assert sent.status_code == 303, sent.text
    assert await made(school) == {"senior_leader"}
    office = await school.signed_in("office")
    added = await office.post("/people/add", data={"kind": "adult", "given_name": "New", "roles": ["teacher"]})
    assert added.status_code == 303


@pytest.mark.parametrize("changed", [{"roles": ["dsl"]}, {"email": "other@x.test"}, {"family_name": "Other"}])
async def test_a_proof_is_for_exactly_this_person_with_exactly_these_roles(school: Running, changed: dict[str, object]) -> None:
    head = await school.signed_in("headteacher")
    asked = await head.post("/people/add", data=PUPPET)
    await give_codes(school, school.person("headteacher"))
    sent = await head.post("/people/add", data={**PUPPET, **changed, "step_up_action": action_of(asked),
                                                "step_up_password": PASSWORD, "step_up_code": code(school)})
    assert sent.status_code == 422
    assert "This has changed since you opened it" in sent.text
    assert not await made(school)


async def test_what_a_new_account_proves_itself_with_rests_for_a_day(school: Running) -> None:
    head = await school.signed_in("headteacher")
    sent = await confirmed_post(school, head, school.person("headteacher"), "/people/add", PUPPET)
    person = sent.headers["location"].rpartition("/")[2]
    async with school.database.writing() as session:
        actor = await queries.actor(session, person)
        assert actor is not None
        assert (await session.get_one(School, actor.school_id)).live_at is not None
        until = await factors.rest(session, actor, is_proven=await factors.proven(
            session, actor, "codes", step_up.Proof(), school.clock.now()), now=school.clock.now())
    assert until == school.clock.now() + timedelta(hours=24)
