"""T3: a ghost pupil. An adult signs in as a second child, so that with one real child they are not alone by the numbers.

Stated limit: another browser or device with a child's own badge and PIN is that child to us; what is left is the alert of the
address.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import col, delete, select

from lessons.live import host
from lessons.live.host import Host
from lessons.live.room import Room
from lessons.live.supervision import Exposed, Hold
from lessons.media.home import home_of
from lessons.tables import LessonAdult
from service.people import commands, queries
from service.people.events import BadgeIssued
from service.people.tables import GroupMember
from service.safeguarding.tables import Alert
from service.wiring import IN_TRANSACTION
from tests.room.pages import Lesson
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm

LAPTOP = "the teacher's laptop"


def count_everybody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Room, "_distinct", lambda room, here: frozenset(seat.person.id for seat in here if seat.person.protects))


@guarded_by(Guard("one person a device", count_everybody))
async def test_a_pupil_in_the_adult_s_own_browser_is_no_company(played: Lesson, attempt: Any) -> None:
    teacher, ali = await played.teacher(device=LAPTOP), await played.pupil(0)
    await played.pupil(1, device=LAPTOP)
    with attempt:
        for _ in range(12):
            await played.settle(0.25)
            await played.host.journal.drained()
            teacher.say("microphone", on=True)
            harm(ali.person in played.media.delivers(teacher.person) or played.host.room.is_open, "the room opened for a ghost")


@guarded_by(Guard("the device that an adult used stays an adult's", lambda patch: patch.setattr(
    Room, "_doubt", lambda room, seat: [])))
async def test_nor_when_the_adult_came_first_and_moved_to_another_device(played: Lesson, attempt: Any) -> None:
    with attempt:
        await played.teacher(device=LAPTOP)
        await played.teacher(device="the teacher's phone")
        await played.pupil(0)
        await played.pupil(1, device=LAPTOP)
        for _ in range(12):
            await played.settle(0.25)
            await played.host.journal.drained()
            harm(played.host.room.is_open, "the room opened for a ghost")


async def address_alerts(lesson: Lesson) -> list[str]:
    await lesson.host.journal.drained()
    async with lesson.school.database.reading() as session:
        return list((await session.exec(select(Alert.id).where(Alert.kind == "address-shared"))).all())


@guarded_by(Guard("addresses are compared", lambda patch: patch.setattr(Host, "_compare_addresses", lambda it: None)))
async def test_one_media_address_for_an_adult_and_a_pupil_is_an_alert_within_five_seconds(played: Lesson, attempt: Any) -> None:
    teacher, ali, bea = await played.teacher(), await played.pupil(0), await played.pupil(1)
    await played.opened()
    played.media.addresses |= {teacher.person: "198.51.100.7", ali.person: "198.51.100.8", bea.person: "198.51.100.7"}
    with attempt:
        await played.settle(1)
        found = await address_alerts(played)
        harm(len(found) != 1, "nobody was told of the address")
        await played.settle(4)
        assert await address_alerts(played) == found, "once"
        assert played.host.room.is_open, "an address alone holds nobody: siblings and school networks share one"
        for page in (teacher, ali, bea):
            assert "198.51.100" not in str(page.told)


@pytest.mark.parametrize(("one", "other", "is_one"), [
    ("2001:db8:1:2:aaaa::1", "2001:db8:1:2:bbbb::2", True), ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ("::ffff:198.51.100.7", "198.51.100.7", True), ("::ffff:198.51.100.7", "::ffff:198.51.100.8", False),
    ("198.51.100.7", "198.51.100.8", False), ("fe80::1%eth0", "fe80::2%eth0", True),
])
def test_two_devices_of_one_home_are_at_one_address(one: str, other: str, is_one: bool) -> None:
    assert (home_of(one) == home_of(other)) is is_one


@guarded_by(Guard("IPv6 is compared by the network of a home", lambda patch: patch.setattr(host, "home_of", str)))
async def test_a_laptop_and_a_phone_at_one_home_on_ipv6_are_an_alert(played: Lesson, attempt: Any) -> None:
    teacher, ali, bea = await played.teacher(), await played.pupil(0), await played.pupil(1)
    await played.opened()
    played.media.addresses |= {teacher.person: "2001:db8:1:2:a1::1", ali.person: "2001:db8:1:3:a1::1",
                               bea.person: "2001:db8:1:2:b2::2"}
    with attempt:
        await played.settle(1)
        harm(len(await address_alerts(played)) != 1, "nobody was told of the home")


async def on_the_lesson_but_not_their_teacher(school: Running) -> tuple[queries.Actor, str]:
    """A leader who covers a lesson of a class that they do not teach."""
    lesson, leader = school.lesson(), school.person("headteacher")
    async with school.database.writing() as session:
        await session.exec(delete(GroupMember).where(col(GroupMember.person_id) == leader))
        actor = await queries.actor(session, leader)
        assert actor is not None
        session.add(LessonAdult(school_id=actor.school_id, lesson_id=lesson["id"], person_id=leader, part="second"))
    return actor, lesson["pupil_ids"][0]


@guarded_by(Guard("adults of a lesson make no badge for its pupils",
                  lambda patch: patch.setitem(IN_TRANSACTION, BadgeIssued, ())))
async def test_an_adult_of_the_lesson_cannot_make_themselves_a_pupil_s_badge(school: Running, attempt: Any) -> None:
    actor, child = await on_the_lesson_but_not_their_teacher(school)
    made: list[object] = []
    with attempt:
        try:
            async with school.database.writing() as session:
                made.append(await commands.issue_badge(session, actor, child, school.app.state.pepper, school.clock.now()))
        except commands.IsTheirTeacher:
            assert made == []
        harm(made, "a badge in the hands of an adult of the lesson")


def count_whoever_made_the_badge(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Room, "_exposed", lambda room, seat, here, counted: Exposed(
        seat.person.id, seat.person.kind, seat.person.id in counted, seat.alive_until))


@pytest.mark.parametrize("role", ["senior_leader", "teacher"])
@guarded_by(Guard("who made a pupil's badge may be that pupil", count_whoever_made_the_badge))
async def test_a_badge_that_was_made_before_is_no_company_for_who_made_it(played: Lesson, attempt: Any, role: str) -> None:
    """Nothing stood against it when it was made: a leader is on no lesson and may come in to all, a colleague is added later."""
    school, maker = played.school, played.school.person(role, role == "teacher")
    async with school.database.writing() as session:
        await session.exec(delete(GroupMember).where(col(GroupMember.person_id) == maker))
        await session.exec(delete(LessonAdult).where(col(LessonAdult.person_id) == maker))
        actor = await queries.actor(session, maker)
        assert actor is not None
        await commands.issue_badge(session, actor, played.pupil_ids[1], school.app.state.pepper, school.clock.now())
        if role == "teacher":
            session.add(LessonAdult(school_id=actor.school_id, lesson_id=played.id, person_id=maker, part="second"))
    await (await played.page(maker)).enter()
    await played.pupil(0)
    await played.pupil(1)
    with attempt:
        for _ in range(12):
            await played.settle(0.25)
            await played.host.journal.drained()
            harm(played.host.room.is_open, "the room opened for a ghost")
        assert played.host.room.reasons == (Hold.LONE_ADULT,)
        await played.pupil(2)
        await played.opened()


def take_children_for_adults(patch: pytest.MonkeyPatch) -> None:
    find = commands.find

    async def grown(*of: Any) -> Any:
        row = await find(*of)
        return SimpleNamespace(id=row.id, kind="adult", email="ghost@school.example")

    patch.setattr(commands, "find", grown)


@guarded_by(Guard("a child has no password", take_children_for_adults))
async def test_nor_a_password(school: Running, attempt: Any) -> None:
    """Pupils have none: a link to set one is refused for whoever is a child, whoever asks."""
    actor, child = await on_the_lesson_but_not_their_teacher(school)
    made: list[str] = []
    with attempt:
        try:
            async with school.database.writing() as session:
                made.append(await commands.make_reset(session, actor, child, school.clock.now()))
        except commands.Invalid:
            assert made == []
        harm(made, "a link to a password for a pupil")
