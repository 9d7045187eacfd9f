"""Two people change the school's rules, and the next lesson has them (policy: IN5, RL5)."""

import re
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlmodel import select

from lessons import roster as rosters
from lessons.live import reading
from lessons.tables import Lesson
from service.foundation.audit import AuditLeaf
from service.people import queries
from service.people.profile import Profile, lines
from service.people.tables import ProfileChange, ProfileVersion
from tests.features.test_planning_roster import withdraw
from tests.proofs import PASSWORD, action_of, code, confirmed_post, give_codes
from tests.school import Running

REVIEW = "1/9/2027"


def form(profile: Profile, **more: str) -> dict[str, str]:
    return {line.key: str(line.value) for line in lines(profile)} | {"base_version": "1", "review_on": REVIEW} | more


async def asked(client: httpx.AsyncClient, profile: Profile, **more: str) -> str:
    """The address of a request for these rules."""
    answer = await client.post("/school/rules/ask", data=form(profile, **more))
    assert answer.status_code == 303, re.findall(r"error-message.*", answer.text)
    return answer.headers["location"]


LOOSER = Profile(retention_days=60, blur_may_be_off=True)
REASONS = {"reason_retention_days": "A complaint takes six weeks", "reason_blur_may_be_off": "Old tablets"}


async def in_force(school: Running) -> Profile:
    async with school.database.reading() as session:
        return await queries.profile(session, (await session.exec(select(ProfileVersion.school_id))).first())


async def kinds(school: Running) -> list[str]:
    async with school.database.reading() as session:
        return list((await session.exec(select(AuditLeaf.kind).where(AuditLeaf.kind.like("Profile%"))
                                        .order_by(AuditLeaf.seq))).all())


async def test_a_leader_compares_asks_and_a_second_person_agrees(school: Running) -> None:
    leader, head = await school.signed_in("senior_leader"), await school.signed_in("headteacher")
    assert 'href="/school/rules/change"' in (await leader.get("/school")).text
    shown = await leader.get("/school/rules/change")
    assert "Nobody can turn these off" in shown.text
    compared = await leader.post("/school/rules/change", data=form(LOOSER))
    assert compared.status_code == 200
    assert compared.text.count("▼ less protection") == 2
    assert "24 pupils" in compared.text
    assert "30 days" in compared.text
    assert "60 days" in compared.text
    page = await asked(leader, LOOSER, **REASONS)
    assert await in_force(school) == Profile(), "asking changes nothing"
    own = await leader.get(page)
    assert "You cannot agree your own change" in own.text
    assert "Mrs Khan wants to change 2 rules" in (await head.get("/school")).text
    asked_for = await head.get(page)
    assert "A complaint takes six weeks" in asked_for.text
    assert "Agree all" in asked_for.text
    answer = await confirmed_post(school, head, school.person("headteacher"), page, {"answer": "agree"})
    assert answer.status_code == 303
    assert await in_force(school) == LOOSER
    assert "Agreed by" in (await leader.get(page)).text
    for role in ("governor", "dsl", "office", "chair"):
        history = (await (await school.signed_in(role)).get("/school/rules/history")).text
        assert all(words in history for words in ("Version 2, in force", "Mrs Khan", "Dr Marsh", "Old tablets", "Version 1"))
    assert await kinds(school) == ["ProfileChangeAsked", "ProfileChanged"]


async def test_who_asked_cannot_agree_whatever_roles_they_hold(school: Running) -> None:
    head, person = await school.signed_in("headteacher"), school.person("headteacher")
    page = await asked(head, LOOSER, **REASONS)
    await school.give_role(person, "chair", "senior_leader")
    for client in (head, school.client(await school.cookie(person))):
        refused = await client.post(page, data={"answer": "agree"})
        assert refused.status_code == 422
        assert "Another person has to agree" in refused.text
    assert await in_force(school) == Profile()


async def test_two_leaders_without_the_headteacher_or_the_chair_are_not_enough(school: Running) -> None:
    await school.give_role(school.person("teacher"), "senior_leader")
    page = await asked(await school.signed_in("senior_leader"), LOOSER, **REASONS)
    refused = await (await school.signed_in("teacher")).post(page, data={"answer": "agree"})
    assert "headteacher or the chair of governors has to be one of the two" in refused.text
    chair = await school.signed_in("chair")
    assert (await confirmed_post(school, chair, school.person("chair"), page, {"answer": "agree"})).status_code == 303


async def test_whoever_is_no_leader_any_more_has_lost_the_request(school: Running) -> None:
    page = await asked(await school.signed_in("senior_leader"), LOOSER, **REASONS)
    async with school.database.writing() as session:
        await session.exec(text("DELETE FROM person_role WHERE role = 'senior_leader'"))
    refused = await (await school.signed_in("headteacher")).post(page, data={"answer": "agree"})
    assert "not a leader any more" in refused.text
    assert await in_force(school) == Profile()


async def test_nobody_agrees_without_showing_who_they_are_for_exactly_this_change(school: Running) -> None:
    leader, head, person = (await school.signed_in("senior_leader"), await school.signed_in("headteacher"),
                            school.person("headteacher"))
    first, second = await asked(leader, LOOSER, **REASONS), await asked(leader, Profile(overrun_minutes=1), reason_all="Calm")
    asked_first = await head.post(first, data={"answer": "agree"})
    assert "change 2 of the school’s rules" in asked_first.text
    await give_codes(school, person)
    proved = {"answer": "agree", "step_up_action": action_of(asked_first), "step_up_password": PASSWORD}
    for path, given in ((first, {"step_up_code": "000000"}), (second, {"step_up_code": code(school)})):
        refused = await head.post(path, data=proved | given)
        assert refused.status_code == 422
        assert "Check it is you" in refused.text
        assert await in_force(school) == Profile()
    school.clock.advance(30)
    assert (await head.post(first, data=proved | {"step_up_code": code(school)})).status_code == 303
    assert await in_force(school) == LOOSER


@pytest.mark.parametrize("role", ["teacher", "dsl", "office", "governor", "dpo", "technician", "pupil", "parent"])
async def test_nobody_else_asks_or_decides(school: Running, role: str) -> None:
    page = await asked(await school.signed_in("headteacher"), LOOSER, **REASONS)
    client = await school.signed_in(role)
    assert (await client.get("/school/rules/change")).status_code == 404
    assert (await client.post("/school/rules/ask", data=form(LOOSER, **REASONS))).status_code == 404
    assert (await client.get(page)).status_code == 404
    assert (await client.post(page, data={"answer": "agree"})).status_code == 404
    assert await in_force(school) == Profile()


@pytest.mark.parametrize(("change", "words"), [
    ({"reason_retention_days": " "}, "Say why"), ({"review_on": ""}, "Enter a day within the next year"),
    ({"review_on": "1/1/2020"}, "Enter a day within the next year"), ({"retention_days": "91"}, "between 7 and 90"),
    ({"lesson_minutes_2": "many"}, "between 5 and 120"), ({"blur_may_be_off": "perhaps"}, "Choose one of these"),
])
async def test_what_is_missing_is_said_beside_its_box(school: Running, change: dict[str, str], words: str) -> None:
    leader = await school.signed_in("senior_leader")
    answer = await leader.post("/school/rules/ask", data=form(LOOSER, **REASONS) | change)
    assert answer.status_code == 422
    assert words in answer.text
    assert "Error: " in answer.text
    async with school.database.reading() as session:
        assert (await session.exec(select(ProfileChange))).all() == []


async def test_nothing_that_is_different_is_nothing_to_ask(school: Running) -> None:
    leader = await school.signed_in("senior_leader")
    answer = await leader.post("/school/rules/change", data=form(Profile()))
    assert answer.status_code == 422
    assert "Nothing is different" in answer.text


async def test_when_the_rules_moved_meanwhile_the_request_has_changed(school: Running) -> None:
    leader, head = await school.signed_in("senior_leader"), await school.signed_in("headteacher")
    first = await asked(leader, LOOSER, **REASONS)
    second = await asked(head, Profile(overrun_minutes=1), reason_all="Calm ends")
    agreed = await confirmed_post(school, leader, school.person("senior_leader"), second, {"answer": "agree"})
    assert agreed.status_code == 303
    shown = await head.get(first)
    assert "This request has changed" in shown.text
    assert "Agree all" not in shown.text
    refused = await head.post(first, data={"answer": "agree"})
    assert "This request has changed" in refused.text
    assert await in_force(school) == Profile(overrun_minutes=1)
    late = await leader.post("/school/rules/ask", data=form(LOOSER, **REASONS))
    assert "The rules have changed since you opened this" in late.text
    assert (await head.post(first, data={"answer": "refuse"})).status_code == 303


async def test_what_was_refused_or_taken_back_is_over(school: Running) -> None:
    leader, head = await school.signed_in("senior_leader"), await school.signed_in("headteacher")
    for decider in (head, leader):
        page = await asked(leader, LOOSER, **REASONS)
        assert (await decider.post(page, data={"answer": "refuse"})).status_code == 303
        again = await head.post(page, data={"answer": "agree"})
        assert "decided this already" in again.text
    assert await in_force(school) == Profile()
    assert (await kinds(school)).count("ProfileChangeRefused") == 2


# -- the next lesson, never the one that is on ---------------------------------------------------------------------------


async def test_a_lesson_that_is_on_keeps_the_rules_it_began_with(school: Running) -> None:
    now_on, later = school.lesson(), next(each for each in school.made["lessons"]
                                          if each["starts_at"] > school.clock.now().isoformat())
    async with school.database.writing() as session:
        (await session.get_one(Lesson, now_on["id"])).started_at = school.clock.now()
    school.clock.advance(60)
    await school.set_profile(overrun_minutes=15, pupils_see_each_other=True, recording_basis="public_task")
    async with school.database.reading() as session:
        on, next_one = [await reading.plan(session, await rosters.roster(session, each["id"])) for each in (now_on, later)]
    assert (on.hard_end_at - on.ends_at, on.pupils_see_each_other) == (timedelta(minutes=5), False)
    assert (next_one.hard_end_at - next_one.ends_at, next_one.pupils_see_each_other) == (timedelta(minutes=15), True)


async def may_attend(session: Any, lesson_id: str, child: str) -> bool:
    return (await reading.plan(session, await rosters.roster(session, lesson_id))).people[child].may.attend


async def test_a_child_whom_only_the_new_rules_would_let_in_stays_out_of_the_lesson_that_is_on(school: Running) -> None:
    lesson = school.lesson()
    child = lesson["pupil_ids"][0]
    await withdraw(school, child, "be_recorded")
    async with school.database.writing() as session:
        (await session.get_one(Lesson, lesson["id"])).started_at = school.clock.now()
    school.clock.advance(60)
    await school.set_profile(recording_basis="public_task")
    async with school.database.writing() as session:
        assert not await may_attend(session, lesson["id"], child)
        (await session.get_one(Lesson, lesson["id"])).started_at = None
        assert await may_attend(session, lesson["id"], child), "the next lesson has the new rules"


# -- the database itself --------------------------------------------------------------------------------------------------


async def refused_by_the_database(school: Running, statement: str, **values: Any) -> bool:
    try:
        async with school.database.writing() as session:
            await session.exec(text(statement).bindparams(**values))
    except DatabaseError:
        return True
    return False


VERSION = ("INSERT INTO profile_version (id, school_id, version, profile, reason, review_on, change_id, asked_by, decided_by, "
           "in_force_at) SELECT 'v', school_id, :version, :profile, 'x', :review, :change, :one, :two, in_force_at "
           "FROM profile_version WHERE version = 1")
DECIDE = "UPDATE profile_change SET decided_by = :by, decided_at = asked_at, agreed = true WHERE id = :id"


async def test_the_database_lets_no_version_in_that_two_people_did_not_agree(school: Running) -> None:
    head, chair = school.person("headteacher"), school.person("chair")
    page = await asked(await school.signed_in("headteacher"), LOOSER, **REASONS)
    change, wanted = page.rpartition("/")[2], LOOSER.to_json()
    values: dict[str, Any] = {"version": 2, "profile": wanted, "change": change, "one": head, "two": chair,
                              "review": date(2027, 9, 1)}
    assert await refused_by_the_database(school, VERSION, **values), "nobody agreed yet"
    assert await refused_by_the_database(school, DECIDE, by=head, id=change), "nobody agrees their own"
    assert await refused_by_the_database(school, DECIDE, by="", id=change), "nobody is nobody"
    assert not await refused_by_the_database(school, DECIDE, by=chair, id=change)
    for wrong in ({"two": head}, {"one": chair, "two": head}, {"profile": Profile().to_json()}, {"version": 3},
                  {"change": None}, {"two": school.person("senior_leader")}, {"one": ""},
                  {"review": date(2030, 1, 1)}):
        assert await refused_by_the_database(school, VERSION, **values | wrong), wrong
    assert not await refused_by_the_database(school, VERSION, **values), "and the very same statement works when they did"


async def test_the_database_keeps_what_was_asked_and_what_was_decided(school: Running) -> None:
    head, chair = school.person("headteacher"), school.person("chair")
    change = (await asked(await school.signed_in("headteacher"), LOOSER, **REASONS)).rpartition("/")[2]
    for column, value in (("profile", "{}"), ("asked_by", chair), ("reasons", "{}"), ("base_version", 0)):
        assert await refused_by_the_database(school, f"UPDATE profile_change SET {column} = :value", value=value), column
    assert await refused_by_the_database(school, "DELETE FROM profile_change")
    assert not await refused_by_the_database(school, DECIDE.replace("agreed = 1", "agreed = 0"), by=chair, id=change)
    assert await refused_by_the_database(school, DECIDE, by=chair, id=change), "a no does not become a yes"
    assert await refused_by_the_database(
        school, "INSERT INTO profile_change (id, school_id, base_version, profile, reasons, review_on, asked_by, asked_at, "
        "decided_by, decided_at, agreed) SELECT 'y', school_id, base_version, profile, reasons, review_on, :one, asked_at, :two, "
        "asked_at, 1 FROM profile_change", one=head, two=chair), "nothing is asked and agreed at once"
    for verb in ("UPDATE profile_version SET profile = '{}'", "DELETE FROM profile_version"):
        assert await refused_by_the_database(school, verb)
