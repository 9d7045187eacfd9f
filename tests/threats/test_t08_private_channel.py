"""T8: a private channel. Whatever can be said, from whatever page, reaches the whole room or nobody (policy: RL7)."""

import dataclasses
import typing
from collections.abc import Callable

import pytest

from lessons.live import messages as m
from lessons.live.supervision import Kind
from tests.room.stage import EVERYONE, Stage, opened

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
