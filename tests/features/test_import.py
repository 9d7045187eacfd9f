"""Importing a school's roster: nothing half-imported, nothing unasked, no flag ever lost (policy: CM1)."""

import asyncio
import random
from datetime import date, timedelta

import httpx
import pytest
from sqlmodel import func, select

from service.foundation.events import Actor, Role
from service.people import imports, queries, registers, roster, roster_plan
from service.people.tables import DbsCheck, GroupMember, Guardianship, Person, RosterImport, TeachingGroup
from tests.school import Running

TODAY = date(2026, 11, 24)
HEAD = ("Type,ID,First name,Last name,Date of birth,Year,Classes,Email,Roles,DBS number,DBS date,Guardian 1 ID,"
        "Guardian 1 first name,Guardian 1 last name,Guardian 1 email,Guardian 1 relationship,Guardian 1 parental responsibility")
PUPILS = (
    "Pupil,P1,Zoë,Núñez,27/3/2016,5,9 Test,,,,,G1,Ana,Núñez,ana@example.org,mother,yes",
    "Pupil,P2,Sam,O'Neill,1/9/2015,Year 6,9 Test;9 Choir,,,,,G2,Pat,O'Neill,,father,unknown",
    "Staff,S1,Jo,Reed,,,9 Test,jo.reed@example.org,Teacher,001234567890,1/9/2025,,,,,,",
)


def sheet(*rows: str, head: str = HEAD) -> bytes:
    return "\r\n".join((head, *rows)).encode()


async def upload(client: httpx.AsyncClient, raw: bytes, whole: str = "no") -> httpx.Response:
    answer = await client.post("/people/import", files={"file": ("people.csv", raw, "text/csv")}, data={"whole": whole})
    return await client.get(answer.headers["location"]) if answer.status_code == 303 else answer


async def imported(client: httpx.AsyncClient, raw: bytes, whole: str = "no") -> httpx.Response:
    page = await upload(client, raw, whole)
    assert page.status_code == 200, page.text
    return await client.post(page.url.path)


async def count(school: Running, table: type) -> int:
    async with school.database.reading() as session:
        return int((await session.exec(select(func.count()).select_from(table))).one())


async def person(school: Running, external_id: str) -> Person | None:
    async with school.database.reading() as session:
        return (await session.exec(select(Person).where(Person.external_id == external_id))).first()  # type: ignore[no-any-return]


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [
    sheet(*PUPILS), b"\xef\xbb\xbf" + sheet(*PUPILS), "\r\n".join((HEAD, *PUPILS)).encode("cp1252"),
    "\r\n".join((HEAD, *PUPILS)).encode("utf-16"), sheet(*PUPILS).replace(b",", b"\t"), sheet(*PUPILS).replace(b"\r\n", b"\n"),
])
def test_a_file_is_read_as_spreadsheets_save_it(raw: bytes) -> None:
    read = roster.read(raw, TODAY)
    assert read.problems == ()
    zoe, sam, jo = read.records
    assert (zoe.given_name, zoe.family_name, zoe.born_on) == ("Zoë", "Núñez", date(2016, 3, 27))
    assert (sam.year_group, sam.classes) == ("6", ("9 Test", "9 Choir"))
    assert (jo.kind, jo.roles, jo.dbs_number) == ("adult", (Role.TEACHER,), "001234567890")


@pytest.mark.parametrize(("row", "words"), [
    ("Pupil,P1,Zoë,N,31/02/2016,5", "date of birth 31/02/2016 is not a date"),
    ("Pupil,,Zoë,N", "there is no id"),
    ("Pupil,P1,,N", "Enter a first name"),
    ("Dog,P1,Rex,N", "“Dog” is not Pupil or Staff"),
    ("Pupil,P1,Zoë,N,,99", "Use N, R or 1 to 14"),
    ("Staff,S1,Jo,R,,,,not-an-address", "Enter an e-mail address"),
    ("Staff,S1,Jo,R,,,,,Headteacher", "the role “headteacher” is given by a leader"),
    ("Staff,S1,Jo,R,,,,,Teacher,123,1/9/2025", "12 digits"),
    ("Staff,S1,Jo,R,,,,,Teacher,001234567890,1/9/2099", "not in the future"),
    ("Pupil,P1,Zoë,N,,5,,,,,,,Ana", "guardian 1 has no id"),
    ("Pupil,P1,Zoë,N,,5,,,,,,G1,Ana,N,,mother,perhaps", "“perhaps” is not yes, no or unknown"),
    ("Pupil,P1,Zoë,N,,5,,zoe@example.org", "Pupils sign in with a badge"),
])
def test_every_error_is_told_by_its_row(row: str, words: str) -> None:
    read = roster.read(sheet("Pupil,P0,Good,Row", row), TODAY)
    assert [record.external_id for record in read.records] == ["P0"]
    assert any(problem.row == 3 and words in problem.words for problem in read.problems), read.problems


@pytest.mark.parametrize(("rows", "words"), [
    (("Pupil,P1,A,B", "Pupil,P1,C,D"), "the id P1 is in row 2 too"),
    (("Pupil,P1,A,B,,,,,,,,G1,Ana,B", "Pupil,P2,C,D,,,,,,,,G1,Eva,D"), "guardian 1 has another name in row 2"),
    (("Pupil,P1,A,B,,,,,,,,G1,Ana,B,x@example.org", "Pupil,P2,C,D,,,,,,,,G2,Eva,D,x@example.org"),
     "belongs to somebody else in row 2"),
])
def test_rows_that_contradict_each_other_are_told(rows: tuple[str, str], words: str) -> None:
    read = roster.read(sheet(*rows), TODAY)
    assert [problem.row for problem in read.problems] == [3]
    assert words in read.problems[0].words


@pytest.mark.parametrize(("raw", "words"), [
    (b"", "empty"), (b"a,b\r\n1,2", "There is no column “id”"), (b"id,id,first name,last name\r\n", "there twice"),
    (b"PK\x03\x04\0\0\0binary", "could not be read"), (b'id,first name,last name\r\n"1,2', "could not be read"),
])
def test_what_is_no_such_file_is_refused_in_plain_words(raw: bytes, words: str) -> None:
    with pytest.raises(roster.Unreadable) as refusal:
        roster.read(raw, TODAY)
    assert words in refusal.value.message


def test_telephone_numbers_in_other_columns_are_never_read() -> None:
    raw = b"ID,First name,Last name,Mobile number,Home phone\r\nP1,A,B,07700 900123,01632 960123\r\n"
    read = roster.read(raw, TODAY)
    assert read.unused == ("mobile number", "home phone")
    strayed = b"ID,First name,Known as,Last name,Date of birth,+447700900123\r\nP1,A,07700 900123,B,01632 960123,x\r\n"
    read = roster.read(strayed, TODAY)
    assert {one.words for one in read.problems} == {roster.HOLDS_NO_NUMBER.format(name) for name in ("known as", "date of birth")}
    assert "900123" not in str(read)
    assert "960123" not in str(read)


def test_no_cell_of_the_download_is_a_formula() -> None:
    text = roster_plan.problems_csv([roster.Problem(2, "=HYPERLINK(1)"), roster.Problem(3, "+1"), roster.Problem(4, "fine")])
    assert "'=HYPERLINK" in text
    assert "'+1" in text
    assert "fine" in text


@pytest.mark.parametrize("seed", range(20))
def test_no_file_makes_the_reader_crash(seed: int) -> None:
    pick = random.Random(seed)
    good = bytearray(sheet(*PUPILS))
    for _ in range(40):
        at = pick.randrange(len(good))
        good[at:at + pick.randrange(3)] = bytes(pick.randrange(256) for _ in range(pick.randrange(3)))
    try:
        read = roster.read(bytes(good), TODAY)
    except roster.Unreadable:
        return
    roster_plan.plan(read, roster_plan.Snapshot({}, {}, frozenset()), is_whole=True)


# -- saving -----------------------------------------------------------------------------------------------------------


async def test_the_preview_shows_what_would_change_and_changes_nothing(school: Running) -> None:
    office = await school.signed_in("office")
    before = await count(school, Person)
    page = await upload(office, sheet(*PUPILS, "Pupil,P9,,Nameless"))
    assert "Check before you save" in page.text
    assert "Row 5: Enter a first name" in page.text
    assert "Save 3 rows" in page.text
    assert "9 Choir (key stage 2)" in page.text
    assert "ana@example.org" not in page.text
    assert await count(school, Person) == before


async def test_saving_adds_people_guardians_classes_and_checks(school: Running) -> None:
    office = await school.signed_in("office")
    before = await count(school, Person)
    answer = await imported(office, sheet(*PUPILS))
    assert "5 new, 0 changed, 0 left" in answer.text
    assert await count(school, Person) == before + 5
    zoe, ana, jo = await person(school, "P1"), await person(school, "G1"), await person(school, "S1")
    assert zoe
    assert ana
    assert jo
    async with school.database.reading() as session:
        link = (await session.exec(select(Guardianship).where(Guardianship.child_id == zoe.id))).one()
        assert (link.guardian_id, link.parental_responsibility, link.court_order) == (ana.id, "yes", "unknown")
        roles = await queries.roles(session, [zoe.id, ana.id, jo.id])
        assert roles == {zoe.id: {Role.PUPIL}, ana.id: {Role.PARENT}, jo.id: {Role.TEACHER}}
        group = (await session.exec(select(TeachingGroup).where(TeachingGroup.name == "9 Test"))).one()
        parts = {row.person_id: row.part for row in (await session.exec(
            select(GroupMember).where(GroupMember.group_id == group.id))).all()}
        assert parts[zoe.id] == "pupil"
        assert parts[jo.id] == "teacher"
        check = (await session.exec(select(DbsCheck).where(DbsCheck.person_id == jo.id))).one()
        assert check.certificate_number == "001234567890"
    assert "Zoë Núñez" in (await office.get("/people?q=nunez")).text


async def test_the_same_file_again_changes_nothing(school: Running) -> None:
    office = await school.signed_in("office")
    await imported(office, sheet(*PUPILS))
    page = await upload(office, sheet(*PUPILS))
    assert "Nothing would change." in page.text
    assert "Save" not in page.text.partition("<h1")[2]


async def test_a_second_file_changes_only_what_changed(school: Running) -> None:
    office = await school.signed_in("office")
    await imported(office, sheet(*PUPILS))
    zoe = await person(school, "P1")
    assert zoe
    changed = [PUPILS[0].replace("Zoë", "Zoe").replace("9 Test", "9 Choir"), *PUPILS[1:]]
    page = await upload(office, sheet(*changed))
    assert "First name" in page.text
    assert "Save 3 rows" in page.text
    await office.post(page.url.path)
    after = await person(school, "P1")
    assert after
    assert (after.id, after.given_name, after.born_on) == (zoe.id, "Zoe", zoe.born_on)
    async with school.database.reading() as session:
        names = (await registers.class_names(session, zoe.school_id))[zoe.id]
    assert names == ["9 Choir"]


async def test_no_file_changes_a_flag_and_lessening_protection_waits_for_two_people(school: Running) -> None:
    office = await school.signed_in("office")
    await imported(office, sheet(*PUPILS))
    async with school.database.writing() as session:
        link = (await session.exec(select(Guardianship).join(Person, Person.id == Guardianship.child_id).where(
            Person.external_id == "P1"))).one()
        link.court_order, link.do_not_contact, link.parental_responsibility = "yes", True, "no"
    page = await upload(office, sheet(PUPILS[0].replace("mother", "aunt")))
    assert "Protected flags kept" in page.text
    assert "changes who has parental responsibility" in page.text
    await office.post(page.url.path)
    async with school.database.reading() as session:
        kept = await session.get_one(Guardianship, link.id)
    assert (kept.relationship, kept.parental_responsibility, kept.court_order, kept.do_not_contact) == ("aunt", "no", "yes", True)


@pytest.mark.parametrize("says", ["yes", "unknown"])
async def test_a_file_gives_nobody_a_say_about_a_child_who_is_here(school: Running, says: str) -> None:
    """An adult whom one person made up answers for no child: a second person agrees first (policy: CO1; threat T5)."""
    office = await school.signed_in("office")
    await imported(office, sheet(*PUPILS))
    made_up = PUPILS[0].replace("G1,Ana,Núñez,ana@example.org,mother,yes", f"A9,Max,Made,max@example.org,uncle,{says}")
    page = await upload(office, sheet(made_up))
    assert ("adds an adult to a pupil who is here already" in page.text) == (says == "yes")
    await office.post(page.url.path)
    page = await upload(office, sheet(made_up))  # and not by asking twice
    await office.post(page.url.path)
    max_made = await person(school, "A9")
    assert max_made
    async with school.database.reading() as session:
        link = (await session.exec(select(Guardianship).where(Guardianship.guardian_id == max_made.id))).one()
        assert link.parental_responsibility == "unknown"


def many(number: int) -> list[str]:
    adult = "G{0},Parent{0},Family{0},p{0}@example.org,mother,yes"
    return [f"Pupil,P{at},Given{at},Family{at},1/9/2016,5,Class {at % 50},,,,," + adult.format(at)
            for at in range(number)]


async def test_who_is_not_in_a_whole_file_has_left_and_is_signed_out_at_once(school: Running) -> None:
    office = await school.signed_in("office")
    await imported(office, sheet(*many(20)))
    gone = await person(school, "P19")
    assert gone
    client = school.client(await school.cookie(gone.id))
    assert (await client.get("/account")).status_code == 200
    answer = await imported(office, sheet(*many(19)), whole="yes")
    assert "0 new, 0 changed, 1 left" in answer.text
    assert (await client.get("/account")).status_code == 303
    parent = await person(school, "G19")
    assert parent
    assert parent.left_on is None
    back = await imported(office, sheet(*many(20)), whole="yes")
    assert "0 new, 1 changed, 0 left" in back.text
    returned = await person(school, "P19")
    assert returned
    assert returned.left_on is None
    assert (returned.returned_by, gone.returned_by) == (school.person("office"), ""), "who brings somebody back is known"


async def test_more_than_a_tenth_leaving_stops_the_whole_file(school: Running) -> None:
    office = await school.signed_in("office")
    await imported(office, sheet(*many(20)))
    page = await upload(office, sheet(*many(17)), whole="yes")
    assert "3 of 20 people are not in this file" in page.text
    assert (await office.post(page.url.path)).status_code == 422
    kept = await person(school, "P19")
    assert kept
    assert kept.left_on is None


async def test_a_row_that_cannot_be_read_never_makes_its_person_a_leaver(school: Running) -> None:
    office = await school.signed_in("office")
    await imported(office, sheet(*many(20)))
    rows = many(20)
    rows[4] = rows[4].replace("1/9/2016", "31/2/2016")
    page = await upload(office, sheet(*rows), whole="yes")
    assert "They stay until every row can be read" in page.text
    kept = await person(school, "P4")
    assert kept
    assert kept.left_on is None


async def test_a_file_that_was_checked_before_somebody_changed_people_is_checked_again(school: Running) -> None:
    office = await school.signed_in("office")
    page = await upload(office, sheet(*PUPILS))
    await office.post("/people/add", data={"kind": "child", "given_name": "Meanwhile"})
    answer = await office.post(page.url.path)
    assert "Check it again" in answer.text
    assert await person(school, "P1") is None


async def test_nothing_is_half_imported_when_the_last_step_fails(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    office = await school.signed_in("office")
    before = {table: await count(school, table) for table in (Person, GroupMember, Guardianship)}
    page = await upload(office, sheet(*many(400)))

    async def fail(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(imports, "_leavers", fail)
    assert (await office.post(page.url.path)).status_code == 500
    assert {table: await count(school, table) for table in before} == before


async def test_people_of_a_file_are_seen_all_at_once_or_not_at_all(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    office = await school.signed_in("office")
    seen: set[str] = set()
    let_in = imports._let_in

    async def look_first(*given: object) -> None:
        for path in ("/people?q=given1", "/people?q=given1&left=yes", "/people?kind=families&q=parent1", "/classes"):
            table = (await office.get(path)).text.partition("<table")[2]
            seen.update(word for word in ("Given1", "Parent1", "Class 1") if word in table)
        await let_in(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(imports, "_let_in", look_first)
    await imported(office, sheet(*many(400)))
    assert seen == set()
    assert "Given1 Family1" in (await office.get("/people?q=given1")).text


async def test_two_saves_at_once_import_once(school: Running) -> None:
    office = await school.signed_in("office")
    page = await upload(office, sheet(*PUPILS))
    answers = await asyncio.gather(*(office.post(page.url.path) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404]
    assert "9 Test" in (await office.get("/classes")).text


async def test_what_was_read_is_forgotten_when_it_is_saved_or_a_day_old(school: Running) -> None:
    office = await school.signed_in("office")
    await imported(office, sheet(*PUPILS))
    await upload(office, sheet(*many(3)))
    school.clock.advance(timedelta(days=1, minutes=1).total_seconds())
    again = await school.signed_in("office")
    await upload(again, sheet("Pupil,P77,New,One"))
    async with school.database.reading() as session:
        kept = (await session.exec(select(RosterImport.rows))).all()
    assert len(kept) == 1
    assert "P77" in kept[0]


async def test_only_the_office_imports_and_only_its_own_school(school: Running) -> None:
    for role in ("teacher", "technician", "headteacher", "dsl"):
        assert (await (await school.signed_in(role)).get("/people/import")).status_code == 404
    office = await school.signed_in("office")
    page = await upload(office, sheet(*PUPILS))
    stranger = Actor("x", "another-school", frozenset({Role.OFFICE}))
    with pytest.raises(queries.NotFound):
        await imports.planned(school.app.state, stranger, page.url.path.rpartition("/")[2])


async def test_nobody_imports_a_dbs_check_for_themselves(school: Running) -> None:
    office = await school.signed_in("office")
    async with school.database.writing() as session:
        own = await session.get_one(Person, school.person("office"))
        own.external_id = "S9"
        before = len((await session.exec(select(DbsCheck).where(DbsCheck.person_id == own.id))).all())
    await imported(office, sheet(f"Staff,S9,{own.given_name},{own.family_name},,,,,Teacher,009999999999,1/9/2025"))
    async with school.database.reading() as session:
        assert len((await session.exec(select(DbsCheck).where(DbsCheck.person_id == own.id))).all()) == before


