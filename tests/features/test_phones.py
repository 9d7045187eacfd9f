"""Parents' phones: invited by two halves, in by a passkey, out at once (policy: AC1, AC2, CO1)."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from lessons.tables import Lesson
from service.foundation.mail import Mail
from service.people import sessions
from service.people.phones import commands, entering
from service.people.phones.rules import OtherHalf
from service.people.phones.tables import Phone, PhoneInvitation
from service.people.queries import actor as actor_of
from service.people.tables import Guardianship, Passkey
from tests.authenticator import Authenticator
from tests.phones import NativePhone, born_on, letter_for, parent_of, signed_in
from tests.school import Running

WRONG = {"code": "000000", "token": "nothing", "born_on": "2001-01-01"}


async def rows(school: Running, kind: Any) -> list[Any]:
    async with school.database.reading() as session:
        return list((await session.exec(select(kind))).all())


async def opening(school: Running) -> tuple[str, dict[str, str]]:
    """A parent, and everything that opens their letter."""
    child = school.lesson()["pupil_ids"][0]
    parent, day = await parent_of(school, child), await born_on(school, child)
    letter = await letter_for(school, parent)
    return parent, {"token": letter.token, "code": letter.code, "born_on": day}


async def opened(school: Running, given: dict[str, str]) -> tuple[int, Any]:
    answer = await NativePhone(school.client()).ask("POST", "/invitations/open", given, token="")
    return answer.status_code, answer.json()


async def block(school: Running, parent: str, **change: Any) -> None:
    async with school.database.writing() as session:
        for link in (await session.exec(select(Guardianship).where(Guardianship.guardian_id == parent))).all():
            for name, value in change.items():
                setattr(link, name, value)


# -- invitations ------------------------------------------------------------------------------------------------------


async def test_a_letter_a_code_and_a_date_of_birth_end_in_a_phone_that_sees_the_child(school: Running) -> None:
    phone = await signed_in(school)
    me = (await phone.ask("GET", "/me")).json()
    assert [child["id"] for child in me["children"]] == school.lesson()["pupil_ids"][:1]
    used, = await rows(school, PhoneInvitation)
    assert (used.ended_why, used.code_by) == ("used", school.person("office"))


@pytest.mark.parametrize("what", ["code", "token", "born_on", "used", "over", "stopped", "blocked", "no code"])
async def test_whatever_is_wrong_with_an_invitation_it_says_the_same(school: Running, what: str,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    if what == "no code":
        await signed_in(school)  # the next letter is for a recovery: its code is made by somebody else, later
    parent, given = await opening(school)
    if what in WRONG:
        given[what] = WRONG[what]
    elif what == "blocked":
        await block(school, parent, do_not_contact=True)
    elif what == "over":
        school.clock.advance(timedelta(days=7).total_seconds())
    elif what == "no code":
        given["code"] = "402117"
    else:
        async with school.database.writing() as session:
            row = (await session.exec(select(PhoneInvitation))).one()
            row.ended_at, row.ended_why = school.clock.now(), "used" if what == "used" else "revoked"
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(entering, "sleep", sleep)
    status, told = await opened(school, given)
    assert (status, told["code"]) == (422, "invitation-refused")
    assert told["detail"] == "This invitation does not work. Ring the office."
    assert "errors" not in told
    assert slept == [entering.PACE]  # by the fake clock no time has passed: what is left is the whole


async def test_the_right_answers_open_it_after_the_same_time(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control, and it tells nothing of the child."""
    _, given = await opening(school)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(entering, "sleep", sleep)
    status, told = await opened(school, given | {"code": f"{given['code'][:3]} {given['code'][3:]}"})
    assert (status, set(told)) == (200, {"invitation", "school", "office"})
    assert slept == [entering.PACE]


async def test_five_wrong_codes_end_an_invitation_for_good(school: Running) -> None:
    _, given = await opening(school)
    for _ in range(5):
        assert (await opened(school, given | {"code": "000000"}))[0] == 422
    assert (await opened(school, given))[0] == 422
    assert (await rows(school, PhoneInvitation))[0].ended_why == "tries"


async def test_wrong_codes_at_one_moment_are_counted_one_by_one(school: Running) -> None:
    _, given = await opening(school)
    guesses = [opened(school, given | {"code": f"00000{n}"}) for n in range(9)]
    assert {status for status, _ in await asyncio.gather(*guesses)} == {422}
    row, = await rows(school, PhoneInvitation)
    assert (row.failures, row.ended_why) == (5, "tries")


async def test_of_two_phones_with_one_letter_one_gets_in(school: Running) -> None:
    parent, given = await opening(school)
    async with school.database.reading() as session:
        row = (await session.exec(select(PhoneInvitation))).one()
    letter = commands.Letter(parent, "", given["token"], given["code"], row.expires_at)
    both = [NativePhone(school.client()) for _ in range(2)]
    answers = await asyncio.gather(*(phone.accept(letter, given["code"], given["born_on"]) for phone in both))
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    assert len(await rows(school, Phone)) == 1


async def test_who_has_ten_phones_recovers_by_letting_them_go(school: Running) -> None:
    first = await signed_in(school)
    child = school.lesson()["pupil_ids"][0]
    parent, day = await parent_of(school, child), await born_on(school, child)
    for _ in range(9):
        assert (await NativePhone(school.client(), passkey=first.passkey).sign_in()).status_code == 200
    more = await NativePhone(school.client(), passkey=first.passkey).sign_in()
    assert (more.status_code, more.json()["code"]) == (409, "too-many-phones")
    letter = await letter_for(school, parent, keeps_phones=False)
    async with school.database.writing() as session:
        row = (await session.exec(select(PhoneInvitation).where(PhoneInvitation.code_hash == ""))).one()
        second = await actor_of(session, school.person("headteacher"))
        assert second is not None
        code = (await commands.make_code(session, second, school.app.state.pepper, row.id, school.clock.now())).code
    new = NativePhone(school.client())
    assert (await new.accept(letter, code, day)).status_code == 200
    assert [one["is_this_one"] for one in (await new.ask("GET", "/phones")).json()["phones"]] == [True]


async def test_four_wrong_codes_do_not(school: Running) -> None:
    _, given = await opening(school)
    for _ in range(4):
        await opened(school, given | {"code": "000000"})
    assert (await opened(school, given))[0] == 200


async def test_a_used_invitation_makes_no_second_phone(school: Running) -> None:
    parent, given = await opening(school)
    first, second = NativePhone(school.client()), NativePhone(school.client())
    ticket = (await opened(school, given))[1]["invitation"]
    async with school.database.reading() as session:
        row = (await session.exec(select(PhoneInvitation))).one()
    letter = commands.Letter(parent, "", given["token"], given["code"], row.expires_at)
    assert (await first.accept(letter, given["code"], given["born_on"])).status_code == 200
    begun = await second.ask("POST", "/passkeys/register/begin", {"invitation": ticket}, token="")
    assert (begun.status_code, begun.json()["code"]) == (422, "invitation-refused")


async def test_a_new_letter_stops_the_one_before(school: Running) -> None:
    parent, given = await opening(school)
    await letter_for(school, parent)
    assert (await opened(school, given))[0] == 422


async def test_neither_link_nor_code_is_kept(school: Running) -> None:
    _, given = await opening(school)
    row = (await rows(school, PhoneInvitation))[0]
    assert given["token"] not in str(row.model_dump())
    assert given["code"] not in str(row.model_dump())


# -- a new phone rests ------------------------------------------------------------------------------------------------


async def test_a_new_phone_rests_for_a_day_and_its_yes_counts_then_but_its_no_at_once(school: Running) -> None:
    phone = await signed_in(school)
    child = school.lesson()["pupil_ids"][0]
    asked = {one["purpose"]: one for one in (await phone.ask("GET", f"/children/{child}/consent")).json()["permissions"]}

    async def say(purpose: str, says_yes: bool) -> Any:
        return (await phone.ask("POST", f"/children/{child}/consent", {
            "purpose": purpose, "says_yes": says_yes, "document_id": asked[purpose]["document_id"], "responsibility": "yes",
        })).json()

    yes, no = await say("photographs", True), await say("camera", False)
    assert [one["code"] for one in yes["follows"]] == ["starts-later"]
    assert yes["follows"][0]["words"] == "Your yes starts Wednesday 25 November, 10am. Until then nothing changes."
    assert [(one["code"], one["words"]) for one in no["follows"]] == [("off-now", "Ali’s camera is off from now.")]


async def test_the_app_says_of_a_no_to_recording_what_holds_and_not_what_was_said(school: Running) -> None:
    """Where recording is the school's public task, a parent's no stops nothing by itself."""
    phone = await signed_in(school)
    child = school.lesson()["pupil_ids"][0]
    await school.set_profile(recording_basis="public_task")
    asked = {one["purpose"]: one for one in (await phone.ask("GET", f"/children/{child}/consent")).json()["permissions"]}
    recording = asked["be_recorded"]
    assert (recording["by_public_task"], recording["needs_answer"], recording["objection"]) == (True, False, None)
    said = (await phone.ask("POST", f"/children/{child}/consent", {
        "purpose": "be_recorded", "says_yes": False, "document_id": recording["document_id"], "responsibility": "yes",
        "relationship": "Mum"})).json()
    words = [one["words"] for one in [*said["follows"], *said["consent"]["outcome"]] if one["purpose"] == "be_recorded"]
    assert words == ["You object. The headteacher decides. Until then Ali is recorded.",
                     "Ali is recorded in lessons. The school does not need permission for this."]
    assert "Ali can join." in [one["words"] for one in said["consent"]["outcome"]]
    now = {one["purpose"]: one for one in said["consent"]["permissions"]}
    assert now["be_recorded"]["objection"] == "waits"


async def test_the_first_phone_from_a_letter_given_by_hand_does_not_rest(school: Running) -> None:
    phone = await signed_in(school, in_person=True)
    assert phone.tokens["phone"]["rests_until"] is None


async def test_a_later_phone_rests_whoever_handed_over_the_letter(school: Running) -> None:
    child = school.lesson()["pupil_ids"][0]
    await signed_in(school, in_person=True)
    parent, day = await parent_of(school, child), await born_on(school, child)
    letter = await letter_for(school, parent, in_person=True)
    async with school.database.writing() as session:
        row = (await session.exec(select(PhoneInvitation).where(PhoneInvitation.code_hash == ""))).one()
        second = await actor_of(session, school.person("headteacher"))
        assert second is not None
        code = (await commands.make_code(session, second, school.app.state.pepper, row.id, school.clock.now())).code
    again = NativePhone(school.client())
    assert (await again.accept(letter, code, day)).json()["phone"]["rests_until"] is not None


async def test_the_owner_and_the_office_hear_of_a_new_phone_and_no_other_adult(school: Running) -> None:
    phone = await signed_in(school)
    parent = (await phone.ask("GET", "/me")).json()["id"]
    told = {mail.person_id for mail in await rows(school, Mail) if mail.text == "N6"}
    assert told == {parent, school.person("office")}


# -- losing one -------------------------------------------------------------------------------------------------------


async def test_a_recovery_takes_two_people(school: Running) -> None:
    phone = await signed_in(school)
    parent = (await phone.ask("GET", "/me")).json()["id"]
    letter = await letter_for(school, parent)
    assert letter.code == ""
    async with school.database.writing() as session:
        row = (await session.exec(select(PhoneInvitation).where(PhoneInvitation.code_hash == ""))).one()
        same = await actor_of(session, school.person("office"))
        assert same is not None
        with pytest.raises(OtherHalf):
            await commands.make_code(session, same, school.app.state.pepper, row.id, school.clock.now())


async def test_a_recovery_signs_the_lost_phone_out_where_that_was_chosen(school: Running) -> None:
    lost = await signed_in(school)
    child = school.lesson()["pupil_ids"][0]
    parent, day = await parent_of(school, child), await born_on(school, child)
    letter = await letter_for(school, parent, keeps_phones=False)
    async with school.database.writing() as session:
        row = (await session.exec(select(PhoneInvitation).where(PhoneInvitation.code_hash == ""))).one()
        second = await actor_of(session, school.person("dsl"))
        assert second is not None
        code = (await commands.make_code(session, second, school.app.state.pepper, row.id, school.clock.now())).code
    assert (await lost.ask("GET", "/me")).status_code == 200  # not before the new one is there
    new = NativePhone(school.client())
    assert (await new.accept(letter, code, day)).status_code == 200
    assert (await lost.ask("GET", "/me")).status_code == 401
    assert (await lost.sign_in()).status_code == 422
    assert (await new.ask("GET", "/me")).status_code == 200


async def test_signing_a_phone_out_from_another_closes_it_at_once(school: Running) -> None:
    child = school.lesson()["pupil_ids"][0]
    first = await signed_in(school, child)
    second = NativePhone(school.client(), passkey=first.passkey)
    assert (await second.sign_in()).status_code == 200
    gone = first.tokens["phone"]["id"]
    assert (await second.ask("DELETE", f"/phones/{gone}")).status_code == 204
    assert (await first.ask("GET", "/me")).status_code == 401
    assert (await first.refresh()).status_code == 401
    assert (await second.ask("GET", "/me")).status_code == 200
    assert [one["is_this_one"] for one in (await second.ask("GET", "/phones")).json()["phones"]] == [True]


async def test_a_phone_of_somebody_else_is_not_there_to_be_signed_out(school: Running) -> None:
    first, other = await signed_in(school), await signed_in(school, school.lesson()["pupil_ids"][1])
    gone = await first.ask("DELETE", f"/phones/{other.tokens['phone']['id']}")
    nothing = await first.ask("DELETE", "/phones/nothing")
    assert (gone.status_code, gone.json()) == (404, nothing.json())
    assert (await other.ask("GET", "/me")).status_code == 200


async def test_signing_out_everywhere_ends_phones_and_browsers(school: Running) -> None:
    phone = await signed_in(school)
    parent = (await phone.ask("GET", "/me")).json()["id"]
    browser = school.client(await school.cookie(parent))
    assert (await browser.get("/api/v1/me")).status_code == 200
    assert (await phone.ask("DELETE", "/session?everywhere=true")).status_code == 204
    assert (await phone.ask("GET", "/me")).status_code == 401
    assert (await browser.get("/api/v1/me")).status_code == 401


async def test_signing_out_here_leaves_the_phone_known(school: Running) -> None:
    phone = await signed_in(school)
    rests = phone.tokens["phone"]["rests_until"]
    before = phone.tokens["phone"]["id"]
    await phone.ask("DELETE", "/session")
    assert (await phone.ask("GET", "/me")).status_code == 401
    assert (await phone.sign_in()).json()["phone"] | {"seen_at": ""} == {
        "id": before, "name": "My phone", "platform": "android", "added_at": "2026-11-24T10:00:00Z", "seen_at": "",
        "is_this_one": True, "rests_until": rests}


async def test_what_ends_all_sessions_of_a_person_ends_their_phones(school: Running) -> None:
    phone = await signed_in(school)
    parent = (await phone.ask("GET", "/me")).json()["id"]
    async with school.database.writing() as session:
        actor = await actor_of(session, parent)
        assert actor is not None
        await sessions.end_all(session, actor, person_id=parent, why="left", now=school.clock.now())
    assert (await phone.ask("GET", "/me")).status_code == 401


async def test_a_passkey_on_another_phone_is_a_new_phone_that_rests(school: Running) -> None:
    first = await signed_in(school, in_person=True)
    other = NativePhone(school.client(), passkey=first.passkey)
    answer = (await other.sign_in()).json()["phone"]
    assert answer["id"] != first.tokens["phone"]["id"]
    assert answer["rests_until"] is not None
    assert len(await rows(school, Phone)) == 2


async def test_a_phones_passkey_opens_no_page(school: Running) -> None:
    """Threat T5: the office invites a parent who teaches here, and does not become a teacher."""
    phone = await signed_in(school)
    client = school.client()
    asked = (await client.post("/sign-in/passkey/challenge")).json()
    refused = await client.post("/sign-in/passkey", data={"passkey": phone.passkey.get(asked), "next": "/account"},
                                headers={"accept": "application/json"})
    assert refused.status_code == 422
    assert [row.is_phone for row in await rows(school, Passkey) ].count(True) == 1


async def test_a_passkey_of_the_pages_opens_no_phone(school: Running) -> None:
    stranger = NativePhone(school.client(), passkey=Authenticator(user=school.person("parent")))
    assert (await stranger.sign_in()).status_code == 422


async def test_a_parent_who_teaches_acts_on_a_phone_as_a_parent_only(school: Running) -> None:
    child = school.lesson()["pupil_ids"][0]
    await school.give_role(await parent_of(school, child), "teacher", "dsl")
    phone = await signed_in(school, child)
    assert (await phone.ask("GET", "/me")).json()["roles"] == ["parent"]
    token = phone.tokens["access_token"]
    page = await phone.client.get("/today", headers={"authorization": f"DPoP {token}", "accept": "application/json"})
    assert page.status_code == 401


# -- the office's pages -----------------------------------------------------------------------------------------------


async def test_the_office_prints_a_letter_and_a_sheet_with_the_code(school: Running) -> None:
    parent = await parent_of(school, school.lesson()["pupil_ids"][0])
    async with await school.signed_in("office") as office:
        page = await office.get(f"/people/{parent}/phones")
        assert "Invite to the app" in page.text
        letter = await office.post(f"/people/{parent}/phones/invite", data={"in_person": "yes"})
        assert letter.status_code == 200
        assert "/m/#i=" in letter.text
        assert "Codes: keep this sheet apart from the letters" in letter.text
        assert "Can be used" in (await office.get(f"/people/{parent}/phones")).text


async def test_the_office_makes_the_letters_of_a_class_at_once(school: Running) -> None:
    async with school.database.reading() as session:
        group = (await session.get_one(Lesson, school.lesson()["id"])).group_id
    async with await school.signed_in("office") as office:
        made = await office.post(f"/classes/{group}/invitations")
    letters = await rows(school, PhoneInvitation)
    assert made.text.count("/m/#i=") == len(letters) > 3


async def test_a_second_person_reads_the_code_of_a_recovery_on_a_page_of_their_own(school: Running) -> None:
    phone = await signed_in(school)
    parent = (await phone.ask("GET", "/me")).json()["id"]
    await letter_for(school, parent)
    invitation = next(row.id for row in await rows(school, PhoneInvitation) if not row.code_hash)
    async with await school.signed_in("office") as office:
        assert "Another person makes the code" in (await office.get("/phones/codes")).text
        assert (await office.post(f"/phones/invitations/{invitation}/code")).status_code == 422
    async with await school.signed_in("headteacher") as head:
        assert "Make the code for" in (await head.get("/phones/codes")).text
        assert "This is shown only now" in (await head.post(f"/phones/invitations/{invitation}/code")).text


async def test_the_office_signs_every_phone_of_a_parent_out(school: Running) -> None:
    phone = await signed_in(school)
    parent = (await phone.ask("GET", "/me")).json()["id"]
    async with await school.signed_in("office") as office:
        await office.post(f"/people/{parent}/phones/sign-out")
    assert (await phone.ask("GET", "/me")).status_code == 401
    assert (await phone.sign_in()).status_code == 422


# -- how often an address may ask -------------------------------------------------------------------------------------


def at(school: Running, address: str) -> httpx.AsyncClient:
    """Somebody at this address."""
    transport = httpx.ASGITransport(app=school.app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://chaperone.test", headers={"origin": "http://chaperone.test"})


async def test_nobody_keeps_a_phone_behind_the_same_address_from_renewing_its_tokens(school: Running) -> None:
    """One phone on the school's Wi-Fi asks without end, or thirty parents unlock theirs: no withdrawal is held up by that."""
    phone, other = await signed_in(school), NativePhone(school.client())
    asked = [(await other.ask("POST", "/sign-in/begin", token="")).status_code for _ in range(61)]
    assert asked[-1] == 429  # negative control
    assert (await phone.refresh()).status_code == 200


async def test_one_phone_renews_no_more_than_a_phone_needs(school: Running) -> None:
    phone = await signed_in(school)
    assert [(await phone.refresh()).status_code for _ in range(61)] == [*[200] * 60, 429]


async def test_guessed_refresh_tokens_are_counted_by_network_whatever_key_proves_them(school: Running) -> None:
    statuses = [(await NativePhone(school.client(), clock=int(school.clock.now().timestamp())).refresh("guessed")).status_code
                for _ in range(61)]
    assert statuses == [*[401] * 60, 429]


async def test_an_address_that_guesses_invitations_is_told_how_long_it_waits(
        school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not that it may not: the app keeps what it was about to send (policy: AC1)."""
    guessing = NativePhone(school.client())
    monkeypatch.setattr(entering, "PACE", 0.0)
    monkeypatch.setattr(school.app.state.limits, "hit", lambda *_, **__: None)  # only wrong tries count here
    *wrong, told = [await guessing.ask("POST", "/invitations/open", WRONG, token="") for _ in range(61)]
    assert {each.status_code for each in wrong} == {422}
    assert (told.status_code, told.headers["Retry-After"], told.json()["code"]) == (429, "900", "too-many-tries")


async def test_a_household_with_ipv6_is_one_network(school: Running) -> None:
    async with at(school, "2001:db8::1") as first, at(school, "2001:db8::2") as second, at(school, "2001:db8:0:1::1") as other:
        for _ in range(60):
            await first.post("/api/v1/sign-in/begin")
        assert [(await each.post("/api/v1/sign-in/begin")).status_code for each in (first, second, other)] == [429, 429, 200]
