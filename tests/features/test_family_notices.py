"""What happens to a lesson or a permission reaches the phones of whom it concerns, and says nothing (CM5, CO2)."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select

from consent import commands as consents
from consent.documents import queries as documents
from consent.rules import Purpose, Route
from lessons.events import CoverArranged
from lessons.family import rules, sweep
from lessons.live.facts import LessonStopped
from lessons.tables import JournalEntry, Lesson
from recordings.tables import Recording, RecordingParticipant, RecordingView
from recordings.told import queries as told
from recordings.told.tables import ViewRelease
from service.foundation.bus import publish
from service.people import queries as people
from service.people.tables import Guardianship, Person, SignIn
from service.safeguarding.incidents.events import FamilyToldOfIncident
from service.safeguarding.incidents.tables import Incident
from tests import one_to_one
from tests.features.test_planning import MOVE, events, lessons, plan
from tests.push import PushService, notices_on, push_service, quiet_school, send
from tests.school import Running


@pytest.fixture
async def phones() -> AsyncIterator[PushService]:
    async with push_service() as started:
        yield started


@pytest.fixture
async def school(tmp_path: Path, template: Path, phones: PushService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    async with quiet_school(tmp_path, template, phones, monkeypatch) as started:
        yield started


async def adults_of(school: Running, child_id: str) -> list[str]:
    async with school.database.reading() as session:
        return list((await session.exec(select(Guardianship.guardian_id).where(
            Guardianship.child_id == child_id).order_by(col(Guardianship.contact_order)))).all())


async def with_two_adults(school: Running) -> tuple[str, str, str]:
    """A pupil of the lesson that is on, and both parents."""
    for child in school.lesson()["pupil_ids"]:
        adults = await adults_of(school, child)
        if len(adults) == 2:
            return child, *adults
    raise AssertionError("nobody in this class has two")


async def takes_back(school: Running, person: str, child: str, purpose: Purpose) -> None:
    async with school.database.writing() as session:
        actor = await people.actor(session, person)
        assert actor is not None
        asked = (await documents.shown(session, actor.school_id))[purpose]
        await consents.answer(session, actor, child_id=child, purpose=purpose, says_yes=False, document_id=asked.document_id,
                              language="en", route=Route.APP, declared_responsibility="yes", now=school.clock.now())


async def is_in_the_lesson(school: Running, child: str) -> None:
    async with school.database.writing() as session:
        lesson = await session.get_one(Lesson, school.lesson()["id"])
        lesson.started_at = lesson.starts_at
        session.add(JournalEntry(school_id=lesson.school_id, lesson_id=lesson.id, seq=9_000, at=school.clock.now(), kind="joined",
                                 person_id=child))


async def nothing_names_anybody(school: Running, phones: PushService, *known: object) -> None:
    async with school.database.reading() as session:
        rows = (await session.exec(select(Person))).all()
    names = {word for row in rows for word in (row.id, *row.given_name.split(), row.family_name)}
    said = "\n".join(f"{address} {headers}" for address, headers, _ in phones.taken)
    said += "\n".join(text for phone in known for text in phones.to(phone))  # type: ignore[arg-type]
    assert phones.taken, "something was sent"
    assert [name for name in names if re.search(rf"\b{re.escape(name)}\b", said)] == []


async def test_an_approved_one_to_one_asks_the_family_and_its_end_is_told_at_once(school: Running, phones: PushService) -> None:
    request = await one_to_one.ask(school)
    [child, *_] = await one_to_one.pupils(school)
    parent = await notices_on(school, phones, (await adults_of(school, child))[0])
    stranger = await notices_on(school, phones, (await adults_of(school, (await one_to_one.pupils(school))[1]))[0], "phone-2")
    await one_to_one.approve(school, request)
    await send(school)
    assert phones.to(parent) == ["N2"]
    school.clock.advance(12 * 3600)  # at night
    [approval] = await one_to_one.given(school, request)
    await one_to_one.revoke(school, approval.id)
    await send(school)
    assert phones.to(parent) == ["N2", "N7"]
    assert phones.to(stranger) == []
    await nothing_names_anybody(school, phones, parent)


@pytest.mark.parametrize("what", ["stopped", "covered"])
async def test_news_of_a_lesson_reaches_its_families_and_no_others(school: Running, phones: PushService, what: str) -> None:
    lesson = school.lesson()
    parent = await notices_on(school, phones, (await adults_of(school, lesson["pupil_ids"][0]))[0])
    elsewhere = next(one for one in school.made["lessons"] if not set(one["pupil_ids"]) & set(lesson["pupil_ids"]))
    stranger = await notices_on(school, phones, (await adults_of(school, elsewhere["pupil_ids"][0]))[0], "phone-2")
    head, cover = school.person("headteacher"), school.person("teacher", 1)
    async with school.database.writing() as session:
        actor = await people.actor(session, head)
        assert actor is not None
        event = LessonStopped(lesson["id"], head) if what == "stopped" else CoverArranged(
            lesson["id"], instead_of=lesson["adult_ids"][0], person_id=cover)
        await publish(session, event, actor)
    await send(school)
    assert phones.to(parent) == ["N5"]
    assert phones.to(stranger) == []
    await nothing_names_anybody(school, phones, parent)


async def test_that_there_was_an_incident_reaches_the_family_and_says_nothing(school: Running, phones: PushService) -> None:
    child, mother, _ = await with_two_adults(school)
    hers = await notices_on(school, phones, mother)
    elsewhere = [one for one in school.lesson()["pupil_ids"] if mother not in await adults_of(school, one)]
    stranger = await notices_on(school, phones, (await adults_of(school, elsewhere[0]))[0], "phone-2")
    async with school.database.writing() as session:
        actor = await people.actor(session, school.person("headteacher"))
        assert actor is not None
        await publish(session, FamilyToldOfIncident("incident", "entry", child), actor)
    await send(school)
    assert phones.to(hers) == ["N5"]
    assert phones.to(stranger) == []
    await nothing_names_anybody(school, phones, hers)


async def test_a_place_that_ends_in_a_lesson_is_told_to_who_ended_it_alone(school: Running, phones: PushService) -> None:
    child, mother, father = await with_two_adults(school)
    hers, his = await notices_on(school, phones, mother), await notices_on(school, phones, father, "phone-2")
    await is_in_the_lesson(school, child)
    await takes_back(school, mother, child, Purpose.ATTEND)
    await takes_back(school, mother, child, Purpose.BE_RECORDED)
    await send(school)
    assert phones.to(hers) == ["N7"], "once a lesson"
    assert phones.to(his) == [], "what one parent said is not told to the other"
    await nothing_names_anybody(school, phones, hers)


@pytest.mark.parametrize(("purpose", "is_in"), [(Purpose.ATTEND, False), (Purpose.CAMERA, True)])
async def test_without_a_place_that_ends_nothing_is_urgent(school: Running, phones: PushService, purpose: Purpose,
                                                           is_in: bool) -> None:
    child, mother, _ = await with_two_adults(school)
    hers = await notices_on(school, phones, mother)
    if is_in:
        await is_in_the_lesson(school, child)
    await takes_back(school, mother, child, purpose)
    await send(school)
    assert phones.to(hers) == []


@pytest.mark.parametrize("what", ["move", "cancel"])
async def test_a_series_that_moves_or_is_cancelled_is_one_piece_of_news(school: Running, phones: PushService, what: str) -> None:
    phone = await notices_on(school, phones, (await adults_of(school, school.lesson()["pupil_ids"][0]))[0])
    async with await school.signed_in("teacher") as teacher:
        await plan(school, teacher, repeat="weekly", **{"until-day": "14", "until-month": "12", "until-year": "2026"})
        series = await lessons(school)
        assert len(series) > 1
        answer = await teacher.post(f"/lessons/{series[0].id}/{what}", data={**MOVE, "on-day": "30", "because": "Illness",
                                                                             "scope": "later"})
        assert answer.status_code == 303, answer.text
    assert await events(school, {"move": "LessonMoved", "cancel": "LessonCancelled"}[what]) == len(series)
    await send(school)
    assert phones.to(phone) == ["N5"]
    await nothing_names_anybody(school, phones, phone)


async def starts(school: Running, minutes_ago: float, *, in_it: int = 0) -> list[str]:
    """The lesson that is on was opened by its teacher so many minutes ago; the first pupils are in it. Returns its pupils."""
    pupils = school.lesson()["pupil_ids"]
    async with school.database.writing() as session:
        lesson = await session.get_one(Lesson, school.lesson()["id"])
        lesson.started_at = school.clock.now() - timedelta(minutes=minutes_ago)
        session.add_all(JournalEntry(school_id=lesson.school_id, lesson_id=lesson.id, seq=9_000 + number, kind="joined",
                                     at=school.clock.now(), person_id=child) for number, child in enumerate(pupils[:in_it]))
    return list(pupils)


async def test_a_child_who_has_not_come_after_five_minutes_is_told_to_their_family_once(
        school: Running, phones: PushService) -> None:
    here, away, *_ = await starts(school, 1, in_it=1)
    phone = await notices_on(school, phones, (await adults_of(school, away))[0])
    others = await notices_on(school, phones, (await adults_of(school, here))[0], "phone-2")
    await sweep.sweep(school.database, school.clock)
    await send(school)
    assert phones.to(phone) == [], "nobody is late for a teacher who has just come"
    school.clock.advance(5 * 60)
    for _ in range(3):
        await sweep.sweep(school.database, school.clock)
        await send(school)
    assert phones.to(phone) == ["N5"]
    assert phones.to(others) == []
    await nothing_names_anybody(school, phones, phone)


async def test_who_must_not_be_told_is_not_told_of_an_absence(school: Running, phones: PushService) -> None:
    away, *_ = await starts(school, 6)
    adult = (await adults_of(school, away))[0]
    phone = await notices_on(school, phones, adult)
    async with school.database.writing() as session:
        for row in (await session.exec(select(Guardianship).where(Guardianship.guardian_id == adult))).all():
            row.do_not_contact = True
    await sweep.sweep(school.database, school.clock)
    await send(school)
    assert phones.to(phone) == []


@pytest.mark.parametrize(("minutes", "late"), [(4.9, False), (5, True), (19.9, True), (20, False)])
def test_late_begins_when_a_lesson_was_both_planned_and_on_for_five_minutes(minutes: float, late: bool) -> None:
    now = datetime(2026, 11, 24, 10, tzinfo=UTC)
    begun = now - timedelta(minutes=minutes)
    assert rules.is_late(begun, begun - timedelta(minutes=3), now) is late
    assert rules.is_late(begun - timedelta(minutes=3), begun, now) is late


async def watches(school: Running, child: str, why: str = "flag") -> str:
    """The safeguarding lead watched a recording with this child in it. Returns the view."""
    now = school.clock.now()
    async with school.database.writing() as session:
        actor = await people.actor(session, school.person("dsl"))
        assert actor is not None
        row = Recording(school_id=actor.school_id, lesson_id=f"watched-{why}", title="Maths", class_name="5 Oak", starts_at=now,
                        ends_at=now, started_at=now, ended_at=now, outcome="complete", kept_until=date(2027, 1, 1))
        sign_in = (await session.exec(select(SignIn.id))).first() or ""
        view = RecordingView(school_id=actor.school_id, recording_id=row.id, person_id=actor.person_id, session_id=sign_in,
                             why=why, granted_at=now, expires_at=now + timedelta(hours=1))
        session.add_all([row, view, RecordingParticipant(recording_id=row.id, person_id=child, school_id=actor.school_id,
                                                         role="pupil", admitted_at=now)])
    return view.id


async def test_a_view_of_a_lesson_with_an_incident_about_an_adult_is_hidden(school: Running) -> None:
    await school.cookie(school.person("dsl"))
    child, now = school.lesson()["pupil_ids"][0], school.clock.now()
    await watches(school, child)

    async def told_of(about_staff: bool) -> int:
        async with school.database.writing() as session:
            actor = await people.actor(session, school.person("teacher"))
            assert actor is not None
            session.add(Incident(
                school_id=actor.school_id, number=f"I-2026-{about_staff:04}", recorded_by=actor.person_id, recorded_at=now,
                happened_on=now.date(), routed_to="headteacher" if about_staff else "dsl", about_staff=about_staff,
                lesson_id="watched-flag"))
        async with school.database.reading() as session:
            return len(await told.told_between(session, actor.school_id, now, now + timedelta(days=1)))

    assert await told_of(about_staff=False) == 1, "negative control"
    assert await told_of(about_staff=True) == 0


async def test_a_view_is_told_the_morning_after_and_a_hidden_one_once_it_is_released(
        school: Running, phones: PushService) -> None:
    await school.cookie(school.person("dsl"))
    child, other, *_ = school.lesson()["pupil_ids"]
    phone = await notices_on(school, phones, (await adults_of(school, child))[0])
    hidden = await notices_on(school, phones, (await adults_of(school, other))[0], "phone-2")
    await watches(school, child)
    view = await watches(school, other, "concern")

    async def next_morning() -> None:
        school.clock.advance(24 * 3600)
        await sweep.sweep(school.database, school.clock)
        await sweep.sweep(school.database, school.clock)
        await send(school)

    await sweep.sweep(school.database, school.clock)
    await send(school)
    assert phones.to(phone) == [], "a concern that the view leads to hides it first"
    await next_morning()
    assert phones.to(phone) == ["N5"]
    assert phones.to(hidden) == [], "nobody learns from a notice that a concern exists"
    async with school.database.writing() as session:
        actor = await people.actor(session, school.person("dsl"))
        assert actor is not None
        session.add(ViewRelease(view_id=view, school_id=actor.school_id, released_by=actor.person_id,
                                released_at=school.clock.now()))
    await next_morning()
    assert (phones.to(phone), phones.to(hidden)) == (["N5"], ["N5"])
    await nothing_names_anybody(school, phones, phone, hidden)
