"""What people are told again while it is so, once for each day and matter, whatever restarts (policy: CO5)."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select, update

from consent.agreements.rules import audience
from consent.agreements.tables import Agreement, AgreementSignature
from lessons import reminders
from lessons.guests.tables import GuestPass
from lessons.reminders import Machine
from recordings.tables import Recording
from service.foundation import mail
from service.foundation.events import Role
from service.foundation.mail import Mail
from service.people import commands, power, queries
from service.people.rules import role_action
from service.people.tables import DbsCheck, Person, RoleRequest, School
from tests import one_to_one
from tests.guests import asked
from tests.recordings import ends as ends_of_recordings
from tests.recordings.lesson import record_lesson
from tests.school import Running, running


@pytest.fixture
async def school(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """The demo school, whose mails are listed and leave for nowhere. The test says when an hour has passed."""
    async def rests(state: object) -> None:
        pass

    monkeypatch.setattr(mail, "EVERY", 86_400.0)
    monkeypatch.setattr("service.app.remind", rests)
    async with running(tmp_path / "data", template=template) as started:
        await clear(started)
        yield started


async def clear(school: Running) -> None:
    async with school.database.writing() as session:
        for row in (await session.exec(select(Mail))).all():
            await session.delete(row)


async def told(school: Running, text: str) -> Counter[str]:
    """How many mails of this text each person has."""
    async with school.database.reading() as session:
        return Counter((await session.exec(select(Mail.person_id).where(Mail.text == text))).all())


async def remind(school: Running, times: int = 1) -> None:
    for _ in range(times):
        await reminders.remind(school.app.state)


async def wants_a_leader(school: Running) -> str:
    """The headteacher asks that a teacher may approve. Returns the request."""
    head, person = await one_to_one.named(school, "Dr Marsh"), school.person("teacher", 1)
    async with school.database.reading() as session:
        before = (await queries.roles(session, [person]))[person]
    after = before | {Role.SENIOR_LEADER}
    proof = await one_to_one.proved(school, head, role_action(person, "", before, after))
    async with school.database.writing() as session:
        await commands.change_roles(session, head, person, after, proof, school.clock.now())
    async with school.database.reading() as session:
        return (await session.exec(select(RoleRequest.id).where(RoleRequest.person_id == person))).one()


# S2


async def test_a_second_person_is_reminded_each_day_until_it_is_decided_and_who_asked_never(school: Running) -> None:
    request, head = await wants_a_leader(school), school.person("headteacher")
    before = await told(school, "S2")
    await remind(school, 3)
    first = await told(school, "S2") - before
    assert first[school.person("dsl")] == first[school.person("chair")] == 1
    assert first[school.person("teacher", 1)] == 0
    school.clock.advance(24 * 3600)
    await remind(school, 2)
    assert (await told(school, "S2") - before)[school.person("dsl")] == 2
    await one_to_one.agree_to_roles(school, school.person("teacher", 1))
    school.clock.advance(24 * 3600)
    await remind(school)
    assert (await told(school, "S2") - before)[school.person("dsl")] == 2
    assert (await told(school, "S3"))[head] == 1
    async with school.database.reading() as session:
        assert (await power.request(session, (await one_to_one.named(school, "Dr Marsh")).school_id, request)).agreed


async def test_a_restart_repeats_nothing(school: Running, tmp_path: Path) -> None:
    await wants_a_leader(school)
    await remind(school)
    before = await told(school, "S2")
    async with running(tmp_path / "again", template=school.app.state.settings.data, clock=school.clock) as again:
        await remind(again)
        assert await told(again, "S2") == before


async def test_nobody_is_reminded_before_eight(school: Running) -> None:
    await wants_a_leader(school)
    school.clock.set(datetime(2026, 11, 25, 6, 59, tzinfo=UTC))
    await remind(school)
    assert await told(school, "S2") == Counter()
    school.clock.set(datetime(2026, 11, 25, 8, 0, tzinfo=UTC))
    await remind(school)
    assert (await told(school, "S2"))[school.person("dsl")] == 1


async def test_leaders_are_reminded_of_a_guest_who_waits(school: Running) -> None:
    await asked(school, school.lesson()["id"])
    await remind(school)
    leaders = {school.person("headteacher"), school.person("senior_leader")}
    assert leaders <= set(await told(school, "S2"))


async def test_the_team_is_reminded_once_of_a_hold_that_is_to_be_reviewed_and_nobody_whom_it_shows(school: Running) -> None:
    deputy, dsl, head = (school.person(role) for role in ("deputy_dsl", "dsl", "headteacher"))
    [kept] = await ends_of_recordings.recordings(school, 1, participant=deputy)
    await ends_of_recordings.ask(school, kept)
    await ends_of_recordings.agree(school, kept)
    before = await told(school, "S2")
    school.clock.set(datetime(2027, 1, 22, 9, tzinfo=UTC))
    await remind(school)
    assert await told(school, "S2") == before, "negative control: its day has not come"
    school.clock.set(datetime(2027, 1, 23, 9, tzinfo=UTC))
    await remind(school, 2)
    school.clock.advance(24 * 3600)
    await remind(school)
    assert await told(school, "S2") - before == Counter({dsl: 1, head: 1})


# S3


@pytest.mark.parametrize("answer", ["approve", "refuse"])
async def test_a_sponsor_is_told_that_there_is_an_answer(school: Running, answer: str) -> None:
    guest = await asked(school, school.lesson()["id"])
    if answer == "approve":
        await guest.approve()
    else:
        leader = await school.signed_in("headteacher")
        assert (await leader.post(guest.page, data={"answer": "refuse", "reason": "Another day"})).status_code == 303
    async with school.database.reading() as session:
        sponsor = (await session.get_one(GuestPass, guest.pass_id)).sponsor_id
    assert await told(school, "S3") == Counter({sponsor: 1})


async def test_who_takes_their_own_request_back_is_told_nothing(school: Running) -> None:
    request, head = await wants_a_leader(school), await one_to_one.named(school, "Dr Marsh")
    async with school.database.writing() as session:
        await power.refuse(session, head, request, now=school.clock.now())
    assert (await told(school, "S3"))[head.person_id] == 0


# S4


@pytest.mark.parametrize("machine", [Machine(disk_left=0.19), Machine(self_test_fails=True)])
async def test_a_technician_is_told_each_day_until_it_is_mended(
    school: Running, machine: Machine, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reminders.shutil, "disk_usage", lambda path: _Usage(machine.disk_left))
    monkeypatch.setattr(school.app.state.rooms, "self_test_fails", lambda: machine.self_test_fails)
    technician = school.person("technician")
    await remind(school, 2)
    assert await told(school, "S4") == Counter({technician: 1})
    school.clock.advance(24 * 3600)
    await remind(school)
    assert (await told(school, "S4"))[technician] == 2
    monkeypatch.setattr(reminders.shutil, "disk_usage", lambda path: _Usage(0.2))
    monkeypatch.setattr(school.app.state.rooms, "self_test_fails", lambda: False)
    school.clock.advance(24 * 3600)
    await remind(school)
    assert (await told(school, "S4"))[technician] == 2


class _Usage:
    def __init__(self, left: float):
        self.total, self.free = 1000, round(left * 1000)


async def test_a_recording_with_a_fault_is_told_once(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminders.shutil, "disk_usage", lambda path: _Usage(0.9))
    school_id, now = (await one_to_one.named(school, "Dr Marsh")).school_id, school.clock.now()
    async with school.database.writing() as session:
        session.add(Recording(
            school_id=school_id, lesson_id="0" * 32, title="Maths", class_name="5 Oak", starts_at=now, ends_at=now,
            started_at=now, ended_at=now, outcome="incomplete", kept_until=now.date() + timedelta(30)))
    await remind(school)
    school.clock.advance(24 * 3600)
    await remind(school)
    assert await told(school, "S4") == Counter({school.person("technician"): 1})


# S5


@pytest.mark.parametrize("what", ["agreement", "dbs"])
async def test_what_ends_is_told_to_its_owner_30_and_7_days_before_and_no_more_when_renewed(school: Running, what: str) -> None:
    person, today = school.person("teacher"), school.clock.now().date()
    await ends(school, what, person, today + timedelta(31))
    await remind(school)
    assert (await told(school, "S5"))[person] == 0
    for days, count in ((1, 1), (10, 1), (13, 2), (3, 2)):  # 30, 20, 7 and 4 days before
        school.clock.advance(days * 24 * 3600)
        await remind(school, 2)
        assert (await told(school, "S5"))[person] == count
    await ends(school, what, person, today + timedelta(365))
    school.clock.advance(24 * 3600)
    await remind(school)
    assert (await told(school, "S5"))[person] == 2


async def ends(school: Running, what: str, person: str, day: object) -> None:
    """Until when it lasts, by a newer entry."""
    now = school.clock.now()
    async with school.database.writing() as session:
        if what == "dbs":
            await session.exec(update(DbsCheck).where(col(DbsCheck.person_id) == person).values(recheck_on=day))
            return
        rows = (await session.exec(select(Agreement).where(Agreement.audience == "staff"))).all()
        text = Agreement(school_id=rows[0].school_id, audience="staff", version=len(rows) + 1, text="Newer", in_force_at=now)
        session.add(text)  # only what is signed from now on counts
        await session.flush()
        session.add(AgreementSignature(school_id=text.school_id, agreement_id=text.id, person_id=person, route="app",
                                       recorded_by=person, signed_at=now, renew_on=day))


async def signed_until(school: Running, person: str, day: date) -> None:
    """Until when the newest signature of somebody lasts: a newer version, signed for a shorter time."""
    async with school.database.writing() as session:
        actor = await queries.actor(session, person)
        part = audience(actor.roles)
        rows = (await session.exec(select(Agreement).where(Agreement.audience == part))).all()
        text = Agreement(school_id=actor.school_id, audience=part, version=len(rows) + 1, text="Newer",
                         in_force_at=school.clock.now())
        session.add(text)
        await session.flush()
        session.add(AgreementSignature(school_id=text.school_id, agreement_id=text.id, person_id=person, route="app",
                                       recorded_by=person, signed_at=school.clock.now(), renew_on=day))


async def test_parents_and_governors_are_told_30_and_7_days_before_their_agreement_ends(school: Running) -> None:
    today = school.clock.now().date()
    for role, text in (("parent", "N2"), ("governor", "S5")):
        await signed_until(school, school.person(role), today + timedelta(31))
        assert (await told(school, text))[school.person(role)] == 0
    for days, count in ((1, 1), (10, 1), (13, 2)):
        school.clock.advance(days * 24 * 3600)
        await remind(school, 2)
        for role, text in (("parent", "N2"), ("governor", "S5")):
            assert (await told(school, text))[school.person(role)] == count, role


async def test_a_parent_signs_for_the_youngest_and_is_told_when_it_ends(school: Running) -> None:
    child = school.lesson("Story time")["pupil_ids"][0]
    await signed_until(school, child, school.clock.now().date() + timedelta(30))
    async with school.database.reading() as session:
        actor = await queries.actor(session, child)
        family = await queries.families_to_tell(session, actor.school_id, [child])
    await remind(school)
    assert family
    assert set(await told(school, "N2")) == family


async def test_who_has_left_and_families_are_told_nothing(school: Running) -> None:
    person = school.person("teacher")
    await ends(school, "dbs", person, school.clock.now().date() + timedelta(5))
    async with school.database.writing() as session:
        await session.exec(update(Person).where(col(Person.id) == person).values(left_on=school.clock.now().date()))
    await remind(school)
    assert (await told(school, "S5"))[person] == 0
    assert (await told(school, "S5"))[school.person("parent")] == 0


async def test_no_mail_of_these_names_anybody(school: Running) -> None:
    assert {text: mail.TEXTS[text] for text in ("S2", "S3", "S4", "S5")} == {
        "S2": "A decision is waiting for you.", "S3": "Your request has an answer.",
        "S4": "Chaperone needs technical attention.", "S5": "Something of yours needs renewing.",
    }


async def test_the_team_is_reminded_of_a_request_to_watch_and_finds_it_from_every_page(school: Running) -> None:
    recorded, deputy = await record_lesson(school), school.person("deputy_dsl")
    async with school.database.reading() as session:
        school_id = (await session.exec(select(School.id))).one()
        assert deputy not in await reminders.waiting_for(session, school_id, school.clock.now())
    async with await school.signed_in("headteacher") as head:
        wish = {"why": "complaint", "words": "I need to see it", "starts_at": "10:00", "ends_at": "10:01"}
        page = (await head.post(f"{recorded.page}/ask", data=wish)).headers["location"]
        assert 'href="/grants"' in (await head.get("/today")).text
    async with await school.signed_in("deputy_dsl") as client:
        assert f'href="{page}"' in (await client.get("/grants")).text
        assert 'href="/grants"' in (await client.get("/safeguarding")).text
    async with school.database.reading() as session:
        reminded = await reminders.waiting_for(session, school_id, school.clock.now())
    assert deputy in reminded
