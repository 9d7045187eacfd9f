"""What a parent is told of their answers: their own, and of others' nothing (policy: CO2; docs/decisions: 232)."""

import json
from typing import Any

from sqlmodel import select

from consent.rules import Purpose
from mobile_api.once import ApiAnswer, clear
from service.foundation.audit import AuditLeaf
from service.people.tables import Guardianship
from tests.features.test_consent_answers import answer, may, rows
from tests.phones import NativePhone, born_on, letter_for, signed_in
from tests.pwa.families import ASKED, Family, families
from tests.school import Running


async def documents(phone: NativePhone, child: str) -> dict[str, str]:
    found = (await phone.ask("GET", f"/children/{child}/consent")).json()
    return {one["purpose"]: one["document_id"] for one in found["permissions"]}


async def says(phone: NativePhone, child: str, purpose: str, document: str, *, yes: bool, key: str = "") -> Any:
    body = {"purpose": purpose, "says_yes": yes, "document_id": document, "responsibility": "yes"}
    reply = await phone.ask("POST", f"/children/{child}/consent", body, key=key)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def everything_she_could_say(school: Running, homes: list[Family]) -> list[list[str]]:
    """Of each home, what the mother is told of every answer, one at a time and back and forth; at the same moments, and without
    what is the child's own."""
    phones = [await signed_in(school, home.child_id, in_person=True) for home in homes]
    asked = [await documents(phone, home.child_id) for phone, home in zip(phones, homes, strict=True)]
    told: list[list[str]] = [[] for _ in homes]
    for purpose, yes in [(purpose, yes) for yes in (True, False, True) for purpose in reversed(ASKED)]:
        school.clock.advance(1)
        for home, phone, document, heard in zip(homes, phones, asked, told, strict=True):
            reply = json.dumps(await says(phone, home.child_id, purpose, document[purpose], yes=yes))
            heard.append(reply.replace(home.child_id, "id").replace(home.name, "Ali"))
    return told


async def test_no_answer_of_a_parent_and_no_change_of_it_tells_what_the_other_said(school: Running) -> None:
    """One mother's other parent is silent, the other's said no to a camera, to chat and to photographs."""
    silent, against = (await families(school, "5 Oak", 2))[:2]
    for purpose in (Purpose.CAMERA, Purpose.CHAT, Purpose.PHOTOGRAPHS):
        await answer(school, against.adults[1], against.child_id, False, purpose)
    alone, differing = await everything_she_could_say(school, [silent, against])
    assert alone == differing
    assert "Camera: you said yes." in alone[-1]
    assert "Ali can join." in alone[-1]
    assert "If two people who are asked answer differently, it is no" in alone[0]


async def test_of_a_no_to_live_lessons_the_other_parent_reads_what_every_lesson_shows_and_not_that_somebody_said_it(
        school: Running) -> None:
    """Whether it was live lessons or recording, and whatever she says to the rest, she reads one sentence."""
    lessons, recording = (await families(school, "5 Oak", 2))[:2]
    homes = [lessons, recording, (await families(school, "5 Oak", 1))[0]]
    await answer(school, lessons.adults[1], lessons.child_id, False, Purpose.ATTEND)
    await answer(school, recording.adults[1], recording.child_id, False, Purpose.BE_RECORDED)
    told = await everything_she_could_say(school, homes)
    assert told[0] == told[1]
    where = {"We do not have all the answers we need.", "Ali can join.", "Ali cannot join live lessons."}
    for kept_out, comes in zip(told[0], told[2], strict=True):
        here = {words for words in where if words in kept_out}, {words for words in where if words in comes}
        assert here in (({"We do not have all the answers we need."}, {"Ali can join."}),
                        ({"Ali cannot join live lessons."}, {"Ali cannot join live lessons."}))


async def test_a_parent_who_came_by_a_letter_reads_from_when_their_yes_counts_and_nothing_that_is_not_so(school: Running) -> None:
    """Their yes rests a day: nobody lacks an answer, and the office will not be in touch."""
    home = (await families(school, "5 Oak", 2))[0]
    async with school.database.writing() as session:  # the one who answered on paper has no say
        link = (await session.exec(select(Guardianship).where(
            Guardianship.child_id == home.child_id, Guardianship.guardian_id == home.adults[0]))).one()
        link.parental_responsibility = "no"
    phone, letter = NativePhone(school.client()), await letter_for(school, home.adults[1])
    await phone.accept(letter, letter.code, await born_on(school, home.child_id))
    asked = await documents(phone, home.child_id)
    for purpose in ASKED:
        reply = await says(phone, home.child_id, purpose, asked[purpose], yes=True)
    starts = "Your yes starts Wednesday 25 November, 10am. Until then nothing changes."
    assert [one["words"] for one in reply["follows"]] == [starts]
    joint = [(one["code"], one["words"]) for one in reply["consent"]["outcome"] if not one["purpose"]]
    assert [code for code, _ in joint] == ["starts-later", "several-asked"]
    assert joint[0][1] == starts
    assert not [one for one in reply["consent"]["permissions"] if one["needs_answer"] and one["purpose"] != "one_to_one"]
    school.clock.advance(24 * 3600)
    phone.clock = int(school.clock.now().timestamp())
    await phone.sign_in()
    now = (await phone.ask("GET", f"/children/{home.child_id}/consent")).json()["outcome"]
    assert "can-join" in {one["code"] for one in now}


async def test_an_answer_that_a_phone_sends_again_after_its_receipt_was_cleared_changes_nothing(school: Running) -> None:
    """The receipts of writes go after a day; the answer itself knows the wish it was (docs/decisions: 122)."""
    home = (await families(school, "5 Oak", 1))[0]
    phone = await signed_in(school, home.child_id, in_person=True)
    document = (await documents(phone, home.child_id))["chat"]
    await says(phone, home.child_id, "chat", document, yes=True, key="one")
    school.clock.advance(1)
    await says(phone, home.child_id, "chat", document, yes=False, key="two")
    school.clock.advance(25 * 3600)
    await clear(school.database, school.clock)
    async with school.database.reading() as session:
        assert (await session.exec(select(ApiAnswer))).all() == []
        before = len((await session.exec(select(AuditLeaf))).all())
    phone.clock = int(school.clock.now().timestamp())
    await phone.sign_in()
    await says(phone, home.child_id, "chat", document, yes=True, key="one")
    assert [row.answer for row in await rows(school, child_id=home.child_id, route="app")] == ["given", "withdrawn"]
    assert "chat" not in await may(school, home.child_id)
    async with school.database.reading() as session:
        kinds = (await session.exec(select(AuditLeaf.kind).offset(before))).all()
    assert not {kind for kind in kinds if kind.startswith("Consent")}, "nor is it told again"
    other = await phone.ask("POST", f"/children/{home.child_id}/consent", {
        "purpose": "chat", "says_yes": False, "document_id": document, "responsibility": "yes"}, key="two")
    assert other.status_code == 200
    refused = await phone.ask("POST", f"/children/{home.child_id}/consent", {
        "purpose": "chat", "says_yes": True, "document_id": document, "responsibility": "yes"}, key="two")
    assert refused.status_code == 422, "control: one key is one wish"
