"""What happens to a lesson or a permission reaches the phones of whom it concerns, and says nothing (screens 9; CM5, CO2)."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import col, select

from consent import commands as consents
from consent.documents import queries as documents
from consent.rules import Purpose, Route
from lessons.events import CoverArranged
from lessons.live.facts import LessonStopped
from lessons.tables import JournalEntry, Lesson
from service.foundation.bus import publish
from service.people import queries as people
from service.people.tables import Guardianship, Person
from service.safeguarding.incidents.events import FamilyToldOfIncident
from tests import one_to_one
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
