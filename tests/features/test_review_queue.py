"""Nothing that somebody must review is lost: not between two who review, not in a crash, not by time (policy: RC1, RL1)."""

import asyncio
import json
import random
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from lessons.attention import sweep
from lessons.live.facts import RoomJournalled, RoomOpened
from lessons.tables import JournalEntry
from recordings.events import RecordingEnded
from service.foundation.audit import AuditBody, AuditLeaf
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, NotFound, SafeguardError
from service.foundation.events import Actor, system
from service.foundation.mail import Mail
from service.people.events import PersonLeft
from service.people.queries import actor as actor_of
from service.people.queries import holders
from service.safeguarding import commands, escalation, queries
from service.safeguarding.events import AlertReleased
from service.safeguarding.rules import INBOX, Kind, Tab
from service.safeguarding.tables import Alert, ReviewProgress
from tests.school import Running, running


async def who(school: Running, role: str, position: int = 0) -> Actor:
    async with school.database.reading() as session:
        found = await actor_of(session, school.person(role, position))
    assert found is not None
    return found


async def worry(school: Running, **more: Any) -> str:
    child = await who(school, "pupil")
    async with school.database.writing() as session:
        return await commands.press_worried(session, child, now=school.clock.now(), **more)


async def journal(school: Running, lesson_id: str, *entries: tuple[str, dict[str, Any]]) -> None:
    """The journal of a lesson as its room writes it: each entry with its event, in one transaction."""
    school_id = (await who(school, "dsl")).school_id
    async with school.database.writing() as session:
        for kind, body in entries:
            last = (await session.exec(select(JournalEntry.seq).where(JournalEntry.lesson_id == lesson_id).order_by(
                JournalEntry.seq.desc()))).first() or 0  # type: ignore[attr-defined]
            person = body.get("person", "")
            session.add(JournalEntry(school_id=school_id, lesson_id=lesson_id, seq=last + 1, at=school.clock.now(), kind=kind,
                                     person_id=person, body=json.dumps(body)))
            await session.flush()
            event = (RoomOpened(lesson_id, 1, " ".join(body["people"])) if kind == "opened"
                     else RoomJournalled(lesson_id, kind, person, json.dumps(body)))
            await publish(session, event, system(school_id))


OPENED: tuple[str, dict[str, Any]] = ("opened", {"opening": 1, "people": []})
ALONE: tuple[str, dict[str, Any]] = ("held", {"reasons": ["lone-adult"]})


async def look(school: Running) -> None:
    await sweep.sweep(school.database, school.clock)


async def found(school: Running, *kinds: Kind) -> list[Alert]:
    async with school.database.reading() as session:
        return list((await session.exec(select(Alert).where(Alert.source != "", Alert.kind.in_(kinds)))).all())  # type: ignore[attr-defined]


async def shown(school: Running, role: str, tab: Tab) -> list[str]:
    async with await school.signed_in(role) as client:
        rows = (await client.get(f"/safeguarding/rows?tab={tab}")).json()["rows"]
    return [row["id"] for row in rows]


async def test_a_near_miss_is_one_item_with_a_number_and_calls_nobody(school: Running) -> None:
    lesson = school.lesson()["id"]
    await journal(school, lesson, OPENED, ALONE)
    await look(school)
    await journal(school, lesson, OPENED, ALONE)
    await look(school)
    [item] = await found(school, Kind.NEARLY_ALONE)
    assert item.times == 2
    assert item.id in await shown(school, "dsl", Tab.NEW)
    async with await school.signed_in("dsl") as client:
        assert (await client.get("/banners?wait=false")).json()["banners"] == []
        page = await client.get(f"/safeguarding/{item.id}")
    assert "paused twice because an adult would have been alone" in page.text
    assert f"/recordings/{lesson}" in page.text
    async with school.database.reading() as session:
        assert (await session.exec(select(Mail).where(Mail.about == item.id))).all() == []


async def test_chat_held_back_other_pauses_and_an_incomplete_recording_are_items(school: Running) -> None:
    lesson, actor = school.lesson()["id"], system((await who(school, "dsl")).school_id)
    await journal(school, lesson, OPENED, ("chat-held", {"message": "c1"}), ("held", {"reasons": ["no-adult"]}))
    async with school.database.writing() as session:
        await publish(session, RecordingEnded("r", lesson, "incomplete", "the disk was full"), actor)
    await look(school)
    assert {item.kind for item in await found(school, *Kind)} == {Kind.CHAT, Kind.PAUSED, Kind.RECORDING}


async def test_a_crash_in_the_middle_loses_nothing_and_makes_nothing_twice(
    school: Running, monkeypatch: pytest.MonkeyPatch,
) -> None:
    lesson = school.lesson()["id"]
    await journal(school, lesson, OPENED, ALONE, ("chat-held", {}))
    finds, calls = commands.find, []

    async def dies_at_the_second(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("the process died here")
        return await finds(*args, **kwargs)

    monkeypatch.setattr(sweep.safeguarding, "find", dies_at_the_second)
    with pytest.raises(RuntimeError):
        await look(school)
    assert len([item for item in await found(school, *Kind) if item.lesson_id == lesson]) == 1
    monkeypatch.setattr(sweep.safeguarding, "find", finds)
    await look(school)
    async with school.database.writing() as session:  # and from the beginning, as after a lost cursor
        (await session.get_one(ReviewProgress, 1)).seq = -1
    await look(school)
    assert sorted(item.kind for item in await found(school, *Kind)) == [Kind.CHAT, Kind.NEARLY_ALONE]


async def test_a_closed_near_miss_opens_again_when_it_happens_again(school: Running) -> None:
    lesson = school.lesson()["id"]
    await journal(school, lesson, OPENED, ALONE)
    await look(school)
    [item] = await found(school, Kind.NEARLY_ALONE)
    async with await school.signed_in("dsl") as client:
        await client.post(f"/safeguarding/{item.id}/take")
        await client.post(f"/safeguarding/{item.id}/notes", data={"words": "Fine", "outcome": "no-action", "close": "yes"})
    assert await shown(school, "dsl", Tab.NEW) == []
    await journal(school, lesson, OPENED, ALONE)
    await look(school)
    assert await shown(school, "dsl", Tab.NEW) == [item.id]


async def test_whoever_took_part_in_the_lesson_does_not_review_its_items(school: Running) -> None:
    lesson = school.lesson()["id"]
    await journal(school, lesson, ("joined", {"role": "leader", "person": school.person("dsl")}), OPENED, ALONE)
    await look(school)
    [item] = await found(school, Kind.NEARLY_ALONE)
    assert item.id not in await shown(school, "dsl", Tab.NEW)
    assert item.id in await shown(school, "deputy_dsl", Tab.NEW)


async def test_the_most_serious_comes_first_then_the_newest(school: Running) -> None:
    await journal(school, school.lesson()["id"], OPENED, ALONE)
    await look(school)
    first = await worry(school)
    school.clock.advance(11 * 60)
    async with school.database.writing() as session:
        second = await commands.raise_alert(session, await who(school, "pupil", 1), kind="worry", now=school.clock.now())
    assert (await shown(school, "dsl", Tab.NEW))[:2] == [second, first]


async def test_many_presses_of_one_pupil_are_one_item_with_a_count(school: Running) -> None:
    ids = {await worry(school) for _ in range(7)}
    assert len(ids) == 1
    async with await school.signed_in("dsl") as client:
        [row] = (await client.get("/safeguarding/rows")).json()["rows"]
    assert row["times"] == 7


async def test_of_two_who_take_it_at_once_one_has_it_and_the_other_is_told(school: Running) -> None:
    alert = await worry(school)
    async with await school.signed_in("dsl") as one, await school.signed_in("deputy_dsl") as other:
        answers = await asyncio.gather(*(each.post(f"/safeguarding/{alert}/take") for each in (one, other)))
        assert sorted(answer.status_code for answer in answers) == [303, 409]
        loser = next(answer for answer in answers if answer.status_code == 409)
        assert "took this while you read it" in loser.text
    async with school.database.reading() as session:
        taken = (await session.exec(select(AuditLeaf).where(AuditLeaf.kind == "AlertTaken"))).all()
    assert len(taken) == 1


async def test_what_is_handed_over_stays_its_owners_until_the_colleague_takes_it(school: Running) -> None:
    alert, deputy = await worry(school), school.person("deputy_dsl")
    async with await school.signed_in("dsl") as dsl, await school.signed_in("deputy_dsl") as other:
        await dsl.post(f"/safeguarding/{alert}/take")
        assert (await dsl.post(f"/safeguarding/{alert}/hand-over", data={"to": "", "handing": ""})).status_code == 422
        await dsl.post(f"/safeguarding/{alert}/hand-over", data={"to": deputy, "handing": "I am away from noon"})
        assert await shown(school, "dsl", Tab.WAITING) == [alert]
        assert await shown(school, "deputy_dsl", Tab.MINE) == [alert]
        assert (await other.get("/banners?wait=false")).json()["banners"] != []
        owner = school.person("dsl")
        assert (await other.post(f"/safeguarding/{alert}/take", data={"seen": owner})).status_code == 303
    assert await shown(school, "dsl", Tab.WAITING) == [alert]
    assert await shown(school, "deputy_dsl", Tab.MINE) == [alert]


async def test_what_waits_for_somebody_says_for_whom_and_comes_back(school: Running) -> None:
    alert = await worry(school)
    async with await school.signed_in("dsl") as dsl:
        await dsl.post(f"/safeguarding/{alert}/take")
        await dsl.post(f"/safeguarding/{alert}/wait", data={"waits_for": "Social care rings back"})
        assert await shown(school, "dsl", Tab.WAITING) == [alert]
        assert "Social care rings back" in (await dsl.get(f"/safeguarding/{alert}")).text
        await dsl.post(f"/safeguarding/{alert}/resume")
    assert await shown(school, "dsl", Tab.MINE) == [alert]


async def test_whoever_leaves_gives_back_what_they_had(school: Running) -> None:
    alert, leaver = await worry(school), await who(school, "deputy_dsl")
    async with await school.signed_in("deputy_dsl") as client:
        await client.post(f"/safeguarding/{alert}/take")
    async with school.database.writing() as session:
        await (await session.connection()).execute(
            text("DELETE FROM person_role WHERE person_id = :who"), {"who": leaver.person_id})
        await commands.release_what_nobody_has(session, PersonLeft(leaver.person_id), leaver)
    assert await shown(school, "dsl", Tab.NEW) == [alert]
    async with school.database.reading() as session:
        kinds = {leaf.kind for leaf in (await session.exec(select(AuditLeaf).where(AuditLeaf.subject_id == alert))).all()}
    assert AlertReleased.__name__ in kinds


async def test_whoever_went_in_because_of_it_keeps_it_and_somebody_else_says_what_it_came_to(school: Running) -> None:
    lesson = school.lesson()["id"]
    alert = await worry(school, lesson_id=lesson)
    dsl = await who(school, "dsl")
    async with await school.signed_in("dsl") as client:
        await client.post(f"/safeguarding/{alert}/take")
        async with school.database.writing() as session:
            await commands.bar(session, school_id=dsl.school_id, lesson_id=lesson, person_id=dsl.person_id)
        assert (await client.get(f"/safeguarding/{alert}")).status_code == 200
        done = {"words": "Fine", "outcome": "noted", "close": "yes"}
        assert (await client.post(f"/safeguarding/{alert}/notes", data=done)).status_code == 409
        to = {"to": school.person("deputy_dsl"), "handing": "I went in"}
        assert (await client.post(f"/safeguarding/{alert}/hand-over", data=to)).status_code == 303


async def test_each_step_that_time_takes_is_in_the_audit_once_through_a_restart(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path / "data", template=template) as before:
        alert = await worry(before)
        await escalation.pass_on(before.database, before.clock)
        clock = before.clock
    clock.advance(16 * 60)
    async with running(tmp_path / "data", clock=clock) as school:
        for _ in range(2):
            await escalation.pass_on(school.database, clock)
        async with school.database.reading() as session:
            said = (await session.exec(select(AuditBody.body).join(AuditLeaf, AuditLeaf.seq == AuditBody.seq).where(  # type: ignore[arg-type]
                AuditLeaf.kind == "AlertPassedOn", AuditLeaf.subject_id == alert).order_by(AuditLeaf.seq))).all()  # type: ignore[arg-type]
        steps = [json.loads(body) for body in said]
        assert [step["step"] for step in steps] == [1, 2]
        assert steps[1]["people"] == school.person("headteacher")
        async with await school.signed_in("headteacher") as client:
            assert (await client.get("/banners?wait=false")).json()["banners"] != []


async def test_once_it_is_taken_nothing_is_passed_on(school: Running) -> None:
    alert = await worry(school)
    async with await school.signed_in("dsl") as client:
        await client.post(f"/safeguarding/{alert}/take")
    school.clock.advance(60 * 60)
    assert await escalation.pass_on(school.database, school.clock) == 0


@pytest.mark.parametrize("statement", [
    "DELETE FROM alert", "UPDATE alert SET raised_by = 'x'", "UPDATE alert SET kind = 'flag'", "DELETE FROM alert_barred",
    "UPDATE alert_note SET words = 'x'", "UPDATE alert SET closed_at = raised_at", "UPDATE alert SET times = 0",
])
async def test_the_database_itself_keeps_what_was_raised(school: Running, statement: str) -> None:
    await worry(school, words="Help", present=(school.person("teacher"),))
    with pytest.raises(DBAPIError, match=r"stays|append-only|not taken back|comes to something"):
        async with school.database.writing() as session:
            await (await session.connection()).execute(text(statement))


async def test_what_may_change_of_an_alert_can_be_changed(school: Running) -> None:
    """The control of the test before: the triggers refuse no more than they should."""
    await worry(school)
    async with school.database.writing() as session:
        await (await session.connection()).execute(text("UPDATE alert SET waits_for = 'x', times = 2"))


async def test_what_others_closed_since_pushes_nothing_out_of_anybodys_closed_items(school: Running) -> None:
    """One of the headteacher's, then 201 of the team's: each lists every one of their own, and no other."""
    head, dsl, child = await who(school, "headteacher"), await who(school, "dsl"), await who(school, "pupil")

    async with school.database.writing() as session:
        heads = await commands.raise_alert(session, child, kind="worry", about="staff", now=school.clock.now())
        await commands.take(session, head, alert_id=heads, now=school.clock.now())
        await commands.close(session, head, alert_id=heads, outcome="noted", words="Read", now=school.clock.now())
        teams = [new_id() for _ in range(201)]
        for number, alert in enumerate(teams):
            at = school.clock.now() + timedelta(seconds=number + 1)
            session.add(Alert(
                id=alert, school_id=child.school_id, kind="worry", raised_by=child.person_id, raised_at=at, called_at=at,
                routed_to="dsl", taken_by=dsl.person_id, taken_at=at, closed_by=dsl.person_id, closed_at=at, outcome="noted"))

    async def listed(role: str) -> tuple[list[str], int]:
        async with await school.signed_in(role) as client:
            found, page, more = list[str](), 0, True
            while more:
                page += 1
                shown = (await client.get(f"/safeguarding?tab=closed&page={page}")).text
                found += re.findall(r'href="/safeguarding/([0-9a-f]{32})"', shown)
                more = "Next page" in shown
            return found, page

    assert await listed("headteacher") == ([heads], 1)
    assert await listed("dsl") == (teams[::-1], 3)
    assert await listed("chair") == ([], 1)


@pytest.mark.parametrize("seed", range(2))
async def test_no_sequence_of_steps_loses_an_item_or_shows_it_to_whom_it_is_kept_from(school: Running, seed: int) -> None:
    """At every moment each item is in exactly one tab of everybody who may open it, and nowhere for those it is kept from."""
    pick, lesson = random.Random(seed), school.lesson()["id"]
    async with school.database.reading() as session:
        circle = [one.id for one in await holders(session, (await who(school, "dsl")).school_id, INBOX)]
        never_chair = [each for each in circle if each != school.person("chair")]  # the chair's queue is the last there is
        team = [found for each in circle if (found := await actor_of(session, each)) is not None]
    child, ids, refused = await who(school, "pupil"), list[str](), 0
    for _ in range(40):
        actor, alert = pick.choice(team), pick.choice(ids) if ids else ""
        step = pick.choice(["raise", "press", "take", "hand", "wait", "resume", "note", "close", "words", "staff", "bar", "time"])
        try:
            async with school.database.writing() as session:
                now = school.clock.now()
                if step == "raise" or not alert:
                    ids.append(await commands.raise_alert(
                        session, child, kind="flag", lesson_id=pick.choice(["", lesson]), now=now,
                        present=pick.sample(never_chair, pick.randrange(2)), about=pick.choice(["", "staff", "headteacher"])))
                elif step == "press":
                    ids.append(await commands.press_worried(session, child, now=now))
                elif step == "take":
                    row = await session.get_one(Alert, alert)
                    await commands.take(session, actor, alert_id=alert, seen=pick.choice(["", row.taken_by]), now=now)
                elif step == "hand":
                    await commands.hand_over(session, actor, alert_id=alert, to_id=pick.choice(circle), words="x", now=now)
                elif step == "wait":
                    await commands.put_aside(session, actor, alert_id=alert, waits_for="x", now=now)
                elif step == "resume":
                    await commands.resume(session, actor, alert_id=alert, now=now)
                elif step == "note":
                    await commands.add_note(session, actor, alert_id=alert, words="x", now=now)
                elif step == "close":
                    await commands.close(session, actor, alert_id=alert, outcome="noted", words="x", now=now)
                elif step in ("words", "staff"):
                    await commands.add_words(session, child, alert_id=alert, words="more", now=now,
                                             about="staff" if step == "staff" else "")
                elif step == "bar":
                    await commands.bar(session, school_id=child.school_id, lesson_id=lesson,
                                       person_id=pick.choice(never_chair))
                else:
                    school.clock.advance(pick.choice([60, 400, 1000]))
        except SafeguardError:
            refused += 1
        await _holds(school, team, set(ids))
    assert 0 < refused < 40


async def _holds(school: Running, team: list[Actor], ids: set[str]) -> None:
    now, seen_by_somebody = school.clock.now(), set()
    async with school.database.reading() as session:
        kept_from = {alert: await queries.barred(session, alert) for alert in ids}
        for actor in team:
            listed = [*await queries.inbox(session, actor, now), *await queries.closed(session, actor, now)]
            mine = [view.id for view in listed]
            assert len(mine) == len(set(mine)), "in one tab, not two"
            assert not [alert for alert in mine if actor.person_id in kept_from[alert]]
            calling = {view.id for view in await queries.waiting(session, actor, now)}
            assert calling <= set(mine)
            for alert in ids - set(mine):
                with pytest.raises(NotFound):
                    await queries.alert(session, actor, alert, now)
            seen_by_somebody |= set(mine)
        rows = [await session.get_one(Alert, alert) for alert in ids - seen_by_somebody]
    assert not [(row.routed_to, row.taken_by) for row in rows], "each is somebody's"


async def test_nobody_closes_what_somebody_else_has(school: Running) -> None:
    alert = await worry(school)
    async with school.database.writing() as session:
        with pytest.raises(Conflict):
            await commands.close(session, await who(school, "dsl"), alert_id=alert, outcome="noted", words="x",
                                 now=school.clock.now())
