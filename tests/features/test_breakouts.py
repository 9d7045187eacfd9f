"""Breakout rooms through the real application: each is a lesson of its own, with its own door, gate, journal and recording."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import col, select

from consent.tables import ConsentResponse
from lessons import roster as rosters
from lessons.attendance.queries import lesson_record
from lessons.tables import BreakoutPlace, JournalEntry
from lessons.tables import Lesson as LessonRow
from recordings.tables import Recording
from service.foundation.audit import AuditLeaf
from service.foundation.errors import NotFound
from service.people import sessions
from service.safeguarding.tables import Alert
from tests.room.family import Family
from tests.room.pages import Page
from tests.school import Running


@pytest.fixture
async def family(school: Running) -> AsyncIterator[Family]:
    family = Family(school)
    yield await family.begin()
    await family.end()


# Opening


async def test_the_proposal_deals_the_pupils_to_the_lesson_s_own_adults(family: Family) -> None:
    found = (await family.ask(family.teacher_id, get=True)).json()
    assert found["open"] is False
    assert [room["adults"] for room in found["rooms"]] == [[family.teacher_id], [family.assistant_id]]
    assert sorted(p for room in found["rooms"] for p in room["pupils"]) == sorted(p["id"] for p in found["pupils"])
    assert all(set(family.pupil_ids[:4]) & set(room["pupils"]) for room in found["rooms"]), "those who are here are dealt first"


async def test_everybody_is_told_to_move_and_comes_through_the_other_room_s_door_without_being_asked_again(
    family: Family,
) -> None:
    first, second = await family.separated()
    assert [page.last("welcome")["lesson"]["id"] for page in (*first, *second)] == [family.rooms[0]] * 3 + [family.rooms[1]] * 3  # type: ignore[index]
    for page in (family.teacher_page, *family.pupil_pages):
        assert page.code == 4411
    assert first[0].last("welcome")["lesson"]["title"].endswith("Room 1")  # type: ignore[index]


async def test_each_room_delivers_to_its_own_people_only(family: Family) -> None:
    first, second = await family.separated()
    for page in (first[0], second[0]):
        page.say("microphone", on=True)
        page.say("chat", own="1", text=f"said by {page.person}")
    for pages in (first, second):
        for page in pages:
            await page.until(lambda page=page: page.last("chat"))
            assert [said["person"] for said in page.all("chat")] == [pages[0].person]
    for room, pages in zip(family.rooms, (first, second), strict=True):
        await pages[1].until(lambda pages=pages: any(p["microphone"] for p in pages[1].state["people"]))
        assert family.media_of(room).delivers(pages[0].person) == {page.person for page in pages[1:]}


async def test_each_room_has_its_own_journal_and_recording_and_the_lesson_s_name(family: Family) -> None:
    await family.separated()
    for room in family.rooms:
        await family.host_of(room).journal.drained()
    async with family.school.database.reading() as session:
        journalled = (await session.exec(select(JournalEntry.lesson_id).where(JournalEntry.kind == "opened"))).all()
        kept = {row.lesson_id: row for row in (await session.exec(select(Recording))).all()}
        audited = (await session.exec(select(AuditLeaf).where(AuditLeaf.kind == "BreakoutOpened"))).all()
    assert set(family.rooms) <= set(journalled)
    assert set(family.rooms) <= set(kept)
    assert kept[family.rooms[1]].title == f"{kept[family.id].title}, Room 2"
    assert len(audited) == 2


async def test_what_could_never_be_right_is_refused_in_words_and_changes_nothing(family: Family) -> None:
    lone = {"rooms": [{"name": "Room 1", "adults": [family.teacher_id], "pupils": family.pupil_ids[:1]}]}
    answer = await family.ask(family.teacher_id, body=lone)
    assert (answer.status_code, answer.json()["code"]) == (422, "breakouts-refused")
    assert "alone with one pupil" in answer.json()["detail"]
    async with family.school.database.reading() as session:
        assert (await session.exec(select(LessonRow).where(col(LessonRow.breakout_of).is_not(None)))).all() == []


async def test_rooms_are_not_opened_twice_nor_inside_each_other(family: Family) -> None:
    await family.split()
    again = {"rooms": [{"name": "R", "adults": [family.teacher_id], "pupils": family.pupil_ids[:2]}]}
    assert (await family.ask(family.teacher_id, body=again)).status_code == 409
    async with family.school.client(await family.school.cookie(family.teacher_id)) as client:
        assert (await client.post(f"/lessons/{family.rooms[0]}/breakouts", json=again)).status_code == 404


async def test_a_colleague_who_is_named_finds_the_room_and_a_page_loaded_anew_is_the_room_s(family: Family) -> None:
    school = family.school
    colleague = next(p["id"] for p in (await family.ask(family.teacher_id, get=True)).json()["adults"]
                     if p["id"] not in (family.teacher_id, family.assistant_id))
    await family.split(([family.teacher_id], family.pupil_ids[:2]), ([colleague], family.pupil_ids[2:4]))
    async with school.client(await school.cookie(colleague)) as client:
        assert f"/lessons/{family.rooms[1]}" in (await client.get("/today")).text
        assert f'data-main="{family.id}"' in (await client.get(f"/lessons/{family.rooms[1]}")).text
    async with school.client(await school.cookie(family.pupil_ids[0])) as client:
        sent = await client.get(f"/lessons/{family.id}")
        assert (sent.status_code, sent.headers["location"]) == (303, f"/lessons/{family.rooms[0]}")
    assert (await family.ask(family.teacher_id, "/close")).status_code == 200
    async with school.client(await school.cookie(family.teacher_id)) as client:
        assert (await client.get(f"/lessons/{family.rooms[0]}")).headers["location"] == f"/lessons/{family.id}"


# The rule in each room


async def test_a_room_whose_adult_is_lost_is_held_by_itself_while_the_other_goes_on_and_all_staff_see_it(family: Family) -> None:
    first, second = await family.separated()
    second[0].vanish()
    await first[0].until(lambda: [r["room"] for r in first[0].last("rooms")["rooms"]] == ["held", "open", "held"])  # type: ignore[index]
    line = first[0].last("rooms")["rooms"][2]  # type: ignore[index]
    assert (line["hold"], line["adults"], line["pupils"], line["name"]) == (["no-adult"], 0, 2, "Room 2")
    await second[1].until(lambda: second[1].state["room"] == "held")
    assert family.media_of(family.rooms[1]).delivers(second[1].person) == frozenset()
    assert family.host_of(family.rooms[0]).gate.permits(family.school.clock.boottime())


async def test_an_adult_who_falls_silent_shuts_that_room_within_two_seconds_and_no_other(family: Family) -> None:
    first, second = await family.separated()
    last = family.media_of(family.rooms[1]).heard[second[0].person]
    await family.pass_time(1.75, silent=(second[0],))
    family.school.clock.advance(last + 2.0 - family.school.clock.boottime())
    now = family.school.clock.boottime()
    assert not family.host_of(family.rooms[1]).gate.permits(now)
    assert family.host_of(family.rooms[0]).gate.permits(now)
    assert first[0].code is None


async def test_children_left_in_a_room_without_an_adult_are_somebody_s_alert_after_three_minutes(family: Family) -> None:
    _, second = await family.separated()
    second[0].vanish()
    await family.pass_time(181)
    await family.host_of(family.rooms[1]).journal.drained()
    async with family.school.database.reading() as session:
        found = (await session.exec(select(Alert).where(Alert.lesson_id == family.rooms[1]))).all()
    assert "teacher-away" in {alert.kind for alert in found}


async def test_the_main_room_that_everybody_left_says_so_to_who_comes_late(family: Family) -> None:
    await family.split()
    late = await family.pupil(4)
    await late.until(lambda: late.state["breakouts"])
    assert late.state["room"] in ("held", "lobby")
    assert family.media_of(family.id).delivers(late.person) == frozenset()


# One room at a time


async def test_a_member_of_staff_who_looks_into_another_room_leaves_their_own(family: Family) -> None:
    first, second = await family.separated()
    visiting = await family.come(first[0], family.rooms[1])
    await first[0].closed(4409)
    assert first[0].last("ended") == {"type": "ended", "reason": "replaced"}
    assert visiting.last("welcome")["you"]["may"].count("moderate") == 1  # type: ignore[index]
    await first[1].until(lambda: first[1].state["hold"] == ["no-adult"])
    assert second[0].code is None


async def test_a_pupil_is_moved_to_another_room_and_back_to_the_main_one(family: Family) -> None:
    family.pupil_pages.append(await family.pupil(4))
    await family.opened()
    pupils = family.pupil_ids
    await family.split(([family.teacher_id], [*pupils[:2], pupils[4]]), ([family.assistant_id], pupils[2:4]))
    first = [await family.follow(p) for p in (family.teacher_page, *family.pupil_pages[:2], family.pupil_pages[4])]
    assert (await family.ask(family.teacher_id, "/move", {"person": pupils[4], "to": family.rooms[1]})).status_code == 200
    there = await family.follow(first[3])
    assert there.last("welcome")["lesson"]["id"] == family.rooms[1]  # type: ignore[index]
    assert (await family.ask(family.assistant_id, "/move", {"person": pupils[4], "to": ""})).status_code == 200
    back = await family.follow(there)
    assert back.last("welcome")["lesson"]["id"] == family.id  # type: ignore[index]


async def test_a_move_that_would_leave_an_adult_alone_with_a_pupil_is_refused(family: Family) -> None:
    await family.separated()
    answer = await family.ask(family.teacher_id, "/move", {"person": family.pupil_ids[0], "to": family.rooms[1]})
    assert answer.status_code == 422
    assert "alone with one pupil in Room 1" in answer.json()["detail"]


# Ending


async def test_bringing_everybody_back_ends_the_rooms_for_everyone(family: Family) -> None:
    first, second = await family.separated()
    assert (await family.ask(family.assistant_id, "/close")).status_code == 200
    back = [await family.follow(page) for page in (*first, *second)]
    await family.open_in(family.id)
    assert {page.last("welcome")["lesson"]["id"] for page in back} == {family.id}  # type: ignore[index]
    async with family.school.database.reading() as session:
        rows = (await session.exec(select(LessonRow).where(LessonRow.breakout_of == family.id))).all()
        assert [row.end_reason for row in rows] == ["brought-back", "brought-back"]
        assert (await session.exec(select(BreakoutPlace))).all() == []
    late = await family.at_the_door(family.pupil_ids[0], family.rooms[0])
    assert (late.json()["code"], late.json()["errors"]["lesson"]) == ("moved", family.id)
    again = await family.split()
    assert len(again) == 2


async def test_the_end_of_the_lesson_is_the_end_of_its_rooms(family: Family) -> None:
    first, second = await family.separated()
    main = await family.come(first[0], family.id)
    main.say("end")
    for page in (*first[1:], *second):
        await page.closed(4410)
        assert page.last("ended") == {"type": "ended", "reason": "ended-by-staff"}


async def test_a_room_that_is_ended_alone_sends_its_people_back(family: Family) -> None:
    _, second = await family.separated()
    second[0].say("end")
    back = await family.follow(second[1])
    assert back.last("welcome")["lesson"]["id"] == family.id  # type: ignore[index]


async def test_a_leader_who_stops_the_lesson_stops_its_rooms(family: Family) -> None:
    first, second = await family.separated()
    leader = await (await family.page(family.school.person("headteacher"))).enter()
    leader.say("stop", reason="test")
    for page in (first[1], second[1]):
        await page.until(lambda page=page: page.state["hold"][:1] == ["stopped-by-school"])
    for room in family.rooms:
        assert not family.host_of(room).gate.permits(family.school.clock.boottime())


async def test_the_rooms_end_with_the_lesson_s_time(family: Family) -> None:
    first, second = await family.separated()
    family.school.clock.advance(timedelta(hours=1).total_seconds())
    for host in list(family.school.app.state.rooms.hosts()):
        host.tick()
    for page in (*first, *second):
        await page.closed(4410)


# What is decided about the lesson


async def test_a_pupil_removed_in_one_room_is_out_of_all_of_them(family: Family) -> None:
    first, _ = await family.separated()
    first[0].say("remove", person=first[1].person, reason="test")
    await first[1].closed(4410)
    for room in (family.id, *family.rooms):
        answer = await family.at_the_door(first[1].person, room)
        assert answer.json()["code"] == "removed"


async def test_a_consent_withdrawn_takes_the_child_out_of_the_room_they_are_in(family: Family) -> None:
    first, _ = await family.separated()
    clock = family.school.clock
    async with family.school.database.writing() as session:
        said = (await session.exec(select(ConsentResponse).where(
            ConsentResponse.child_id == first[1].person, ConsentResponse.purpose == "attend"
        ))).all()
        session.add_all(ConsentResponse(
            school_id=one.school_id, child_id=one.child_id, purpose="attend", answer="withdrawn", route="telephone",
            respondent_id=one.respondent_id, signed_on=clock.now().date(), recorded_by="system", recorded_at=clock.now(),
        ) for one in said)
    family.school.app.state.rooms.refresh()
    await first[1].until(lambda: first[1].state["hold"] == ["not-permitted"])
    await first[0].until(lambda: first[0].state["hold"][:1] == ["lone-adult"])
    assert family.media_of(family.rooms[0]).delivers(first[0].person) == frozenset()


async def test_no_leader_is_asked_for_an_adult_and_one_pupil_of_a_breakout_room_and_a_colleague_called_there_opens_it(
    family: Family,
) -> None:
    school, (first, _) = family.school, await family.separated()
    first[2].vanish()
    await first[0].until(lambda: first[0].state["hold"][:1] == ["lone-adult"])
    room = f"/lessons/{family.rooms[0]}"
    async with school.client(await school.cookie(family.teacher_id)) as client:
        told = (await client.get(f"{room}/alone")).json()
        assert (told["child"], told["asked"]) == (None, None)
        why = {"why": "Nobody else came."}
        refused = await client.post(f"{room}/alone/ask", json=why, headers={"accept": "application/json"})
        assert (refused.status_code, refused.json()["code"]) == (409, "never-in-breakout")
        assert refused.json()["detail"] == ("Nobody can be alone with one pupil in a breakout room. Invite a colleague, or bring "
                                            "everybody back to the main room.")
        colleague = next(one["id"] for one in told["colleagues"])
        assert (await client.post(f"{room}/alone/invite", json={"person": colleague})).status_code == 200
    async with school.client(await school.cookie(colleague)) as hers:
        [banner] = (await hers.get("/banners?wait=false")).json()["banners"]
        assert banner["href"] == room
    await family.decided()
    await family.come(Page(family, colleague, await school.cookie(colleague)), family.rooms[0])
    await family.open_in(family.rooms[0])


async def test_attendance_counts_the_time_in_the_rooms_as_time_in_the_lesson(family: Family) -> None:
    await family.separated()
    await family.pass_time(600)
    await family.ask(family.teacher_id, "/close")
    for host in family.school.app.state.rooms.hosts():
        await host.journal.drained()
    async with family.school.database.reading() as session:
        actor = await sessions.queries.actor(session, family.teacher_id)
        assert actor is not None
        record = await lesson_record(session, actor, family.id)
        with pytest.raises(NotFound):
            await lesson_record(session, actor, family.rooms[0])
    came = [line.stands for line in (*record.pupils, *record.adults) if line.stands.came]
    assert len(came) == 6
    assert [(stands.minutes, stands.minutes_open, stands.breaks) for stands in came] == [(10, 10, 0)] * 6


async def test_rooms_are_in_no_timetable_list_or_family_s_page(family: Family) -> None:
    await family.separated()
    school = family.school
    pages = (("teacher", "/today"), ("parent", "/today"), ("headteacher", "/lessons/waiting"), ("headteacher", "/attendance"))
    for role, address in pages:
        async with await school.signed_in(role) as client:
            page = await client.get(address)
            assert "Room 1" not in page.text, address
    async with school.client(await school.cookie(family.pupil_ids[0])) as client:
        assert "Room 1" not in (await client.get("/today")).text


async def test_the_lesson_s_recording_leads_to_its_rooms_and_each_room_s_to_its_lesson(family: Family) -> None:
    await family.separated()
    for room in (family.id, *family.rooms):
        await family.host_of(room).journal.drained()
    async with await family.school.signed_in("dsl") as client:
        main = (await client.get(f"/recordings/{family.id}")).text
        room = (await client.get(f"/recordings/{family.rooms[0]}")).text
        listed = (await client.get("/recordings")).text
    assert all(f"/recordings/{each}" in main for each in family.rooms)
    assert f"/recordings/{family.id}" in room
    assert f"/recordings/{family.rooms[1]}" not in room
    assert f"/recordings/{family.id}" in listed
    assert family.rooms[0] not in listed


async def test_who_was_in_one_room_of_a_lesson_reviews_none_of_them(family: Family) -> None:
    await family.separated()
    dsl = family.school.person("dsl")
    looking_in = Page(family, dsl, await family.school.cookie(dsl))
    await family.come(looking_in, family.rooms[0])
    async with await family.school.signed_in("dsl") as client:
        for lesson in (family.id, *family.rooms):
            assert (await client.get(f"/recordings/{lesson}")).status_code in (403, 404)
        assert "You were in this lesson" in (await client.get("/recordings")).text


async def test_an_approval_for_the_lesson_is_none_for_its_rooms(family: Family) -> None:
    await family.separated()
    async with family.school.database.reading() as session:
        main = await rosters.roster(session, family.id)
        assert main.family.rooms
        approved = replace(main, pupil_id=family.pupil_ids[0], approvals=(object(),))  # type: ignore[arg-type]
        row = await session.get_one(LessonRow, family.rooms[0])
        room = await rosters._of_breakout(session, row, approved)
    assert (room.approvals, room.pupil_id, room.needs_approval) == ((), "", False)
