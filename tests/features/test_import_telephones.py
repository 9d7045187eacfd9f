"""A family's telephone number comes from the roster only, and is locked before anything is written (policy: CM1, CM5)."""

import json
from datetime import date

import pytest
from sqlmodel import select

from service.calls import numbers
from service.calls.number import Number
from service.people import numbers as sealing
from service.people import roster
from service.people.hashing import Pepper
from service.people.tables import Person, RosterImport, School, Telephone
from tests.features.test_import import imported, upload
from tests.school import Running

HEAD = ("Type,ID,First name,Last name,Classes,Guardian 1 ID,Guardian 1 first name,Guardian 1 last name,"
        "Guardian 1 parental responsibility,Guardian 1 phone,Guardian 1 language")


def sheet(*rows: str, head: str = HEAD) -> bytes:
    return "\r\n".join((head, *rows)).encode()


def zoe(phone: str, language: str = "") -> str:
    return f"Pupil,P1,Zoe,Nunez,9 Test,G1,Ana,Nunez,yes,{phone},{language}"


async def kept(school: Running) -> list[Telephone]:
    async with school.database.reading() as session:
        return list((await session.exec(select(Telephone).where(Telephone.kind == "family"))).all())


async def opened(school: Running) -> Number | None:
    async with school.database.reading() as session:
        ana = (await session.exec(select(Person).where(Person.external_id == "G1"))).one()
        return await numbers.number(session, school.app.state.pepper, ana.school_id, ana.id, numbers.FAMILY)


async def test_a_number_from_the_roster_is_locked_and_opens_for_its_owner_alone(school: Running) -> None:
    office = await school.signed_in("office")
    assert "07700" not in (await upload(office, sheet(zoe("07700 900123", "Spanish")))).text
    assert (await imported(office, sheet(zoe("07700 900123", "Spanish")))).status_code in (200, 303)
    (row,) = await kept(school)
    assert "900123" not in row.cipher + row.hash
    assert row.language == "Spanish"
    assert await opened(school) == Number("+447700900123")


async def test_what_waits_to_be_saved_holds_no_number(school: Running) -> None:
    office = await school.signed_in("office")
    await upload(office, sheet(zoe("07700 900123")))
    async with school.database.reading() as session:
        rows = (await session.exec(select(RosterImport.rows))).one()
    assert "900123" not in rows
    assert json.loads(rows)["records"][0]["guardians"][0]["phone"]["cipher"]


async def test_a_second_import_changes_only_what_changed(school: Running) -> None:
    office = await school.signed_in("office")
    await imported(office, sheet(zoe("07700 900123", "Spanish")))
    (before,) = await kept(school)
    for same in ("07700900123", "+44 (0)7700 900 123", ""):
        page = await upload(office, sheet(zoe(same)))
        assert "Nothing would change" in page.text, same
    assert "not shown" in (await upload(office, sheet(zoe("07700 900999")))).text
    await imported(office, sheet(zoe("", "Welsh")))
    (after,) = await kept(school)
    assert (after.cipher, after.language) == (before.cipher, "Welsh")
    await imported(office, sheet(zoe("07700 900999")))
    (changed,) = await kept(school)
    assert (changed.hash != before.hash, changed.language) == (True, "Welsh")
    assert await opened(school) == Number("+447700900999")


@pytest.mark.parametrize("phone", ["999", "0909 8790000", "070 1234 5678", "Ring mum on 07700 900123", "1234 567", "0800 1111"])
async def test_what_is_wrong_with_a_number_is_said_without_it(school: Running, phone: str) -> None:
    office = await school.signed_in("office")
    page = await upload(office, sheet(zoe(phone)))
    assert "guardian 1: the phone is not a number that can be called" in page.text
    errors = (await office.get(f"{page.url.path}/errors.csv")).text
    assert phone not in errors
    assert phone not in page.text.partition("<main")[2]
    assert await kept(school) == []


def test_a_number_in_the_wrong_column_is_an_error_that_does_not_repeat_it() -> None:
    """A file whose columns slipped by one."""
    read = roster.read(sheet("Pupil,P1,Zoe,Nunez,07700 900123,G1,Ana,Nunez,07700 900124,,"), date(2026, 11, 24))
    assert read.records == ()
    assert {one.row for one in read.problems} == {2}
    assert "9001" not in str(read)


def test_one_adult_in_two_rows_has_one_number() -> None:
    pepper = Pepper(b"k" * 32)
    rows = (zoe("07700 900123"), "Pupil,P2,Sam,Nunez,9 Test,G1,Ana,Nunez,yes,07700 900124,")
    read = roster.read(sheet(*rows), date(2026, 11, 24), lambda owner, text: sealing.sealed(pepper, "school", owner, text))
    assert [one.words for one in read.problems] == ["guardian 1 has another phone in row 2"]


async def test_an_import_that_fails_leaves_no_number(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.people import imports

    office = await school.signed_in("office")
    page = await upload(office, sheet(zoe("07700 900123")))

    async def breaks(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(imports, "_let_in", breaks)
    assert (await office.post(page.url.path)).status_code == 500
    assert await kept(school) == []


async def test_two_schools_cannot_compare_their_families(school: Running) -> None:
    pepper = school.app.state.pepper
    one, two = (sealing.sealed(pepper, name, "person", "07700 900123") for name in ("school one", "school two"))
    assert one is not None
    assert two is not None
    assert one.hash != two.hash
    assert numbers.opened(pepper, "school two", "person", one.cipher) is None
    assert numbers.opened(pepper, "school one", "somebody else", one.cipher) is None
    assert numbers.opened(Pepper(b"x" * 32), "school one", "person", one.cipher) is None
    assert numbers.opened(pepper, "school one", "person", one.cipher) == Number("+447700900123"), "negative control"
    async with school.database.reading() as session:
        assert (await session.exec(select(School))).first() is not None
