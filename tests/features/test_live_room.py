"""The live room through the real application: door, ticket, socket, host, journal. Media is played by the test."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import text as sql
from sqlmodel import select

from consent.tables import ConsentResponse
from lessons.events import LessonCancelled
from lessons.live import registry
from lessons.live.host import Check
from lessons.tables import DoorAnswer, JournalEntry
from lessons.tables import Lesson as LessonRow
from service.foundation.audit import AuditLeaf
from service.foundation.bus import publish
from service.people import sessions
from service.safeguarding.tables import Alert, AlertNote
from tests.room.pages import DOOR, Lesson, Page


async def three(lesson: Lesson) -> tuple[Page, Page, Page]:
    """A teacher and two pupils in an open room."""
    teacher, ali, bea = await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)
    await lesson.opened()
    await ali.until(lambda: ali.state["room"] == "open")
    return teacher, ali, bea


async def journal(lesson: Lesson) -> list[tuple[str, str]]:
    await lesson.host.journal.drained()
    async with lesson.school.database.reading() as session:
        rows = await session.exec(
            select(JournalEntry).where(JournalEntry.lesson_id == lesson.id).order_by(JournalEntry.seq)  # type: ignore[arg-type]
        )
        return [(row.kind, row.person_id) for row in rows.all()]


# Opening and holding


@pytest.mark.postgresql
async def test_the_room_opens_for_all_at_once_when_two_pupils_and_a_recording_are_there(lesson: Lesson) -> None:
    teacher, ali = await lesson.teacher(), await lesson.pupil(0)
    await lesson.settle(3)
    await teacher.until(lambda: teacher.state["waiting"]["pupils"] == 1)
    assert (teacher.state["room"], teacher.state["hold"]) == ("lobby", ["lone-adult"])
    bea = await lesson.pupil(1)
    await lesson.opened()
    for page in (teacher, ali, bea):
        await page.until(lambda page=page: page.state["room"] == "open")


async def test_an_opening_is_in_the_journal_and_the_audit_before_anything_passes(lesson: Lesson) -> None:
    await lesson.teacher()
    await lesson.pupil(0)
    await lesson.pupil(1)
    held = asyncio.Event()
    writing = lesson.host.journal._written

    async def slow(batch: list) -> bool:
        if any(entry.kind == "opened" for entry in batch):
            await held.wait()
        return await writing(batch)

    lesson.host.journal._written = slow  # type: ignore[method-assign]
    await lesson.settle(3)
    assert not lesson.host.gate.permits(lesson.school.clock.boottime())
    held.set()
    await lesson.opened()
    assert "opened" in [kind for kind, _ in await journal(lesson)]
    async with lesson.school.database.reading() as session:
        assert (await session.exec(select(AuditLeaf).where(AuditLeaf.kind == "RoomOpened"))).first()
        assert (await session.get_one(LessonRow, lesson.id)).started_at is not None


async def test_when_the_second_pupil_s_transport_dies_the_gate_is_shut_in_that_turn(lesson: Lesson) -> None:
    teacher, ali, bea = await three(lesson)
    teacher.say("microphone", on=True)
    await ali.until(lambda: any(p["microphone"] for p in ali.state["people"]))
    assert lesson.media.delivers(teacher.person) == {ali.person, bea.person}
    bea.vanish()
    await teacher.until(lambda: teacher.state["room"] == "held")
    assert teacher.state["hold"] == ["lone-adult"]
    assert lesson.media.delivers(teacher.person) == frozenset()


async def test_a_pupil_who_falls_silent_shuts_the_gate_two_seconds_after_the_last_proof_without_anybody_noticing(
    lesson: Lesson,
) -> None:
    await three(lesson)
    last, clock = lesson.media.heard[lesson.pupil_ids[1]], lesson.school.clock
    clock.advance(1.9)
    assert lesson.host.gate.permits(clock.boottime())
    clock.advance(last + 2.0 - clock.boottime())
    assert not lesson.host.gate.permits(clock.boottime())


async def test_a_reconnect_is_a_full_admission_without_repeating_the_door(lesson: Lesson) -> None:
    teacher, _, bea = await three(lesson)
    bea.vanish()
    await teacher.until(lambda: teacher.state["room"] == "held")
    again = await lesson.page(bea.person)
    answer = await again.door()
    again.connect()
    again.say("hello", ticket=answer.json()["ticket"])
    await again.until(lambda: again.last("state"))
    assert not lesson.host.room.is_open
    await lesson.opened()
    async with lesson.school.database.reading() as session:
        kept = (await session.exec(select(DoorAnswer).where(DoorAnswer.person_id == bea.person))).all()
    assert [answer.clothing for answer in kept] == ["yes"]


async def test_a_newer_connection_of_a_person_replaces_the_older_which_is_told(lesson: Lesson) -> None:
    _, ali, _ = await three(lesson)
    second = await lesson.pupil(0)
    await ali.closed(4409)
    assert ali.last("ended") == {"type": "ended", "reason": "replaced"}
    assert second.code is None
    assert not lesson.host.room.is_open


async def test_a_teacher_on_a_second_account_is_not_a_second_child(lesson: Lesson) -> None:
    await lesson.teacher(device="the teacher's laptop")
    await lesson.pupil(0)
    await lesson.pupil(1, device="the teacher's laptop")
    await lesson.settle(3)
    assert not lesson.host.room.is_open
    await lesson.host.journal.drained()
    async with lesson.school.database.reading() as session:
        assert "device-shared" in (await session.exec(select(Alert.kind))).all()


async def test_a_recorder_fault_holds_the_room_at_once_says_so_and_the_next_part_reopens_it(lesson: Lesson) -> None:
    teacher, _, _ = await three(lesson)
    recorder = lesson.host.recorder
    assert recorder is not None
    assert recorder._capture is not None
    recorder._capture._fail("the disk is full")
    assert not lesson.host.gate.permits(lesson.school.clock.boottime())
    await teacher.until(lambda: teacher.state["hold"] == ["not-recorded"])
    assert teacher.state["recording"] is False
    assert recorder._repair is not None
    await recorder._repair
    await lesson.opened()
    async with lesson.school.database.reading() as session:
        assert "recorder-failed" in (await session.exec(select(Alert.kind))).all()


async def test_a_recorder_that_stalls_holds_the_room_within_three_seconds(lesson: Lesson) -> None:
    await three(lesson)
    lesson.host.recorder._capture._on_durable = lambda at: None  # type: ignore[union-attr]
    await lesson.settle(3.25, recorded=False)
    assert not lesson.host.gate.permits(lesson.school.clock.boottime())
    assert not lesson.host.room.is_open


async def test_a_database_that_does_not_answer_holds_the_room_within_three_seconds(lesson: Lesson) -> None:
    await three(lesson)
    lesson.host._check = _gone
    await lesson.settle(3.25, current=False)
    assert not lesson.host.gate.permits(lesson.school.clock.boottime())


async def _gone(*_: object) -> Check:
    raise OSError("the database does not answer")


async def test_a_host_that_fails_leaves_a_shut_gate_and_the_lesson_begins_again_closed(lesson: Lesson) -> None:
    teacher, ali, _ = await three(lesson)
    failed = lesson.host
    lesson.school.app.state.rooms._tasks[lesson.id].cancel()
    await ali.closed(1012)
    assert not failed.gate.permits(lesson.school.clock.boottime())
    again = await teacher.door()
    assert again.status_code == 200
    assert lesson.host is not failed
    assert not lesson.host.room.is_open


async def test_a_mistake_of_ours_in_the_middle_of_a_lesson_shuts_it_and_it_begins_again(lesson: Lesson) -> None:
    teacher, ali, _ = await three(lesson)
    failed = lesson.host
    failed.room.screen = lambda text: 1 / 0  # type: ignore[assignment, return-value]
    ali.say("chat", own="1", text="hello")
    await teacher.closed(1012)
    assert not failed.gate.permits(lesson.school.clock.boottime())
    again = await lesson.teacher()
    assert again.last("state")
    assert lesson.host is not failed


# Getting in


async def test_a_forged_reused_or_other_person_s_ticket_is_refused(lesson: Lesson) -> None:
    page = await lesson.page(lesson.pupil_ids[0])
    ticket = (await page.door(**DOOR)).json()["ticket"]
    other = await lesson.page(lesson.pupil_ids[1])
    await other.door(**DOOR)
    for bad in (ticket[:-4] + "AAAA", "", "a.b.c", ticket.replace(".", "", 1)):
        forged = Page(lesson, page.person, page.cookie).connect()
        forged.say("hello", ticket=bad)
        await forged.closed(4401)
    other.connect()
    other.say("hello", ticket=ticket)
    await other.closed(4401)
    page.connect()
    page.say("hello", ticket=ticket)
    await page.until(lambda: page.last("welcome"))
    reused = Page(lesson, page.person, page.cookie).connect()
    reused.say("hello", ticket=ticket)
    await reused.closed(4401)
    assert page.code is None


async def test_a_ticket_opens_no_other_room_and_not_after_a_minute(lesson: Lesson) -> None:
    page = await lesson.page(lesson.teacher_id)
    ticket = (await page.door(**DOOR)).json()["ticket"]
    elsewhere = next(each["id"] for each in lesson.school.made["lessons"] if each["id"] != lesson.id)
    wrong = Page(lesson, page.person, page.cookie).connect(lesson_id=elsewhere)
    wrong.say("hello", ticket=ticket)
    await wrong.closed(4401)
    lesson.school.clock.advance(61)
    page.connect()
    page.say("hello", ticket=ticket)
    await page.closed(4401)


async def test_another_site_s_page_and_an_unknown_subprotocol_get_no_socket(lesson: Lesson) -> None:
    page = await lesson.page(lesson.pupil_ids[0])
    foreign = Page(lesson, page.person, page.cookie).connect(origin="https://evil.example")
    await foreign.closed(4403)
    assert not foreign.accepted
    plain = Page(lesson, page.person, page.cookie).connect(subprotocol="")
    await plain.closed(4400)


async def test_who_says_no_hello_within_ten_seconds_is_sent_away(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lessons.live.protocol.HELLO_SECONDS", 0.05)
    page = (await lesson.page(lesson.pupil_ids[0])).connect()
    await page.closed(4408)


async def test_what_is_answered_at_the_door_is_kept_and_so_is_what_is_left_open(lesson: Lesson) -> None:
    """Suitable clothing, a suitable place, and that people near know: asked of each, before each lesson (policy: RL2, RL3)."""
    teacher, ali = await lesson.page(lesson.teacher_id), await lesson.page(lesson.pupil_ids[0])
    assert (await teacher.door(**DOOR)).status_code == 200
    assert (await ali.door(clothing="yes", beside="sibling")).status_code == 200
    async with lesson.school.database.reading() as session:
        rows = (await session.exec(select(DoorAnswer).where(DoorAnswer.lesson_id == lesson.id))).all()
    assert {row.person_id: (row.clothing, row.place, row.people_near, row.beside) for row in rows} == {
        teacher.person: ("yes", "yes", "yes", "nobody"), ali.person: ("yes", "not answered", "not answered", "sibling")}


async def test_the_door_says_in_plain_words_why_somebody_may_not_come_in(lesson: Lesson) -> None:
    school = lesson.school
    outsider = await lesson.page(school.person("parent"))
    refused = await outsider.door(**DOOR)
    assert (refused.status_code, refused.json()["code"]) == (404, "not-on-roster")
    later = next(each for each in school.made["lessons"] if each["starts_at"] > school.clock.now().isoformat())
    early = await lesson.page(later["adult_ids"][0])
    lesson.id, on_now = later["id"], lesson.id
    answer = await early.door(**DOOR)
    lesson.id = on_now
    assert (answer.status_code, answer.json()["code"]) == (409, "too-early")
    assert answer.json()["detail"].startswith("You can join at ")


async def test_a_pupil_who_was_removed_cannot_come_back(lesson: Lesson) -> None:
    teacher, ali, _ = await three(lesson)
    await lesson.pupil(2)
    teacher.say("remove", person=ali.person, reason="unkind")
    await ali.closed(4410)
    assert ali.last("ended") == {"type": "ended", "reason": "removed"}
    refused = await ali.door()
    assert (refused.status_code, refused.json()["code"]) == (403, "removed")
    await lesson.host.journal.drained()
    lesson.host.room.removed = frozenset()
    assert (await ali.door()).json()["code"] == "removed", "it is in the journal, not only in the host"


async def test_a_sign_out_closes_the_socket(lesson: Lesson) -> None:
    _, ali, _ = await three(lesson)
    async with lesson.school.database.writing() as session:
        actor = await sessions.queries.actor(session, ali.person)
        assert actor is not None
        await sessions.end_all(session, actor, person_id=ali.person, why="test", now=lesson.school.clock.now())
    await ali.closed(4401)
    assert not lesson.host.room.is_open


async def test_a_consent_withdrawn_in_the_office_takes_the_child_out_of_the_lesson(lesson: Lesson) -> None:
    teacher, ali, bea = await three(lesson)
    await lesson.pupil(2)
    await lesson.settle(1)
    async with lesson.school.database.writing() as session:
        said = (await session.exec(select(ConsentResponse).where(
            ConsentResponse.child_id == ali.person, ConsentResponse.purpose == "attend"
        ))).all()
        session.add_all(ConsentResponse(
            school_id=one.school_id, child_id=ali.person, purpose="attend", answer="withdrawn", respondent_id=one.respondent_id,
            route="telephone", signed_on=lesson.school.clock.now().date(), recorded_by="system",
            recorded_at=lesson.school.clock.now(),
        ) for one in said)
    lesson.school.app.state.rooms.refresh()
    await ali.until(lambda: ali.state["hold"] == ["not-permitted"])
    assert ali.state["people"] == []
    await teacher.until(lambda: ali.person not in [p["person"] for p in teacher.state["people"]])
    assert teacher.state["room"] == "open"
    assert bea.state["room"] == "open"


async def test_a_decision_reaches_the_room_as_an_event_before_it_would_be_looked_for(lesson: Lesson) -> None:
    teacher, ali, bea = await three(lesson)
    lesson.host._check = _nothing_new
    async with lesson.school.database.writing() as session:
        await session.exec(sql("UPDATE lesson SET status = 'cancelled' WHERE id = :id").bindparams(id=lesson.id))
        actor = await sessions.queries.actor(session, lesson.teacher_id)
        assert actor is not None
        await publish(session, LessonCancelled(lesson_id=lesson.id, because="test"), actor)
    for page in (teacher, ali, bea):
        await page.until(lambda page=page: page.state["hold"][:1] == ["stopped-by-school"], 2.0)


async def test_the_end_of_sign_ins_is_looked_at_only_in_the_rooms_of_whom_it_concerns(lesson: Lesson) -> None:
    """At once there; and no other of the lessons that are on reads anything before it."""
    _, ali, _ = await three(lesson)
    stale = lesson.host._stale
    lesson.school.app.state.rooms.refresh_of(lesson.pupil_ids[2])
    assert not stale.is_set()
    lesson.school.app.state.rooms.refresh_of(ali.person)
    assert stale.is_set()


async def _nothing_new(seen: int, *_: object) -> Check:
    return Check(seen, changed=False)


# What is said


async def test_chat_reaches_all_and_is_in_the_recording_first(lesson: Lesson) -> None:
    teacher, ali, bea = await three(lesson)
    notes: list[tuple[str, object]] = []
    recorder = lesson.host.recorder
    assert recorder is not None
    takes = recorder.note

    def note(kind: str, body: object) -> bool:
        notes.append((kind, len(bea.all("chat"))))
        return takes(kind, body)  # type: ignore[arg-type]

    recorder.note = note  # type: ignore[method-assign, assignment]
    ali.say("chat", own="1", text="Is it seven?")
    for page in (teacher, ali, bea):
        await page.until(lambda page=page: page.all("chat"))
    assert ("chat", 0) in notes
    assert (ali.all("chat")[0]["own"], bea.all("chat")[0]["own"]) == ("1", None)


async def test_a_late_message_while_held_is_refused_and_stays_with_its_sender(lesson: Lesson) -> None:
    teacher, ali, bea = await three(lesson)
    bea.vanish()
    await ali.until(lambda: ali.state["room"] == "held")
    ali.say("chat", own="late", text="still there?")
    await ali.until(lambda: ali.last("chat_refused"))
    assert ali.last("chat_refused") == {"type": "chat_refused", "own": "late", "reason": "paused"}
    assert teacher.all("chat") == []


async def test_malformed_messages_are_refused_and_harm_nobody_else(lesson: Lesson) -> None:
    teacher, ali, bea = await three(lesson)
    cruel = [
        "", "{", "[]", "null", '"hello"', "{}", '{"type": 5}', '{"type": "nope"}', '{"type":"hand"}', '{"type":"hand","up":1}',
        '{"type":"hand","up":true,"to":"x"}', '{"type":"chat","own":"1","text":null}', "[" * 100_000,
    ]
    for text in cruel[:9]:
        ali.raw(text)
    await ali.until(lambda: len(ali.all("refused")) == 9)
    assert {refused["code"] for refused in ali.all("refused")} == {"bad-message"}
    assert lesson.host.room.is_open
    for text in cruel[9:]:
        ali.raw(text)
    await ali.closed(4400)
    bea.say("chat", own="1", text="fine here")
    await teacher.until(lambda: teacher.state["room"] == "held")
    assert bea.code is None


async def test_an_oversized_or_endless_stream_of_messages_ends_only_its_own_line(lesson: Lesson) -> None:
    teacher, ali, _ = await three(lesson)
    ali.raw(json.dumps({"type": "chat", "own": "1", "text": "x" * 300_000}))
    await ali.until(lambda: ali.last("refused"))
    for n in range(210):
        ali.say("heartbeat", n=n, visible=True)
    await ali.closed(4400)
    assert teacher.code is None


async def test_names_with_markup_are_only_text(lesson: Lesson) -> None:
    _, ali, bea = await three(lesson)
    ali.say("chat", own="1", text="<script>alert(1)</script>")
    await bea.until(lambda: bea.all("chat"))
    assert bea.all("chat")[0]["text"] == "<script>alert(1)</script>"


async def test_publishing_is_answered_and_a_room_that_is_not_yours_hears_nothing(lesson: Lesson) -> None:
    teacher = await lesson.teacher()
    teacher.say("publish", sdp="v=0")
    await teacher.until(lambda: teacher.last("published"))
    assert teacher.last("published") == {"type": "published", "sdp": "answer to v=0"}


# The end, and what is left of it


@pytest.mark.postgresql
async def test_the_end_for_everyone_seals_the_recording_and_writes_the_register(lesson: Lesson) -> None:
    teacher, ali, bea = await three(lesson)
    teacher.say("end")
    for page in (ali, bea, teacher):
        await page.closed(4410)
        assert page.last("ended") == {"type": "ended", "reason": "ended-by-staff"}
    rooms = lesson.school.app.state.rooms
    await asyncio.wait([rooms._tasks[lesson.id]], timeout=10)
    assert rooms.live(lesson.id) is None
    async with lesson.school.database.reading() as session:
        rows = (await session.exec(select(JournalEntry).where(JournalEntry.lesson_id == lesson.id))).all()
        lived = await session.get_one(LessonRow, lesson.id)
    kinds = [row.kind for row in sorted(rows, key=lambda row: row.seq)]
    assert kinds.count("joined") == kinds.count("left") == 3
    assert kinds[-1] == "ended"
    assert (lived.end_reason, lived.ended_at is not None) == ("ended-by-staff", True)
    assert (await teacher.door()).json()["code"] == "over"


async def test_a_room_whose_journal_is_not_written_any_more_is_shut_and_begins_again(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who was in it, and what was flagged, would be known to nobody (policy: RL9)."""
    teacher, *_ = await three(lesson)
    before = lesson.host

    async def breaks(_: Any) -> bool:
        raise asyncio.InvalidStateError("a fault of ours")

    monkeypatch.setattr(before.journal, "_written", breaks)
    teacher.say("flag")
    await teacher.closed(1012)
    assert not before.gate.permits(lesson.school.clock.boottime())
    assert (await teacher.door()).status_code == 200
    assert lesson.host is not before


async def test_a_lesson_that_a_leader_stopped_stays_stopped_through_a_restart(lesson: Lesson) -> None:
    teacher, ali, _ = await three(lesson)
    leader = await (await lesson.page(lesson.school.person("headteacher"))).enter()
    await ali.until(lambda: leader.person in [p["person"] for p in ali.state["people"]])
    leader.say("stop", reason="unsafe")
    await ali.until(lambda: ali.state["hold"] == ["stopped-by-school"])
    lesson.school.app.state.rooms._tasks[lesson.id].cancel()
    await teacher.closed(1012)
    assert (await teacher.door()).status_code == 200
    assert lesson.host.room.plan.stopped


def held_up(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The database takes nothing of this room until the event is set."""
    free, journal = asyncio.Event(), lesson.host.journal
    written = journal._written

    async def later(batch: list[Any]) -> bool:
        await free.wait()
        return await written(batch)

    monkeypatch.setattr(journal, "_written", later)
    return free


async def flags(lesson: Lesson) -> int:
    async with lesson.school.database.reading() as session:
        return len((await session.exec(select(Alert).where(Alert.kind == "flag"))).all())


async def test_a_flag_is_said_to_be_saved_only_when_it_is(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher, *_ = await three(lesson)
    free = held_up(lesson, monkeypatch)
    teacher.say("flag", about="seen")
    teacher.say("publish", sdp="v=0")
    await teacher.until(lambda: teacher.last("published"))
    assert teacher.last("flagged") is None
    free.set()
    await teacher.until(lambda: teacher.last("flagged"))
    assert await flags(lesson) == 1


async def test_an_orderly_stop_writes_what_was_flagged_and_stopped(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher, ali, _ = await three(lesson)
    leader = await (await lesson.page(lesson.school.person("headteacher"))).enter()
    free = held_up(lesson, monkeypatch)
    teacher.say("flag", about="seen")
    leader.say("stop", reason="unsafe")
    await ali.until(lambda: ali.state["hold"] == ["stopped-by-school"])
    rooms = lesson.school.app.state.rooms
    closing = asyncio.create_task(rooms.close())
    await teacher.closed(1012)
    assert await flags(lesson) == 0
    free.set()
    await closing
    assert await flags(lesson) == 1
    async with lesson.school.database.reading() as session:
        kinds = (await session.exec(select(JournalEntry.kind).where(JournalEntry.lesson_id == lesson.id))).all()
    assert "stopped" in kinds


async def test_an_orderly_stop_does_not_wait_for_ever(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test before."""
    teacher, *_ = await three(lesson)
    held_up(lesson, monkeypatch)
    monkeypatch.setattr(registry, "LAST_WORDS", 0.05)
    teacher.say("flag", about="seen")
    teacher.say("publish", sdp="v=0")
    await teacher.until(lambda: teacher.last("published"))
    async with asyncio.timeout(5):
        await lesson.school.app.state.rooms.close()
    assert await flags(lesson) == 0


async def test_no_room_begins_again_before_what_the_failed_one_was_told_is_written(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch,
) -> None:
    teacher, ali, _ = await three(lesson)
    leader = await (await lesson.page(lesson.school.person("headteacher"))).enter()
    free = held_up(lesson, monkeypatch)
    monkeypatch.setattr(registry, "LAST_WORDS", 0.05)
    leader.say("stop", reason="unsafe")
    await ali.until(lambda: ali.state["hold"] == ["stopped-by-school"])
    lesson.host.room.handle = lambda event, now: 1 / 0  # type: ignore[assignment, return-value]
    ali.say("hand", up=True)
    await teacher.closed(1012)
    assert (await teacher.door()).status_code == 503
    free.set()
    async with asyncio.timeout(10):
        while (await teacher.door()).status_code == 503:
            await asyncio.wait(lesson.school.app.state.rooms._endings)
    assert lesson.host.room.plan.stopped


# Worried


async def test_i_m_worried_reaches_safeguarding_and_nobody_in_the_lesson(lesson: Lesson) -> None:
    teacher, ali, _ = await three(lesson)
    told = len(teacher.told)
    async with lesson.school.client(ali.cookie) as client:
        sent = await client.post("/worried", json={"lesson_id": lesson.id})
        more = await client.post("/worried", json={
            "lesson_id": lesson.id, "worry_id": sent.json()["worry_id"], "about": "grown-up",
            "text": "Please help", "do_not_ring_home": True,
        })
    assert sent.json()["when"].startswith(("today", "when school opens"))
    assert more.status_code == 200
    assert len(teacher.told) == told
    async with lesson.school.database.reading() as session:
        alert = (await session.exec(select(Alert).where(Alert.kind == "worry"))).one()
        note = (await session.exec(select(AlertNote).where(AlertNote.alert_id == alert.id))).one()
    assert (alert.routed_to, alert.do_not_ring, note.words) == ("headteacher", True, "Please help")


async def test_a_flag_is_answered_journalled_and_raised(lesson: Lesson) -> None:
    teacher, ali, _ = await three(lesson)
    teacher.say("flag", about="seen", note="look at the wall")
    await teacher.until(lambda: teacher.last("flagged"))
    await lesson.host.journal.drained()
    async with lesson.school.database.reading() as session:
        alert = (await session.exec(select(Alert).where(Alert.kind == "flag"))).one()
        note = (await session.exec(select(AlertNote).where(AlertNote.alert_id == alert.id))).one()
    assert note.words == "look at the wall"
    assert ali.all("flagged") == []
