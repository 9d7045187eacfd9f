"""Guests: asked for by one, approved by another, in their lessons only, and out at once (policy: AC7)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlmodel import select

from lessons import roster as rosters
from lessons.live import events as ev
from lessons.live import reading
from lessons.live.plan import Person, Role
from lessons.live.supervision import Kind
from service.foundation.audit import AuditLeaf
from service.people.tables import PersonRole
from tests.guests import asked, form, invited
from tests.proofs import confirmed_post
from tests.room.pages import Lesson, Page
from tests.school import Running, seen


async def on_the_roster(school: Running, guest_id: str, lesson_id: str = "") -> Person | None:
    async with school.database.reading() as session:
        roster = await rosters.roster(session, lesson_id or school.lesson()["id"])
        return (await reading.plan(session, roster)).people.get(guest_id)


# -- asking and deciding ----------------------------------------------------------------------------------------------------


async def test_a_guest_is_asked_for_by_a_sponsor_approved_by_a_leader_and_comes_by_a_one_time_link(school: Running) -> None:
    lesson = school.lesson()["id"]
    guest = await asked(school, lesson)
    assert "Ask for a guest" in (await guest.sponsor.get(f"/lessons/{lesson}?planned=1")).text
    assert await on_the_roster(school, guest.guest_id) is None, "asking lets nobody in"
    assert "not approved" in (await guest.sponsor.post(f"{guest.page}/link")).text
    leader = await school.signed_in("headteacher")
    assert "Mr Hall" in (await leader.get("/guests")).text
    assert f'href="{guest.page}"' in (await leader.get("/lessons/waiting")).text
    assert (await guest.approve()).status_code == 303
    person = await on_the_roster(school, guest.guest_id)
    assert person is not None
    assert not person.may.attend, "the agreement is not signed yet"
    client = school.client()
    link = await guest.link()
    for _ in range(2):
        assert "You are a guest of Mr Hall" in (await client.get(link)).text
    assert (await client.post(link)).headers["location"] == "/guest"
    assert (await client.get("/guest")).headers["location"] == "/agreement?next=/guest"
    shown = seen(await client.get("/agreement"))
    signed = await client.post("/agreement", data={"agree": "yes", "name": "Mia Lind", "seen": shown})
    assert signed.status_code == 303
    page = await client.get("/guest")
    assert all(words in page.text for words in ("You are a guest of Mr Hall", "Talks about bridges"))
    person = await on_the_roster(school, guest.guest_id)
    assert person is not None
    assert (person.kind, person.role, person.cleared, person.may.attend) == (Kind.GUEST, Role.GUEST, False, True)
    assert (person.may.moderate, person.may.screen, person.may.stop, person.protects) == (False, False, False, False)
    assert (await client.get(f"/lessons/{lesson}")).status_code == 200
    async with school.database.reading() as session:
        kinds = (await session.exec(select(AuditLeaf.kind).where(AuditLeaf.kind.like("Guest%")).order_by(AuditLeaf.seq))).all()
    assert list(kinds) == ["GuestAsked", "GuestApproved", "GuestLinkMade"]


async def test_a_link_works_once_and_not_after_its_time_or_its_visit(school: Running) -> None:
    guest = await invited(school, school.lesson()["id"])
    first, second = await guest.link(), await guest.link()
    assert (await school.client().post(first)).status_code == 404, "a newer link stops the older"
    assert (await school.client().post(second)).status_code == 303
    assert (await school.client().post(second)).status_code == 404
    third = await guest.link()
    await guest.end()
    assert (await school.client().get(third)).status_code == 404
    assert (await school.client().post(third)).status_code == 404
    assert "Page not found" in (await school.client().get("/guest/in/guess")).text


async def test_a_link_and_its_session_end_with_the_pass(school: Running) -> None:
    guest = await invited(school, school.lesson()["id"])
    link, client = await guest.link(), None
    client = await guest.enter()
    assert (await client.get("/guest")).status_code == 200
    school.clock.advance(timedelta(hours=14, minutes=1).total_seconds())  # past midnight
    assert (await school.client().post(link)).status_code == 404
    assert (await client.get("/guest")).status_code == 303


async def test_a_link_never_signs_anybody_in_who_has_another_part_in_the_school(school: Running) -> None:
    guest = await invited(school, school.lesson()["id"])
    link = await guest.link()
    async with school.database.writing() as session:
        row = (await session.exec(select(PersonRole).where(PersonRole.person_id == guest.guest_id))).one()
        session.add(PersonRole(person_id=guest.guest_id, role="parent", school_id=row.school_id))
    assert (await school.client().post(link)).status_code == 404
    assert "another part in the school" in (await guest.sponsor.post(f"{guest.page}/link")).text


async def test_the_sponsor_the_guest_and_whoever_is_no_leader_cannot_approve(school: Running) -> None:
    guest = await asked(school, school.lesson()["id"])
    for person in (guest.guest_id, school.person("teacher")):
        await school.give_role(person, "headteacher")
    for who in (guest.guest_id, school.person("teacher")):
        client = school.client(await school.cookie(who))
        refused = await client.post(guest.page, data={"answer": "approve", "reason": "Because"})
        assert "You cannot decide this" in refused.text
    for role in ("dsl", "office", "support", "governor", "pupil", "parent", "chair"):
        client = await school.signed_in(role)
        assert (await client.post(guest.page, data={"answer": "approve", "reason": "x"})).status_code == 404, role
    assert await on_the_roster(school, guest.guest_id) is None


async def test_without_a_proof_of_identity_nothing_is_approved_or_ended(school: Running) -> None:
    guest = await asked(school, school.lesson()["id"])
    head = await school.signed_in("headteacher")
    wrong = {"answer": "approve", "reason": "Fine", "step_up_action": "0" * 64, "step_up_password": "x", "step_up_code": "1"}
    assert "Check it is you" in (await head.post(guest.page, data=wrong)).text
    assert await on_the_roster(school, guest.guest_id) is None
    await guest.approve()
    assert "Check it is you" in (await guest.sponsor.post(f"{guest.page}/end", data={"reason": "Enough"})).text
    assert await on_the_roster(school, guest.guest_id) is not None


async def test_a_refused_request_lets_nobody_in_and_is_over(school: Running) -> None:
    guest = await asked(school, school.lesson()["id"])
    head = await school.signed_in("headteacher")
    missing = await head.post(guest.page, data={"answer": "refuse", "reason": ""})
    assert "Give a reason" in missing.text
    assert (await head.post(guest.page, data={"answer": "refuse", "reason": "Not this term"})).status_code == 303
    assert "Not this term" in (await guest.sponsor.get(guest.page)).text
    again = await head.post(guest.page, data={"answer": "approve", "reason": "Well"})
    assert "decided already" in again.text
    assert await on_the_roster(school, guest.guest_id) is None


async def test_a_teacher_asks_for_their_own_lessons_only_and_sees_their_own_guests_only(school: Running) -> None:
    other = next(lesson for lesson in school.made["lessons"] if school.person("teacher") not in lesson["adult_ids"]
                 and lesson["starts_at"] > school.clock.now().isoformat())
    hall = await school.signed_in("teacher")
    assert (await hall.post("/guests/ask", data=form(school, other["id"]))).status_code == 404
    stranger = await hall.post("/guests/ask", data=form(school, school.lesson()["id"], lessons=[other["id"]]))
    assert stranger.status_code == 422
    guest = await asked(school, school.lesson()["id"])
    cole = await school.signed_in("teacher", 1)
    assert (await cole.get(guest.page)).status_code == 404
    assert "Lind" not in (await cole.get("/guests")).text
    for role in ("office", "dsl", "senior_leader"):
        assert "Lind" in (await (await school.signed_in(role)).get("/guests")).text
    for role in ("pupil", "parent", "governor", "technician"):
        assert (await (await school.signed_in(role)).get("/guests")).status_code == 404


async def test_what_is_missing_is_said_and_nothing_is_made(school: Running) -> None:
    hall, lesson = await school.signed_in("teacher"), school.lesson()["id"]
    empty = await hall.post("/guests/ask", data={"lesson": lesson})
    assert empty.status_code == 422
    assert all(words in empty.text for words in ("Choose why this person comes", "Say what the guest will do", "Error: "))
    interpreter = await hall.post("/guests/ask", data=form(school, lesson, kind="interpreter"))
    assert "Choose the child or children this interpreter is for" in interpreter.text
    async with school.database.reading() as session:
        assert (await session.exec(text("SELECT count(*) FROM guest_pass"))).one()[0] == 0
        assert (await session.exec(text("SELECT count(*) FROM person_role WHERE role = 'guest'"))).one()[0] == 0


async def test_who_works_here_is_no_guest(school: Running) -> None:
    head = await school.signed_in("headteacher")
    refused = await head.post(f"/people/{school.person('teacher')}/roles", data={"roles": ["teacher", "guest"]})
    assert refused.status_code in (200, 422)
    assert "Who works here is no guest" in refused.text


async def test_nobody_asks_for_a_guest_in_a_one_to_one(school: Running) -> None:
    hall, lesson = await school.signed_in("teacher"), school.lesson()
    assert (await hall.get(f"/guests/ask?lesson={lesson['id']}")).status_code == 200
    async with school.database.writing() as session:
        await session.exec(text("UPDATE lesson SET pupil_id = :child WHERE id = :id").bindparams(
            child=lesson["pupil_ids"][0], id=lesson["id"]))
    assert (await hall.get(f"/guests/ask?lesson={lesson['id']}")).status_code == 404
    assert (await hall.post("/guests/ask", data=form(school, lesson["id"]))).status_code == 404


# -- which lessons, and when --------------------------------------------------------------------------------------------


async def test_a_guest_comes_to_the_lessons_on_the_pass_and_to_no_other(school: Running) -> None:
    guest = await invited(school, school.lesson()["id"])
    others = [lesson["id"] for lesson in school.made["lessons"] if lesson["id"] != school.lesson()["id"]]
    assert await on_the_roster(school, guest.guest_id) is not None
    assert [each for each in others if await on_the_roster(school, guest.guest_id, each)] == []
    client = await guest.enter()
    for path in (f"/lessons/{others[0]}", "/today", "/lessons/plan", "/people", "/classes", "/live", "/safeguarding",
                 "/recordings", "/attendance", "/guests", "/permissions", f"/lessons/{school.lesson()['id']}/change",
                 f"/lessons/{school.lesson()['id']}/attendance", "/guests/ask?lesson=" + school.lesson()["id"]):
        assert (await client.get(path)).status_code == 404, path
    assert school.lesson()["title"] in (await client.get("/", follow_redirects=True)).text


async def test_a_guest_is_given_no_list_of_the_class(school: Running) -> None:
    lesson = school.lesson()
    guest = await invited(school, lesson["id"])
    client = await guest.enter()
    async with school.database.reading() as session:
        names = (await session.exec(text("SELECT family_name FROM person WHERE kind = 'child'"))).all()
        plan = await reading.plan(session, await rosters.roster(session, lesson["id"]))
    first = {person.name for person in plan.people.values() if person.kind is Kind.CHILD}
    for path in (f"/lessons/{lesson['id']}", f"/lessons/{lesson['id']}?planned=1", "/guest"):
        shown = (await client.get(path)).text
        assert [name for (name,) in names if f"{name}<" in shown or f"{name}," in shown] == [], path
        assert [name for name in first if f"&#34;{name}&#34;" in shown or f'"{name}"' in shown] == [], path


@pytest.mark.parametrize("gone", ["UPDATE person SET left_on = '2020-01-01' WHERE id = :sponsor",
                                  "DELETE FROM person_role WHERE person_id = :head",
                                  "DELETE FROM person_role WHERE role = 'guest'",
                                  "UPDATE person SET left_on = '2020-01-01' WHERE id = :guest"])
async def test_a_pass_holds_only_while_everybody_named_in_it_has_their_part(school: Running, gone: str) -> None:
    guest = await invited(school, school.lesson()["id"])
    assert await on_the_roster(school, guest.guest_id) is not None
    values = {"sponsor": school.person("teacher"), "head": school.person("headteacher"), "guest": guest.guest_id}
    async with school.database.writing() as session:
        await session.exec(text(gone).bindparams(**{name: value for name, value in values.items() if f":{name}" in gone}))
    assert await on_the_roster(school, guest.guest_id) is None


async def test_somebody_put_on_a_lesson_as_a_guest_without_a_pass_is_not_on_its_roster(school: Running) -> None:
    teacher = school.lesson()["adult_ids"][0]
    async with school.database.writing() as session:
        await session.exec(text("UPDATE lesson_adult SET part = 'guest' WHERE person_id = :id").bindparams(id=teacher))
    assert await on_the_roster(school, teacher) is None


async def test_an_interpreter_is_for_the_children_named_and_the_plan_says_so(school: Running) -> None:
    lesson = school.lesson()
    child = lesson["pupil_ids"][0]
    guest = await invited(school, lesson["id"], kind="interpreter", children=[child])
    person = await on_the_roster(school, guest.guest_id)
    assert person is not None
    assert person.serves == {child}


# -- in the room ------------------------------------------------------------------------------------------------------------


async def come(lesson: Lesson, guest_id: str) -> Page:
    return await (await lesson.page(guest_id)).enter()


async def test_a_guest_and_one_child_with_the_teacher_are_held_and_a_guest_opens_nothing(school: Running, lesson: Lesson) -> None:
    guest = await come(lesson, (await invited(school, lesson.id)).guest_id)
    ali = await lesson.pupil(0)
    await lesson.settle(3)
    assert (guest.state["room"], guest.state["hold"]) == ("lobby", ["no-adult"])
    await lesson.pupil(1)
    await lesson.settle(3)
    assert guest.state["hold"] == ["no-adult"], "with two children a guest is still nobody's adult"
    ali.say("leave")
    await ali.until(lambda: ali.code is not None)
    teacher = await lesson.teacher()
    await lesson.settle(3)
    await teacher.until(lambda: teacher.state["hold"] == ["lone-adult"])
    assert teacher.state["room"] == "lobby"


async def test_an_interpreters_picture_goes_to_their_child_and_staff_and_that_childs_picture_to_them(
    school: Running, lesson: Lesson,
) -> None:
    ali_id, bea_id = lesson.pupil_ids[:2]
    interpreter = await come(lesson, (await invited(school, lesson.id, kind="interpreter", children=[ali_id])).guest_id)
    teacher, ali, bea = await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)
    await lesson.opened()
    await ali.until(lambda: ali.state["room"] == "open")
    for page in (interpreter, ali, bea):
        page.say("camera", on=True)
    await teacher.until(lambda: sum(bool(person.get("camera")) for person in teacher.state["people"]) == 3)
    await lesson.settle(0.5)
    assert lesson.media.delivers(interpreter.person, "camera") == {teacher.person, ali_id}
    assert lesson.media.delivers(ali_id, "camera") == {teacher.person, interpreter.person}
    assert lesson.media.delivers(bea_id, "camera") == {teacher.person}


async def test_when_a_pass_is_ended_the_guest_is_out_of_the_live_room_without_anything_else_happening(
    school: Running, lesson: Lesson,
) -> None:
    invitation = await invited(school, lesson.id)
    guest, teacher = await come(lesson, invitation.guest_id), await lesson.teacher()
    await lesson.pupil(0)
    await lesson.pupil(1)
    await lesson.opened()
    before = school.clock.boottime()
    leader, head = await school.signed_in("senior_leader"), school.person("senior_leader")
    answer = await confirmed_post(school, leader, head, f"{invitation.page}/end", {"reason": "It is enough"})
    assert answer.status_code == 303
    await guest.until(lambda: guest.code is not None, seconds=1)
    assert school.clock.boottime() == before, "nobody waited for anything"
    await teacher.until(lambda: guest.person not in [person["person"] for person in teacher.state["people"]])
    assert lesson.media.delivers(teacher.person) == frozenset() or guest.person not in lesson.media.delivers(teacher.person)
    assert (await guest.door()).status_code in (303, 401), "and signed out"


async def test_a_live_guest_whose_pass_runs_out_is_out_within_a_second(school: Running, lesson: Lesson) -> None:
    invitation = await invited(school, lesson.id)
    guest, teacher = await come(lesson, invitation.guest_id), await lesson.teacher()
    await lesson.pupil(0)
    await lesson.pupil(1)
    await lesson.opened()
    plan, now = lesson.host.room.plan, school.clock.now()
    people = {**plan.people, guest.person: replace(plan.people[guest.person], until=now + timedelta(seconds=2))}
    lesson.host.handle(ev.PlanRead(replace(plan, people=people), school.clock.boottime()))
    await lesson.settle(1.75, current=False)
    assert guest.code is None
    await lesson.settle(0.5, current=False)
    await guest.until(lambda: guest.code is not None, seconds=2)
    await teacher.until(lambda: guest.person not in [person["person"] for person in teacher.state["people"]])


# -- the database itself ----------------------------------------------------------------------------------------------------


async def refused(school: Running, statement: str, **values: object) -> bool:
    try:
        async with school.database.writing() as session:
            await session.exec(text(statement).bindparams(**values))
    except DatabaseError:
        return True
    return False


APPROVE = "UPDATE guest_pass SET approved = true, decided_by = :by, decided_at = asked_at WHERE id = :id"


async def test_the_database_lets_neither_sponsor_nor_guest_nor_nobody_approve(school: Running) -> None:
    guest = await asked(school, school.lesson()["id"])
    for by in (school.person("teacher"), guest.guest_id, "", "system"):
        assert await refused(school, APPROVE, by=by, id=guest.pass_id), by
    assert not await refused(school, APPROVE, by=school.person("headteacher"), id=guest.pass_id)
    for statement in ("UPDATE guest_pass SET approved = false", "UPDATE guest_pass SET decided_by = sponsor_id",
                      "UPDATE guest_pass SET decided_at = NULL, approved = NULL"):
        assert await refused(school, statement), statement


async def test_the_database_keeps_what_was_asked_and_what_has_ended(school: Running) -> None:
    lesson = school.lesson()["id"]
    other = next(each["id"] for each in school.made["lessons"] if each["id"] != lesson)
    guest = await asked(school, lesson)
    for column in ("ends_at", "starts_at", "asked_at"):
        assert await refused(school, f"UPDATE guest_pass SET {column} = :value", value=school.clock.now() + timedelta(days=900))
    for column in ("guest_id", "sponsor_id", "purpose", "kind", "identity_note"):
        assert await refused(school, f"UPDATE guest_pass SET {column} = :value", value=school.person("chair")), column
    await guest.approve()
    more = ("INSERT INTO guest_pass_lesson (pass_id, lesson_id, school_id) SELECT id, :lesson, school_id FROM guest_pass")
    child = ("INSERT INTO guest_pass_child (pass_id, child_id, school_id) SELECT id, :child, school_id FROM guest_pass")
    assert await refused(school, more, lesson=other)
    assert await refused(school, child, child=school.lesson()["pupil_ids"][0])
    for statement in ("DELETE FROM guest_pass", "DELETE FROM guest_pass_lesson"):
        assert await refused(school, statement), statement
    assert await refused(school, "UPDATE guest_pass_lesson SET lesson_id = :lesson", lesson=other)
    await guest.end()
    for statement in ("UPDATE guest_pass SET revoked_at = NULL",
                      "UPDATE guest_pass SET revoked_by = sponsor_id", "UPDATE guest_pass SET revoked_because = 'Not really'"):
        assert await refused(school, statement), statement
    assert await on_the_roster(school, guest.guest_id) is None


async def test_the_database_lets_nobody_be_their_own_guest_nor_a_pass_begin_approved(school: Running) -> None:
    guest = await asked(school, school.lesson()["id"])
    own = ("INSERT INTO guest_pass (id, school_id, guest_id, sponsor_id, kind, purpose, identity_note, starts_at, ends_at, "
           "asked_at, decided_by, decided_at, approved, decision_reason, grant_id, revoked_by, revoked_because) SELECT 'x', "
           "school_id, "
           "{guest}, sponsor_id, kind, purpose, identity_note, starts_at, ends_at, asked_at, {by}, {at}, {yes}, '', '', '', '' "
           "FROM guest_pass WHERE id = :id")
    assert await refused(school, own.format(guest="sponsor_id", by="''", at="NULL", yes="NULL"), id=guest.pass_id)
    head = f"'{school.person('headteacher')}'"
    assert await refused(school, own.format(guest="guest_id", by=head, at="asked_at", yes="1"), id=guest.pass_id)
    assert not await refused(school, own.format(guest="guest_id", by="''", at="NULL", yes="NULL"), id=guest.pass_id)
