"""T20: a refresh token is good once. A lost answer is given again, once and soon; later it is a copy, and ends them all."""

import asyncio
from typing import Any

import pytest
from sqlmodel import select

from service.foundation.mail import Mail
from service.people.phones import entering, rules
from service.people.phones.rules import Refresh
from service.people.push.tables import Push, PushSubscription
from service.people.tables import SignIn
from tests.phones import NativePhone, signed_in
from tests.push import Receiver
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm


async def me(phone: NativePhone) -> int:
    return (await phone.ask("GET", "/me")).status_code


def thief_of(phone: NativePhone) -> NativePhone:
    """A copy of everything, with the key: an attacker inside the phone."""
    return NativePhone(phone.client, key=phone.key, passkey=phone.passkey, nonce=phone.nonce, tokens=dict(phone.tokens))


def never_a_copy(patch: pytest.MonkeyPatch) -> None:
    refreshed = rules.refreshed
    patch.setattr(rules, "refreshed", lambda **given: Refresh.RETRY if (found := refreshed(**given)) is Refresh.REUSED else found)


@guarded_by(Guard("a token that comes again is a copy", never_a_copy))
async def test_a_token_that_is_used_again_ends_every_token_of_that_phone(school: Running, attempt: Any) -> None:
    phone = await signed_in(school)
    thief = thief_of(phone)
    assert (await phone.refresh()).status_code == 200
    school.clock.advance(11)
    with attempt:
        harm((await thief.refresh()).status_code == 200, "tokens for a token that was used")
        harm(await me(phone) == 200, "a token of the phone still opens")
        harm(await me(thief) == 200, "a token of the copy still opens")
        harm((await phone.refresh()).status_code == 200, "the family goes on")


async def test_its_owner_and_the_office_hear_of_a_copy_at_once_and_nobody_else(school: Running) -> None:
    phone = await signed_in(school)
    parent, thief = (await phone.ask("GET", "/me")).json()["id"], thief_of(phone)
    await phone.refresh()
    school.clock.advance(11)
    await thief.refresh()
    async with school.database.reading() as session:
        told = {mail.person_id for mail in (await session.exec(select(Mail).where(Mail.text == "N5"))).all()}
        ended = [row for row in (await session.exec(select(SignIn).where(SignIn.route == "phone"))).all() if row.ended_at]
    assert told == {parent, school.person("office")}
    assert [row.ended_at for row in ended] == [school.clock.now()]
    assert (await phone.sign_in()).status_code == 200  # the passkey stays: its owner gets in again


async def takes_notices(phone: NativePhone, endpoint: str) -> None:
    about = Receiver(endpoint).subscription
    keys = {name: about[name] for name in ("p256dh", "auth")}
    assert (await phone.ask("PUT", "/push", {"endpoint": about["endpoint"], "keys": keys})).status_code == 204


@pytest.mark.parametrize("has_another", [True, False])
async def test_notices_to_a_phone_that_was_copied_stop_and_its_owner_hears_of_it_elsewhere(
    school: Running, has_another: bool,
) -> None:
    phone = await signed_in(school)
    parent = (await phone.ask("GET", "/me")).json()["id"]
    await takes_notices(phone, "https://fcm.googleapis.com/fcm/send/copied")
    if has_another:
        other = NativePhone(phone.client, passkey=phone.passkey)
        await other.sign_in()
        await takes_notices(other, "https://fcm.googleapis.com/fcm/send/other")
    thief = thief_of(phone)
    await phone.refresh()
    school.clock.advance(11)
    await thief.refresh()
    async with school.database.reading() as session:
        left = {row.id: row.endpoint for row in (await session.exec(select(PushSubscription))).all()}
        pushed = [left.get(row.subscription_id) for row in (await session.exec(select(Push).where(Push.text == "N5"))).all()]
        mailed = {mail.person_id for mail in (await session.exec(select(Mail).where(Mail.text == "N5"))).all()}
    other_phone = ["https://fcm.googleapis.com/fcm/send/other"] if has_another else []
    assert (list(left.values()), pushed) == (other_phone, other_phone)
    assert (parent in mailed) is not has_another, "who has no other phone hears of it by mail"


async def test_an_answer_that_was_lost_is_given_again_once_byte_for_byte(school: Running) -> None:
    phone = await signed_in(school)
    lost = phone.tokens["refresh_token"]
    first = (await phone.refresh()).json()
    school.clock.advance(9)
    again = (await phone.refresh(lost)).json()
    assert (again["access_token"], again["refresh_token"]) == (first["access_token"], first["refresh_token"])
    assert await me(phone) == 200
    assert (await phone.refresh(lost)).status_code == 401  # a third time is no lost answer
    assert await me(phone) == 401


@pytest.mark.parametrize(("seconds", "status"), [(10, 200), (10.1, 401)])
async def test_a_lost_answer_is_asked_for_within_ten_seconds(school: Running, seconds: float, status: int) -> None:
    phone = await signed_in(school)
    lost = phone.tokens["refresh_token"]
    await phone.refresh()
    school.clock.advance(seconds)
    assert (await phone.refresh(lost)).status_code == status


async def test_nothing_is_given_again_once_the_answer_was_used(school: Running) -> None:
    phone = await signed_in(school)
    thief = thief_of(phone)
    await phone.refresh()
    await phone.refresh()
    assert (await thief.refresh()).status_code == 401
    assert await me(phone) == 401


async def test_a_copy_without_the_phones_key_opens_nothing_and_ends_nothing(school: Running) -> None:
    """Whoever found a token cannot sign its owner out either."""
    phone = await signed_in(school)
    stranger = NativePhone(school.client(), tokens=dict(phone.tokens))
    for _ in range(3):
        assert (await stranger.refresh()).status_code == 401
    assert await me(phone) == 200
    assert (await phone.refresh()).status_code == 200


async def test_two_requests_at_one_moment_get_the_same_tokens(school: Running) -> None:
    """A page and its worker both notice that the token is over."""
    phone = await signed_in(school)
    await me(phone)
    page, worker = thief_of(phone), thief_of(phone)
    first, second = await asyncio.gather(page.refresh(), worker.refresh())
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["refresh_token"] == second.json()["refresh_token"]
    assert await me(page) == 200


async def test_a_phone_that_is_not_used_for_a_month_signs_in_again(school: Running) -> None:
    phone = await signed_in(school)
    for _ in range(3):
        school.clock.advance(29 * 86_400)
        phone.clock += 29 * 86_400
        assert (await phone.refresh()).status_code == 200
    school.clock.advance(30 * 86_400)
    phone.clock += 30 * 86_400
    assert (await phone.refresh()).status_code == 401


async def test_refresh_tokens_are_kept_as_hashes_only(school: Running) -> None:
    phone = await signed_in(school)
    async with school.database.reading() as session:
        kept = (await session.exec(select(entering.PhoneRefresh))).all()
    assert kept
    assert phone.tokens["refresh_token"] not in str([row.model_dump() for row in kept])
