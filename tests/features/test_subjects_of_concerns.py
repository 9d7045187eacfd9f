"""Whom a concern is about never watches its lesson, decides about it or learns what is decided (policy: IN4, RE1, RE5)."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlmodel import select, update

from recordings.ending import destruction
from recordings.ending import queries as endings
from recordings.ending import rules as ending
from recordings.grants import commands as grants
from recordings.grants import queries, rules
from recordings.grants.rules import ForSubject, Terms, Wish
from recordings.queries import recording
from recordings.rules import SomebodyElse, check_may_watch
from recordings.tables import Recording
from service.foundation.errors import NotFound
from service.safeguarding.concerns import commands as concerns
from service.safeguarding.concerns.rules import New
from service.safeguarding.concerns.tables import Concern
from service.safeguarding.incidents import commands as incidents
from service.safeguarding.incidents import rules as incident_rules
from tests.proofs import confirmed_post, with_session
from tests.recordings.ends import Kept, agree, ask, recordings
from tests.recordings.lesson import record_lesson
from tests.school import Running, running


async def raised(school: Running, about_id: str, *, lesson_id: str = "", present: tuple[str, ...] = (), by: str = "headteacher",
                 about_adult: str = "yes") -> None:
    new = New("Said something unkind", "", school.clock.now().date(), about_adult=about_adult, about_id=about_id,
              lesson_id=lesson_id, by_name="A pupil")
    actor = await with_session(school, by)
    async with school.database.writing() as session:
        await concerns.raise_concern(session, actor, new, present=present, now=school.clock.now())


async def subjects(school: Running, lesson_id: str) -> frozenset[str]:
    async with school.database.reading() as session:
        found = (await session.exec(select(Recording).where(Recording.lesson_id == lesson_id))).one()
        return await queries.subjects(session, await recording(session, found.school_id, lesson_id))


@pytest.fixture
async def kept(school: Running) -> Kept:
    [found] = await recordings(school, 1, participant=school.person("teacher"))
    return found


async def test_a_concern_that_names_a_lesson_names_its_subject_there_and_nowhere_else(school: Running, kept: Kept) -> None:
    [other] = await recordings(school, 1, participant=school.person("teacher"))
    assert await subjects(school, kept.lesson_id) == frozenset(), "negative control: nobody, before"
    await raised(school, school.person("teacher"), lesson_id=kept.lesson_id)
    assert await subjects(school, kept.lesson_id) == {school.person("teacher")}
    assert await subjects(school, other.lesson_id) == frozenset()


async def test_a_concern_that_names_no_lesson_touches_every_lesson_its_subject_was_in(school: Running, kept: Kept) -> None:
    [other] = await recordings(school, 1, participant=school.person("teacher", 1))
    await raised(school, school.person("teacher"))
    assert await subjects(school, kept.lesson_id) == {school.person("teacher")}
    assert await subjects(school, other.lesson_id) == frozenset()


async def test_until_it_is_known_whom_it_is_about_every_adult_of_the_lesson_counts(school: Running, kept: Kept) -> None:
    adults = (school.person("teacher"), school.person("teacher", 1))
    await raised(school, "", lesson_id=kept.lesson_id, present=adults)
    assert await subjects(school, kept.lesson_id) == set(adults)


async def test_a_concern_about_a_child_makes_nobody_a_subject(school: Running, kept: Kept) -> None:
    await raised(school, "", lesson_id=kept.lesson_id, present=(school.person("teacher"),), about_adult="no", by="dsl")
    assert await subjects(school, kept.lesson_id) == frozenset()


@pytest.mark.parametrize("about", ["yes", "no"])
async def test_an_incident_about_an_adult_makes_a_subject_as_a_concern_does(school: Running, kept: Kept, about: str) -> None:
    teacher = school.person("teacher")
    new = incident_rules.New(
        "Left the camera on", "", school.clock.now().date(), category="adult", by_name="A pupil", about_adult=about,
        about_id=teacher if about == "yes" else "", lesson_id=kept.lesson_id)
    dsl = await with_session(school, "dsl")
    async with school.database.writing() as session:
        await incidents.record(session, dsl, new, present=(teacher, school.person("teacher", 1)), now=school.clock.now())
    assert await subjects(school, kept.lesson_id) == ({teacher} if about == "yes" else set())


async def test_a_concern_about_the_main_room_counts_in_its_breakout_rooms(school: Running, kept: Kept) -> None:
    [room] = await recordings(school, 1, participant=school.person("teacher"))
    async with school.database.writing() as session:
        await session.exec(update(Recording).where(Recording.id == room.id).values(main_id=kept.lesson_id))
    await raised(school, school.person("dsl"), lesson_id=kept.lesson_id)
    assert await subjects(school, room.lesson_id) == {school.person("dsl")}


async def test_nothing_is_allowed_to_the_subject_and_a_leader_that_it_is_about_decides_nothing(
    school: Running, kept: Kept,
) -> None:
    now, hall = school.clock.now(), await with_session(school, "teacher")
    async with school.database.writing() as session:
        wish = Wish(school.person("teacher"), "flag", "Who shouted?", now - timedelta(minutes=5), now + timedelta(minutes=5))
        grant_id = await grants.ask(session, hall, kept.lesson_id, wish, now)
    dsl, head = await with_session(school, "dsl"), await with_session(school, "headteacher")
    async with school.database.reading() as session:
        assert (await grants.to_decide(session, head, grant_id))[0].id == grant_id, "negative control: they decide, before"
    await raised(school, school.person("teacher"), lesson_id=kept.lesson_id)
    await raised(school, school.person("headteacher"), lesson_id=kept.lesson_id, by="chair")
    async with school.database.reading() as session:
        found, _, about = await grants.to_decide(session, dsl, grant_id)
        with pytest.raises(ForSubject):
            rules.checked_terms(Terms(1, now + timedelta(days=1), "To write it down"), found, about, now)
        with pytest.raises(NotFound):
            await grants.to_decide(session, head, grant_id)
        assert [one.grant.id for one in await queries.listed(session, dsl, now)] == [grant_id]
        assert await queries.listed(session, head, now) == [], "and it is in no list of theirs"


async def test_the_dsl_that_a_concern_is_about_does_not_watch_and_is_told_no_more(school: Running) -> None:
    recorded = await record_lesson(school)
    async with await school.signed_in("dsl") as dsl:
        opened = await confirmed_post(school, dsl, school.person("dsl"), recorded.page, {"why": "flag"})
        view = opened.headers["location"]
        assert (await dsl.get(f"{view}/tracks")).status_code == 200, "negative control: they watch, before"
        await raised(school, school.person("dsl"), lesson_id=recorded.lesson_id)
        answers: list[httpx.Response] = [await dsl.get(f"{view}/tracks"), await dsl.get(recorded.page),
                                         await dsl.post(recorded.page, data={"why": "flag"})]
        listed = await dsl.get("/recordings")
    assert [answer.status_code for answer in answers] == [403] * 3
    assert "Somebody else reviews this recording." in answers[1].text
    assert not any("concern about you" in answer.text or "complaint" in answer.text.lower() for answer in answers)
    assert "Maths" in listed.text, "the list stays as it was"
    async with await school.signed_in("deputy_dsl") as deputy:
        assert (await deputy.get(recorded.page)).status_code == 200


async def test_the_headteacher_that_a_concern_is_about_does_not_decide_whether_its_recording_is_kept(
    school: Running, kept: Kept,
) -> None:
    head, chair = await with_session(school, "headteacher"), await with_session(school, "chair")
    await ask(school, kept)
    now = school.clock.now()
    async with school.database.reading() as session:
        assert await endings.waiting(session, head, now), "negative control: it waits for them, before"
        assert await endings.waiting(session, chair, now) == []
    await raised(school, school.person("headteacher"), lesson_id=kept.lesson_id, by="chair")
    async with school.database.reading() as session:
        assert await endings.waiting(session, head, now) == []
        assert [one.lesson_id for one in await endings.waiting(session, chair, now)] == [kept.lesson_id]
        with pytest.raises(NotFound):
            await endings.hold(session, head, kept.lesson_id, now)
        seen = await endings.endings(session, head, now, "Europe/London")
        assert [line.kept for line in seen.due] == [None], "they see the day it would have gone on, as before"
        later = await endings.endings(session, head, now + timedelta(days=30), "Europe/London")
        assert [*seen.first, *later.first, *later.due, *later.destroyed] == []


async def test_a_subject_who_was_not_there_reads_the_same_pages_whether_the_recording_is_held_or_never_was(
    tmp_path: Path, template: Path,
) -> None:
    worlds = []
    for name in ("held", "never held"):
        async with running(tmp_path / name, template=template) as school:
            worlds.append([page async for page in pages_of_a_subject(school, is_held=name == "held")])
    assert worlds[0] == worlds[1]
    before, after = worlds[0]
    assert ("Maths, 5 Oak" in before[0][1], "Maths, 5 Oak" in after[0][1]) == (True, False), "negative control"


async def pages_of_a_subject(school: Running, *, is_held: bool) -> AsyncIterator[list[tuple[int, str]]]:
    """Everything that the DSL, whom a concern about this lesson is about, reads of its recording before its day and after."""
    [kept] = await recordings(school, 1, participant=school.person("teacher"))
    [other] = await recordings(school, 1, participant=school.person("teacher"))
    await raised(school, school.person("dsl"), lesson_id=kept.lesson_id)
    if is_held:
        await ask(school, kept, "deputy_dsl")
        await agree(school, kept)
    else:  # the same two sign in, and count as having done so
        await with_session(school, "deputy_dsl"), await with_session(school, "headteacher")
    state = school.app.state
    async with school.database.writing() as session:
        await session.exec(update(Recording).where(Recording.id == other.id).values(
            title="Music", starts_at=school.clock.now() - timedelta(hours=3)))
    for moment in (datetime(2026, 11, 24, 15, tzinfo=UTC), datetime(2026, 12, 1, 15, tzinfo=UTC)):
        school.clock.set(moment)
        await destruction.reconcile(state.database, state.vault, state.clock)
        async with await school.signed_in("dsl") as dsl:
            answers = [await dsl.get(path) for path in (
                "/endings", f"/endings/{kept.lesson_id}", f"/endings/{kept.lesson_id}/certificate",
                f"/endings/{kept.lesson_id}/certificate.json", "/recordings", f"/recordings/{kept.lesson_id}")]
        yield [(answer.status_code, re.sub(r"[0-9a-f]{16,32}", "id", answer.text)) for answer in answers]


async def test_whom_a_lesson_is_about_and_which_lessons_are_about_somebody_is_one_fact(school: Running, kept: Kept) -> None:
    [room] = await recordings(school, 1)
    teacher, other, dsl = school.person("teacher"), school.person("teacher", 1), school.person("dsl")
    async with school.database.writing() as session:
        await session.exec(update(Recording).where(Recording.id == room.id).values(main_id=kept.lesson_id))
    await raised(school, other, lesson_id=room.lesson_id)
    await raised(school, "", lesson_id=kept.lesson_id, present=(dsl,), by="chair")
    await raised(school, teacher)
    async with school.database.reading() as session:
        school_id = (await with_session(school, "dsl")).school_id
        about = {each: await queries.lessons_about(session, school_id, each) for each in (teacher, other, dsl)}
    assert about == {teacher: frozenset(), other: {room.lesson_id}, dsl: {kept.lesson_id}}
    assert await subjects(school, kept.lesson_id) == {teacher, other, dsl}, "whoever was there counts as one who was"


def test_a_subject_is_refused_by_the_rules_alone() -> None:
    from service.foundation.events import Actor, Role

    dsl = Actor("p", "s", frozenset({Role.DSL}))
    check_may_watch(dsl, (), ())
    with pytest.raises(SomebodyElse):
        check_may_watch(dsl, (), ("p",))
    involved = ending.Involved(frozenset(), frozenset({"h"}))
    assert ending.is_in_circle(dsl, involved)
    assert not ending.is_in_circle(dsl, replace(involved, subjects=frozenset({"p"})))
    assert replace(involved, subjects=frozenset({"h"})).head_is_out


async def test_closing_a_concern_gives_nothing_back(school: Running, kept: Kept) -> None:
    await raised(school, school.person("teacher"), lesson_id=kept.lesson_id)
    async with school.database.reading() as session:
        number = (await session.exec(select(Concern.number))).one()
    entry, head = concerns.Entry(concerns.Kind.CLOSED, "Unfounded"), await with_session(school, "headteacher")
    async with school.database.writing() as session:
        await concerns.add(session, head, number, entry, school.clock.now())
    assert await subjects(school, kept.lesson_id) == {school.person("teacher")}


async def test_whether_families_are_told_of_a_view_is_for_nobody_who_took_it_or_whom_it_is_about(school: Running) -> None:
    recorded = await record_lesson(school)
    async with await school.signed_in("dsl") as dsl, await school.signed_in("deputy_dsl") as deputy:
        why = {"why": "concern", "concern": "C-7"}
        opened = await confirmed_post(school, dsl, school.person("dsl"), recorded.page, why)
        view = f"/views/families/{opened.headers['location'].rpartition('/')[2]}"
        assert "There is nothing to release" in (await dsl.get("/views/families")).text, "their own is for a colleague"
        assert (await dsl.post(view)).status_code == 404
        assert view in (await deputy.get("/views/families")).text, "negative control: the deputy judges it, before"
        await raised(school, school.person("deputy_dsl"), lesson_id=recorded.lesson_id)
        assert "There is nothing to release" in (await deputy.get("/views/families")).text
        assert (await deputy.post(view)).status_code == 404
