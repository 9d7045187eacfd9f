"""Everybody signs the agreement that is in force, each year, and the school knows who has (policy: CO1, CO5)."""

import pytest
from sqlmodel import select

from consent.agreements import commands, queries
from consent.agreements.tables import Agreement
from consent.rules import Route
from service.foundation.errors import NotFound
from service.people import queries as people
from service.people.tables import PersonRole
from tests.features.test_permissions import events, families, office
from tests.school import Running


async def signed(school: Running, person: str) -> bool:
    actor = await office(school)
    async with school.database.reading() as session:
        on = school.clock.now().date()
        here = await people.people(session, actor.school_id, [person], here_on=on)
        roles = {view.id: view.roles for view in here.values()}
        return person in await queries.signed(session, actor.school_id, roles, on)


async def test_who_has_signed_this_years_agreement_may_come_in_and_an_old_signature_opens_nothing(school: Running) -> None:
    teacher = school.person("teacher")
    assert await signed(school, teacher)
    school.clock.advance(336 * 24 * 3600)
    assert not await signed(school, teacher)


async def test_whoever_has_not_signed_is_reminded_on_every_page_and_signs_with_their_own_name(school: Running) -> None:
    teacher, actor = school.person("teacher"), await office(school)
    async with await school.signed_in("teacher") as client:
        assert "Sign the agreement" not in (await client.get("/account")).text
        async with school.database.writing() as session:
            session.add(Agreement(school_id=actor.school_id, audience="staff", version=2, text="Be kind.",
                                  in_force_at=school.clock.now()))
        assert "Sign the agreement" in (await client.get("/account")).text
        page = await client.get("/agreement")
        assert "Be kind." in page.text
        assert "Agreement for staff" in page.text
        for given, words in (({"name": "Daniel Hall"}, "Tick the box to say you agree"),
                             ({"agree": "yes", "name": "Priya Cole"}, "Type your name as the school knows it")):
            refused = await client.post("/agreement", data=given)
            assert (refused.status_code, words in refused.text) == (422, True)
        assert not await signed(school, teacher)
        assert (await client.post("/agreement", data={"agree": "yes", "name": " daniel  HALL"})).status_code == 303
        assert "You have signed" in (await client.get("/agreement")).text
        assert "Sign the agreement" not in (await client.get("/account")).text
    assert await signed(school, teacher)


async def test_a_pupil_agrees_with_one_button_and_the_youngest_cannot_sign_alone(school: Running) -> None:
    actor = await office(school)
    older, youngest = school.lesson()["pupil_ids"][0], school.lesson("Story time")["pupil_ids"][0]
    async with school.database.writing() as session:
        session.add(Agreement(school_id=actor.school_id, audience="pupils", version=2, text="Be kind.",
                              in_force_at=school.clock.now()))
    for pupil, may_sign in ((older, True), (youngest, False)):
        async with school.client(await school.cookie(pupil)) as client:
            page = await client.get("/agreement")
            assert ("I agree. I am" in page.text) is may_sign
            assert ("Your grown-up needs to say yes to the rules first." in page.text) is not may_sign
            await client.post("/agreement", data={"agree": "yes"})
        assert await signed(school, pupil) is may_sign


async def test_a_new_version_has_to_be_signed_again(school: Running) -> None:
    teacher, actor = school.person("teacher"), await office(school)
    async with school.database.writing() as session:
        session.add(Agreement(school_id=actor.school_id, audience="staff", version=2, text="New",
                                      in_force_at=school.clock.now()))
    assert not await signed(school, teacher)
    async with await school.signed_in("office") as client:
        await client.post(f"/permissions/agreements/{teacher}", data={"day": "23", "month": "11", "year": "2026"})
        assert not await signed(school, teacher)
        await client.post(f"/permissions/agreements/{teacher}", data={"day": "24", "month": "11", "year": "2026"})
    assert await signed(school, teacher)
    assert await events(school, "AgreementSigned") == 1


async def test_a_parent_signs_for_the_youngest_pupils(school: Running) -> None:
    child, (mother, *_) = (await families(school, "Story time"))[0]
    actor = await office(school)
    async with school.database.writing() as session:
        session.add(Agreement(school_id=actor.school_id, audience="pupils", version=2, text="New",
                              in_force_at=school.clock.now()))
    assert not await signed(school, child)
    day = {"day": "24", "month": "11", "year": "2026"}
    async with await school.signed_in("office") as client:
        alone = await client.post(f"/permissions/agreements/{child}", data=day)
        assert alone.status_code == 422
        assert "A parent signs for a pupil this young" in alone.text
        await client.post(f"/permissions/agreements/{child}", data=day | {"signed_by": mother})
    assert await signed(school, child)


async def test_somebody_who_signs_nothing_is_not_on_the_register(school: Running) -> None:
    actor, teacher = await office(school), school.person("teacher")
    async with school.database.writing() as session:
        for row in (await session.exec(select(PersonRole).where(PersonRole.person_id == teacher))).all():
            await session.delete(row)
    assert not await signed(school, teacher)
    with pytest.raises(NotFound):
        async with school.database.writing() as session:
            await commands.record_signature(session, actor, person_id=teacher, route=Route.PAPER,
                                            signed_on=school.clock.now().date(), now=school.clock.now())
