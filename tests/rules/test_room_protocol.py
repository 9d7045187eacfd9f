"""The room protocol's text: what is understood is exact, what is not is refused, and the document names every message."""

import dataclasses
import json
import re
import string
import typing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lessons.live import messages as m
from lessons.live.protocol import Malformed, encode, parse

DOCUMENT = (Path(__file__).parents[2] / "docs" / "room-protocol.md").read_text()
CLIENT = {m.type_of(kind): kind for kind in typing.get_args(m.ClientMessage)}
VALUES = {"str": "x", "int": 1, "bool": True, "str | None": None}


def example(kind: type) -> dict[str, object]:
    return {"type": m.type_of(kind), **{
        f.name: VALUES[f.type.__name__ if isinstance(f.type, type) else str(f.type)] for f in dataclasses.fields(kind)
    }}


@pytest.mark.parametrize("kind", CLIENT.values(), ids=CLIENT)
def test_a_message_is_understood_exactly(kind: type) -> None:
    said = example(kind)
    understood = parse(json.dumps(said))
    assert type(understood) is kind
    for wrong in ({**said, "to": "somebody"}, {**said, "person2": 1}, *({**said, key: [1]} for key in said)):
        with pytest.raises(Malformed):
            parse(json.dumps(wrong))


@pytest.mark.parametrize("kind", [*typing.get_args(m.ClientMessage), *typing.get_args(m.ServerMessage)])
def test_the_document_names_every_message(kind: type) -> None:
    assert f"`{m.type_of(kind)}`" in DOCUMENT


@pytest.mark.parametrize("kind", typing.get_args(m.ServerMessage))
def test_the_document_names_every_field_that_a_page_is_told(kind: type) -> None:
    for field in dataclasses.fields(kind):
        assert re.search(rf"`{field.name}`", DOCUMENT), field.name


def test_no_message_names_a_recipient() -> None:
    """`person` in a moderator's message is whom it is about; whoever speaks, shares or shows names nobody (policy: RL7)."""
    for kind in (m.Chat, m.Microphone, m.Camera, m.Share, m.Hand, m.Publish):
        assert not {"person", "to", "recipient", "group", "room"} & {f.name for f in dataclasses.fields(kind)}


def test_a_lone_surrogate_is_no_text() -> None:
    with pytest.raises(Malformed):
        parse('{"type":"chat","own":"1","text":"\\ud800"}')


def test_depth_and_length_are_bounded() -> None:
    for text in ("[" * 200_000, '{"a":' * 100_000, "x" * 300_000, '{"type":"chat","own":"1","text":"' + "x" * 5000 + '"}'):
        with pytest.raises(Malformed):
            parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8,
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(kind=st.sampled_from(sorted(CLIENT)), fields=st.dictionaries(
    st.sampled_from(["person", "on", "up", "text", "own", "sdp", "n", "ticket", "version", "x"]), JSON, max_size=4
))
def test_anything_else_is_refused_and_never_an_error(kind: str, fields: dict[str, object]) -> None:
    try:
        understood = parse(json.dumps({**fields, "type": kind}))
    except Malformed:
        return
    assert type(understood) is CLIENT[kind]


def test_what_a_page_is_told_is_one_line_of_json_with_its_type() -> None:
    told = encode(m.ChatMessage("c1", "p", "Ali", "é\n</script>", "2026-11-24T09:00:00Z"))
    assert json.loads(told)["type"] == "chat"
    assert "\n" not in told
