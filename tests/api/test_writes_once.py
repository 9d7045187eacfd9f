"""Replaying any write is harmless, and two phones at once never lose an answer (issue 5, step 4)."""

import asyncio
import hashlib
from typing import Any

import pytest
from sqlmodel import SQLModel, func, select

from consent.tables import ConsentResponse
from mobile_api.once import ApiAnswer
from mobile_api.routes import described
from service.foundation.db import new_id
from service.people.tables import Person
from tests.one_to_one import approved_lesson
from tests.phones import NativePhone, born_on, parent_of, signed_in
from tests.push import Receiver
from tests.school import Running

GETTING_IN = {"open_invitation", "register_begin", "register_finish", "sign_in_begin", "sign_in_finish", "refresh_tokens"}
"""Have rules of their own: `test_phones`, `test_t20_refresh_tokens`."""


def writes() -> dict[str, tuple[str, str]]:
    return {one["operationId"]: (method.upper(), path.removeprefix("/api/v1"))
            for path, found in described()["paths"].items() for method, one in found.items()
            if method != "get" and one["operationId"] not in GETTING_IN}


async def counted(school: Running) -> dict[str, int]:
    """How many rows every table has: the audit's and the notices' too."""
    async with school.database.reading() as session:
        return {table.name: (await session.exec(select(func.count()).select_from(table))).one()
                for table in SQLModel.metadata.sorted_tables}


async def bodies(school: Running, phone: NativePhone, child: str, lesson_id: str) -> dict[str, tuple[dict[str, str], Any, str]]:
    """Of each write what fills its address, what is sent, and `If-Match`."""
    permissions = (await phone.ask("GET", f"/children/{child}/consent")).json()["permissions"]
    document = next(one["document_id"] for one in permissions if one["purpose"] == "chat")
    other = NativePhone(phone.client, passkey=phone.passkey, clock=phone.clock)
    await other.sign_in()
    agreement = (await phone.ask("GET", "/agreement")).json()["agreements"][0]["id"]
    message = (await phone.ask("GET", "/messages")).json()["entries"][0]["id"]
    one = (await phone.ask("GET", f"/children/{child}/one-to-ones")).json()["one_to_ones"][0]
    me = (await phone.ask("GET", "/me")).json()
    push = Receiver("https://fcm.googleapis.com/fcm/send/one").subscription
    tag = (await phone.ask("GET", f"/children/{child}/data")).headers["ETag"]
    return {
        "set_language": ({}, {"language": "cy"}, ""),
        "sign_agreement": ({}, {"agreement_id": agreement, "agree": True, "name": await full_name(school, me["id"])}, ""),
        "answer": ({"child_id": child}, {"purpose": "chat", "says_yes": False, "document_id": document, "responsibility": "yes"},
                   ""),
        "answer_one_to_one": ({"child_id": child, "lesson_id": lesson_id}, {
            "says_yes": True, "document_id": one["document_id"], "responsibility": "yes", "will_be_there": True}, ""),
        "set_data_limit": ({"child_id": child}, {"limit_mb": 500}, tag),
        "read_message": ({"message_id": message}, None, ""),
        "raise_concern": ({}, {"about": "this-app", "words": "It says too much", "reach": "app"}, ""),
        "turn_on_push": ({}, {"endpoint": push["endpoint"], "keys": {name: push[name] for name in ("p256dh", "auth")}}, ""),
        "turn_off_push": ({}, None, ""),
        "sign_out_phone": ({"phone_id": other.tokens["phone"]["id"]}, None, ""),
        "sign_out_other_phones": ({}, None, ""),
        "sign_out": ({}, None, ""),
    }


async def full_name(school: Running, person_id: str) -> str:
    async with school.database.reading() as session:
        person = await session.get_one(Person, person_id)
    return f"{person.given_name} {person.family_name}"


async def test_every_write_that_is_sent_again_answers_the_same_and_does_nothing(school: Running) -> None:
    async with approved_lesson(school, minutes_in=-60) as (lesson, _):
        child = lesson.pupil_ids[0]
        phone = await signed_in(school, child)
        given, done = await bodies(school, phone, child, lesson.id), 0
        assert given.keys() == writes().keys()
        for operation, (ids, body, tag) in given.items():
            method, path = writes()[operation]
            key, sent = new_id(), {"If-Match": tag} if tag else {}
            before = await counted(school)
            first = await phone.ask(method, path.format(**ids), body, key=key, headers=sent)
            assert first.status_code in (200, 201, 204), (operation, first.text)
            after = await counted(school)
            assert after["api_answer"] == before["api_answer"] + 1
            for _ in range(3):
                again = await phone.ask(method, path.format(**ids), body, key=key, headers=sent)
                if operation == "sign_out":
                    assert again.status_code == 401  # nobody is there any more
                else:
                    assert (again.status_code, again.content) == (first.status_code, first.content), operation
                    assert again.headers["Idempotency-Replayed"] == "true"
            assert await counted(school) == after, operation
            done += 1
        assert done == len(writes())


async def test_a_new_key_is_a_new_wish(school: Running) -> None:
    """Negative control: what is counted would change; a key for another wish is refused, and a write without one."""
    phone = await signed_in(school)
    worry = {"about": "this-app", "words": "It says too much", "reach": "app"}
    before = await counted(school)
    for key in ("one", "two"):
        assert (await phone.ask("POST", "/concerns", worry, key=key)).status_code == 201
    after = await counted(school)
    assert after["api_answer"] == before["api_answer"] + 2
    assert sum(after.values()) > sum(before.values()) + 2
    other = await phone.ask("POST", "/concerns", worry | {"words": "Another"}, key="one")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert (await phone.ask("POST", "/concerns", worry, headers={"Idempotency-Key": "a b"}, key="a b")).status_code == 422


async def test_what_is_kept_of_an_answer_says_nothing_to_who_holds_the_database(school: Running) -> None:
    phone, child = await signed_in(school), school.lesson()["pupil_ids"][0]
    tag = (await phone.ask("GET", f"/children/{child}/data")).headers["ETag"]
    path, body, sent = f"/children/{child}/data", {"limit_mb": 500}, {"If-Match": tag}
    told = await phone.ask("PUT", path, body, key="limit", headers=sent)
    assert told.json()["limit_mb"] == 500
    async with school.database.writing() as session:
        [row] = (await session.exec(select(ApiAnswer).where(ApiAnswer.key == "limit"))).all()
        assert told.text not in row.body
        assert "limit_mb" not in row.body
        bare = b"\0".join((b"PUT", f"/api/v1{path}".encode(), b"", b'{"limit_mb":500}'))
        assert row.request != hashlib.sha256(bare).hexdigest(), "a guess at what was sent cannot be tried"
    assert (await phone.ask("PUT", path, body, key="limit", headers=sent)).content == told.content, "its own phone is told again"
    async with school.database.writing() as session:
        other = (await session.exec(select(ApiAnswer).where(ApiAnswer.key == "limit"))).one()
        other.body = school.app.state.pepper.seal("api-answer", "another row", "{}")
    before = await counted(school)
    lost = await phone.ask("PUT", path, body, key="limit", headers=sent)
    assert (lost.status_code, lost.json()["code"]) == (409, "answer-lost")
    assert await counted(school) == before, "and done it was, once"


async def test_what_was_refused_may_be_sent_again_with_the_same_key(school: Running) -> None:
    phone = await signed_in(school)
    child = school.lesson()["pupil_ids"][0]
    assert (await phone.ask("PUT", f"/children/{child}/data", {"limit_mb": 500}, key="limit")).status_code == 428
    tag = (await phone.ask("GET", f"/children/{child}/data")).headers["ETag"]
    set_it = await phone.ask("PUT", f"/children/{child}/data", {"limit_mb": 500}, key="limit", headers={"If-Match": tag})
    assert set_it.status_code == 200
    late = await phone.ask("PUT", f"/children/{child}/data", {"limit_mb": 250}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "stale")


@pytest.mark.parametrize("keys", ["their own", "one and the same"])
async def test_two_phones_at_once_never_lose_an_answer(school: Running, keys: str) -> None:
    """Four purposes, two phones, each with its own word, all at one moment. With one key for all of a purpose (the control) the
    same counting finds half of them missing."""
    child = school.lesson()["pupil_ids"][0]
    await born_on(school, child)
    first = await signed_in(school, child)
    second = NativePhone(school.client(), passkey=first.passkey)
    assert (await second.sign_in()).status_code == 200
    await second.ask("GET", "/me")
    asked = (await first.ask("GET", f"/children/{child}/consent")).json()["permissions"]
    documents = {one["purpose"]: one["document_id"] for one in asked}
    parent = await parent_of(school, child)

    async def kept() -> list[ConsentResponse]:
        async with school.database.reading() as session:
            rows = (await session.exec(select(ConsentResponse).where(ConsentResponse.respondent_id == parent))).all()
        return [row for row in rows if row.route == "app"]

    async def say(phone: NativePhone, purpose: str) -> int:
        key = f"{purpose}" if keys == "one and the same" else new_id()
        wish = {"purpose": purpose, "says_yes": False, "document_id": documents[purpose], "responsibility": "yes"}
        return (await phone.ask("POST", f"/children/{child}/consent", wish, key=key)).status_code

    purposes = ("camera", "microphone", "chat", "photographs")
    answers = await asyncio.gather(*(say(phone, purpose) for purpose in purposes for phone in (first, second)))
    rows = await kept()
    assert set(answers) <= {200, 409}
    lost = answers.count(200) - len(rows)
    assert (len(rows), lost) == ((8, 0) if keys == "their own" else (4, answers.count(200) - 4))
    assert {row.purpose for row in rows} == set(purposes)
    assert len({row.phone_id for row in rows}) == 2 or keys == "one and the same"


async def test_of_a_yes_and_a_no_at_one_moment_the_no_holds(school: Running) -> None:
    child = school.lesson()["pupil_ids"][0]
    first = await signed_in(school, child, in_person=True)
    second = NativePhone(school.client(), passkey=first.passkey)
    await second.sign_in()
    await second.ask("GET", "/me")
    asked = (await first.ask("GET", f"/children/{child}/consent")).json()["permissions"]
    document = next(one["document_id"] for one in asked if one["purpose"] == "camera")

    async def say(phone: NativePhone, *, yes: bool) -> int:
        return (await phone.ask("POST", f"/children/{child}/consent", {
            "purpose": "camera", "says_yes": yes, "document_id": document, "responsibility": "yes"})).status_code

    assert await asyncio.gather(say(first, yes=False), say(second, yes=True)) == [200, 200]
    now = (await first.ask("GET", f"/children/{child}/consent")).json()["permissions"]
    assert next(one["answer"] for one in now if one["purpose"] == "camera") == "no"


async def test_a_no_declares_nothing_that_was_not_asked_and_a_yes_says_whose_it_is(school: Running) -> None:
    """Decision 234: an objection comes before the question of responsibility."""
    child = school.lesson()["pupil_ids"][0]
    phone = await signed_in(school, child, in_person=True)
    path = f"/children/{child}/consent"
    asked = (await phone.ask("GET", path)).json()["permissions"]
    document = next(one["document_id"] for one in asked if one["purpose"] == "camera")
    wish = {"purpose": "camera", "document_id": document}
    for nothing in ({}, {"responsibility": None}):
        said = await phone.ask("POST", path, wish | {"says_yes": False} | nothing)
        assert (said.status_code, said.json()["consent"]["responsibility"]) == (200, None)
    refused = await phone.ask("POST", path, wish | {"says_yes": True})
    assert refused.status_code == 422
    assert (await phone.ask("POST", path, wish | {"says_yes": True, "responsibility": "yes"})).status_code == 200
    school.clock.advance(1)
    again = await phone.ask("POST", path, wish | {"says_yes": False})
    assert again.json()["consent"]["responsibility"] == "yes", "what was declared before stays"
