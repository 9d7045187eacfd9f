"""T19: a parent who must not know of a child gets, byte for byte, what a parent without one gets; as do the database's looks.
What was on its way to them when they were blocked does not arrive."""

from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import delete, select

from mobile_api.routes import described
from service.foundation import mail
from service.people import family, guardianships, queries
from service.people.push import commands as pushes
from service.people.push import sending
from service.people.rules import Flags
from service.people.tables import Guardianship, Person
from service.safeguarding.approvals import marks
from tests.features.test_family_notices import with_two_adults
from tests.features.test_import import imported
from tests.phones import API, NativePhone, born_on, parent_of, signed_in
from tests.push import PushService, notices_on, push_service, quiet_school, send
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm

Said = dict[str, tuple[int, bytes, str, int]]
QUERIES = {"document": "?child_id={child_id}"}


MINE: ContextVar[bool] = ContextVar("mine", default=False)


class Looks:
    """How many statements the service sends to the database for what this test asks, and none of its own jobs'."""

    def __init__(self, school: Running):
        self.count = 0
        for engine in {school.database.engine, school.database._readers, school.database._lookups}:
            event.listen(engine.sync_engine, "before_cursor_execute", self._counted)

    def _counted(self, *_: Any) -> None:
        self.count += MINE.get()


async def asked(school: Running, phone: NativePhone, looks: Looks, ids: dict[str, str]) -> Said:
    """Every GET of the API, with the child's own ids: status, bytes, tag and number of looks."""
    said: Said = {}
    await phone.ask("GET", "/phones")  # the first after a change builds what all later ones find built
    for path, operations in described()["paths"].items():
        if "get" in operations:
            operation = operations["get"]["operationId"]
            where = (path.removeprefix(API) + QUERIES.get(operation, "")).format(**ids)
            school.database.memory.forget()  # else the looks depend on what somebody asked a moment before
            looks.count, mine = 0, MINE.set(True)
            answer = await phone.ask("GET", where)
            MINE.reset(mine)
            said[operation] = (answer.status_code, answer.content, answer.headers.get("ETag", ""), looks.count)
    return said


async def change(school: Running, parent: str, **flags: Any) -> None:
    async with school.database.writing() as session:
        for link in (await session.exec(select(Guardianship).where(Guardianship.guardian_id == parent))).all():
            for name, value in flags.items():
                setattr(link, name, value)


async def unlinked(school: Running, parent: str) -> None:
    async with school.database.writing() as session:
        await session.exec(delete(Guardianship).where(Guardianship.guardian_id == parent))


async def family_of(school: Running) -> tuple[NativePhone, str, dict[str, str]]:
    """A parent who has answered, set a limit and been told something of their child."""
    lesson = school.lesson()
    child = lesson["pupil_ids"][0]
    await born_on(school, child)
    parent, phone = await parent_of(school, child), await signed_in(school, child, in_person=True)
    permissions = (await phone.ask("GET", f"/children/{child}/consent")).json()["permissions"]
    document = next(one["document_id"] for one in permissions if one["purpose"] == "camera")
    answer = {"purpose": "camera", "says_yes": False, "document_id": document, "responsibility": "yes"}
    assert (await phone.ask("POST", f"/children/{child}/consent", answer)).status_code == 200
    tag = (await phone.ask("GET", f"/children/{child}/data")).headers["ETag"]
    limit = await phone.ask("PUT", f"/children/{child}/data", {"limit_mb": 500}, headers={"If-Match": tag})
    assert limit.status_code == 200
    return phone, parent, {"child_id": child, "document_id": document, "lesson_id": lesson["id"]}


BLOCKS: tuple[dict[str, Any], ...] = (
    {"court_order": "yes"}, {"court_order": "unknown"}, {"do_not_contact": True}, {"court_order": "yes", "do_not_contact": True})


@pytest.mark.parametrize("flags", BLOCKS, ids=str)
async def test_a_blocked_parent_gets_what_a_parent_without_a_child_gets(school: Running, flags: dict[str, Any]) -> None:
    phone, parent, ids = await family_of(school)
    looks = Looks(school)
    before = await asked(school, phone, looks, ids)
    await change(school, parent, **flags)
    blocked = await asked(school, phone, looks, ids)
    await change(school, parent, court_order="no", do_not_contact=False)
    assert await asked(school, phone, looks, ids) == before  # the control: what is compared differs for whoever is let in
    await unlinked(school, parent)
    without = await asked(school, phone, looks, ids)
    assert blocked == without
    of_a_child = {name for name, path in operations() if "{child_id}" in path}
    of_a_child |= {"me", "agreement", "document", "timetable", "messages"}
    assert {name for name in before if before[name] != blocked[name]} == of_a_child


def operations() -> list[tuple[str, str]]:
    return [(found["get"]["operationId"], path) for path, found in described()["paths"].items() if "get" in found]


def all_children(patch: pytest.MonkeyPatch) -> None:
    """The flags are forgotten: whoever is linked to a child is told of it."""
    async def linked(session: Any, actor: Any) -> tuple[family.OwnChild, ...]:
        rows = await session.exec(select(Guardianship.child_id).where(Guardianship.guardian_id == actor.person_id))
        return tuple(family.OwnChild(child, "Ali") for child in rows.all())

    patch.setattr(family, "children", linked)


@guarded_by(Guard("one look at whom a parent may be told of", all_children))
async def test_the_flags_are_what_hides_a_child(school: Running, attempt: Any) -> None:
    phone, parent, ids = await family_of(school)
    await change(school, parent, court_order="yes")
    with attempt:
        harm((await phone.ask("GET", "/me")).json()["children"], "the name of a child")
        harm((await phone.ask("GET", f"/children/{ids['child_id']}/data")).status_code == 200, "what a child used")


async def test_what_a_blocked_parent_writes_is_refused_as_for_a_child_that_does_not_exist(school: Running) -> None:
    """Also what they had sent before: an answer that is asked for again is not given again."""
    phone, parent, ids = await family_of(school)
    child, key = ids["child_id"], "the-same-wish"
    answer = {"purpose": "chat", "says_yes": False, "document_id": "", "responsibility": "yes"}
    permissions = (await phone.ask("GET", f"/children/{child}/consent")).json()["permissions"]
    answer["document_id"] = next(one["document_id"] for one in permissions if one["purpose"] == "chat")
    first = await phone.ask("POST", f"/children/{child}/consent", answer, key=key)
    again = await phone.ask("POST", f"/children/{child}/consent", answer, key=key)
    assert (first.status_code, again.content) == (200, first.content)
    await change(school, parent, do_not_contact=True)
    blocked = await phone.ask("POST", f"/children/{child}/consent", answer, key=key)
    nothing = await phone.ask("POST", "/children/nothing/consent", answer)
    assert (blocked.status_code, blocked.content) == (404, nothing.content)


# -- what was on its way ------------------------------------------------------------------------------------------------


@pytest.fixture
async def phones() -> AsyncIterator[PushService]:
    async with push_service() as started:
        yield started


@pytest.fixture
async def quiet(tmp_path: Path, template: Path, phones: PushService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """The school with a mail server and a push service, which send when the test says so."""
    async with quiet_school(tmp_path, template, phones, monkeypatch) as started:
        yield started


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """To whom the mail server took something."""
    taken: list[str] = []

    async def take(made: Any, **_: Any) -> None:
        taken.append(made["To"])

    monkeypatch.setattr("aiosmtplib.send", take)
    return taken


TEXTS: tuple[mail.Text, ...] = ("N2", "N5", "N6", "N7")
STANDS: tuple[Flags, ...] = (Flags("yes", "yes"), Flags("yes", "unknown"), Flags("yes", "no", True), Flags("no", "no"))


async def queued(school: Running, people: set[str], *texts: mail.Text) -> None:
    async with school.database.writing() as session:
        school_id = (await session.get_one(Person, next(iter(people)))).school_id
        for text in texts:
            await mail.queue(session, school_id=school_id, people=people, text=text, about="a-lesson", now=school.clock.now(),
                             zone="Europe/London")


async def recorded(school: Running, parent: str, child: str, flags: Flags) -> None:
    """What the office writes down of a parent, as its page does."""
    async with school.database.writing() as session:
        link = (await session.exec(select(Guardianship).where(
            Guardianship.guardian_id == parent, Guardianship.child_id == child))).one()
        office = await queries.actor(session, school.person("office"))
        assert office is not None
        await guardianships.change(
            session, office, link.id, relationship=link.relationship, contact_order=link.contact_order,
            lives_with=link.lives_with, flags=flags, reason="", now=school.clock.now())


async def posts(school: Running) -> None:
    await mail.send_due(school.database, school.app.state.post, school.clock, queries.address)


async def address(school: Running, person: str) -> str:
    async with school.database.reading() as session:
        return await queries.address(session, person)


def nothing_is_called_off(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any, **__: Any) -> None:
        return None

    patch.setattr(mail, "call_off_news", nothing)


def no_push_is_called_off(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any, **__: Any) -> None:
        return None

    patch.setattr(pushes, "call_off_news", nothing)


@guarded_by(Guard("what waits is called off", nothing_is_called_off), Guard("pushes too", no_push_is_called_off))
async def test_a_lesson_that_moved_in_the_evening_is_no_push_to_who_was_blocked_in_the_night(
    quiet: Running, phones: PushService, attempt: Any
) -> None:
    child, mother, father = await with_two_adults(quiet)
    hers, his = await notices_on(quiet, phones, mother), await notices_on(quiet, phones, father, "phone-2")
    quiet.clock.advance(11.5 * 3600)  # half past nine in the evening
    with attempt:
        await queued(quiet, {mother, father}, "N2", "N5")
        quiet.clock.advance(1800)
        await recorded(quiet, father, child, Flags("yes", "yes"))
        quiet.clock.advance(9 * 3600)
        await send(quiet)
        assert sorted(phones.to(hers)) == ["N2", "N5"], "the control: who is not blocked gets it"
        harm(phones.to(his), "there is news for a blocked parent")


@guarded_by(Guard("what waits is called off", nothing_is_called_off))
async def test_nor_is_it_a_mail(quiet: Running, posted: list[str], attempt: Any) -> None:
    child, mother, father = await with_two_adults(quiet)
    hers, his = await address(quiet, mother), await address(quiet, father)
    quiet.clock.advance(11.5 * 3600)
    with attempt:
        await queued(quiet, {mother, father}, "N2", "N5")
        await recorded(quiet, father, child, Flags("yes", "yes"))
        quiet.clock.advance(9.5 * 3600)
        await posts(quiet)
        assert posted.count(hers) == 2, "the control: who is not blocked gets it"
        harm(his in posted, "there is news for a blocked parent")


@pytest.mark.parametrize("flags", STANDS, ids=str)
async def test_whatever_comes_to_stand_against_it_only_what_is_of_their_own_account_still_goes(
    quiet: Running, phones: PushService, posted: list[str], flags: Flags
) -> None:
    child, _, father = await with_two_adults(quiet)
    his = await notices_on(quiet, phones, father)
    await queued(quiet, {father}, *TEXTS)
    await recorded(quiet, father, child, flags)
    await send(quiet)
    await posts(quiet)
    assert phones.to(his) == ["N6"]
    assert posted == [await address(quiet, father)]


async def test_a_correction_that_protects_nobody_more_calls_nothing_off(quiet: Running, phones: PushService) -> None:
    child, _, father = await with_two_adults(quiet)
    his = await notices_on(quiet, phones, father)
    await queued(quiet, {father}, "N5")
    await recorded(quiet, father, child, Flags("yes", "no"))
    await send(quiet)
    assert phones.to(his) == ["N5"]


async def test_a_push_that_fails_while_its_reader_is_blocked_does_not_become_a_mail(
    quiet: Running, phones: PushService, posted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on its way at that moment; for whom nothing stands against it goes by mail after all."""
    child, mother, father = await with_two_adults(quiet)
    for person, name in ((mother, "phone-1"), (father, "phone-2")):
        phones.answers[(await notices_on(quiet, phones, person, name)).endpoint] = 410
    await queued(quiet, {mother, father}, "N5")
    note, blocked = sending._note, False

    async def meanwhile(*given: Any) -> None:
        nonlocal blocked
        if not blocked:
            blocked = True
            await recorded(quiet, father, child, Flags("yes", "yes"))
        await note(*given)

    monkeypatch.setattr(sending, "_note", meanwhile)
    await send(quiet)
    await posts(quiet)
    assert posted == [await address(quiet, mother)]


async def test_a_file_that_takes_responsibility_away_calls_off_what_waits(quiet: Running, phones: PushService) -> None:
    head = ("Type,ID,First name,Last name,Guardian 1 ID,Guardian 1 first name,Guardian 1 last name,Guardian 1 relationship,"
            "Guardian 1 parental responsibility")
    rows = {word: f"{head}\r\nPupil,P1,Zoe,Nunez,G1,Ana,Nunez,{word}".encode() for word in ("mother,yes", "aunt,yes", "aunt,no")}
    office = await quiet.signed_in("office")
    await imported(office, rows["mother,yes"])
    async with quiet.database.writing() as session:
        ana = (await session.exec(select(Person.id).where(Person.external_id == "G1"))).one()
    await change(quiet, ana, court_order="no")
    hers = await notices_on(quiet, phones, ana)
    await queued(quiet, {ana}, "N5")
    await imported(office, rows["aunt,yes"])
    await send(quiet)
    assert phones.to(hers) == ["N5"], "the control: another word for who she is calls nothing off"
    await queued(quiet, {ana}, "N2")
    await imported(office, rows["aunt,no"])
    await send(quiet)
    assert phones.to(hers) == ["N5"]


async def test_what_waits_is_called_off_where_the_team_marks_that_telling_the_family_is_unsafe(
    quiet: Running, phones: PushService
) -> None:
    child, mother, father = await with_two_adults(quiet)
    hers = await notices_on(quiet, phones, mother)
    await queued(quiet, {mother, father}, "N2", "N6")
    async with quiet.database.writing() as session:
        dsl = await queries.actor(session, quiet.person("dsl"))
        assert dsl is not None
        await marks.put(session, dsl, person_id=child, mark="do-not-tell", reason="Not safe", now=quiet.clock.now())
    await send(quiet)
    assert phones.to(hers) == ["N6"]
