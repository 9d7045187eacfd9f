"""T5: a leader with patience makes a second approver, a puppet or one who had left, and waits a day (policy: RL1, AC3)."""

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from service.foundation.audit import AuditLeaf
from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import LEADERS, Actor, Role
from service.people import commands, power, queries, rules
from service.people.rules import role_action
from service.people.step_up import NotConfirmed, Proof
from service.people.tables import Person, PersonRole, RoleRequest, School
from tests import cluster, one_to_one
from tests.proofs import confirmed_post
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm

DAY = 24 * 3600


def one_is_enough(patch: pytest.MonkeyPatch) -> None:
    """As it was: whoever may give the role has given it."""
    async def at_once(session: Any, actor: Actor, person_id: str, roles: frozenset[Role], now: Any) -> None:
        session.add_all(PersonRole(person_id=person_id, role=role, school_id=actor.school_id) for role in roles)

    patch.setattr(commands.power, "ask", at_once)
    patch.setattr("tests.threats.test_t05_power_takes_two.DATABASE_HOLDS", False)


DATABASE_HOLDS = True
TWO = Guard("a-second-person-agrees", one_is_enough)


async def without_the_trigger(school: Running) -> None:
    """The control takes the rule away; the database would still hold, which has a test of its own."""
    if not DATABASE_HOLDS:
        async with school.database.engine.begin() as connection:
            await connection.exec_driver_sql("DROP TRIGGER person_role_agreed" + (" ON person_role" if cluster.used else ""))


async def gives(school: Running, by: Actor, person: str, *roles: Role) -> None:
    async with school.database.reading() as session:
        before = (await queries.roles(session, [person])).get(person, frozenset())
    after = before | set(roles)
    proof = await one_to_one.proved(school, by, role_action(person, "", before, after))
    async with school.database.writing() as session:
        await commands.change_roles(session, by, person, after, proof, school.clock.now())


async def held(school: Running, person: str) -> frozenset[Role]:
    async with school.database.reading() as session:
        return (await queries.roles(session, [person])).get(person, frozenset())


async def request_of(school: Running, person: str) -> str:
    async with school.database.reading() as session:
        return (await session.exec(select(RoleRequest.id).where(
            RoleRequest.person_id == person, col(RoleRequest.decided_at).is_(None)))).one()


@guarded_by(TWO)
async def test_a_leader_with_patience_makes_no_second_approver(school: Running, attempt: Any) -> None:
    head = await one_to_one.named(school, "Dr Marsh")
    puppet = school.person("governor")
    request = await one_to_one.ask(school, by="Dr Marsh", adult="Mr Hall")
    with attempt:
        await without_the_trigger(school)
        await gives(school, head, puppet, Role.CHAIR)
        school.clock.advance(DAY)
        harm(Role.CHAIR in await held(school, puppet), "one person made somebody an approver")
        with suppress(NotAllowed):
            await one_to_one.approve(school, request, by="Mr Pike")
        assert not await one_to_one.given(school, request)


@guarded_by(TWO)
async def test_nobody_s_power_comes_back_by_one_person(school: Running, attempt: Any) -> None:
    head, person = await one_to_one.named(school, "Dr Marsh"), school.person("senior_leader")
    async with school.database.writing() as session:
        await commands.leave(session, head, person, school.clock.now())
    school.clock.advance(DAY)
    client = school.client(await school.cookie(head.person_id))
    with attempt:
        await without_the_trigger(school)
        sent = await confirmed_post(school, client, head.person_id, f"/people/{person}/return", {})
        assert sent.status_code == 303
        harm(await held(school, person) & rules.POWERFUL, "a leader is a leader again by one person's word")
        async with school.database.reading() as session:
            assert (await session.get_one(Person, person)).left_on is None
            assert await power.waiting_for(session, person) == {Role.SENIOR_LEADER}


@pytest.mark.parametrize("role", sorted(rules.BY_TWO))
async def test_the_database_takes_no_such_role_that_two_people_did_not_agree_to(school: Running, role: Role) -> None:
    person, head = school.person("teacher"), await one_to_one.named(school, "Dr Marsh")
    async with school.database.writing() as session:
        asked = RoleRequest(school_id=head.school_id, person_id=person, role=role, asked_by=head.person_id,
                            asked_at=school.clock.now())
        session.add(asked)
    with pytest.raises(IntegrityError, match="two people give this role"):
        await written(school, PersonRole(person_id=person, role=role, school_id=head.school_id))
    for decided_by in ("", head.person_id, person):
        with pytest.raises(IntegrityError):
            await decided(school, asked.id, decided_by)


async def written(school: Running, row: PersonRole) -> None:
    async with school.database.writing() as session:
        session.add(row)


async def decided(school: Running, request_id: str, by: str) -> None:
    async with school.database.writing() as session:
        row = await session.get_one(RoleRequest, request_id)
        row.decided_by, row.decided_at, row.agreed = by, school.clock.now(), True


async def test_the_second_person_is_neither_who_asked_nor_whom_it_is_about_and_holds_power_themselves(school: Running) -> None:
    head, person = await one_to_one.named(school, "Dr Marsh"), school.person("senior_leader")
    await gives(school, head, person, Role.DEPUTY_DSL)
    request = await request_of(school, person)
    for who in (head.person_id, person, school.person("office"), school.person("technician"), school.person("governor")):
        actor = await one_to_one.actor(school, who)
        async with school.database.writing() as session:
            with pytest.raises(NotAllowed):
                await power.agree(session, actor, request, proof=Proof(), now=school.clock.now())
    assert Role.DEPUTY_DSL not in await held(school, person)


async def test_a_second_person_proves_it_for_exactly_this_and_then_it_counts(school: Running) -> None:
    head, person = await one_to_one.named(school, "Dr Marsh"), school.person("teacher")
    await gives(school, head, person, Role.SENIOR_LEADER)
    request = await request_of(school, person)
    dsl = await one_to_one.actor(school, school.person("dsl"))
    async with school.database.writing() as session:
        with pytest.raises(NotConfirmed):
            await power.agree(session, dsl, request, proof=Proof(), now=school.clock.now())
    async with school.database.reading() as session:
        action = await power.agreeing(session, dsl, request)
    proof = await one_to_one.proved(school, dsl, action)
    async with school.database.writing() as session:  # meanwhile the office gives the account to somebody else
        (await session.get_one(Person, person)).email = "another@x.test"
    async with school.database.writing() as session:
        with pytest.raises(NotConfirmed):
            await power.agree(session, dsl, request, proof=proof, now=school.clock.now())
    await one_to_one.agree_to_roles(school, person, by=dsl.name)
    assert Role.SENIOR_LEADER in await held(school, person)
    async with school.database.reading() as session:
        rows = await session.exec(select(AuditLeaf.kind, AuditLeaf.actor_id).where(AuditLeaf.subject_id == person))
        kinds = [row for row in rows.all() if "Role" in row[0]]
    assert kinds == [("RoleAsked", head.person_id), ("RoleAgreed", dsl.person_id), ("RolesChanged", dsl.person_id)]


async def test_who_asked_and_lost_their_role_has_lost_the_request(school: Running) -> None:
    head, person = await one_to_one.named(school, "Dr Marsh"), school.person("teacher")
    await gives(school, head, person, Role.SENIOR_LEADER)
    dsl = await one_to_one.actor(school, school.person("dsl"))
    async with school.database.writing() as session:
        (await session.get_one(Person, head.person_id)).left_on = school.clock.now().date()
    async with school.database.writing() as session:
        with pytest.raises(NotAllowed, match="could not give this role any more"):
            await power.agree(session, dsl, await request_of(school, person), proof=Proof(), now=school.clock.now())


async def test_what_waits_is_asked_for_once_and_is_taken_back_by_one(school: Running) -> None:
    head, person = await one_to_one.named(school, "Dr Marsh"), school.person("teacher")
    await gives(school, head, person, Role.SENIOR_LEADER)
    with pytest.raises(power.AskedAlready):
        await gives(school, head, person, Role.SENIOR_LEADER)
    async with school.database.writing() as session:
        await power.refuse(session, head, await request_of(school, person), now=school.clock.now())
    await gives(school, head, person, Role.SENIOR_LEADER)
    assert Role.SENIOR_LEADER not in await held(school, person)


# When one person is left


async def alone(school: Running) -> Actor:
    head = await one_to_one.named(school, "Dr Marsh")
    async with school.database.writing() as session:
        for one in await queries.holders(session, head.school_id, rules.POWERFUL):
            if one.id != head.person_id:
                (await session.get_one(Person, one.id)).left_on = school.clock.now().date()
    return head


async def test_a_leader_who_is_alone_is_told_to_ask_the_chair(school: Running) -> None:
    head = await alone(school)
    await gives(school, head, school.person("teacher"), Role.SENIOR_LEADER)
    client = school.client(await school.cookie(head.person_id))
    page = await client.get(f"/roles/waiting/{await request_of(school, school.person('teacher'))}")
    assert "Nobody else here may agree to this. Ask the chair of governors" in page.text


async def test_where_the_service_runs_a_chair_is_named_who_then_agrees(school: Running) -> None:
    head, person = await alone(school), school.person("governor")
    async with school.database.reading() as session:
        email = (await session.get_one(Person, person)).email
    assert email
    async with school.database.writing() as session:
        assert await power.name_chair(session, head.school_id, email, school.clock.now()) == person
    assert Role.CHAIR in await held(school, person)
    teacher = school.person("teacher")
    await gives(school, head, teacher, Role.SENIOR_LEADER)
    await one_to_one.agree_to_roles(school, teacher, by=(await one_to_one.actor(school, person)).name)
    assert Role.SENIOR_LEADER in await held(school, teacher)


async def test_no_console_names_a_chair_while_two_people_could_agree(school: Running) -> None:
    person = school.person("governor")
    async with school.database.writing() as session:
        row = await session.get_one(Person, person)
        naming = power.name_chair(session, row.school_id, row.email or "", school.clock.now())
        with pytest.raises(NotAllowed, match="Two people here can agree"):
            await naming
    assert Role.CHAIR not in await held(school, person)


async def test_a_school_whose_headteacher_left_gets_the_next_by_two_people(school: Running) -> None:
    """While there is one no senior leader asks for another; and who was asked for is lost when the headteacher is back."""
    leader, head = await one_to_one.named(school, "Mrs Khan"), school.person("headteacher")
    successor = school.person("teacher")
    with pytest.raises(NotAllowed):
        await gives(school, leader, successor, Role.HEADTEACHER)
    async with school.database.writing() as session:
        await commands.leave(session, leader, head, school.clock.now())
    await gives(school, leader, successor, Role.HEADTEACHER)
    assert Role.HEADTEACHER not in await held(school, successor)
    async with school.database.writing() as session:
        (await session.get_one(Person, head)).left_on = None
    with pytest.raises(NotAllowed, match="could not give this role any more"):
        await one_to_one.agree_to_roles(school, successor, by="Mrs Frost")
    async with school.database.writing() as session:
        await commands.leave(session, leader, head, school.clock.now())
    school.clock.advance(30)
    await one_to_one.agree_to_roles(school, successor, by="Mrs Frost")
    assert Role.HEADTEACHER in await held(school, successor)


async def without_leaders(school: Running) -> tuple[Actor, str]:
    """A school whose headteacher and senior leaders have all left: its chair, and the address of who is to come."""
    leader = await one_to_one.named(school, "Mrs Khan")
    async with school.database.writing() as session:
        for one in await queries.holders(session, leader.school_id, LEADERS):
            (await session.get_one(Person, one.id)).left_on = school.clock.now().date()
        school_row = await session.get_one(School, leader.school_id)
        school_row.roster_version += 1
        successor = await session.get_one(Person, school.person("teacher"))
    return await one_to_one.actor(school, school.person("chair")), successor.email or ""


async def asks_for_head(school: Running, by: Actor, email: str) -> None:
    async with school.database.reading() as session:
        action = await power.asking_for_head(session, by, email)
    proof = await one_to_one.proved(school, by, action)
    async with school.database.writing() as session:
        await power.ask_for_head(session, by, email, proof=proof, now=school.clock.now())


async def test_a_school_without_any_leader_gets_a_headteacher_by_its_chair_and_the_safeguarding_team(school: Running) -> None:
    chair, email = await without_leaders(school)
    successor = school.person("teacher")
    await asks_for_head(school, chair, email)
    assert Role.HEADTEACHER not in await held(school, successor)
    with pytest.raises(NotAllowed, match="You asked for this change"):
        await one_to_one.agree_to_roles(school, successor, by=chair.name)
    with pytest.raises(NotAllowed, match="about your own role"):
        await one_to_one.agree_to_roles(school, successor, by="Mr Hall")
    await one_to_one.agree_to_roles(school, successor, by=(await one_to_one.actor(school, school.person("dsl"))).name)
    assert Role.HEADTEACHER in await held(school, successor)


async def test_a_chair_asks_for_no_second_headteacher_not_for_themselves_and_for_nobody_unknown(school: Running) -> None:
    chair = await one_to_one.actor(school, school.person("chair"))
    async with school.database.reading() as session:
        teacher = (await session.get_one(Person, school.person("teacher"))).email or ""
        own = (await session.get_one(Person, chair.person_id)).email or ""
    with pytest.raises(NotAllowed, match="has a headteacher"):
        await asks_for_head(school, chair, teacher)
    chair, _ = await without_leaders(school)
    with pytest.raises(NotAllowed, match="cannot ask for yourself"):
        await asks_for_head(school, chair, own)
    with pytest.raises(Invalid):
        await asks_for_head(school, chair, "nobody@school.example")
    dsl = await one_to_one.actor(school, school.person("dsl"))
    with pytest.raises(NotAllowed, match="chair of governors asks"):
        await asks_for_head(school, dsl, teacher)


async def test_the_chair_s_own_page_leads_there_while_there_is_no_headteacher(school: Running) -> None:
    async with await school.signed_in("chair") as client:
        assert "/roles/headteacher" not in (await client.get("/school")).text
        _, email = await without_leaders(school)
        assert "/roles/headteacher" in (await client.get("/school")).text
        check = await client.post("/roles/headteacher", data={"email": email})
        assert "Check it is you" in check.text
        refused = await client.post("/roles/headteacher", data={"email": "nobody@school.example"})
        assert refused.status_code == 422
        assert "The office adds the person first" in refused.text
