"""Concerns: raised by anybody on staff, read by their circle, about an adult never by that adult, handed over whole."""

import io
import json
import re
import zipfile
from datetime import timedelta
from typing import Any

import httpx
import pyrage
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from service.app import addresses
from service.foundation.audit import AuditBody
from service.foundation.events import Actor
from service.foundation.web import COOKIE
from service.people import queries as people
from service.safeguarding import commands
from service.safeguarding.concerns import queries
from service.safeguarding.tables import Alert
from tests.proofs import confirmed_post
from tests.school import Running

SECRET = "Mr-Canary-was-shouted-at"
DAY = {"day": "24", "month": "11", "year": "2026"}
WHEN = DAY | {"said": SECRET, "done": "I listened", "about_adult": "no"}


async def who(school: Running, role: str) -> Actor:
    async with school.database.reading() as session:
        found = await people.actor(session, school.person(role))
    assert found is not None
    return found


async def raise_one(school: Running, role: str = "dsl", **more: Any) -> httpx.Response:
    child = {"child-1": school.person("pupil"), "part-1": "harmed"}
    async with await school.signed_in(role) as client:
        return await client.post("/concerns/new", data=WHEN | child | {"categories": "online"} | more)


async def number(school: Running, **more: Any) -> str:
    answer = await raise_one(school, **more)
    assert answer.status_code == 303, re.findall(r"error-message[^<]*<[^<]*<[^<]*", answer.text)
    return answer.headers["location"].rpartition("/")[2]


async def add(school: Running, concern: str, kind: str, role: str = "dsl", **fields: str) -> httpx.Response:
    async with await school.signed_in(role) as client:
        return await client.post(f"/concerns/{concern}/entries", data={"kind": kind, **fields})


async def read(school: Running, path: str, role: str = "dsl") -> httpx.Response:
    async with await school.signed_in(role) as client:
        return await client.get(path)


async def test_a_teacher_raises_one_the_dsl_is_called_and_the_teacher_cannot_open_it_again(school: Running) -> None:
    sent = await raise_one(school, "teacher")
    assert "It is with the safeguarding team now." in sent.text
    async with school.database.reading() as session:
        dsl = await who(school, "dsl")
        [row] = await queries.listing(session, dsl, school.clock.now().date())
        [alert] = (await session.exec(select(Alert).where(Alert.kind == "concern"))).all()
    assert (await read(school, f"/concerns/{row.number}", "teacher")).status_code == 404
    assert SECRET in (await read(school, f"/concerns/{row.number}")).text
    assert row.number in (await read(school, f"/safeguarding/{alert.id}")).text
    assert (await read(school, "/banners?wait=false")).json()["banners"] != []


@pytest.mark.parametrize(("role", "calls"), [("deputy_dsl", 1), ("dsl", 0)])
async def test_the_dsl_is_told_at_once_of_what_a_deputy_wrote_down(school: Running, role: str, calls: int) -> None:
    await number(school, role=role)
    async with school.database.reading() as session:
        found = (await session.exec(select(Alert).where(Alert.kind == "concern"))).all()
    assert [alert.routed_to for alert in found] == ["dsl"] * calls
    assert len((await read(school, "/banners?wait=false")).json()["banners"]) == calls


async def test_every_part_of_a_concern_is_added_and_stands(school: Running) -> None:
    one = await number(school)
    for kind, fields in (
        ("note", {"words": "Spoke to Ms Lin"}), ("child", {"child_id": school.person("pupil", 1), "part": "saw"}),
        ("category", {"words": "peer"}), ("action", {"words": "Ring home", "person_id": school.person("deputy_dsl"), **DAY}),
        ("referral", {"agency": "Social care", "reference": "SC-1", **DAY}), ("case-number", {"reference": "CP-77"}),
        ("parents-not-told", {"words": "It may add risk"}),
    ):
        assert (await add(school, one, kind, **fields)).status_code == 303, kind
    page = (await read(school, f"/concerns/{one}")).text
    for words in ("Spoke to Ms Lin", "Saw it", "Between children", "Ring home", "SC-1", "CP-77", "It may add risk"):
        assert words in page, words


async def test_it_closes_when_everything_is_done(school: Running) -> None:
    one = await number(school)
    await add(school, one, "action", words="Ring home", person_id=school.person("dsl"), **DAY)
    assert (await add(school, one, "closed", words="Over")).status_code == 409
    page = (await read(school, f"/concerns/{one}")).text
    [action] = re.findall(r'name="of_entry" value="([0-9a-f]{32})"', page)
    await add(school, one, "action-done", of_entry=action)
    assert (await add(school, one, "closed", words="Over")).status_code == 303
    assert one in (await read(school, "/concerns?closed=true")).text
    assert one not in (await read(school, "/concerns")).text


async def test_a_refused_form_comes_back_with_what_was_typed(school: Running) -> None:
    async with await school.signed_in("dsl") as client:
        answer = await client.post("/concerns/new", data=WHEN | {"about_adult": ""})
    assert answer.status_code == 422
    assert SECRET in answer.text
    assert "Say whether it is about an adult who works here" in answer.text


async def test_numbers_are_drawn_by_lot_and_tell_nobody_how_many_there_are(school: Running) -> None:
    found = [await number(school) for _ in range(4)]
    counted = [int(each.rpartition("-")[2]) for each in found]
    assert all(re.fullmatch(r"C-2026-\d{4}", each) for each in found)
    assert counted != list(range(counted[0], counted[0] + 4))


async def test_search_finds_a_pupil_or_a_number_within_the_circle(school: Running) -> None:
    one = await number(school)
    name = (await who(school, "pupil")).name
    assert one in (await read(school, f"/concerns?q={name}")).text
    assert one in (await read(school, f"/concerns?q={one}")).text
    assert one not in (await read(school, f"/concerns?q={name}", "headteacher")).text


async def test_the_number_is_a_reason_to_watch_for_those_who_may_read_it_alone(school: Running) -> None:
    one = await number(school)
    async with school.database.reading() as session:
        answers = {role: await queries.concern_exists_for(session, await who(school, role), one)
                   for role in ("dsl", "deputy_dsl", "headteacher", "teacher")}
        assert not await queries.concern_exists_for(session, await who(school, "dsl"), "C-2026-99999")
    assert answers == {"dsl": True, "deputy_dsl": True, "headteacher": False, "teacher": False}


# About an adult who works here


async def test_about_an_adult_it_moves_to_the_headteacher_and_out_of_the_dsls_sight(school: Running) -> None:
    one, teacher = await number(school), school.person("teacher")
    async with await school.signed_in("dsl") as client:
        moved = await client.post(f"/concerns/{one}/about", data={"about_adult": "yes", "about_id": teacher})
        assert "This now goes to the headteacher only. Daniel Hall will not see it, its count or its log." in moved.text
        assert (await client.get(f"/concerns/{one}")).status_code == 404
    async with await school.signed_in("headteacher") as client:
        await client.post("/concerns/officer", data={"name": "LADO team", "telephone": "01632 960999"})
        page = (await client.get(f"/concerns/{one}")).text
    assert "01632 960999" in page
    assert "Who may watch the recording" in page
    assert (await add(school, one, "authority", "headteacher", words="Jo Poe", **DAY)).status_code == 303
    assert (await add(school, one, "watcher", "headteacher", person_id=teacher)).status_code == 422
    assert (await add(school, one, "watcher", "headteacher", person_id=school.person("deputy_dsl"))).status_code == 303


async def test_about_the_headteacher_it_goes_to_the_chair(school: Running) -> None:
    one = await number(school)
    async with await school.signed_in("dsl") as client:
        await client.post(f"/concerns/{one}/about", data={"about_adult": "yes", "about_id": school.person("headteacher")})
    assert (await read(school, f"/concerns/{one}", "headteacher")).status_code == 404
    assert (await read(school, f"/concerns/{one}", "chair")).status_code == 200


@pytest.mark.parametrize("is_closed", [False, True])
async def test_found_to_be_about_who_took_its_alert_both_are_out_of_their_sight(school: Running, is_closed: bool) -> None:
    """A teacher raised it, the deputy took the call, and the DSL reads that it is about the deputy."""
    await raise_one(school, "teacher")
    async with school.database.reading() as session:
        [alert] = (await session.exec(select(Alert).where(Alert.kind == "concern"))).all()
        [row] = await queries.listing(session, await who(school, "dsl"), school.clock.now().date())
    async with await school.signed_in("deputy_dsl") as client:
        await client.post(f"/safeguarding/{alert.id}/take")
        if is_closed:
            await client.post(f"/safeguarding/{alert.id}/notes", data={"words": "Read", "outcome": "noted", "close": "yes"})
        assert (await client.get(f"/concerns/{row.number}")).status_code == 200, "the control"
    async with await school.signed_in("dsl") as client:
        await client.post(f"/concerns/{row.number}/about", data={"about_adult": "yes", "about_id": school.person("deputy_dsl")})
    for each in ("deputy_dsl", "dsl"):
        assert (await read(school, f"/concerns/{row.number}", each)).status_code == 404
        assert (await read(school, f"/safeguarding/{alert.id}", each)).status_code == 404
        for tab in ("new", "mine", "waiting", "closed"):
            assert alert.id not in (await read(school, f"/safeguarding?tab={tab}", each)).text
    assert row.number in (await read(school, f"/safeguarding/{alert.id}", "headteacher")).text
    async with school.database.reading() as session:
        [moved] = (await session.exec(select(Alert).where(Alert.kind == "concern"))).all()
    assert (moved.id, moved.routed_to, moved.taken_by, moved.closed_at) == (alert.id, "headteacher", "", None)


async def test_moved_on_to_the_chair_it_is_out_of_the_sight_of_the_headteacher_who_took_its_alert(school: Running) -> None:
    await raise_one(school, "teacher", about_adult="yes")
    async with school.database.reading() as session:
        [alert] = (await session.exec(select(Alert).where(Alert.kind == "concern"))).all()
        [row] = await queries.listing(session, await who(school, "headteacher"), school.clock.now().date())
    async with await school.signed_in("headteacher") as client:
        await client.post(f"/safeguarding/{alert.id}/take")
        await client.post(f"/concerns/{row.number}/about", data={"about_adult": "yes", "about_id": school.person("headteacher")})
        assert (await client.get(f"/concerns/{row.number}")).status_code == 404
        assert (await client.get(f"/safeguarding/{alert.id}")).status_code == 404
    assert row.number in (await read(school, f"/safeguarding/{alert.id}", "chair")).text


async def everything(school: Running, client: httpx.AsyncClient, ids: dict[str, list[str]]) -> dict[str, tuple[int, str]]:
    """Every page that a person can ask for, with every id that there is: its status and its text."""
    found: dict[str, tuple[int, str]] = {}
    for method, path, _ in addresses():
        names = re.findall(r"{([a-z_]+)}", path)
        if method != "GET" or path in SKIPPED or len(names) > 1:
            continue
        for value in ids.get(names[0], ids["any"]) if names else [""]:
            asked = path.replace("{" + names[0] + "}", value) if names else path
            answer = await client.get(asked, params={"wait": "false"} if path == "/banners" else None)
            found[asked] = answer.status_code, re.sub(r'value="[0-9a-f]{64}"', "", answer.text)
    for path in ("/safeguarding?tab=mine", "/safeguarding?tab=waiting", "/safeguarding?tab=closed", "/concerns?closed=true",
                 "/safeguarding/rows?tab=waiting"):
        answer = await client.get(path)
        found[path] = answer.status_code, answer.text
    return found


SKIPPED = {"/metrics", "/sign-in", "/sign-out", "/demo/mail", "/lessons/{lesson_id}/calendar.ics"}
"""Pages that count requests, end the session, or list every mail of the demo."""


@pytest.mark.parametrize(("role", "receiver"), [("dsl", "headteacher"), ("headteacher", "chair")])
async def test_whom_it_is_about_finds_no_trace_of_it_on_any_page(school: Running, role: str, receiver: str) -> None:
    lesson = school.lesson()["id"]
    subject, child = school.person(role), school.person("pupil")
    cookies = {each: await school.cookie(school.person(each)) for each in (role, receiver)}
    ids = {"lesson_id": [lesson], "person_id": [subject, child], "any": [lesson]}

    async def look(each: str, more: list[str]) -> dict[str, tuple[int, str]]:
        async with school.client(cookies[each]) as client:
            client.cookies.set(COOKIE, cookies[each])
            return await everything(school, client, ids | {"alert_id": more, "number": more})

    await school.cookie(school.person("teacher"))  # who has not signed in for a year is counted on a page
    before = {each: await look(each, []) for each in cookies}
    await raise_one(school, "teacher", about_adult="yes", about_id=subject, lesson=lesson)
    async with school.database.reading() as session:
        [alert] = (await session.exec(select(Alert).where(Alert.kind == "concern"))).all()
        [row] = await queries.listing(session, await who(school, receiver), school.clock.now().date())
    after = {each: await look(each, []) for each in cookies}
    changed = {each: [path for path in after[each] if after[each][path] != before[each].get(path)] for each in cookies}
    assert changed[role] == [], "lists, counts, banners, pages: as if it did not exist"
    assert "/concerns" in changed[receiver], "the control: whose it is does see it"
    hidden = await look(role, [alert.id, row.number])
    texts = {path: text for path, (_, text) in hidden.items()}
    for canary in (SECRET, row.number):
        asked_for = {path for path in texts if alert.id in path or row.number in path}
        assert [path for path, page in texts.items() if canary in page and path not in asked_for] == []
    assert {hidden[f"/concerns/{row.number}"][0], hidden[f"/safeguarding/{alert.id}"][0]} == {404}
    async with school.client(cookies[role]) as client:
        missing = await client.get("/concerns/C-2026-00000")
    assert missing.text == hidden[f"/concerns/{row.number}"][1], "the same words as for what does not exist"


async def test_an_adult_of_the_lesson_cannot_read_a_concern_that_came_from_it(school: Running) -> None:
    """Not even the DSL, when the DSL was in it."""
    child = await who(school, "pupil")
    async with school.database.writing() as session:
        alert = await commands.raise_alert(session, child, kind="worry", present=(school.person("dsl"),), now=school.clock.now())
    async with await school.signed_in("deputy_dsl") as client:
        await client.post(f"/safeguarding/{alert}/take")
        made = await client.post("/concerns/new", data=WHEN | {"alert": alert, "by_name": "Ali"})
        one = made.headers["location"].rpartition("/")[2]
        done = {"words": "Recorded", "outcome": "concern", "close": "yes"}
        assert (await client.post(f"/safeguarding/{alert}/notes", data=done)).status_code == 303
    assert (await read(school, f"/concerns/{one}")).status_code == 404


async def test_nothing_written_in_a_concern_is_in_the_audit(school: Running) -> None:
    await number(school)
    async with school.database.reading() as session:
        bodies = (await session.exec(select(AuditBody.body))).all()
    assert not [body for body in bodies if SECRET in body]


# Append-only


FROZEN = (
    "UPDATE concern_entry SET words = 'x'", "DELETE FROM concern_entry", "DELETE FROM concern", "UPDATE concern SET number = 'x'",
    "DELETE FROM concern_barred", "UPDATE concern SET routed_to = 'dsl'",
)


@pytest.mark.parametrize("statement", FROZEN)
async def test_the_database_itself_refuses_to_change_what_was_written_or_bring_it_back_into_sight(
    school: Running, statement: str,
) -> None:
    await raise_one(school, "teacher", about_adult="yes", about_id=school.person("dsl"))
    with pytest.raises(DBAPIError, match=r"append-only|stays|back into sight"):
        async with school.database.writing() as session:
            await (await session.connection()).execute(text(statement))


async def test_moving_it_on_is_what_the_database_allows(school: Running) -> None:
    """The control of the test before."""
    await number(school)
    async with school.database.writing() as session:
        await (await session.connection()).execute(text("UPDATE concern SET routed_to = 'headteacher', about_staff = true"))


# The file


async def ask_export(school: Running, one: str, key: str) -> str:
    async with await school.signed_in("dsl") as client:
        await client.post(f"/concerns/{one}/export", data={"receiver": "Sam Lee", "organisation": "Social care", "key": key})
    async with school.database.reading() as session:
        return (await queries.concern(session, await who(school, "dsl"), one)).exports[0].id


async def test_a_file_needs_a_second_look_and_opens_for_its_receiver_alone(school: Running) -> None:
    one, receiver = await number(school), pyrage.x25519.Identity.generate()
    export = await ask_export(school, one, str(receiver.to_public()))
    path = f"/concerns/{one}/exports/{export}"
    async with await school.signed_in("dsl") as dsl, await school.signed_in("deputy_dsl") as deputy:
        assert (await dsl.post(f"{path}/file")).status_code == 422, "nobody looked yet"
        assert "a colleague looks at it" in (await dsl.post(f"{path}/agree")).text
        agreed = await confirmed_post(school, deputy, school.person("deputy_dsl"), f"{path}/agree", {})
        assert agreed.status_code == 303
        await add(school, one, "note", words="Written-after-the-look")
        file = await confirmed_post(school, dsl, school.person("dsl"), f"{path}/file", {})
    assert file.headers["content-disposition"] == f'attachment; filename="{one}.zip.age"'
    inside = zipfile.ZipFile(io.BytesIO(pyrage.decrypt(file.content, [receiver])))
    record = json.loads(inside.read("record.json"))
    words = [entry["text"] for entry in record["chronology"]]
    assert SECRET in words
    assert "Written-after-the-look" not in words
    assert "File made" in (await read(school, f"/concerns/{one}")).text
    school.clock.advance(timedelta(days=8).total_seconds())
    async with await school.signed_in("dsl") as dsl:
        assert "Ask again" in (await dsl.post(f"{path}/file")).text
