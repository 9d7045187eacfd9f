"""The room protocol as text (docs/room-protocol.md): what a page sends is parsed into a message or refused."""

import dataclasses
import json
import types
import typing
from typing import Any

from lessons.live import messages
from lessons.live.effects import Close

SUBPROTOCOL = "chaperone.room.v1"
LONGEST_MESSAGE = 256 * 1024
MALFORMED_ALLOWED, MALFORMED_SECONDS = 10, 10.0
HELLO_SECONDS = 10.0

BAD_MESSAGE, TICKET_REFUSED, NOT_ADMITTED, TOO_SLOW, REPLACED, OVER, MOVED, RESTARTING = (
    4400, 4401, 4403, 4408, 4409, 4410, 4411, 1012,
)
CLOSE_CODE = {
    Close.NOT_ADMITTED: NOT_ADMITTED, Close.REPLACED: REPLACED, Close.REMOVED: OVER, Close.LEFT: 1000, Close.ENDED: OVER,
    Close.SILENT: TOO_SLOW, Close.MOVED: MOVED,
}

_CLIENT: dict[str, type] = {messages.type_of(kind): kind for kind in typing.get_args(messages.ClientMessage)}


class Malformed(ValueError):
    """This message cannot be read. `type_refused`: what it said it was, as far as that is known."""

    def __init__(self, why: str, type_refused: str = "") -> None:
        super().__init__(why)
        self.type_refused = type_refused


def parse(text: str) -> messages.ClientMessage:
    """A page's message. Unknown types and fields, missing fields, wrong types and over-long texts are Malformed."""
    if len(text) > LONGEST_MESSAGE:
        raise Malformed("This message is too long.")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("This is not JSON.") from None
    if not isinstance(said, dict):
        raise Malformed("A message is an object with a type.")
    name = said.pop("type", None)
    kind = _CLIENT.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Malformed("This type of message is not known.", name[:40] if isinstance(name, str) else "")
    return _read(kind, said, str(name))


def _read(kind: type, said: dict[str, Any], name: str) -> messages.ClientMessage:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if said.keys() - fields.keys():
        raise Malformed("There is a field that this message does not have.", name)
    for field in fields.values():
        if field.name not in said:
            if field.default is dataclasses.MISSING:
                raise Malformed(f"“{field.name}” is missing.", name)
        elif not _fits(said[field.name], field):
            raise Malformed(f"“{field.name}” cannot be used.", name)
    return typing.cast(messages.ClientMessage, kind(**said))


def _fits(value: object, field: "dataclasses.Field[Any]") -> bool:
    """By exact type, since JSON's true is no number here. Numbers are counts; lone surrogates and NUL are no text that
    every database takes, and what the database does not take the journal would wait for."""
    wanted = typing.get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
    if type(value) not in {types.NoneType if w is None else w for w in wanted}:
        return False
    if isinstance(value, str):
        return len(value) <= field.metadata["max"] and not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)
    return not isinstance(value, int) or 0 <= value < 2**53


def encode(message: messages.ServerMessage) -> str:
    """A server's message as JSON text."""
    return _JSON.encode({"type": messages.type_of(message), **vars(message)})


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=vars)
"""Parts of a message by their fields, as `dataclasses.asdict` without the copies: a class of thirty is told at every change."""
