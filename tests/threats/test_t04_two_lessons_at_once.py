"""T4: one person in two lessons at once, protecting both: one adult over two rooms, one pupil as the second child of two
(policy: RL1, AC1)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from lessons.live import registry
from lessons.tables import JournalEntry, LessonAdult
from lessons.tables import Lesson as LessonRow
from tests.room.family import Family
from tests.room.pages import DOOR, Page
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm


def only_its_own_rooms(patch: pytest.MonkeyPatch) -> None:
    """Whoever comes in leaves the other rooms of that lesson, and those of no other."""
    say = registry._say

    def kin_alone(host: Any, event: Any) -> None:
        if not getattr(event, "other_lesson", False):
            say(host, event)

    patch.setattr(registry, "_say", kin_alone)


ONE_ROOM = Guard("one-room-at-a-time", only_its_own_rooms)


class Two(Family):
    """The lesson that is on, and another of the same class and teacher beside it, with nothing in common but people."""

    async def plan(self) -> "Two":
        async with self.school.database.writing() as session:
            first = await session.get_one(LessonRow, self.id)
            other = LessonRow(school_id=first.school_id, group_id=first.group_id, title="Science", planned_by=self.teacher_id,
                              starts_at=first.starts_at, ends_at=first.ends_at,
                              planned_at=first.starts_at - timedelta(days=1))
            session.add(other)
            await session.flush()
            self.second = self.school.person("teacher", 1)
            session.add_all(LessonAdult(lesson_id=other.id, person_id=person, school_id=other.school_id, part=part)
                            for person, part in ((self.teacher_id, "teacher"), (self.second, "second")))
            self.other = other.id
        return self

    async def ticket(self, page: Page, lesson_id: str) -> str:
        async with self.school.client(page.cookie) as client:
            answer = await client.post(f"/lessons/{lesson_id}/door", json={**DOOR, "device": f"device of {page.person}"})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["ticket"])

    async def enter(self, person: str, lesson_id: str) -> Page:
        page = await self.page(person)
        return await self.redeem(page, lesson_id, await self.ticket(page, lesson_id))

    async def redeem(self, page: Page, lesson_id: str, ticket: str) -> Page:
        page.connect(lesson_id=lesson_id)
        page.say("hello", ticket=ticket)
        await page.until(lambda: page.last("welcome") is not None)
        return page

    def where(self, person: str) -> list[str]:
        """The lessons in which somebody is here."""
        return [host.room.plan.lesson_id for host in self.school.app.state.rooms.hosts()
                if any(seat.person.id == person for seat in host.room.here())]

    async def opened_or_not(self) -> None:
        """Long enough to open whatever may open."""
        for _ in range(12):
            await self.pass_time(0.25)
            for host in self.school.app.state.rooms.hosts():
                await host.journal.drained()


@pytest.fixture
async def two(school: Running) -> AsyncIterator[Two]:
    lessons = await Two(school).plan()
    yield lessons
    await lessons.end()


@guarded_by(ONE_ROOM)
async def test_one_adult_supervises_one_lesson(two: Two, attempt: Any) -> None:
    a, b, c, d = two.pupil_ids[:4]
    with attempt:
        first = [await two.enter(person, two.id) for person in (two.teacher_id, a, b)]
        second = [await two.enter(person, two.other) for person in (c, d, two.teacher_id)]
        await two.opened_or_not()
        rooms = [two.host_of(two.id).room, two.host_of(two.other).room]
        harm(all(room.is_open for room in rooms), "one adult supervises two rooms at once")
        harm(two.where(two.teacher_id) != [two.other], "one adult is in two rooms")
        assert (rooms[1].is_open, first[0].last("ended"), first[0].code) == (True, {"type": "ended", "reason": "elsewhere"}, 4409)
        assert [page.code for page in second] == [None] * 3
        assert "no-adult" in first[1].state["hold"]


@guarded_by(ONE_ROOM)
async def test_one_pupil_is_the_second_child_of_one_lesson(two: Two, attempt: Any) -> None:
    a, b, c = two.pupil_ids[:3]
    with attempt:
        first = [await two.enter(person, two.id) for person in (two.teacher_id, a, b)]
        for person in (two.second, c, b):
            await two.enter(person, two.other)
        await two.opened_or_not()
        harm(all(two.host_of(each).room.is_open for each in (two.id, two.other)), "one pupil keeps two adults from being alone")
        assert two.host_of(two.other).room.is_open
        assert first[0].state["hold"] == ["lone-adult"]
        assert two.where(b) == [two.other]


async def test_a_page_that_comes_back_is_the_newest_and_the_other_lesson_has_stopped(two: Two) -> None:
    a, b, *_ = two.pupil_ids
    for person in (two.teacher_id, a):
        await two.enter(person, two.id)
    ali = await two.enter(b, two.id)
    there = await two.enter(b, two.other)
    await ali.closed(4409)
    back = await two.enter(b, two.id)
    await there.closed(4409)
    assert there.last("ended") == {"type": "ended", "reason": "elsewhere"}
    assert (two.where(b), back.code) == ([two.id], None)


async def test_a_ticket_from_before_is_no_way_to_be_in_both(two: Two) -> None:
    """Two doors are passed first, and both tickets are handed in afterwards, in either order."""
    person = two.pupil_ids[0]
    pages = {each: await two.page(person) for each in (two.id, two.other)}
    tickets = {each: await two.ticket(page, each) for each, page in pages.items()}
    for each in (two.other, two.id):
        await two.redeem(pages[each], each, tickets[each])
    assert two.where(person) == [two.id]
    await pages[two.other].closed(4409)
    assert pages[two.id].code is None


async def test_who_is_refused_at_the_other_door_stays_where_they_are(two: Two) -> None:
    ali = await two.enter(two.pupil_ids[0], two.id)
    async with two.school.client(ali.cookie) as client:
        answer = await client.post(f"/lessons/{'0' * 32}/door", json=DOOR)
    assert answer.status_code == 404
    assert (two.where(ali.person), ali.code) == ([two.id], None)


async def test_the_register_says_that_they_left(two: Two) -> None:
    ali = await two.enter(two.pupil_ids[0], two.id)
    await two.pass_time(1)
    await two.enter(ali.person, two.other)
    await two.host_of(two.id).journal.drained()
    async with two.school.database.reading() as session:
        written = (await session.exec(select(JournalEntry.kind).where(
            JournalEntry.lesson_id == two.id, JournalEntry.person_id == ali.person))).all()
    assert written == ["joined", "left"]


async def test_the_monitor_counts_nobody_who_came_elsewhere(two: Two) -> None:
    """Beside the rule: were the first room to go on, its first packet would be noticed."""
    here = [await two.enter(person, two.id) for person in (two.teacher_id, *two.pupil_ids[:2])]
    await two.open_in(two.id)
    monitor = two.host_of(two.id).monitor
    assert monitor._in_no_newer_room() == {page.person for page in here}
    monitor.watched.newest[two.teacher_id] = "a connection elsewhere"
    assert "I4 supervised" in monitor._broken_by_the_room(two.school.clock.boottime())
