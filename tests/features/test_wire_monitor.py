"""The wire monitor beside the running service: what it sees stops the lesson, tells the DSL and is counted (invariant I9)."""

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from sqlmodel import select

from lessons.live.monitor import Forbidden
from lessons.live.room import Room
from lessons.live.supervision import Exposed, Snapshot, Verdict
from lessons.media.gate import Gate
from service.people.tables import Badge, Person
from service.safeguarding.tables import Alert
from tests.room.pages import Lesson, Page


async def teaching(lesson: Lesson) -> tuple[Page, Page, Page]:
    teacher, ali, bea = await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)
    await lesson.opened()
    teacher.say("microphone", on=True)
    await ali.until(lambda: any(person["microphone"] for person in ali.state["people"]))
    assert lesson.media.delivers(teacher.person) == {ali.person, bea.person}
    return teacher, ali, bea


def without_the_gate(lesson: Lesson, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gate, "permits", lambda gate, now: True)


def without_the_rule(lesson: Lesson, patch: pytest.MonkeyPatch) -> None:
    def careless(snapshot: Snapshot, now: float) -> Verdict:
        return Verdict(inf, ())

    patch.setattr("lessons.live.room.lease", careless)


@pytest.mark.parametrize("sabotage", [without_the_gate, without_the_rule])
async def test_a_broken_guard_is_noticed_at_the_first_packet_to_a_child_alone_with_an_adult(
    lesson: Lesson, forbidden: list[Forbidden], monkeypatch: pytest.MonkeyPatch, sabotage: Callable[..., Any],
) -> None:
    teacher, ali, bea = await teaching(lesson)
    assert forbidden == []
    sabotage(lesson, monkeypatch)
    bea.vanish()
    await teacher.until(lambda: bea.person not in [p["person"] for p in teacher.state["people"]])
    lesson.media.delivers(teacher.person)
    assert "I1 never alone" in forbidden[0].broken
    assert forbidden[0].delivery.viewers == (ali.person,)
    assert lesson.host.gate.until == -inf
    monkeypatch.undo()
    await ali.until(lambda: ali.state["hold"][:1] == ["stopped-by-school"])
    await lesson.host.journal.drained()
    async with lesson.school.database.reading() as session:
        assert "forbidden-delivery" in (await session.exec(select(Alert.kind))).all()
    async with lesson.school.client() as client:
        text = (await client.get("/metrics")).text
    assert "chaperone_forbidden_deliveries_total 1.0" in text
    forbidden.clear()


async def test_a_room_that_takes_a_badge_for_a_pupil_is_noticed(lesson: Lesson, forbidden: list[Forbidden],
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """The only adult made one of two pupils' badges: the monitor knows it of the register, whatever the room made of it."""
    async with lesson.school.database.writing() as session:
        row = await session.get_one(Person, lesson.pupil_ids[1])
        session.add(Badge(school_id=row.school_id, person_id=row.id, secret_hash="s", animal="owl", pin_kind="numbers",
                          pin_hash="p", issued_at=lesson.school.clock.now(), issued_by=lesson.teacher_id))
    monkeypatch.setattr(Room, "_exposed", lambda room, seat, here, counted: Exposed(
        seat.person.id, seat.person.kind, seat.person.id in counted, seat.alive_until))
    teacher, ali, _ = await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)
    await lesson.opened()
    teacher.say("microphone", on=True)
    await ali.until(lambda: any(person["microphone"] for person in ali.state["people"]))
    lesson.media.delivers(teacher.person)
    assert forbidden[0].broken == ("I1 never alone",)
    forbidden.clear()


async def test_a_rule_that_would_open_again_is_not_asked(lesson: Lesson, forbidden: list[Forbidden],
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    teacher, _, bea = await teaching(lesson)
    without_the_rule(lesson, monkeypatch)
    bea.vanish()
    await teacher.until(lambda: bea.person not in [p["person"] for p in teacher.state["people"]])
    lesson.media.delivers(teacher.person)
    assert forbidden.pop()
    forbidden.clear()
    await lesson.settle(3)
    assert lesson.host.gate.until == -inf
    assert lesson.media.delivers(teacher.person) == frozenset()
