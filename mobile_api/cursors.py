"""Pages of long lists: a cursor says where the last page ended, signed for one person and one list."""

import base64
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import Query

from service.foundation.errors import Invalid
from service.foundation.events import Actor
from service.people.hashing import Pepper

Cursor = Annotated[str | None, Query(max_length=300, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=100)]
Row = TypeVar("Row")
PURPOSE = "api-cursor"


class BadCursor(Invalid):
    """This is not the cursor of this list. Begin with the first page."""

    code = "bad-cursor"


def after(pepper: Pepper, actor: Actor, of: str, cursor: str | None) -> tuple[datetime, str] | None:
    """Where the page before ended: the moment and the id of its last entry. Raises BadCursor."""
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor.encode()).decode()
        at, row_id, mac = text.split("|")
        if not secrets.compare_digest(mac, _mac(pepper, actor, of, at, row_id)):
            raise BadCursor()
        return datetime.fromisoformat(at), row_id
    except ValueError as error:
        raise BadCursor() from error


def page(pepper: Pepper, actor: Actor, of: str, rows: Sequence[Row], limit: int,
         key: Callable[[Row], tuple[datetime, str]]) -> tuple[Sequence[Row], str | None]:
    """The first `limit` of `rows`, of which one more was read, and the cursor behind them."""
    if len(rows) <= limit:
        return rows, None
    at, row_id = key(rows[limit - 1])
    text = "|".join((at.isoformat(), row_id, _mac(pepper, actor, of, at.isoformat(), row_id)))
    return rows[:limit], base64.urlsafe_b64encode(text.encode()).decode()


def _mac(pepper: Pepper, actor: Actor, of: str, at: str, row_id: str) -> str:
    return pepper.secret(PURPOSE, actor.person_id, of, at, row_id)
