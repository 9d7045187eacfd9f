"""T1, T8, T12, T13: staying with the last pupil, private channels, reconnecting around the door, sockets that outlive a
revocation. Each probe first shows, with its guard taken away, that it would notice."""

import dataclasses
import typing
from collections.abc import AsyncIterator, Callable
from math import inf

import pytest

from lessons.live import messages as m
from lessons.live.supervision import Kind
from lessons.media.gate import Gate
from service.people import sessions
from tests.room.pages import DOOR, Lesson, Page
from tests.room.stage import EVERYONE, Stage, opened
from tests.school import Running


@pytest.fixture
async def lesson(school: Running) -> AsyncIterator[Lesson]:
    lesson = Lesson(school)
    yield lesson
    await lesson.end()


async def teaching(lesson: Lesson) -> tuple[Page, Page, Page]:
    teacher, ali, bea = await lesson.teacher(), await lesson.pupil(0), await lesson.pupil(1)
    await lesson.opened()
    teacher.say("microphone", on=True)
    await ali.until(lambda: any(person["microphone"] for person in ali.state["people"]))
    return teacher, ali, bea


@pytest.mark.parametrize("guarded", [False, True], ids=["without the gate", "with the gate"])
async def test_nothing_reaches_the_last_pupil_once_the_others_are_unheard(lesson: Lesson, guarded: bool) -> None:
    """The others' devices die; nobody tells the server, and its own timers do not run."""
    teacher, ali, _ = await teaching(lesson)
    clock, last = lesson.school.clock, lesson.media.heard[lesson.pupil_ids[1]]
    if not guarded:
        lesson.media.gate = Gate(inf)
    delivered = []
    while clock.boottime() < last + 4.0:
        clock.advance(0.02)
        if ali.person in lesson.media.delivers(teacher.person):
            delivered.append(clock.boottime() - last)
    assert delivered, "a gate that never opened proves nothing"
    assert (max(delivered) < 2.0) is guarded


@pytest.mark.parametrize("guarded", [False, True], ids=["without the memory", "with the memory"])
async def test_a_reconnect_does_not_go_around_a_removal(lesson: Lesson, guarded: bool) -> None:
    teacher, ali, _ = await teaching(lesson)
    ticket = (await ali.door()).json()["ticket"]  # taken before, to be used after
    teacher.say("remove", person=ali.person, reason="test")
    await ali.closed(4410)
    if not guarded:
        lesson.host.room.removed = frozenset()
    again = Page(lesson, ali.person, ali.cookie).connect()
    again.say("hello", ticket=ticket)
    await again.until(lambda: again.code is not None or again.last("welcome") is not None)
    assert (again.code == 4410) is guarded
    await again.end()


async def test_a_revoked_sign_in_ends_page_socket_and_media_together(lesson: Lesson) -> None:
    teacher, ali, _ = await teaching(lesson)
    async with lesson.school.database.writing() as session:
        actor = await sessions.queries.actor(session, teacher.person)
        assert actor is not None
        await sessions.end_all(session, actor, person_id=teacher.person, why="test", now=lesson.school.clock.now())
    await teacher.closed(4401)
    assert lesson.media.delivers(teacher.person) == frozenset()
    assert teacher.person not in lesson.media.here
    assert (await teacher.door(**DOOR)).status_code == 401
    await ali.until(lambda: ali.state["hold"] == ["no-adult"])


SAYABLE = typing.get_args(m.ClientMessage)
EXAMPLES: dict[object, object] = {str: "ali", int: 5, bool: True, str | None: "ali"}


def example(kind: type) -> m.ClientMessage:
    return kind(*(EXAMPLES[field.type] for field in dataclasses.fields(kind)))  # type: ignore[no-any-return]


def words_of(told: object) -> str:
    """What a sender could have put into a message."""
    return " ".join(str(value) for value in dataclasses.asdict(told).values()) if dataclasses.is_dataclass(told) else ""  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", SAYABLE, ids=[m.type_of(kind) for kind in SAYABLE])
def test_no_message_carries_words_to_one_child_alone(kind: type) -> None:
    """Every message that there is, from a teacher with every power: whatever words it holds reach all pupils or none."""
    secret = "meet me at four"
    stage = opened("teacher", "assistant", "ali", "bea", "cal")
    message = example(kind)
    said = {f.name: secret for f in dataclasses.fields(kind) if f.type in (str, str | None) and f.name not in ("person", "flag")}
    before = len(stage.wire)
    stage.send("teacher", dataclasses.replace(message, **said))
    children = [p.id for p in EVERYONE if p.kind is Kind.CHILD]
    reached = {child for _, child, told in stage.wire[before:] if child in children and secret in words_of(told)}
    assert reached in (set(), set(children))
    if kind is m.Chat:
        assert reached == set(children), "the probe notices words that do arrive"


def _lobby() -> Stage:
    return Stage().join("teacher", "ali").pass_time(2)


def _held() -> Stage:
    stage = opened()
    stage.drop("bea")
    return stage


@pytest.mark.parametrize("make", [_lobby, _held], ids=["waiting room", "paused"])
@pytest.mark.parametrize("kind", SAYABLE, ids=[m.type_of(kind) for kind in SAYABLE])
def test_in_the_waiting_room_and_while_paused_nothing_said_reaches_the_other(kind: type, make: Callable[[], Stage]) -> None:
    stage = make()
    said = {f.name: "meet me at four" for f in dataclasses.fields(kind) if f.type in (str, str | None) and f.name != "person"}
    for sender, other in (("teacher", "ali"), ("ali", "teacher")):
        before = len(stage.wire)
        if sender in stage.connections:
            stage.send(sender, dataclasses.replace(example(kind), **said))
        assert not [told for _, who, told in stage.wire[before:] if who == other and "meet me at four" in words_of(told)]
