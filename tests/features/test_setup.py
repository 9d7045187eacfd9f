"""Founding a school and opening it: by whoever holds the console's code, and not before somebody can answer for it."""

import html
import re
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import httpx
import pytest
from sqlmodel import select

from service.app import create_app
from service.foundation.audit import AuditLeaf
from service.foundation.settings import Settings
from service.people import queries, rules
from service.people.profile import Profile, profile_words
from service.people.tables import Closure, Person, PersonRole, School
from tests.fakes import FakeClock
from tests.school import MORNING, Running, seen

CODE = "a-code-from-the-console"
GIVEN = {
    "code": CODE, "name": "Beechwood Primary", "office": "the office on 01632 960555", "country": "england-and-wales",
    "opens_at": "08:30", "closes_at": "16:00",
    "headteacher_title": "Mrs", "headteacher_given_name": "Ada", "headteacher_family_name": "Byron",
    "headteacher_email": "ada@example.org", "dsl_given_name": "Sol", "dsl_family_name": "West", "dsl_email": "sol@example.org",
    "chair_given_name": "Kit", "chair_family_name": "Moss", "chair_email": "kit@example.org",
    "office_given_name": "Bo", "office_family_name": "Lane", "office_email": "bo@example.org",
}


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Running]:
    """A service in which there is no school yet."""
    clock = FakeClock(MORNING)
    app = create_app(Settings(data=tmp_path / "empty"), clock=clock)
    app.state.setup_code = CODE
    async with app.router.lifespan_context(app):
        yield Running(app, clock, {"people": [], "lessons": []})


async def founded(client: httpx.AsyncClient) -> dict[str, str]:
    """The one-time links of the new school's people, by e-mail name."""
    page = await client.post("/setup", data=GIVEN)
    assert page.status_code == 200, page.text
    links = re.findall(r"/reset/[\w-]+", page.text)
    return dict(zip(("headteacher", "dsl", "chair", "office"), links, strict=True))


async def entered(school_: Running, link: str) -> httpx.AsyncClient:
    """Somebody who followed their link, chose a password and signed the agreement that a new school begins with."""
    client = school_.client()
    assert (await client.post(link, data={"password": "plum-tractor-violin"})).status_code == 303
    assert (await client.get("/school")).headers["location"] == "/agreement?next=/school"
    page = await client.get("/agreement")
    found = re.search(r'href="/account">([^<]+)<', page.text)
    assert found
    async with school_.database.reading() as session:
        people = (await session.exec(select(Person))).all()
    named = {queries.name_of(row): f"{row.given_name} {row.family_name}" for row in people}
    signed = await client.post("/agreement", data={"agree": "yes", "seen": seen(page), "name": named[html.unescape(found[1])]})
    assert signed.status_code == 303
    return client


async def test_a_school_is_founded_once_by_whoever_holds_the_code(empty: Running) -> None:
    client = empty.client()
    assert "Set up your school" in (await client.get("/", follow_redirects=True)).text
    wrong = await client.post("/setup", data=GIVEN | {"code": "guess"})
    assert "This is not the code on the console" in wrong.text
    links = await founded(client)
    assert len(links) == 4
    assert (await client.get("/setup")).status_code == 404
    assert (await client.post("/setup", data=GIVEN)).status_code == 404
    async with empty.database.reading() as session:
        made = (await session.exec(select(School))).one()
        roles = set((await session.exec(select(PersonRole.role))).all())
        kinds = (await session.exec(select(AuditLeaf.kind).order_by(AuditLeaf.seq))).all()
    assert (made.name, made.live_at, made.is_demo) == ("Beechwood Primary", None, False)
    assert roles == {"headteacher", "dsl", "chair", "office"}
    assert kinds[0] == "SchoolFounded"


async def test_a_new_school_can_name_its_data_protection_officer(empty: Running) -> None:
    """Whose yes the first real pupil waits for (policy: AC5)."""
    officer = {"dpo_given_name": "Di", "dpo_family_name": "Page", "dpo_email": "di@example.org"}
    assert (await empty.client().post("/setup", data=GIVEN | officer)).status_code == 200
    async with empty.database.reading() as session:
        assert "dpo" in (await session.exec(select(PersonRole.role))).all()


async def test_whoever_has_no_officer_is_told_who_can_name_one(empty: Running) -> None:
    links = await founded(empty.client())
    head, office = await entered(empty, links["headteacher"]), await entered(empty, links["office"])
    said = "Nobody at your school has the role Data Protection Officer: the headteacher or a senior leader adds them"
    for client, link in ((head, True), (office, False)):
        page = (await client.get("/impact")).text
        assert said in page
        assert ('href="/people/add">on People' in page) is link
        assert 'href="/impact">impact assessment</a>' in (await client.get("/school")).text
    assert 'value="dpo"' in (await head.get("/people/add")).text
    assert 'value="dpo"' not in (await office.get("/people/add")).text


async def test_without_a_code_nothing_is_ever_right(empty: Running) -> None:
    del empty.app.state.setup_code
    client = empty.client()
    for code in ("", CODE):
        assert "This is not the code on the console" in (await client.post("/setup", data=GIVEN | {"code": code})).text


async def test_the_code_cannot_be_guessed_for_long(empty: Running) -> None:
    client = empty.client()
    for number in range(60):
        await client.post("/setup", data=GIVEN | {"code": f"guess {number}"})
    assert "Too many tries" in (await client.post("/setup", data=GIVEN)).text


@pytest.mark.parametrize(("change", "words"), [
    ({"name": ""}, "Enter the school&#39;s name"), ({"opens_at": "8.30"}, "Enter a time like 08:30"),
    ({"closes_at": "07:00"}, "Choose a time after the school opens"), ({"country": "france"}, "Choose where the school is"),
    ({"headteacher_email": ""}, "Enter an e-mail address"), ({"dsl_given_name": ""}, "Enter a first name"),
    ({"dsl_email": "ada@example.org"}, "Each person needs an address of their own"),
])
async def test_what_is_missing_is_said_beside_its_box_and_nothing_is_made(empty: Running, change: dict[str, str],
                                                                          words: str) -> None:
    client = empty.client()
    answer = await client.post("/setup", data=GIVEN | change)
    assert answer.status_code == 422
    assert words in answer.text
    async with empty.database.reading() as session:
        assert (await session.exec(select(Person))).all() == []


async def test_bank_holidays_are_known_without_asking_anybody(empty: Running) -> None:
    await founded(empty.client())
    async with empty.database.reading() as session:
        days = {closure.closed_on: closure.name for closure in (await session.exec(select(Closure))).all()}
    assert days[date(2026, 12, 25)] == "Christmas Day"
    assert date(2027, 3, 26) in days
    assert all(day >= MORNING.date() for day in days)


async def test_no_school_goes_live_without_two_possible_approvers_and_a_rota(empty: Running) -> None:
    links = await founded(empty.client())
    head = await entered(empty, links["headteacher"])
    page = await head.get("/school")
    assert page.text.count("Missing") == 2
    refused = await head.post("/school/open")
    assert refused.status_code == 422
    assert "Somebody on duty at every hour the school is open" in refused.text
    await head.post("/school/terms", data={"term_name": "Autumn 2", "starts_on": "2/11/2026", "ends_on": "18/12/2026"})
    dsl = re.findall(r'value="([0-9a-f]{32})"[^>]*>Sol West', page.text)[0]
    await head.post("/school/rota", data={"person_id": dsl, "weekday": "all", "starts_at": "08:30", "ends_at": "15:00"})
    assert "Monday 15:00 to 16:00" in (await head.get("/school")).text
    assert (await head.post("/school/open")).status_code == 422
    await head.post("/school/rota", data={"person_id": dsl, "weekday": "all", "starts_at": "15:00", "ends_at": "16:00"})
    assert (await head.post("/school/open")).status_code == 303
    async with empty.database.reading() as session:
        assert (await session.exec(select(School.live_at))).one() == MORNING


async def test_one_approver_is_not_enough(empty: Running) -> None:
    without_chair = {name: value for name, value in GIVEN.items() if not name.startswith("chair")}
    page = await empty.client().post("/setup", data=without_chair)
    head = await entered(empty, re.findall(r"/reset/[\w-]+", page.text)[0])
    assert "Two people who may approve" in (await head.post("/school/open")).text


async def test_only_the_headteacher_opens_the_school(empty: Running) -> None:
    links = await founded(empty.client())
    for who in ("dsl", "office", "chair"):
        client = await entered(empty, links[who])
        assert (await client.post("/school/open")).status_code == 404


def test_gaps_in_the_rota_are_found_to_the_minute() -> None:
    whole = [rules.Slot(day, "08:00", "17:00") for day in range(5)]
    assert rules.rota_gaps(whole, "08:00", "17:00") == []
    split = [*whole[1:], rules.Slot(0, "08:30", "12:00"), rules.Slot(0, "11:00", "13:00"), rules.Slot(0, "13:01", "16:00")]
    assert rules.rota_gaps(split, "08:00", "17:00") == [
        rules.Slot(0, "08:00", "08:30"), rules.Slot(0, "13:00", "13:01"), rules.Slot(0, "16:00", "17:00")]
    assert len(rules.rota_gaps([], "08:00", "17:00")) == 5
    assert rules.rota_gaps([rules.Slot(5, "00:00", "23:59"), *whole], "08:00", "17:00") == []


@pytest.mark.parametrize(("data", "words"), [
    ({"term_name": "", "starts_on": "1/1/2027", "ends_on": "2/2/2027"}, "Give it a name"),
    ({"term_name": "Spring", "starts_on": "31/2/2027", "ends_on": "2/3/2027"}, "Enter a date"),
    ({"term_name": "Spring", "starts_on": "2/3/2027", "ends_on": "1/1/2027"}, "Choose a last day after the first"),
    ({"term_name": "Again", "starts_on": "20/11/2026", "ends_on": "2/12/2026"}, "overlap"),
])
async def test_terms_follow_each_other(school: Running, data: dict[str, str], words: str) -> None:
    office = await school.signed_in("office")
    answer = await office.post("/school/terms", data=data)
    assert answer.status_code == 422
    assert words in answer.text


async def test_only_leaders_and_the_safeguarding_team_are_on_duty(school: Running) -> None:
    office = await school.signed_in("office")
    answer = await office.post("/school/rota", data={
        "person_id": school.person("teacher"), "weekday": "0", "starts_at": "08:00", "ends_at": "09:00"})
    assert "Choose a leader or one of the safeguarding team" in answer.text


async def test_governance_reads_the_school_page_and_changes_nothing(school: Running) -> None:
    for role in ("governor", "dpo", "chair", "technician", "dsl"):
        client = await school.signed_in(role)
        page = await client.get("/school")
        assert page.status_code == 200
        assert "RL5" in page.text
        assert "Add to the rota" not in page.text
        assert (await client.get("/school/change")).status_code == 404
        assert (await client.post("/school/closures", data={"day": "1/12/2026", "closure_name": "X"})).status_code == 404


async def test_every_field_of_the_profile_is_shown(school: Running) -> None:
    shown = str(profile_words(Profile()))
    other = Profile(
        lesson_minutes=(21, 31, 46, 61, 62, 63), overrun_minutes=7, second_adult_below=5, teacher_late_minutes=8,
        pupils_see_each_other=True, chat_from_key_stage=4, recording_basis="public_task", retention_days=31,
        one_to_one_by_any_leader=True, staff_idle_minutes=16, pupil_idle_minutes=22, parent_idle_minutes=6, agreement_days=300,
        alert_minutes=9, blur_may_be_off=True)
    assert shown != str(profile_words(other))
    for number in ("21", "31", "46", "61", "62", "63", "7 min", "5 pupils", "8 min", "16", "22", "6 min", "300", "9 min"):
        assert number in str(profile_words(other))


async def test_removing_takes_off_only_the_schools_own_rows(school: Running) -> None:
    office = await school.signed_in("office")
    await office.post("/school/closures", data={"day": "1/12/2026", "closure_name": "INSET day"})
    page = (await office.get("/school")).text
    assert "INSET day" in page
    closure = re.findall(r"/school/closures/([0-9a-f]{32})/remove", page)[0]
    await office.post(f"/school/terms/{closure}/remove")
    assert "INSET day" in (await office.get("/school")).text
    await office.post(f"/school/closures/{closure}/remove")
    assert "INSET day" not in (await office.get("/school")).text
    assert (await office.post(f"/school/people/{closure}/remove")).status_code == 404


