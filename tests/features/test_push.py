"""Notices reach a phone encrypted, through a real push service, and say nothing about anybody (policy: CM5)."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import select

from service.foundation import mail
from service.foundation.mail import Mail
from service.people import queries as people
from service.people.push import commands, rules, sending
from service.people.push.tables import Push, PushSubscription
from service.people.tables import Person
from tests.push import PushService, Receiver, notices_on, push_service, quiet_school, send
from tests.school import Running, running


@pytest.fixture
async def phones() -> AsyncIterator[PushService]:
    async with push_service() as started:
        yield started


@pytest.fixture
async def school(tmp_path: Path, template: Path, phones: PushService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    async with quiet_school(tmp_path, template, phones, monkeypatch) as started:
        yield started


async def turned_on(school: Running, phones: PushService, role: str = "parent", name: str = "phone-1") -> Receiver:
    return await notices_on(school, phones, school.person(role), name)


async def tell(school: Running, text: mail.Text, *, role: str = "parent", about: str = "a-question", now: datetime | None = None,
               ) -> None:
    async with school.database.writing() as session:
        school_id = (await session.get_one(Person, school.person(role))).school_id
        await mail.queue(session, school_id=school_id, people={school.person(role)}, text=text, about=about,
                         now=now or school.clock.now(), zone="Europe/London")


async def rows(school: Running, table: type[Any]) -> list[Any]:
    async with school.database.reading() as session:
        return list((await session.exec(select(table))).all())


async def mails(school: Running) -> list[str]:
    return [row.text for row in await rows(school, Mail)]


async def test_a_notice_arrives_encrypted_and_is_the_id_of_a_sentence(school: Running, phones: PushService) -> None:
    phone, stranger = await turned_on(school, phones), phones.phone()
    await tell(school, "N2")
    assert await send(school) == 1
    assert phones.to(phone) == ["N2"]
    [(_, headers, body)] = phones.taken
    assert headers["content-encoding"] == "aes128gcm"
    assert b"N2" not in body
    with pytest.raises(InvalidTag):
        stranger.read(body)


async def test_nothing_that_leaves_names_anybody(school: Running, phones: PushService) -> None:
    phone = await turned_on(school, phones)
    for text in ("N2", "N5", "N6", "N7"):
        await tell(school, text)  # type: ignore[arg-type]
    await send(school)
    assert sorted(phones.to(phone)) == ["N2", "N5", "N6", "N7"]
    async with school.database.reading() as session:
        rows = (await session.exec(select(Person))).all()
        names = {word for row in rows for word in (row.id, *row.given_name.split(), row.family_name)}
        about = (await people.school(session, (await session.get_one(Person, school.person("parent"))).school_id)).name
    said = "\n".join(f"{address} {headers}" for address, headers, _ in phones.taken)
    said += "\n".join(phone.read(body) for _, _, body in phones.taken)
    assert [name for name in {*names, about} if re.search(rf"\b{re.escape(name)}\b", said)] == []


async def test_the_push_service_can_tell_who_sends_and_nobody_else_can_send(school: Running, phones: PushService) -> None:
    await turned_on(school, phones)
    await tell(school, "N2")
    await send(school)
    token, key = re.fullmatch(r"vapid t=(\S+), k=(\S+)", phones.taken[0][1]["authorization"]).groups()  # type: ignore[union-attr]
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), rules.decoded(key))
    said = jwt.decode(token, public, algorithms=["ES256"], audience="http://127.0.0.1")  # type: ignore[arg-type]
    assert said["sub"] == "mailto:chaperone@school.example"
    kept = school.app.state.settings.keys / "push.pem"
    assert kept.stat().st_mode & 0o077 == 0
    assert key == sending.pusher_of(school.app.state.settings).application_key, "the same after a restart"


async def test_one_event_is_one_notice_however_often_it_is_said(school: Running, phones: PushService) -> None:
    phone = await turned_on(school, phones)
    for _ in range(3):
        await tell(school, "N2")
        await send(school)
    assert phones.to(phone) == ["N2"]


@pytest.mark.parametrize(("text", "by_mail_too"), [("N2", True), ("N5", False), ("N6", True), ("N7", False), ("S1", True)])
async def test_who_has_a_phone_gets_a_mail_besides_only_of_what_needs_both(
    school: Running, phones: PushService, text: mail.Text, by_mail_too: bool
) -> None:
    await tell(school, text, about="before")
    assert await mails(school) == [text], "without a phone it goes by mail"
    phone = await turned_on(school, phones)
    await tell(school, text, about="after")
    await send(school)
    assert phones.to(phone) == [text]
    assert await mails(school) == [text] * (1 + by_mail_too)


async def test_at_night_only_what_cannot_wait_is_sent(school: Running, phones: PushService) -> None:
    phone = await turned_on(school, phones)
    school.clock.advance(12 * 3600)  # ten in the evening
    for text in ("N2", "N5", "N7"):
        await tell(school, text)  # type: ignore[arg-type]
    await send(school)
    assert phones.to(phone) == ["N7"]
    school.clock.advance(9 * 3600)
    await send(school)
    assert sorted(phones.to(phone)) == ["N2", "N5", "N7"]


async def test_what_is_answered_before_it_goes_is_not_sent(school: Running, phones: PushService) -> None:
    phone = await turned_on(school, phones)
    await tell(school, "N2")
    async with school.database.writing() as session:
        await mail.call_off(session, about="a-question", now=school.clock.now())
    assert await send(school) == 0
    assert phones.to(phone) == []


@pytest.mark.parametrize("status", [404, 410])
async def test_a_phone_that_is_gone_is_forgotten_and_its_owner_gets_the_mail(
    school: Running, phones: PushService, status: int
) -> None:
    phone = await turned_on(school, phones)
    phones.answers[phone.endpoint] = status
    await tell(school, "N5")
    assert await send(school) == 0
    assert await rows(school, PushSubscription) == []
    assert await mails(school) == ["N5"]
    await send(school)
    assert len(phones.taken) == 1, "and is left alone"


async def test_a_push_service_that_fails_is_tried_again_and_given_up_after_its_time(school: Running, phones: PushService) -> None:
    phone = await turned_on(school, phones)
    phones.answers[phone.endpoint] = 503
    await tell(school, "N7")
    await send(school)
    await send(school)
    assert len(phones.taken) == 1, "not at once"
    school.clock.advance(31)
    await send(school)
    assert len(phones.taken) == 2
    school.clock.advance(4 * 3600)
    await send(school)
    [push] = await rows(school, Push)
    assert push.gave_up_at is not None
    assert push.trouble == "status 503"
    assert await mails(school) == ["N7"]
    assert len(await rows(school, PushSubscription)) == 1, "the phone may come back"


async def test_a_signed_out_phone_gets_nothing_more(school: Running, phones: PushService) -> None:
    phone, other = await turned_on(school, phones), await turned_on(school, phones, name="phone-2")
    await tell(school, "N2")
    async with school.database.writing() as session:
        actor = await people.actor(session, school.person("parent"))
        await commands.turn_off(session, actor, phone_id="phone-1", why="signed-out")
    await send(school)
    assert phones.to(phone) == []
    assert phones.to(other) == ["N2"]


async def test_a_phone_that_changes_hands_tells_its_new_owner_only(school: Running, phones: PushService) -> None:
    phone = await turned_on(school, phones)
    async with school.database.writing() as session:
        actor = await people.actor(session, school.person("parent", 1))
        await commands.turn_on(session, actor, phone_id="phone-1", **phone.subscription, allowed=(phones.url,),
                               now=school.clock.now())
    await tell(school, "N2")
    assert await send(school) == 0
    assert phones.to(phone) == []


async def test_an_address_that_is_off_the_list_is_never_asked(school: Running, phones: PushService) -> None:
    await turned_on(school, phones)
    school.app.state.pusher = sending.pusher_of(school.app.state.settings.model_copy(update={"push_hosts": "push.example"}))
    await tell(school, "N5")
    assert await send(school) == 0
    assert phones.taken == []
    assert await mails(school) == ["N5"]


async def test_another_schools_notice_does_not_reach_a_phone(school: Running, phones: PushService) -> None:
    phone = await turned_on(school, phones)
    notice = mail.Notice("another-school", frozenset({school.person("parent")}), "N2", "x", "", school.clock.now(),
                         school.clock.now())
    async with school.database.reading() as session:
        assert await commands.queue(session, notice) == frozenset()
    assert phones.to(phone) == []


async def test_who_was_told_is_forgotten_after_a_month(school: Running, phones: PushService) -> None:
    await turned_on(school, phones)
    await tell(school, "N2")
    await send(school)
    school.clock.advance(timedelta(days=31).total_seconds())
    await sending.clear(school.database, school.clock)
    assert await rows(school, Push) == []


async def test_the_service_sends_by_itself(tmp_path: Path, template: Path, phones: PushService) -> None:
    async with running(tmp_path / "data", template=template, smtp_sender="chaperone@school.example",
                       push_hosts=phones.url) as school:
        phone = await turned_on(school, phones)
        await tell(school, "N2")
        await asyncio.wait_for(phones.came.wait(), 20)
        assert phones.to(phone) == ["N2"]
