"""Passkeys and one-time codes of staff: adding, signing in, removing, and getting back in after losing them (policy: AC9)."""

import re

import httpx
import pyotp
import pytest
from cryptography.exceptions import InvalidTag
from sqlmodel import select

from service.people.tables import OneTimeCodes, Passkey
from tests.authenticator import Authenticator
from tests.features.test_sign_in import entries, try_password, with_password
from tests.proofs import (
    PASSWORD,
    SECRET,
    action_of,
    add_passkey,
    code,
    confirmed_post,
    give_codes,
    options_of,
    with_passkey,
)
from tests.school import Running


async def sign_in(school: Running, key: Authenticator, client: httpx.AsyncClient | None = None) -> httpx.Response:
    client = client or school.client()
    asked = (await client.post("/sign-in/passkey/challenge")).json()
    return await client.post("/sign-in/passkey", data={"passkey": key.get(asked), "next": "/account"})


async def kept(school: Running) -> list[Passkey]:
    async with school.database.reading() as session:
        return list((await session.exec(select(Passkey))).all())


# -- adding -----------------------------------------------------------------------------------------------------------


async def test_staff_add_a_passkey_and_sign_in_with_nothing_else(school: Running) -> None:
    client, key = await school.signed_in("teacher"), Authenticator()
    added = await add_passkey(school, client, key, name="School laptop")
    assert added.headers["location"] == "/account?saved=passkey"
    page = await client.get(added.headers["location"])
    assert "School laptop" in page.text
    assert "Add a second one on another device" in page.text
    fresh = school.client()
    assert (await sign_in(school, key, fresh)).headers["location"] == "/account"
    assert "Passkey" in (await fresh.get("/account")).text
    assert await entries(school, "PasskeyAdded") == 1


async def test_a_passkey_is_asked_to_verify_its_owner_to_be_kept_by_the_device_and_not_to_say_its_make(school: Running) -> None:
    client = await school.signed_in("teacher")
    options = options_of(await client.post("/account/passkeys/add"))["publicKey"]
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "preferred"
    assert options["attestation"] == "none"
    assert options["rp"]["id"] == "localhost"
    assert school.person("teacher") not in str(options["user"]["name"])


async def test_a_device_that_has_one_is_told_not_to_make_another(school: Running) -> None:
    client, _, key = await with_passkey(school, "teacher")
    asked = await client.post("/account/passkeys/add")
    assert "Check it is you" in asked.text
    form = {"step_up_action": action_of(asked)}
    options = await client.post("/step-up/challenge", data={"action": form["step_up_action"]})
    page = await client.post("/account/passkeys/add", data={**form, "step_up_assertion": key.get(options.json())})
    assert len(options_of(page)["publicKey"]["excludeCredentials"]) == 1
    again = await client.post("/account/passkeys", data={"passkey": key.create(options_of(page)), "name": "The same"})
    assert "This passkey is known already" in again.text


async def test_what_is_added_with_an_older_one_confirms_at_once_and_the_first_only_after_a_day(school: Running) -> None:
    client, first, second = await school.signed_in("teacher"), Authenticator(), Authenticator()
    await add_passkey(school, client, first)
    assert "Confirms decisions from" in (await client.get("/account")).text
    school.clock.advance(24 * 3600)
    assert (await sign_in(school, first, client)).status_code == 303
    asked = await client.post("/account/passkeys/add")
    options = (await client.post("/step-up/challenge", data={"action": action_of(asked)})).json()
    confirming = {"step_up_action": action_of(asked), "step_up_assertion": first.get(options)}
    assert (await add_passkey(school, client, second, **confirming)).status_code == 303
    assert [row.rests_until <= school.clock.now() for row in await kept(school)] == [True, True]


@pytest.mark.parametrize("lie", [{"origin": "https://evil.example"}, {"rp_id": "evil.example"}, {"is_verified": False}])
async def test_an_answer_for_another_site_or_without_its_owner_is_no_passkey(school: Running, lie: dict[str, object]) -> None:
    client = await school.signed_in("teacher")
    refused = await add_passkey(school, client, Authenticator(**lie))  # type: ignore[arg-type]
    assert refused.status_code == 422
    assert "could not be added" in refused.text
    assert await kept(school) == []
    assert (await add_passkey(school, client, Authenticator())).status_code == 303


async def test_an_answer_from_another_session_or_too_late_is_no_passkey(school: Running) -> None:
    client, other = await school.signed_in("teacher"), await school.signed_in("teacher", 1)
    asked = options_of(await client.post("/account/passkeys/add"))
    stolen = await other.post("/account/passkeys", data={"passkey": Authenticator().create(asked), "name": "x"})
    school.clock.advance(300)
    late = await client.post("/account/passkeys", data={"passkey": Authenticator().create(asked), "name": "x"})
    assert [answer.status_code for answer in (stolen, late)] == [422, 422]
    assert await kept(school) == []


async def test_pupils_and_parents_have_no_passkeys_here(school: Running) -> None:
    for role in ("pupil", "parent"):
        client = await school.signed_in(role)
        assert (await client.post("/account/passkeys/add")).status_code == 404
        assert "Passkeys" not in (await client.get("/account")).text


async def test_a_passkey_is_removed_with_a_proof_and_one_that_still_rests_without(school: Running) -> None:
    client, _, key = await with_passkey(school, "teacher")
    row = (await kept(school))[0]
    asked = await client.post(f"/account/passkeys/{row.id}/remove")
    assert "remove the passkey “Laptop” from your account" in asked.text
    options = (await client.post("/step-up/challenge", data={"action": action_of(asked)})).json()
    removed = await client.post(f"/account/passkeys/{row.id}/remove", data={
        "step_up_action": action_of(asked), "step_up_assertion": key.get(options)})
    assert removed.status_code == 303
    assert (await sign_in(school, key)).status_code == 422
    assert (await add_passkey(school, client, Authenticator())).status_code == 303
    new = next(row for row in await kept(school) if row.stopped_at is None)
    assert (await client.post(f"/account/passkeys/{new.id}/remove")).status_code == 303
    assert await entries(school, "PasskeyStopped") == 2


async def test_nobody_removes_somebody_elses_passkey_on_the_account_page(school: Running) -> None:
    await with_passkey(school, "teacher")
    other = await school.signed_in("teacher", 1)
    row = (await kept(school))[0]
    assert (await other.post(f"/account/passkeys/{row.id}/remove")).status_code == 404


# -- signing in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", [{"origin": "https://evil.example"}, {"rp_id": "evil.example"}, {"is_verified": False},
                                 {"user": "c29tZWJvZHkgZWxzZQ"}, {"user": ""}])
async def test_a_passkey_that_lies_lets_nobody_in(school: Running, lie: dict[str, object]) -> None:
    _, _, key = await with_passkey(school, "teacher")
    honest = key.copy()
    for name, value in lie.items():
        setattr(key, name, value)
    assert (await sign_in(school, key)).status_code == 422
    assert (await sign_in(school, honest)).status_code == 303


async def test_an_answer_lets_in_once_and_only_the_browser_that_asked(school: Running) -> None:
    _, _, key = await with_passkey(school, "teacher")
    client, other = school.client(), school.client()
    answer = key.get((await client.post("/sign-in/passkey/challenge")).json())
    await other.post("/sign-in/passkey/challenge")
    assert (await other.post("/sign-in/passkey", data={"passkey": answer})).status_code == 422
    cookie = client.cookies["chaperone-passkey"]
    assert (await client.post("/sign-in/passkey", data={"passkey": answer})).status_code == 303
    client.cookies.set("chaperone-passkey", cookie)
    assert (await client.post("/sign-in/passkey", data={"passkey": answer})).status_code == 422


async def test_a_copied_passkey_stops_for_good(school: Running) -> None:
    _, _, key = await with_passkey(school, "teacher")
    thief = key.copy()
    assert (await sign_in(school, key)).status_code == 303
    assert (await sign_in(school, thief)).status_code == 422
    assert (await sign_in(school, key)).status_code == 422, "we cannot tell the thief's from the owner's"
    assert [row.stopped_why for row in await kept(school)] == ["cloned"]
    assert await entries(school, "PasskeyStopped") == 1


async def test_a_synchronised_passkey_never_counts_and_works_on(school: Running) -> None:
    _, _, key = await with_passkey(school, "teacher")
    client, key = await school.signed_in("teacher", 1), Authenticator(counts=False)
    await add_passkey(school, client, key)
    for _ in range(3):
        assert (await sign_in(school, key)).status_code == 303


async def test_rubbish_is_refused_in_words_and_guessing_is_slowed(school: Running) -> None:
    client = school.client()
    for text in ("", "x", "{}", "[]", '{"ticket": 1, "credential": []}', '{"ticket": "a.b.c", "credential": {"id": {}}}'):
        refused = await client.post("/sign-in/passkey", data={"passkey": text})
        assert refused.status_code == 422, text
        assert "We could not sign you in" in refused.text
    for _ in range(60):
        last = await client.post("/sign-in/passkey", data={"passkey": "x"})
    assert last.status_code == 429


# -- one-time codes ---------------------------------------------------------------------------------------------------


def secret_on(page: httpx.Response) -> str:
    found = re.search(r'x-one-time__key">([A-Z2-7 ]+)<', page.text)
    assert found, page.text
    return found[1].replace(" ", "")


async def test_codes_are_set_up_by_scanning_a_square_and_count_once_confirmed(school: Running) -> None:
    email = await with_password(school)
    client = await school.signed_in("teacher")
    page = await client.post("/account/codes")
    assert "<svg" in page.text
    secret = secret_on(page)
    wrong = await client.post("/account/codes/confirm", data={"code": "000000"})
    assert wrong.status_code == 422
    assert secret_on(wrong) == secret
    assert (await try_password(school.client(), email, PASSWORD)).status_code == 303, "nothing counts yet"
    right = pyotp.TOTP(secret).at(school.clock.now())
    assert (await client.post("/account/codes/confirm", data={"code": right})).headers["location"] == "/account?saved=codes"
    assert "Enter your one-time code" in (await try_password(school.client(), email, PASSWORD)).text


async def test_with_codes_a_password_alone_lets_nobody_in(school: Running) -> None:
    email = await with_password(school)
    await give_codes(school, school.person("teacher"))
    client = school.client()
    asked = await try_password(client, email, PASSWORD)
    assert (asked.status_code, "chaperone" in client.cookies) == (200, False)
    ticket = re.search(r'name="ticket" value="([^"]+)"', asked.text)[1]  # type: ignore[index]
    wrong = await client.post("/sign-in/code", data={"ticket": ticket, "code": "000000"})
    assert "This is not the code" in wrong.text
    digits = code(school)
    assert (await client.post("/sign-in/code", data={"ticket": ticket, "code": digits})).status_code == 303
    again = await school.client().post("/sign-in/code", data={"ticket": ticket, "code": digits})
    assert "This code was used already" in again.text
    forged = await school.client().post("/sign-in/code", data={"ticket": ticket[:-1] + "x", "code": digits})
    assert "Sign in again" in forged.text


async def test_with_a_passkey_a_password_alone_lets_nobody_in(school: Running) -> None:
    email = await with_password(school)
    _, _, key = await with_passkey(school, "teacher")
    client = school.client()
    asked = await try_password(client, email, PASSWORD)
    assert "Because you have a passkey" in asked.text
    assert "chaperone" not in client.cookies
    assert (await sign_in(school, key, client)).status_code == 303


async def test_secrets_of_codes_are_not_readable_in_the_database(school: Running) -> None:
    await give_codes(school, school.person("teacher"))
    async with school.database.reading() as session:
        row = (await session.exec(select(OneTimeCodes))).one()
    assert SECRET not in row.secret
    other = school.person("teacher", 1)
    with pytest.raises(InvalidTag):
        school.app.state.pepper.unseal("one-time-codes", other, row.secret)


async def test_codes_are_removed_with_a_proof(school: Running) -> None:
    client = await school.signed_in("teacher")
    await give_codes(school, school.person("teacher"))
    gone = await confirmed_post(school, client, school.person("teacher"), "/account/codes/remove", {})
    assert gone.headers["location"] == "/account?saved=removed"
    assert await entries(school, "OneTimeCodesStopped") == 1


# -- lost -------------------------------------------------------------------------------------------------------------


async def test_the_office_removes_what_a_teacher_lost_and_the_teacher_starts_anew(school: Running) -> None:
    email = await with_password(school)
    teacher, _, key = await with_passkey(school, "teacher")
    office = await school.signed_in("office")
    path = f"/people/{school.person('teacher')}/factors/reset"
    assert "has lost their passkey or phone" in (await office.get(f"/people/{school.person('teacher')}")).text
    assert (await confirmed_post(school, office, school.person("office"), path, {})).status_code == 303
    assert (await teacher.get("/account")).status_code == 303, "signed out"
    assert (await sign_in(school, key)).status_code == 422
    assert (await try_password(school.client(), email, PASSWORD)).status_code == 303
    assert await entries(school, "FactorsReset") == 1


async def test_a_passkey_confirms_on_a_page(school: Running) -> None:
    head, _, key = await with_passkey(school, "headteacher")
    path, form = f"/people/{school.person('governor')}/roles", {"roles": ["dpo"]}
    asked = await head.post(path, data=form)
    assert "with your passkey" in asked.text
    options = (await head.post("/step-up/challenge", data={"action": action_of(asked)})).json()
    assert [each["id"] for each in options["publicKey"]["allowCredentials"]] == [(await kept(school))[0].credential_id]
    done = await head.post(path, data={**form, "step_up_action": action_of(asked), "step_up_assertion": key.get(options)})
    assert done.headers["location"] == f"/people/{school.person('governor')}"
