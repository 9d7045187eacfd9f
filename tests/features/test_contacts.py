"""Who gets a parent's contact details changed does not become that parent: the earlier ones are warned, and a yes rests (T19)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from consent import commands as consents
from consent.rules import Purpose, Route
from service.foundation import mail
from service.foundation.mail import Mail
from service.people import queries as people
from service.people.phones import commands as phone_commands
from service.people.phones.tables import Phone, PhoneInvitation
from service.people.push.tables import Push, PushSubscription
from service.people.tables import Guardianship, Person
from tests.features.test_consent_answers import answer, may, rows
from tests.features.test_consent_documents import office
from tests.features.test_families import family
from tests.features.test_import import imported
from tests.phones import NativePhone, born_on, letter_for, parent_of, signed_in
from tests.push import PushService, Receiver, notices_on, push_service, quiet_school, send
from tests.school import Running

HEAD = ("Type,ID,First name,Last name,Classes,Guardian 1 ID,Guardian 1 first name,Guardian 1 last name,Guardian 1 email,"
        "Guardian 1 parental responsibility,Guardian 1 phone")


@pytest.fixture
async def phones() -> AsyncIterator[PushService]:
    async with push_service() as started:
        yield started


@pytest.fixture
async def school(tmp_path: Path, template: Path, phones: PushService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    async with quiet_school(tmp_path, template, phones, monkeypatch) as started:
        yield started


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the mail server took: to whom, and the sentence."""
    taken: list[tuple[str, str]] = []

    async def take(made: Any, **_: Any) -> None:
        taken.append((made["To"], made["Subject"]))

    monkeypatch.setattr("aiosmtplib.send", take)
    return taken


async def post(school: Running) -> None:
    while await mail.send_due(school.database, school.app.state.post, school.clock, people.address):
        pass


async def email_of(school: Running, person: str) -> str:
    async with school.database.reading() as session:
        return (await session.get_one(Person, person)).email or ""


async def change_email(school: Running, person: str, email: str, by: str = "office") -> None:
    """As the office does it, on the page of the person."""
    async with school.database.reading() as session:
        row = await session.get_one(Person, person)
    form = {"kind": "adult", "given_name": row.given_name, "family_name": row.family_name, "title": row.title, "email": email,
            "version": str(row.version)}
    async with await school.signed_in(by) as client:
        answer = await client.post(f"/people/{person}/change", data=form)
    assert answer.status_code == 303, answer.text
    assert await email_of(school, person) == email


async def warned(school: Running) -> set[tuple[str, str]]:
    """To whom the warning waits, and where it goes if not to their address of now."""
    async with school.database.reading() as session:
        return {(row.person_id, row.address) for row in (await session.exec(select(Mail))).all() if row.text == "N6"}


def file(*guardians: str) -> bytes:
    """One pupil for each: id, e-mail address, number."""
    lines = [f"Pupil,P{n},Zoe,Nunez,9 Test,{one.split(',')[0]},Ana,Nunez,{one.split(',')[1]},yes,{one.split(',')[2]}"
             for n, one in enumerate(guardians)]
    return "\r\n".join((HEAD, *lines)).encode()


async def guardian(school: Running, external_id: str) -> Person:
    async with school.database.reading() as session:
        found: Person = (await session.exec(select(Person).where(Person.external_id == external_id))).one()
    return found


# -- who is warned ----------------------------------------------------------------------------------------------------


async def test_a_changed_address_warns_the_earlier_one_their_phones_and_the_office_and_no_other_adult(
    school: Running, phones: PushService, posted: list[tuple[str, str]]
) -> None:
    _, mother, father = await family(school)
    hers, his = await notices_on(school, phones, mother), await notices_on(school, phones, father, "phone-2")
    before, desk = await email_of(school, mother), await email_of(school, school.person("office"))
    await change_email(school, mother, "somebody.new@example.org")
    await send(school)
    await post(school)
    assert set(posted) == {(before, mail.TEXTS["N6"]), (desk, mail.TEXTS["N6"])}
    assert phones.to(hers) == ["N6"]
    assert phones.to(his) == []


async def test_the_earlier_address_is_forgotten_once_the_warning_went(school: Running, posted: list[tuple[str, str]]) -> None:
    _, mother, _ = await family(school)
    before = await email_of(school, mother)
    await change_email(school, mother, "somebody.new@example.org")
    assert (mother, before) in await warned(school)
    await post(school)
    assert {address for _, address in await warned(school)} == {""}
    assert not [row for row in school.rows() if before in row]


async def test_who_changes_an_address_twice_warns_the_first_and_the_second(school: Running) -> None:
    _, mother, _ = await family(school)
    before = await email_of(school, mother)
    await change_email(school, mother, "second@example.org")
    school.clock.advance(60)
    await change_email(school, mother, "third@example.org")
    assert {address for person, address in await warned(school) if person == mother} == {before, "second@example.org"}


async def test_a_first_address_warns_nobody_and_nothing_rests(school: Running) -> None:
    _, mother, _ = await family(school)
    async with school.database.writing() as session:
        (await session.get_one(Person, mother)).email = None
    await change_email(school, mother, "first@example.org")
    assert await warned(school) == set()
    async with school.database.reading() as session:
        assert (await session.get_one(Person, mother)).contacts_changed_at is None


async def test_a_correction_of_a_name_warns_nobody(school: Running) -> None:
    _, mother, _ = await family(school)
    async with school.database.reading() as session:
        row = await session.get_one(Person, mother)
    async with await school.signed_in("office") as client:
        answer = await client.post(f"/people/{mother}/change", data={
            "kind": "adult", "given_name": "Anna", "family_name": row.family_name, "title": row.title, "email": row.email,
            "version": str(row.version)})
    assert answer.status_code == 303, answer.text
    assert await warned(school) == set()


# -- by a file --------------------------------------------------------------------------------------------------------


async def test_a_file_that_replaces_an_address_or_a_number_warns_and_one_that_fills_a_gap_does_not(school: Running) -> None:
    desk = await school.signed_in("office")
    await imported(desk, file("G1,ana@example.org,07700 900123", "G2,bea@example.org,07700 900124", "G3,,"))
    assert await warned(school) == set(), "new people have no earlier address"
    await imported(desk, file("G1,,07700 900123", "G2,bea@example.org,", "G3,cy@example.org,07700 900125"))
    assert await warned(school) == set(), "what is the same, or was empty, replaces nothing"
    await imported(desk, file("G1,other@example.org,07700 900123", "G2,bea@example.org,07700 900999", "G3,cy@example.org,"))
    ana, bea, cy = [await guardian(school, name) for name in ("G1", "G2", "G3")]
    assert await warned(school) == {(ana.id, "ana@example.org"), (bea.id, ""), (school.person("office"), "")}
    assert (ana.contacts_changed_at, bea.contacts_changed_at, cy.contacts_changed_at) == (
        school.clock.now(), school.clock.now(), None)


async def test_one_file_changes_hundreds_of_addresses_and_the_office_hears_of_it_once(school: Running) -> None:
    desk = await school.signed_in("office")
    await imported(desk, file(*(f"G{n},before{n}@example.org,07700 900{n:03}" for n in range(400))))
    await imported(desk, file(*(f"G{n},after{n}@example.org,07700 900{n + 1:03}" for n in range(400))))
    found = await warned(school)
    assert {address for _, address in found} == {"", *(f"before{n}@example.org" for n in range(400))}
    assert len(found) == 401


# -- what rests -------------------------------------------------------------------------------------------------------


async def by_telephone(school: Running, child: str, parent: str, says_yes: bool, route: Route = Route.TELEPHONE) -> None:
    actor = await office(school)
    async with school.database.writing() as session:
        await consents.record_response(
            session, actor, child_id=child, answers={Purpose.CAMERA: says_yes}, respondent_id=parent, route=route,
            signed_on=school.clock.now().date(), now=school.clock.now(), second_listener=school.person("teacher"))


async def said_yes_by_new_details(school: Running) -> tuple[str, str]:
    """A mother who said no in the app; the day after, somebody with a new address for her rings and says yes."""
    child, mother, _ = await family(school)
    await answer(school, mother, child, False)
    school.clock.advance(24 * 3600)  # a yes of the day of one's own no is refused
    await change_email(school, mother, "somebody.new@example.org")
    school.clock.advance(60)
    await by_telephone(school, child, mother, True)
    return child, mother


async def test_a_yes_by_telephone_after_a_change_counts_a_day_later_and_a_no_at_once(school: Running) -> None:
    child, mother = await said_yes_by_new_details(school)
    assert "camera" not in await may(school, child)
    school.clock.advance(24 * 3600 - 61)
    assert "camera" not in await may(school, child)
    school.clock.advance(1)
    assert "camera" in await may(school, child)
    await change_email(school, mother, "newer.still@example.org")
    school.clock.advance(60)
    await by_telephone(school, child, mother, False)
    assert "camera" not in await may(school, child)


async def test_a_no_from_the_earlier_owner_while_it_rests_ends_it(school: Running) -> None:
    child, mother = await said_yes_by_new_details(school)
    school.clock.advance(3600)
    await answer(school, mother, child, False)
    school.clock.advance(48 * 3600)
    assert "camera" not in await may(school, child)


@pytest.mark.parametrize(("route", "changes"), [(Route.TELEPHONE, False), (Route.IN_PERSON, True)])
async def test_a_yes_that_does_not_hang_on_new_details_counts_at_once(school: Running, route: Route, changes: bool) -> None:
    child, mother, _ = await family(school)
    await answer(school, mother, child, False)
    school.clock.advance(24 * 3600)
    if changes:
        await change_email(school, mother, "somebody.new@example.org")
    school.clock.advance(60)
    await by_telephone(school, child, mother, True, route)
    assert "camera" in await may(school, child)
    assert {row.counts_from for row in await rows(school, recorded_by=(await office(school)).person_id, child_id=child,
                                                  purpose="camera")} == {None}


async def test_a_number_from_a_file_makes_a_yes_by_telephone_rest(school: Running) -> None:
    desk = await school.signed_in("office")
    await imported(desk, file("G1,ana@example.org,07700 900123"))
    await imported(desk, file("G1,ana@example.org,07700 900999"))
    ana = await guardian(school, "G1")
    async with school.database.writing() as session:
        link = (await session.exec(select(Guardianship).where(col(Guardianship.guardian_id) == ana.id))).one()
        link.court_order = "no"
    await by_telephone(school, link.child_id, ana.id, True)
    assert "camera" not in await may(school, link.child_id)
    school.clock.advance(24 * 3600)
    assert "camera" in await may(school, link.child_id)


# -- a new phone that signs the old ones out ----------------------------------------------------------------------------


async def recovered(school: Running, child: str) -> NativePhone:
    """A new phone of the child's first parent, by a letter that signs the old ones out; its code is made by a second person."""
    parent, day = await parent_of(school, child), await born_on(school, child)
    letter = await letter_for(school, parent, keeps_phones=False)
    async with school.database.writing() as session:
        row = (await session.exec(select(PhoneInvitation).where(PhoneInvitation.code_hash == ""))).one()
        second = await people.actor(session, school.person("headteacher"))
        assert second is not None
        code = (await phone_commands.make_code(session, second, school.app.state.pepper, row.id, school.clock.now())).code
    new = NativePhone(school.client(), clock=int(school.clock.now().timestamp()))
    assert (await new.accept(letter, code, day)).status_code == 200
    return new


async def old_phone(school: Running, phones: PushService) -> tuple[str, str, Receiver]:
    """A child, the parent whose phone takes notices, and what receives them."""
    child = school.lesson()["pupil_ids"][0]
    await signed_in(school, child)
    parent = await parent_of(school, child)
    async with school.database.reading() as session:
        known = (await session.exec(select(Phone).where(Phone.person_id == parent))).one()
    return child, parent, await notices_on(school, phones, parent, known.id)


async def kept(school: Running, table: type[Any]) -> list[Any]:
    async with school.database.reading() as session:
        return list((await session.exec(select(table))).all())


async def test_a_recovery_that_signs_the_old_phone_out_warns_it_and_then_forgets_where_it_is(
    school: Running, phones: PushService
) -> None:
    child, parent, old = await old_phone(school, phones)
    await tell(school, parent, "N2")
    await recovered(school, child)
    assert await kept(school, PushSubscription) == []
    await send(school)
    assert phones.to(old) == ["N6"], "the warning, and nothing else that waited for it"
    assert not [row for row in school.rows() if old.endpoint in row]
    await tell(school, parent, "N6")
    await send(school)
    assert phones.to(old) == ["N6"], "no later one either"


async def test_who_signs_the_old_phone_out_before_the_morning_does_not_stop_the_warning(
    school: Running, phones: PushService
) -> None:
    child, _, old = await old_phone(school, phones)
    school.clock.advance(12 * 3600)  # ten in the evening: it waits for seven
    await recovered(school, child)
    assert await send(school) == 0
    school.clock.advance(9 * 3600)
    await send(school)
    assert phones.to(old) == ["N6"]


async def test_where_a_signed_out_phone_was_is_forgotten_also_when_it_takes_no_warning(
    school: Running, phones: PushService
) -> None:
    child, _, old = await old_phone(school, phones)
    phones.answers[old.endpoint] = 410
    await recovered(school, child)
    await send(school)
    (push,) = await kept(school, Push)
    assert (push.trouble, push.address) == ("gone", "")


async def tell(school: Running, person: str, text: mail.Text) -> None:
    async with school.database.writing() as session:
        row = await session.get_one(Person, person)
        await mail.queue(session, school_id=row.school_id, people={person}, text=text, about=f"a-{text}",
                         now=school.clock.now(), zone="Europe/London")
