"""Mails reach those who may act, through a real mail server, and say nothing to whoever else reads them."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from sqlmodel import select

from service.foundation import mail
from service.foundation.mail import Mail
from service.people import queries as people
from service.people.tables import Guardianship, Person
from service.safeguarding import commands
from service.safeguarding.approvals import marks
from service.safeguarding.approvals.tables import ApprovalRequest
from tests.one_to_one import approve, ask, given, named, refuse
from tests.school import Running, running


@dataclass
class Inbox:
    """What a mail server on this machine took. `refuses`: what it answers instead; `stalls`: it says nothing."""

    port: int = 0
    refuses: str = ""
    stalls: bool = False
    taken: list[Message] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.stalls:
            await asyncio.sleep(60)
        self.to += envelope.rcpt_tos
        self.raw.append(envelope.content)
        self.taken.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    """A mail server on this machine."""
    box = Inbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box, hostname="mail.test"), "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    yield box
    server.close()


@pytest.fixture
async def school(tmp_path: Path, template: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """The school with a mail server. Its own jobs rest: the test says when mails are sent."""
    monkeypatch.setattr(mail, "run", _rests)
    monkeypatch.setattr("service.app.remind", _nobody)
    async with running(tmp_path / "data", template=template, smtp_host="127.0.0.1", smtp_port=inbox.port, smtp_tls="none",
                       smtp_sender="chaperone@school.example") as started:
        yield started


async def _rests(*_: Any) -> None:
    await asyncio.Event().wait()


async def _nobody(_state: Any) -> None:
    """The daily reminders rest as well: they are mails of their own."""


async def send(school: Running) -> int:
    return await mail.send_due(school.database, school.app.state.post, school.clock, people.address)


async def address(school: Running, role: str) -> str:
    async with school.database.reading() as session:
        return await people.address(session, school.person(role))


async def worry(school: Running, **more: Any) -> str:
    child = await named_child(school)
    async with school.database.writing() as session:
        return await commands.raise_alert(session, child, kind="worry", place="Maths, 5 Oak", words="Mr Hall shouts",
                                          now=school.clock.now(), **more)


async def named_child(school: Running) -> Any:
    async with school.database.reading() as session:
        return await people.actor(session, school.person("pupil"))


async def rows(school: Running) -> list[Mail]:
    async with school.database.reading() as session:
        return list((await session.exec(select(Mail))).all())


async def test_an_alert_reaches_the_dsl_at_once_then_the_headteacher_and_only_once_each(school: Running, inbox: Inbox) -> None:
    await worry(school)
    await send(school)
    assert await address(school, "dsl") in inbox.to
    assert await address(school, "headteacher") not in inbox.to
    school.clock.advance(15 * 60)
    await send(school)
    await send(school)
    assert await address(school, "headteacher") in inbox.to
    assert len(inbox.to) == len(set(inbox.to))


async def test_whoever_takes_it_spares_the_others_the_mail(school: Running, inbox: Inbox) -> None:
    alert = await worry(school)
    await send(school)
    async with await school.signed_in("dsl") as client:
        await client.post(f"/safeguarding/{alert}/take")
    school.clock.advance(16 * 60)
    await send(school)
    assert await address(school, "headteacher") not in inbox.to


async def test_the_adults_of_the_lesson_get_none_nor_whoever_came_into_it_since(school: Running, inbox: Inbox) -> None:
    await worry(school, lesson_id="lesson", present=(school.person("dsl"),))
    async with school.database.writing() as session:
        await commands.bar(session, school_id=(await named_child(school)).school_id, lesson_id="lesson",
                           person_id=school.person("headteacher"))
    school.clock.advance(16 * 60)
    await send(school)
    assert await address(school, "deputy_dsl") in inbox.to
    assert not {await address(school, "dsl"), await address(school, "headteacher")} & set(inbox.to)


async def test_about_a_grown_up_it_goes_to_the_headteacher_and_the_dsl_gets_no_more(school: Running, inbox: Inbox) -> None:
    alert, child = await worry(school), await named_child(school)
    async with school.database.writing() as session:
        await commands.add_words(session, child, alert_id=alert, about="staff", now=school.clock.now())
    await send(school)
    assert inbox.to == [await address(school, "headteacher")]


async def test_said_again_after_it_was_closed_it_is_a_new_mail(school: Running, inbox: Inbox) -> None:
    alert, child = await worry(school), await named_child(school)
    await send(school)
    async with await school.signed_in("dsl") as client:
        await client.post(f"/safeguarding/{alert}/take")
        await client.post(f"/safeguarding/{alert}/notes", data={"words": "Spoke to Ali.", "outcome": "noted", "close": "yes"})
    before = inbox.to.count(await address(school, "dsl"))
    async with school.database.writing() as session:
        await commands.add_words(session, child, alert_id=alert, words="Again", now=school.clock.now())
    await send(school)
    assert inbox.to.count(await address(school, "dsl")) == before + 1


async def test_a_one_to_one_asks_those_who_decide_then_tells_whoever_asked_and_the_family(school: Running, inbox: Inbox) -> None:
    request = await ask(school)
    await send(school)
    assert {each["Subject"] for each in inbox.taken} == {mail.TEXTS["S2"]}
    assert await address(school, "headteacher") in inbox.to
    teacher = (await named(school, "Mr Hall")).person_id
    async with school.database.reading() as session:
        asker = await people.address(session, teacher)
    assert asker not in inbox.to
    await approve(school, request)
    [approval] = await given(school, request)
    await send(school)
    told = dict(zip(inbox.to, (each["Subject"] for each in inbox.taken), strict=True))
    async with school.database.reading() as session:
        family = await people.families_to_tell(session, approval.school_id, [approval.child_id])
        parents = [await people.address(session, person) for person in family]
    assert told[asker] == mail.TEXTS["S3"]
    assert parents
    assert {told[parent] for parent in parents} == {mail.TEXTS["N2"]}


async def test_refused_whoever_asked_learns_that_there_is_an_answer_and_not_which(school: Running, inbox: Inbox) -> None:
    await refuse(school, await ask(school))
    await send(school)
    assert [each["Subject"] for each in inbox.taken] == [mail.TEXTS["S3"]], "what was to be decided is decided"


@pytest.mark.parametrize("against", ["court_order", "do_not_contact", "mark"])
async def test_a_parent_with_anything_against_it_gets_no_mail(school: Running, inbox: Inbox, against: str) -> None:
    request = await ask(school)
    async with school.database.reading() as session:
        child = (await session.get_one(ApprovalRequest, request)).child_id
    dsl = await named(school, "Miss Okafor") if against == "mark" else None
    async with school.database.writing() as session:
        if dsl is not None:
            await marks.put(session, dsl, person_id=child, mark="do-not-tell", reason="Not safe", now=school.clock.now())
        links = (await session.exec(select(Guardianship).where(Guardianship.child_id == child))).all()
        barred = list(links)
        if against == "court_order":  # against another adult: without the yes of somebody it is not approved at all
            other = next(one for n in range(3) if (one := school.person("parent", n)) not in {link.guardian_id for link in links})
            barred = [Guardianship(school_id=links[0].school_id, guardian_id=other, child_id=child, relationship="father",
                                   parental_responsibility="yes", court_order="yes", contact_order=9)]
            session.add_all(barred)
        for link in barred if against == "do_not_contact" else ():
            link.do_not_contact = True
        parents = {await people.address(session, link.guardian_id) for link in barred}
    await approve(school, request)
    await send(school)
    told = {to for to, each in zip(inbox.to, inbox.taken, strict=True) if each["Subject"] == mail.TEXTS["N2"]}
    assert parents
    assert not parents & told


async def test_no_mail_ever_has_a_name_a_class_a_time_or_a_link_in_it(school: Running, inbox: Inbox) -> None:
    await worry(school)
    await approve(school, await ask(school))
    school.clock.advance(20 * 60)
    await send(school)
    async with school.database.reading() as session:
        everybody = (await session.exec(select(Person))).all()
    names = {name for person in everybody for name in (person.given_name, person.family_name) if name}
    assert len(inbox.taken) >= 5
    for each, raw in zip(inbox.taken, inbox.raw, strict=True):
        del each["To"]  # where it goes is in it, and nothing else about anybody
        assert each["Subject"] in mail.TEXTS.values()
        assert each.get_payload().replace("\r\n", "\n").strip() == f"{each['Subject']}\n\n{mail.CLOSING}"
        said = f"{each['Subject']} {each.get_payload()} {each['From']} {each['Message-ID']}"
        assert not [name for name in names if re.search(rf"\b{re.escape(name)}\b", said)]
        assert not re.search(r"https?:|www\.|5 Oak|Maths|\d{1,2}(:\d\d)?(am|pm)", raw.decode())


async def test_a_server_that_does_not_answer_is_tried_again_and_never_twice_for_one_event(school: Running, inbox: Inbox) -> None:
    inbox.refuses = "450 busy"
    await worry(school)
    assert await send(school) == 0
    assert await send(school) == 0, "not at once"
    inbox.refuses = ""
    school.clock.advance(31)
    assert await send(school) > 0
    school.clock.advance(3600)
    await send(school)
    assert len(inbox.to) == len(set(inbox.to))


async def test_after_a_day_it_is_given_up_and_the_technician_sees_it(school: Running, inbox: Inbox) -> None:
    inbox.refuses = "450 busy"
    await worry(school)
    await send(school)
    async with await school.signed_in("technician") as client:
        assert "Failing" in (await client.get("/health")).text
    for _ in range(60):
        school.clock.advance(1800)
        await send(school)
    assert all(row.gave_up_at is not None for row in await rows(school))
    async with await school.signed_in("technician") as client:
        page = await client.get("/health")
    assert re.search(r"Given up this week</dt><dd[^>]*>[1-9]\d* mail", page.text)


async def test_an_address_that_does_not_exist_is_given_up_at_once(school: Running, inbox: Inbox) -> None:
    inbox.refuses = "550 no such user"
    await worry(school)
    await send(school)
    assert {row.trouble for row in await rows(school) if row.attempts} == {"no-such-address"}


async def test_a_server_that_stalls_delays_no_request(school: Running, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "PATIENCE", 1.0)
    inbox.stalls = True
    await worry(school)
    sending = asyncio.create_task(send(school))
    await asyncio.sleep(0)
    async with asyncio.timeout(10), await school.signed_in("dsl") as client:  # signing in writes
        assert (await client.get("/account")).status_code == 200
        assert not sending.done()
        assert await sending == 0
    assert max(row.attempts for row in await rows(school)) == 1


async def test_a_network_without_the_server_is_only_a_delay(school: Running, inbox: Inbox, tmp_path: Path) -> None:
    school.app.state.post = mail.Post("127.0.0.1", 1, "none", sender="chaperone@school.example")
    await worry(school)
    assert await send(school) == 0
    assert {row.trouble for row in await rows(school) if row.attempts} <= {"SMTPConnectError", "ConnectionRefusedError"}


async def test_without_a_mail_server_nothing_is_queued_and_health_says_so(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path / "data", template=template, dev=False) as school:
        await worry(school)
        assert await rows(school) == []
        async with await school.signed_in("technician") as client:
            assert "No mail server is set." in (await client.get("/health")).text
            assert (await client.get("/demo/mail")).status_code == 404
        async with await school.signed_in("teacher") as client:
            assert (await client.get("/health")).status_code == 404


async def test_in_the_demo_mails_are_listed_and_go_nowhere(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path / "data", template=template) as school:
        await worry(school)
        async with school.client() as client:
            page = await client.get("/demo/mail")
        assert mail.TEXTS["S1"] in page.text
        assert "shouts" not in page.text
