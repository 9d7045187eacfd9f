"""Everybody signs the agreement that is in force, each year, and the school knows who has (policy: CO1, CO5)."""

import csv
import hashlib
from typing import Any

import pytest
from sqlmodel import col, select, update

from consent.agreements import commands, queries
from consent.agreements.tables import Agreement, AgreementSignature
from consent.rules import Route
from service.foundation.errors import NotFound
from service.foundation.mail import Mail
from service.foundation.web import COOKIE
from service.people import queries as people
from service.people.tables import Guardianship, Person, PersonRole
from tests.features.test_permissions import events, families, office
from tests.school import Running, seen


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


async def renewed(school: Running, part: str = "staff", text: str = "Be kind.", **more: Any) -> None:
    """A second version, in force from now on."""
    async with school.database.writing() as session:
        school_id = (await session.exec(select(Agreement.school_id).limit(1))).one()
        session.add(Agreement(school_id=school_id, audience=part, version=2, text=text, in_force_at=school.clock.now(), **more))


async def test_nobody_passes_the_page_until_they_sign_with_their_own_name_and_then_they_go_on_where_they_were_going(
    school: Running,
) -> None:
    teacher = school.person("teacher")
    async with await school.signed_in("teacher") as client:
        assert (await client.get("/lessons/plan")).status_code == 200
        await renewed(school, what_changed="Kindness is new")
        sent = await client.get("/lessons/plan")
        assert (sent.status_code, sent.headers["location"]) == (303, "/agreement?next=/lessons/plan")
        assert (await client.post("/lessons/plan")).headers["location"] == "/agreement"
        page = await client.get(sent.headers["location"])
        assert all(words in page.text for words in ("What changed: Kindness is new", "Be kind.", "Agreement for staff"))
        assert 'class="x-navigation"' not in page.text, "it leads nowhere else"
        given = {"agree": "yes", "name": " daniel  HALL", "seen": seen(page), "next": "/lessons/plan"}
        for wrong, words in (({"agree": ""}, "Tick the box to say you agree"), ({"seen": ""}, "The agreement has changed"),
                             ({"name": "Priya Cole"}, "Type your name as the school knows it")):
            refused = await client.post("/agreement", data=given | wrong)
            assert (refused.status_code, words in refused.text) == (422, True)
            assert not await signed(school, teacher)
        assert "You cannot use Chaperone until you sign." in (await client.get("/agreement/no")).text
        done = await client.post("/agreement", data=given)
        assert (done.status_code, done.headers["location"]) == (303, "/agreement?next=/lessons/plan")
        page = await client.get(done.headers["location"])
        assert "You have signed" in page.text
        assert 'href="/lessons/plan" role="button"' in page.text
        assert (await client.get("/lessons/plan")).status_code == 200
    assert await signed(school, teacher)
    async with school.database.reading() as session:
        kept = (await session.exec(select(AgreementSignature).where(
            AgreementSignature.person_id == teacher).order_by(col(AgreementSignature.signed_at).desc()))).first()
    assert kept.text_hash == hashlib.sha256(b"Be kind.").hexdigest()


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/agreement?next=/", "evil"])
async def test_going_on_never_leads_to_another_site_or_in_a_circle(school: Running, elsewhere: str) -> None:
    async with await school.signed_in("teacher") as client:
        page = await client.get("/agreement", params={"next": elsewhere})
    assert 'href="/" role="button"' in page.text


async def test_a_pupil_agrees_with_one_button_and_the_youngest_cannot_sign_alone(school: Running) -> None:
    older, youngest = school.lesson()["pupil_ids"][0], school.lesson("Story time")["pupil_ids"][0]
    await renewed(school, "pupils")
    for pupil, may_sign in ((older, True), (youngest, False)):
        async with school.client(await school.cookie(pupil, signs=False)) as client:
            page = await client.get("/agreement")
            assert ("I agree. I am" in page.text) is may_sign
            assert ("Your grown-up needs to say yes to the rules first." in page.text) is not may_sign
            shown = hashlib.sha256(b"Be kind.").hexdigest()
            await client.post("/agreement", data={"agree": "yes", "seen": shown})
        assert await signed(school, pupil) is may_sign


async def test_a_parent_signs_for_a_young_child_of_theirs_and_for_no_other(school: Running) -> None:
    found = await families(school, "Story time")
    child, (mother, *_) = found[0]
    stranger = next(other for other, adults in found if mother not in adults)
    older = school.lesson()["pupil_ids"][0]
    await renewed(school, "pupils")
    async with school.client(await school.cookie(mother)) as client:
        page = await client.get("/agreement")
        assert f'href="/agreement/children/{child}"' in page.text
        page = await client.get(f"/agreement/children/{child}")
        async with school.database.reading() as session:
            name = (await people.person(session, (await office(school)).school_id, mother)).full_name
        given = {"agree": "yes", "name": name, "seen": seen(page)}
        assert (await client.post(f"/agreement/children/{child}", data=given | {"name": "Somebody"})).status_code == 422
        for other in (stranger, older):
            assert (await client.post(f"/agreement/children/{other}", data=given)).status_code == 404
            assert not await signed(school, other)
        assert (await client.post(f"/agreement/children/{child}", data=given)).status_code == 303
        assert "You have said yes" in (await client.get(f"/agreement/children/{child}")).text
    assert await signed(school, child)


async def rules_to_sign(school: Running, parent: str) -> list[str]:
    """The children whose rules the parent's app says to sign."""
    async with school.client(await school.cookie(parent)) as client:
        return [one["id"] for one in (await client.get("/api/v1/me")).json()["rules_to_sign"]]


async def test_the_app_names_the_young_children_who_cannot_come_in_until_their_parent_signs(school: Running) -> None:
    """A message tells the parent that a question waits: there it is (policy: CO1)."""
    found = await families(school, "Story time")
    child, (mother, *_) = found[0]
    _, (other, *_) = (await families(school))[0]
    assert await rules_to_sign(school, mother) == []
    await renewed(school, "pupils")
    assert await rules_to_sign(school, mother) == [child]
    assert await rules_to_sign(school, other) == [], "who is old enough signs alone"
    assert not await signed(school, child)
    async with school.client(await school.cookie(mother)) as client:
        (rules,) = [one for one in (await client.get("/api/v1/agreement")).json()["agreements"] if one["child"]]
        async with school.database.reading() as session:
            name = (await people.person(session, (await office(school)).school_id, mother)).full_name
        done = await client.post("/api/v1/agreement", headers={"idempotency-key": "one"}, json={
            "agreement_id": rules["id"], "child_id": child, "agree": True, "name": name})
    assert done.status_code == 200, done.text
    assert await rules_to_sign(school, mother) == []
    assert await signed(school, child)


@pytest.mark.parametrize("flags", [{"court_order": "unknown"}, {"do_not_contact": True}, {"parental_responsibility": "unknown"}])
async def test_whoever_may_not_sign_for_a_child_reads_nothing_of_its_rules(school: Running, flags: dict[str, Any]) -> None:
    child, (mother, *_) = (await families(school, "Story time"))[0]
    await renewed(school, "pupils")
    async with school.database.writing() as session:
        await session.exec(update(Guardianship).where(
            col(Guardianship.guardian_id) == mother, col(Guardianship.child_id) == child).values(**flags))
    assert await rules_to_sign(school, mother) == []


@pytest.mark.parametrize("flags", [{"court_order": "unknown"}, {"do_not_contact": True}, {"parental_responsibility": "unknown"}])
async def test_where_something_stands_against_it_a_parent_signs_for_no_child(school: Running, flags: dict[str, Any]) -> None:
    child, (mother, *_) = (await families(school, "Story time"))[0]
    async with school.database.writing() as session:
        await session.exec(update(Guardianship).where(
            col(Guardianship.guardian_id) == mother, col(Guardianship.child_id) == child).values(**flags))
    async with school.client(await school.cookie(mother)) as client:
        assert "Rules for your children" not in (await client.get("/agreement")).text
        assert (await client.get(f"/agreement/children/{child}")).status_code == 404


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


# -- the register -----------------------------------------------------------------------------------------------------


async def mailed(school: Running, text: str) -> set[str]:
    async with school.database.reading() as session:
        return set((await session.exec(select(Mail.person_id).where(
            Mail.text == text, col(Mail.about).startswith("agreement")))).all())


async def test_the_office_reminds_who_has_not_signed_every_three_days_at_the_most(school: Running) -> None:
    await renewed(school)
    async with school.client(await school.cookie(school.person("office"))) as client:
        page = (await client.get("/permissions/agreements")).text
        assert "Remind 9" in page, "ten are staff, and the office has just signed"
        answer = await client.post("/permissions/agreements/remind", data={"part": "staff"})
        assert "will get a mail" in (await client.get(answer.headers["location"])).text
        told = await mailed(school, "S5")
        assert school.person("teacher") in told
        assert school.person("office") not in told
        assert (await client.post("/permissions/agreements/remind", data={"part": "staff"})).status_code == 409
        school.clock.advance(3 * 24 * 3600)
        client.cookies.set(COOKIE, await school.cookie(school.person("office")))
        assert (await client.post("/permissions/agreements/remind", data={"part": "staff"})).status_code == 303


@pytest.mark.parametrize("flags", [{"court_order": "yes"}, {"do_not_contact": True}])
async def test_for_the_youngest_the_parents_are_reminded_but_nobody_who_must_not_be_contacted(
    school: Running, flags: dict[str, Any],
) -> None:
    child, (mother, *_) = (await families(school, "Story time"))[0]
    await renewed(school, "pupils")
    async with school.database.writing() as session:
        await session.exec(update(Guardianship).where(
            col(Guardianship.guardian_id) == mother, col(Guardianship.child_id) == child).values(**flags))
    async with await school.signed_in("office") as client:
        await client.post("/permissions/agreements/remind", data={"part": "pupils"})
    told = await mailed(school, "N2")
    assert told
    assert mother not in told


async def test_the_register_is_saved_as_a_spreadsheet_that_runs_nothing(school: Running) -> None:
    async with school.database.writing() as session:
        await session.exec(update(Person).where(Person.id == school.person("teacher")).values(given_name="=cmd|' /C calc'!A0"))
    async with await school.signed_in("office") as client:
        answer = await client.get("/permissions/agreements/register.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(answer.text.lstrip("\ufeff").splitlines()))
    assert rows[0] == ["Name", "Agreement", "Signed", "Renew on"]
    assert ["'=cmd|' /C calc'!A0 Hall", "staff", "signed", "2027-10-25"] in rows
    assert len(rows) > 50
