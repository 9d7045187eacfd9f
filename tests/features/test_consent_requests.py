"""Many families are asked at once: who is told when, who is rung, and that nobody who answered is asked again (policy: CO2)."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from consent.requests import commands, queries, rules
from consent.rules import Purpose, Status
from lessons.reminders import Machine, notices
from service.foundation.audit import AuditLeaf
from service.foundation.errors import Invalid
from service.foundation.mail import Mail
from service.people.tables import Guardianship, Person
from tests.features.test_consent_answers import answer
from tests.features.test_consent_documents import office
from tests.features.test_families import family
from tests.school import Running

DAY = 86_400


async def ask(school: Running, *purposes: Purpose, group: str = "") -> str:
    actor = await office(school)
    async with school.database.writing() as session:
        return await commands.ask(session, actor, group_id=group, purposes=purposes or (Purpose.PHOTOGRAPHS,),
                                  deadline=school.clock.now().date() + timedelta(10), now=school.clock.now())


async def view(school: Running, request_id: str) -> queries.RequestView:
    async with school.database.reading() as session:
        return await queries.request(session, (await office(school)).school_id, request_id, school.clock.now().date())


async def mails(school: Running, about: str, occasion: str = "") -> set[str]:
    async with school.database.reading() as session:
        found = (await session.exec(select(Mail).where(col(Mail.about) == about, col(Mail.text) == "N2"))).all()
    return {mail.person_id for mail in found if occasion in ("", mail.occasion)}


async def told_today(school: Running, about: str) -> set[tuple[str, frozenset[str]]]:
    """What the hourly reminders would tell today, as (occasion, people)."""
    async with school.database.reading() as session:
        found = await notices(session, (await office(school)).school_id, school.clock.now(), Machine())
    return {(one.occasion, one.people) for one in found if one.about == about}


async def test_families_are_told_at_once_and_on_days_three_and_seven_until_they_answer(school: Running) -> None:
    child, mother, father = await family(school)
    asked = await ask(school)
    first = await mails(school, asked, "day 0")
    assert {mother, father} <= first
    days = {}
    for day in range(9):
        ((occasion, people),) = await told_today(school, asked)
        days.setdefault(occasion, day)
        if day == 4:
            await answer(school, mother, child, True, Purpose.PHOTOGRAPHS)
            ((_, people),) = await told_today(school, asked)
            assert not {mother, father} & people
        school.clock.advance(DAY)
    assert days == {"day 0": 0, "day 3": 3, "day 7": 7}


async def test_an_answer_of_one_parent_leaves_both_in_peace_and_a_no_is_never_asked_again(school: Running) -> None:
    child, mother, father = await family(school)
    asked = await ask(school)
    await answer(school, father, child, False, Purpose.PHOTOGRAPHS)
    found = await view(school, asked)
    assert child not in {line.child_id for line in found.to_chase}
    assert not {mother, father} & found.tells


async def test_whoever_answered_an_hour_ago_and_whose_yes_rests_is_chased_by_nobody(school: Running) -> None:
    """Not by a message, not on the list of calls, not on paper (policy: CO2). The office sees what they said, and from when."""
    child, mother, father = await family(school)
    asked = await ask(school)
    school.clock.advance(8 * DAY)
    before = await view(school, asked)
    assert child in {line.child_id for line in before.to_chase} & {line.child_id for line in before.to_call}
    await answer(school, mother, child, True, Purpose.PHOTOGRAPHS, counts_from=school.clock.now() + timedelta(hours=24))
    found = await view(school, asked)
    assert child not in {line.child_id for line in found.to_chase} | {line.child_id for line in found.to_call}
    assert not {mother, father} & found.tells
    assert found.counts(Purpose.PHOTOGRAPHS) == [0, 1, 0, 0, 0, 23]
    assert Status.RESTS in found.families[[line.child_id for line in found.families].index(child)].statuses.values()
    async with await school.signed_in("office") as client:
        page = (await client.get(f"/permissions/children/{child}")).text
        missing = (await client.get("/permissions/missing")).text
        assert (await client.get("/permissions")).status_code == 200
        assert (await client.get(f"/permissions/requests/{asked}")).status_code == 200
    assert "They said yes. It counts from Thursday 3 December, 10am." in page
    assert "Photographs" not in missing.partition(f"/permissions/children/{child}")[2].partition("</tr>")[0]
    school.clock.advance(DAY)
    assert (await view(school, asked)).counts(Purpose.PHOTOGRAPHS)[:2] == [1, 0]


async def test_a_yes_that_is_renewed_and_rests_is_not_reminded_of_its_end(school: Running) -> None:
    _, mother, _ = await family(school)
    child = (await family(school))[0]
    school.clock.advance((365 - 20 - 30) * DAY)

    async def told() -> set[str]:
        return {occasion for occasion, people in await told_today(school, mother) if occasion.startswith("renewal")}

    assert await told()
    for purpose in Purpose:
        await answer(school, mother, child, True, purpose, counts_from=school.clock.now() + timedelta(hours=24))
    assert await told() == set()


async def test_somebody_may_send_another_reminder_after_three_days_and_not_before(school: Running) -> None:
    asked = await ask(school)
    async with await school.signed_in("office") as client:
        page = await client.get(f"/permissions/requests/{asked}")
        assert "You can send again on Friday" in page.text
        assert (await client.post(f"/permissions/requests/{asked}/remind")).status_code == 409
        school.clock.advance(3 * DAY)
    async with await school.signed_in("office") as client:
        assert (await client.post(f"/permissions/requests/{asked}/remind")).status_code == 303
        assert (await client.post(f"/permissions/requests/{asked}/remind")).status_code == 409
    assert await mails(school, asked, "again 2026-11-27") == (await view(school, asked)).tells


async def test_a_family_that_cannot_be_told_or_is_late_or_differs_is_rung(school: Running) -> None:
    child, mother, father = await family(school)
    async with school.database.writing() as session:
        for link in (await session.exec(select(Guardianship).where(Guardianship.child_id == child))).all():
            link.do_not_contact = True
    asked = await ask(school, Purpose.CAMERA, Purpose.PHOTOGRAPHS)
    found = await view(school, asked)
    assert not {mother, father} & found.tells
    calls = {line.child_id: line.call for line in found.to_call}
    assert calls[child] is rules.Call.NOBODY
    assert rules.Call.LATE not in calls.values()
    school.clock.advance(8 * DAY)
    late = await view(school, asked)
    assert {line.child_id for line in late.to_chase} == {line.child_id for line in late.to_call}
    async with await school.signed_in("office") as client:
        page = (await client.get(f"/permissions/requests/{asked}/calls")).text
    assert "Nobody can be told by message" in page
    assert "No answer after 7 days" in page
    assert "@example.org" not in page  # nor any other way to reach somebody


async def test_the_picture_counts_every_family_once_and_moves_with_each_answer(school: Running) -> None:
    child, mother, _ = await family(school)
    asked = await ask(school)
    before = await view(school, asked)
    assert sum(before.counts(Purpose.PHOTOGRAPHS)) == len(before.families) == 24
    await answer(school, mother, child, True, Purpose.PHOTOGRAPHS)
    after = await view(school, asked)
    assert after.answered == before.answered + 1
    assert after.counts(Purpose.PHOTOGRAPHS)[0] == before.counts(Purpose.PHOTOGRAPHS)[0] + 1
    async with await school.signed_in("headteacher") as client:
        assert f"{after.answered} of 24 families have answered everything" in (
            await client.get(f"/permissions/requests/{asked}")).text


async def test_a_paper_form_has_the_words_and_a_square_that_opens_the_childs_page_and_names_nobody(school: Running) -> None:
    asked = await ask(school, Purpose.PHOTOGRAPHS, Purpose.CAMERA)
    found = await view(school, asked)
    async with await school.signed_in("office") as client:
        page = (await client.get(f"/permissions/requests/{asked}/forms")).text
    line = found.to_chase[0]
    assert f"permissions for {line.first_name}" in page
    assert page.count("<article") == len(found.to_chase)
    assert page.count("<title>Opens this pupil") == len(found.to_chase)
    assert f"If you say no:</strong> No photograph of {line.first_name} goes on display" in page
    assert "{name}" not in page
    assert "Camera" not in page.partition("<article")[2].partition("</article")[0]  # that is answered
    assert not [found for found in re.findall(r'(?:href|action|src)="([^"]*)"', page) if line.first_name in found]


async def test_the_office_asks_on_its_page_and_a_gap_is_given_back(school: Running) -> None:
    good = {"group": "", "purposes": ["publication"], "day": "1", "month": "12", "year": "2026"}
    async with await school.signed_in("office") as client:
        for change, words in (({"purposes": []}, "Choose at least one permission"), ({"month": "11"}, "after today"),
                              ({"day": "31", "month": "2"}, "Enter the day"), ({"year": "2027"}, "within three months")):
            wrong = await client.post("/permissions/requests", data=good | change)
            assert (wrong.status_code, words in wrong.text) == (422, True), words
        assert (await client.post("/permissions/requests", data=good | {"group": "none"})).status_code == 404
        sent = await client.post("/permissions/requests", data=good)
        assert sent.status_code == 303
        assert "The families have been told that a question waits." in (await client.get(sent.headers["location"])).text
        assert "Publication, by Tuesday 1 December" in (await client.get("/permissions/requests")).text
        address = sent.headers["location"].partition("?")[0]
        assert (await client.post(f"{address}/end")).status_code == 303
        assert (await client.post(f"{address}/end")).status_code == 409
    assert await told_today(school, address.rpartition("/")[2]) == set()


async def test_whoever_gave_a_yes_is_told_thirty_and_seven_days_before_it_ends_once_for_all_of_it(school: Running) -> None:
    _, mother, _ = await family(school)
    told: dict[str, int] = {}
    for day in range(365 - 20 + 3):
        if day > 300:
            for occasion, people in await told_today(school, mother):
                assert people == {mother}
                if not occasion.startswith("agreement"):  # her own signature ends as well, and says so for itself
                    told.setdefault(occasion, day)
        school.clock.advance(DAY)
    assert sorted(told.values()) == [365 - 20 - 30, 365 - 20 - 7]


async def test_what_is_asked_leaves_no_name_in_the_audit_and_no_child_in_its_events(school: Running) -> None:
    asked = await ask(school)
    async with school.database.reading() as session:
        kinds = (await session.exec(select(AuditLeaf.kind).where(AuditLeaf.subject_id == asked))).all()
    assert kinds == ["ConsentRequested"]


@pytest.mark.parametrize(("passed", "day"), [(0, 0), (2, 0), (3, 3), (6, 3), (7, 7), (40, 7)])
def test_the_days_on_which_families_are_told(passed: int, day: int) -> None:
    start = date(2026, 11, 2)
    asked = rules.Asked((Purpose.CHAT,), start, start + timedelta(20))
    assert asked.told_now(start + timedelta(passed)) == day
    assert rules.Asked((Purpose.CHAT,), start, start + timedelta(20), True).told_now(start + timedelta(passed)) is None


def test_who_is_rung_and_why() -> None:
    start = date(2026, 11, 2)
    asked = rules.Asked((Purpose.CHAT,), start, start + timedelta(5))
    said: dict[str, Any] = {status: {Purpose.CHAT: status} for status in Status}
    assert asked.call(said["conflict"], True, start) is rules.Call.DIFFER
    assert asked.call(said["given"], False, start + timedelta(30)) is None
    assert asked.call(said["refused"], False, start) is None
    assert asked.call(said["expired"], True, start + timedelta(6)) is rules.Call.LATE
    assert asked.call({}, True, start + timedelta(5)) is None
    assert asked.call({}, False, start) is rules.Call.NOBODY


def test_a_reminder_waits_three_days_and_a_deadline_is_after_today() -> None:
    at = datetime(2026, 11, 2, 9, tzinfo=UTC)
    rules.check_again(None, at)
    rules.check_again(at, at + timedelta(3))
    with pytest.raises(rules.TooSoon, match="Thursday"):
        rules.check_again(at, at + timedelta(2))
    with pytest.raises(Invalid):
        rules.check_new((), None, at.date())
    assert [rules.renewal_day(at.date() + timedelta(days), at.date()) for days in (31, 30, 8, 7, 1, 0)] == [0, 30, 30, 7, 7, 0]


async def test_a_pupil_who_has_left_is_asked_about_by_nobody(school: Running) -> None:
    child, *_ = await family(school)
    async with school.database.writing() as session:
        (await session.get_one(Person, child)).left_on = school.clock.now().date()
    assert child not in {line.child_id for line in (await view(school, await ask(school))).families}


async def test_no_family_is_chased_for_recording_where_it_is_the_schools_public_task(school: Running) -> None:
    school.clock.advance(400 * DAY)
    asked = await ask(school, Purpose.BE_RECORDED, Purpose.PHOTOGRAPHS)
    assert Purpose.BE_RECORDED in {purpose for one in (await view(school, asked)).families for purpose in one.open}
    await school.set_profile(recording_basis="public_task")
    assert {purpose for one in (await view(school, asked)).families for purpose in one.open} == {Purpose.PHOTOGRAPHS}
    assert (await view(school, asked)).asked.purposes == (Purpose.PHOTOGRAPHS,), "nor does the picture count it"
