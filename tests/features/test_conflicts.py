"""Two adults answer differently: the careful answer holds until a named person has closed it (policy: CO2)."""

import re

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from consent.tables import ConsentResolution
from consent.told import responsibility
from lessons.reminders import waiting_for
from service.foundation.mail import Mail
from service.people.tables import Guardianship, School
from tests.features.test_consent_answers import answer, may, rows
from tests.features.test_consent_documents import office
from tests.features.test_families import family
from tests.school import Running


async def differ(school: Running) -> tuple[str, str, str]:
    child, mother, father = await family(school)
    await answer(school, father, child, False)
    school.clock.advance(60)
    return child, mother, father


async def reminded(school: Running) -> frozenset[str]:
    """Whom the daily mail about decisions goes to."""
    async with school.database.reading() as session:
        school_id = (await session.exec(select(School.id))).one()
        return await waiting_for(session, school_id, school.clock.now())


def closing(child: str) -> str:
    return f"/permissions/children/{child}/differ"


async def test_a_conflict_stays_when_they_come_to_agree_until_the_safeguarding_team_says_why(school: Running) -> None:
    child, _, father = await differ(school)
    async with await school.signed_in("dsl") as client:
        early = await client.post(closing(child), data={"purpose": "camera", "reason": "Spoke to both"})
        assert early.status_code == 409
        await answer(school, father, child, True)
        assert "camera" not in await may(school, child)
        silent = await client.post(closing(child), data={"purpose": "camera", "reason": ""})
        assert (silent.status_code, "Say what was found out, and how" in silent.text) == (422, True)
        school.clock.advance(60)
        assert (await client.post(closing(child), data={"purpose": "camera", "reason": "Spoke to both"})).status_code == 303
        assert "Nobody answered differently" in (await client.get(closing(child))).text
    assert "camera" in await may(school, child)
    school.clock.advance(60)
    await answer(school, father, child, False)
    assert "camera" not in await may(school, child)


async def test_a_court_order_takes_two_people_and_says_whose_answer_is_followed(school: Running) -> None:
    child, mother, father = await differ(school)
    order = {"purpose": "camera", "how": "court_order", "follows": mother, "reason": "Family court, 3 November"}
    async with await school.signed_in("dsl") as first, await school.signed_in("headteacher") as second:
        wrong = await first.post(closing(child), data=order | {"follows": "nobody"})
        assert (wrong.status_code, "Family court, 3 November</textarea>" in wrong.text) == (422, True)
        empty = await first.post(closing(child), data=order | {"reason": ""})
        assert re.search(rf'value="{mother}" checked', empty.text)
        assert (await first.post(closing(child), data=order)).status_code == 303
        assert "camera" not in await may(school, child)
        async with school.database.reading() as session:
            (waits,) = (await session.exec(select(ConsentResolution.id))).all()
            mails = (await session.exec(select(Mail).where(Mail.about == waits))).all()
        assert {mail.text for mail in mails} == {"S2"}
        assert school.person("dsl") not in {mail.person_id for mail in mails}
        assert (await first.post(f"/permissions/resolutions/{waits}")).status_code == 403
        link = f'href="{closing(child)}"'
        assert link in (await second.get("/permissions")).text
        assert link not in (await first.get("/permissions")).text
        assert school.person("deputy_dsl") in await reminded(school)
        assert "I have seen the order" in (await second.get(closing(child))).text
        assert (await second.post(f"/permissions/resolutions/{waits}")).status_code == 303
        assert (await second.post(f"/permissions/resolutions/{waits}")).status_code == 409
        assert link not in (await second.get("/permissions")).text
        assert school.person("deputy_dsl") not in await reminded(school)
    assert "camera" in await may(school, child)
    for person, says_yes in ((father, False), (mother, True)):  # he says again what he had said, and she renews
        school.clock.advance(60)
        await answer(school, person, child, says_yes)
        assert "camera" in await may(school, child)
    school.clock.advance(60)
    await answer(school, mother, child, False)
    assert "camera" not in await may(school, child), "who is followed says no"


async def test_what_was_decided_stays_in_the_database_and_nobody_agrees_with_themself(school: Running) -> None:
    child, mother, _ = await differ(school)
    actor, now = await office(school, "dsl"), school.clock.now()

    async def write(**change: object) -> None:
        async with school.database.writing() as session:
            given = {"school_id": actor.school_id, "child_id": child, "purpose": "camera", "kind": "court_order",
                     "follows_id": mother, "reason": "x", "resolved_by": actor.person_id, "resolved_at": now}
            session.add(ConsentResolution(**given | change))

    for wrong in ({"agreed_by": actor.person_id, "agreed_at": now}, {"agreed_by": "another", "agreed_at": now},
                  {"follows_id": ""}, {"kind": "because"}):
        with pytest.raises(IntegrityError):
            await write(**wrong)
    await write()  # control

    async def change() -> None:
        async with school.database.writing() as session:
            row = (await session.exec(select(ConsentResolution))).one()
            row.reason = "Something else"

    with pytest.raises(IntegrityError):
        await change()


async def test_a_parent_who_is_staff_closes_nothing_of_their_own_child(school: Running) -> None:
    child, _, _ = await differ(school)
    dsl = await office(school, "dsl")
    async with school.database.writing() as session:
        session.add(Guardianship(school_id=dsl.school_id, guardian_id=dsl.person_id, child_id=child, relationship="uncle"))
    async with await school.signed_in("dsl") as client:
        refused = await client.post(closing(child), data={"purpose": "camera", "reason": "Mine"})
        assert (await client.get(closing(child))).status_code == 403, "nor do they read who said what"
    assert refused.status_code == 403


async def test_staff_of_the_family_read_and_type_in_nothing_about_its_permissions(school: Running) -> None:
    """A barred father in the office reads no answer of hers, says none for her, and strikes none out (policy: CO2)."""
    child, mother, _ = await family(school)
    me, page = await office(school), f"/permissions/children/{child}"
    form = {"respondent": mother, "day": "24", "month": "11", "year": "2026", "route": "paper", "camera": "no"}
    async with await school.signed_in("office") as client:
        assert (await client.post(page, data=form)).status_code == 303, "negative control: a colleague"
        (line,) = await rows(school, route="paper", child_id=child, recorded_by=me.person_id)
        assert (await client.get(page)).status_code == 200
        async with school.database.writing() as session:
            session.add(Guardianship(school_id=me.school_id, guardian_id=me.person_id, child_id=child, relationship="father",
                                     court_order="yes", do_not_contact=True))
        refused = await client.get(page)
        assert (refused.status_code, "A colleague has to do this" in refused.text) == (403, True)
        assert (await client.post(page, data=form | {"camera": "yes"})).status_code == 403
        assert (await client.post(f"{page}/objections", data={"objector": mother, "words": "No"})).status_code == 403
        mistake = f"/permissions/responses/{line.id}/mistake"
        assert (await client.get(mistake)).status_code == 403
        assert (await client.post(mistake, data={"note": "Not hers"})).status_code == 403
    assert len(await rows(school, child_id=child, recorded_by=me.person_id)) == 1


async def test_no_second_listener_is_of_the_family(school: Running) -> None:
    child, mother, _ = await family(school)
    teacher = await office(school, "teacher")
    form = {"respondent": mother, "day": "24", "month": "11", "year": "2026", "route": "telephone", "camera": "no",
            "second_listener": teacher.person_id}
    async with await school.signed_in("office") as client:
        assert (await client.post(f"/permissions/children/{child}", data=form)).status_code == 303, "negative control"
        async with school.database.writing() as session:
            session.add(Guardianship(school_id=teacher.school_id, guardian_id=teacher.person_id, child_id=child,
                                     relationship="father", court_order="yes"))
        assert (await client.post(f"/permissions/children/{child}", data=form)).status_code == 422


async def test_the_office_that_types_answers_in_does_not_close_what_differs(school: Running) -> None:
    child, *_ = await differ(school)
    async with await school.signed_in("office") as client:
        assert (await client.get(closing(child))).status_code == 404
        assert "The headteacher or the safeguarding team closes it." in (await client.get(f"/permissions/children/{child}")).text


# -- what the office writes down ---------------------------------------------------------------------------------------


async def test_two_people_hear_a_call_and_the_parent_is_told_that_it_was_written_down(school: Running) -> None:
    child, mother, _ = await family(school)
    form = {"respondent": mother, "day": "24", "month": "11", "year": "2026", "route": "telephone", "camera": "no", "chat": "no"}
    async with await school.signed_in("office") as client:
        for listener in ("", school.person("office"), mother, "nobody"):
            alone = await client.post(f"/permissions/children/{child}", data=form | {"second_listener": listener})
            assert (alone.status_code, "Choose the colleague who heard the call too" in alone.text) == (422, True)
        heard = form | {"second_listener": school.person("teacher"), "why": "belief"}
        assert (await client.post(f"/permissions/children/{child}", data=heard)).status_code == 303
        page = (await client.get(f"/permissions/children/{child}")).text
    assert "By telephone, heard by Mr Hall too, version 1" in page
    found = await rows(school, route="telephone", child_id=child, recorded_by=school.person("office"))
    kept = {(row.second_listener, row.reason, row.text_hash != "") for row in found}
    assert kept == {(school.person("teacher"), "belief", True)}
    async with school.database.reading() as session:
        mails = (await session.exec(select(Mail).where(col(Mail.person_id) == mother))).all()
    assert [mail.text for mail in mails] == ["N5"]


async def test_a_parent_whom_it_is_not_safe_to_tell_is_not_told(school: Running) -> None:
    child, mother, _ = await family(school)
    async with school.database.writing() as session:
        for link in (await session.exec(select(Guardianship).where(Guardianship.guardian_id == mother))).all():
            link.do_not_contact = True
    form = {"respondent": mother, "day": "24", "month": "11", "year": "2026", "route": "paper", "camera": "no"}
    async with await school.signed_in("office") as client:
        assert (await client.post(f"/permissions/children/{child}", data=form)).status_code == 303
    async with school.database.reading() as session:
        assert (await session.exec(select(Mail).where(col(Mail.person_id) == mother))).all() == []


async def test_a_court_order_against_a_parent_leaves_their_no_and_takes_their_yes(school: Running) -> None:
    child, mother, _ = await family(school)
    async with school.database.writing() as session:
        for link in (await session.exec(select(Guardianship).where(Guardianship.guardian_id == mother))).all():
            link.court_order = "yes"
    async with school.database.reading() as session:
        words = await responsibility(session, (await office(school)).school_id, [child])
    assert words[child][mother] == "unknown"
    assert await may(school, child) == frozenset()


async def test_what_a_parent_answered_themself_is_struck_out_by_nobody_and_of_what_the_office_wrote_they_are_told(
        school: Running) -> None:
    """The way for clerks' mistakes is no way round a No (policy: CO2)."""
    child, mother, father = await family(school)
    await answer(school, father, child, False)
    (own,) = await rows(school, route="app", respondent_id=father, purpose="camera", answer="refused")
    form = {"respondent": mother, "day": "24", "month": "11", "year": "2026", "route": "paper", "camera": "no"}
    async with await school.signed_in("office") as client:
        page = f"/permissions/children/{child}"
        assert (await client.get(f"/permissions/responses/{own.id}/mistake")).status_code == 404
        assert (await client.post(f"/permissions/responses/{own.id}/mistake", data={"note": "Not his"})).status_code == 404
        assert own.id not in (await client.get(page)).text
        school.clock.advance(60)
        await client.post(page, data=form)
        (written,) = await rows(school, route="paper", child_id=child, recorded_by=school.person("office"))
        assert written.id in (await client.get(page)).text
        school.clock.advance(60)
        async with school.database.writing() as session:
            for one in (await session.exec(select(Mail).where(Mail.person_id == mother))).all():
                one.sent_at = school.clock.now()
        done = await client.post(f"/permissions/responses/{written.id}/mistake", data={"note": "Another child's form"})
        assert done.status_code == 303, "negative control: what the office wrote"
    async with school.database.reading() as session:
        mails = (await session.exec(select(Mail).where(col(Mail.person_id) == mother, col(Mail.sent_at).is_(None)))).all()
    assert [mail.text for mail in mails] == ["N5"]
