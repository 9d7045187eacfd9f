"""Who gets in, and how those who may not are turned away (policy: AC1, AC2, AC9)."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from sqlmodel import select

from lessons.tables import LessonAdult
from service.foundation.audit import AuditLeaf
from service.foundation.errors import Invalid
from service.foundation.events import Actor
from service.foundation.web import COOKIE
from service.people import commands, credentials, hashing, queries, sign_in
from service.people.tables import Badge, Password, Person, SignIn
from tests.school import Running

GOOD = "plum-tractor-violin"


async def actor(school: Running, role: str, position: int = 0) -> Actor:
    async with school.database.reading() as session:
        found = await queries.actor(session, school.person(role, position))
    assert found is not None
    return found


async def with_password(school: Running, role: str = "teacher") -> str:
    """The e-mail address of somebody who has chosen GOOD with a one-time link."""
    person_id = school.person(role)
    async with school.database.writing() as session:
        token = await commands.make_reset(session, await _headteacher(school, session), person_id, school.clock.now())
    await sign_in.by_reset(school.app.state, token=token, password=GOOD)
    async with school.database.reading() as session:
        email = (await session.get_one(Person, person_id)).email
    assert email
    return email


async def _headteacher(school: Running, session: object) -> Actor:
    found = await queries.actor(session, school.person("headteacher"))  # type: ignore[arg-type]
    assert found is not None
    return found


async def with_badge(school: Running, position: int = 0) -> commands.NewBadge:
    office = await actor(school, "office")
    async with school.database.writing() as session:
        return await commands.issue_badge(session, office, school.person("pupil", position), school.app.state.pepper,
                                          school.clock.now())


async def try_password(client: httpx.AsyncClient, email: str, password: str) -> httpx.Response:
    return await client.post("/sign-in", data={"email": email, "password": password})


async def entries(school: Running, kind: str) -> int:
    async with school.database.reading() as session:
        return len((await session.exec(select(AuditLeaf).where(AuditLeaf.kind == kind))).all())


# -- passwords --------------------------------------------------------------------------------------------------------


async def test_staff_sign_in_with_their_password_and_land_on_a_page_that_is_there(school: Running) -> None:
    email = await with_password(school)
    async with school.client() as client:
        answer = await try_password(client, email.upper() + " ", GOOD)
        assert answer.status_code == 303
        assert (await client.get(answer.headers["location"], follow_redirects=True)).status_code == 200
        assert (await client.get("/account")).status_code == 200


async def test_a_page_that_was_asked_for_is_shown_after_signing_in_and_no_other_site_ever_is(school: Running) -> None:
    email = await with_password(school)
    for asked, shown in (("/account", "/account"), ("https://evil.example/", "/"), ("//evil.example", "/")):
        async with school.client() as client:
            answer = await client.post("/sign-in", data={"email": email, "password": GOOD, "next": asked})
            assert answer.headers["location"].startswith("/")
            assert (answer.headers["location"] == "/account") == (shown == "/account") or shown == "/"
            assert "evil" not in answer.headers["location"]


async def test_an_unknown_address_and_a_wrong_password_look_the_same(school: Running) -> None:
    email = await with_password(school)
    async with school.client() as client:
        wrong = await try_password(client, email, "not-the-password")
        unknown = await try_password(client, "nobody@example.org", "not-the-password")
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.text.replace(email, "") == unknown.text.replace("nobody@example.org", "")
    assert "We could not sign you in. Try again." in wrong.text


async def test_an_unknown_address_costs_a_hash_too(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    passwords = school.app.state.passwords
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda kept, given: checked.append(kept) or verify(kept, given))
    async with school.client() as client:
        await try_password(client, "nobody@example.org", "whatever it is")
    assert checked == [None]
    assert passwords._nobody.startswith("$argon2id$")


@pytest.mark.parametrize("known", [True, False])
async def test_after_ten_wrong_tries_nobody_gets_in_for_a_quarter_of_an_hour(school: Running, known: bool) -> None:
    email = await with_password(school)
    async with school.client() as client:
        for _ in range(credentials.PASSWORD_TRIES):
            assert (await try_password(client, email if known else "nobody@example.org", "wrong")).status_code == 422
        closed = await try_password(client, email if known else "nobody@example.org", GOOD)
        assert closed.status_code == 429
        assert "Too many tries. Wait 15 minutes or ask Mr Grant." in closed.text
        if known:
            school.clock.advance(15 * 60 + 1)
            assert (await try_password(client, email, GOOD)).status_code == 303


async def test_one_address_cannot_try_many_names_for_long(school: Running) -> None:
    async with school.client() as client:
        answers = {(await try_password(client, f"name{number}@example.org", "wrong")).status_code for number in range(60)}
        assert answers == {422}
        assert (await try_password(client, "another@example.org", "wrong")).status_code == 429


async def test_signing_in_rotates_the_session(school: Running) -> None:
    email = await with_password(school)
    async with school.client() as client:
        await try_password(client, email, GOOD)
        first = client.cookies[COOKIE]
        await try_password(client, email, GOOD)
        assert client.cookies[COOKIE] != first
    async with school.client(first) as old:
        assert (await old.get("/account")).status_code == 303


async def test_somebody_who_left_cannot_sign_in_and_is_signed_out(school: Running) -> None:
    email = await with_password(school)
    async with school.client() as client:
        await try_password(client, email, GOOD)
        async with school.database.writing() as session:
            await commands.leave(session, await _headteacher(school, session), school.person("teacher"), school.clock.now())
        assert (await client.get("/account")).status_code == 303
        assert (await try_password(client, email, GOOD)).status_code == 422


@pytest.mark.parametrize("password", [
    "short", "passwordpassword", "Password1234!", "ashgroveschool", "Ashgrove2026!!", "Daniel.Hall.2026", "111111111111",
    "abcdefghijkl", "qwertyuiop12345", "aaaaaaaaaaaaaaaa", "P455w0rd!2345", "SummerSummer26",
])
def test_what_is_easy_to_guess_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as refusal:
        credentials.checked_password(password, ("Daniel", "Hall", "Ashgrove School"))
    assert "password" in refusal.value.fields


@pytest.mark.parametrize("password", [GOOD, "correct horse battery staple", "Tr0mbone & marmalade", "żółta łódka płynie",
                                      "9f-Kq2_vbT7w"])
def test_what_is_hard_to_guess_needs_no_special_characters(password: str) -> None:
    assert credentials.checked_password(password, ("Daniel", "Hall", "Ashgrove School"))


async def test_a_one_time_link_works_once_and_ends_every_session(school: Running) -> None:
    before = await school.signed_in("teacher")
    async with school.database.writing() as session:
        token = await commands.make_reset(session, await _headteacher(school, session), school.person("teacher"),
                                          school.clock.now())
    async with school.client() as client:
        assert "12 characters" in (await client.get(f"/reset/{token}")).text
        assert (await client.post(f"/reset/{token}", data={"password": "tooshort"})).status_code == 422
        assert (await client.post(f"/reset/{token}", data={"password": GOOD})).status_code == 303
        assert (await client.get("/account")).status_code == 200
        assert (await client.post(f"/reset/{token}", data={"password": GOOD + "2"})).status_code == 404
    assert (await before.get("/account")).status_code == 303


async def test_a_one_time_link_ends_after_three_days_and_when_another_is_made(school: Running) -> None:
    tokens = []
    for _ in range(2):
        async with school.database.writing() as session:
            tokens.append(await commands.make_reset(session, await _headteacher(school, session), school.person("teacher"),
                                                    school.clock.now()))
    async with school.client() as client:
        assert (await client.get(f"/reset/{tokens[0]}")).status_code == 404
        assert (await client.get(f"/reset/{tokens[1]}")).status_code == 200
        school.clock.advance(timedelta(days=3).total_seconds())
        assert (await client.get(f"/reset/{tokens[1]}")).status_code == 404


@pytest.mark.parametrize(("by", "to", "may"), [
    ("office", "teacher", True), ("technician", "teacher", True), ("headteacher", "dsl", True), ("dsl", "headteacher", False),
    ("technician", "dsl", False), ("office", "headteacher", False), ("office", "chair", False), ("office", "office", False),
])
async def test_only_a_leader_makes_a_link_for_people_with_power_and_nobody_for_themselves(
        school: Running, by: str, to: str, may: bool) -> None:
    who = await actor(school, by)
    async with school.client(await school.cookie(who.person_id)) as client:
        answer = await client.post(f"/people/{school.person(to)}/reset")
    assert (answer.status_code == 200) == may


async def test_changing_a_password_needs_the_old_one_and_ends_the_other_sessions(school: Running) -> None:
    email = await with_password(school)
    async with school.client() as here, school.client() as elsewhere:
        await try_password(here, email, GOOD)
        await try_password(elsewhere, email, GOOD)
        refused = await here.post("/account/password", data={"old": "wrong", "password": "walnut kettle harbour"})
        assert "This is not your password" in refused.text
        assert (await here.post("/account/password", data={"old": GOOD, "password": "walnut kettle harbour"})).status_code == 303
        assert (await here.get("/account")).status_code == 200
        assert (await elsewhere.get("/account")).status_code == 303


async def test_no_write_transaction_is_open_while_a_password_is_hashed(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    email = await with_password(school)
    passwords = school.app.state.passwords
    fits = passwords.fits

    async def writes_meanwhile(kept: str | None, password: str) -> bool:
        async with asyncio.timeout(1), school.database.writing() as session:
            await session.get(Password, "nobody")
        return await fits(kept, password)

    monkeypatch.setattr(passwords, "fits", writes_meanwhile)
    async with school.client() as client:
        assert (await try_password(client, email, GOOD)).status_code == 303


async def test_when_too_many_sign_in_at_once_the_next_is_told_to_come_back() -> None:
    passwords = hashing.Passwords(at_once=1, waiting=2)
    outcomes = await asyncio.gather(*(passwords.hash(GOOD) for _ in range(5)), return_exceptions=True)
    assert [isinstance(outcome, hashing.Busy) for outcome in outcomes] == [False, False, True, True, True]
    assert await passwords.fits(str(outcomes[0]), GOOD)


async def test_every_sign_in_refusal_and_sign_out_is_in_the_audit(school: Running) -> None:
    email = await with_password(school)
    async with school.client() as client:
        await try_password(client, email, "wrong")
        await try_password(client, email, GOOD)
        await client.post("/sign-out")
    assert await entries(school, "SignInRefused") == 1
    assert await entries(school, "PasswordSet") == 1
    assert await entries(school, "SignedOut") == 1


# -- badges -----------------------------------------------------------------------------------------------------------

ONE_FIELD = re.compile(r'name="ticket" value="([^"]+)"')


async def scan(client: httpx.AsyncClient, code: str) -> httpx.Response:
    return await client.post("/sign-in/badge", data={"code": code})


async def enter_pin(client: httpx.AsyncClient, scanned: httpx.Response, pin: str) -> httpx.Response:
    found = ONE_FIELD.search(scanned.text)
    assert found
    parts = pin.split() if " " in pin else [pin]
    given = {f"pin{number}": part for number, part in enumerate(parts, start=1)}
    return await client.post("/sign-in/pin/check", data={"ticket": found[1], **given})


async def test_a_pupil_signs_in_with_badge_and_pin(school: Running) -> None:
    badge = await with_badge(school)
    async with school.client() as client:
        scanned = await scan(client, badge.code)
        assert f"Are you {badge.name}?" in scanned.text
        ticket = ONE_FIELD.search(scanned.text)
        assert ticket
        asked = await client.post("/sign-in/pin", data={"ticket": ticket[1]})
        assert "Your secret PIN" in asked.text
        assert (await enter_pin(client, asked, badge.pin)).status_code == 303
        assert (await client.get("/account")).status_code == 200


@pytest.mark.parametrize("typed", [str.lower, lambda code: code.replace("-", " "),
                                   lambda code: code.replace("0", "o").replace("1", "l")])
async def test_a_code_may_be_typed_as_it_is_read(school: Running, typed: Callable[[str], str]) -> None:
    badge = await with_badge(school)
    async with school.client() as client:
        assert f"Are you {badge.name}?" in (await scan(client, typed(badge.code))).text


async def test_before_the_pin_no_page_names_the_school_or_a_surname(school: Running) -> None:
    badge = await with_badge(school)
    async with school.database.reading() as session:
        row = await session.get_one(Person, badge.person_id)
        name = (await queries.school(session, row.school_id)).name
    async with school.client() as client:
        pages = [await client.get("/sign-in/badge"), await scan(client, badge.code)]
        ticket = ONE_FIELD.search(pages[1].text)
        assert ticket
        pages.append(await client.post("/sign-in/pin", data={"ticket": ticket[1]}))
    for page in pages:
        assert name not in page.text
        assert row.family_name not in page.text


async def test_a_badge_is_taken_where_another_pupil_is_still_signed_in(school: Running) -> None:
    badge = await with_badge(school, 1)
    async with await school.signed_in("pupil") as client:
        assert (await client.get("/sign-in/badge")).status_code == 200
        asked = await client.post("/sign-in/pin", data={"ticket": ONE_FIELD.search((await scan(client, badge.code)).text)[1]})  # type: ignore[index]
        assert (await enter_pin(client, asked, badge.pin)).status_code == 303


async def test_the_youngest_have_pictures_that_are_radios_with_names(school: Running) -> None:
    positions = range(24)
    badges = [await with_badge(school, position) for position in positions]
    young = next(badge for badge in badges if badge.pin_kind == "pictures")
    old = next(badge for badge in badges if badge.pin_kind == "numbers")
    assert len(young.pin.split()) == 3
    assert set(young.pin.split()) <= set(credentials.PICTURES)
    assert re.fullmatch(r"\d{6}", old.pin)
    async with school.client() as client:
        ticket = ONE_FIELD.search((await scan(client, young.code)).text)
        assert ticket
        page = await client.post("/sign-in/pin", data={"ticket": ticket[1]})
        assert page.text.count('type="radio"') == 36
        assert (await enter_pin(client, page, young.pin)).status_code == 303


async def test_five_wrong_pins_close_the_badge_until_the_office_opens_it(school: Running) -> None:
    badge = await with_badge(school)
    wrong = "sun sun sun" if badge.pin_kind == "pictures" and badge.pin != "sun sun sun" else "000000"
    async with school.client() as client:
        scanned = await scan(client, badge.code)
        for _ in range(4):
            assert "That is not right. Have another go." in (await enter_pin(client, scanned, wrong)).text
        assert "stop there. Ask your grown-up to ring school." in (await enter_pin(client, scanned, wrong)).text
        assert (await enter_pin(client, scanned, badge.pin)).status_code == 403
        assert (await scan(client, badge.code)).status_code == 403
        async with school.database.writing() as session:
            office = await queries.actor(session, school.person("office"))
            assert office
            await commands.unlock_badge(session, office, badge.person_id)
        assert (await enter_pin(client, await scan(client, badge.code), badge.pin)).status_code == 303


async def test_guessing_with_many_devices_at_once_gains_nothing(school: Running) -> None:
    badge = await with_badge(school)
    state = school.app.state
    scanned = await sign_in.by_code(state, code=badge.code, address="192.0.2.1")

    async def guess(number: int) -> None:
        pin = ["sun", "sun", "sun"] if badge.pin_kind == "pictures" else [f"{number:06}"]
        await sign_in.by_pin(state, ticket=scanned.ticket, pin=pin, address=f"192.0.2.{number}")

    await asyncio.gather(*(guess(number) for number in range(30)), return_exceptions=True)
    async with school.database.reading() as session:
        kept = (await session.exec(select(Badge).where(Badge.person_id == badge.person_id))).one()
    assert kept.failures == credentials.PIN_TRIES
    assert await entries(school, "SignInRefused") == credentials.PIN_TRIES


async def test_a_new_badge_ends_the_old_one_and_signs_its_user_out(school: Running) -> None:
    old = await with_badge(school)
    async with school.client() as client:
        await enter_pin(client, await scan(client, old.code), old.pin)
        assert (await client.get("/account")).status_code == 200
        new = await with_badge(school)
        assert (await client.get("/account")).status_code == 303
        assert "That is not right. Have another go." in (await scan(client, old.code)).text
        assert (await enter_pin(client, await scan(client, new.code), new.pin)).status_code == 303


async def test_a_pupil_is_in_one_place(school: Running) -> None:
    badge = await with_badge(school)
    async with school.client() as tablet, school.client() as laptop:
        await enter_pin(tablet, await scan(tablet, badge.code), badge.pin)
        await enter_pin(laptop, await scan(laptop, badge.code), badge.pin)
        assert (await laptop.get("/account")).status_code == 200
        assert (await tablet.get("/account")).status_code == 303


async def test_a_badge_stops_when_its_pupil_leaves(school: Running) -> None:
    badge = await with_badge(school)
    async with school.client() as client:
        await enter_pin(client, await scan(client, badge.code), badge.pin)
        async with school.database.writing() as session:
            await commands.leave(session, await _headteacher(school, session), badge.person_id, school.clock.now())
        assert (await client.get("/account")).status_code == 303
        assert (await scan(client, badge.code)).status_code == 422


async def test_a_forged_or_old_ticket_opens_nothing(school: Running) -> None:
    badge = await with_badge(school)
    async with school.client() as client:
        scanned = await scan(client, badge.code)
        ticket = ONE_FIELD.search(scanned.text)
        assert ticket
        badge_id, until, mac = ticket[1].split(".")
        for forged in (f"{badge_id}.{int(until) + 600}.{mac}", f"{badge_id}.{until}.{'0' * 64}", "x", "", f"{badge_id}.²³.{mac}"):
            answer = await client.post("/sign-in/pin/check", data={"ticket": forged, "pin1": badge.pin})
            assert "Scan your badge again" in answer.text, forged
        school.clock.advance(sign_in.TICKET_SECONDS)
        assert "Scan your badge again" in (await enter_pin(client, scanned, badge.pin)).text


async def test_the_adult_who_teaches_a_pupil_cannot_make_their_badge(school: Running) -> None:
    """Threat T3: with a pupil's badge, a teacher could be the second child in their own room."""
    teacher = await actor(school, "teacher")
    as_office = Actor(teacher.person_id, teacher.school_id, teacher.roles | {commands.Role.OFFICE})
    with pytest.raises(commands.IsTheirTeacher):
        async with school.database.writing() as session:
            await commands.issue_badge(session, as_office, school.person("pupil"), school.app.state.pepper, school.clock.now())
    assert (await with_badge(school)).code  # the control: somebody else in the office can


async def test_an_adult_on_a_lesson_cannot_make_a_badge_for_its_pupils(school: Running) -> None:
    """Threat T3 again, for cover and second adults, who teach none of the pupil's classes."""
    office = await actor(school, "office")
    lesson = school.lesson()
    pupil = lesson["pupil_ids"][0]
    async with school.database.writing() as session:
        session.add(LessonAdult(lesson_id=lesson["id"], person_id=office.person_id, school_id=office.school_id, part="cover"))
    with pytest.raises(commands.IsTheirTeacher):
        async with school.database.writing() as session:
            await commands.issue_badge(session, office, pupil, school.app.state.pepper, school.clock.now())
    async with school.database.reading() as session:
        assert (await session.exec(select(Badge).where(Badge.person_id == pupil))).all() == []


async def test_pupils_sign_in_while_school_is_open_and_a_little_before(school: Running) -> None:
    badge = await with_badge(school)
    async with school.database.writing() as session:
        row = await session.get_one(queries.School, (await session.get_one(Person, badge.person_id)).school_id)
        row.opens_at, row.closes_at = "08:30", "16:00"
    async with school.client() as client:
        for hour, minute, may in ((8, 14, False), (8, 15, True), (15, 59, True), (16, 1, False)):
            school.clock.set(school.clock.now().replace(hour=hour, minute=minute))
            answer = await scan(client, badge.code)
            assert (answer.status_code == 200) == may, (hour, minute)
            assert may or "You can sign in from 8:15am" in answer.text


async def test_nothing_kept_of_a_badge_opens_it_without_the_key(school: Running) -> None:
    badge = await with_badge(school)
    async with school.database.reading() as session:
        kept = (await session.exec(select(Badge).where(Badge.person_id == badge.person_id))).one()
    other = hashing.Pepper(b"another key of thirty-two bytes!")
    assert other.code(credentials.normal_code(badge.code)) != kept.secret_hash
    assert other.pin(kept.id, badge.pin) != kept.pin_hash
    assert badge.pin not in kept.pin_hash


# -- time-outs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "minutes"), [("teacher", 15), ("pupil", 20), ("parent", 5)])
async def test_doing_nothing_for_long_signs_out(school: Running, role: str, minutes: int) -> None:
    client = await school.signed_in(role)
    school.clock.advance(minutes * 60 - 1)
    assert (await client.get("/account")).status_code == 200
    school.clock.advance(minutes * 60)
    assert (await client.get("/account")).status_code == 303
    assert "you did nothing for a while" in (await client.get("/sign-in")).text


async def test_a_page_asking_by_itself_is_not_activity(school: Running) -> None:
    client = await school.signed_in("teacher")
    asked = (await client.get("/session", headers={"chaperone-background": "1"})).json()
    assert asked == {"seconds_left": 900, "idle_minutes": 15}
    school.clock.advance(600)
    assert (await client.get("/session", headers={"chaperone-background": "1"})).json()["seconds_left"] == 300
    assert (await client.get("/session")).json()["seconds_left"] == 900
    school.clock.advance(899)
    assert (await client.get("/session", headers={"chaperone-background": "1"})).json()["seconds_left"] == 1
    school.clock.advance(1)
    asks = {"chaperone-background": "1", "accept": "application/json"}
    assert (await client.get("/session", headers=asks)).status_code == 401


@pytest.mark.parametrize(("role", "hours"), [("teacher", 12), ("pupil", 8)])
async def test_no_sign_in_outlasts_the_day(school: Running, role: str, hours: int) -> None:
    client = await school.signed_in(role)
    for _ in range(hours * 15):
        assert (await client.get("/account")).status_code == 200
        school.clock.advance(240)
    assert (await client.get("/account")).status_code == 303


async def test_sign_out_everywhere_ends_every_session(school: Running) -> None:
    here, elsewhere = await school.signed_in("teacher"), await school.signed_in("teacher")
    assert (await here.post("/account/sign-out-everywhere")).status_code == 303
    assert (await here.get("/account")).status_code == 303
    assert (await elsewhere.get("/account")).status_code == 303


async def test_a_cookie_is_for_this_site_only_and_scripts_cannot_read_it(school: Running) -> None:
    email = await with_password(school)
    async with school.client() as client:
        set_cookie = (await try_password(client, email, GOOD)).headers["set-cookie"].lower()
    assert "httponly" in set_cookie
    assert "samesite=lax" in set_cookie
    async with school.database.reading() as session:
        kept = (await session.exec(select(SignIn))).all()
    assert all(client.cookies[COOKIE] != row.token_hash for row in kept)


